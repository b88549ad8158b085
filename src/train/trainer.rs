//! A run: steps, epochs, validation, and how it stops.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use super::health::{Health, diverged};
use super::pending::Pending;
use super::run_files::{Origin, RunFiles};
use super::{Checkpoint, Observer, Progress, RunConfig, RunPlan, Scores, refuse_run};
use crate::checkpoint::LATEST;
use crate::data::{Batch, Loader};
use crate::device::StepState;
use crate::error::settings::RESUME;
use crate::error::{Error, Result, Warning};
use crate::kernel::{Adam, Statistics};
use crate::lock::{FolderLock, LOCK};

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
    origin: Origin,
    /// The folder, where it was locked before the run began.
    lock: Option<FolderLock>,
    /// What the user should know, not said yet.
    notes: Vec<String>,
    health: Health,
}

impl Trainer {
    /// Starts a run: reserves its memory and initialises the networks.
    ///
    /// # Errors
    /// [`Error::Machine`] if there is too little memory, with the bytes needed and free; files of
    /// first values that do not fit the networks; a folder that holds a run already, or files of
    /// others that bear the names of a run's, or that another process writes.
    pub fn start(mut plan: RunPlan, first_values: &FirstValues) -> Result<Trainer> {
        let out = &plan.options.out;
        // A run that was killed before its first checkpoint left the file.
        let lock = out.join(LOCK).is_file().then(|| FolderLock::take(out)).transpose()?;
        refuse_run(out)?;
        plan.reserve()?;
        let RunPlan { recipe, networks, backend, config, .. } = &mut plan;
        networks.init(&mut **backend, config.seed)?;
        for (name, path) in first_values {
            recipe.take_values(networks, name, &mut **backend, path)?;
        }
        let progress = Progress { validated: Some(0), ..Progress::default() };
        let health = Health::new(&plan.config, first_values.is_empty());
        Ok(Trainer { plan, progress, origin: Origin::New, lock, notes: Vec::new(), health })
    }

    /// Resumes a run from a checkpoint, exactly as if it had not stopped. From an earlier one of the
    /// run's folder it goes on in its place, and the later one is kept under another name. If the data set has
    /// shrunk so much that the checkpoint's epoch would be over, the next epoch begins. From a
    /// checkpoint without the optimiser's state, Adam begins anew.
    ///
    /// # Errors
    /// A checkpoint of other networks, or one that is damaged; too little memory; a folder that
    /// another process writes; a folder other than the checkpoint's that holds a run.
    pub fn resume(mut plan: RunPlan, checkpoint: Checkpoint) -> Result<Trainer> {
        let Checkpoint { path, mut progress, mut reader, note, data, .. } = checkpoint;
        let out = &plan.options.out;
        let full = |path: &std::path::Path| path.canonicalize().ok();
        let inside = full(&path).is_some_and(|path| {
            path.parent()
                .is_some_and(|folder| Some(folder.into()) == full(&out.join("checkpoints")))
        });
        let lock = match inside {
            true => Some(FolderLock::take(out)?),
            false => refuse_run(out).map(|()| None)?,
        };
        if !reader.is_at(&path) {
            return Err(Error::input(format!(
                "{} was replaced by another process since it was opened; start again",
                path.display()
            )));
        }
        let origin = if !inside {
            Origin::Other(path.clone())
        } else if full(&path) == full(&out.join(LATEST)) {
            Origin::Latest
        } else if note.is_some() {
            Origin::Before
        } else {
            Origin::Other(path.clone())
        };
        let mut notes: Vec<String> = note.into_iter().collect();
        plan.reserve()?;
        if !plan.networks.load(&mut *plan.backend, &mut reader, &path)? {
            notes.push(format!(
                "{} holds the networks alone: Adam begins anew, with moments of zero",
                path.display()
            ));
            progress.optimiser_begun = progress.step;
        }
        progress.validated = progress.validated.or(Some(progress.epoch));
        if let (Some(data), true) = (&data, progress.best.is_some())
            && !data.same_validation(&plan.fingerprint()?)
        {
            progress.best = None;
            notes.push(
                "the pairs to validate on have changed, so the best so far counts no more: the next \
                 validation is the best"
                    .to_string(),
            );
        }
        if progress.step_in_epoch >= plan.steps_per_epoch() {
            progress.epoch += 1;
            progress.step_in_epoch = 0;
        }
        plan.go_on_from(&progress);
        let health = Health::new(&plan.config, false);
        Ok(Trainer { plan, progress, origin, lock, notes, health })
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
    /// everything is saved. A resumed run first makes what it lacks: a validation that failed, files
    /// that were not written any more.
    ///
    /// # Errors
    /// An image that cannot be read: the steps before it are saved, and nothing is written if there
    /// are none. Losses, weights or moments that are NaN or infinite: the last checkpoint stays. A
    /// file that cannot be written. A folder that another process writes.
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
        let first = if self.progress.step < total { loader.next_batch_unless(stop)? } else { None };
        let (mut files, notes) =
            RunFiles::open(&self.plan, &mut self.progress, &self.origin, self.lock.take())?;
        self.notes.drain(..).chain(notes).for_each(|note| observer.warned(&Warning::new(note)));
        let mut unsaved = self.origin == Origin::New;
        let done = self
            .catch_up(&mut files, stop, observer)
            .and_then(|()| self.steps(&mut files, loader, first, stop, observer, &mut unsaved));
        match done {
            Ok(()) if unsaved => self.save(&mut files, &mut unsaved)?,
            Err(error) if unsaved => return Err(self.save_after(error, &mut files)),
            done => done?,
        }
        self.sheet(&mut files, observer)?;
        let finished = self.progress.step >= total && !self.plan.validation_is_due(&self.progress);
        Ok(if finished { Outcome::Finished } else { Outcome::Stopped })
    }

    /// Saves the steps before an error, and says so.
    fn save_after(&mut self, error: Error, files: &mut RunFiles) -> Error {
        if let Error::NotFinite(what) = &error {
            return self.diverged(what, self.progress.step);
        }
        let saved = self.save(files, &mut true);
        let Error::Input(text) = &error else {
            return match saved {
                Ok(()) => error,
                Err(worse) => Error::machine(format!("{error}; and then: {worse}")),
            };
        };
        let (step, out) = (self.progress.step, self.plan.options.out.display());
        Error::input(match saved {
            Ok(()) => format!("{text}; the {step} steps done are saved, go on with {RESUME} {out}"),
            Err(worse) => format!("{text}; and the steps done could not be saved: {worse}"),
        })
    }

    /// Makes what the end of an epoch should have left and did not: its validation, its sheet.
    fn catch_up(
        &mut self,
        files: &mut RunFiles,
        stop: &AtomicBool,
        observer: &mut dyn Observer,
    ) -> Result<()> {
        if self.origin == Origin::New {
            return Ok(());
        }
        if self.plan.validation_is_due(&self.progress) {
            return self.end_epoch(files, true, stop, observer, &mut true);
        }
        if self.progress.ends_epoch() || self.progress.step >= self.plan.total_steps() {
            files.missing_sheet(&mut self.plan, &self.progress)?;
        }
        Ok(())
    }

    /// Steps until the end or `stop`. Afterwards, also after an error, `unsaved` tells whether
    /// there is something to be saved.
    fn steps(
        &mut self,
        files: &mut RunFiles,
        mut loader: Loader,
        mut first: Option<Batch>,
        stop: &AtomicBool,
        observer: &mut dyn Observer,
        unsaved: &mut bool,
    ) -> Result<()> {
        let save_every = self.plan.options.save_every.filter(|&every| every > 0);
        let (total, per_epoch) = (self.plan.total_steps(), self.plan.steps_per_epoch());
        let mut pending = Pending::new(&self.plan.step.losses, total);
        let (mut waited, mut fetched) = (0.0, 0);
        let mut failed = None;
        while self.progress.step < total && !stop.load(Ordering::Relaxed) {
            let next = first.take().map_or_else(
                || {
                    let asked = Instant::now();
                    let next = loader.next_batch_unless(stop);
                    waited += asked.elapsed().as_secs_f64();
                    fetched += 1;
                    next
                },
                |batch| Ok(Some(batch)),
            );
            let batch = match next {
                Ok(Some(batch)) => batch,
                Ok(None) => break,
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
            pending.push(step, epoch + 1, lr);
            self.progress.step = step;
            self.progress.step_in_epoch += 1;
            *unsaved = true;
            let due = save_every.is_some_and(|every| step.is_multiple_of(every))
                || files.is_late(&self.plan)
                || step == total;
            let ended = self.progress.step_in_epoch == per_epoch;
            if ended || due || pending.due(&*self.plan.backend) {
                self.flush(&mut pending, files, observer, unsaved)?;
            }
            if ended {
                self.progress.epoch += 1;
                self.progress.step_in_epoch = 0;
                self.end_epoch(files, due, stop, observer, unsaved)?;
            } else if due {
                self.save(files, unsaved)?;
            }
        }
        self.flush(&mut pending, files, observer, unsaved)?;
        observer.waited(waited, fetched);
        failed.map_or(Ok(()), Err)
    }

    /// What comes behind the last step of an epoch: a validation, a sheet and a checkpoint, each if
    /// it is due; the latter two in any case if `must`. A stop ends the validation: it is made up when
    /// the run is resumed.
    fn end_epoch(
        &mut self,
        files: &mut RunFiles,
        must: bool,
        stop: &AtomicBool,
        observer: &mut dyn Observer,
        unsaved: &mut bool,
    ) -> Result<()> {
        let mut validated = None;
        if self.plan.validation_is_due(&self.progress) {
            validated = self.validate(files, stop)?;
            if validated.is_none() {
                return Ok(());
            }
        }
        let is_best = validated.is_some() && self.progress.is_best();
        if must || files.sheet_is_due(observer) {
            self.sheet(files, observer)?;
        }
        let must = must || is_best || self.plan.is_kept(&self.progress);
        if must || files.checkpoint_is_due(observer) {
            self.save(files, unsaved)?;
        }
        // The best is announced when it is there.
        if let Some(scores) = validated {
            if let Some(compared) = &self.progress.statistics {
                observer.compared(self.progress.epoch, compared);
            }
            observer.validated(self.progress.epoch, &scores, is_best);
        }
        Ok(())
    }

    /// Writes a sheet of samples, and says so if they show that the generator is dead.
    fn sheet(&mut self, files: &mut RunFiles, observer: &mut dyn Observer) -> Result<()> {
        let shown = files.sheet(&mut self.plan, &self.progress)?;
        if let Some(warning) = self.health.sheet(self.progress.step, &shown) {
            observer.warned(&Warning::new(warning));
        }
        Ok(())
    }

    /// Saves the run. Whatever comes of it, it is not to be tried again.
    fn save(&mut self, files: &mut RunFiles, unsaved: &mut bool) -> Result<()> {
        *unsaved = false;
        let RunPlan { networks, backend, .. } = &mut self.plan;
        networks.check_finite(&mut **backend).map_err(|e| match e {
            Error::Input(what) => self.diverged(&what, self.progress.step),
            other => other,
        })?;
        self.check_picture()?;
        files.save(&self.plan, &self.progress)
    }

    /// Checks that the generator computes a finite picture: finite weights may be too large for that, and
    /// a checkpoint of them is worth nothing. A pair that cannot be read is reported where it is needed.
    fn check_picture(&mut self) -> Result<()> {
        let RunPlan { viewer, train, val, backend, .. } = &mut self.plan;
        let pairs = if val.is_empty() { train } else { val };
        match viewer.view(&mut **backend, &**pairs, 0, Statistics::Batch) {
            Err(Error::NotFinite(what)) => Err(self.diverged(&what, self.progress.step)),
            _ => Ok(()),
        }
    }

    /// Fetches the losses of the steps since the last call. After an error the state is not to be
    /// saved: losses that are NaN or infinite come of weights that are worth nothing, and steps
    /// whose lines are not written would be lost to `metrics.jsonl`.
    fn flush(
        &mut self,
        pending: &mut Pending,
        files: &mut RunFiles,
        observer: &mut dyn Observer,
        unsaved: &mut bool,
    ) -> Result<()> {
        let RunPlan { backend, .. } = &self.plan;
        let flushed = match pending.flush(&**backend, files.metrics(), observer, &mut self.health) {
            Ok(None) => return Ok(()),
            Ok(Some((step, losses))) => Err(self.diverged(&losses.not_finite(), step)),
            Err(error) => Err(error),
        };
        *unsaved = false;
        flushed
    }

    fn diverged(&self, what: &str, step: u64) -> Error {
        let RunPlan { config, options, .. } = &self.plan;
        diverged(what, step, config, &options.out)
    }

    /// Runs one step on a batch.
    fn run_step(&mut self, batch: &Batch, step: u64, lr: f32) -> Result<()> {
        let RunPlan { config, recipe, step: recorded, backend, .. } = &mut self.plan;
        let lr = lr * begun_anew(config.adam(), step, self.progress.optimiser_begun);
        backend.set_state(StepState { seed: config.seed, step, lr, micro: 0 });
        for of in recipe.inputs() {
            let view = recorded.program.view(of.name)?;
            of.given.upload(batch, config, &mut **backend, view)?;
        }
        recorded.program.run(&mut **backend)
    }

    /// Scores the validation pairs, writes the line and remembers the best; `None` if it was stopped.
    fn validate(&mut self, files: &mut RunFiles, stop: &AtomicBool) -> Result<Option<Scores>> {
        let RunPlan { viewer, val, backend, .. } = &mut self.plan;
        let Some(validation) = viewer.score(&mut **backend, &**val, stop)? else {
            return Ok(None);
        };
        let Progress { step, epoch, .. } = self.progress;
        files.metrics().validation(step, epoch, &validation)?;
        files.confusion(&self.plan, &validation)?;
        let scores = validation.scores;
        self.progress.statistics = validation.compared();
        if self.progress.best.is_none_or(|(_, best)| scores.better_than(&best)) {
            self.progress.best = Some((epoch, scores));
        }
        self.progress.validated = Some(epoch);
        Ok(Some(scores))
    }
}

/// The factor of the learning rate with which Adam, whose moments were zero after `begun` steps,
/// makes the update that belongs to them in step `step`. The device corrects the moments for a start
/// at step 0, which would make the first updates up to 16 times as large as they should be:
///
/// ```text
/// c(step - begun) / c(step)    with c(t) = sqrt(1 - beta2^t) / (1 - beta1^t)
/// ```
///
/// Exact but for eps, which is then up to 32 times as large beside the root of the second moment:
/// 3e-7, below any gradient that teaches something.
fn begun_anew(adam: Adam, step: u64, begun: u64) -> f32 {
    if begun == 0 {
        return 1.0;
    }
    let power = |beta: f32, t: u64| f64::from(beta).powf(t as f64);
    let correction = |t: u64| (1.0 - power(adam.beta2, t)).sqrt() / (1.0 - power(adam.beta1, t));
    (correction(step - begun) / correction(step)) as f32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn adam_without_moments_begins_with_steps_of_the_learning_rate() {
        let adam = Adam::default();
        assert_eq!(begun_anew(adam, 1000, 0), 1.0);
        // The first update is lr * g / |g| where the moments begin; the device divides the first
        // moment, (1 - beta1) g, and the second, (1 - beta2) g^2, by 1 - beta^1001.
        let device = 0.5 / (0.001f64 / (1.0 - 0.999f64.powf(1001.0))).sqrt();
        let factor = f64::from(begun_anew(adam, 1001, 1000));
        assert!((factor * device - 1.0).abs() < 1e-4, "{factor} {device}");
        let later = begun_anew(adam, 20_000, 10_000);
        assert!((later - 1.0).abs() < 1e-4, "{later}");
    }
}
