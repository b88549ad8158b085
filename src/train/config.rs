//! The settings that determine what a run computes. Every checkpoint holds them.

use serde::{Deserialize, Serialize};

use super::{Distance, Gan, Objective, Pix2Pix, Recipe, Segmentation};
use crate::data::{Direction, DomainKind, Domains, Fit, LoaderOptions, Shading};
use crate::error::settings::{
    BASE_CHANNELS, BATCH_SIZE, BETA1, DISCRIMINATOR_CHANNELS, DISTANCE, GAN, LAMBDA, LR, PATCH,
    SIZE,
};
use crate::error::{Error, Result};
use crate::kernel::Adam;
use crate::model::{DiscriminatorConfig, GeneratorConfig, NormKind, Output};
use crate::nn::Schedule;
use crate::tensor::Size;

/// The settings of a run. The defaults are those of pix2pix in the PyTorch port.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunConfig {
    /// The generator.
    pub generator: GeneratorConfig,
    /// The discriminators, none without an adversarial loss; in files null, one object, or a list.
    #[serde(rename = "discriminator", default, with = "none_one_or_many")]
    pub discriminators: Vec<DiscriminatorConfig>,
    /// The losses.
    pub objective: Objective,
    /// Height and width of training images in pixels, multiples of 2^depth.
    pub size: Size,
    /// How images get that size; files that do not state it are of runs that stretched them.
    #[serde(default = "Fit::unstated")]
    pub fit: Fit,
    /// Images per step, at least 1.
    pub batch_size: usize,
    /// Which image of a pair is the input.
    pub direction: Direction,
    /// The meaning of input and target samples; 8-bit RGB for files that do not state it.
    #[serde(default)]
    pub domains: Domains,
    /// Learning rate of all networks, above 0.
    pub lr: f32,
    /// Decay of Adam's first moment, at least 0 and below 1.
    pub beta1: f32,
    /// How the learning rate changes.
    pub schedule: Schedule,
    /// Seed of all random numbers.
    pub seed: u64,
    /// Whether some pixels do not count: NaN, no data, no class, or 0 in a mask.
    #[serde(default, skip_serializing_if = "is_false")]
    pub masked: bool,
    /// Resize to 286 / 256 of the size and crop at random.
    pub jitter: bool,
    /// Mirror images with probability 1/2.
    pub flip: bool,
    /// Mirror images top to bottom with probability 1/2.
    #[serde(default)]
    pub flip_vertical: bool,
    /// Turn images by quarters, each of the four alike.
    #[serde(default)]
    pub turn: bool,
    /// Noise and brightness of inputs.
    #[serde(default)]
    pub shading: Shading,
    /// Draw a new order each epoch.
    pub shuffle: bool,
}

impl Default for RunConfig {
    fn default() -> Self {
        let Pix2Pix { generator, discriminators, objective, adam, masked } = Pix2Pix::default();
        RunConfig {
            generator,
            discriminators,
            objective,
            size: Size::from(256),
            fit: Fit::Crop,
            batch_size: 1,
            direction: Direction::AToB,
            domains: Domains::default(),
            lr: 2e-4,
            beta1: adam.beta1,
            schedule: Schedule::Linear { epochs: 100, decay: 100 },
            seed: 0,
            jitter: true,
            flip: true,
            flip_vertical: false,
            turn: false,
            shading: Shading::default(),
            masked,
            shuffle: true,
        }
    }
}

fn is_false(value: &bool) -> bool {
    !value
}

/// The form of the discriminators in files: see [`crate::checkpoint`].
mod none_one_or_many {
    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};
    use serde_json::Value;

    use crate::checkpoint;
    use crate::model::DiscriminatorConfig;

    pub fn serialize<S: Serializer>(
        list: &[DiscriminatorConfig],
        to: S,
    ) -> Result<S::Ok, S::Error> {
        checkpoint::none_one_or_many(list).serialize(to)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Vec<DiscriminatorConfig>, D::Error> {
        checkpoint::each_of(&Value::deserialize(from)?)
            .iter()
            .map(DiscriminatorConfig::deserialize)
            .collect::<Result<_, _>>()
            .map_err(D::Error::custom)
    }
}

/// The fewest levels with which a generator is of use, and the most by default.
const DEPTHS: std::ops::RangeInclusive<usize> = 4..=8;

impl RunConfig {
    /// The largest size, batch and number of base channels: no machine has the memory for more.
    pub const LARGEST: usize = 1 << 16;

    /// The default depth of this run's generator: the only one that it has, or [`RunConfig::depth_for`] its size.
    ///
    /// # Errors
    /// As [`RunConfig::depth_for`].
    pub fn default_depth(&self) -> Result<usize> {
        match self.generator.kind.only_depth() {
            Some(only) => Ok(only),
            None => RunConfig::depth_for(self.size),
        }
    }

    /// The default depth of a generator for images of this size: as often as both sides can be halved, at
    /// most 8 times.
    ///
    /// # Errors
    /// [`Error::Input`] for a size that cannot be halved four times or is above
    /// [`RunConfig::LARGEST`].
    pub fn depth_for(size: impl Into<Size>) -> Result<usize> {
        let size = size.into();
        let halved = |side: usize| side.trailing_zeros() as usize;
        let depth = halved(size.height).min(halved(size.width)).min(*DEPTHS.end());
        if size.most() > Self::LARGEST {
            return Err(Error::input(format!("{SIZE} {size}: it is at most {}", Self::LARGEST)));
        }
        if size.least() == 0 || !DEPTHS.contains(&depth) {
            let wrong = if halved(size.height) < *DEPTHS.start() || size.height == 0 {
                size.height
            } else {
                size.width
            };
            let (below, above) = (wrong / 32 * 32, (wrong / 32 + 1) * 32);
            let instead =
                if below == 0 { above.to_string() } else { format!("{below} or {above}") };
            return Err(Error::input(format!(
                "{SIZE} {size}: the generator halves an image at least four times, so the size \
                 must be a multiple of 16; use {SIZE} {instead}"
            )));
        }
        Ok(depth)
    }

    /// The settings of Adam.
    pub fn adam(&self) -> Adam {
        Adam { beta1: self.beta1, ..Adam::default() }
    }

    /// The recipe of these settings: [`Segmentation`] where targets are labels, else [`Pix2Pix`].
    pub fn recipe(&self) -> Box<dyn Recipe> {
        let masked = self.masked;
        let base = Pix2Pix {
            generator: self.generator.clone(),
            discriminators: self.discriminators.clone(),
            objective: self.objective,
            adam: self.adam(),
            masked,
        };
        match self.domains.target.kind {
            DomainKind::Labels { .. } => {
                Box::new(Segmentation { base, no_class: self.domains.target.no_class() })
            }
            _ => Box::new(base),
        }
    }

    /// How batches are made.
    pub(super) fn loader(&self) -> LoaderOptions {
        LoaderOptions {
            batch: self.batch_size,
            size: self.size,
            fit: self.fit,
            direction: self.direction,
            domains: self.domains.clone(),
            seed: self.seed,
            jitter: self.jitter,
            flip: self.flip,
            flip_vertical: self.flip_vertical,
            turn: self.turn,
            shading: self.shading,
            masked: self.masked,
            shuffle: self.shuffle,
            ..LoaderOptions::default()
        }
    }

    /// Images per batch, their height and their width.
    pub fn batch(&self) -> [usize; 3] {
        [self.batch_size, self.size.height, self.size.width]
    }

    /// Whether validations compare batch norm's two statistics. In a batch of one picture the
    /// batch's are the picture's own, which translation then uses as training did; in larger
    /// batches neither is what training used.
    pub fn compares_statistics(&self) -> bool {
        self.generator.norm == NormKind::Batch && self.batch_size > 1
    }

    /// Makes the networks fit the domains and the objective: their channels.
    pub fn fit_networks(&mut self) {
        self.generator.in_channels = self.domains.input.network_channels();
        self.generator.out_channels = self.domains.target.network_channels();
        self.generator.output = match self.domains.target.kind {
            DomainKind::Labels { .. } => Output::Logits,
            _ => Output::Tanh,
        };
        self.fit_discriminators();
    }

    /// Makes the discriminators fit the objective and the generator: none without an adversarial
    /// loss, else with the channels that they see.
    pub fn fit_discriminators(&mut self) {
        let (g, o) = (&self.generator, &self.objective);
        let channels = o.discriminator_channels(g.in_channels, g.out_channels);
        if o.gan == Gan::None {
            self.discriminators.clear();
        }
        self.discriminators.iter_mut().for_each(|d| d.in_channels = channels);
    }

    /// Checks every setting against its range and against the others.
    ///
    /// # Errors
    /// [`Error::Input`] with the setting to change.
    pub fn check(&self) -> Result<()> {
        let wrong = |what: String| Err(Error::input(what));
        let o = &self.objective;
        self.domains.check([self.generator.in_channels, self.generator.out_channels])?;
        if o.gan != Gan::None && self.discriminators.is_empty() {
            return wrong(format!("{GAN} needs a discriminator, and this run has none"));
        }
        let seen =
            o.discriminator_channels(self.generator.in_channels, self.generator.out_channels);
        if let Some(d) = self.discriminators.iter().find(|d| d.in_channels != seen) {
            return wrong(format!(
                "a discriminator takes {} channels and would be given {seen}: call \
                 `fit_discriminators` when channels or the objective have changed",
                d.in_channels
            ));
        }
        let labels = matches!(self.domains.target.kind, DomainKind::Labels { .. });
        if labels != (self.generator.output == Output::Logits) {
            return wrong(
                "a generator of labels gives logits, and one of anything else does not: call `fit_networks` \
                 when the domains have changed"
                    .into(),
            );
        }
        if o.gan == Gan::None && o.distance == Distance::None && !labels {
            return wrong(format!("{GAN} none with {DISTANCE} none leaves nothing to learn from"));
        }
        if !(self.lr > 0.0 && self.lr.is_finite()) {
            return wrong(format!("{LR} {}: the learning rate is a number above 0", self.lr));
        }
        if !(0.0..1.0).contains(&self.beta1) {
            return wrong(format!("{BETA1} {}: it is at least 0 and below 1", self.beta1));
        }
        if !(o.lambda >= 0.0 && o.lambda.is_finite()) {
            return wrong(format!("{LAMBDA} {}: the weight is 0 or above", o.lambda));
        }
        let counts = [
            (BATCH_SIZE, self.batch_size, "a batch has at least one picture"),
            (SIZE, self.size.least(), "use a multiple of 16"),
            (SIZE, self.size.most(), "use a multiple of 16"),
            (BASE_CHANNELS, self.generator.base_channels, "it is at least 1"),
        ];
        let of_d = self
            .discriminators
            .iter()
            .map(|d| (DISCRIMINATOR_CHANNELS, d.base_channels, "it is at least 1"));
        for (setting, count, least) in counts.into_iter().chain(of_d) {
            if count == 0 {
                return wrong(format!("{setting} 0: {least}"));
            }
            if count > Self::LARGEST {
                return wrong(format!("{setting} {count}: it is at most {}", Self::LARGEST));
            }
        }
        let widths = self.discriminators.iter().map(|d| d.base_channels);
        let width = widths.fold(self.generator.base_channels, usize::max) as f64;
        if self.batch_size as f64 * self.size.pixels() as f64 * width > 1e15 {
            return wrong(format!(
                "{BATCH_SIZE} {} with {SIZE} {} and {BASE_CHANNELS} {width}: no machine has the \
                 memory for it, make one of them smaller",
                self.batch_size, self.size
            ));
        }
        let step = 1usize.checked_shl(self.generator.depth as u32).unwrap_or(usize::MAX);
        if !self.size.height.is_multiple_of(step) || !self.size.width.is_multiple_of(step) {
            return wrong(format!(
                "{SIZE} {}: a generator of depth {} takes multiples of {step}",
                self.size, self.generator.depth
            ));
        }
        for d in &self.discriminators {
            let field = d.receptive_field();
            let least = if d.layers == 0 { 1 } else { 3 << d.layers };
            if self.size.least() < least {
                return wrong(format!(
                    "{PATCH} {field} needs pictures of at least {least} pixels, {SIZE} is {}; use \
                     a smaller {PATCH}",
                    self.size
                ));
            }
        }
        Ok(())
    }
}
