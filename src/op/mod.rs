//! The operations that networks are written in. One file per operation: its shape rule, its forward
//! and backward pass, and the method that records it on a [`Tape`](crate::tape::Tape).

mod activation;
mod add;
mod concat;
mod conv;
mod cross_entropy;
mod dropout;
mod loss;
mod norm;
mod pad;
mod pool;
mod softmax;
mod stack;
mod upsample;
mod weigh;

pub use norm::{NormUse, NormVars};

use crate::error::Result;
use crate::kernel::Backend;
use crate::tape::Io;
use crate::tensor::View;

/// Checks that the device can read and write all of these tensors in one kernel, which it can where
/// it can compute a scaled copy of one in another.
fn stored_alike(b: &dyn Backend, views: &[View]) -> Result<()> {
    let Some((first, rest)) = views.split_first() else { return Ok(()) };
    rest.iter().try_for_each(|view| b.scale_supports(*first, *view))
}

/// The tensors that a backward pass reads, followed by the gradients that it writes.
fn gradients(reads: &[View], io: &Io) -> Vec<View> {
    reads.iter().chain(io.dx.iter().flatten().map(|(view, _)| view)).copied().collect()
}
