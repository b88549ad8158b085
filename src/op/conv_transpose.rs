//! Transposed convolution: the adjoint of `conv`, so the same three products with the roles
//! exchanged.
//!
//! y (n,h',w',c) from x (n,h,w,k), filter (k,r,s,c) and, if there is one, bias (1,1,1,c);
//! h' = (h - 1) stride + r - 2 pad. Source: Dumoulin and Visin, "A guide to convolution arithmetic
//! for deep learning", section 4.

use super::conv::{attributes, check_filter, operations, supports, workspace};
use crate::error::{Error, Result};
use crate::kernel::{Backend, Conv, ConvArgs, Pass, Write};
use crate::tape::{Attribute, Io, Need, Op, Phase, Tape, Var};
use crate::tensor::Shape;

#[derive(Debug)]
struct ConvTranspose {
    conv: Conv,
}

impl ConvTranspose {
    /// The data gradient of the convolution whose y is this operation's input.
    fn forward_args(&self, io: &Io) -> ConvArgs {
        let (conv, bias) = (self.conv, io.x.get(2).copied());
        let (x, w, y) = (io.y, io.x[1], io.x[0]);
        ConvArgs { pass: Pass::Dgrad, conv, x, w, y, bias, mode: Write::Set }
    }

    /// The passes of the wanted gradients, but for that of the bias.
    fn backward_args(&self, io: &Io) -> Vec<ConvArgs> {
        let (conv, x, w, y) = (self.conv, io.dy, io.x[1], io.x[0]);
        let of_x = io.dx[0].map(|(y, mode)| (Pass::Fprop, w, y, mode));
        let of_w = io.dx[1].map(|(w, mode)| (Pass::Wgrad, w, y, mode));
        let args = |(pass, w, y, mode)| ConvArgs { pass, conv, x, w, y, bias: None, mode };
        of_x.into_iter().chain(of_w).map(args).collect()
    }

    fn passes(&self, io: &Io, phase: Phase) -> Vec<ConvArgs> {
        match phase {
            Phase::Forward => vec![self.forward_args(io)],
            Phase::Backward => self.backward_args(io),
        }
    }
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
        b.conv(&self.forward_args(io))
    }

    fn backward(&self, b: &mut dyn Backend, io: &Io) -> Result<()> {
        self.backward_args(io).iter().try_for_each(|args| b.conv(args))?;
        if let Some(&Some((db, mode))) = io.dx.get(2) {
            b.channel_sum(io.dy, db, mode)?;
        }
        Ok(())
    }

    fn operations(&self, io: &Io, phase: Phase) -> u64 {
        operations(io.x[0].shape, io, phase)
    }

    fn workspace(&self, b: &dyn Backend, io: &Io, phase: Phase) -> Vec<Need> {
        workspace(b, &self.passes(io, phase), io, phase)
    }

    fn supports(&self, b: &dyn Backend, io: &Io, phase: Phase) -> Result<()> {
        supports(b, &self.passes(io, phase), io, phase)
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
