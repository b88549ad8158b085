//! `train`: runs a training.

use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::args::TrainArgs;
use super::progress::ProgressReport;
use super::resume::{self, check_end, folder_of, same};
use super::settings::{EPOCHS, apply, schedule, whole_schedule};
use super::{bytes, hint, program, quoted, say, say_lines, words};
use crate::checkpoint::{DISCRIMINATOR, GENERATOR};
use crate::data::SourceSizes;
use crate::error::{Error, Result};
use crate::train::{
    BEST, Length, MODEL, Outcome, RunConfig, RunOptions, RunPlan, SAMPLES, Trainer, checkpoint_of,
    refuse_run,
};

/// The most loader threads that help: one already decodes faster than a step computes.
const LOADER_THREADS: usize = 2;

/// `runs/NAME` for a data folder.
fn default_out(data: &Path) -> PathBuf {
    let full = data.canonicalize().unwrap_or_else(|_| data.to_path_buf());
    let name = full.file_name().map_or_else(|| "run".into(), |n| n.to_os_string());
    Path::new("runs").join(name)
}

pub fn run(args: TrainArgs) -> Result<ExitCode> {
    let resumed = args.resume.as_ref().map(|run| resume::open(&args, run)).transpose()?;
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
    if args.epochs == Some(0) || args.steps == Some(0) {
        let flag = if args.steps.is_some() { "--steps" } else { "--epochs" };
        return Err(Error::input(format!("{flag} 0 trains nothing; give at least 1")));
    }
    if out.exists() && !out.is_dir() {
        return Err(Error::input(format!("--out {} is a file; give a folder", out.display())));
    }
    let (backend, header) = args.device.open()?;

    let folder = args.data.scan()?;
    let (n_train, n_val) = (folder.training()?.len(), folder.val.len());
    let notes = folder.notes();
    let length = length(&args, resumed.as_ref().and_then(|checkpoint| checkpoint.length));
    let steps_per_epoch = n_train.div_ceil(config.batch_size) as u64;
    let whole = length.1.map_or(length.0, |steps| steps.div_ceil(steps_per_epoch));
    config.schedule = match &resumed {
        Some(_) => schedule(&args, whole).unwrap_or(config.schedule),
        None => whole_schedule(&args, whole),
    };
    let begun = resumed.as_ref().and_then(|checkpoint| checkpoint.options.as_ref());
    let run_options = RunOptions {
        steps: length.1,
        val_every: args.val_every,
        save_every: args.save_every.or(begun.and_then(|options| options.save_every)),
        skip_bad: args.data.skip_bad,
        loader_threads: args.device.threads.unwrap_or(LOADER_THREADS).clamp(1, LOADER_THREADS),
        ..RunOptions::new(&out, length.0)
    };
    let example = folder.val.first().or(folder.train.first()).cloned();
    let val_sizes = SourceSizes::of(&folder.val);
    let (train, val) = (Arc::new(folder.train), Arc::new(folder.val));
    let plan = RunPlan::new(config, run_options, train, val, backend)?;
    if args.print_program {
        say_lines(plan.program());
        return Ok(ExitCode::SUCCESS);
    }

    say(format!("device    {header}"));
    say(format!(
        "data      {}: {n_train} pairs to train on, {n_val} to validate on",
        args.data.shown()
    ));
    notes.iter().for_each(|note| say(format!("          {note}")));
    for skipped in &folder.skipped {
        say(format!("          left out: {}", skipped.reason));
    }
    for (i, line) in
        words::fit(plan.config(), plan.sources(), val_sizes.as_ref()).iter().enumerate()
    {
        say(format!("{:10}{line}", if i == 0 { "fit" } else { "" }));
    }
    if plan.config().compares_statistics() && (n_val == 0 || args.val_every == 0) {
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
            check_end(&checkpoint, &plan)?;
            if let Some(pairs) = checkpoint.length.map(|l| l.pairs).filter(|&n| n != n_train) {
                say(format!("          the run was begun with {pairs} pairs"));
            }
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

    let stop = Arc::new(AtomicBool::new(false));
    let flag = stop.clone();
    // A second signal ends the process at once, which is safe: files are replaced atomically.
    let handler = move || {
        if flag.swap(true, Ordering::Relaxed) {
            std::process::exit(130);
        }
        // The terminal has printed ^C behind the progress bar.
        let line = if std::io::stderr().is_terminal() { "\n" } else { "" };
        let _ = writeln!(
            std::io::stderr(),
            "{line}stopping after this step; press Ctrl-C again to stop at once"
        );
    };
    ctrlc::set_handler(handler)
        .map_err(|e| Error::machine(format!("cannot watch for Ctrl-C: {e}")))?;
    let mut report = ProgressReport::new(plan.config().batch_size, trainer.progress().step);
    let outcome = trainer.run(&stop, &mut report);
    report.end();
    let outcome = outcome?;
    let done = trainer.progress();
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
        say(format!(
            "stopped   after step {}; go on with: {} train {} --resume {}",
            done.step,
            program(),
            args.data.typed(),
            quoted(&out)
        ));
        return Ok(ExitCode::from(130));
    }
    let model = out.join(if done.best.is_some() { BEST } else { MODEL });
    if let Some(pair) = example {
        let direction = trainer.plan().config().direction;
        say(format!("translate {}", hint::translate(&model, &pair, direction)));
    }
    Ok(ExitCode::SUCCESS)
}

fn describe_networks(plan: &RunPlan) {
    let (networks, config) = (plan.networks(), plan.config());
    say(format!(
        "networks  generator {:?}, {} parameters, {} x {} pixels",
        config.generator.kind,
        networks.first().params().count(),
        config.size,
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

/// Epochs, and steps if they take precedence: from the flags, from the resumed run, or the default.
fn length(args: &TrainArgs, begun: Option<Length>) -> (u64, Option<u64>) {
    match (args.epochs, args.steps, begun) {
        (None, None, Some(begun)) => (begun.epochs, begun.steps),
        (epochs, steps, _) => (epochs.unwrap_or(EPOCHS), steps),
    }
}
