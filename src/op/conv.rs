//! Convolution: y = conv(x, w) + bias.
//!
//! y (n,p,q,k) from x (n,h,w,c), filter (k,r,s,c) and, if there is one, bias (1,1,1,k);
//! p = (h + 2 pad - r) / stride + 1.

use crate::error::{Error, Result};
use crate::kernel::{Backend, Conv, ConvArgs, Pass, Workspace, Write};
use crate::tape::{Io, Op, Tape, Var};
use crate::tensor::{Shape, View};

#[derive(Debug)]
struct Convolution {
    conv: Conv,
}

impl Convolution {
    fn forward_args(&self, io: &Io) -> ConvArgs {
        let (conv, bias) = (self.conv, io.x.get(2).copied());
        let (x, w, y) = (io.x[0], io.x[1], io.y);
        ConvArgs { pass: Pass::Fprop, conv, x, w, y, bias, mode: Write::Set }
    }

    /// The passes of the wanted gradients, but for that of the bias.
    fn backward_args(&self, io: &Io) -> Vec<ConvArgs> {
        let (conv, x, w, y) = (self.conv, io.x[0], io.x[1], io.dy);
        let of_x = io.dx[0].map(|(x, mode)| (Pass::Dgrad, x, w, mode));
        let of_w = io.dx[1].map(|(w, mode)| (Pass::Wgrad, x, w, mode));
        let args = |(pass, x, w, mode)| ConvArgs { pass, conv, x, w, y, bias: None, mode };
        of_x.into_iter().chain(of_w).map(args).collect()
    }
}

impl Op for Convolution {
    fn name(&self) -> &'static str {
        "conv"
    }

    fn infer(&self, inputs: &[Shape]) -> Result<Shape> {
        let (&[x, w] | &[x, w, _]) = inputs else {
            return Err(Error::arity(self.name(), 2, inputs.len()));
        };
        if x.c != w.c {
            return Err(Error::channels(self.name(), x, w.c, w));
        }
        check_filter(self.name(), self.conv, w, inputs.get(2).copied(), w.n)?;
        self.conv.shrink(x, w.n)
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

    fn workspace(&self, b: &dyn Backend, io: &Io, backward: bool) -> Vec<(View, Pass, Workspace)> {
        let args = if backward { self.backward_args(io) } else { vec![self.forward_args(io)] };
        args.iter().map(|args| (io.x[1], args.pass, b.conv_workspace(args))).collect()
    }
}

/// The filter has the window's extents and the bias one number a channel of the output.
pub(super) fn check_filter(
    op: &'static str,
    conv: Conv,
    w: Shape,
    bias: Option<Shape>,
    channels: usize,
) -> Result<()> {
    if (w.h, w.w) != (conv.r, conv.s) {
        let detail = format!("the window is {} x {}, the filter {w}", conv.r, conv.s);
        return Err(Error::shape(op, detail));
    }
    match bias {
        Some(b) if b != Shape::vector(channels) => {
            Err(Error::shape(op, format!("bias {b} for {channels} channels")))
        }
        _ => Ok(()),
    }
}

impl Tape {
    /// y = conv(x, w) + bias.
    ///
    /// # Errors
    /// Shapes that do not fit: channels of x and filter, window and filter, bias and filters, or a
    /// window larger than the padded picture.
    pub fn conv(&mut self, conv: Conv, x: Var, w: Var, bias: Option<Var>) -> Result<Var> {
        let inputs: Vec<Var> = [x, w].into_iter().chain(bias).collect();
        self.push(Convolution { conv }, &inputs)
    }
}
