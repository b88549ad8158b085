//! Dropout that does not follow a norm.

use super::{gradients, stored_alike};
use crate::error::{Error, Result};
use crate::kernel::{Backend, Dropout, Write};
use crate::tape::{Attribute, Io, Op, Phase, Reads, Tape, Var};
use crate::tensor::Shape;

#[derive(Debug)]
struct DropoutOp {
    dropout: Dropout,
}

impl Op for DropoutOp {
    fn name(&self) -> &'static str {
        "dropout"
    }

    fn infer(&self, inputs: &[Shape]) -> Result<Shape> {
        match inputs {
            [x] => Ok(*x),
            _ => Err(Error::arity(self.name(), 1, inputs.len())),
        }
    }

    fn forward(&self, b: &mut dyn Backend, io: &Io) -> Result<()> {
        b.dropout(self.dropout, io.x[0], io.y, Write::Set)
    }

    fn backward(&self, b: &mut dyn Backend, io: &Io) -> Result<()> {
        let Some((dx, mode)) = io.dx[0] else { return Ok(()) };
        b.dropout(self.dropout, io.dy, dx, mode)
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
        let Dropout { rate, stream } = self.dropout;
        vec![("rate", Attribute::Number(rate)), ("stream", Attribute::Count(stream as usize))]
    }
}

impl Tape {
    /// Sets each element to 0 with probability `rate`, in 0..1, and scales the others by
    /// 1 / (1 - rate).
    ///
    /// # Errors
    /// [`Error::Shape`] where the rate is not in 0..1.
    pub fn dropout(&mut self, rate: f32, x: Var) -> Result<Var> {
        let dropout = self.next_dropout(rate)?;
        self.push(DropoutOp { dropout }, &[x])
    }

    /// A dropout with its own stream of random numbers, for an operation that includes one.
    pub(super) fn next_dropout(&mut self, rate: f32) -> Result<Dropout> {
        if !(0.0..1.0).contains(&rate) {
            return Err(Error::shape("dropout", format!("the rate {rate} is not in 0..1")));
        }
        Ok(Dropout { rate, stream: self.next_stream() })
    }
}
