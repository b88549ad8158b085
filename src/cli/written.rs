//! What a translation is written as: the type of the model's targets, in a file that holds it, with the place of
//! the input in the world.

use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::jobs::Job;
use crate::data::{
    Attributes, Domain, DomainKind, Image, Picture, RowSink, StoredType, holds, is_large, stem,
};
use crate::error::Result;

/// The file of a job's output, where its extension is free: PNG for light, else the format of the input where
/// that holds the samples, else TIFF.
pub fn path(job: &Job, input: &Path, target: &Domain) -> PathBuf {
    let (channels, stored) = (target.channels.len(), target.stored());
    let labels = matches!(target.kind, DomainKind::Labels { .. });
    let light = (labels || target.is_light()) && matches!(stored, StoredType::U8 | StoredType::U16);
    if is_large(job.size[0], job.size[1]) {
        // The format that is written in parts.
        return job.to.with_extension("tiff");
    }
    if light && job.slices == 1 {
        return job.to.clone();
    }
    let name = input.file_name().unwrap_or_default().to_string_lossy().to_ascii_lowercase();
    let whole = stem(Path::new(&name)).as_os_str().len();
    let own = &name[whole.min(name.len())..];
    let extension = match holds(input, channels, stored) {
        true => own.trim_start_matches('.'),
        false => "tiff",
    };
    job.to.with_extension(extension)
}

/// The samples to write for an output of the model: of labels the values of files, with a palette where classes
/// have colours, and the nearest class where colours stand for classes.
pub fn samples(output: Image, target: &Domain) -> (Image, Option<Vec<[u8; 3]>>) {
    if matches!(target.kind, DomainKind::Labels { .. }) {
        return target.label_values(&output);
    }
    match target.classified(&output) {
        Some((indices, palette)) => (indices, Some(palette)),
        None => (output, None),
    }
}

/// What is written beside the samples of an output: the target's type, names, unit and mark of no data, and where
/// the input lies.
///
/// # Errors
/// An input that cannot be read.
pub fn attributes(
    input: &Path,
    target: &Domain,
    palette: Option<Vec<[u8; 3]>>,
) -> Result<Attributes> {
    let of_input = Picture::read_attributes(input)?;
    let values = matches!(target.kind, DomainKind::Values { .. });
    let unit = match &target.kind {
        DomainKind::Values { unit, .. } => unit.clone(),
        _ => None,
    };
    let named = values && !target.is_light() && target.channels.len() > 1;
    Ok(Attributes {
        unit,
        nodata: target.nodata,
        palette,
        channels: if named { target.channels.clone() } else { Vec::new() },
        axes: target.axes.unwrap_or(of_input.axes),
        // The profile of the input says what its colours are, and those of the output are likened to the targets'.
        profile: target.profile.as_ref().and_then(|text| STANDARD.decode(text).ok()),
        place: of_input.place,
        ..Attributes::new(target.stored())
    })
}

/// Rows of an output on their way to a file.
pub struct Rows<'a> {
    /// The model's outputs.
    pub target: &'a Domain,
    /// Takes what is written.
    pub rows: &'a mut dyn RowSink,
}

impl RowSink for Rows<'_> {
    fn rows(&mut self, rows: &Image) -> Result<()> {
        self.rows.rows(&samples(rows.clone(), self.target).0)
    }
}
