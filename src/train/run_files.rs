//! Writes the files of a run, so that it can be killed at any moment.
//!
//! `checkpoints/latest.safetensors` is the one commit point: what it states is true, and it is
//! written behind what it states. A save is, in this order,
//!
//! 1. `metrics.jsonl` reaches the disk, with every step and validation that the state counts;
//! 2. `previous` becomes a second name of `latest`, so that two generations stand at any moment;
//! 3. `latest` is replaced: from here on the new state counts;
//! 4. what is made from it: a numbered checkpoint, `best`, `model`. All of them hold the weights of
//!    `latest` itself, since a validation that is the best so far is always followed by a save.
//!
//! Killed before 3, the run goes on from the older state: `metrics.jsonl` is cut back to it, and the
//! same steps give the same bytes again. Killed after it, what 4 lacks is made from `latest` when the
//! run is resumed; until then a translation by the run's folder takes the generator of `latest` (see
//! [`crate::checkpoint::LATEST`]). An epoch's validation and sheet come before its save; a validation
//! that failed is not counted, and is made up when the run is resumed.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Instant;

use super::cadence::Cadence;
use super::files::{
    BEST, CONFUSION, EPOCH, METRICS, PREVIOUS, SAMPLES, checkpoint_metadata, model_metadata,
    numbered, refuse_run, sheet_name,
};
use super::{Metrics, Observer, Progress, RunPlan, Validation};
use crate::atomic;
use crate::checkpoint::{LATEST, MODEL, STEP, stated};
use crate::data::{Fingerprint, Image};
use crate::disk;
use crate::error::{Error, Result, Warning};
use crate::kernel::Statistics;
use crate::lock::{FolderLock, same_file};

/// Pairs on a sheet of samples.
pub(super) const SHEET_ROWS: usize = 4;

/// Where the state of a run comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// From first values.
    New,
    /// From the latest checkpoint of the folder itself.
    Latest,
    /// From the checkpoint before the latest of the folder itself, which is damaged or missing.
    Before,
    /// From another checkpoint: a numbered one, or one of another folder.
    Other(PathBuf),
}

/// The folder of a run that is being written.
pub struct RunFiles {
    out: PathBuf,
    lock: FolderLock,
    metrics: Metrics,
    data: Fingerprint,
    /// Whether [`LATEST`] is a generation of this run, good to become [`PREVIOUS`].
    latest_is_ours: bool,
    checkpoints: Cadence,
    sheets: Cadence,
    /// The step of the last sheet.
    sheet: Option<u64>,
    /// Whether it was said that not every epoch has a checkpoint, and a sheet.
    said: [bool; 2],
}

impl RunFiles {
    /// Creates the folders and locks them, unless `lock` holds them already. What a killed run left
    /// is removed or completed. Also returns what the user should know.
    ///
    /// # Errors
    /// A folder that another process writes, or that holds a run or foreign files; a file that
    /// cannot be written.
    pub fn open(
        plan: &RunPlan,
        progress: &mut Progress,
        origin: &Origin,
        lock: Option<FolderLock>,
    ) -> Result<(RunFiles, Vec<String>)> {
        let out = plan.options.out.clone();
        let data = Fingerprint::of(&*plan.train, &*plan.val)?;
        if lock.is_none() {
            refuse_run(&out)?;
        }
        for folder in [out.clone(), out.join("checkpoints"), out.join(SAMPLES)] {
            disk::create_folder(&folder).map_err(|e| Error::file("create", &folder, e))?;
        }
        let lock = match lock {
            Some(lock) => lock,
            None => {
                let lock = FolderLock::take(&out)?;
                // A process that had the lock until now may have left a run.
                refuse_run(&out)?;
                lock
            }
        };
        for folder in [out.clone(), out.join("checkpoints"), out.join(SAMPLES)] {
            atomic::sweep(&folder);
        }
        let mut notes: Vec<String> = lock.note().into_iter().collect();
        notes.extend(settle_best(&out, progress, origin)?);
        match origin {
            Origin::New if out.join(METRICS).exists() => notes.push(format!(
                "the run in {} was ended before its first checkpoint; it begins anew",
                out.display()
            )),
            Origin::New => {}
            Origin::Latest => complete(plan, progress, &data)?,
            // The folder's own checkpoint, if there is one, is of later steps or damaged: from here
            // on it counts no more. Before this, a line that is cut would be lost with it.
            Origin::Before => commit(plan, progress, &data)?,
            Origin::Other(_) => {
                notes.extend(keep_later(&out, progress)?);
                commit(plan, progress, &data)?;
            }
        }
        let metrics = Metrics::open(&out.join(METRICS), progress)?;
        let latest_is_ours = *origin != Origin::New;
        let files = RunFiles {
            out,
            lock,
            metrics,
            data,
            latest_is_ours,
            checkpoints: Cadence::new(),
            sheets: Cadence::new(),
            sheet: None,
            said: [false; 2],
        };
        Ok((files, notes))
    }

    /// The file of losses and validations.
    pub fn metrics(&mut self) -> &mut Metrics {
        &mut self.metrics
    }

    /// Writes which classes the validation took for which, where there are classes.
    ///
    /// # Errors
    /// A file that cannot be written.
    pub fn confusion(&self, plan: &RunPlan, validation: &Validation) -> Result<()> {
        let names = plan.config.domains.target.class_names();
        let (Some(table), Some(names)) = (&validation.confusion, names) else { return Ok(()) };
        let (path, text) = (self.out.join(CONFUSION), table.csv(&names));
        let io = |e| Error::file("write", &path, e);
        atomic::replace(&path, |sink| sink.write_all(text.as_bytes()).map_err(io))
    }

    /// Saves the state of the run, which the caller has found to be finite.
    ///
    /// # Errors
    /// A file that cannot be written: the last checkpoint and the one before it stay.
    pub fn save(&mut self, plan: &RunPlan, progress: &Progress) -> Result<()> {
        let begun = Instant::now();
        self.lock.check()?;
        self.metrics.sync()?;
        if self.latest_is_ours {
            atomic::keep(&self.out.join(LATEST), &self.out.join(PREVIOUS))?;
        }
        self.latest_is_ours = true;
        commit(plan, progress, &self.data)?;
        self.checkpoints.wrote(begun);
        Ok(())
    }

    /// Whether the last checkpoint is older than the minutes after which there is one inside an
    /// epoch.
    pub fn is_late(&self, plan: &RunPlan) -> bool {
        self.checkpoints.is_older(plan.options.save_minutes)
    }

    /// Whether a checkpoint is due at the end of an epoch. If not, `observer` is told why, once.
    pub fn checkpoint_is_due(&mut self, observer: &mut dyn Observer) -> bool {
        let [said, _] = &mut self.said;
        due(&self.checkpoints, "checkpoint", said, observer)
    }

    /// As [`RunFiles::checkpoint_is_due`], of a sheet.
    pub fn sheet_is_due(&mut self, observer: &mut dyn Observer) -> bool {
        let [_, said] = &mut self.said;
        due(&self.sheets, "sheet of samples", said, observer)
    }

    /// Writes a sheet of samples from the validation pairs, or from the training pairs if there are
    /// none, unless there is one of this step; returns what it shows.
    ///
    /// # Errors
    /// A picture that cannot be read, a file that cannot be written.
    pub fn sheet(&mut self, plan: &mut RunPlan, progress: &Progress) -> Result<Vec<[Image; 3]>> {
        if self.sheet == Some(progress.step) {
            return Ok(Vec::new());
        }
        let begun = Instant::now();
        let RunPlan { viewer, train, val, backend, .. } = plan;
        let pairs = if val.is_empty() { train } else { val };
        let path = self.out.join(sheet_name(progress.step));
        let statistics = progress.statistics.map_or(Statistics::Batch, |found| found.used);
        let shown = viewer.sheet(&mut **backend, &**pairs, SHEET_ROWS, statistics, &path)?;
        self.sheets.wrote(begun);
        self.sheet = Some(progress.step);
        Ok(shown)
    }

    /// As [`RunFiles::sheet`], unless an earlier process wrote it.
    ///
    /// # Errors
    /// As [`RunFiles::sheet`].
    pub fn missing_sheet(&mut self, plan: &mut RunPlan, progress: &Progress) -> Result<()> {
        if !self.out.join(sheet_name(progress.step)).is_file() {
            self.sheet(plan, progress)?;
        }
        Ok(())
    }
}

fn due(cadence: &Cadence, what: &str, said: &mut bool, observer: &mut dyn Observer) -> bool {
    if cadence.is_due() {
        return true;
    }
    if !std::mem::replace(said, true) {
        observer.warned(&Warning::new(format!(
            "a {what} takes {:.1} s, and one at the end of every epoch would take more than a \
             quarter of the time: some epochs get none",
            cadence.seconds()
        )));
    }
    false
}

/// Replaces the checkpoint, and makes what is made from it.
fn commit(plan: &RunPlan, progress: &Progress, data: &Fingerprint) -> Result<()> {
    let RunPlan { options, networks, backend, .. } = plan;
    let metadata = checkpoint_metadata(plan, progress, data);
    networks.save(&**backend, &options.out.join(LATEST), &metadata)?;
    complete(plan, progress, data)
}

/// Makes what is made from the checkpoint: the networks on the device are its own.
fn complete(plan: &RunPlan, progress: &Progress, data: &Fingerprint) -> Result<()> {
    let RunPlan { options, networks, backend, .. } = plan;
    let (b, out) = (&**backend, &options.out);
    if plan.is_kept(progress) {
        let metadata = checkpoint_metadata(plan, progress, data);
        networks.save_values(b, &out.join(numbered(progress.epoch)), &metadata)?;
    }
    let model = model_metadata(plan, progress);
    if progress.is_best() {
        networks.save_first(b, &out.join(BEST), &model)?;
    }
    networks.save_first(b, &out.join(MODEL), &model)
}

/// Keeps the checkpoint of a run that goes on from an earlier one, under a name of its own.
///
/// # Errors
/// [`Error::File`].
fn keep_later(out: &Path, progress: &Progress) -> Result<Option<String>> {
    let latest = out.join(LATEST);
    let Some(step) = stated(&latest, STEP).and_then(|step| step.parse::<u64>().ok()) else {
        return Ok(None);
    };
    // One that was kept before under the name is another, unless the process ended behind this.
    let is_free =
        |path: &PathBuf| !path.exists() || same_file(path.metadata().ok(), latest.metadata().ok());
    let name = |i: u32| match i {
        1 => format!("checkpoints/step-{step:07}.safetensors"),
        i => format!("checkpoints/step-{step:07}-{i}.safetensors"),
    };
    let kept = (1..).map(|i| out.join(name(i))).find(is_free).expect("a number is free");
    atomic::keep(&latest, &kept)?;
    Ok(Some(format!(
        "the run had gone on to step {step}: its checkpoint is kept as {}, and the lines after step \
         {} of {METRICS} are cut",
        kept.display(),
        progress.step
    )))
}

/// Sees to it that the best model of an earlier validation lies in the folder: a run that goes on
/// elsewhere takes it along. Where it is lost, `progress` knows of no best, and the sentence says so.
///
/// # Errors
/// A file that cannot be copied.
fn settle_best(out: &Path, progress: &mut Progress, origin: &Origin) -> Result<Option<String>> {
    let Some((epoch, _)) = progress.best.filter(|_| !progress.is_best()) else { return Ok(None) };
    let is_that = |path: &Path| {
        // Older files do not state their epoch.
        path.is_file() && stated(path, EPOCH).is_none_or(|stated| stated == epoch.to_string())
    };
    let best = out.join(BEST);
    if is_that(&best) {
        return Ok(None);
    }
    if let Origin::Other(path) = origin
        && let Some(run) = path.parent().and_then(Path::parent)
        && is_that(&run.join(BEST))
    {
        return atomic::copy(&run.join(BEST), &best).map(|()| None);
    }
    progress.best = None;
    Ok(Some(format!(
        "the model of the best validation, that of epoch {epoch}, is no longer in {}: the next \
         validation counts as the best",
        best.display()
    )))
}
