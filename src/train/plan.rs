//! The plan of a run: what it computes, the memory it needs, its length.

use std::path::PathBuf;
use std::sync::Arc;

use super::run_files::SHEET_ROWS;
use super::{Memory, Networks, Progress, Recipe, RunConfig, Step, Viewer};
use crate::data::{Fingerprint, LoaderOptions, Pages, Pairs, SourceSizes};
use crate::device::FreeMemory;
use crate::error::settings::{BASE_CHANNELS, BATCH_SIZE, SAVE_MINUTES, SIZE};
use crate::error::{Error, Result};
use crate::kernel::Backend;
use crate::limits::{self, bytes};
use crate::tape::Program;

/// Minutes between checkpoints by default.
const MINUTES: f64 = 5.0;

/// The length of a run, its files and its schedule of validations and checkpoints. None of it
/// changes what a step computes.
#[derive(Clone, Debug, PartialEq)]
pub struct RunOptions {
    /// The folder of the run.
    pub out: PathBuf,
    /// Epochs, counted from the start of the run.
    pub epochs: u64,
    /// Steps instead of epochs, counted from the start of the run.
    pub steps: Option<u64>,
    /// Epochs between validations; 0 for none.
    pub val_every: u64,
    /// Steps between checkpoints, beside those at the ends of epochs and those by time; `None` or 0
    /// for no others.
    pub save_every: Option<u64>,
    /// Minutes between checkpoints inside a long epoch, by default 5; 0 for none by time. With those
    /// at the ends of epochs this bounds what a killed run loses: at most so many minutes and a
    /// step.
    pub save_minutes: f64,
    /// Epochs between numbered checkpoints (`checkpoints/epoch-0010.safetensors`), which are kept:
    /// the networks without the optimiser's state. `None` or 0 for none.
    pub keep_every: Option<u64>,
    /// Whether broken pictures were left out of the pairs. Nothing here depends on it: the checkpoint
    /// remembers it for the program.
    pub skip_bad: bool,
    /// What the pages of files are; as above.
    pub pages: Pages,
    /// The folder with the masks of the pairs; as above.
    pub masks: Option<PathBuf>,
    /// Threads that load images, at least 1.
    pub loader_threads: usize,
}

impl RunOptions {
    /// A run of `epochs` epochs into the folder `out`, validated after each.
    pub fn new(out: impl Into<PathBuf>, epochs: u64) -> Self {
        RunOptions {
            out: out.into(),
            epochs,
            steps: None,
            val_every: 1,
            save_every: None,
            save_minutes: MINUTES,
            keep_every: None,
            skip_bad: false,
            pages: Pages::default(),
            masks: None,
            loader_threads: 2,
        }
    }
}

/// A planned run: its memory is known, and nothing is reserved, read or written yet.
/// [`Trainer::start`](super::Trainer::start) and [`Trainer::resume`](super::Trainer::resume) begin
/// it.
pub struct RunPlan {
    pub(super) config: RunConfig,
    pub(super) options: RunOptions,
    pub(super) recipe: Box<dyn Recipe>,
    pub(super) networks: Networks,
    pub(super) step: Step,
    pub(super) viewer: Viewer,
    pub(super) train: Arc<dyn Pairs>,
    pub(super) val: Arc<dyn Pairs>,
    pub(super) sources: Option<SourceSizes>,
    pub(super) backend: Box<dyn Backend>,
    /// Where the run begins: at its start, or where it is resumed.
    begun: Progress,
}

impl RunPlan {
    /// Plans a run on the pairs `train`; `val` may be empty.
    ///
    /// # Errors
    /// An invalid configuration ([`RunConfig::check`]); no training pairs; shapes that the device
    /// cannot compute.
    pub fn new(
        config: RunConfig,
        options: RunOptions,
        train: Arc<dyn Pairs>,
        val: Arc<dyn Pairs>,
        backend: Box<dyn Backend>,
    ) -> Result<Self> {
        config.check()?;
        if options.save_minutes.is_nan() || options.save_minutes < 0.0 {
            return Err(Error::input(format!(
                "{SAVE_MINUTES} {}: it is a number of minutes, 0 for none",
                options.save_minutes
            )));
        }
        if train.is_empty() {
            return Err(Error::input("there is no picture to train on"));
        }
        let recipe = config.recipe();
        let networks = Networks::new(&*recipe)?;
        let step = Step::record(&*recipe, &networks, config.batch(), &*backend)?;
        let viewer = Viewer::record(&*recipe, &networks, &config, &*backend)?;
        let sources = SourceSizes::of(&*train);
        Ok(RunPlan {
            config,
            options,
            recipe,
            networks,
            step,
            viewer,
            train,
            val,
            sources,
            backend,
            begun: Progress::default(),
        })
    }

    /// The run's settings.
    pub fn config(&self) -> &RunConfig {
        &self.config
    }

    /// The sizes of the training pairs before they are resized; `None` if they do not tell them.
    pub fn sources(&self) -> Option<&SourceSizes> {
        self.sources.as_ref()
    }

    /// The run's length, files and threads.
    pub fn options(&self) -> &RunOptions {
        &self.options
    }

    /// The networks.
    pub fn networks(&self) -> &Networks {
        &self.networks
    }

    /// The program of one step; it prints one line per instruction.
    pub fn program(&self) -> &Program {
        &self.step.program
    }

    /// The memory that the run needs.
    pub fn memory(&self) -> Memory {
        let persistent = 4 * self.networks.end() as u64;
        let workspace = self.step.program.workspace(&*self.backend);
        Memory {
            persistent,
            planned: 4 * self.end() as u64 - persistent,
            workspace: 4 * workspace as u64,
            pictures: self.loader_options().memory_bytes(&*self.train),
        }
    }

    /// One past the last unit of the arena that a step or a preview uses.
    fn end(&self) -> usize {
        self.step.program.end().max(self.viewer.end())
    }

    /// Host memory that is not planned: stacks, a decoder's buffers, and above all the tensor and the
    /// sheet of pictures that are just being written, which may each be held twice.
    fn beside(&self) -> u64 {
        const STACKS_AND_DECODERS: u64 = 32 << 20;
        let params = self.networks.iter().flat_map(|(_, network)| network.params().iter());
        let largest = params.map(|p| p.shape.count()).max().unwrap_or(0) as u64;
        let sheet = 3 * SHEET_ROWS as u64 * 3 * self.config.size.pixels() as u64;
        STACKS_AND_DECODERS + 2 * 4 * largest + 2 * sheet
    }

    /// Reserves the memory of the device, after it has looked at the memory and the disk space that
    /// the run needs.
    ///
    /// # Errors
    /// [`Error::Machine`] if there is too little, with the bytes needed and free.
    pub(super) fn reserve(&mut self) -> Result<()> {
        let memory = self.memory();
        // The images wait in host memory, where files are read and written too.
        let host = memory.pictures + self.beside();
        let device = memory.total() - memory.pictures;
        let enough = |needed: u64, what: &str, free: Option<FreeMemory>| match free {
            Some(free) if needed > free.bytes => Err(Error::machine(format!(
                "this run needs {} of {what} and {free}; use a smaller {BASE_CHANNELS}, {SIZE} or \
                 {BATCH_SIZE}",
                bytes(needed)
            ))),
            _ => Ok(()),
        };
        if self.backend.is_host() {
            enough(device + host, "memory", self.backend.free_memory())?;
        } else {
            enough(device, "memory of the GPU", self.backend.free_memory())?;
            enough(host, "memory", limits::memory())?;
        }
        self.check_files()?;
        let end = self.end();
        self.backend.reserve(end)
    }

    pub(super) fn loader_options(&self) -> LoaderOptions {
        LoaderOptions { threads: self.options.loader_threads.max(1), ..self.config.loader() }
    }

    /// The fingerprint of the pairs of the run.
    ///
    /// # Errors
    /// A pair that cannot be read.
    pub fn fingerprint(&self) -> Result<Fingerprint> {
        Fingerprint::of(&*self.train, &*self.val)
    }

    /// Steps per epoch.
    pub fn steps_per_epoch(&self) -> u64 {
        self.loader_options().order(self.train.len()).steps_per_epoch() as u64
    }

    /// Whether the epoch that `progress` ends should be validated and was not yet.
    pub(super) fn validation_is_due(&self, progress: &Progress) -> bool {
        let every = self.options.val_every;
        let asked = every > 0 && progress.epoch.is_multiple_of(every) && !self.val.is_empty();
        let done = progress.validated.is_none_or(|epoch| epoch >= progress.epoch);
        asked && progress.ends_epoch() && !done
    }

    /// Whether a numbered checkpoint is kept of the epoch that `progress` ends.
    pub(super) fn is_kept(&self, progress: &Progress) -> bool {
        let every = self.options.keep_every.filter(|&every| every > 0);
        progress.ends_epoch() && every.is_some_and(|every| progress.epoch.is_multiple_of(every))
    }

    /// The run goes on from here, with this many pairs: epochs that are done count as such, also if
    /// they had more or fewer.
    pub fn go_on_from(&mut self, progress: &Progress) {
        self.begun = *progress;
    }

    /// Steps of the whole run.
    pub fn total_steps(&self) -> u64 {
        let (Progress { step, mut epoch, mut step_in_epoch, .. }, each) =
            (self.begun, self.steps_per_epoch());
        if step_in_epoch >= each {
            (epoch, step_in_epoch) = (epoch + 1, 0);
        }
        self.options.steps.unwrap_or_else(|| {
            let left = self.options.epochs.saturating_sub(epoch).saturating_mul(each);
            step.saturating_add(left).saturating_sub(step_in_epoch)
        })
    }
}
