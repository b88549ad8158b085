//! The configurations of networks, as plain data. Every model file holds its own.

use serde::{Deserialize, Serialize};

use super::GeneratorKind;
use crate::kernel::NormScope;
use crate::one_of::one_of;

/// Slope of LeakyReLU in every network of the paper.
pub(super) const SLOPE: f32 = 0.2;

one_of! {
    /// How activations are normalised.
    pub enum NormKind {
        /// Batch norm with scale, shift and running statistics; convolutions before it have no bias.
        Batch = "batch",
        /// Instance norm without parameters; every convolution has a bias.
        Instance = "instance",
        /// No normalisation; every convolution has a bias.
        None = "none",
    }
}

impl NormKind {
    /// The scope of the norm's statistics, if there is a norm.
    pub(super) fn scope(self) -> Option<NormScope> {
        match self {
            NormKind::Batch => Some(NormScope::Batch),
            NormKind::Instance => Some(NormScope::Instance),
            NormKind::None => None,
        }
    }

    /// Whether inner convolutions have a bias; the shift of batch norm makes it redundant.
    pub(super) fn inner_bias(self) -> bool {
        self != NormKind::Batch
    }

    /// Whether they have one in the PyTorch port, which also omits it without a norm.
    pub(super) fn port_inner_bias(self) -> bool {
        self == NormKind::Instance
    }
}

one_of! {
    /// What the numbers of a generator's output are.
    pub enum Output {
        /// Pixels in [-1, 1], by tanh.
        Tanh = "tanh",
        /// A logit for each class: any number.
        Logits = "logits",
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
    /// How often height and width are halved, 2 to 12: 8 for 256 pixels ("num_downs").
    pub depth: usize,
    /// Normalisation of all inner layers.
    pub norm: NormKind,
    /// Dropout with rate 0.5 in the inner decoder blocks.
    pub dropout: bool,
    /// What the numbers of its output are.
    #[serde(default, skip_serializing_if = "Output::is_default")]
    pub output: Output,
}

#[expect(clippy::derivable_impls, reason = "the macro takes no attributes of variants")]
impl Default for Output {
    fn default() -> Self {
        Output::Tanh
    }
}

impl Output {
    fn is_default(&self) -> bool {
        *self == Output::default()
    }
}

/// A PatchGAN discriminator.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DiscriminatorConfig {
    /// Channels that it sees: those of input and output together, or of the output alone.
    pub in_channels: usize,
    /// Channels after the first layer ("ndf"), 64 in the paper.
    pub base_channels: usize,
    /// Inner layers ("n_layers"), 0 to 6: 0 is the PixelGAN, 3 the 70 x 70 PatchGAN.
    pub layers: usize,
    /// Normalisation of all inner layers.
    pub norm: NormKind,
}
