//! What is being learnt, apart from the run that learns it.

use std::fmt::Debug;
use std::path::Path;

use super::{Networks, Scores};
use crate::data::Image;
use crate::error::Result;
use crate::kernel::Backend;
use crate::model::Network;
use crate::tape::{Tape, Var};
use crate::tensor::SampleRange;

/// A picture that a step reads, by the name it has in the program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StepInput {
    /// "a" or "b".
    pub name: &'static str,
    /// Channels of it.
    pub channels: usize,
}

/// What a recorded step leaves for the host.
#[derive(Clone, Debug)]
pub struct Recorded {
    /// Name and value of each loss, in the order in which they are reported: every one is kept, and
    /// written to `metrics.jsonl`.
    pub losses: Vec<NamedLoss>,
    /// The generated pictures.
    pub output: Var,
}

/// A loss of a step: one number of a recorded vector of f32.
#[derive(Clone, Debug)]
pub struct NamedLoss {
    /// "g_l1".
    pub name: String,
    /// The vector that it is in.
    pub value: Var,
    /// Which number of it.
    pub channel: usize,
}

/// What is being learnt: which networks, how they are trained on a batch, what is shown and measured
/// of them. [`Trainer`](super::Trainer) runs any recipe; [`Pix2Pix`](super::Pix2Pix) is the first.
///
/// A recipe is plain data: the networks it builds are placed and kept by [`Networks`].
pub trait Recipe: Debug + Send + Sync {
    /// Builds the networks, each with the name that its tensors begin with in files. The first is the
    /// one that a model file holds and that translates. The order is that of checkpoints and of the
    /// first values' random numbers.
    ///
    /// # Errors
    /// Networks that cannot be built.
    fn networks(&self) -> Result<Vec<(String, Box<dyn Network>)>>;

    /// What the optimiser keeps of each trained parameter, by name: a vector each, in memory and in
    /// checkpoints.
    fn state(&self) -> &[&'static str];

    /// What a step reads: the input, then the target.
    fn inputs(&self) -> [StepInput; 2];

    /// Records a step on one batch: forward, losses, backward, optimisers.
    ///
    /// # Errors
    /// Shapes that do not fit the networks.
    fn record(&self, tape: &mut Tape, networks: &Networks, inputs: [Var; 2]) -> Result<Recorded>;

    /// Records what a preview shows, which is also what is scored: the translation of `x`.
    ///
    /// # Errors
    /// A size that the network cannot take.
    fn preview(&self, tape: &mut Tape, networks: &Networks, x: Var) -> Result<Var>;

    /// How good an output is; `range` is that of the target's samples.
    ///
    /// # Errors
    /// Sizes that differ.
    fn score(&self, output: &Image, target: &Image, range: SampleRange) -> Result<Scores>;

    /// Takes the values of the network `name` from a file, which must describe the same network.
    ///
    /// # Errors
    /// A file without such a network, or with another one.
    fn take_values(
        &self,
        networks: &Networks,
        name: &str,
        b: &mut dyn Backend,
        path: &Path,
    ) -> Result<()>;
}
