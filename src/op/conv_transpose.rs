//! Transposed convolution: the adjoint of `conv`, so the same three products with the roles
//! exchanged.
//!
//! y (n,h',w',c) from x (n,h,w,k), filter (k,r,s,c) and, if there is one, bias (1,1,1,c);
//! h' = (h - 1) stride + r - 2 pad. Source: Dumoulin and Visin, "A guide to convolution arithmetic
//! for deep learning", section 4.

use super::conv::{attributes, check_filter, operations};
use crate::error::{Error, Result};
use crate::kernel::{Backend, Conv, Pass, Write};
use crate::tape::{Attribute, Io, Need, Op, Phase, Tape, Var};
use crate::tensor::Shape;

#[derive(Debug)]
struct ConvTranspose {
    conv: Conv,
}

impl Op for ConvTranspose {
    fn name(&self) -> &'static str {
        "conv_transpose"
    }

    fn infer(&self, inputs: &[Shape]) -> Result<Shape> {
        let (&[x, w] | &[x, w, _]) = inputs else {
            return Err(Error::arity(self.name(), 2, inputs.len()));
        };
        if x.c != w.n {
            return Err(Error::channels(self.name(), x, w.n, w));
        }
        check_filter(self.name(), self.conv, w, inputs.get(2).copied(), w.c)?;
        self.conv.grow(x, w.c)
    }

    fn forward(&self, b: &mut dyn Backend, io: &Io) -> Result<()> {
        b.conv_dgrad(self.conv, io.x[0], io.x[1], io.x.get(2).copied(), io.y, Write::Set)
    }

    fn backward(&self, b: &mut dyn Backend, io: &Io) -> Result<()> {
        if let Some((dx, mode)) = io.dx[0] {
            b.conv_fprop(self.conv, io.dy, io.x[1], None, dx, mode)?;
        }
        if let Some((dw, mode)) = io.dx[1] {
            b.conv_wgrad(self.conv, io.dy, io.x[0], dw, mode)?;
        }
        if let Some(&Some((db, mode))) = io.dx.get(2) {
            b.channel_sum(io.dy, db, mode)?;
        }
        Ok(())
    }

    fn operations(&self, io: &Io, phase: Phase) -> u64 {
        operations(io.x[0].shape, io, phase)
    }

    fn workspace(&self, b: &dyn Backend, io: &Io, phase: Phase) -> Vec<Need> {
        let (x, w, y) = (io.y, io.x[1], io.x[0]);
        let need = |pass| Need {
            filter: Some((w, pass)),
            workspace: b.conv_workspace(pass, self.conv, x.shape, w.shape, y.shape),
        };
        match phase {
            Phase::Forward => vec![need(Pass::Dgrad)],
            Phase::Backward => {
                let wanted = [Pass::Fprop, Pass::Wgrad].into_iter().zip(&io.dx);
                wanted.filter(|(_, dx)| dx.is_some()).map(|(pass, _)| need(pass)).collect()
            }
        }
    }

    fn attributes(&self) -> Vec<(&'static str, Attribute)> {
        attributes(self.conv)
    }
}

impl Tape {
    /// y = adjoint(x, w) + bias. Doubles height and width when `conv` is [`Conv::HALVE`].
    ///
    /// # Errors
    /// Shapes that do not fit: channels of x and filter, window and filter, bias and filter.
    pub fn conv_transpose(&mut self, conv: Conv, x: Var, w: Var, bias: Option<Var>) -> Result<Var> {
        let inputs: Vec<Var> = [x, w].into_iter().chain(bias).collect();
        self.push(ConvTranspose { conv }, &inputs)
    }
}
