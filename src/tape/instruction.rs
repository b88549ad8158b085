//! The instructions of a program.

use std::fmt::Debug;
use std::sync::Arc;

use super::{Io, Op};
use crate::error::Result;
use crate::kernel::{Backend, Pass, Workspace};
use crate::tensor::View;

/// One step of a program, with all its addresses: the forward or backward pass of an operation, a
/// fill, a step of an optimiser. Whatever needs to know something about a program asks its
/// instructions.
pub trait Instruction: Debug + Send + Sync {
    /// The name in printed programs and reports: "forward conv", "adam".
    fn name(&self) -> String;

    /// The tensors whose elements it reads, including those that it adds to.
    fn reads(&self) -> Vec<View>;

    /// The tensors whose elements it writes.
    fn writes(&self) -> Vec<View>;

    /// The necessary work, whatever a device does beyond it: every tensor is moved once where it is
    /// read and once where it is written.
    fn work(&self) -> Work {
        Work { operations: 0, bytes: bytes(&self.reads()) + bytes(&self.writes()) }
    }

    /// Memory of the device that it takes in addition to its operands.
    fn workspace(&self, _b: &dyn Backend) -> Vec<Need> {
        Vec::new()
    }

    /// Checks that the device can run it. [`Tape::compile`](super::Tape::compile) asks once, so
    /// that a run never fails on a shape.
    ///
    /// # Errors
    /// [`Error::Machine`](crate::Error::Machine) where it cannot, with what to change.
    fn supports(&self, _b: &dyn Backend) -> Result<()> {
        Ok(())
    }

    /// Runs it.
    ///
    /// # Errors
    /// What the device reports.
    fn run(&self, b: &mut dyn Backend) -> Result<()>;

    /// What a printed program shows after the name: the tensors written and the tensors read.
    fn detail(&self) -> String {
        format!("{} <- {}", places(&self.writes()), places(&self.reads()))
    }

    /// The operation that it applies; None for an instruction that applies none.
    fn application(&self) -> Option<Application<'_>> {
        None
    }
}

/// Necessary work of an instruction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Work {
    /// Multiplications and additions of convolutions: 2 x pixels x taps x c x k for each pass, with
    /// the pixels of the smaller of x and y. 0 for everything else, which is bound by memory.
    pub operations: u64,
    /// Bytes read and written.
    pub bytes: u64,
}

/// Memory of a device that an instruction takes in addition to its operands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Need {
    /// The filter and the pass that `workspace.kept` belongs to: it is held once for all
    /// instructions that share both. None where it belongs to this instruction alone.
    pub filter: Option<(View, Pass)>,
    /// The amount.
    pub workspace: Workspace,
}

impl Need {
    /// A need whose memory belongs to no filter.
    pub fn of(workspace: Workspace) -> Need {
        Need { filter: None, workspace }
    }
}

/// The direction in which an operation is applied.
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
    /// The operation: its forward and its backward instruction share one object.
    pub op: &'a Arc<dyn Op>,
    /// Its operands.
    pub io: &'a Io,
    /// The direction.
    pub phase: Phase,
}

/// Bytes of all elements of some tensors.
pub(super) fn bytes(views: &[View]) -> u64 {
    views.iter().map(|v| (v.shape.count() * v.elem.size()) as u64).sum()
}

/// A View in a printed program: "1x64x64x3@1024", followed by "/PITCH" where it is not dense.
pub(super) fn place(v: &View) -> String {
    let pitch = if v.is_dense() { String::new() } else { format!("/{}", v.pitch) };
    format!("{}@{}{pitch}", v.shape, v.at)
}

/// Several Views in a printed program.
pub(super) fn places(views: &[View]) -> String {
    views.iter().map(place).collect::<Vec<_>>().join(", ")
}
