//! The interface of generators and discriminators.

use std::fmt::Debug;

use crate::error::{Error, Result};
use crate::nn::{Layer, Mode, Params};
use crate::tape::{Tape, Var};
use crate::tensor::Shape;

/// A network: its parameters, its forward pass and its layers.
///
/// A generator turns (n,h,w,in) into (n,h,w,out) in [-1, 1]; a discriminator turns (n,h,w,in) into
/// logits (n,p,q,1).
pub trait Network: Debug + Send {
    /// Its parameters and running statistics.
    fn params(&self) -> &Params;

    /// The same, mutably, to place them.
    fn params_mut(&mut self) -> &mut Params;

    /// Records the forward pass on `x`.
    ///
    /// # Errors
    /// [`Error::Shape`] for an input whose shape does not fit.
    fn forward(&self, tape: &mut Tape, x: Var, mode: Mode) -> Result<Var>;

    /// Its blocks in the order in which they run, for an input of this shape.
    ///
    /// # Errors
    /// [`Error::Shape`] if the input is too small.
    fn layers(&self, input: Shape) -> Result<Vec<Layer>>;

    /// The number of pixels of which the input's height and width must be multiples.
    fn multiple(&self) -> usize;
}

/// Refuses inputs whose height or width is no multiple of `multiple` pixels.
pub(super) fn check_multiple(shape: Shape, multiple: usize) -> Result<()> {
    if shape.h.is_multiple_of(multiple) && shape.w.is_multiple_of(multiple) {
        return Ok(());
    }
    let detail = format!("{shape} is no multiple of {multiple} pixels each way");
    Err(Error::shape("generator", detail))
}
