//! The generators: a U-Net, and the encoder-decoder that is left of it without the skips.
//!
//! Depth 8, width 64, for 3 x 256 x 256 (Isola et al. 2017, appendix 6.1; where the paper and the
//! PyTorch port differ, the port):
//!
//! | layer | channels | out | norm | then |
//! | --- | --- | --- | --- | --- |
//! | down1 | 3 -> 64 | 128 | | LeakyReLU 0.2 |
//! | down2 .. down4 | 64 -> 128 -> 256 -> 512 | 64, 32, 16 | yes | LeakyReLU 0.2 |
//! | down5 .. down7 | 512 -> 512 | 8, 4, 2 | yes | LeakyReLU 0.2 |
//! | down8 | 512 -> 512 | 1 | | ReLU |
//! | up1 | 512 -> 512 | 2 | yes | ReLU |
//! | up2 .. up4 | 1024 -> 512 | 4, 8, 16 | yes | dropout 0.5, ReLU |
//! | up5 .. up7 | 1024 -> 256, 512 -> 128, 256 -> 64 | 32, 64, 128 | yes | ReLU |
//! | up8 | 128 -> 3 | 256 | | tanh |
//!
//! In the paper and its ports a block begins with its activation and the skip holds what comes
//! before it. Every reader of the skip applies ReLU, and relu(leaky(x)) = relu(x), so the skip can
//! hold ReLU of what the encoder hands down, and blocks here end with their activation: the
//! numbers are the same and each tensor is written once.

use super::{GeneratorConfig, GeneratorKind, NormKind};
use crate::error::{Error, Result};
use crate::kernel::{Activation, Conv, NormScope};
use crate::nn::{Block, Mode, Params};
use crate::tape::{Tape, Var};
use crate::tensor::Shape;

/// Slope of LeakyReLU in every network of the paper.
pub(super) const SLOPE: f32 = 0.2;
/// Rate of the generator's dropout.
const DROPOUT: f32 = 0.5;
/// The widest layers have this many times the base channels.
const WIDEST: usize = 8;

/// A generator: picture (n,h,w,in) to picture (n,h,w,out) in [-1, 1].
#[derive(Clone, Debug)]
pub struct Generator {
    /// What it is made of.
    pub config: GeneratorConfig,
    /// Its parameters.
    pub params: Params,
    down: Vec<Block>,
    up: Vec<Block>,
}

/// Scope of the norm of a kind.
pub(super) fn scope(norm: NormKind) -> Option<NormScope> {
    match norm {
        NormKind::Batch => Some(NormScope::Batch),
        NormKind::Instance => Some(NormScope::Instance),
        NormKind::None => None,
    }
}

impl Generator {
    /// The network, its parameters not yet placed.
    ///
    /// # Errors
    /// [`Error::Input`] for a depth below 2 or above 12, or no channels.
    pub fn new(config: &GeneratorConfig) -> Result<Self> {
        let GeneratorConfig { in_channels, out_channels, base_channels, depth, .. } = *config;
        if !(2..=12).contains(&depth) || base_channels == 0 || in_channels == 0 || out_channels == 0
        {
            return Err(Error::input(format!(
                "a generator of depth {depth} with {base_channels} base channels from {in_channels} \
                 to {out_channels} channels is not possible: depth is 2 to 12, channels are at \
                 least 1"
            )));
        }
        let mut params = Params::default();
        let norm = scope(config.norm);
        // With batch norm the shift makes a bias idle, and the port leaves it out everywhere but in
        // the last layer: down1 and the innermost layer have neither norm nor bias.
        let bias = config.norm != NormKind::Batch;
        let width = |level: usize| base_channels * (1 << (level - 1).min(3)).min(WIDEST);
        let leaky = Activation::LeakyRelu(SLOPE);
        let skips = config.kind == GeneratorKind::Unet;
        let mut down = Vec::new();
        for i in 1..=depth {
            let from = if i == 1 { in_channels } else { width(i - 1) };
            let normed = norm.filter(|_| i > 1 && i < depth);
            let name = format!("down{i}");
            let block =
                Block::new(&mut params, &name, Conv::HALVE, false, [from, width(i)], bias, normed);
            down.push(block.then(if i == depth { Activation::Relu } else { leaky }));
        }
        let mut up = Vec::new();
        for i in 1..=depth {
            // up1 reads down<depth>; up<i> reads what joins down<depth + 1 - i> and up<i - 1>.
            let level = depth + 1 - i;
            let from = width(level) * if i > 1 && skips { 2 } else { 1 };
            let to = if level == 1 { out_channels } else { width(level - 1) };
            let (last, name) = (level == 1, format!("up{i}"));
            let normed = norm.filter(|_| !last);
            let biased = bias || last;
            let ends = [from, to];
            let block = Block::new(&mut params, &name, Conv::HALVE, true, ends, biased, normed);
            // The port drops out in the blocks between the innermost and the last four.
            let drops = config.dropout && i >= 2 && i + 4 <= depth;
            let block = block.dropping(if drops { DROPOUT } else { 0.0 });
            up.push(block.then(if last { Activation::Tanh } else { Activation::Relu }));
        }
        Ok(Generator { config: config.clone(), params, down, up })
    }

    /// Records the network on `x`, whose height and width are multiples of 2^depth.
    ///
    /// # Errors
    /// [`Error::Shape`] for other sizes or channels.
    pub fn forward(&self, tape: &mut Tape, x: Var, mode: Mode) -> Result<Var> {
        let shape = tape.shape(x);
        let step = self.multiple();
        if !shape.h.is_multiple_of(step) || !shape.w.is_multiple_of(step) {
            let detail = format!("{shape} is no multiple of {step} pixels each way");
            return Err(Error::shape("generator", detail));
        }
        let mut skips = Vec::new();
        let mut y = x;
        let (innermost, outer) = self.down.split_last().expect("the depth is at least 2");
        for block in outer {
            if self.config.kind == GeneratorKind::Unet {
                let (next, skip) = block.forward_and_skip(&self.params, tape, y, mode)?;
                skips.push(skip);
                y = next;
            } else {
                y = block.forward(&self.params, tape, y, mode)?;
            }
        }
        y = innermost.forward(&self.params, tape, y, mode)?;
        for (i, block) in self.up.iter().enumerate() {
            if i > 0
                && let Some(skip) = skips.pop()
            {
                y = tape.concat(&[skip, y])?;
            }
            y = block.forward(&self.params, tape, y, mode)?;
        }
        Ok(y)
    }

    /// ImageBatch it takes have heights and widths that are multiples of this: 2^depth.
    pub fn multiple(&self) -> usize {
        1 << self.config.depth
    }

    /// Each block with the extents of its input and output, for an input of `x`.
    ///
    /// # Errors
    /// Where `x` does not fit.
    pub fn layers(&self, x: Shape) -> Result<Vec<(&Block, Shape, Shape)>> {
        let mut layers = Vec::new();
        let mut at = x;
        let mut encoded = Vec::new();
        for block in &self.down {
            let out = block.shape(at)?;
            layers.push((block, at, out));
            encoded.push(out);
            at = out;
        }
        encoded.pop();
        for (i, block) in self.up.iter().enumerate() {
            if i > 0 && self.config.kind == GeneratorKind::Unet {
                at.c += encoded.pop().map_or(0, |s| s.c);
            }
            let out = block.shape(at)?;
            layers.push((block, at, out));
            at = out;
        }
        Ok(layers)
    }
}
