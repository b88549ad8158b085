//! Reflection padding: y (n, h + 2 pad, w + 2 pad, c) from x (n,h,w,c).

use super::{gradients, stored_alike};
use crate::error::{Error, Result};
use crate::kernel::{Backend, PadArgs, PadGradArgs};
use crate::tape::{Attribute, Io, Op, Phase, Reads, Tape, Var};
use crate::tensor::Shape;

#[derive(Debug)]
struct ReflectionPad {
    pad: usize,
}

impl Op for ReflectionPad {
    fn name(&self) -> &'static str {
        "reflection_pad"
    }

    fn infer(&self, inputs: &[Shape]) -> Result<Shape> {
        let [x] = inputs else { return Err(Error::arity(self.name(), 1, inputs.len())) };
        let (pad, side) = (self.pad, x.h.min(x.w));
        let y = Shape { h: x.h + 2 * pad, w: x.w + 2 * pad, ..*x };
        if pad >= side {
            let detail = format!(
                "{pad} pixels around {x}, which would be {y}, reflect more than the picture has; use a \
                 padding below {side} or a larger picture"
            );
            return Err(Error::shape(self.name(), detail));
        }
        Ok(y)
    }

    fn forward(&self, b: &mut dyn Backend, io: &Io) -> Result<()> {
        b.reflection_pad(&PadArgs { pad: self.pad, x: io.x[0], y: io.y })
    }

    fn backward(&self, b: &mut dyn Backend, io: &Io) -> Result<()> {
        let Some((dx, mode)) = io.dx[0] else { return Ok(()) };
        b.reflection_pad_grad(&PadGradArgs { pad: self.pad, dy: io.dy, dx, mode })
    }

    fn margin(&self, inputs: &[usize]) -> usize {
        inputs[0] + self.pad
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
        vec![("pad", Attribute::Count(self.pad))]
    }
}

impl Tape {
    /// The picture and `pad` pixels more on every side, mirrored at the outermost pixels, which are
    /// not repeated.
    ///
    /// # Errors
    /// [`Error::Shape`] where the picture has not more than `pad` rows and columns.
    pub fn reflection_pad(&mut self, pad: usize, x: Var) -> Result<Var> {
        self.push(ReflectionPad { pad }, &[x])
    }
}
