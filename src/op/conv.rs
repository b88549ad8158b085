//! Convolution: y = conv(x, w) + bias.
//!
//! y (n,p,q,k) from x (n,h,w,c), filter (k,r,s,c) and, if there is one, bias (1,1,1,k);
//! p = (h + 2 pad - r) / stride + 1.

use crate::error::{Error, Result};
use crate::kernel::{Backend, Conv, ConvArgs, Pass, Write};
use crate::tape::{Attribute, Io, Need, Op, Phase, Tape, Var};
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

    fn passes(&self, io: &Io, phase: Phase) -> Vec<ConvArgs> {
        match phase {
            Phase::Forward => vec![self.forward_args(io)],
            Phase::Backward => self.backward_args(io),
        }
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

    fn operations(&self, io: &Io, phase: Phase) -> u64 {
        operations(io.y.shape, io, phase)
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

/// The gradient whose sum is the bias's, where that is wanted.
fn summed(io: &Io, phase: Phase) -> Option<View> {
    let bias = io.dx.get(2).is_some_and(Option::is_some);
    (phase == Phase::Backward && bias).then_some(io.dy)
}

/// What the passes, and the gradient of the bias, take beside their operands.
pub(super) fn workspace(b: &dyn Backend, passes: &[ConvArgs], io: &Io, phase: Phase) -> Vec<Need> {
    let need = |args: &ConvArgs| {
        let filter = Some((io.x[1], args.pass));
        Need { filter, workspace: b.conv_workspace(args) }
    };
    let sum = summed(io, phase).map(|dy| Need::of(b.channel_sum_workspace(dy)));
    passes.iter().map(need).chain(sum).collect()
}

/// Whether the device can do the passes, and the gradient of the bias.
pub(super) fn supports(b: &dyn Backend, passes: &[ConvArgs], io: &Io, phase: Phase) -> Result<()> {
    passes.iter().try_for_each(|args| b.conv_supports(args))?;
    summed(io, phase).map_or(Ok(()), |dy| b.channel_sum_supports(dy))
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
