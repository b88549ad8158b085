//! `train`: runs a training.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use super::args::TrainArgs;
use super::progress::ProgressReport;
use super::resume::{self, check_end, differences, epochs_of, folder_of, go_on, options, same};
use super::settings::{apply, resumed_schedule, schedule};
use super::sides::domains;
use super::{bytes, check, complain, hint, quoted, say, say_lines, stop, words};
use crate::check::{Plan, Setting};
use crate::checkpoint::{DISCRIMINATOR, GENERATOR};
use crate::data::{DomainKind, FilePairs, Folder, FoundSide, ScanOptions, SourceSizes};
use crate::error::{Error, Result};
use crate::train::{
    BEST, Distance, Gan, MODEL, Objective, Outcome, RunConfig, RunOptions, RunPlan, SAMPLES,
    Trainer, checkpoint_of, refuse_run,
};

/// `runs/NAME` for a data folder.
fn default_out(data: &Path) -> PathBuf {
    let full = data.canonicalize().unwrap_or_else(|_| data.to_path_buf());
    let name = full.file_name().map_or_else(|| "run".into(), |n| n.to_os_string());
    Path::new("runs").join(name)
}

pub fn run(args: TrainArgs) -> Result<ExitCode> {
    let resumed = args.resume.as_ref().map(|run| resume::open(&args, run)).transpose()?;
    let (resumed, begun) = resumed.unzip();
    let out = match (&args.out, &args.resume) {
        (Some(out), _) => out.clone(),
        (None, Some(run)) => folder_of(run)?,
        (None, None) => default_out(args.data.first()),
    };
    let goes_on = match &args.resume {
        Some(run) => same(&folder_of(run).unwrap_or_default(), &out),
        None => false,
    };
    if !goes_on {
        refuse_run(&out)?;
    }
    let mut config = match &resumed {
        Some(checkpoint) => checkpoint.config.clone(),
        None => {
            let mut config = RunConfig::default();
            apply(&args, &mut config)?;
            config
        }
    };
    config.check()?;
    let mut run_options = options(&args, resumed.as_ref(), &out)?;
    if out.exists() && !out.is_dir() {
        return Err(Error::input(format!("--out {} is a file; give a folder", out.display())));
    }
    if resumed.is_some() {
        args.data.sides.refuse_on_resume()?;
    }
    let (backend, header) = args.device.open()?;

    let scan = ScanOptions { skip_bad: run_options.skip_bad, pages: run_options.pages };
    let mut folder = args.data.scan(scan)?;
    if let Some(masks) = &run_options.masks {
        folder.add_masks(masks)?;
    }
    let (mut found, mut plan_lines) = (Vec::new(), Vec::new());
    if resumed.is_none() {
        let sides = args.data.sides.find(&folder, config.direction)?;
        plan_lines = follow(&args, &folder, &sides, &mut config, &mut run_options)?;
        config.domains = domains(&sides, config.direction);
        config.masked = run_options.masks.is_some() || sides.iter().any(|side| side.has_holes);
        by_labels(&args, &mut config)?;
        config.fit_networks();
        config.check()?;
        found = sides.into_iter().zip(["A", "B"]).collect();
    }
    let (of_a, of_b) = config.direction.order(&config.domains.input, &config.domains.target);
    folder.check_pixels(args.data.check(), scan, [of_a, of_b])?;
    let (n_train, n_val) = (folder.training()?.len(), folder.val.len());
    let (notes, n_test) = (folder.notes(), folder.test.len());
    let RunOptions { epochs, steps, .. } = run_options;
    let epochs = epochs_of(epochs, steps, n_train, config.batch_size);
    config.schedule = match &begun {
        Some(begun) => resumed_schedule(&args, begun, steps, epochs),
        None => schedule(&args, epochs),
    };
    let (lr, schedule) = (config.lr, config.schedule);
    let example = folder.val.first().or(folder.train.first()).cloned();
    let val_sizes = SourceSizes::of(&folder.val);
    let files = |pairs| FilePairs { pairs, domains: [of_a.clone(), of_b.clone()] };
    let (train, val) = (Arc::new(files(folder.train)), Arc::new(files(folder.val)));
    let mut plan = RunPlan::new(config, run_options, train, val, backend)?;
    if let Some(checkpoint) = &resumed {
        plan.go_on_from(&checkpoint.progress);
    }
    if args.print_program {
        say_lines(plan.program());
        return Ok(ExitCode::SUCCESS);
    }

    say(format!("device    {header}"));
    say(format!(
        "data      {}: {n_train} pairs to train on, {n_val} to validate on",
        args.data.shown()
    ));
    if n_test > 0 {
        say(format!("          {n_test} pairs of `test` are not used in training"));
    }
    notes.iter().for_each(|note| say(format!("          {note}")));
    for skipped in &folder.skipped {
        say(format!("          left out: {}", skipped.reason));
    }
    for (side, name) in &found {
        words::side(side, name).iter().for_each(|line| say(format!("          {line}")));
    }
    plan_lines.iter().for_each(say);
    for (i, line) in
        words::fit(plan.config(), plan.sources(), val_sizes.as_ref()).iter().enumerate()
    {
        say(format!("{:10}{line}", if i == 0 { "fit" } else { "" }));
    }
    if plan.config().compares_statistics() && (n_val == 0 || plan.options().val_every == 0) {
        say(format!("norm      {}", words::NOT_COMPARED));
    }
    describe_networks(&plan);
    let memory = plan.memory();
    say(format!(
        "memory    {}: parameters and Adam {}, a step {}, workspace {}, pictures {}",
        bytes(memory.total()),
        bytes(memory.persistent),
        bytes(memory.planned),
        bytes(memory.workspace),
        bytes(memory.pictures)
    ));
    let mut trainer = match resumed {
        Some(checkpoint) => {
            differences(&checkpoint, &plan)?
                .iter()
                .for_each(|what| say(format!("warning   {what}")));
            check_end(&checkpoint, &plan)?;
            let (path, step) = (checkpoint.path.clone(), checkpoint.progress.step);
            let trainer = Trainer::resume(plan, checkpoint)?;
            say(format!("resume    {} after step {step}", path.display()));
            trainer
        }
        None => {
            let g = args.init_generator.iter().map(|path| (GENERATOR, path.clone()));
            let d = args.init_discriminator.iter().map(|p| (DISCRIMINATOR, checkpoint_of(p)));
            Trainer::start(plan, &g.chain(d).collect::<Vec<_>>())?
        }
    };
    let plan = trainer.plan();
    say(format!(
        "run       {}: {} steps of {} pictures, {} steps an epoch, seed {}",
        out.display(),
        plan.total_steps(),
        plan.config().batch_size,
        plan.steps_per_epoch(),
        plan.config().seed
    ));
    say(format!("losses    {}", losses(plan.config())));
    let planned = schedule.describe(lr, epochs);
    let was = begun.and_then(|begun| begun.describe()).filter(|was| *was != planned);
    let was = was.map_or(String::new(), |was| format!("; before, it was {was}"));
    say(format!("schedule  {planned}{was}"));

    let mut report = ProgressReport::new(plan.config(), epochs, trainer.progress().step);
    let outcome = trainer.run(stop::save_first(), &mut report);
    report.end();
    let outcome = outcome?;
    let done = trainer.progress();
    if let Some(error) = stop::lost() {
        let next = match outcome {
            Outcome::Finished => format!("the run is finished, in {}", quoted(&out)),
            Outcome::Stopped => {
                let step = done.step;
                format!("the run is saved after step {step}; go on with: {}", go_on(&args, &out))
            }
        };
        if error.kind() == ErrorKind::BrokenPipe {
            complain(format!("the reader of standard output has gone away; {next}"));
            return Ok(ExitCode::from(stop::PIPE_CLOSED));
        }
        return Err(Error::machine(format!("cannot write standard output ({error}); {next}")));
    }
    if let Some(waiting) = report.waiting() {
        say(format!("data      {waiting}"));
    }
    let samples = out.join(SAMPLES).join(format!("step-{:07}.png", done.step));
    say(format!("pictures  {} (input, output, target)", samples.display()));
    say(format!("model     {}", out.join(MODEL).display()));
    if let Some((epoch, scores)) = done.best {
        let best = out.join(BEST);
        say(format!("best      {}: epoch {epoch}, {}", best.display(), scores.line()));
    }
    if let Some(found) = &done.statistics {
        say(format!("norm      {}", words::compared(found)));
    }
    if outcome == Outcome::Stopped {
        say(format!("stopped   after step {}; go on with: {}", done.step, go_on(&args, &out)));
        return Ok(ExitCode::from(stop::exit_code().unwrap_or(1)));
    }
    let model = out.join(if done.best.is_some() { BEST } else { MODEL });
    if let Some(pair) = example {
        let direction = trainer.plan().config().direction;
        say(format!("translate {}", hint::translate(&model, &pair, direction)));
    }
    Ok(ExitCode::SUCCESS)
}

/// Plans what no flag says: the size with its depth and fit, and the epochs. Returns what is said of it.
///
/// # Errors
/// As [`Plan::new`], where the size is planned.
fn follow(
    args: &TrainArgs,
    folder: &Folder,
    sides: &[FoundSide; 2],
    config: &mut RunConfig,
    options: &mut RunOptions,
) -> Result<Vec<String>> {
    let plan = match (Plan::new(folder, sides, config.direction), args.network.size) {
        (Ok(plan), _) => plan,
        (Err(_), Some(_)) => return Ok(Vec::new()),
        (Err(error), None) => return Err(error),
    };
    let mut followed = Vec::new();
    if args.network.size.is_none() {
        config.size = plan.size;
        if args.network.depth.is_none() {
            config.generator.depth = config.default_depth()?;
        }
        followed.push("size");
        if args.fit.is_none() {
            config.fit = plan.fit;
            followed.push("fit");
        }
    }
    if args.epochs.is_none() && args.steps.is_none() {
        options.epochs = plan.epochs;
        followed.push("epochs");
    }
    let settings = plan.settings.iter().filter(|setting| followed.contains(&setting.key));
    let line = |(i, setting): (usize, &Setting)| check::plan_line(i == 0, setting);
    Ok(settings.enumerate().map(line).collect())
}

/// What flags mean where targets are labels: no adversarial loss unless one is asked for, with which the paper's
/// labels came out worse (section 4.4), and no distance between pixels.
fn by_labels(args: &TrainArgs, config: &mut RunConfig) -> Result<()> {
    if !matches!(config.domains.target.kind, DomainKind::Labels { .. }) {
        return Ok(());
    }
    if args.distance.is_some() {
        return Err(Error::input(
            "--distance is between pixels, and --target labels are classes, which are learnt by cross entropy; \
             leave it out",
        ));
    }
    config.objective.gan = args.network.gan.unwrap_or(Gan::None);
    Ok(())
}

/// What the losses are that are shown, and on which scale.
fn losses(config: &RunConfig) -> String {
    let Objective { distance, lambda, .. } = config.objective;
    let alone = !config.objective.is_adversarial();
    let labels = matches!(config.domains.target.kind, DomainKind::Labels { .. });
    let distance = match distance {
        _ if labels && alone => {
            return "softmax cross entropy with the classes, without a discriminator (--gan vanilla adds one)"
                .to_string();
        }
        _ if labels => "softmax cross entropy with the classes",
        Distance::L1 => "L1, the mean absolute difference of pixels in [-1, 1]",
        Distance::L2 => "L2, the mean squared difference of pixels in [-1, 1]",
        Distance::None => return "of the discriminator and against it alone".to_string(),
    };
    let lambda = match lambda {
        0.01..1e6 => lambda.to_string(),
        other => format!("{other:e}"),
    };
    format!("{distance}, counts {lambda} times and is shown without that weight")
}

fn describe_networks(plan: &RunPlan) {
    let (networks, config) = (plan.networks(), plan.config());
    say(format!(
        "networks  generator {:?}, {} parameters, {} pixels",
        config.generator.kind,
        networks.first().params().count(),
        config.size
    ));
    for (d, (_, network)) in config.discriminators.iter().zip(networks.iter().skip(1)) {
        say(format!(
            "          discriminator of {0} x {0} patches, {1} parameters",
            d.receptive_field(),
            network.params().count()
        ));
    }
}
