//! Weights in files: our own safetensors, and PyTorch's `.pth` both ways.
//!
//! A model file describes itself: its metadata holds `format` = "pix2pix-engine", `version` = "1"
//! and `config`, the JSON object `{"generator": GeneratorConfig, "discriminator":
//! DiscriminatorConfig, ...}`. Its tensors are called `generator.down1.conv.weight` and so on;
//! others may lie beside them, as an optimizer's do in a training checkpoint.

mod float_type;
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
pub(crate) use model_file::{NamedView, metadata, named_views, save_views};
pub use open::{convert, load_weights, model_file, read_weights};
pub use port_file::save_pth;
pub(crate) use weights::upload;
pub use weights::{Contents, HostTensor, Tensors, Weights};

/// An [`Error::Input`] about the file `path`. What it quotes may come from the file, so nothing that
/// a terminal would act on passes, nor more than anyone would read.
fn refuse(path: &Path, what: impl std::fmt::Display) -> Error {
    let what = what.to_string();
    let mut shown: String =
        what.chars().take(500).map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect();
    if shown.len() < what.len() && what.chars().count() > 500 {
        shown.push_str("...");
    }
    Error::input(format!("{}: {shown}", path.display()))
}
