//! A run: steps, epochs, checkpoints, validation, and how it stops.

use std::fs;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use super::files::{BEST, LATEST, METRICS, SAMPLES, checkpoint_metadata, model_metadata};
use super::pending::Pending;
use super::trained::Kept;
use super::{
    Checkpoint, MODEL, Metrics, Observer, Progress, RunConfig, RunOptions, RunPlan, refuse_run,
};
use crate::atomic;
use crate::data::{Batch, Domains, Loader};
use crate::device::StepState;
use crate::error::settings::{LR, RESUME};
use crate::error::{Error, Result};
use crate::kernel::{ImageBatch, Statistics};

/// Seconds between two checkpoints at the ends of short epochs.
const CHECKPOINT_SECONDS: f64 = 60.0;
/// Pairs on a sheet of samples.
const SHEET_ROWS: usize = 4;

/// Files to take first values from, by the name of the network: "generator", "discriminator",
/// "discriminator2", and for example PyTorch's `latest_net_G.pth`. Networks that are not named
/// start from random values.
pub type FirstValues = [(&'static str, PathBuf)];

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// All epochs or steps are done.
    Finished,
    /// It was stopped on request; everything is saved.
    Stopped,
}

/// A run in progress: the loop, whatever the recipe.
pub struct Trainer {
    plan: RunPlan,
    progress: Progress,
}

impl Trainer {
    /// Starts a run: reserves its memory and initialises the networks.
    ///
    /// # Errors
    /// [`Error::Machine`] if there is too little memory, with the bytes needed and free; files of
    /// first values that do not fit the networks; a folder that holds a run already.
    pub fn start(mut plan: RunPlan, first_values: &FirstValues) -> Result<Trainer> {
        refuse_run(&plan.options.out)?;
        plan.reserve()?;
        let RunPlan { recipe, networks, backend, config, .. } = &mut plan;
        networks.init(&mut **backend, config.seed)?;
        for (name, path) in first_values {
            recipe.take_values(networks, name, &mut **backend, path)?;
        }
        Ok(Trainer { plan, progress: Progress::default() })
    }

    /// Resumes a run from a checkpoint, exactly as if it had not stopped. If the data set has
    /// shrunk so much that the checkpoint's epoch would be over, the next epoch begins.
    ///
    /// # Errors
    /// A checkpoint of other networks; too little memory.
    pub fn resume(mut plan: RunPlan, checkpoint: Checkpoint) -> Result<Trainer> {
        plan.reserve()?;
        let Checkpoint { path, mut progress, mut reader, .. } = checkpoint;
        plan.networks.load(&mut *plan.backend, &mut reader, &path)?;
        if progress.step_in_epoch >= plan.steps_per_epoch() {
            progress.epoch += 1;
            progress.step_in_epoch = 0;
        }
        Ok(Trainer { plan, progress })
    }

    /// The plan of the run.
    pub fn plan(&self) -> &RunPlan {
        &self.plan
    }

    /// The steps and epochs done.
    pub fn progress(&self) -> Progress {
        self.progress
    }

    /// Trains to the end, or until `stop` is set: then the step in progress is finished and
    /// everything is saved.
    ///
    /// # Errors
    /// An image that cannot be read: the steps before it are saved, and nothing is written if there
    /// are none. Losses that are NaN or infinite: the last checkpoint stays. A file that cannot be
    /// written.
    pub fn run(&mut self, stop: &AtomicBool, observer: &mut dyn Observer) -> Result<Outcome> {
        let plan = &self.plan;
        let total = plan.total_steps();
        let Progress { epoch, step_in_epoch, .. } = self.progress;
        let mut loader = Loader::start(
            plan.train.clone(),
            plan.loader_options(),
            epoch as usize,
            step_in_epoch as usize,
        )?;
        // Most faults of a data set appear in the first batch, before any file is written.
        let first = if self.progress.step < total { Some(loader.next_batch()?) } else { None };
        let out = plan.options.out.clone();
        for folder in [out.clone(), out.join("checkpoints"), out.join(SAMPLES)] {
            fs::create_dir_all(&folder).map_err(|e| Error::file("create", &folder, e))?;
            // Left by a run that was killed while it wrote: not every such file is written again.
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
                "{text}; the {} steps done are saved, go on with {RESUME} {}",
                self.progress.step,
                out.display()
            )));
        }
        done?;
        self.sheet()?;
        Ok(if self.progress.step < total { Outcome::Stopped } else { Outcome::Finished })
    }

    /// Steps until the end or `stop`. Afterwards, also after an error, `unsaved` tells whether
    /// there is something to be saved.
    fn steps(
        &mut self,
        mut loader: Loader,
        mut first: Option<Batch>,
        stop: &AtomicBool,
        observer: &mut dyn Observer,
        unsaved: &mut bool,
    ) -> Result<()> {
        let RunOptions { val_every, save_every, .. } = self.plan.options;
        let path = self.plan.options.out.join(METRICS);
        let mut metrics = Metrics::open(&path, self.progress.step)?;
        let (total, per_epoch) = (self.plan.total_steps(), self.plan.steps_per_epoch());
        let mut saved = Instant::now();
        let mut pending = Pending::new(&self.plan.step.losses, total);
        let mut failed = None;
        while self.progress.step < total && !stop.load(Ordering::Relaxed) {
            let batch = match first.take().map_or_else(|| loader.next_batch(), Ok) {
                Ok(batch) => batch,
                // The steps before it are finished and reported first.
                Err(error) => {
                    failed = Some(error);
                    break;
                }
            };
            let epoch = self.progress.epoch;
            let RunConfig { lr, schedule, .. } = &self.plan.config;
            let lr = (f64::from(*lr) * schedule.factor(epoch)) as f32;
            let step = self.progress.step + 1;
            self.run_step(&batch, step, lr)?;
            loader.recycle(batch);
            pending.push(step, epoch, lr);
            self.progress.step = step;
            self.progress.step_in_epoch += 1;
            *unsaved = true;
            let mut due = save_every.is_some_and(|n| n > 0 && step.is_multiple_of(n));
            let ended = self.progress.step_in_epoch == per_epoch;
            if ended || due || step == total || pending.due(&*self.plan.backend) {
                self.flush(&mut pending, &mut metrics, observer, unsaved)?;
            }
            if ended {
                self.progress.epoch += 1;
                self.progress.step_in_epoch = 0;
                if val_every > 0 && self.progress.epoch.is_multiple_of(val_every) {
                    self.validate(&mut metrics, stop, observer)?;
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

    /// Fetches the losses of the steps since the last call. If one is NaN or infinite, the weights
    /// are not worth saving and `unsaved` is cleared.
    fn flush(
        &self,
        pending: &mut Pending,
        metrics: &mut Metrics,
        observer: &mut dyn Observer,
        unsaved: &mut bool,
    ) -> Result<()> {
        match pending.flush(&*self.plan.backend, metrics, observer)? {
            None => Ok(()),
            Some(step) => {
                *unsaved = false;
                Err(self.diverged(step))
            }
        }
    }

    fn diverged(&self, step: u64) -> Error {
        let out = &self.plan.options.out;
        let next = if out.join(LATEST).exists() {
            format!("the last checkpoint stands: go on from it with {RESUME} {} and", out.display())
        } else {
            "start again with".to_string()
        };
        Error::input(format!(
            "the losses of step {step} are NaN or infinite; {next} a smaller {LR}"
        ))
    }

    /// Runs one step on a batch.
    fn run_step(&mut self, batch: &Batch, step: u64, lr: f32) -> Result<()> {
        let RunPlan { config, recipe, step: recorded, backend, .. } = &mut self.plan;
        backend.set_state(StepState { seed: config.seed, step, lr, micro: 0 });
        let Domains { input, target } = &config.domains;
        let sides = [(&batch.inputs, input), (&batch.targets, target)];
        for (of, (samples, domain)) in recipe.inputs().iter().zip(sides) {
            let images = ImageBatch {
                samples: samples.as_slice(),
                range: domain.range(),
                height: batch.load,
                width: batch.load,
                crops: &batch.crops,
            };
            backend.upload_crops(images, recorded.program.view(of.name)?)?;
        }
        recorded.program.run(&mut **backend)
    }

    fn validate(
        &mut self,
        metrics: &mut Metrics,
        stop: &AtomicBool,
        observer: &mut dyn Observer,
    ) -> Result<()> {
        let RunPlan { config, options, recipe, networks, viewer, val, sources, backend, .. } =
            &mut self.plan;
        if val.is_empty() {
            return Ok(());
        }
        let Some(validation) = viewer.score(&**recipe, &mut **backend, &**val, stop)? else {
            return Ok(());
        };
        let (scores, statistics) = (validation.scores, validation.compared());
        let Progress { step, epoch, .. } = self.progress;
        metrics.validation(step, epoch - 1, &validation)?;
        self.progress.statistics = statistics;
        let best = self.progress.best.is_none_or(|(_, best)| scores.l1 < best.l1);
        if best {
            self.progress.best = Some((epoch, scores));
            let metadata = model_metadata(config, Kept { sources: *sources, statistics });
            networks.save_first(&**backend, &options.out.join(BEST), &metadata)?;
        }
        if let Some(compared) = &statistics {
            observer.compared(epoch, compared);
        }
        observer.validated(epoch, &scores, best);
        Ok(())
    }

    /// Writes a sheet of samples from the validation pairs, or from the training pairs if there are
    /// none.
    fn sheet(&mut self) -> Result<()> {
        let RunPlan { options, viewer, train, val, backend, .. } = &mut self.plan;
        let pairs = if val.is_empty() { train } else { val };
        let name = format!("step-{:07}.png", self.progress.step);
        let statistics = self.progress.statistics.map_or(Statistics::Batch, |found| found.used);
        let path = options.out.join(SAMPLES).join(name);
        viewer.sheet(&mut **backend, &**pairs, SHEET_ROWS, statistics, &path)
    }

    /// Writes the checkpoint and the model.
    fn save(&self) -> Result<()> {
        let RunPlan { config, options, networks, train, sources, backend, .. } = &self.plan;
        let kept = Kept { sources: *sources, statistics: self.progress.statistics };
        let metadata = checkpoint_metadata(config, kept, &self.progress, options, train.len());
        networks.save(&**backend, &options.out.join(LATEST), &metadata)?;
        networks.save_first(&**backend, &options.out.join(MODEL), &model_metadata(config, kept))
    }
}
