//! `--resume`: finds the run, and checks that it may go on.

use std::path::{Path, PathBuf};

use super::args::TrainArgs;
use super::say;
use super::settings::apply;
use crate::error::{Error, Result};
use crate::train::{Checkpoint, RunConfig, RunPlan, checkpoint_of, differences};

/// Opens the checkpoint of a run and applies the flags to its settings.
///
/// # Errors
/// No checkpoint; flags that would change what the run computes.
pub fn open(args: &TrainArgs, run: &Path) -> Result<Checkpoint> {
    let path = checkpoint_of(run);
    if !path.exists() {
        return Err(Error::input(format!(
            "--resume {}: there is no checkpoint {}; give the folder of a run",
            run.display(),
            path.display()
        )));
    }
    let mut checkpoint = Checkpoint::open(run)?;
    let begun = &checkpoint.config;
    let mut typed = begun.clone();
    apply(args, &mut typed)?;
    let differing = differences(&RunConfig { lr: typed.lr, ..begun.clone() }, &typed);
    if !differing.is_empty() {
        return Err(Error::input(format!(
            "--resume {}: a run goes on as it began, but {differing}; leave out all flags but \
             --lr, --schedule, --epochs and --steps",
            run.display()
        )));
    }
    checkpoint.config = typed;
    Ok(checkpoint)
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
