//! The interface of recipes: what is learnt, independent of the run.

use std::fmt::Debug;
use std::path::Path;

use super::Networks;
use crate::error::Result;
use crate::kernel::{Backend, Statistics};
use crate::model::Network;
use crate::tape::{Tape, Var};

/// An input of a step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StepInput {
    /// Its name in the program, such as "a".
    pub name: &'static str,
    /// Its number of channels.
    pub channels: usize,
    /// What of a batch it is given.
    pub given: Given,
}

/// What of a batch an input of a step is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Given {
    /// The input images, as a network sees them.
    Input,
    /// The target images, as a network sees them.
    Target,
    /// The classes of the targets' pixels as one-hot channels, 1 in that of the pixel and else 0; all 0
    /// where there is none.
    OneHot,
    /// The indices of the targets' classes, f32; [`Domain::no_class`](crate::data::Domain::no_class) where
    /// there is none.
    Classes,
    /// 1 where a pixel counts and 0 where it does not, f32.
    Mask,
    /// One number, f32: all pixels of the batch over those that count; 0 where none do. A mean over all
    /// pixels times this is the mean over those that count.
    Share,
}

impl Given {
    /// Whether it is f32 in every precision.
    pub fn is_f32(self) -> bool {
        matches!(self, Given::Classes | Given::Mask | Given::Share)
    }
}

/// The outputs of a recorded step.
#[derive(Clone, Debug)]
pub struct Recorded {
    /// The losses, in the order in which they are reported; all are written to `metrics.jsonl`.
    pub losses: Vec<NamedLoss>,
    /// The generated images.
    pub output: Var,
}

/// A loss of a step: one element of a recorded vector of f32.
#[derive(Clone, Debug)]
pub struct NamedLoss {
    /// Its name, such as "g_l1".
    pub name: String,
    /// The vector that contains it.
    pub value: Var,
    /// Its index in the vector.
    pub channel: usize,
}

/// What is learnt: the networks, how a step trains them, and how their output is shown.
/// [`Trainer`](super::Trainer) runs any recipe; [`Pix2Pix`](super::Pix2Pix) is the first.
///
/// A recipe is plain data; [`Networks`] places and owns the networks that it builds.
pub trait Recipe: Debug + Send + Sync {
    /// Builds the networks, each with the prefix of its tensors' names in files. The first one
    /// translates, and is saved in model files. Checkpoints and the random numbers of initial
    /// values follow this order.
    ///
    /// # Errors
    /// Networks that cannot be built.
    fn networks(&self) -> Result<Vec<(String, Box<dyn Network>)>>;

    /// The names of what is kept for a network beside its gradients, by the optimiser or as an average
    /// ([`Group::AVERAGE`](crate::tape::Group::AVERAGE)): for each a vector as long as the trained
    /// parameters, in memory and in checkpoints.
    fn state(&self, network: &str) -> &[&'static str];

    /// The inputs of a step; the first is the input image.
    fn inputs(&self) -> Vec<StepInput>;

    /// Records a step on one batch: forward, losses, backward, optimisers.
    ///
    /// # Errors
    /// Shapes that do not fit the networks.
    fn record(&self, tape: &mut Tape, networks: &Networks, inputs: &[Var]) -> Result<Recorded>;

    /// Records the translation of `x`, which previews show and validations score, with these
    /// statistics of batch norm.
    ///
    /// # Errors
    /// A size that the network cannot take.
    fn preview(
        &self,
        tape: &mut Tape,
        networks: &Networks,
        x: Var,
        statistics: Statistics,
    ) -> Result<Var>;

    /// Uploads the values of the network `name` from a file, which must hold an equal network.
    ///
    /// # Errors
    /// A file without such a network or with another configuration.
    fn take_values(
        &self,
        networks: &Networks,
        name: &str,
        b: &mut dyn Backend,
        path: &Path,
    ) -> Result<()>;
}
