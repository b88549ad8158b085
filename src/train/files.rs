//! The files in the folder of a run, and the metadata of its checkpoints and models.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::trained::Kept;
use super::{Length, Progress, RunPlan, SavedOptions};
use crate::checkpoint::{self, LATEST, MODEL, STEP};
use crate::data::Fingerprint;
use crate::error::settings::{OUT, RESUME};
use crate::error::{Error, Result};
use crate::lock::LOCK;

/// The checkpoint before [`LATEST`], for the case that it is damaged.
pub const PREVIOUS: &str = "checkpoints/previous.safetensors";
/// The model of the best validation.
pub const BEST: &str = "best.safetensors";
/// Losses and validations, one JSON object per line.
pub const METRICS: &str = "metrics.jsonl";
/// Which classes the last validation took for which, in the folder of a run of labels.
pub const CONFUSION: &str = "confusion.csv";
/// The metadata's key for the epochs that a run had done when it wrote a file.
pub(super) const EPOCH: &str = "epoch";
/// Sheets of samples.
pub const SAMPLES: &str = "samples";

/// The name in the folder of a run of the checkpoint that is kept of an epoch, from 1.
pub(super) fn numbered(epoch: u64) -> String {
    format!("checkpoints/epoch-{epoch:04}.safetensors")
}

/// The name in the folder of a run of the sheet of samples after a step.
pub(super) fn sheet_name(step: u64) -> String {
    format!("{SAMPLES}/step-{step:07}.png")
}

/// Refuses a folder that holds a run, which a new one would replace, and one that is no run but has
/// files that a run would replace.
///
/// # Errors
/// [`Error::Input`] that names the folder or the file.
pub(crate) fn refuse_run(out: &Path) -> Result<()> {
    if [LATEST, PREVIOUS].iter().any(|name| out.join(name).is_file()) {
        return Err(Error::input(format!(
            "{0} holds a run already; go on with it by {RESUME} {0}, or choose another {OUT}",
            out.display()
        )));
    }
    // A run that was ended before its first checkpoint has a lock, lines and sheets, and no more.
    let begun = || out.join(LOCK).is_file();
    let mut found = foreign(out, begun());
    if found.is_some() && begun() {
        // Another process may have begun a run since; that it writes it is said where the lock is taken.
        found = foreign(out, true);
    }
    let Some(foreign) = found else { return Ok(()) };
    Err(Error::input(format!(
        "{} is there already, and {} is no run that can go on: move it away or choose another {OUT}",
        foreign.display(),
        out.display()
    )))
}

/// A file in a folder that bears a name of a run's, except those of a run that has only `begun`.
fn foreign(out: &Path, begun: bool) -> Option<PathBuf> {
    let single = [BEST, MODEL, LATEST, PREVIOUS];
    let early = [METRICS, CONFUSION, LOCK].into_iter().filter(|_| !begun);
    let single: Vec<_> = single.into_iter().chain(early).map(|name| out.join(name)).collect();
    let listed = |folder: &str, begin: &'static str, end: &'static str| {
        let entries = std::fs::read_dir(out.join(folder)).into_iter().flatten().flatten();
        entries.map(|entry| entry.path()).filter(move |path| {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            name.starts_with(begin) && name.ends_with(end)
        })
    };
    let sheets = listed(SAMPLES, "step-", ".png").filter(|_| !begun);
    single
        .into_iter()
        .chain(sheets)
        .chain(listed("checkpoints", "epoch-", ".safetensors"))
        .chain(listed("checkpoints", "step-", ".safetensors"))
        .find(|path| path.symlink_metadata().is_ok())
}

/// The metadata of a run's model file.
pub(super) fn model_metadata(plan: &RunPlan, progress: &Progress) -> BTreeMap<String, String> {
    let mut config = serde_json::to_value(&plan.config).expect("a config is plain data");
    config["discriminator"] = serde_json::Value::Null;
    metadata(&config, plan, progress)
}

/// The metadata of a checkpoint: that of a model, and what the run needs to go on.
pub(super) fn checkpoint_metadata(
    plan: &RunPlan,
    progress: &Progress,
    data: &Fingerprint,
) -> BTreeMap<String, String> {
    let RunPlan { config, options, train, .. } = plan;
    let config = serde_json::to_value(config).expect("a config is plain data");
    let length = Length { epochs: options.epochs, steps: options.steps, pairs: train.len() };
    let mut metadata = metadata(&config, plan, progress);
    let mut insert = |key: &str, text: serde_json::Result<String>| {
        metadata.insert(key.to_string(), text.expect("it is plain data"));
    };
    insert("progress", serde_json::to_string(progress));
    insert("length", serde_json::to_string(&length));
    insert("options", serde_json::to_string(&SavedOptions::of(options)));
    insert("data", serde_json::to_string(data));
    metadata
}

/// What all files of a run state.
fn metadata(
    config: &serde_json::Value,
    plan: &RunPlan,
    progress: &Progress,
) -> BTreeMap<String, String> {
    let mut metadata = checkpoint::metadata(config);
    Kept { sources: plan.sources, statistics: progress.statistics }.add_to(&mut metadata);
    metadata.insert(STEP.to_string(), progress.step.to_string());
    metadata.insert(EPOCH.to_string(), progress.epoch.to_string());
    metadata
}
