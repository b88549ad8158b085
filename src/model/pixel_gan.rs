//! The PixelGAN: a discriminator that judges each pixel by itself, with three convolutions of 1 x 1
//! (Isola et al. 2017, appendix 6.1.2): in -> 64 -> 128 -> 1, LeakyReLU 0.2 between, norm on the
//! middle one. The receptive field is one pixel.

use super::DiscriminatorConfig;
use super::network::Network;
use super::patch_gan::{activation, modules};
use super::sequential::Sequential;
use crate::kernel::Conv;
use crate::nn::BlockSpec;

/// The network of a configuration within bounds, of no layers.
pub(super) fn build(config: &DiscriminatorConfig) -> Box<dyn Network> {
    let DiscriminatorConfig { in_channels, base_channels: base, norm, .. } = *config;
    let block = |(i, from, to)| BlockSpec {
        name: format!("layer{i}"),
        conv: Conv::PIXEL,
        transposed: false,
        channels: [from, to],
        // Unlike in a PatchGAN, the last layer has a bias only where the inner ones have.
        bias: norm.inner_bias() || i == 1,
        norm: norm.scope().filter(|_| i == 2),
        dropout: 0.0,
        activation: activation(i == 3),
        port: Some(modules("net", i, norm.port_inner_bias() || i == 1)),
    };
    let layers = [(1, in_channels, base), (2, base, 2 * base), (3, 2 * base, 1)];
    Box::new(Sequential::new(layers.map(block), 1))
}
