//! The three passes of a two-dimensional convolution, which serve its transpose too.
//!
//! ```text
//! fprop   y[n,p,q,k] = bias[k] + sum over r,s,c of
//!                      x[n, p*stride - pad + r, q*stride - pad + s, c] * w[k,r,s,c]
//! dgrad   dx[n,h,w,c] = bias[c] + sum over r,s,k with h = p*stride - pad + r of
//!                       dy[n,p,q,k] * w[k,r,s,c]
//! wgrad   dw[k,r,s,c] = sum over n,p,q of
//!                       dy[n,p,q,k] * x[n, p*stride - pad + r, q*stride - pad + s, c]
//! ```
//!
//! Positions outside a picture count as 0. A transposed convolution is [`Pass::Dgrad`] forward
//! and [`Pass::Fprop`] backward (Dumoulin and Visin, "A guide to convolution arithmetic for deep
//! learning", section 4).
//!
//! The CPU chooses its algorithm by shape alone ([`Way::of`]), so that results never depend on the
//! number of threads.

use rayon::prelude::*;

use super::{Workspace, Write, im2col, narrow, winograd};
use crate::device::Cpu;
use crate::error::{Error, Result};
use crate::tensor::{Shape, View};

/// Window of a convolution: `r` rows and `s` columns, `stride` apart, on a picture padded by `pad`
/// zeros on every side.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Conv {
    /// Rows of the filter.
    pub r: usize,
    /// Columns of the filter.
    pub s: usize,
    /// Pixels from one window to the next, at least 1.
    pub stride: usize,
    /// Rows and columns of zeros on every side.
    pub pad: usize,
}

impl Conv {
    /// 4 x 4, stride 2, pad 1: halves height and width; transposed it doubles them.
    pub const HALVE: Conv = Conv::square(4, 2, 1);
    /// 4 x 4, stride 1, pad 1: the last layers of a PatchGAN; one row and one column less.
    pub const PATCH: Conv = Conv::square(4, 1, 1);
    /// 1 x 1, stride 1, no padding: a matrix product per pixel.
    pub const PIXEL: Conv = Conv::square(1, 1, 0);

    /// A window of `size` x `size`.
    pub const fn square(size: usize, stride: usize, pad: usize) -> Self {
        Conv { r: size, s: size, stride, pad }
    }

    /// Shape of y for x (n,h,w,c): (h + 2 pad - r) / stride + 1 rows, columns likewise, `k`
    /// channels.
    ///
    /// # Errors
    /// [`Error::Shape`] where the window is larger than the padded picture.
    pub fn shrink(self, x: Shape, k: usize) -> Result<Shape> {
        let (h, w) = (x.h + 2 * self.pad, x.w + 2 * self.pad);
        if h < self.r || w < self.s || self.stride == 0 {
            let detail = format!(
                "a {} x {} window does not fit into {x} with {} zeros around it; use a larger \
                 picture or fewer layers",
                self.r, self.s, self.pad
            );
            return Err(Error::shape("conv", detail));
        }
        Ok(Shape::new(x.n, (h - self.r) / self.stride + 1, (w - self.s) / self.stride + 1, k))
    }

    /// Shape of the transposed convolution's result for x (n,h,w,k): (h - 1) stride + r - 2 pad
    /// rows, columns likewise, `c` channels.
    ///
    /// # Errors
    /// [`Error::Shape`] where no row or no column would be left.
    pub fn grow(self, x: Shape, c: usize) -> Result<Shape> {
        let full = |len: usize, taps: usize| {
            ((len.max(1) - 1) * self.stride + taps).checked_sub(2 * self.pad).filter(|&l| l > 0)
        };
        match (full(x.h, self.r), full(x.w, self.s)) {
            (Some(h), Some(w)) => Ok(Shape::new(x.n, h, w, c)),
            _ => Err(Error::shape("conv_transpose", format!("the padding leaves nothing of {x}"))),
        }
    }

    /// Taps of one filter, r * s.
    pub const fn taps(self) -> usize {
        self.r * self.s
    }

    /// The input row that tap `r` of output row `p` reads, if it is inside 0..h. The same formula
    /// serves columns.
    #[inline(always)]
    pub(crate) fn source(self, p: usize, r: usize, h: usize) -> Option<usize> {
        (p * self.stride + r).checked_sub(self.pad).filter(|&i| i < h)
    }
}

/// One of the three passes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Pass {
    /// y from x and w.
    Fprop,
    /// dx from dy and w.
    Dgrad,
    /// dw from x and dy.
    Wgrad,
}

/// A pass and its operands, named by the letters of the formulas whether they are values or
/// gradients. The result is y of fprop, x of dgrad and w of wgrad.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ConvArgs {
    /// The pass to compute.
    pub pass: Pass,
    /// The window.
    pub conv: Conv,
    /// x or dx, (n,h,w,c).
    pub x: View,
    /// w or dw, (k,r,s,c), f32.
    pub w: View,
    /// y or dy, (n,p,q,k).
    pub y: View,
    /// Added to every pixel of the result: (1,1,1,k) in fprop, (1,1,1,c) in dgrad, where it is the
    /// bias of a transposed convolution; wgrad takes none.
    pub bias: Option<View>,
    /// Whether the result is set or added to. With [`Write::Add`], a bias is added as well.
    pub mode: Write,
}

impl ConvArgs {
    /// The operand that the pass writes.
    pub fn result(&self) -> View {
        match self.pass {
            Pass::Fprop => self.y,
            Pass::Dgrad => self.x,
            Pass::Wgrad => self.w,
        }
    }
}

/// Convolutions on a device.
pub trait ConvKernels {
    /// Where a convolution of a part of a picture gives the bits of that of the whole; `None` where the device
    /// does not promise it.
    fn conv_parts(&self) -> Option<Parts> {
        None
    }

    /// Computes one pass.
    ///
    /// # Errors
    /// What the device reports.
    fn conv(&mut self, args: &ConvArgs) -> Result<()>;

    /// Memory that [`ConvKernels::conv`] takes in addition to its operands.
    fn conv_workspace(&self, args: &ConvArgs) -> Workspace;

    /// Checks that the device can compute the pass.
    ///
    /// # Errors
    /// [`Error::Machine`] where it cannot, with what to change.
    fn conv_supports(&self, _args: &ConvArgs) -> Result<()> {
        Ok(())
    }
}

/// Parts of a picture whose convolutions give the bits of those of the whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parts {
    /// They begin at a multiple of so many outputs: outputs are computed in groups, counted from the edge.
    pub align: usize,
    /// They and the whole have so many outputs a side at least: for fewer, other algorithms are faster.
    pub least: usize,
}

/// The CPU's algorithms for a pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    /// [`narrow`]: a matrix product over all taps, for y of a few channels.
    Narrow,
    /// [`winograd`]: minimal filtering, for many channels and many pixels.
    MinimalFiltering,
    /// [`im2col`]: matrix products of gathered windows, for everything else.
    Gathered,
}

impl Way {
    /// The first algorithm that serves these shapes. Each module's `serves` has the bounds from
    /// which it was measured to be faster than those after it.
    fn of(args: &ConvArgs) -> Way {
        let ConvArgs { conv, w, y, .. } = args;
        if narrow::serves(*conv, w.shape) {
            Way::Narrow
        } else if winograd::serves(*conv, w.shape, y.shape) {
            Way::MinimalFiltering
        } else {
            Way::Gathered
        }
    }
}

impl ConvKernels for Cpu {
    fn conv_parts(&self) -> Option<Parts> {
        Some(winograd::PARTS)
    }

    fn conv(&mut self, args: &ConvArgs) -> Result<()> {
        match (Way::of(args), args.pass) {
            (Way::Narrow, Pass::Fprop) => narrow::fprop(self, args),
            (Way::Narrow, Pass::Dgrad) => narrow::dgrad(self, args),
            (Way::Narrow, Pass::Wgrad) => narrow::wgrad(self, args),
            (Way::MinimalFiltering, Pass::Fprop) => winograd::fprop(self, args),
            (Way::MinimalFiltering, Pass::Dgrad) => winograd::dgrad(self, args),
            (Way::MinimalFiltering, Pass::Wgrad) => winograd::wgrad(self, args),
            (Way::Gathered, Pass::Fprop) => im2col::fprop(self, args),
            (Way::Gathered, Pass::Dgrad) => im2col::dgrad(self, args),
            (Way::Gathered, Pass::Wgrad) => im2col::wgrad(self, args),
        }
        if let Some(bias) = args.bias {
            add_bias(self, bias, args.result());
        }
        Ok(())
    }

    fn conv_workspace(&self, args: &ConvArgs) -> Workspace {
        match Way::of(args) {
            Way::Narrow => Workspace::scratch(narrow::scratch(args)),
            Way::MinimalFiltering => winograd::workspace(args),
            Way::Gathered => Workspace::scratch(im2col::scratch(args)),
        }
    }
}

/// `y[.., k] += bias[k]`. Only layers without a norm have a bias, the first and the last of a
/// network, so one more pass over y costs little.
fn add_bias(cpu: &mut Cpu, bias: View, y: View) {
    let ([out], rest, work) = cpu.split([y]);
    let bias = rest.get(bias);
    work.pool.install(|| {
        out.par_chunks_mut(256 * y.pitch).for_each(|part| {
            for pixel in part.chunks_mut(y.pitch) {
                pixel.iter_mut().zip(bias).for_each(|(o, b)| *o += b);
            }
        });
    });
}
