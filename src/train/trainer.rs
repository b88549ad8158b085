//! A run: steps, epochs, checkpoints, validation, and how it stops and goes on.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use serde::{Deserialize, Serialize};

use super::pending::Pending;
use super::{Memory, Metrics, Networks, Observer, RunConfig, Scores, Step, Viewer};
use crate::atomic;
use crate::checkpoint::{FORMAT, VERSION, safetensors};
use crate::data::{Batch, Domains, Loader, LoaderOptions, Pairs};
use crate::device::StepState;
use crate::error::{Error, Result};
use crate::kernel::{Backend, ImageBatch};

/// Seconds between two checkpoints at the ends of short epochs.
const CHECKPOINT_SECONDS: f64 = 60.0;
/// The checkpoint in the folder of a run.
pub const LATEST: &str = "checkpoints/latest.safetensors";
/// Pairs on a sheet of samples.
const SHEET_ROWS: usize = 4;

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

/// Where a run is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Progress {
    /// Steps done.
    pub step: u64,
    /// Epochs done.
    pub epoch: u64,
    /// Steps done in the current epoch.
    pub step_in_epoch: u64,
    /// The best validation so far, and the epoch after which it was.
    pub best: Option<(u64, Scores)>,
}

/// How long a run is to be, and on how many pairs, as its checkpoint says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Length {
    /// As [`RunOptions::epochs`].
    pub epochs: u64,
    /// As [`RunOptions::steps`].
    pub steps: Option<u64>,
    /// Pairs it trains on.
    pub pairs: usize,
}

impl Length {
    /// What a checkpoint says, if it does.
    pub fn of(checkpoint: &safetensors::Reader) -> Option<Length> {
        checkpoint.metadata().get("length").and_then(|text| serde_json::from_str(text).ok())
    }
}

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// All epochs or steps are done.
    Finished,
    /// It was asked to stop; everything is saved.
    Stopped,
}

/// A run in progress.
pub struct Trainer {
    config: RunConfig,
    options: RunOptions,
    networks: Networks,
    step: Step,
    viewer: Viewer,
    domains: Domains,
    train: Arc<dyn Pairs>,
    val: Arc<dyn Pairs>,
    progress: Progress,
    backend: Box<dyn Backend>,
}

impl Trainer {
    /// Plans a run on `train`; nothing is reserved yet. `val` may be empty.
    ///
    /// # Errors
    /// A configuration that cannot be; no pictures.
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
        let networks = Networks::new(&config)?;
        let base = networks.arena.len();
        let step = networks.step(&config, backend.elem())?;
        let domains = Domains::default();
        let (size, direction) = (config.size, config.direction);
        let viewer = Viewer::record(
            &networks.generator,
            size,
            direction,
            domains.clone(),
            backend.elem(),
            base,
        )?;
        let progress = Progress::default();
        Ok(Trainer {
            config,
            options,
            networks,
            step,
            viewer,
            domains,
            train,
            val,
            progress,
            backend,
        })
    }

    /// The run's settings.
    pub fn config(&self) -> &RunConfig {
        &self.config
    }

    /// The networks.
    pub fn networks(&self) -> &Networks {
        &self.networks
    }

    /// Where the run is.
    pub fn progress(&self) -> Progress {
        self.progress
    }

    /// What one step looks like; prints as one line an operation.
    pub fn program(&self) -> &crate::tape::Program {
        &self.step.program
    }

    /// The bytes the run will take.
    pub fn memory(&self) -> Memory {
        let end = self.step.program.end().max(self.viewer.end());
        let persistent = 4 * self.networks.arena.len() as u64;
        let workspace = self.step.program.workspace(&*self.backend);
        Memory {
            persistent,
            planned: 4 * end as u64 - persistent,
            workspace: 4 * workspace as u64,
            pictures: self.loader_options().memory_bytes(self.train.len()),
        }
    }

    /// Takes the memory and writes first values.
    ///
    /// # Errors
    /// [`Error::Machine`] where the memory is not there: bytes needed against bytes free.
    pub fn init(&mut self) -> Result<()> {
        self.reserve()?;
        self.networks.init(&mut *self.backend, self.config.seed)
    }

    fn reserve(&mut self) -> Result<()> {
        let memory = self.memory();
        let pictures = if self.backend.is_host() { memory.pictures } else { 0 };
        let needed = memory.persistent + memory.planned + memory.workspace + pictures;
        if let Some(free) = self.backend.free_memory()
            && needed > free
        {
            return Err(Error::machine(format!(
                "this run needs {:.2} GB of memory and {:.2} GB are free; use a smaller \
                 --base-channels, --size or --batch-size",
                needed as f64 / 1e9,
                free as f64 / 1e9
            )));
        }
        let end = self.step.program.end().max(self.viewer.end());
        self.backend.reserve(end)
    }

    /// Takes values of the networks from files, after [`Trainer::init`].
    ///
    /// # Errors
    /// Files that do not fit.
    pub fn init_from(
        &mut self,
        generator: Option<&Path>,
        discriminator: Option<&Path>,
    ) -> Result<()> {
        if let Some(path) = generator {
            self.networks.init_generator(&mut *self.backend, path)?;
        }
        if let Some(path) = discriminator {
            self.networks.init_discriminator(&mut *self.backend, path)?;
        }
        Ok(())
    }

    /// The configuration and the place of a checkpoint.
    ///
    /// # Errors
    /// [`Error::Input`] for a file that is no training checkpoint of ours.
    pub fn read_checkpoint(path: &Path) -> Result<(RunConfig, Progress, safetensors::Reader)> {
        const CURE: &str = "resume from RUN/checkpoints/latest.safetensors of a run";
        let reader = safetensors::Reader::open(path).map_err(|e| match e {
            Error::Input(text) => Error::Input(format!("{text}; {CURE}")),
            other => other,
        })?;
        let meta = reader.metadata();
        let bad = |what: &str| Error::input(format!("{}: {what}; {CURE}", path.display()));
        if meta.get("format").map(String::as_str) != Some(FORMAT) {
            return Err(bad("it is no file of this program"));
        }
        let config = meta.get("config").ok_or_else(|| bad("it has no config"))?;
        let config = serde_json::from_str(config).map_err(|e| bad(&format!("its config: {e}")))?;
        let progress =
            meta.get("progress").ok_or_else(|| bad("it is a model, not a training checkpoint"))?;
        let progress =
            serde_json::from_str(progress).map_err(|e| bad(&format!("its progress: {e}")))?;
        Ok((config, progress, reader))
    }

    /// Goes on where a checkpoint stands, in place of [`Trainer::init`]. Where the data has become
    /// so small that the checkpoint's epoch would be over, the next one begins.
    ///
    /// # Errors
    /// A checkpoint of other networks; no memory.
    pub fn resume(
        &mut self,
        path: &Path,
        mut reader: safetensors::Reader,
        progress: Progress,
    ) -> Result<()> {
        self.reserve()?;
        self.networks.load(&mut *self.backend, &mut reader, path)?;
        self.progress = progress;
        if progress.step_in_epoch >= self.steps_per_epoch() {
            self.progress.epoch += 1;
            self.progress.step_in_epoch = 0;
        }
        Ok(())
    }

    fn loader_options(&self) -> LoaderOptions {
        LoaderOptions {
            batch: self.config.batch_size,
            size: self.config.size,
            direction: self.config.direction,
            input: self.domains.input.format(),
            target: self.domains.target.format(),
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

    /// Trains to the end, or until `stop` is set: the step in progress is finished, everything is
    /// saved.
    ///
    /// # Errors
    /// A picture that cannot be read: what was learnt until then is saved, and nothing is written
    /// where that is the first step's. Losses that are no numbers any more: the last checkpoint
    /// stays. A file that cannot be written.
    pub fn run(&mut self, stop: &AtomicBool, observer: &mut dyn Observer) -> Result<Outcome> {
        let total = self.total_steps();
        let Progress { epoch, step_in_epoch, .. } = self.progress;
        let mut loader = Loader::start(
            self.train.clone(),
            self.loader_options(),
            epoch as usize,
            step_in_epoch as usize,
        )?;
        // Most of what is wrong with data shows here, before there is a file.
        let first = if self.progress.step < total { Some(loader.next_batch()?) } else { None };
        let out = self.options.out.clone();
        for folder in [out.clone(), out.join("checkpoints"), out.join("samples")] {
            fs::create_dir_all(&folder).map_err(|e| Error::file("create", &folder, e))?;
            // A run that was killed while it wrote a sheet may not write that sheet again.
            for extension in [".png", ".safetensors"] {
                atomic::sweep(&folder, extension);
            }
        }
        let mut unsaved = true;
        let done = self.steps(loader, first, stop, observer, &mut unsaved);
        if unsaved {
            self.save()?;
        }
        if let (Err(Error::Input(text)), true) = (&done, unsaved) {
            return Err(Error::input(format!(
                "{text}; the {} steps done are saved, go on with --resume {}",
                self.progress.step,
                out.display()
            )));
        }
        done?;
        self.sheet()?;
        Ok(if self.progress.step < total { Outcome::Stopped } else { Outcome::Finished })
    }

    /// Steps until the end or `stop`; `unsaved` tells whether there is something to be saved then,
    /// also where a step failed.
    fn steps(
        &mut self,
        mut loader: Loader,
        mut first: Option<Batch>,
        stop: &AtomicBool,
        observer: &mut dyn Observer,
        unsaved: &mut bool,
    ) -> Result<()> {
        let out = &self.options.out;
        let mut metrics = Metrics::open(&out.join("metrics.jsonl"), self.progress.step)?;
        let (total, per_epoch) = (self.total_steps(), self.steps_per_epoch());
        let mut saved = Instant::now();
        let mut pending = Pending::new(&self.step.losses, total);
        let mut failed = None;
        while self.progress.step < total && !stop.load(Ordering::Relaxed) {
            let batch = match first.take().map_or_else(|| loader.next_batch(), Ok) {
                Ok(batch) => batch,
                // What ran before still counts.
                Err(error) => {
                    failed = Some(error);
                    break;
                }
            };
            let epoch = self.progress.epoch;
            let lr = (f64::from(self.config.lr) * self.config.schedule.factor(epoch)) as f32;
            let step = self.progress.step + 1;
            self.run_step(&batch, step, lr)?;
            loader.recycle(batch);
            pending.push(step, epoch, lr);
            self.progress.step = step;
            self.progress.step_in_epoch += 1;
            *unsaved = true;
            let mut due = self.options.save_every.is_some_and(|n| n > 0 && step.is_multiple_of(n));
            let ended = self.progress.step_in_epoch == per_epoch;
            if ended || due || step == total || pending.due(&*self.backend) {
                self.flush(&mut pending, &mut metrics, observer, unsaved)?;
            }
            if ended {
                self.progress.epoch += 1;
                self.progress.step_in_epoch = 0;
                let done = self.progress.epoch;
                if self.options.val_every > 0 && done.is_multiple_of(self.options.val_every) {
                    self.validate(&mut metrics, observer)?;
                }
                due |= saved.elapsed().as_secs_f64() > CHECKPOINT_SECONDS;
                if due || step == total {
                    self.sheet()?;
                }
            }
            if due {
                self.save()?;
                saved = Instant::now();
                *unsaved = false;
            }
        }
        self.flush(&mut pending, &mut metrics, observer, unsaved)?;
        failed.map_or(Ok(()), Err)
    }

    /// Fetches the losses of the steps run since the last time. Where they are no numbers any more,
    /// there is nothing to be saved.
    fn flush(
        &self,
        pending: &mut Pending,
        metrics: &mut Metrics,
        observer: &mut dyn Observer,
        unsaved: &mut bool,
    ) -> Result<()> {
        match pending.flush(&*self.backend, metrics, observer)? {
            None => Ok(()),
            Some(step) => {
                *unsaved = false;
                Err(self.diverged(step))
            }
        }
    }

    fn diverged(&self, step: u64) -> Error {
        let out = self.options.out.display();
        let next = if self.options.out.join(LATEST).exists() {
            format!("the last checkpoint stands: go on from it with --resume {out} and")
        } else {
            "start again with".to_string()
        };
        Error::input(format!(
            "the losses of step {step} are no numbers any more; {next} a smaller --lr"
        ))
    }

    /// One step on the pictures of a batch.
    fn run_step(&mut self, batch: &Batch, step: u64, lr: f32) -> Result<()> {
        let program = &self.step.program;
        let backend = &mut *self.backend;
        backend.set_state(StepState { seed: self.config.seed, step, lr });
        let Domains { input, target } = &self.domains;
        for (name, samples, domain) in [("a", &batch.inputs, input), ("b", &batch.targets, target)]
        {
            let images = ImageBatch {
                samples: samples.as_slice(),
                range: domain.range(),
                height: batch.load,
                width: batch.load,
                crops: &batch.crops,
            };
            backend.upload_crops(images, program.view(name)?)?;
        }
        program.run(backend)
    }

    fn validate(&mut self, metrics: &mut Metrics, observer: &mut dyn Observer) -> Result<()> {
        if self.val.is_empty() {
            return Ok(());
        }
        let scores = self.viewer.score(&mut *self.backend, &*self.val)?;
        let Progress { step, epoch, .. } = self.progress;
        metrics.validation(step, epoch - 1, &scores)?;
        let best = self.progress.best.is_none_or(|(_, best)| scores.l1 < best.l1);
        if best {
            self.progress.best = Some((epoch, scores));
            let path = self.options.out.join("best.safetensors");
            self.networks.save_generator(&*self.backend, &path, &self.metadata(false))?;
        }
        observer.validated(epoch, &scores, best);
        Ok(())
    }

    /// The sheet of samples of this moment: pictures of `val`, or of the training set where there
    /// is none.
    fn sheet(&mut self) -> Result<()> {
        let pairs = if self.val.is_empty() { &self.train } else { &self.val };
        let name = format!("step-{:07}.png", self.progress.step);
        let path = self.options.out.join("samples").join(name);
        self.viewer.sheet(&mut *self.backend, &**pairs, SHEET_ROWS, &path)
    }

    /// What a file says about itself; a checkpoint also says where the run is.
    fn metadata(&self, checkpoint: bool) -> BTreeMap<String, String> {
        let mut config = serde_json::to_value(&self.config).expect("a config is plain data");
        if !checkpoint {
            config["discriminator"] = serde_json::Value::Null;
        }
        let mut metadata = BTreeMap::from([
            ("format".to_string(), FORMAT.to_string()),
            ("version".to_string(), VERSION.to_string()),
            ("config".to_string(), config.to_string()),
        ]);
        if checkpoint {
            let progress = serde_json::to_string(&self.progress).expect("progress is plain data");
            metadata.insert("progress".to_string(), progress);
            let RunOptions { epochs, steps, .. } = self.options;
            let length = Length { epochs, steps, pairs: self.train.len() };
            let length = serde_json::to_string(&length).expect("a length is plain data");
            metadata.insert("length".to_string(), length);
        }
        metadata
    }

    /// Writes the checkpoint and the model.
    fn save(&self) -> Result<()> {
        let out = &self.options.out;
        self.networks.save(&*self.backend, &out.join(LATEST), &self.metadata(true))?;
        let model = out.join("model.safetensors");
        self.networks.save_generator(&*self.backend, &model, &self.metadata(false))
    }
}
