//! Memory and time: all that a backend does that is not arithmetic.
//!
//! One arena holds everything. Its front is persistent (parameters, moments, running statistics);
//! what a [`Program`](crate::tape::Program) needs while it runs is planned behind that, so several
//! programs of one device, such as a training step and a validation pass, share the same memory.

mod arena;
mod cpu;
mod cuda;
mod memo;

pub use arena::{ALIGNMENT, Arena};
pub use cpu::Cpu;
pub(crate) use cpu::{Resources, Rest, grown};
pub use cuda::*;
pub(crate) use cuda::{device_constants, device_enum, device_struct, plain};

use std::sync::Arc;

use crate::error::Result;
use crate::tensor::{Elem, View};

/// Runs whose losses are kept.
pub const RING_ROWS: usize = 64;
/// Losses of a run that are kept, at most.
pub const RING_WIDTH: usize = 8;

/// What changes from step to step; everything else about a program is fixed when it is compiled.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StepState {
    /// Seed of the run: the key of every random number.
    pub seed: u64,
    /// Number of the step, from 1. Adam's bias correction and dropout masks depend on it.
    pub step: u64,
    /// Learning rate of this step.
    pub lr: f32,
    /// Number of the batch within the step, from 0, where the gradients of several are added up:
    /// each has dropout masks of its own. Below 2^24.
    pub micro: u32,
}

impl Default for StepState {
    fn default() -> Self {
        StepState { seed: 0, step: 1, lr: 0.0, micro: 0 }
    }
}

/// Memory and time of a machine.
pub trait Device {
    /// Makes the arena at least `elements` f32 long; what it holds stays.
    ///
    /// # Errors
    /// [`Error::Machine`](crate::Error::Machine) where the memory cannot be had.
    fn reserve(&mut self, elements: usize) -> Result<()>;
    /// Copies host numbers, dense, into `to`.
    fn upload(&mut self, to: View, from: &[f32]) -> Result<()>;
    /// Copies numbers that never change into `to`, dense f32, as part of a program. A device with
    /// memory of its own is given them once, and copies them from there in every run.
    ///
    /// # Errors
    /// [`Error::Machine`](crate::Error::Machine) where the memory cannot be had.
    fn copy_constant(&mut self, values: &Arc<[f32]>, to: View) -> Result<()>;
    /// Copies `from` into host numbers, dense.
    fn download(&self, from: View, to: &mut [f32]) -> Result<()>;
    /// What the next run of a program is to use as step number, rate, seed and micro-step. Its losses are kept
    /// in a new row of the ring.
    fn set_state(&mut self, state: StepState);
    /// The first `count` losses of the last `runs` rows of the ring, oldest first; at most
    /// [`RING_ROWS`] rows. Waits for those runs.
    ///
    /// # Errors
    /// [`Error::Machine`](crate::Error::Machine) where a run failed.
    fn kept_losses(&self, runs: usize, count: usize) -> Result<Vec<Vec<f32>>>;
    /// How many runs a host should let pass before it waits for their losses: a device that works on
    /// its own is kept busy while the host prepares what comes next.
    fn runs_ahead(&self) -> usize {
        1
    }
    /// Whether its memory is the host's own.
    fn is_host(&self) -> bool {
        true
    }
    /// What it stores activations and their gradients as.
    fn elem(&self) -> Elem {
        Elem::F32
    }
    /// Bytes of memory that are free now, if the device can tell.
    fn free_memory(&self) -> Option<u64>;
    /// A name for humans: "CPU, 2 threads, AVX-512".
    fn describe(&self) -> String;
}
