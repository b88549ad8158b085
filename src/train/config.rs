//! Everything that decides what a run computes: written into each checkpoint, read back by resume.

use serde::{Deserialize, Serialize};

use super::{Distance, Gan, Objective, Pix2Pix, Recipe};
use crate::data::{Direction, Domains};
use crate::error::{Error, Result};
use crate::kernel::Adam;
use crate::model::{DiscriminatorConfig, GeneratorConfig, GeneratorKind, NormKind};
use crate::nn::Schedule;

/// A run's resolved settings. The defaults are those of the PyTorch port's pix2pix.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunConfig {
    /// The generator.
    pub generator: GeneratorConfig,
    /// The discriminators, where the objective has any: in files null, one, or a list.
    #[serde(rename = "discriminator", with = "none_one_or_many")]
    pub discriminators: Vec<DiscriminatorConfig>,
    /// Losses.
    pub objective: Objective,
    /// Height and width of training pictures.
    pub size: usize,
    /// Pictures a step.
    pub batch_size: usize,
    /// Which of a pair is the input.
    pub direction: Direction,
    /// What the numbers of input and target mean; a file that says nothing has 8-bit RGB.
    #[serde(default)]
    pub domains: Domains,
    /// Learning rate of both networks.
    pub lr: f32,
    /// Decay of Adam's mean gradient.
    pub beta1: f32,
    /// How the rate changes.
    pub schedule: Schedule,
    /// Key of every random number.
    pub seed: u64,
    /// Resize to 286 / 256 of the size and crop at random.
    pub jitter: bool,
    /// Mirror every second picture.
    pub flip: bool,
    /// A new order each epoch.
    pub shuffle: bool,
}

impl Default for RunConfig {
    fn default() -> Self {
        RunConfig {
            generator: GeneratorConfig {
                kind: GeneratorKind::Unet,
                in_channels: 3,
                out_channels: 3,
                base_channels: 64,
                depth: 8,
                norm: NormKind::Batch,
                dropout: true,
            },
            discriminators: vec![DiscriminatorConfig {
                in_channels: 6,
                base_channels: 64,
                layers: 3,
                norm: NormKind::Batch,
            }],
            objective: Objective {
                gan: Gan::Vanilla,
                distance: Distance::L1,
                lambda: 100.0,
                conditional: true,
            },
            size: 256,
            batch_size: 1,
            direction: Direction::AToB,
            domains: Domains::default(),
            lr: 2e-4,
            beta1: 0.5,
            schedule: Schedule::Linear { epochs: 100, decay: 100 },
            seed: 0,
            jitter: true,
            flip: true,
            shuffle: true,
        }
    }
}

/// One discriminator is written as it always was, several as a list, none as null.
mod none_one_or_many {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use crate::model::DiscriminatorConfig;

    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Form {
        One(DiscriminatorConfig),
        Many(Vec<DiscriminatorConfig>),
    }

    pub fn serialize<S: Serializer>(
        list: &[DiscriminatorConfig],
        to: S,
    ) -> std::result::Result<S::Ok, S::Error> {
        match list {
            [] => to.serialize_none(),
            [one] => one.serialize(to),
            many => many.serialize(to),
        }
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> std::result::Result<Vec<DiscriminatorConfig>, D::Error> {
        Ok(match Option::<Form>::deserialize(from)? {
            None => Vec::new(),
            Some(Form::One(one)) => vec![one],
            Some(Form::Many(many)) => many,
        })
    }
}

/// The largest height and width, batch, and base width: what lies beyond fits no machine.
const MOST: usize = 1 << 16;

/// Levels a generator needs at least to be of use, and at most by default.
const DEPTHS: std::ops::RangeInclusive<usize> = 4..=8;

impl RunConfig {
    /// How often a picture of `size` pixels is halved: to 1 x 1 for powers of two up to 256, 8
    /// times above, fewer where the size is no multiple of that.
    ///
    /// # Errors
    /// [`Error::Input`] for sizes that cannot be halved four times.
    pub fn depth_for(size: usize) -> Result<usize> {
        let depth = (size.trailing_zeros() as usize).min(*DEPTHS.end());
        if size > MOST {
            return Err(Error::input(format!("`size` {size}: it is at most {MOST}")));
        }
        if size == 0 || !DEPTHS.contains(&depth) {
            let (below, above) = (size / 32 * 32, (size / 32 + 1) * 32);
            let instead =
                if below == 0 { above.to_string() } else { format!("{below} or {above}") };
            return Err(Error::input(format!(
                "`size` {size}: the generator halves a picture at least four times, so the size \
                 must be a multiple of 16; use `size` {instead}"
            )));
        }
        Ok(depth)
    }

    /// Adam's settings.
    pub fn adam(&self) -> Adam {
        Adam { beta1: self.beta1, ..Adam::default() }
    }

    /// What is learnt.
    pub fn recipe(&self) -> Box<dyn Recipe> {
        Box::new(Pix2Pix {
            generator: self.generator.clone(),
            discriminators: self.discriminators.clone(),
            objective: self.objective,
            adam: self.adam(),
        })
    }

    /// Pictures of a batch, their height and their width.
    pub fn batch(&self) -> [usize; 3] {
        [self.batch_size, self.size, self.size]
    }

    /// Whether there are discriminators, and what they see, from the objective.
    pub fn fit_discriminators(&mut self) {
        let (g, o) = (&self.generator, &self.objective);
        let channels = o.discriminator_channels(g.in_channels, g.out_channels);
        if o.gan == Gan::None {
            self.discriminators.clear();
        }
        self.discriminators.iter_mut().for_each(|d| d.in_channels = channels);
    }

    /// What is wrong with it, if anything.
    ///
    /// # Errors
    /// [`Error::Input`] with the setting to change.
    pub fn check(&self) -> Result<()> {
        let wrong = |what: String| Err(Error::input(what));
        let o = &self.objective;
        if o.gan == Gan::None && o.distance == Distance::None {
            return wrong("`gan` none with `distance` none leaves nothing to learn from".into());
        }
        if !(self.lr > 0.0 && self.lr.is_finite()) {
            return wrong(format!("`lr` {}: the learning rate is a number above 0", self.lr));
        }
        if !(0.0..1.0).contains(&self.beta1) {
            return wrong(format!("`beta1` {}: it is at least 0 and below 1", self.beta1));
        }
        if !(o.lambda >= 0.0 && o.lambda.is_finite()) {
            return wrong(format!("`lambda` {}: the weight is 0 or above", o.lambda));
        }
        let counts = [
            ("batch_size", self.batch_size, "a batch has at least one picture"),
            ("size", self.size, "use a multiple of 16"),
            ("base_channels", self.generator.base_channels, "it is at least 1"),
        ];
        let of_d = self
            .discriminators
            .iter()
            .map(|d| ("discriminator_channels", d.base_channels, "it is at least 1"));
        let mut width = self.generator.base_channels;
        for (setting, count, least) in counts.into_iter().chain(of_d) {
            if count == 0 {
                return wrong(format!("`{setting}` 0: {least}"));
            }
            if count > MOST {
                return wrong(format!("`{setting}` {count}: it is at most {MOST}"));
            }
        }
        width = self.discriminators.iter().map(|d| d.base_channels).fold(width, usize::max);
        let width = width as f64;
        if self.batch_size as f64 * (self.size as f64).powi(2) * width > 1e15 {
            return wrong(format!(
                "`batch_size` {} with `size` {} and `base_channels` {width}: no machine has the \
                 memory for it, make one of them smaller",
                self.batch_size, self.size
            ));
        }
        let step = 1usize.checked_shl(self.generator.depth as u32).unwrap_or(usize::MAX);
        if self.size == 0 || !self.size.is_multiple_of(step) {
            return wrong(format!(
                "`size` {}: a generator of depth {} takes multiples of {step}",
                self.size, self.generator.depth
            ));
        }
        for d in &self.discriminators {
            let field = d.receptive_field();
            let least = if d.layers == 0 { 1 } else { 3 << d.layers };
            if self.size < least {
                return wrong(format!(
                    "`patch` {field} needs pictures of at least {least} pixels, `size` is {}; use \
                     a smaller `patch`",
                    self.size
                ));
            }
        }
        Ok(())
    }
}
