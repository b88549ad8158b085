//! `train`: from what was typed to a run.

use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::args::TrainArgs;
use super::progress::ProgressReport;
use super::resume::{Resumed, checkpoint_of, folder_of, same};
use super::settings::{EPOCHS, apply, schedule, whole_schedule};
use super::{bytes, quoted, say};
use crate::data::{Folder, ScanOptions};
use crate::error::{Error, Result};
use crate::model::Discriminator;
use crate::train::{Length, Outcome, RunConfig, RunOptions, Trainer};

/// The most loader threads that are of use: one decodes faster than a step computes.
const LOADER_THREADS: usize = 2;

/// `runs/NAME` for a data folder.
fn default_out(data: &Path) -> PathBuf {
    let full = data.canonicalize().unwrap_or_else(|_| data.to_path_buf());
    let name = full.file_name().map_or_else(|| "run".into(), |n| n.to_os_string());
    Path::new("runs").join(name)
}

pub fn run(args: TrainArgs) -> Result<ExitCode> {
    let resumed = args.resume.as_ref().map(|run| Resumed::open(&args, run)).transpose()?;
    let out = match (&args.out, &args.resume) {
        (Some(out), _) => out.clone(),
        (None, Some(run)) => folder_of(run)?,
        (None, None) => default_out(&args.data),
    };
    let goes_on = match &args.resume {
        Some(run) => same(&folder_of(run).unwrap_or_default(), &out),
        None => false,
    };
    if !goes_on && checkpoint_of(&out).is_file() && !out.is_file() {
        return Err(Error::input(format!(
            "{0} holds a run already; go on with it by --resume {0}, or choose another --out",
            out.display()
        )));
    }
    let mut config = match &resumed {
        Some(resumed) => resumed.config.clone(),
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

    let options = ScanOptions { skip_bad: args.skip_bad };
    let mut folder = Folder::scan(&args.data, options)?;
    if args.skip_bad {
        folder.leave_out_broken();
        if let (true, Some(first)) = (folder.train.is_empty(), folder.skipped.first()) {
            return Err(Error::input(format!(
                "no picture to train on is left, first {}",
                first.reason
            )));
        }
    } else if let Some((_, error)) = Folder::broken(&folder.val).into_iter().next() {
        // Every one of them is read after each epoch, so better now than then.
        return Err(error);
    }
    let train = folder.training()?.to_vec();
    let val = folder.val.clone();
    let (n_train, n_val) = (train.len(), val.len());
    let length = length(&args, resumed.as_ref().and_then(|r| r.length));
    let steps_per_epoch = n_train.div_ceil(config.batch_size) as u64;
    let whole = length.1.map_or(length.0, |steps| steps.div_ceil(steps_per_epoch));
    config.schedule = match &resumed {
        Some(_) => schedule(&args, whole).unwrap_or(config.schedule),
        None => whole_schedule(&args, whole),
    };
    let run_options = RunOptions {
        out: out.clone(),
        epochs: length.0,
        steps: length.1,
        val_every: args.val_every,
        save_every: args.save_every,
        loader_threads: args.device.threads.unwrap_or(LOADER_THREADS).clamp(1, LOADER_THREADS),
    };
    let mut trainer = Trainer::new(config, run_options, Arc::new(train), Arc::new(val), backend)?;
    if args.print_program {
        say(trainer.program());
        return Ok(ExitCode::SUCCESS);
    }

    say(format!("device    {header}"));
    say(format!(
        "data      {}: {n_train} pairs to train on, {n_val} to validate on",
        args.data.display()
    ));
    folder.notes().iter().for_each(|note| say(format!("          {note}")));
    for skipped in &folder.skipped {
        say(format!("          left out: {}", skipped.reason));
    }
    describe_networks(&trainer);
    let memory = trainer.memory();
    say(format!(
        "memory    {}: parameters and Adam {}, a step {}, workspace {}, pictures {}",
        bytes(memory.total()),
        bytes(memory.persistent),
        bytes(memory.planned),
        bytes(memory.workspace),
        bytes(memory.pictures)
    ));
    match resumed {
        Some(resumed) => {
            resumed.check_end(trainer.total_steps())?;
            if let Some(pairs) = resumed.length.map(|l| l.pairs).filter(|&n| n != n_train) {
                say(format!("          the run was begun with {pairs} pairs"));
            }
            let Resumed { path, progress, reader, .. } = resumed;
            trainer.resume(&path, reader, progress)?;
            say(format!("resume    {} after step {}", path.display(), progress.step));
        }
        None => {
            trainer.init()?;
            let d = args.init_discriminator.as_deref().map(checkpoint_of);
            trainer.init_from(args.init_generator.as_deref(), d.as_deref())?;
        }
    }
    say(format!(
        "run       {}: {} steps of {} pictures, {} steps an epoch, seed {}",
        out.display(),
        trainer.total_steps(),
        trainer.config().batch_size,
        trainer.steps_per_epoch(),
        trainer.config().seed
    ));

    let stop = Arc::new(AtomicBool::new(false));
    let flag = stop.clone();
    // A second signal ends at once: files are whole at any moment.
    let handler = move || {
        if flag.swap(true, Ordering::Relaxed) {
            std::process::exit(130);
        }
        // A terminal shows ^C behind the bar.
        let line = if std::io::stderr().is_terminal() { "\n" } else { "" };
        let _ = writeln!(
            std::io::stderr(),
            "{line}stopping after this step; press Ctrl-C again to stop at once"
        );
    };
    ctrlc::set_handler(handler)
        .map_err(|e| Error::machine(format!("cannot watch for Ctrl-C: {e}")))?;
    let mut report = ProgressReport::new(trainer.config().batch_size, trainer.progress().step);
    let outcome = trainer.run(&stop, &mut report);
    report.end();
    let outcome = outcome?;
    let done = trainer.progress();
    let samples = out.join("samples").join(format!("step-{:07}.png", done.step));
    say(format!("pictures  {} (input, output, target)", samples.display()));
    say(format!("model     {}", out.join("model.safetensors").display()));
    if let Some((epoch, scores)) = done.best {
        let best = out.join("best.safetensors");
        say(format!("best      {}: epoch {epoch}, {}", best.display(), scores.line()));
    }
    if outcome == Outcome::Stopped {
        say(format!(
            "stopped   after step {}; go on with: pix2pix-engine train {} --resume {}",
            done.step,
            quoted(&args.data),
            quoted(&out)
        ));
        return Ok(ExitCode::from(130));
    }
    say(format!(
        "translate pix2pix-engine translate {} PICTURE.png --output OUT.png",
        quoted(&out.join("model.safetensors"))
    ));
    Ok(ExitCode::SUCCESS)
}

fn describe_networks(trainer: &Trainer) {
    let networks = trainer.networks();
    let config = trainer.config();
    let g = &networks.generator;
    say(format!(
        "networks  generator {:?}, {} parameters, {} x {} pixels",
        g.config.kind,
        g.params.count(),
        config.size,
        config.size
    ));
    if let Some(d) = &networks.discriminator {
        say(format!(
            "          discriminator of {0} x {0} patches, {1} parameters",
            Discriminator::receptive_field(d.config.layers),
            d.params.count()
        ));
    }
}

/// Epochs, or steps instead, as typed, as the run was begun, or as the port's.
fn length(args: &TrainArgs, begun: Option<Length>) -> (u64, Option<u64>) {
    match (args.epochs, args.steps, begun) {
        (None, None, Some(begun)) => (begun.epochs, begun.steps),
        (epochs, steps, _) => (epochs.unwrap_or(EPOCHS), steps),
    }
}
