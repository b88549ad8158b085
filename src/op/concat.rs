//! Concatenation along channels, without a kernel: each input is stored in its own channels of the
//! output's buffer, and so is its gradient.

use crate::error::{Error, Result};
use crate::kernel::Backend;
use crate::tape::{Attribute, Io, Op, Reads, Tape, Var};
use crate::tensor::Shape;

#[derive(Debug)]
struct Concat {
    /// The channel at which each input begins.
    offsets: Vec<usize>,
}

impl Op for Concat {
    fn name(&self) -> &'static str {
        "concat"
    }

    fn infer(&self, inputs: &[Shape]) -> Result<Shape> {
        let [first, rest @ ..] = inputs else { return Err(Error::arity(self.name(), 2, 0)) };
        for other in rest {
            if (other.n, other.h, other.w) != (first.n, first.h, first.w) {
                let detail = format!("pictures differ in size: {first} and {other}");
                return Err(Error::shape(self.name(), detail));
            }
        }
        Ok(Shape { c: inputs.iter().map(|s| s.c).sum(), ..*first })
    }

    fn forward(&self, _: &mut dyn Backend, _: &Io) -> Result<()> {
        Ok(())
    }

    fn backward(&self, _: &mut dyn Backend, _: &Io) -> Result<()> {
        Ok(())
    }

    fn reads_back(&self) -> Reads {
        Reads::NOTHING
    }

    fn alias(&self, _: &[Shape], i: usize) -> Option<usize> {
        Some(self.offsets[i])
    }

    fn attributes(&self) -> Vec<(&'static str, Attribute)> {
        vec![("channels", Attribute::Counts(self.offsets.clone()))]
    }
}

impl Tape {
    /// The channels of all inputs one after another: (n,h,w,sum of c) from inputs (n,h,w,c). Each
    /// input must be the result of an operation, and can be part of one concat only: [`Tape::copy`]
    /// any other first.
    ///
    /// # Errors
    /// [`Error::Shape`] where pictures differ in number or size, an input is a parameter, an input
    /// of the program or part of another concat, or is computed from another part of the same
    /// buffer.
    pub fn concat(&mut self, inputs: &[Var]) -> Result<Var> {
        let begin = |end: &mut usize, &v: &Var| {
            *end += self.shape(v).c;
            Some(*end - self.shape(v).c)
        };
        let offsets = inputs.iter().scan(0, begin).collect();
        self.push(Concat { offsets }, inputs)
    }

    /// y = x, in memory of its own.
    ///
    /// # Errors
    /// None for a value of this tape.
    pub fn copy(&mut self, x: Var) -> Result<Var> {
        self.activation(crate::kernel::Activation::Identity, x)
    }
}
