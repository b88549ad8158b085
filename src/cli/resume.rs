//! `--resume`: finds the run, checks that it may go on, and says what has changed meanwhile.

use std::path::{Path, PathBuf};

use super::args::TrainArgs;
use super::settings::{EPOCHS, apply};
use super::{program, quoted, say};
use crate::error::{Error, Result};
use crate::nn::Schedule;
use crate::train::{self, Checkpoint, Length, RunConfig, RunOptions, RunPlan, checkpoint_of};

/// The most loader threads that help: one already decodes faster than a step computes.
const LOADER_THREADS: usize = 2;

/// Opens the checkpoint of a run and applies the flags to its settings. Also returns what the run was
/// begun with.
///
/// # Errors
/// No checkpoint; flags that would change what the run computes.
pub fn open(args: &TrainArgs, run: &Path) -> Result<(Checkpoint, Begun)> {
    let path = checkpoint_of(run);
    if !path.exists() {
        return Err(Error::input(format!(
            "--resume {}: there is no checkpoint {}; give the folder of a run",
            run.display(),
            path.display()
        )));
    }
    let mut checkpoint = Checkpoint::open(run)?;
    let was = Begun::of(&checkpoint);
    let begun = &checkpoint.config;
    let mut typed = begun.clone();
    apply(args, &mut typed)?;
    let differing = train::differences(&RunConfig { lr: typed.lr, ..begun.clone() }, &typed);
    if !differing.is_empty() {
        return Err(Error::input(format!(
            "--resume {}: a run goes on as it began, but {differing}; leave out all flags but \
             --lr, --schedule, --epochs and --steps",
            run.display()
        )));
    }
    checkpoint.config = typed;
    Ok((checkpoint, was))
}

/// The epochs of a run of so many epochs or steps, with a last one that may not be whole.
pub fn epochs_of(epochs: u64, steps: Option<u64>, pairs: usize, batch: usize) -> u64 {
    let steps_per_epoch = pairs.div_ceil(batch).max(1) as u64;
    steps.map_or(epochs, |steps| steps.div_ceil(steps_per_epoch))
}

/// What a run did until its checkpoint.
pub struct Begun {
    /// Its rates.
    pub schedule: Schedule,
    /// Its epochs; old checkpoints do not state them.
    pub epochs: Option<u64>,
    /// Its steps, where they were given instead of epochs.
    pub steps: Option<u64>,
    lr: f32,
}

impl Begun {
    fn of(checkpoint: &Checkpoint) -> Begun {
        let RunConfig { schedule, lr, batch_size, .. } = checkpoint.config;
        let epochs = checkpoint
            .length
            .map(|Length { epochs, steps, pairs }| epochs_of(epochs, steps, pairs, batch_size));
        let steps = checkpoint.length.and_then(|length| length.steps);
        Begun { schedule, epochs, steps, lr }
    }

    /// Its schedule in words.
    pub fn describe(&self) -> Option<String> {
        self.epochs.map(|epochs| self.schedule.describe(self.lr, epochs))
    }
}

/// The length, the files and the threads of a run: by the flags, else as the run that goes on was
/// begun, else by default.
///
/// # Errors
/// A length of 0; a flag out of its range.
pub fn options(args: &TrainArgs, begun: Option<&Checkpoint>, out: &Path) -> Result<RunOptions> {
    if args.epochs == Some(0) || args.steps == Some(0) {
        let flag = if args.steps.is_some() { "--steps" } else { "--epochs" };
        return Err(Error::input(format!("{flag} 0 trains nothing; give at least 1")));
    }
    if let Some(minutes) = args.save_minutes.filter(|m| !(m.is_finite() && *m >= 0.0)) {
        return Err(Error::input(format!("--save-minutes {minutes}: it is a number, 0 or above")));
    }
    let (epochs, steps) = match (args.epochs, args.steps, begun.and_then(|b| b.length)) {
        (None, None, Some(begun)) => (begun.epochs, begun.steps),
        (epochs, steps, _) => (epochs.unwrap_or(EPOCHS), steps),
    };
    let mut options = RunOptions { steps, ..RunOptions::new(out, epochs) };
    if let Some(saved) = begun.and_then(|checkpoint| checkpoint.options.as_ref()) {
        options.val_every = saved.val_every;
        options.save_every = saved.save_every;
        options.save_minutes = saved.save_minutes;
        options.keep_every = saved.keep_every;
        options.skip_bad = saved.skip_bad;
        options.pages = saved.pages;
        options.masks = saved.masks.clone();
    }
    options.val_every = args.val_every.unwrap_or(options.val_every);
    options.save_every = args.save_every.or(options.save_every);
    options.save_minutes = args.save_minutes.unwrap_or(options.save_minutes);
    options.keep_every = args.keep_every.or(options.keep_every);
    options.skip_bad |= args.data.skip_bad;
    options.pages = args.data.sides.pages.unwrap_or(options.pages);
    options.masks = args.data.sides.mask.clone().or(options.masks);
    let threads = args.device.threads.unwrap_or(LOADER_THREADS);
    options.loader_threads = threads.clamp(1, LOADER_THREADS);
    Ok(options)
}

/// What is no longer as it was when the checkpoint was written, each in a sentence: the program, the
/// pairs.
///
/// # Errors
/// A pair that cannot be read.
pub fn differences(checkpoint: &Checkpoint, plan: &RunPlan) -> Result<Vec<String>> {
    let version = env!("CARGO_PKG_VERSION");
    let written = checkpoint.options.as_ref().map(|options| options.version.as_str());
    let program = written.filter(|written| *written != version).map(|written| {
        format!(
            "the checkpoint was written by version {written} of this program, and this is {version}: \
             the run goes on, but not to the very bytes"
        )
    });
    let data = match &checkpoint.data {
        Some(data) => data.difference(&plan.fingerprint()?),
        None => None,
    };
    Ok(program.into_iter().chain(data).collect())
}

/// The command that goes on with the run in `out`, as it can be typed where this one was.
pub fn go_on(args: &TrainArgs, out: &Path) -> String {
    let words = [program(), "train".into(), args.data.typed(), "--resume".into(), quoted(out)];
    words.into_iter().chain(args.device.typed()).collect::<Vec<_>>().join(" ")
}

/// Refuses a run that is at its end already and lacks nothing.
pub fn check_end(checkpoint: &Checkpoint, plan: &RunPlan) -> Result<()> {
    let total = plan.total_steps();
    if checkpoint.progress.step < total {
        return Ok(());
    }
    let lacking = checkpoint.lacking(plan);
    if !lacking.is_empty() {
        say(format!("          all steps are done; made up for: {}", lacking.join(", ")));
        return Ok(());
    }
    Err(Error::input(format!(
        "{} has done {} steps already, and the run ends after {total}; to go further give a \
         larger --epochs or --steps, counted from its start",
        checkpoint.path.display(),
        checkpoint.progress.step
    )))
}

/// The folder of a run, given by the folder or by its checkpoint.
pub fn folder_of(run: &Path) -> Result<PathBuf> {
    if run.is_dir() || !run.exists() {
        return Ok(run.into());
    }
    // A relative path such as "latest.safetensors" has no parents; its canonical path has.
    let above = |path: &Path| {
        let inner = path.parent().filter(|p| p.file_name().is_some_and(|n| n == "checkpoints"))?;
        inner.parent().filter(|p| !p.as_os_str().is_empty()).map(Path::to_path_buf)
    };
    above(run).or_else(|| above(&run.canonicalize().ok()?)).ok_or_else(|| {
        Error::input(format!(
            "--resume {}: it lies in no folder of a run, so say by --out where to go on",
            run.display()
        ))
    })
}

/// Whether two paths lead to the same existing folder.
pub fn same(a: &Path, b: &Path) -> bool {
    matches!((a.canonicalize(), b.canonicalize()), (Ok(a), Ok(b)) if a == b)
}
