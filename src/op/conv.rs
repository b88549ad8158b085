//! Convolution, y = conv(x, w) + bias, and its transpose, y = adjoint(x, w) + bias.
//!
//! Convolution: y (n,p,q,k) from x (n,h,w,c), filter (k,r,s,c) and, if there is one, bias
//! (1,1,1,k); p = (h + 2 pad - r) / stride + 1. Transposed: y (n,h',w',c) from x (n,h,w,k), filter
//! (k,r,s,c) and bias (1,1,1,c); h' = (h - 1) stride + r - 2 pad. It is the data gradient of a
//! convolution, so both are made of the same three passes. Source: Dumoulin and Visin, "A guide to
//! convolution arithmetic for deep learning", section 4.

use crate::error::{Error, Result};
use crate::kernel::{Backend, Conv, ConvArgs, Pass, Write};
use crate::tape::{Attribute, Io, Need, Op, Phase, Tape, Var};
use crate::tensor::{Shape, View};

#[derive(Debug)]
struct Convolution {
    conv: Conv,
    transposed: bool,
}

impl Convolution {
    /// The pass that computes the output.
    fn forward_args(&self, io: &Io) -> ConvArgs {
        let (conv, w, bias, mode) = (self.conv, io.x[1], io.x.get(2).copied(), Write::Set);
        if self.transposed {
            return ConvArgs { pass: Pass::Dgrad, conv, x: io.y, w, y: io.x[0], bias, mode };
        }
        ConvArgs { pass: Pass::Fprop, conv, x: io.x[0], w, y: io.y, bias, mode }
    }

    /// The passes that compute the wanted gradients, except that of the bias.
    fn backward_args(&self, io: &Io) -> Vec<ConvArgs> {
        let (conv, input, w, bias) = (self.conv, io.x[0], io.x[1], None);
        let of_input = io.dx[0].map(|(dx, mode)| match self.transposed {
            false => ConvArgs { pass: Pass::Dgrad, conv, x: dx, w, y: io.dy, bias, mode },
            true => ConvArgs { pass: Pass::Fprop, conv, x: io.dy, w, y: dx, bias, mode },
        });
        let (x, y) = if self.transposed { (io.dy, input) } else { (input, io.dy) };
        let of_filter =
            io.dx[1].map(|(w, mode)| ConvArgs { pass: Pass::Wgrad, conv, x, w, y, bias, mode });
        of_input.into_iter().chain(of_filter).collect()
    }

    fn passes(&self, io: &Io, phase: Phase) -> Vec<ConvArgs> {
        match phase {
            Phase::Forward => vec![self.forward_args(io)],
            Phase::Backward => self.backward_args(io),
        }
    }

    /// The output's gradient, where the gradient of the bias, its sum over pixels, is wanted.
    fn summed(io: &Io, phase: Phase) -> Option<View> {
        let bias = io.dx.get(2).is_some_and(Option::is_some);
        (phase == Phase::Backward && bias).then_some(io.dy)
    }

    /// Checks that the filter has the window's extents and the bias one number per output channel.
    fn check_filter(&self, w: Shape, bias: Option<Shape>, channels: usize) -> Result<()> {
        if (w.h, w.w) != (self.conv.r, self.conv.s) {
            let detail = format!("the window is {} x {}, the filter {w}", self.conv.r, self.conv.s);
            return Err(Error::shape(self.name(), detail));
        }
        match bias {
            Some(b) if b != Shape::vector(channels) => {
                Err(Error::shape(self.name(), format!("bias {b} for {channels} channels")))
            }
            _ => Ok(()),
        }
    }
}

impl Op for Convolution {
    fn name(&self) -> &'static str {
        if self.transposed { "conv_transpose" } else { "conv" }
    }

    fn infer(&self, inputs: &[Shape]) -> Result<Shape> {
        let (&[x, w] | &[x, w, _]) = inputs else {
            return Err(Error::arity(self.name(), 2, inputs.len()));
        };
        let (from, to) = if self.transposed { (w.n, w.c) } else { (w.c, w.n) };
        if x.c != from {
            return Err(Error::channels(self.name(), x, from, w));
        }
        self.check_filter(w, inputs.get(2).copied(), to)?;
        if self.transposed { self.conv.grow(x, to) } else { self.conv.shrink(x, to) }
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

    fn margin(&self, inputs: &[usize]) -> usize {
        let Conv { r, s, stride, pad, .. } = self.conv;
        let window = r.max(s);
        match self.transposed {
            // Output i takes inputs stride i - pad and on, which must be at `margin` or behind.
            false => (inputs[0] + pad).div_ceil(stride),
            // Output o takes inputs from (o + pad - window + 1) / stride on, rounded up.
            true => (stride * inputs[0] + window).saturating_sub(stride + pad),
        }
    }

    /// 2 x pixels x taps x c x k for each pass, with the pixels of the smaller of input and output.
    fn operations(&self, io: &Io, phase: Phase) -> u64 {
        let passes = match phase {
            Phase::Forward => 1,
            Phase::Backward => io.dx.iter().take(2).flatten().count() as u64,
        };
        let smaller = if self.transposed { io.x[0] } else { io.y };
        passes * 2 * (smaller.shape.pixels() * io.x[1].shape.count()) as u64
    }

    fn workspace(&self, b: &dyn Backend, io: &Io, phase: Phase) -> Vec<Need> {
        let need = |args: ConvArgs| {
            let filter = Some((io.x[1], args.pass));
            Need { filter, workspace: b.conv_workspace(&args) }
        };
        let sum = Convolution::summed(io, phase).map(|dy| Need::of(b.channel_sum_workspace(dy)));
        self.passes(io, phase).into_iter().map(need).chain(sum).collect()
    }

    fn supports(&self, b: &dyn Backend, io: &Io, phase: Phase) -> Result<()> {
        self.passes(io, phase).iter().try_for_each(|args| b.conv_supports(args))?;
        Convolution::summed(io, phase).map_or(Ok(()), |dy| b.channel_sum_supports(dy))
    }

    fn attributes(&self) -> Vec<(&'static str, Attribute)> {
        vec![
            ("window", Attribute::Counts(vec![self.conv.r, self.conv.s])),
            ("stride", Attribute::Count(self.conv.stride)),
            ("pad", Attribute::Count(self.conv.pad)),
        ]
    }
}

impl Tape {
    /// y = conv(x, w) + bias.
    ///
    /// # Errors
    /// [`Error::Shape`] where channels of x and filter, window and filter, or bias and filter do
    /// not agree, or the window is larger than the padded picture.
    pub fn conv(&mut self, conv: Conv, x: Var, w: Var, bias: Option<Var>) -> Result<Var> {
        self.convolve(Convolution { conv, transposed: false }, x, w, bias)
    }

    /// y = adjoint(x, w) + bias. Doubles height and width when `conv` is [`Conv::HALVE`].
    ///
    /// # Errors
    /// [`Error::Shape`] where channels of x and filter, window and filter, or bias and filter do
    /// not agree, or the padding leaves nothing of the result.
    pub fn conv_transpose(&mut self, conv: Conv, x: Var, w: Var, bias: Option<Var>) -> Result<Var> {
        self.convolve(Convolution { conv, transposed: true }, x, w, bias)
    }

    fn convolve(&mut self, op: Convolution, x: Var, w: Var, bias: Option<Var>) -> Result<Var> {
        let inputs: Vec<Var> = [x, w].into_iter().chain(bias).collect();
        self.push(op, &inputs)
    }
}
