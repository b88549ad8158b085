//! Devices: memory, transfers and step state, everything about a backend that is not arithmetic.
//!
//! One arena holds everything. Its front part is persistent (parameters, moments, running
//! statistics); what a [`Program`](crate::tape::Program) needs while it runs is planned after that,
//! so that several programs of one device, such as a training step and a validation pass, share the
//! same memory.

mod arena;
mod cpu;
mod cuda;
mod memo;

pub use crate::limits::FreeMemory;
pub use arena::{ALIGNMENT, Arena};
pub use cpu::Cpu;
#[cfg(feature = "cli")]
pub(crate) use cpu::start_shared_threads;
pub(crate) use cpu::{Resources, Rest, grown};
pub use cuda::*;
pub(crate) use cuda::{device_constants, device_enum, device_struct, plain};

use std::sync::Arc;

use crate::error::Result;
use crate::tensor::{Elem, View};

/// Rows of the ring of losses: the number of runs whose losses are kept.
pub const RING_ROWS: usize = 64;
/// Columns of the ring of losses: the most losses that are kept per run.
pub const RING_WIDTH: usize = 8;

/// What changes from step to step. Everything else about a program is fixed when it is compiled.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StepState {
    /// Seed of the run: the key of every random number.
    pub seed: u64,
    /// Number of the step, from 1. Adam's bias correction and dropout masks depend on it.
    pub step: u64,
    /// Learning rate of this step.
    pub lr: f32,
    /// Micro-step: the number of the batch within the step, from 0 and below 2^24, where the
    /// gradients of several batches are summed. Each has its own dropout masks.
    pub micro: u32,
}

impl Default for StepState {
    fn default() -> Self {
        StepState { seed: 0, step: 1, lr: 0.0, micro: 0 }
    }
}

/// Memory, transfers and step state of a device.
pub trait Device {
    /// Makes the arena at least `elements` f32 numbers long and keeps its contents.
    ///
    /// # Errors
    /// [`Error::Machine`](crate::Error::Machine) where there is not enough memory.
    fn reserve(&mut self, elements: usize) -> Result<()>;
    /// Copies numbers from the host, in dense (n,h,w,c) order, to `to`.
    ///
    /// # Errors
    /// [`Error::Shape`](crate::Error::Shape) where there are not as many as `to` has elements; what
    /// the device reports.
    fn upload(&mut self, to: View, from: &[f32]) -> Result<()>;
    /// Copies numbers that never change to `to`, dense f32, as part of a program. A device with its
    /// own memory is sent them once, and copies them from there in every run.
    ///
    /// # Errors
    /// [`Error::Machine`](crate::Error::Machine) where there is not enough memory.
    fn copy_constant(&mut self, values: &Arc<[f32]>, to: View) -> Result<()>;
    /// Copies `from` to numbers on the host, in dense (n,h,w,c) order.
    ///
    /// # Errors
    /// [`Error::Shape`](crate::Error::Shape) where `to` does not have as many as `from` has
    /// elements; what the device reports.
    fn download(&self, from: View, to: &mut [f32]) -> Result<()>;
    /// Sets seed, step number, learning rate and micro-step for the next run of a program, whose
    /// losses go to the next row of the ring.
    fn set_state(&mut self, state: StepState);
    /// The first `count` losses of the last `runs` rows of the ring, oldest first, at most
    /// [`RING_ROWS`] rows. Waits for those runs.
    ///
    /// # Errors
    /// [`Error::Machine`](crate::Error::Machine) where a run failed.
    fn kept_losses(&self, runs: usize, count: usize) -> Result<Vec<Vec<f32>>>;
    /// How many runs the host should start before it waits for their losses, so that a device that
    /// runs asynchronously stays busy while the host prepares the next batch.
    fn runs_ahead(&self) -> usize {
        1
    }
    /// Whether its memory is the host's own.
    fn is_host(&self) -> bool {
        true
    }
    /// The type that activations and their gradients are stored as.
    fn elem(&self) -> Elem {
        Elem::F32
    }
    /// Memory that is free now, and the limit that leaves no more; None where the device cannot
    /// tell.
    fn free_memory(&self) -> Option<FreeMemory>;
    /// A description for users: "CPU, 2 threads, AVX-512".
    fn describe(&self) -> String;
}
