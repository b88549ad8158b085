//! What an operation is.

use std::fmt::Debug;

use super::describe::{Attribute, Describe};
use super::instruction::{Need, Phase};
use crate::error::Result;
use crate::kernel::{Backend, Write};
use crate::tensor::{Shape, View};

/// One differentiable operation: a shape rule, the work, and the work back.
///
/// Forward always sets its output. Backward sets or adds, as each entry of [`Io::dx`] says.
pub trait Op: Debug + Send + Sync {
    /// The name in printed programs and error messages.
    fn name(&self) -> &'static str;

    /// Extents of the output from those of the inputs, or what is wrong with them.
    fn infer(&self, inputs: &[Shape]) -> Result<Shape>;

    /// The output from the inputs.
    fn forward(&self, b: &mut dyn Backend, io: &Io) -> Result<()>;

    /// The wanted gradients of the inputs from that of the output.
    fn backward(&self, b: &mut dyn Backend, io: &Io) -> Result<()>;

    /// What backward reads; the planner may give the rest's memory to others.
    fn reads_back(&self) -> Reads {
        Reads::INPUTS
    }

    /// Whether the result is f32 whatever values are stored as: losses are. What is computed from
    /// such values alone is, too.
    fn keep_f32(&self) -> bool {
        false
    }

    /// Small results that forward keeps for backward, such as mean and 1/deviation.
    fn keeps(&self, _inputs: &[Shape]) -> Vec<Shape> {
        Vec::new()
    }

    /// Inputs, by their number, that forward also changes: running statistics.
    fn moves(&self) -> Vec<usize> {
        Vec::new()
    }

    /// Operations of its matrix products, as [`Work`](super::Work) counts them.
    fn operations(&self, _io: &Io, _phase: Phase) -> u64 {
        0
    }

    /// Memory of the device that the work takes beside its operands.
    fn workspace(&self, _b: &dyn Backend, _io: &Io, _phase: Phase) -> Vec<Need> {
        Vec::new()
    }

    /// Whether the device can do it.
    ///
    /// # Errors
    /// [`Error::Shape`](crate::Error::Shape): what does not fit, both shapes, what to do.
    fn supports(&self, _b: &dyn Backend, _io: &Io, _phase: Phase) -> Result<()> {
        Ok(())
    }

    /// All that it does beside what the inputs' shapes say: window, stride, slope, rate.
    fn attributes(&self) -> Vec<(&'static str, Attribute)> {
        Vec::new()
    }

    /// Name and attributes.
    fn describe(&self) -> Describe {
        Describe { kind: self.name(), attributes: self.attributes() }
    }

    /// The channel at which input `i` lives inside the output. Concat only.
    fn alias(&self, _inputs: &[Shape], _i: usize) -> Option<usize> {
        None
    }
}

/// What a backward pass reads beside the gradient of the output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reads {
    /// The inputs.
    pub inputs: bool,
    /// The output.
    pub output: bool,
}

impl Reads {
    /// The inputs alone.
    pub const INPUTS: Reads = Reads { inputs: true, output: false };
    /// The output alone.
    pub const OUTPUT: Reads = Reads { inputs: false, output: true };
    /// Nothing but the gradient.
    pub const NOTHING: Reads = Reads { inputs: false, output: false };
}

/// What an operation sees when it runs.
#[derive(Clone, Debug)]
pub struct Io {
    /// The inputs.
    pub x: Vec<View>,
    /// The output.
    pub y: View,
    /// The second output, of an operation that was recorded with one.
    pub skip: Option<View>,
    /// What forward keeps for backward.
    pub kept: Vec<View>,
    /// Gradient of the output; the output itself while forward runs, when there is none.
    pub dy: View,
    /// Gradient of the second output, where the loss depends on it.
    pub dskip: Option<View>,
    /// Gradients of the inputs: None where none is wanted, else whether to set or to add.
    pub dx: Vec<Option<(View, Write)>>,
}
