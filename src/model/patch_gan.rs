//! The discriminators: a PatchGAN judges each patch of a picture, real or fake, as a logit.
//!
//! | layers | receptive field | out at 256 |
//! | --- | --- | --- |
//! | 0 (PixelGAN) | 1 | 256 x 256 |
//! | 1, 2, 3, 4, 5 | 16, 34, 70, 142, 286 | 126, 62, 30, 14, 6 |
//!
//! Three layers, the paper's 70 x 70 (Isola et al. 2017, appendix 6.1): 6 -> 64 -> 128 -> 256 by
//! 4 x 4 of stride 2, -> 512 and -> 1 by 4 x 4 of stride 1; LeakyReLU 0.2 between, norm on the
//! inner ones. There is no sigmoid at the end: the losses take logits.

use super::unet::{SLOPE, scope};
use super::{DiscriminatorConfig, NormKind};
use crate::error::{Error, Result};
use crate::kernel::{Activation, Conv};
use crate::nn::{Block, Mode, Params};
use crate::tape::{Tape, Var};
use crate::tensor::Shape;

/// A discriminator: pictures (n,h,w,in) to logits (n,p,q,1).
#[derive(Clone, Debug)]
pub struct Discriminator {
    /// What it is made of.
    pub config: DiscriminatorConfig,
    /// Its parameters.
    pub params: Params,
    blocks: Vec<Block>,
}

impl Discriminator {
    /// The network, its parameters not yet placed.
    ///
    /// # Errors
    /// [`Error::Input`] for more than 6 layers or no channels.
    pub fn new(config: &DiscriminatorConfig) -> Result<Self> {
        let DiscriminatorConfig { in_channels, base_channels: base, layers, norm } = *config;
        if layers > 6 || base == 0 || in_channels == 0 {
            return Err(Error::input(format!(
                "a discriminator of {layers} layers with {base} base channels on {in_channels} \
                 channels is not possible: layers are 0 to 6, channels at least 1"
            )));
        }
        let leaky = Activation::LeakyRelu(SLOPE);
        let bias = norm != NormKind::Batch;
        let mut params = Params::default();
        let mut blocks: Vec<Block> = Vec::new();
        let mut block = |conv, ends, bias, norm| {
            let name = format!("layer{}", blocks.len() + 1);
            blocks.push(Block::new(&mut params, &name, conv, false, ends, bias, norm).then(leaky));
        };
        if layers == 0 {
            block(Conv::PIXEL, [in_channels, base], true, None);
            block(Conv::PIXEL, [base, 2 * base], bias, scope(norm));
            // The port leaves out the last bias of its pixel network alone.
            block(Conv::PIXEL, [2 * base, 1], bias, None);
        } else {
            let width = |i: usize| base << i.min(3);
            block(Conv::HALVE, [in_channels, base], true, None);
            for i in 1..layers {
                block(Conv::HALVE, [width(i - 1), width(i)], bias, scope(norm));
            }
            block(Conv::PATCH, [width(layers - 1), width(layers)], bias, scope(norm));
            block(Conv::PATCH, [width(layers), 1], true, None);
        }
        if let Some(last) = blocks.last_mut() {
            last.activation = Activation::Identity;
        }
        Ok(Discriminator { config: config.clone(), params, blocks })
    }

    /// Records the network on pictures.
    ///
    /// # Errors
    /// [`Error::Shape`] where the pictures are too small for its layers.
    pub fn forward(&self, tape: &mut Tape, x: Var, mode: Mode) -> Result<Var> {
        self.blocks.iter().try_fold(x, |y, block| block.forward(&self.params, tape, y, mode))
    }

    /// Pixels that one logit sees, each way: 1, 16, 34, 70, 142, 286 or 574.
    pub fn receptive_field(layers: usize) -> usize {
        if layers == 0 { 1 } else { 18 * (1 << (layers - 1)) - 2 }
    }

    /// Number of layers with this receptive field.
    ///
    /// # Errors
    /// [`Error::Input`] for any other number of pixels.
    pub fn layers_for(patch: usize) -> Result<usize> {
        (0..=6).find(|&n| Self::receptive_field(n) == patch).ok_or_else(|| {
            Error::input(format!(
                "no discriminator sees patches of {patch} pixels; use --patch 1, 16, 34, 70, 142 or \
                 286"
            ))
        })
    }

    /// Each block with the extents of its input and output, for an input of `x`.
    ///
    /// # Errors
    /// Where `x` is too small.
    pub fn layers(&self, x: Shape) -> Result<Vec<(&Block, Shape, Shape)>> {
        let mut at = x;
        let step = |block| {
            let from = at;
            at = Block::shape(block, from)?;
            Ok((block, from, at))
        };
        self.blocks.iter().map(step).collect()
    }
}
