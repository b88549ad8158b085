//! From a configuration to a network: the list of what there is, and the bounds on it.

use super::{
    DiscriminatorConfig, GeneratorConfig, GeneratorKind, Network, encoder_decoder, patch_gan,
    pixel_gan, unet,
};
use crate::error::{Error, Result};
use crate::nn::Params;

/// More levels than any picture has halvings, and layers than any patch needs.
pub(crate) const DEEPEST: usize = 16;
/// Wider than any network that fits a machine; keeps every product far from overflow.
const WIDEST: usize = 1 << 20;

/// Depths of generators that can be run: pictures are padded to multiples of 2^depth pixels.
const DEPTHS: std::ops::RangeInclusive<usize> = 2..=12;
/// Layers of discriminators that can be run: 6 see patches of 574 pixels.
const MOST_LAYERS: usize = 6;

impl GeneratorConfig {
    /// The network, its parameters not yet placed.
    ///
    /// # Errors
    /// [`Error::Input`] for a depth below 2 or above 12, or no channels.
    pub fn build(&self) -> Result<Box<dyn Network>> {
        let &GeneratorConfig { in_channels, out_channels, base_channels, depth, .. } = self;
        if !DEPTHS.contains(&depth) || base_channels == 0 || in_channels == 0 || out_channels == 0 {
            return Err(Error::input(format!(
                "a generator of depth {depth} with {base_channels} base channels from {in_channels} \
                 to {out_channels} channels is not possible: depth is 2 to 12, channels are at \
                 least 1"
            )));
        }
        self.check()?;
        Ok(self.network())
    }

    /// The network's parameters, not placed: also of a network that is too deep to be run, whose
    /// file can still be converted.
    ///
    /// # Errors
    /// [`Error::Input`] if an extent is zero or beyond reason.
    pub fn params(&self) -> Result<Params> {
        self.check()?;
        Ok(self.network().params().clone())
    }

    /// The generators there are.
    fn network(&self) -> Box<dyn Network> {
        match self.kind {
            GeneratorKind::Unet => unet::build(self),
            GeneratorKind::EncoderDecoder => encoder_decoder::build(self),
        }
    }

    fn check(&self) -> Result<()> {
        bounded("the generator's depth", self.depth, 2, DEEPEST)?;
        bounded("the generator's in_channels", self.in_channels, 1, WIDEST)?;
        bounded("the generator's out_channels", self.out_channels, 1, WIDEST)?;
        bounded("the generator's base_channels", self.base_channels, 1, WIDEST)
    }
}

impl DiscriminatorConfig {
    /// The network, its parameters not yet placed.
    ///
    /// # Errors
    /// [`Error::Input`] for more than 6 layers or no channels.
    pub fn build(&self) -> Result<Box<dyn Network>> {
        let &DiscriminatorConfig { in_channels, base_channels, layers, .. } = self;
        if layers > MOST_LAYERS || base_channels == 0 || in_channels == 0 {
            return Err(Error::input(format!(
                "a discriminator of {layers} layers with {base_channels} base channels on \
                 {in_channels} channels is not possible: layers are 0 to 6, channels at least 1"
            )));
        }
        self.check()?;
        Ok(self.network())
    }

    /// The network's parameters, not placed: also of a network that is too deep to be run, whose
    /// file can still be converted.
    ///
    /// # Errors
    /// [`Error::Input`] if an extent is zero or beyond reason.
    pub fn params(&self) -> Result<Params> {
        self.check()?;
        Ok(self.network().params().clone())
    }

    /// The discriminators there are.
    fn network(&self) -> Box<dyn Network> {
        match self.layers {
            0 => pixel_gan::build(self),
            _ => patch_gan::build(self),
        }
    }

    fn check(&self) -> Result<()> {
        bounded("the discriminator's layers", self.layers, 0, DEEPEST)?;
        bounded("the discriminator's in_channels", self.in_channels, 1, WIDEST)?;
        bounded("the discriminator's base_channels", self.base_channels, 1, WIDEST)
    }

    /// Pixels that one logit sees, each way: 1, 16, 34, 70, 142, 286 or 574 for 0 to 6 layers.
    pub fn receptive_field(&self) -> usize {
        receptive_field(self.layers)
    }

    /// Number of layers with this receptive field.
    ///
    /// # Errors
    /// [`Error::Input`] for any other number of pixels.
    pub fn layers_for(patch: usize) -> Result<usize> {
        (0..=MOST_LAYERS).find(|&n| receptive_field(n) == patch).ok_or_else(|| {
            Error::input(format!(
                "no discriminator sees patches of {patch} pixels; use --patch 1, 16, 34, 70, 142 or \
                 286"
            ))
        })
    }
}

fn receptive_field(layers: usize) -> usize {
    if layers == 0 { 1 } else { 18 * (1 << (layers - 1)) - 2 }
}

fn bounded(what: &str, value: usize, least: usize, most: usize) -> Result<()> {
    if (least..=most).contains(&value) {
        return Ok(());
    }
    Err(Error::input(format!("{what} is {value}; it must lie between {least} and {most}")))
}
