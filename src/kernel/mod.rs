//! What a machine must be able to do: one contract per kernel family, the CPU's loops beside it.
//!
//! A kernel is a function of Views. It knows nothing of tapes, networks or training; everything it
//! needs arrives as an argument, in a struct of its family where there is much. Beside each method
//! of a contract stand two questions that can be asked before anything runs, with the same
//! arguments: `<method>_workspace`, the memory it takes beside its operands (none where there is no
//! such method), and `<method>_supports`, whether the device can do it (yes where there is none).
//! What a device has said it supports does not fail on a shape later.

mod adam;
mod conv;
mod cross_entropy;
pub mod cuda;
mod dropout;
mod gather;
mod im2col;
mod image;
mod loss;
mod narrow;
mod norm;
mod pad;
mod pointwise;
mod pool;
mod product;
mod upsample;
mod vector;
mod winograd;

pub use adam::{Adam, AdamKernels};
pub use conv::{Conv, ConvArgs, ConvKernels, Pass};
pub use cross_entropy::{CrossEntropyArgs, CrossEntropyGradArgs, CrossEntropyKernels};
pub use dropout::{Dropout, DropoutKernels};
pub use image::{ImageBatch, ImageKernels};
pub use loss::{Loss, LossArgs, LossGradArgs, LossKernels, Target};
pub use norm::{Norm, NormArgs, NormGradArgs, NormKernels, NormParams, NormScope, Statistics};
pub use pad::{PadArgs, PadGradArgs, PadKernels};
pub use pointwise::{Activation, ActivationGradArgs, PointwiseKernels};
pub use pool::{Pool, PoolArgs, PoolGradArgs, PoolKernels};
pub use upsample::{UpsampleArgs, UpsampleGradArgs, UpsampleKernels};
pub use vector::VectorKernels;

use crate::device::{Cpu, Device};
use crate::error::Result;

/// Whether a result replaces what is there or is added to it. Gradients of a value with several
/// readers are set by the first and added to by the others; who does which is decided when a
/// program is recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Write {
    /// Replace.
    Set,
    /// Add.
    Add,
}

impl Write {
    /// `old` or the new sum.
    #[inline(always)]
    pub(crate) fn merge(self, old: f32, new: f32) -> f32 {
        match self {
            Write::Set => new,
            Write::Add => old + new,
        }
    }
}

/// Memory that a kernel takes beside its operands, in units of 4 bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Workspace {
    /// Kept for its filter, from the first use on.
    pub kept: usize,
    /// Shared by all kernels, one after another.
    pub scratch: usize,
}

impl Workspace {
    /// Nothing is kept.
    pub const fn scratch(units: usize) -> Self {
        Workspace { kept: 0, scratch: units }
    }
}

/// Everything a machine must be able to do.
pub trait Backend:
    Send
    + Device
    + ConvKernels
    + NormKernels
    + PointwiseKernels
    + DropoutKernels
    + PoolKernels
    + UpsampleKernels
    + PadKernels
    + LossKernels
    + CrossEntropyKernels
    + AdamKernels
    + VectorKernels
    + ImageKernels
{
    /// Runs a program: `work` is all its kernels in order, the same each time for one `program`
    /// number. The CPU does it on one of its own threads, so that the kernels need not wake a
    /// thread each; a GPU records the second time what it does and launches the record from then on.
    ///
    /// # Errors
    /// Those of `work`.
    fn run_program(
        &mut self,
        program: u64,
        work: &mut (dyn FnMut(&mut dyn Backend) -> Result<()> + Send),
    ) -> Result<()>;
}

impl Backend for Cpu {
    fn run_program(
        &mut self,
        _program: u64,
        work: &mut (dyn FnMut(&mut dyn Backend) -> Result<()> + Send),
    ) -> Result<()> {
        let pool = self.work_mut().pool.clone();
        pool.install(|| work(self))
    }
}
