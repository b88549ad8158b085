//! Convolution: y = conv(x, w) + bias.
//!
//! y (n,p,q,k) from x (n,h,w,c), filter (k,r,s,c) and, if there is one, bias (1,1,1,k);
//! p = (h + 2 pad - r) / stride + 1.

use crate::error::{Error, Result};
use crate::kernel::{Backend, Conv, Pass, Write};
use crate::tape::{Attribute, Io, Need, Op, Phase, Tape, Var};
use crate::tensor::Shape;

#[derive(Debug)]
struct Convolution {
    conv: Conv,
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
        b.conv_fprop(self.conv, io.x[0], io.x[1], io.x.get(2).copied(), io.y, Write::Set)
    }

    fn backward(&self, b: &mut dyn Backend, io: &Io) -> Result<()> {
        if let Some((dx, mode)) = io.dx[0] {
            b.conv_dgrad(self.conv, io.dy, io.x[1], None, dx, mode)?;
        }
        if let Some((dw, mode)) = io.dx[1] {
            b.conv_wgrad(self.conv, io.x[0], io.dy, dw, mode)?;
        }
        if let Some(&Some((db, mode))) = io.dx.get(2) {
            b.channel_sum(io.dy, db, mode)?;
        }
        Ok(())
    }

    fn operations(&self, io: &Io, phase: Phase) -> u64 {
        operations(io.y.shape, io, phase)
    }

    fn workspace(&self, b: &dyn Backend, io: &Io, phase: Phase) -> Vec<Need> {
        let (x, w, y) = (io.x[0], io.x[1], io.y);
        let need = |pass| Need {
            filter: Some((w, pass)),
            workspace: b.conv_workspace(pass, self.conv, x.shape, w.shape, y.shape),
        };
        match phase {
            Phase::Forward => vec![need(Pass::Fprop)],
            Phase::Backward => {
                let wanted = [Pass::Dgrad, Pass::Wgrad].into_iter().zip(&io.dx);
                wanted.filter(|(_, dx)| dx.is_some()).map(|(pass, _)| need(pass)).collect()
            }
        }
    }

    fn attributes(&self) -> Vec<(&'static str, Attribute)> {
        attributes(self.conv)
    }
}

/// What convolutions in both directions say of themselves.
pub(super) fn attributes(conv: Conv) -> Vec<(&'static str, Attribute)> {
    vec![
        ("window", Attribute::Counts(vec![conv.r, conv.s])),
        ("stride", Attribute::Count(conv.stride)),
        ("pad", Attribute::Count(conv.pad)),
    ]
}

/// 2 x pixels x taps x c x k for each pass, `smaller` being the side with fewer pixels. The filter is
/// (k,r,s,c).
pub(super) fn operations(smaller: Shape, io: &Io, phase: Phase) -> u64 {
    let passes = match phase {
        Phase::Forward => 1,
        Phase::Backward => io.dx.iter().take(2).flatten().count() as u64,
    };
    passes * 2 * (smaller.pixels() * io.x[1].shape.count()) as u64
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
