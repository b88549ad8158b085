//! The trait of differentiable operations.

use std::fmt::Debug;

use super::describe::{Attribute, Describe};
use super::instruction::{Need, Phase};
use crate::error::Result;
use crate::kernel::{Backend, Write};
use crate::tensor::{Shape, View};

/// One differentiable operation: its shape rule, its forward pass and its backward pass.
///
/// The forward pass always sets its output. The backward pass sets each gradient or adds to it, as
/// the entries of [`Io::dx`] say.
pub trait Op: Debug + Send + Sync {
    /// The name in printed programs and error messages.
    fn name(&self) -> &'static str;

    /// The shape of the output from those of the inputs.
    ///
    /// # Errors
    /// [`Error::Shape`](crate::Error::Shape) where they do not fit, or their number is wrong.
    fn infer(&self, inputs: &[Shape]) -> Result<Shape>;

    /// Computes the output from the inputs.
    ///
    /// # Errors
    /// What the device reports.
    fn forward(&self, b: &mut dyn Backend, io: &Io) -> Result<()>;

    /// Computes the wanted gradients of the inputs from that of the output.
    ///
    /// # Errors
    /// What the device reports.
    fn backward(&self, b: &mut dyn Backend, io: &Io) -> Result<()>;

    /// What the backward pass reads. The memory of everything else may be reused before it runs.
    fn reads_back(&self) -> Reads {
        Reads::INPUTS
    }

    /// Whether the result is stored as f32 in every precision, as losses are. What is computed only
    /// from such values is f32 without being asked.
    fn keep_f32(&self) -> bool {
        false
    }

    /// Shapes of small f32 results that the forward pass keeps for the backward pass, such as the
    /// mean and 1 / sqrt(var + eps).
    fn keeps(&self, _inputs: &[Shape]) -> Vec<Shape> {
        Vec::new()
    }

    /// Indices of the inputs that the forward pass changes: running statistics.
    fn moves(&self) -> Vec<usize> {
        Vec::new()
    }

    /// Pixels along each edge of the output that are other numbers where the inputs are parts of larger
    /// pictures, given those of the inputs: what a window takes from beyond the edge. By default the most of
    /// the inputs, as of an operation on each pixel alone.
    fn margin(&self, inputs: &[usize]) -> usize {
        inputs.iter().copied().max().unwrap_or(0)
    }

    /// Arithmetic operations, as [`Work`](super::Work) counts them.
    fn operations(&self, _io: &Io, _phase: Phase) -> u64 {
        0
    }

    /// Memory of the device that a pass takes in addition to its operands.
    fn workspace(&self, _b: &dyn Backend, _io: &Io, _phase: Phase) -> Vec<Need> {
        Vec::new()
    }

    /// Checks that the device can run a pass.
    ///
    /// # Errors
    /// [`Error::Machine`](crate::Error::Machine) where it cannot, with what to change.
    fn supports(&self, _b: &dyn Backend, _io: &Io, _phase: Phase) -> Result<()> {
        Ok(())
    }

    /// All that the inputs' shapes do not say: window, stride, slope, rate.
    fn attributes(&self) -> Vec<(&'static str, Attribute)> {
        Vec::new()
    }

    /// Name and attributes.
    fn describe(&self) -> Describe {
        Describe { kind: self.name(), attributes: self.attributes() }
    }

    /// The channel of the output at which input `i` is stored, for an operation that only places
    /// its inputs side by side; None for an input with memory of its own.
    fn alias(&self, _inputs: &[Shape], _i: usize) -> Option<usize> {
        None
    }
}

/// What a backward pass reads in addition to the gradient of the output and what was kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reads {
    /// The inputs.
    pub inputs: bool,
    /// The output.
    pub output: bool,
}

impl Reads {
    /// Only the inputs.
    pub const INPUTS: Reads = Reads { inputs: true, output: false };
    /// Only the output.
    pub const OUTPUT: Reads = Reads { inputs: false, output: true };
    /// Neither.
    pub const NOTHING: Reads = Reads { inputs: false, output: false };
}

/// The operands of an operation.
#[derive(Clone, Debug)]
pub struct Io {
    /// The inputs.
    pub x: Vec<View>,
    /// The output.
    pub y: View,
    /// The second output, of an operation that was recorded with one.
    pub skip: Option<View>,
    /// What the forward pass keeps for the backward pass, in the shapes of [`Op::keeps`].
    pub kept: Vec<View>,
    /// Gradient of the output; in a forward pass, which has none, the output itself.
    pub dy: View,
    /// Gradient of the second output, where the loss depends on it.
    pub dskip: Option<View>,
    /// For each input, where its gradient goes and whether to set it or add to it; None where none
    /// is wanted.
    pub dx: Vec<Option<(View, Write)>>,
}
