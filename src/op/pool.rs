//! Max pooling and average pooling: y (n,p,q,c) from x (n,h,w,c), p = (h + 2 pad - r) / stride + 1,
//! rounded down.

use super::{gradients, stored_alike};
use crate::error::{Error, Result};
use crate::kernel::{Backend, Pool, PoolArgs, PoolGradArgs};
use crate::tape::{Attribute, Io, Op, Phase, Reads, Tape, Var};
use crate::tensor::Shape;

/// What a window becomes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reduce {
    Max,
    Average,
}

#[derive(Debug)]
struct Pooling {
    reduce: Reduce,
    pool: Pool,
}

impl Op for Pooling {
    fn name(&self) -> &'static str {
        match self.reduce {
            Reduce::Max => "max_pool",
            Reduce::Average => "average_pool",
        }
    }

    fn infer(&self, inputs: &[Shape]) -> Result<Shape> {
        match inputs {
            [x] => self.pool.shrink(self.name(), *x),
            _ => Err(Error::arity(self.name(), 1, inputs.len())),
        }
    }

    fn forward(&self, b: &mut dyn Backend, io: &Io) -> Result<()> {
        let args = PoolArgs { pool: self.pool, x: io.x[0], y: io.y };
        match self.reduce {
            Reduce::Max => b.max_pool(&args),
            Reduce::Average => b.average_pool(&args),
        }
    }

    fn backward(&self, b: &mut dyn Backend, io: &Io) -> Result<()> {
        let Some((dx, mode)) = io.dx[0] else { return Ok(()) };
        let args = PoolGradArgs { pool: self.pool, x: io.x[0], dy: io.dy, dx, mode };
        match self.reduce {
            Reduce::Max => b.max_pool_grad(&args),
            Reduce::Average => b.average_pool_grad(&args),
        }
    }

    fn margin(&self, inputs: &[usize]) -> usize {
        (inputs[0] + self.pool.pad).div_ceil(self.pool.stride)
    }

    fn reads_back(&self) -> Reads {
        match self.reduce {
            Reduce::Max => Reads::INPUTS,
            Reduce::Average => Reads::NOTHING,
        }
    }

    fn supports(&self, b: &dyn Backend, io: &Io, phase: Phase) -> Result<()> {
        match phase {
            Phase::Forward => stored_alike(b, &[io.x[0], io.y]),
            Phase::Backward => stored_alike(b, &gradients(&[io.x[0], io.dy], io)),
        }
    }

    fn attributes(&self) -> Vec<(&'static str, Attribute)> {
        let Pool { r, s, stride, pad } = self.pool;
        vec![
            ("window", Attribute::Counts(vec![r, s])),
            ("stride", Attribute::Count(stride)),
            ("pad", Attribute::Count(pad)),
        ]
    }
}

impl Tape {
    /// The maximum of each window; what lies outside the picture does not count. The gradient goes
    /// to the first maximum of a window, row by row.
    ///
    /// # Errors
    /// [`Error::Shape`] where the padding is more than half the window, or the window larger than
    /// the padded picture.
    pub fn max_pool(&mut self, pool: Pool, x: Var) -> Result<Var> {
        self.push(Pooling { reduce: Reduce::Max, pool }, &[x])
    }

    /// The mean of each window, in which what lies outside the picture counts as zeros.
    ///
    /// # Errors
    /// As [`Tape::max_pool`].
    pub fn average_pool(&mut self, pool: Pool, x: Var) -> Result<Var> {
        self.push(Pooling { reduce: Reduce::Average, pool }, &[x])
    }
}
