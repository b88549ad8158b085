//! The networks of pix2pix.
//!
//! A configuration, [`GeneratorConfig`] or [`DiscriminatorConfig`], describes a network; its method
//! `build` makes the [`Network`]. A new generator is a file here and an entry in the list below; its
//! blocks hold the names of their parameters in the PyTorch port.

mod build;
mod config;
mod encoder_decoder;
mod levels;
mod network;
mod patch_gan;
mod pixel_gan;
mod sequential;
mod unet;

pub use config::{DiscriminatorConfig, GeneratorConfig, NormKind, Output};
pub use network::Network;

use crate::one_of::one_of;

/// The list of generators: documentation, variant, name, and the module whose `build` makes it.
macro_rules! generators {
    ($($(#[doc = $doc:literal])+ $variant:ident = $name:literal in $module:ident,)+) => {
        one_of! {
            /// Which generator.
            pub enum GeneratorKind {
                $($(#[doc = $doc])+ $variant = $name,)+
            }
        }

        impl GeneratorKind {
            /// The network of a configuration, its parameters not yet placed.
            fn build(self, config: &GeneratorConfig) -> Box<dyn Network> {
                match self {
                    $(GeneratorKind::$variant => $module::build(config),)+
                }
            }
        }
    };
}

// The two of the paper: section 3.2.1 and Table 2.
generators! {
    /// Encoder and decoder of one depth, joined by skip connections.
    Unet = "unet" in unet,
    /// The same without the skips: the paper's ablation.
    EncoderDecoder = "encoder-decoder" in encoder_decoder,
}
