//! The operations a network is written in. One file an operation: its shape rule, its work, its
//! way back, and the method that records it on a [`Tape`](crate::tape::Tape).

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
mod stack;
mod upsample;

pub use norm::{NormUse, NormVars};

use crate::error::Result;
use crate::kernel::Backend;
use crate::tape::Io;
use crate::tensor::View;

/// Whether the device can read and write all of these tensors in one kernel, as it can those of a
/// scaled copy.
fn stored_alike(b: &dyn Backend, views: &[View]) -> Result<()> {
    let Some((first, rest)) = views.split_first() else { return Ok(()) };
    rest.iter().try_for_each(|view| b.scale_supports(*first, *view))
}

/// What a backward pass reads, and the gradients that it writes.
fn gradients(reads: &[View], io: &Io) -> Vec<View> {
    reads.iter().chain(io.dx.iter().flatten().map(|(view, _)| view)).copied().collect()
}
