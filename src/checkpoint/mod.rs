//! Weights in files: our own safetensors, and PyTorch's `.pth` both ways.
//!
//! A model file describes itself: its metadata holds `format` = "pix2pix-engine", `version` = "1"
//! and `config`, the JSON object `{"generator": GeneratorConfig, "discriminator":
//! DiscriminatorConfig, ...}`, where several discriminators are a list. Its tensors are named
//! `generator.down1.conv.weight` and so on, those of a second discriminator `discriminator2...`; a
//! training checkpoint also holds the optimiser's. `step` and `epoch` say after how many of them a run
//! wrote it, and every tensor has a checksum.

mod checksums;
mod float_type;
mod foreign;
mod infer;
mod model_file;
mod open;
mod pickle;
mod port_file;
pub mod pth;
pub mod safetensors;
mod weights;

use std::path::Path;

use crate::Error;

pub use model_file::{DISCRIMINATOR, FORMAT, GENERATOR, save_model, save_weights};
pub(crate) use model_file::{
    NamedView, OPTIMISER, check_version, each_of, metadata, named_views, none_one_or_many,
    numbered, save_views,
};
pub use open::{LATEST, MODEL, convert, load_weights, read_weights};
pub(crate) use open::{STEP, model_file, stated};
pub use port_file::save_pth;
pub use weights::{HostTensor, Tensors, Weights};
pub(crate) use weights::{check_numbers, upload, wrong_numbers};

/// An [`Error::Input`] about the file `path`. What it quotes may come from the file, so control
/// characters are replaced and at most 500 characters are shown.
fn refuse(path: &Path, what: impl std::fmt::Display) -> Error {
    let what = what.to_string();
    let mut shown: String =
        what.chars().take(500).map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect();
    if shown.len() < what.len() && what.chars().count() > 500 {
        shown.push_str("...");
    }
    Error::input(format!("{}: {shown}", path.display()))
}
