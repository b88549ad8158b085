//! The training objective: an adversarial loss, a distance to the target, or both.

use serde::{Deserialize, Serialize};

use crate::kernel::Loss;
use crate::one_of::one_of;

one_of! {
    /// The adversarial loss.
    pub enum Gan {
        /// Binary cross entropy of logits; the generator maximises log D (Isola et al. 2017, equations
        /// 1 and 2).
        Vanilla = "vanilla",
        /// Mean squared difference from the label (Mao et al. 2017).
        Lsgan = "lsgan",
        /// No discriminator: the rows "L1" of the paper's tables.
        None = "none",
    }
}

/// A loss of a discriminator's output: the mean over all patches, each compared with the same
/// label.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Judgement {
    /// The loss of one patch.
    pub loss: Loss,
    /// The label: 1 for real, 0 for generated.
    pub label: f32,
}

/// Label of a real picture.
const REAL: f32 = 1.0;
/// Label of a generated one.
const FAKE: f32 = 0.0;

impl Gan {
    /// The loss that D minimises on real images; `None` without a discriminator.
    pub fn d_real(self) -> Option<Judgement> {
        self.loss().map(|loss| Judgement { loss, label: REAL })
    }

    /// The loss that D minimises on generated images; `None` without a discriminator.
    pub fn d_fake(self) -> Option<Judgement> {
        self.loss().map(|loss| Judgement { loss, label: FAKE })
    }

    /// The loss that G minimises on D's output for generated images; `None` without a
    /// discriminator.
    pub fn g_fake(self) -> Option<Judgement> {
        self.loss().map(|loss| Judgement { loss, label: REAL })
    }

    fn loss(self) -> Option<Loss> {
        match self {
            Gan::Vanilla => Some(Loss::Bce),
            Gan::Lsgan => Some(Loss::Mse),
            Gan::None => None,
        }
    }
}

one_of! {
    /// The distance between output and target.
    pub enum Distance {
        /// Mean absolute difference (Isola et al. 2017, equation 3).
        L1 = "l1",
        /// Mean squared difference.
        L2 = "l2",
        /// None: the rows "GAN" and "cGAN" of Table 1 there.
        None = "none",
    }
}

impl Distance {
    /// The loss of one element, if there is a distance.
    pub fn loss(self) -> Option<Loss> {
        match self {
            Distance::L1 => Some(Loss::L1),
            Distance::L2 => Some(Loss::Mse),
            Distance::None => None,
        }
    }
}

/// The training objective.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Objective {
    /// Adversarial loss.
    pub gan: Gan,
    /// Distance to the target.
    pub distance: Distance,
    /// Weight of the distance, 100 in the paper.
    pub lambda: f32,
    /// The discriminator sees the input beside the output.
    pub conditional: bool,
}

impl Objective {
    /// Whether there is an adversarial loss.
    pub fn is_adversarial(&self) -> bool {
        self.gan != Gan::None
    }

    /// Channels that a discriminator sees, for images with `input` and `output` channels.
    pub fn discriminator_channels(&self, input: usize, output: usize) -> usize {
        if self.conditional { input + output } else { output }
    }
}
