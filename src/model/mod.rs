//! The networks of pix2pix.
//!
//! A network is a description, [`GeneratorConfig`] or [`DiscriminatorConfig`], and what `build` makes
//! of it, a [`Network`]. A new generator is a file here, a variant of [`GeneratorKind`] and a line in
//! the list in `build.rs`; its blocks say what their parameters are called in the PyTorch port.

mod build;
mod config;
mod encoder_decoder;
mod levels;
mod network;
mod patch_gan;
mod pixel_gan;
mod sequential;
mod unet;

pub use config::{DiscriminatorConfig, GeneratorConfig, GeneratorKind, NormKind};
pub use network::Network;
