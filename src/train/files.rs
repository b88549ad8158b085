//! The files in the folder of a run, and the metadata of its checkpoints and models.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::trained::Kept;
use super::{Compared, RunConfig, RunOptions, Scores};
use crate::checkpoint::{self, FORMAT, safetensors};
use crate::error::settings::{OUT, RESUME};
use crate::error::{Error, Result};

/// The checkpoint in the folder of a run: all that is needed to resume it.
pub const LATEST: &str = "checkpoints/latest.safetensors";
/// The model of the best validation.
pub const BEST: &str = "best.safetensors";
/// Losses and validations, one JSON object per line.
pub const METRICS: &str = "metrics.jsonl";
/// Sheets of samples.
pub const SAMPLES: &str = "samples";

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
    /// The version of the program that wrote the file, such as "0.1.0".
    pub version: String,
}

impl SavedOptions {
    /// Those of a run, with this program's version.
    fn of(options: &RunOptions) -> Self {
        SavedOptions {
            val_every: options.val_every,
            save_every: options.save_every,
            save_minutes: options.save_minutes,
            keep_every: options.keep_every,
            skip_bad: options.skip_bad,
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
    pub(super) reader: safetensors::Reader,
}

impl Checkpoint {
    /// Opens a training checkpoint, or the one in the folder of a run.
    ///
    /// # Errors
    /// [`Error::Input`] for a file that is no training checkpoint of this program; [`Error::File`]
    /// if it cannot be read.
    pub fn open(run: &Path) -> Result<Checkpoint> {
        const CURE: &str = "resume from RUN/checkpoints/latest.safetensors of a run";
        let path = checkpoint_of(run);
        let reader = safetensors::Reader::open(&path).map_err(|e| match e {
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
        let length = meta.get("length").and_then(|text| serde_json::from_str(text).ok());
        let options = meta.get("options").and_then(|text| serde_json::from_str(text).ok());
        Ok(Checkpoint { path, config, progress, length, options, reader })
    }
}

/// Refuses a folder that holds a run, which a new one would replace.
///
/// # Errors
/// [`Error::Input`] that names the folder.
pub(crate) fn refuse_run(out: &Path) -> Result<()> {
    if !out.join(LATEST).is_file() {
        return Ok(());
    }
    Err(Error::input(format!(
        "{0} holds a run already; go on with it by {RESUME} {0}, or choose another {OUT}",
        out.display()
    )))
}

/// The checkpoint in the folder of a run, or `run` itself if it is no folder.
pub fn checkpoint_of(run: &Path) -> PathBuf {
    if run.is_dir() { run.join(LATEST) } else { run.into() }
}

/// The metadata of a run's model file.
pub(super) fn model_metadata(config: &RunConfig, kept: Kept) -> BTreeMap<String, String> {
    let mut config = serde_json::to_value(config).expect("a config is plain data");
    config["discriminator"] = serde_json::Value::Null;
    let mut metadata = checkpoint::metadata(&config);
    kept.add_to(&mut metadata);
    metadata
}

/// The metadata of a checkpoint: that of a model, and the run's progress and length.
pub(super) fn checkpoint_metadata(
    config: &RunConfig,
    kept: Kept,
    progress: &Progress,
    options: &RunOptions,
    pairs: usize,
) -> BTreeMap<String, String> {
    let text = |value: serde_json::Result<String>| value.expect("progress is plain data");
    let config = serde_json::to_value(config).expect("a config is plain data");
    let length = Length { epochs: options.epochs, steps: options.steps, pairs };
    let mut metadata = checkpoint::metadata(&config);
    kept.add_to(&mut metadata);
    metadata.insert("progress".to_string(), text(serde_json::to_string(progress)));
    metadata.insert("length".to_string(), text(serde_json::to_string(&length)));
    let options = SavedOptions::of(options);
    metadata.insert("options".to_string(), text(serde_json::to_string(&options)));
    metadata
}
