//! What a program does, one thing after another.

use std::fmt::Debug;
use std::sync::Arc;

use super::{Io, Op};
use crate::error::Result;
use crate::kernel::{Backend, Pass, Workspace};
use crate::tensor::View;

/// One thing that a program does, with every address in it: an operation forward or backward, a
/// fill, a step of an optimiser. Who wants to know something of a program asks its instructions.
pub trait Instruction: Debug + Send + Sync {
    /// The name in printed programs and reports: "forward conv", "adam".
    fn name(&self) -> String;

    /// The tensors whose elements it reads. What it adds to is among them.
    fn reads(&self) -> Vec<View>;

    /// The tensors whose elements it writes.
    fn writes(&self) -> Vec<View>;

    /// Necessary work, by definition and not by what a device does: every tensor is moved once where
    /// it is read and once where it is written.
    fn work(&self) -> Work {
        Work { operations: 0, bytes: bytes(&self.reads()) + bytes(&self.writes()) }
    }

    /// Memory of the device that it takes beside its operands.
    fn workspace(&self, _b: &dyn Backend) -> Vec<Need> {
        Vec::new()
    }

    /// Whether the device can do it. [`Tape::compile`](super::Tape::compile) asks once, so that no
    /// shape fails in a run.
    ///
    /// # Errors
    /// [`Error::Shape`](crate::Error::Shape): what does not fit, and what to do.
    fn supports(&self, _b: &dyn Backend) -> Result<()> {
        Ok(())
    }

    /// Does it.
    ///
    /// # Errors
    /// What the device reports.
    fn run(&self, b: &mut dyn Backend) -> Result<()>;

    /// What a printed program shows behind the name: what is written, from what.
    fn detail(&self) -> String {
        format!("{} <- {}", places(&self.writes()), places(&self.reads()))
    }

    /// The operation that it applies, where it applies one.
    fn application(&self) -> Option<Application<'_>> {
        None
    }
}

/// Necessary work of an instruction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Work {
    /// Multiplications and additions of matrix products, 2 x pixels x taps x c x k for each pass of
    /// a convolution, pixels being those of the smaller side. 0 where bytes are what takes time.
    pub operations: u64,
    /// Bytes read and written.
    pub bytes: u64,
}

/// Memory of a device that an instruction takes beside its operands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Need {
    /// The filter, and the pass, for which `workspace.kept` is kept: once for all instructions that
    /// use it. None where it is kept for this instruction alone.
    pub filter: Option<(View, Pass)>,
    /// How much.
    pub workspace: Workspace,
}

impl Need {
    /// What is not kept for a filter.
    pub fn of(workspace: Workspace) -> Need {
        Need { filter: None, workspace }
    }
}

/// Which way an operation is applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// The output from the inputs.
    Forward,
    /// Gradients of the inputs from that of the output.
    Backward,
}

/// An operation as an instruction applies it.
#[derive(Clone, Copy, Debug)]
pub struct Application<'a> {
    /// The operation: one object in its forward and in its backward instructions.
    pub op: &'a Arc<dyn Op>,
    /// On what.
    pub io: &'a Io,
    /// Which way.
    pub phase: Phase,
}

/// Bytes of all elements of some tensors.
pub(super) fn bytes(views: &[View]) -> u64 {
    views.iter().map(|v| (v.shape.count() * v.elem.size()) as u64).sum()
}

/// A View as a printed program has it: "1x64x64x3@1024", with "/PITCH" where it is not dense.
pub(super) fn place(v: &View) -> String {
    let pitch = if v.is_dense() { String::new() } else { format!("/{}", v.pitch) };
    format!("{}@{}{pitch}", v.shape, v.at)
}

/// Several of them.
pub(super) fn places(views: &[View]) -> String {
    views.iter().map(place).collect::<Vec<_>>().join(", ")
}
