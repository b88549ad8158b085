//! The disk space that a run needs, before its first step.

use std::fs;
use std::path::Path;

use super::files::{BEST, PREVIOUS};
use super::{LATEST, MODEL, RunPlan};
use crate::error::settings::OUT;
use crate::error::{Error, Result};
use crate::limits::{self, bytes};

/// Bytes for everything that is small: headers, sheets of samples, the lines of the metrics.
const SMALL_FILES: u64 = 16 << 20;
/// Checkpoints at a time: the last, the one before it, and the one that is being written.
const CHECKPOINTS: u64 = 3;
/// Models at a time: the last, the best, and the one that is being written.
const MODELS: u64 = 3;

impl RunPlan {
    /// Bytes of a checkpoint, of one without the optimiser's state, and of a model, without their
    /// headers.
    fn file_bytes(&self) -> [u64; 3] {
        let (mut weights, mut state) = (0, 0);
        for (name, network) in self.networks.iter() {
            let of = self.recipe.state(name).len();
            for param in network.params().iter() {
                weights += param.shape.count();
                state += if param.trained { of * param.shape.count() } else { 0 };
            }
        }
        let model = self.networks.first().params().iter().map(|p| p.shape.count()).sum::<usize>();
        [weights + state, weights, model].map(|count| 4 * count as u64)
    }

    /// Looks at the disk space that the files of the run need, and at the limit on the size of one.
    ///
    /// # Errors
    /// [`Error::Machine`] if there is too little, with the bytes needed and free.
    pub(super) fn check_files(&self) -> Result<()> {
        let out = &self.options.out;
        let [checkpoint, weights, model] = self.file_bytes();
        if let Some(most) = limits::largest_file().filter(|&most| most < checkpoint) {
            return Err(Error::machine(format!(
                "a checkpoint of this run has {}, and this process may write files of {} (ulimit \
                 -f); raise the limit",
                bytes(checkpoint),
                bytes(most)
            )));
        }
        let epochs = self.total_steps() / self.steps_per_epoch();
        let kept = self.options.keep_every.filter(|&every| every > 0).map_or(0, |n| epochs / n);
        let whole = (CHECKPOINTS * checkpoint + MODELS * model + SMALL_FILES)
            .saturating_add(kept.saturating_mul(weights));
        // What a resumed run has written takes no more space.
        let written = [LATEST, PREVIOUS, MODEL, BEST].map(|name| size(&out.join(name)));
        let needed = whole.saturating_sub(written.iter().sum());
        match limits::disk_space(out) {
            Some(free) if free < needed => Err(Error::machine(format!(
                "the run needs {} of disk space in {} for checkpoints of {} and its models, and {} \
                 are free; make room, or choose another {OUT}",
                bytes(needed),
                out.display(),
                bytes(checkpoint),
                bytes(free)
            ))),
            _ => Ok(()),
        }
    }
}

fn size(path: &Path) -> u64 {
    fs::metadata(path).map_or(0, |about| about.len())
}
