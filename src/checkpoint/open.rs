//! Reads model files of either kind, and converts between them.

use std::fs::File;
use std::io::{BufReader, Read, Seek};
use std::path::{Path, PathBuf};

use super::model_file::{read_safetensors, save_weights};
use super::port_file::{read_pth, save_pth};
use super::weights::Weights;
use super::{pth, safetensors};
use crate::{Error, Result};

/// The model in the folder of a run, as it was when the checkpoint was written.
pub const MODEL: &str = "model.safetensors";

/// The file of a model: the one in the folder of a run, or `path` itself.
pub(crate) fn model_file(path: &Path) -> PathBuf {
    if path.is_dir() { path.join(MODEL) } else { path.to_path_buf() }
}

/// Reads the networks of a file, ours or PyTorch's, which are told apart by their content; of a
/// run's folder, those of its model.
///
/// # Errors
/// [`Error::File`] if it cannot be read; [`Error::Input`] if there is none, or with what is wrong
/// with it: numbers that are NaN or infinite too, by the name of their tensor.
pub fn load_weights(path: &Path) -> Result<Weights> {
    let path = &model_file(path);
    let file = File::open(path).map_err(|e| match e.kind() {
        std::io::ErrorKind::NotFound => {
            Error::input(format!("{} does not exist: check the path", path.display()))
        }
        _ => Error::file("open", path, e),
    })?;
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
/// name.
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
    let weights = load_weights(from)?;
    save(to, &weights)?;
    Ok(weights)
}
