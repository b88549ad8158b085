//! The levels of an encoder and its decoder, of which both generators are made.

use super::config::SLOPE;
use super::{GeneratorConfig, Output};
use crate::kernel::{Activation, Conv};
use crate::nn::BlockSpec;

/// Rate of the generators' dropout.
const DROPOUT: f32 = 0.5;

/// Blocks of an encoder and its decoder, in the order in which they run: `down` from level 1, which
/// has the whole picture, to level `depth`, and `up` from there back.
pub(super) struct Levels {
    /// down1 to down`depth`.
    pub down: Vec<BlockSpec>,
    /// up1, the innermost, to up`depth`.
    pub up: Vec<BlockSpec>,
}

/// The levels of a configuration within bounds. With `skips` a block of the decoder also reads what
/// the encoder's block of its level gave.
pub(super) fn levels(config: &GeneratorConfig, skips: bool) -> Levels {
    let GeneratorConfig { in_channels, out_channels, base_channels, depth, .. } = *config;
    // Channels between level `i` and the next: they double up to 8 times the base.
    let width = |i: usize| base_channels << (i - 1).min(3);
    let scope = config.norm.scope();
    // Under batch norm, as in the port, down1 and down`depth` have neither norm nor bias.
    let bias = config.norm.inner_bias();
    let down = |i: usize| BlockSpec {
        name: format!("down{i}"),
        conv: Conv::HALVE,
        transposed: false,
        channels: [if i == 1 { in_channels } else { width(i - 1) }, width(i)],
        bias,
        norm: scope.filter(|_| i > 1 && i < depth),
        dropout: 0.0,
        activation: if i == depth { Activation::Relu } else { Activation::LeakyRelu(SLOPE) },
        port: None,
    };
    let up = |i: usize| {
        // up1 reads down`depth`; up<i> reads what joins down<depth + 1 - i> and up<i - 1>.
        let level = depth + 1 - i;
        let last = level == 1;
        let from = width(level) * if i > 1 && skips { 2 } else { 1 };
        // The port drops out in the blocks between the innermost and the last four.
        let drops = config.dropout && i >= 2 && i + 4 <= depth;
        BlockSpec {
            name: format!("up{i}"),
            conv: Conv::HALVE,
            transposed: true,
            channels: [from, if last { out_channels } else { width(level - 1) }],
            bias: bias || last,
            norm: scope.filter(|_| !last),
            dropout: if drops { DROPOUT } else { 0.0 },
            activation: match (last, config.output) {
                (false, _) => Activation::Relu,
                (true, Output::Tanh) => Activation::Tanh,
                (true, Output::Logits) => Activation::Identity,
            },
            port: None,
        }
    };
    Levels { down: (1..=depth).map(down).collect(), up: (1..=depth).map(up).collect() }
}
