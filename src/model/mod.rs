//! The networks of pix2pix.
//!
//! A generator is a file here, a member of [`GeneratorKind`] and a line in `build.rs`.

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
