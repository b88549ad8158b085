//! The networks of pix2pix.
//!
//! A configuration, [`GeneratorConfig`] or [`DiscriminatorConfig`], describes a network; its method
//! `build` makes the [`Network`]. A new generator is a file here and an entry in the list below; its
//! blocks hold the names of their parameters in the PyTorch port.

mod build;
mod config;
mod encoder_decoder;
mod fcn8s;
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
            /// The depth of this generator where it has only one.
            pub fn only_depth(self) -> Option<usize> {
                (self == GeneratorKind::Fcn8s).then_some(fcn8s::DEPTH)
            }

            /// The network of a configuration, its parameters not yet placed.
            fn build(self, config: &GeneratorConfig) -> Box<dyn Network> {
                match self {
                    $(GeneratorKind::$variant => $module::build(config),)+
                }
            }
        }
    };
}

// The two of the paper: section 3.2.1 and Table 2; and the network that scores by section 4.1.
generators! {
    /// Encoder and decoder of one depth, joined by skip connections.
    Unet = "unet" in unet,
    /// The same without the skips: the paper's ablation.
    EncoderDecoder = "encoder-decoder" in encoder_decoder,
    /// FCN-8s (Long et al. 2015): max pooling and skips by addition; `score train` trains it.
    Fcn8s = "fcn8s" in fcn8s,
}
