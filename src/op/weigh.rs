//! The product of every pixel's channels with the pixel's weight.

use super::{gradients, stored_alike};
use crate::error::{Error, Result};
use crate::kernel::{Backend, WeighArgs, Write};
use crate::tape::{Io, Op, Phase, Reads, Tape, Var};
use crate::tensor::Shape;

#[derive(Debug)]
struct Weigh;

fn forward_args(io: &Io) -> WeighArgs {
    WeighArgs { x: io.x[0], weights: io.x[1], y: io.y, mode: Write::Set }
}

impl Op for Weigh {
    fn name(&self) -> &'static str {
        "weigh"
    }

    fn infer(&self, inputs: &[Shape]) -> Result<Shape> {
        match inputs {
            [x, weights] if *weights == (Shape { c: 1, ..*x }) => Ok(*x),
            [x, weights] => {
                let expected = Shape { c: 1, ..*x };
                let detail = format!(
                    "weights {weights} for {x}; give one weight a pixel, which is {expected}"
                );
                Err(Error::shape(self.name(), detail))
            }
            _ => Err(Error::arity(self.name(), 2, inputs.len())),
        }
    }

    fn forward(&self, b: &mut dyn Backend, io: &Io) -> Result<()> {
        b.weigh(&forward_args(io))
    }

    /// Weights have no gradient: it is 0 where one is asked for.
    fn backward(&self, b: &mut dyn Backend, io: &Io) -> Result<()> {
        if let Some((dx, mode)) = io.dx[0] {
            b.weigh(&WeighArgs { x: io.dy, weights: io.x[1], y: dx, mode })?;
        }
        match io.dx[1] {
            Some((weights, Write::Set)) => b.fill(weights, 0.0),
            _ => Ok(()),
        }
    }

    fn reads_back(&self) -> Reads {
        Reads::INPUTS
    }

    fn supports(&self, b: &dyn Backend, io: &Io, phase: Phase) -> Result<()> {
        b.weigh_supports(&forward_args(io))?;
        match phase {
            Phase::Forward => stored_alike(b, &[io.x[0], io.y]),
            Phase::Backward => stored_alike(b, &gradients(&[io.dy], io)[..]),
        }
    }
}

impl Tape {
    /// y = the channels of each pixel of x times the pixel's weight, which has no gradient. A weight of 0
    /// keeps a pixel out of what follows, forward and backward. Weights are f32 on every device:
    /// [`Tape::input_f32`].
    ///
    /// # Errors
    /// [`Error::Shape`] where there is not one weight a pixel.
    pub fn weigh(&mut self, x: Var, weights: Var) -> Result<Var> {
        self.push(Weigh, &[x, weights])
    }
}
