//! The PatchGAN: a discriminator that judges each patch of a picture, real or fake, as a logit.
//!
//! | layers | receptive field | out at 256 |
//! | --- | --- | --- |
//! | 1, 2, 3, 4, 5 | 16, 34, 70, 142, 286 | 126, 62, 30, 14, 6 |
//!
//! Three layers, the paper's 70 x 70 (Isola et al. 2017, appendix 6.1): 6 -> 64 -> 128 -> 256 by
//! 4 x 4 of stride 2, -> 512 and -> 1 by 4 x 4 of stride 1; LeakyReLU 0.2 between, norm on the
//! inner ones. There is no sigmoid at the end: the losses take logits.

use super::DiscriminatorConfig;
use super::config::SLOPE;
use super::network::Network;
use super::sequential::Sequential;
use crate::kernel::{Activation, Conv};
use crate::nn::{BlockSpec, PortModules};

/// The network of a configuration within bounds, of at least one layer.
pub(super) fn build(config: &DiscriminatorConfig) -> Box<dyn Network> {
    let DiscriminatorConfig { in_channels, base_channels, layers, norm } = *config;
    let last = layers + 2;
    let width = |i: usize| base_channels << (i - 1).min(3);
    let block = |i: usize| {
        let inner = i > 1 && i < last;
        let from = if i == 1 { in_channels } else { width(i - 1) };
        BlockSpec {
            name: format!("layer{i}"),
            conv: if i <= layers { Conv::HALVE } else { Conv::PATCH },
            transposed: false,
            channels: [from, if i == last { 1 } else { width(i) }],
            bias: norm.inner_bias() || !inner,
            norm: norm.scope().filter(|_| inner),
            dropout: 0.0,
            activation: activation(i == last),
            port: Some(modules("model", i, norm.port_inner_bias() || !inner)),
        }
    };
    Box::new(Sequential::new((1..=last).map(block), 1))
}

/// What follows a layer of a discriminator: nothing at the end, where the loss takes logits.
pub(super) fn activation(last: bool) -> Activation {
    if last { Activation::Identity } else { Activation::LeakyRelu(SLOPE) }
}

/// The port's modules of layer `i` under `root`: the first layer is a convolution and an
/// activation, every further one convolution, norm, activation.
pub(super) fn modules(root: &str, i: usize, bias: bool) -> PortModules {
    let index = if i == 1 { 0 } else { 3 * i - 4 };
    PortModules { conv: format!("{root}.{index}"), norm: format!("{root}.{}", index + 1), bias }
}
