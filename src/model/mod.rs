//! The networks of pix2pix.

mod config;
mod patch_gan;
mod unet;

pub use config::{DiscriminatorConfig, GeneratorConfig, GeneratorKind, NormKind};
pub use patch_gan::Discriminator;
pub use unet::Generator;
