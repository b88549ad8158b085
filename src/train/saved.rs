//! What a checkpoint of a run states, and how it is opened.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::files::{BEST, PREVIOUS, numbered, sheet_name};
use super::{Compared, RunConfig, RunOptions, RunPlan, Scores};
use crate::checkpoint::{self, FORMAT, LATEST, MODEL, STEP, safetensors, stated};
use crate::data::{Fingerprint, Pages};
use crate::error::{Error, Result};

/// The steps and epochs that a run has done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Progress {
    /// Steps done.
    pub step: u64,
    /// Epochs done.
    pub epoch: u64,
    /// Steps done in the current epoch.
    pub step_in_epoch: u64,
    /// The best validation so far, and the number of epochs done before it.
    pub best: Option<(u64, Scores)>,
    /// What the last validation found of batch norm's statistics, if it compared them.
    #[serde(default)]
    pub statistics: Option<Compared>,
    /// The epoch, from 1, whose validation was the last to be done, 0 for none. Older files do not
    /// state it: they were written behind a validation that was due.
    #[serde(default)]
    pub validated: Option<u64>,
    /// The steps done when the optimiser began with moments of zero: 0, unless the run was resumed
    /// from a checkpoint without them.
    #[serde(default)]
    pub optimiser_begun: u64,
}

impl Progress {
    /// Whether the last step was the last of an epoch.
    pub(super) fn ends_epoch(&self) -> bool {
        self.step_in_epoch == 0 && self.epoch > 0
    }

    /// Whether the best validation is that of the state itself, and not of an earlier one.
    pub(super) fn is_best(&self) -> bool {
        self.ends_epoch() && self.best.is_some_and(|(epoch, _)| epoch == self.epoch)
    }
}

/// The planned length of a run and its number of pairs, as its checkpoint states them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Length {
    /// As [`RunOptions::epochs`].
    pub epochs: u64,
    /// As [`RunOptions::steps`].
    pub steps: Option<u64>,
    /// Pairs in the training set.
    pub pairs: usize,
}

/// What a run was begun with beside its [`RunConfig`] and [`Length`]: none of it changes what a step
/// computes, and a resumed run goes on with it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SavedOptions {
    /// As [`RunOptions::val_every`].
    pub val_every: u64,
    /// As [`RunOptions::save_every`].
    pub save_every: Option<u64>,
    /// As [`RunOptions::save_minutes`].
    pub save_minutes: f64,
    /// As [`RunOptions::keep_every`].
    pub keep_every: Option<u64>,
    /// As [`RunOptions::skip_bad`].
    pub skip_bad: bool,
    /// As [`RunOptions::pages`].
    #[serde(default)]
    pub pages: Pages,
    /// As [`RunOptions::masks`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub masks: Option<PathBuf>,
    /// The version of the program that wrote the file, such as "0.1.0".
    pub version: String,
}

impl SavedOptions {
    /// Those of a run, with this program's version.
    pub(super) fn of(options: &RunOptions) -> Self {
        SavedOptions {
            val_every: options.val_every,
            save_every: options.save_every,
            save_minutes: options.save_minutes,
            keep_every: options.keep_every,
            skip_bad: options.skip_bad,
            pages: options.pages,
            masks: options.masks.clone(),
            version: env!("CARGO_PKG_VERSION").to_string(),
        }
    }
}

/// An open checkpoint of a run; its tensors are read when the run is resumed.
pub struct Checkpoint {
    /// The file.
    pub path: PathBuf,
    /// The run's settings.
    pub config: RunConfig,
    /// The steps and epochs done.
    pub progress: Progress,
    /// The planned length; older files do not state it.
    pub length: Option<Length>,
    /// What the run was begun with; older files do not state it.
    pub options: Option<SavedOptions>,
    /// The pairs that it was trained on; older files do not state it.
    pub data: Option<Fingerprint>,
    /// Why another file was opened than the one asked for.
    pub note: Option<String>,
    pub(super) reader: safetensors::Reader,
}

impl Checkpoint {
    /// Opens a training checkpoint, or the one in the folder of a run. If a run's latest is damaged
    /// or missing, the one before it is opened, and [`Checkpoint::note`] says so.
    ///
    /// # Errors
    /// [`Error::Input`] for a file that is no training checkpoint of this program, or that is
    /// damaged; [`Error::File`] if it cannot be read.
    pub fn open(run: &Path) -> Result<Checkpoint> {
        let path = checkpoint_of(run);
        let named = |name: &str| path.file_name() == Path::new(name).file_name();
        if named(PREVIOUS) && run.is_dir() {
            let mut previous = Checkpoint::open_file(path)?;
            let latest = run.join(LATEST);
            previous.note = Some(format!(
                "{} is missing; the run goes on from {}, the checkpoint before it",
                latest.display(),
                previous.path.display()
            ));
            return Ok(previous);
        }
        let before = path.with_file_name(Path::new(PREVIOUS).file_name().unwrap_or_default());
        let opened = Checkpoint::open_file(path.clone()).and_then(Checkpoint::verified);
        match opened {
            Err(error) if named(LATEST) && before.is_file() => {
                let previous = Checkpoint::open_file(before).and_then(Checkpoint::verified);
                let Ok(mut previous) = previous else { return Err(error) };
                previous.note = Some(format!(
                    "{error}; the run goes on from {}, the checkpoint before it",
                    previous.path.display()
                ));
                Ok(previous)
            }
            opened => opened,
        }
    }

    fn open_file(path: PathBuf) -> Result<Checkpoint> {
        const CURE: &str = "resume from RUN/checkpoints/latest.safetensors of a run";
        let reader = safetensors::Reader::open(&path).map_err(|e| match e {
            Error::Input(text) => Error::Input(format!("{text}; {CURE}")),
            other => other,
        })?;
        let meta = reader.metadata();
        let bad = |what: &str| Error::input(format!("{}: {what}; {CURE}", path.display()));
        if meta.get("format").map(String::as_str) != Some(FORMAT) {
            return Err(bad("it is no file of this program"));
        }
        checkpoint::check_version(&path, meta)?;
        let config = meta.get("config").ok_or_else(|| bad("it has no config"))?;
        let config = serde_json::from_str(config).map_err(|e| bad(&format!("its config: {e}")))?;
        let progress =
            meta.get("progress").ok_or_else(|| bad("it is a model, not a training checkpoint"))?;
        let progress =
            serde_json::from_str(progress).map_err(|e| bad(&format!("its progress: {e}")))?;
        let length = meta.get("length").and_then(|text| serde_json::from_str(text).ok());
        let options = meta.get("options").and_then(|text| serde_json::from_str(text).ok());
        let data = meta.get("data").and_then(|text| serde_json::from_str(text).ok());
        Ok(Checkpoint { path, config, progress, length, options, data, note: None, reader })
    }

    /// Compares every tensor with its checksum.
    fn verified(mut self) -> Result<Checkpoint> {
        self.reader.verify()?;
        Ok(self)
    }

    /// The names of what a run of `plan` should have in its folder beside this checkpoint, which it
    /// wrote, and has not, because it was killed or a picture could not be read. Resuming the run
    /// makes it, also when all steps are done.
    pub fn lacking(&self, plan: &RunPlan) -> Vec<String> {
        let (out, progress) = (&plan.options.out, &self.progress);
        let mut lacking = Vec::new();
        if plan.validation_is_due(progress) {
            lacking.push(format!("the validation of epoch {}", progress.epoch));
        }
        let step = progress.step.to_string();
        let mut expect = |name: String| {
            let path = out.join(&name);
            let there = match path.extension().is_some_and(|e| e == "png") {
                true => path.is_file(),
                false => stated(&path, STEP).as_ref() == Some(&step),
            };
            if !there {
                lacking.push(name);
            }
        };
        expect(MODEL.to_string());
        if progress.is_best() {
            expect(BEST.to_string());
        }
        if plan.is_kept(progress) {
            expect(numbered(progress.epoch));
        }
        expect(sheet_name(progress.step));
        lacking
    }
}

/// The checkpoint in the folder of a run, the one before it if that is missing, or `run` itself if
/// it is no folder.
pub fn checkpoint_of(run: &Path) -> PathBuf {
    if !run.is_dir() {
        return run.into();
    }
    let all = [LATEST, PREVIOUS].map(|name| run.join(name));
    all.iter().find(|path| path.is_file()).unwrap_or(&all[0]).clone()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::philox;

    /// A resumed run states the very scores and settings that it read.
    #[test]
    fn numbers_pass_through_a_file_to_the_bit() {
        for i in 0..2000 {
            let [a, b, c, d] = philox(7, [i, 0, 0, 0]);
            let number = |hi: u32, lo: u32| (f64::from(hi) + f64::from(lo) / 4e9) / 2f64.powi(30);
            let (l1, psnr, ssim) = (number(a, b), number(b, c) * 9.0, -number(c, d));
            let best = Scores { l1, psnr, ssim, ..Scores::default() };
            let progress = Progress { best: Some((3, best)), ..Progress::default() };
            let text = serde_json::to_string(&progress).unwrap();
            assert_eq!(serde_json::from_str::<Progress>(&text).unwrap(), progress);
            let lr = f32::from_bits(a >> 2);
            let config =
                RunConfig { lr, beta1: b as f32 / u32::MAX as f32, ..RunConfig::default() };
            if lr.is_finite() {
                let text = serde_json::to_value(&config).unwrap().to_string();
                assert_eq!(serde_json::from_str::<RunConfig>(&text).unwrap(), config);
            }
        }
    }
}
