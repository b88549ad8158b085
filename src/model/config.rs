//! What a network is made of, as plain data: written into every model file, so that a model
//! describes itself.

use serde::{Deserialize, Serialize};

use crate::kernel::NormScope;

/// Slope of LeakyReLU in every network of the paper.
pub(super) const SLOPE: f32 = 0.2;

/// The two generators of the paper (section 3.2.1 and Table 2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum GeneratorKind {
    /// Encoder and decoder of one depth, joined by skip connections.
    Unet,
    /// The same without the skips: the paper's ablation.
    EncoderDecoder,
}

/// How activations are normalised.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NormKind {
    /// Batch norm with scale, shift and running statistics; convolutions before it have no bias.
    Batch,
    /// Instance norm without parameters; every convolution has a bias.
    Instance,
    /// No normalisation; every convolution has a bias.
    None,
}

impl NormKind {
    /// Over which numbers a norm's statistics go, if there is a norm.
    pub(super) fn scope(self) -> Option<NormScope> {
        match self {
            NormKind::Batch => Some(NormScope::Batch),
            NormKind::Instance => Some(NormScope::Instance),
            NormKind::None => None,
        }
    }

    /// Whether inner convolutions have a bias. With batch norm the shift makes it idle.
    pub(super) fn inner_bias(self) -> bool {
        self != NormKind::Batch
    }

    /// Whether they have one in the PyTorch port, which leaves it out without a norm too.
    pub(super) fn port_inner_bias(self) -> bool {
        self == NormKind::Instance
    }
}

/// A generator.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GeneratorConfig {
    /// U-Net or encoder-decoder.
    pub kind: GeneratorKind,
    /// Channels of the input picture.
    pub in_channels: usize,
    /// Channels of the output picture.
    pub out_channels: usize,
    /// Channels after the first layer ("ngf"), 64 in the paper.
    pub base_channels: usize,
    /// How often height and width are halved: 8 for pictures of 256 pixels ("num_downs").
    pub depth: usize,
    /// Normalisation of all inner layers.
    pub norm: NormKind,
    /// Dropout of one half in the inner decoder blocks.
    pub dropout: bool,
}

/// A PatchGAN discriminator.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DiscriminatorConfig {
    /// Channels it sees: input and output picture together, or the output alone.
    pub in_channels: usize,
    /// Channels after the first layer ("ndf"), 64 in the paper.
    pub base_channels: usize,
    /// Inner layers ("n_layers"): 0 is the PixelGAN, 3 the 70 x 70 PatchGAN.
    pub layers: usize,
    /// Normalisation of all inner layers.
    pub norm: NormKind,
}
