//! Where a run lies that is to go on, and whether it may.

use std::path::{Path, PathBuf};

use super::args::TrainArgs;
use super::settings::apply;
use crate::error::{Error, Result};
use crate::train::{Checkpoint, RunConfig, checkpoint_of, differences};

/// A run to go on with.
pub struct Resumed {
    /// Its checkpoint, with what may be changed as it was typed.
    pub checkpoint: Checkpoint,
}

impl Resumed {
    /// Opens the checkpoint of a run and compares it with what was typed.
    pub fn open(args: &TrainArgs, run: &Path) -> Result<Resumed> {
        let path = checkpoint_of(run);
        if !path.exists() {
            return Err(Error::input(format!(
                "--resume {}: there is no checkpoint {}; give the folder of a run",
                run.display(),
                path.display()
            )));
        }
        let mut checkpoint = Checkpoint::open(&path)?;
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
        Ok(Resumed { checkpoint })
    }

    /// Refuses a run that is at its end already.
    pub fn check_end(&self, total: u64) -> Result<()> {
        if self.checkpoint.progress.step < total {
            return Ok(());
        }
        Err(Error::input(format!(
            "{} has done {} steps already, and the run ends after {total}; to go further give a \
             larger --epochs or --steps, counted from its start",
            self.checkpoint.path.display(),
            self.checkpoint.progress.step
        )))
    }
}

/// The folder of a run given by that or by its checkpoint.
pub fn folder_of(run: &Path) -> Result<PathBuf> {
    if run.is_dir() || !run.exists() {
        return Ok(run.into());
    }
    // A name alone has no parents, its whole path has.
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

/// Whether two paths lead to one folder that is there.
pub fn same(a: &Path, b: &Path) -> bool {
    matches!((a.canonicalize(), b.canonicalize()), (Ok(a), Ok(b)) if a == b)
}
