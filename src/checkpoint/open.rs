//! Reads model files of either kind, and converts between them.

use std::io::{BufReader, ErrorKind, Read, Seek};
use std::path::{Path, PathBuf};

use super::model_file::{OPTIMISER, read_safetensors, save_weights};
use super::port_file::{read_pth, save_pth};
use super::weights::Weights;
use super::{pth, safetensors};
use crate::limits;
use crate::lock::same_file;
use crate::regular::open_regular;
use crate::{Error, Result};

/// The model in the folder of a run, as it was when the checkpoint was written.
pub const MODEL: &str = "model.safetensors";
/// The checkpoint in the folder of a run: all that is needed to resume it, and what is true of it.
pub const LATEST: &str = "checkpoints/latest.safetensors";
/// The metadata's key for the steps that a run had done when it wrote a file.
pub(crate) const STEP: &str = "step";

/// The file of a model: the one in the folder of a run, or `path` itself. A run that was killed
/// between its checkpoint and its model has an older model; the checkpoint then is the file.
pub(crate) fn model_file(path: &Path) -> PathBuf {
    if !path.is_dir() {
        return path.to_path_buf();
    }
    let (model, latest) = (path.join(MODEL), path.join(LATEST));
    let newest = stated(&latest, STEP);
    if newest.is_some() && stated(&model, STEP) != newest { latest } else { model }
}

/// The value of a key in the metadata of one of our files, if it can be read and has it.
pub(crate) fn stated(path: &Path, key: &str) -> Option<String> {
    safetensors::Reader::open(path).ok()?.metadata().get(key).cloned()
}

/// Reads the networks of a file, ours or PyTorch's, which are told apart by their content; of a
/// run's folder, those of its model.
///
/// # Errors
/// [`Error::File`] if it cannot be read; [`Error::Input`] if there is none, or with what is wrong
/// with it: numbers that are NaN or infinite too, by the name of their tensor; [`Error::Machine`] if
/// the file has more bytes than there is memory.
pub fn load_weights(path: &Path) -> Result<Weights> {
    let path = &model_file(path);
    if path.metadata().is_err_and(|e| e.kind() == ErrorKind::NotFound) {
        return Err(Error::input(format!("{} does not exist: check the path", path.display())));
    }
    if let (Ok(about), Some(free)) = (path.metadata(), limits::memory())
        && about.is_file()
        && about.len() > free.bytes
    {
        return Err(Error::machine(format!(
            "{} has {} of weights and {free}; free some memory or raise the limit",
            path.display(),
            limits::bytes(about.len())
        )));
    }
    let (file, _) = open_regular(path, "open")?;
    read_weights(BufReader::with_capacity(1 << 16, file), path)
}

/// As [`load_weights`], from any source; `path` only names it in errors.
///
/// # Errors
/// As [`load_weights`].
pub fn read_weights<R: Read + Seek>(mut source: R, path: &Path) -> Result<Weights> {
    let io = |e| Error::file("read", path, e);
    let mut head = Vec::new();
    source.by_ref().take(9).read_to_end(&mut head).map_err(io)?;
    source.rewind().map_err(io)?;
    // A safetensors header begins with `{` behind its length. A pickle begins with 0x80; read as
    // a length its first eight bytes would be beyond any file.
    if head.get(8) == Some(&b'{') {
        read_safetensors(safetensors::Reader::new(source, path)?, path)
    } else {
        read_pth(pth::StateDict::new(source, path)?, path)
    }
}

/// Converts a model file to the format that the extension of `to` names: `.safetensors`, or `.pth`
/// (also `.pt`), which holds one network, the generator where there is one.
/// Returns what was read.
///
/// # Errors
/// Those of [`load_weights`], [`save_weights`] and [`save_pth`], and [`Error::Input`] for another
/// name, for a `to` that is `from`, also by a link, and for one that is a training checkpoint.
pub fn convert(from: &Path, to: &Path) -> Result<Weights> {
    let extension = to.extension().map(|e| e.to_ascii_lowercase());
    let save = match extension.as_ref().and_then(|e| e.to_str()) {
        Some("safetensors") => save_weights,
        Some("pth" | "pt") => save_pth,
        _ => {
            return Err(Error::input(format!(
                "{}: a model is written to a name that ends in .safetensors or .pth",
                to.display()
            )));
        }
    };
    refuse_loss(&model_file(from), to)?;
    let weights = load_weights(from)?;
    save(to, &weights)?;
    Ok(weights)
}

/// Refuses to write a model to `to` if that would destroy the file it is made from, or a training
/// checkpoint: neither comes back from a model.
fn refuse_loss(from: &Path, to: &Path) -> Result<()> {
    let other = "give another name to write to";
    if same_file(from.metadata().ok(), to.metadata().ok()) {
        return Err(Error::input(format!(
            "{} and {} are one file, which a conversion would replace; {other}",
            from.display(),
            to.display()
        )));
    }
    let checkpoint = safetensors::Reader::open(to)
        .is_ok_and(|reader| reader.names().iter().any(|name| name.starts_with(OPTIMISER)));
    if checkpoint {
        return Err(Error::input(format!(
            "{} is a training checkpoint, and a model in its place could not be trained on; {other}",
            to.display()
        )));
    }
    Ok(())
}
