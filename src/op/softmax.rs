//! Softmax over the channels of every pixel.

use super::{gradients, stored_alike};
use crate::error::{Error, Result};
use crate::kernel::{Backend, SoftmaxGradArgs};
use crate::tape::{Io, Op, Phase, Reads, Tape, Var};
use crate::tensor::Shape;

#[derive(Debug)]
struct Softmax;

impl Op for Softmax {
    fn name(&self) -> &'static str {
        "softmax"
    }

    fn infer(&self, inputs: &[Shape]) -> Result<Shape> {
        match inputs {
            [x] => Ok(*x),
            _ => Err(Error::arity(self.name(), 1, inputs.len())),
        }
    }

    fn forward(&self, b: &mut dyn Backend, io: &Io) -> Result<()> {
        b.softmax(io.x[0], io.y)
    }

    fn backward(&self, b: &mut dyn Backend, io: &Io) -> Result<()> {
        let Some((dx, mode)) = io.dx[0] else { return Ok(()) };
        b.softmax_grad(&SoftmaxGradArgs { y: io.y, dy: io.dy, dx, mode })
    }

    fn reads_back(&self) -> Reads {
        Reads::OUTPUT
    }

    fn supports(&self, b: &dyn Backend, io: &Io, phase: Phase) -> Result<()> {
        match phase {
            Phase::Forward => stored_alike(b, &[io.x[0], io.y]),
            Phase::Backward => stored_alike(b, &gradients(&[io.y, io.dy], io)),
        }
    }
}

impl Tape {
    /// `y[k] = exp(x[k]) / sum over j of exp(x[j])` over the channels of each pixel: the probability of each
    /// class from logits.
    ///
    /// # Errors
    /// None for a value of this tape.
    pub fn softmax(&mut self, x: Var) -> Result<Var> {
        self.push(Softmax, &[x])
    }
}
