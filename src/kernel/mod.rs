//! The contracts that a device must fulfil: one trait per kernel family, with the CPU's loops in
//! the same file.
//!
//! A kernel is a function of Views. It knows nothing of tapes, networks or training; everything it
//! needs is an argument, or a field of its family's struct of arguments. A method of a contract may
//! have two companions that can be called before anything runs, with the same arguments:
//! `<method>_workspace`, the memory it takes in addition to its operands (none where there is no
//! such method), and `<method>_supports`, whether the device can run it (yes where there is none).
//! A kernel that a device has said it supports does not fail on a shape later.

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
mod softmax;
mod upsample;
mod vector;
mod weigh;
mod winograd;

pub use adam::{Adam, AdamKernels};
pub use conv::{Conv, ConvArgs, ConvKernels, Parts, Pass};
pub use cross_entropy::{CrossEntropyArgs, CrossEntropyGradArgs, CrossEntropyKernels};
pub use dropout::{Dropout, DropoutKernels};
pub(crate) use image::check_finite;
pub use image::{ImageBatch, ImageKernels};
pub use loss::{Loss, LossArgs, LossGradArgs, LossKernels, Target};
pub use norm::{Norm, NormArgs, NormGradArgs, NormKernels, NormParams, NormScope, Statistics};
pub use pad::{PadArgs, PadGradArgs, PadKernels};
pub use pointwise::{Activation, ActivationGradArgs, PointwiseKernels};
pub use pool::{Pool, PoolArgs, PoolGradArgs, PoolKernels};
pub use softmax::{SoftmaxGradArgs, SoftmaxKernels};
pub use upsample::{UpsampleArgs, UpsampleGradArgs, UpsampleKernels};
pub use vector::VectorKernels;
pub use weigh::{WeighArgs, WeighKernels};

use crate::device::{Cpu, Device};
use crate::error::Result;

/// Whether a result replaces the old contents or is added to them. The gradient of a value with
/// several readers is set by the first and added to by the others; the tape decides which is first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Write {
    /// Replace.
    Set,
    /// Add.
    Add,
}

impl Write {
    /// The number to store, given the one stored before.
    #[inline(always)]
    pub(crate) fn merge(self, old: f32, new: f32) -> f32 {
        match self {
            Write::Set => new,
            Write::Add => old + new,
        }
    }
}

/// Memory that a kernel takes in addition to its operands, in units of 4 bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Workspace {
    /// Held from the first use on, such as a transformed filter.
    pub kept: usize,
    /// Needed only while the kernel runs; all kernels share it.
    pub scratch: usize,
}

impl Workspace {
    /// Scratch memory alone.
    pub const fn scratch(units: usize) -> Self {
        Workspace { kept: 0, scratch: units }
    }
}

/// A device with all kernel families.
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
    + SoftmaxKernels
    + WeighKernels
    + AdamKernels
    + VectorKernels
    + ImageKernels
{
    /// Runs a program: `work` calls all its kernels in order, the same each time for one `program`
    /// number. The CPU runs it on one of its own threads, so that not every kernel has to wake one;
    /// a GPU captures the second run as a graph and replays that from then on.
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
