//! What a network is made of, as plain data: written into every model file, so that a model
//! describes itself.

use serde::{Deserialize, Serialize};

/// The two generators of the paper (section 3.2.1 and Table 2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum GeneratorKind {
    /// Encoder and decoder of one depth, joined by skip connections.
    Unet,
    /// The same without the skips: the paper's ablation.
    EncoderDecoder,
}

/// How activations are normalised.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum NormKind {
    /// Batch norm with scale, shift and running statistics; convolutions before it have no bias.
    Batch,
    /// Instance norm without parameters; every convolution has a bias.
    Instance,
    /// No normalisation; every convolution has a bias.
    None,
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
