//! What the file of a model remembers of its training, so that a translation can do the same.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::Compared;
use crate::data::{Direction, Domains, Fit, SourceSizes};
use crate::error::{Error, Result};
use crate::tensor::Size;

/// The metadata key beside `config` that holds [`Kept`].
const TRANSLATION: &str = "translation";

/// What files hold of a training beside its settings.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Kept {
    /// The sizes of the training images; none where the pairs did not tell them.
    pub sources: Option<SourceSizes>,
    /// The statistics of batch norm that the last validation found better.
    pub statistics: Option<Compared>,
}

impl Kept {
    /// Adds it to the metadata of a file.
    pub fn add_to(self, metadata: &mut BTreeMap<String, String>) {
        let text = serde_json::to_string(&self).expect("sizes and scores are plain data");
        metadata.insert(TRANSLATION.to_string(), text);
    }
}

/// What a model's file tells of its training, as far as a translation needs it. Foreign and older
/// files lack some of it, PyTorch's all.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Trained {
    /// Which image of a pair was the input.
    pub direction: Option<Direction>,
    /// What the samples mean.
    pub domains: Option<Domains>,
    /// Height and width of the training images in pixels.
    pub size: Option<Size>,
    /// What became of images that are not square; none where the file states no size.
    pub fit: Option<Fit>,
    /// The sizes that the training images had before.
    pub sources: Option<SourceSizes>,
    /// The statistics of batch norm that the last validation found better.
    pub statistics: Option<Compared>,
    /// Whether some pixels of the training did not count, so that inputs may have such pixels.
    pub masked: bool,
}

/// The part of a run's settings that a file without them may lack.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Settings {
    direction: Option<Direction>,
    domains: Option<Domains>,
    size: Option<Size>,
    fit: Option<Fit>,
    masked: bool,
}

impl Trained {
    /// Reads the metadata of a model's file; `path` only names it in errors.
    ///
    /// # Errors
    /// [`Error::Input`] for settings that cannot be read, or sizes that no image has.
    pub fn of(metadata: &BTreeMap<String, String>, path: &Path) -> Result<Trained> {
        let damaged = |key: &str, why: &dyn std::fmt::Display| {
            Error::input(format!(
                "{}: its metadata key `{key}` is damaged ({why}); convert or train it again",
                path.display()
            ))
        };
        let settings: Settings = match metadata.get("config") {
            None => Settings::default(),
            Some(text) => serde_json::from_str(text).map_err(|e| damaged("config", &e))?,
        };
        let kept: Kept = match metadata.get(TRANSLATION) {
            None => Kept::default(),
            Some(text) => serde_json::from_str(text).map_err(|e| damaged(TRANSLATION, &e))?,
        };
        if kept.sources.is_some_and(|sources| !sources.sound()) {
            return Err(damaged(TRANSLATION, &"no picture has these sizes"));
        }
        let Settings { direction, domains, size, fit, masked } = settings;
        if size.is_some_and(|size| size.least() == 0) {
            return Err(damaged("config", &"size is 0"));
        }
        let fit = size.map(|_| fit.unwrap_or(Fit::unstated()));
        let Kept { sources, statistics } = kept;
        Ok(Trained { direction, domains, size, fit, sources, statistics, masked })
    }
}
