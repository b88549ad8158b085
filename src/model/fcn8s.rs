//! FCN-8s: a network that gives the class of every pixel, by which the paper scores generated photographs (Isola et
//! al. 2017, section 4.1, "FCN-score").
//!
//! Width 64 for 3 channels, as in Long, Shelhamer and Darrell, "Fully convolutional networks for semantic
//! segmentation", CVPR 2015 (the convolutions of VGG-16):
//!
//! | layer | window | channels | out of 256 | then |
//! | --- | --- | --- | --- | --- |
//! | conv1_1, conv1_2 | 3 x 3 | 3 -> 64 -> 64 | 256 | max pool 2 x 2 |
//! | conv2_1, conv2_2 | 3 x 3 | 64 -> 128 -> 128 | 128 | max pool |
//! | conv3_1 .. conv3_3 | 3 x 3 | 128 -> 256 -> 256 -> 256 | 64 | max pool: pool3 |
//! | conv4_1 .. conv4_3 | 3 x 3 | 256 -> 512 -> 512 -> 512 | 32 | max pool: pool4 |
//! | conv5_1 .. conv5_3 | 3 x 3 | 512 -> 512 -> 512 -> 512 | 16 | max pool |
//! | fc6, fc7 | 7 x 7, 1 x 1 | 512 -> 4096 -> 4096 | 8 | dropout 0.5 |
//! | score | 1 x 1 | 4096 -> classes | 8 | |
//! | up2 | transposed 4 x 4, stride 2 | classes | 16 | + score4 (1 x 1) of pool4 |
//! | up4 | transposed 4 x 4, stride 2 | classes | 32 | + score3 (1 x 1) of pool3 |
//! | up8 | transposed 16 x 16, stride 8 | classes | 256 | |
//!
//! The transposed convolutions begin as bilinear interpolation, and all are trained. Two things differ from the
//! paper, whose network begins with weights learnt from a million photographs: convolutions up to fc7 are normalised,
//! without which 15 layers do not begin to learn; and every convolution pads by zeros to its input's size, where the
//! paper pads the picture by 100 pixels and crops.

use super::network::{Network, check_multiple};
use super::{GeneratorConfig, Output};
use crate::error::Result;
use crate::kernel::{Activation, Conv, Pool};
use crate::nn::{Block, BlockSpec, Layer, Mode, Params};
use crate::tape::{Tape, Var};
use crate::tensor::Shape;

/// How often height and width are halved.
pub(super) const DEPTH: usize = 5;
/// Rate of the dropout behind fc6 and fc7.
const DROPOUT: f32 = 0.5;
/// Convolutions before each pooling.
const CONVOLUTIONS: [usize; DEPTH] = [2, 2, 3, 3, 3];
const POOL: Pool = Pool::square(2, 2, 0);

#[derive(Debug)]
struct Fcn8s {
    params: Params,
    /// The convolutions before each pooling.
    levels: Vec<Vec<Block>>,
    /// fc6, fc7 and score.
    top: Vec<Block>,
    /// The heads on pool4 and pool3, each with the upsampling of what it is added to.
    skips: Vec<(Block, Block)>,
    last: Block,
}

/// The network of a configuration within bounds.
pub(super) fn build(config: &GeneratorConfig) -> Box<dyn Network> {
    let GeneratorConfig { in_channels, out_channels: classes, base_channels, norm, .. } = *config;
    let mut params = Params::default();
    let width = |level: usize| base_channels << level.min(3);
    let conv = |name: String, window: usize, channels: [usize; 2], dropout: f32| BlockSpec {
        name,
        conv: Conv::square(window, 1, window / 2),
        transposed: false,
        channels,
        bias: norm.inner_bias(),
        norm: norm.scope(),
        dropout: if config.dropout { dropout } else { 0.0 },
        activation: Activation::Relu,
        port: None,
    };
    let head = |name: &str, from: usize| BlockSpec {
        bias: true,
        norm: None,
        activation: Activation::Identity,
        ..conv(name.to_string(), 1, [from, classes], 0.0)
    };
    let up = |name: &str, stride: usize| BlockSpec {
        conv: Conv::square(2 * stride, stride, stride / 2),
        transposed: true,
        bias: false,
        ..head(name, classes)
    };
    let mut from = in_channels;
    let mut levels = Vec::new();
    for (level, count) in CONVOLUTIONS.into_iter().enumerate() {
        let mut blocks = Vec::new();
        for i in 1..=count {
            let name = format!("conv{}_{i}", level + 1);
            blocks.push(Block::new(&mut params, conv(name, 3, [from, width(level)], 0.0)));
            from = width(level);
        }
        levels.push(blocks);
    }
    let full = 64 * base_channels;
    let top = [
        conv("fc6".to_string(), 7, [from, full], DROPOUT),
        conv("fc7".to_string(), 1, [full, full], DROPOUT),
        head("score", full),
    ];
    let top = top.map(|spec| Block::new(&mut params, spec)).into();
    let skips = [("score4", 3, "up2"), ("score3", 2, "up4")]
        .map(|(name, level, upsampling)| {
            let upsampling = Block::bilinear(&mut params, up(upsampling, 2));
            (Block::new(&mut params, head(name, width(level))), upsampling)
        })
        .into();
    let activation = match config.output {
        Output::Tanh => Activation::Tanh,
        Output::Logits => Activation::Identity,
    };
    let last = Block::bilinear(&mut params, BlockSpec { activation, ..up("up8", 8) });
    Box::new(Fcn8s { params, levels, top, skips, last })
}

impl Network for Fcn8s {
    fn params(&self) -> &Params {
        &self.params
    }

    fn params_mut(&mut self) -> &mut Params {
        &mut self.params
    }

    fn forward(&self, tape: &mut Tape, x: Var, mode: Mode) -> Result<Var> {
        check_multiple(tape.shape(x), self.multiple())?;
        let mut pools = Vec::new();
        let mut y = x;
        for level in &self.levels {
            for block in level {
                y = block.forward(&self.params, tape, y, mode)?;
            }
            y = tape.max_pool(POOL, y)?;
            pools.push(y);
        }
        for block in &self.top {
            y = block.forward(&self.params, tape, y, mode)?;
        }
        for ((head, upsampling), pool) in self.skips.iter().zip(pools.iter().rev().skip(1)) {
            let scores = head.forward(&self.params, tape, *pool, mode)?;
            y = upsampling.forward(&self.params, tape, y, mode)?;
            y = tape.add(y, scores)?;
        }
        self.last.forward(&self.params, tape, y, mode)
    }

    fn layers(&self, input: Shape) -> Result<Vec<Layer>> {
        let mut layers = Vec::new();
        let mut pools = Vec::new();
        let mut at = input;
        let mut add = |block: &Block, x: Shape| -> Result<Shape> {
            layers.push(block.layer(x)?);
            Ok(layers[layers.len() - 1].output)
        };
        for level in &self.levels {
            for block in level {
                at = add(block, at)?;
            }
            at = POOL.shrink("max_pool", at)?;
            pools.push(at);
        }
        for block in &self.top {
            at = add(block, at)?;
        }
        for ((head, upsampling), pool) in self.skips.iter().zip(pools.iter().rev().skip(1)) {
            add(head, *pool)?;
            at = add(upsampling, at)?;
        }
        add(&self.last, at)?;
        Ok(layers)
    }

    fn multiple(&self) -> usize {
        1 << DEPTH
    }
}
