//! Builds networks from configurations, within bounds.

use super::{DiscriminatorConfig, GeneratorConfig, Network, patch_gan, pixel_gan};
use crate::error::settings::PATCH;
use crate::error::{Error, Result};
use crate::nn::Params;

/// Most channels: more than fit any machine, and few enough that no product overflows.
const WIDEST: usize = 1 << 20;

/// Depths of generators that can run: images are padded to multiples of 2^depth pixels.
const DEPTHS: std::ops::RangeInclusive<usize> = 2..=12;
/// Most layers of a discriminator that can run: patches of 574 pixels.
const MOST_LAYERS: usize = 6;

impl GeneratorConfig {
    /// Most levels of a generator in a file: no image can be halved more often.
    pub(crate) const DEEPEST: usize = 16;

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
        if let Some(only) = self.kind.only_depth().filter(|only| *only != depth) {
            return Err(Error::input(format!(
                "this generator halves pictures {only} times, its depth cannot be {depth}; leave the depth out"
            )));
        }
        self.check()?;
        Ok(self.network())
    }

    /// The network's parameters, not placed. Unlike [`GeneratorConfig::build`] it allows networks
    /// that are too deep to run, whose files can still be converted.
    ///
    /// # Errors
    /// [`Error::Input`] for a depth outside 2 to 16, or channels outside 1 to 2^20.
    pub fn params(&self) -> Result<Params> {
        self.check()?;
        Ok(self.network().params().clone())
    }

    /// The list of generators.
    fn network(&self) -> Box<dyn Network> {
        self.kind.build(self)
    }

    fn check(&self) -> Result<()> {
        bounded("the generator's depth", self.depth, 2, Self::DEEPEST)?;
        bounded("the generator's in_channels", self.in_channels, 1, WIDEST)?;
        bounded("the generator's out_channels", self.out_channels, 1, WIDEST)?;
        bounded("the generator's base_channels", self.base_channels, 1, WIDEST)
    }
}

impl DiscriminatorConfig {
    /// Most layers of a discriminator in a file.
    pub(crate) const DEEPEST: usize = 16;

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

    /// The network's parameters, not placed. Unlike [`DiscriminatorConfig::build`] it allows
    /// networks that are too deep to run, whose files can still be converted.
    ///
    /// # Errors
    /// [`Error::Input`] for more than 16 layers, or channels outside 1 to 2^20.
    pub fn params(&self) -> Result<Params> {
        self.check()?;
        Ok(self.network().params().clone())
    }

    /// The list of discriminators.
    fn network(&self) -> Box<dyn Network> {
        match self.layers {
            0 => pixel_gan::build(self),
            _ => patch_gan::build(self),
        }
    }

    fn check(&self) -> Result<()> {
        bounded("the discriminator's layers", self.layers, 0, Self::DEEPEST)?;
        bounded("the discriminator's in_channels", self.in_channels, 1, WIDEST)?;
        bounded("the discriminator's base_channels", self.base_channels, 1, WIDEST)
    }

    /// Height and width of the patch that one logit sees, in pixels: 1, 16, 34, 70, 142, 286 or 574
    /// for 0 to 6 layers.
    pub fn receptive_field(&self) -> usize {
        receptive_field(self.layers)
    }

    /// The number of layers with this receptive field, in pixels.
    ///
    /// # Errors
    /// [`Error::Input`] for any other number of pixels.
    pub fn layers_for(patch: usize) -> Result<usize> {
        (0..=MOST_LAYERS).find(|&n| receptive_field(n) == patch).ok_or_else(|| {
            Error::input(format!(
                "no discriminator sees patches of {patch} pixels; use {PATCH} 1, 16, 34, 70, 142 or \
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::GeneratorKind;
    use crate::model::{NormKind, Output};

    fn unet(depth: usize, norm: NormKind) -> GeneratorConfig {
        GeneratorConfig {
            kind: GeneratorKind::Unet,
            in_channels: 3,
            out_channels: 3,
            base_channels: 64,
            depth,
            norm,
            dropout: true,
            output: Output::Tanh,
        }
    }

    fn patch(layers: usize) -> DiscriminatorConfig {
        DiscriminatorConfig { in_channels: 6, base_channels: 64, layers, norm: NormKind::Batch }
    }

    /// The counts that the port prints ("54.414 M", "2.769 M") and those of its other networks.
    #[test]
    fn networks_have_the_ports_numbers_of_parameters() {
        let generator = |c: &GeneratorConfig| c.params().unwrap().count();
        assert_eq!(generator(&unet(8, NormKind::Batch)), 54_413_955);
        assert_eq!(generator(&unet(7, NormKind::Batch)), 41_828_995);
        // Fifteen biases more, and 13 norms of scale and shift fewer.
        let (biases, norms) = (2 * (64 + 128 + 256 + 512 * 4) + 512, 2 * 4_928);
        assert_eq!(generator(&unet(8, NormKind::Instance)), 54_413_955 + biases - norms);
        let counts = [9_024, 139_585, 666_433, 2_768_705, 6_964_033, 11_159_361, 15_354_689];
        for (layers, count) in counts.into_iter().enumerate() {
            assert_eq!(patch(layers).params().unwrap().count(), count, "{layers}");
        }
    }

    /// What a parameter is in the port's files.
    fn port<'a>(params: &'a Params, ours: &str) -> &'a crate::nn::PortTensor {
        let param = params.iter().find(|p| p.name == ours).expect(ours);
        param.port.as_ref().expect(ours)
    }

    #[test]
    fn names_are_those_of_the_port() {
        let params = unet(8, NormKind::Batch).params().unwrap();
        let inner = format!("model.model.1.model.{}", "3.model.".repeat(6));
        for (ours, theirs) in [
            ("down1.conv.weight", "model.model.0.weight"),
            ("down2.conv.weight", "model.model.1.model.1.weight"),
            ("down3.norm.bias", "model.model.1.model.3.model.2.bias"),
            ("up8.conv.bias", "model.model.3.bias"),
            ("up7.conv.weight", "model.model.1.model.5.weight"),
            ("down8.conv.weight", &format!("{inner}1.weight")),
            ("up1.conv.weight", &format!("{inner}3.weight")),
            ("up1.norm.running_var", &format!("{inner}4.running_var")),
        ] {
            assert_eq!(port(&params, ours).name, theirs);
        }
        assert!(
            !params.iter().any(|p| p.name == "down1.conv.bias" || p.name == "down8.norm.weight")
        );
        assert_eq!(port(&params, "up7.conv.weight").size, [256, 64, 4, 4]);
        let params = patch(3).params().unwrap();
        assert_eq!(port(&params, "layer5.conv.bias").name, "model.11.bias");
        assert_eq!(port(&params, "layer2.conv.weight").size, [128, 64, 4, 4]);
        let params = patch(0).params().unwrap();
        assert_eq!(params.iter().last().unwrap().name, "layer3.conv.weight");
        assert_eq!(port(&params, "layer3.conv.weight").name, "net.5.weight");
        assert_eq!(port(&params, "layer3.conv.weight").size, [1, 128, 1, 1]);
    }

    /// Without norm the port leaves out the biases that are neither in the last layer nor in a
    /// discriminator's first; the encoder-decoder it does not have at all.
    #[test]
    fn what_the_port_lacks_is_marked() {
        let lacks = |params: Params| -> Vec<String> {
            let implied = |p: &&crate::nn::Param| p.port.as_ref().unwrap().implied;
            params.iter().filter(implied).map(|p| p.name.clone()).collect()
        };
        let generator = lacks(unet(2, NormKind::None).params().unwrap());
        assert_eq!(generator, ["down1.conv.bias", "down2.conv.bias", "up1.conv.bias"]);
        let none = |layers| DiscriminatorConfig { norm: NormKind::None, ..patch(layers) };
        assert_eq!(lacks(none(1).params().unwrap()), ["layer2.conv.bias"]);
        assert_eq!(lacks(none(0).params().unwrap()), ["layer2.conv.bias", "layer3.conv.bias"]);
        for norm in [NormKind::Batch, NormKind::Instance] {
            assert!(lacks(unet(5, norm).params().unwrap()).is_empty());
        }
        let kind = GeneratorKind::EncoderDecoder;
        let other = GeneratorConfig { kind, ..unet(5, NormKind::Batch) }.params().unwrap();
        assert!(other.iter().all(|p| p.port.is_none()));
    }

    #[test]
    fn extents_beyond_reason_are_refused() {
        assert!(unet(1, NormKind::Batch).params().is_err());
        assert!(unet(16, NormKind::Batch).params().is_ok());
        assert!(unet(17, NormKind::Batch).params().is_err());
        assert!(unet(13, NormKind::Batch).build().is_err());
        assert!(patch(16).params().is_ok());
        assert!(patch(17).params().is_err());
        assert!(patch(7).build().is_err());
        let wide = GeneratorConfig { base_channels: usize::MAX, ..unet(8, NormKind::None) };
        assert!(wide.params().unwrap_err().to_string().contains("base_channels is"));
        assert!(wide.build().unwrap_err().to_string().contains("base_channels is"));
    }
}
