//! The operations a network is written in. One file an operation: its shape rule, its work, its
//! way back, and the method that records it on a [`Tape`](crate::tape::Tape).

mod activation;
mod add;
mod concat;
mod conv;
mod conv_transpose;
mod dropout;
mod loss;
mod norm;
mod stack;

pub use norm::{NormUse, NormVars};

use crate::error::{Error, Result};
use crate::tape::Io;
use crate::tensor::View;

/// Refuses tensors of one operation that are stored differently: a kernel reads all as one type.
fn stored_alike(op: &'static str, views: &[View]) -> Result<()> {
    let Some((first, rest)) = views.split_first() else { return Ok(()) };
    match rest.iter().find(|view| view.elem != first.elem) {
        None => Ok(()),
        Some(other) => {
            let detail = format!(
                "{} is stored as {:?} and {} as {:?} in this precision; use --precision f32, or a \
                 tensor that a layer has computed in place of a parameter, a constant or a loss",
                first.shape, first.elem, other.shape, other.elem
            );
            Err(Error::shape(op, detail))
        }
    }
}

/// What a backward pass reads, and the gradients that it writes.
fn gradients(reads: &[View], io: &Io) -> Vec<View> {
    reads.iter().chain(io.dx.iter().flatten().map(|(view, _)| view)).copied().collect()
}
