//! The interface of recipes: what is learnt, independent of the run.

use std::fmt::Debug;
use std::path::Path;

use super::{Networks, Scores};
use crate::data::Image;
use crate::error::Result;
use crate::kernel::{Backend, Statistics};
use crate::model::Network;
use crate::tape::{Tape, Var};
use crate::tensor::SampleRange;

/// An input of a step: a batch of images.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StepInput {
    /// Its name in the program, such as "a".
    pub name: &'static str,
    /// Its number of channels.
    pub channels: usize,
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

/// What is learnt: the networks, how a step trains them, and how their output is shown and scored.
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

    /// The inputs of a step: the input image, then the target.
    fn inputs(&self) -> [StepInput; 2];

    /// Records a step on one batch: forward, losses, backward, optimisers.
    ///
    /// # Errors
    /// Shapes that do not fit the networks.
    fn record(&self, tape: &mut Tape, networks: &Networks, inputs: [Var; 2]) -> Result<Recorded>;

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

    /// Scores an output against its target, whose samples have this `range`.
    ///
    /// # Errors
    /// Images that differ in size, channels or sample type.
    fn score(&self, output: &Image, target: &Image, range: SampleRange) -> Result<Scores>;

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
