//! A run before it begins: what it computes, what it takes, how long it is.

use std::path::PathBuf;
use std::sync::Arc;

use super::{Memory, Networks, Recipe, RunConfig, Step, Viewer};
use crate::data::{LoaderOptions, Pairs};
use crate::error::{Error, Result};
use crate::kernel::Backend;
use crate::tape::Program;

/// How long a run is and how often it looks up. None of it changes what a step computes.
#[derive(Clone, Debug, PartialEq)]
pub struct RunOptions {
    /// The folder of the run.
    pub out: PathBuf,
    /// Ends after this many epochs, counted from the start of the run ...
    pub epochs: u64,
    /// ... or after this many steps, if it is given.
    pub steps: Option<u64>,
    /// Validates every so many epochs; 0 never.
    pub val_every: u64,
    /// Writes a checkpoint every so many steps, beside those at the ends of epochs.
    pub save_every: Option<u64>,
    /// Threads that decode pictures.
    pub loader_threads: usize,
}

impl RunOptions {
    /// A run of `epochs` epochs into the folder `out`, validated after each.
    pub fn new(out: impl Into<PathBuf>, epochs: u64) -> Self {
        let (steps, save_every) = (None, None);
        RunOptions { out: out.into(), epochs, steps, val_every: 1, save_every, loader_threads: 2 }
    }
}

/// A run that is planned and has not begun: nothing is reserved, read or written yet. What it would
/// take is known; [`Trainer::start`](super::Trainer::start) and
/// [`Trainer::resume`](super::Trainer::resume) begin it.
pub struct RunPlan {
    pub(super) config: RunConfig,
    pub(super) options: RunOptions,
    pub(super) recipe: Box<dyn Recipe>,
    pub(super) networks: Networks,
    pub(super) step: Step,
    pub(super) viewer: Viewer,
    pub(super) train: Arc<dyn Pairs>,
    pub(super) val: Arc<dyn Pairs>,
    pub(super) backend: Box<dyn Backend>,
}

impl RunPlan {
    /// Plans a run on the pairs `train`; `val` may be empty.
    ///
    /// # Errors
    /// A configuration that cannot be; no pairs; shapes that the device cannot compute.
    pub fn new(
        config: RunConfig,
        options: RunOptions,
        train: Arc<dyn Pairs>,
        val: Arc<dyn Pairs>,
        backend: Box<dyn Backend>,
    ) -> Result<Self> {
        config.check()?;
        if train.is_empty() {
            return Err(Error::input("there is no picture to train on"));
        }
        let recipe = config.recipe();
        let networks = Networks::new(&*recipe)?;
        let step = Step::record(&*recipe, &networks, config.batch(), &*backend)?;
        let viewer = Viewer::record(
            &*recipe,
            &networks,
            config.size,
            config.direction,
            config.domains.clone(),
            &*backend,
        )?;
        Ok(RunPlan { config, options, recipe, networks, step, viewer, train, val, backend })
    }

    /// The run's settings.
    pub fn config(&self) -> &RunConfig {
        &self.config
    }

    /// The networks.
    pub fn networks(&self) -> &Networks {
        &self.networks
    }

    /// What one step looks like; prints as one line an instruction.
    pub fn program(&self) -> &Program {
        &self.step.program
    }

    /// The bytes the run will take.
    pub fn memory(&self) -> Memory {
        let persistent = 4 * self.networks.end() as u64;
        let workspace = self.step.program.workspace(&*self.backend);
        Memory {
            persistent,
            planned: 4 * self.end() as u64 - persistent,
            workspace: 4 * workspace as u64,
            pictures: self.loader_options().memory_bytes(self.train.len()),
        }
    }

    /// One past the last unit of the arena that a step or a preview touches.
    fn end(&self) -> usize {
        self.step.program.end().max(self.viewer.end())
    }

    /// Takes the memory.
    ///
    /// # Errors
    /// [`Error::Machine`] where it is not there: bytes needed against bytes free.
    pub(super) fn reserve(&mut self) -> Result<()> {
        let memory = self.memory();
        let pictures = if self.backend.is_host() { memory.pictures } else { 0 };
        let needed = memory.persistent + memory.planned + memory.workspace + pictures;
        if let Some(free) = self.backend.free_memory()
            && needed > free
        {
            return Err(Error::machine(format!(
                "this run needs {:.2} GB of memory and {:.2} GB are free; use a smaller \
                 `base_channels`, `size` or `batch_size`",
                needed as f64 / 1e9,
                free as f64 / 1e9
            )));
        }
        let end = self.end();
        self.backend.reserve(end)
    }

    pub(super) fn loader_options(&self) -> LoaderOptions {
        LoaderOptions {
            batch: self.config.batch_size,
            size: self.config.size,
            direction: self.config.direction,
            input: self.config.domains.input.format(),
            target: self.config.domains.target.format(),
            seed: self.config.seed,
            jitter: self.config.jitter,
            flip: self.config.flip,
            shuffle: self.config.shuffle,
            threads: self.options.loader_threads.max(1),
            ..LoaderOptions::default()
        }
    }

    /// Steps of an epoch.
    pub fn steps_per_epoch(&self) -> u64 {
        self.loader_options().order(self.train.len()).steps_per_epoch() as u64
    }

    /// Steps of the whole run.
    pub fn total_steps(&self) -> u64 {
        self.options.steps.unwrap_or(self.options.epochs.saturating_mul(self.steps_per_epoch()))
    }
}
