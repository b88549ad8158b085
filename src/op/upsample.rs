//! Nearest upsampling: y (n, factor h, factor w, c) from x (n,h,w,c).

use super::{gradients, stored_alike};
use crate::error::{Error, Result};
use crate::kernel::{Backend, UpsampleArgs, UpsampleGradArgs};
use crate::tape::{Attribute, Io, Op, Phase, Reads, Tape, Var};
use crate::tensor::Shape;

#[derive(Debug)]
struct Upsample {
    factor: usize,
}

impl Op for Upsample {
    fn name(&self) -> &'static str {
        "upsample"
    }

    fn infer(&self, inputs: &[Shape]) -> Result<Shape> {
        match (inputs, self.factor) {
            ([x], 0) => {
                let detail = format!("nothing is left of {x} times 0; use a factor of 1 or more");
                Err(Error::shape(self.name(), detail))
            }
            ([x], factor) => Ok(Shape { h: factor * x.h, w: factor * x.w, ..*x }),
            _ => Err(Error::arity(self.name(), 1, inputs.len())),
        }
    }

    fn forward(&self, b: &mut dyn Backend, io: &Io) -> Result<()> {
        b.upsample(&UpsampleArgs { factor: self.factor, x: io.x[0], y: io.y })
    }

    fn backward(&self, b: &mut dyn Backend, io: &Io) -> Result<()> {
        let Some((dx, mode)) = io.dx[0] else { return Ok(()) };
        b.upsample_grad(&UpsampleGradArgs { factor: self.factor, dy: io.dy, dx, mode })
    }

    fn margin(&self, inputs: &[usize]) -> usize {
        inputs[0] * self.factor
    }

    fn reads_back(&self) -> Reads {
        Reads::NOTHING
    }

    fn supports(&self, b: &dyn Backend, io: &Io, phase: Phase) -> Result<()> {
        match phase {
            Phase::Forward => stored_alike(b, &[io.x[0], io.y]),
            Phase::Backward => stored_alike(b, &gradients(&[io.dy], io)),
        }
    }

    fn attributes(&self) -> Vec<(&'static str, Attribute)> {
        vec![("factor", Attribute::Count(self.factor))]
    }
}

impl Tape {
    /// Every pixel as a square of `factor` x `factor` equal pixels.
    ///
    /// # Errors
    /// [`Error::Shape`] for a factor of 0.
    pub fn upsample(&mut self, factor: usize, x: Var) -> Result<Var> {
        self.push(Upsample { factor }, &[x])
    }
}
