//! What generators and discriminators are to everyone else.

use std::fmt::Debug;

use crate::error::{Error, Result};
use crate::nn::{Layer, Mode, Params};
use crate::tape::{Tape, Var};
use crate::tensor::Shape;

/// A network: its parameters, how it is recorded, and what it is made of.
///
/// A generator turns (n,h,w,in) into (n,h,w,out) in [-1, 1]; a discriminator turns (n,h,w,in) into
/// logits (n,p,q,1).
pub trait Network: Debug + Send {
    /// Its parameters and running statistics.
    fn params(&self) -> &Params;

    /// The same, to be placed.
    fn params_mut(&mut self) -> &mut Params;

    /// Records the network on `x`.
    ///
    /// # Errors
    /// [`Error::Shape`] for extents that it does not take.
    fn forward(&self, tape: &mut Tape, x: Var, mode: Mode) -> Result<Var>;

    /// Its blocks in the order in which they run, for an input of these extents.
    ///
    /// # Errors
    /// [`Error::Shape`] where the input is too small.
    fn layers(&self, input: Shape) -> Result<Vec<Layer>>;

    /// Height and width of its input are multiples of this many pixels.
    fn multiple(&self) -> usize;
}

/// Refuses pictures whose sides are no multiples of `multiple` pixels.
pub(super) fn check_multiple(shape: Shape, multiple: usize) -> Result<()> {
    if shape.h.is_multiple_of(multiple) && shape.w.is_multiple_of(multiple) {
        return Ok(());
    }
    let detail = format!("{shape} is no multiple of {multiple} pixels each way");
    Err(Error::shape("generator", detail))
}
