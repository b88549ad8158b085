//! The three passes of a two-dimensional convolution, which serve its transpose too.
//!
//! ```text
//! conv_fprop   y[n,p,q,k] = bias[k] + sum over r,s,c of
//!                           x[n, p*stride - pad + r, q*stride - pad + s, c] * w[k,r,s,c]
//! conv_dgrad   dx[n,h,w,c] = bias[c] + sum over r,s,k with h = p*stride - pad + r of
//!                            dy[n,p,q,k] * w[k,r,s,c]
//! conv_wgrad   dw[k,r,s,c] = sum over n,p,q of
//!                            dy[n,p,q,k] * x[n, p*stride - pad + r, q*stride - pad + s, c]
//! ```
//!
//! Positions outside a picture count as 0. A transposed convolution is `conv_dgrad` forward and
//! `conv_fprop` backward (Dumoulin and Visin, "A guide to convolution arithmetic for deep
//! learning", section 4).
//!
//! On the CPU the way is chosen by shape alone, so that results never depend on the machine's
//! number of threads: minimal filtering for the wide layers ([`winograd`]), a
//! product over taps where one side is a few channels ([`narrow`]), gathered
//! products for the rest ([`im2col`]).

use rayon::prelude::*;

use super::{Write, im2col, narrow, winograd};
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
    /// Pixels from one window to the next.
    pub stride: usize,
    /// Zeros on every side.
    pub pad: usize,
}

impl Conv {
    /// 4 x 4, stride 2, pad 1: halves height and width; transposed it doubles them.
    pub const HALVE: Conv = Conv::square(4, 2, 1);
    /// 4 x 4, stride 1, pad 1: the last layers of a PatchGAN; one pixel less each way.
    pub const PATCH: Conv = Conv::square(4, 1, 1);
    /// 1 x 1: every pixel on its own.
    pub const PIXEL: Conv = Conv::square(1, 1, 0);

    /// A square window.
    pub const fn square(size: usize, stride: usize, pad: usize) -> Self {
        Conv { r: size, s: size, stride, pad }
    }

    /// Extents of y from those of x: (h + 2 pad - r) / stride + 1 rows, `k` channels.
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

    /// Extents of the transposed convolution's result: (h - 1) stride + r - 2 pad rows.
    ///
    /// # Errors
    /// [`Error::Shape`] where nothing would be left.
    pub fn grow(self, x: Shape, c: usize) -> Result<Shape> {
        let full = |len: usize, taps: usize| {
            ((len.max(1) - 1) * self.stride + taps).checked_sub(2 * self.pad).filter(|&l| l > 0)
        };
        match (full(x.h, self.r), full(x.w, self.s)) {
            (Some(h), Some(w)) => Ok(Shape::new(x.n, h, w, c)),
            _ => Err(Error::shape("conv_transpose", format!("nothing is left of {x}"))),
        }
    }

    /// Taps of one filter, r * s.
    pub const fn taps(self) -> usize {
        self.r * self.s
    }

    /// The input row that tap `r` of output row `p` reads, if it is inside 0..h. Columns alike.
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

/// Elements that a pass takes beside its operands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Workspace {
    /// Kept for the filter, from its first use on.
    pub kept: usize,
    /// Shared by all kernels, one after another.
    pub scratch: usize,
}

/// The convolutions of a device. Shapes: x (n,h,w,c), w (k,r,s,c), y (n,p,q,k).
pub trait ConvKernels {
    /// y = conv(x, w) + bias, or y += that.
    fn conv_fprop(
        &mut self,
        conv: Conv,
        x: View,
        w: View,
        bias: Option<View>,
        y: View,
        mode: Write,
    ) -> Result<()>;

    /// dx = adjoint(dy, w) + bias, or dx += that. The bias, over c, is for the transposed
    /// convolution's forward pass.
    fn conv_dgrad(
        &mut self,
        conv: Conv,
        dy: View,
        w: View,
        bias: Option<View>,
        dx: View,
        mode: Write,
    ) -> Result<()>;

    /// dw = sum over pixels of dy times the windows of x, or dw += that.
    fn conv_wgrad(&mut self, conv: Conv, x: View, dy: View, dw: View, mode: Write) -> Result<()>;

    /// What a pass of these shapes takes beside its operands.
    fn conv_workspace(&self, pass: Pass, conv: Conv, x: Shape, w: Shape, y: Shape) -> Workspace;
}

impl ConvKernels for Cpu {
    fn conv_fprop(
        &mut self,
        conv: Conv,
        x: View,
        w: View,
        bias: Option<View>,
        y: View,
        mode: Write,
    ) -> Result<()> {
        if narrow::serves(conv, w.shape) {
            narrow::fprop(self, conv, x, w, y, mode);
        } else if winograd::serves(conv, w.shape, y.shape) {
            winograd::fprop(self, conv, x, w, y, mode);
        } else {
            im2col::fprop(self, conv, x, w, y, mode);
        }
        add_bias(self, bias, y);
        Ok(())
    }

    fn conv_dgrad(
        &mut self,
        conv: Conv,
        dy: View,
        w: View,
        bias: Option<View>,
        dx: View,
        mode: Write,
    ) -> Result<()> {
        if narrow::serves(conv, w.shape) {
            narrow::dgrad(self, conv, dy, w, dx, mode);
        } else if winograd::serves(conv, w.shape, dy.shape) {
            winograd::dgrad(self, conv, dy, w, dx, mode);
        } else {
            im2col::dgrad(self, conv, dy, w, dx, mode);
        }
        add_bias(self, bias, dx);
        Ok(())
    }

    fn conv_wgrad(&mut self, conv: Conv, x: View, dy: View, dw: View, mode: Write) -> Result<()> {
        if narrow::serves(conv, dw.shape) {
            narrow::wgrad(self, conv, x, dy, dw, mode);
        } else if winograd::serves(conv, dw.shape, dy.shape) {
            winograd::wgrad(self, conv, x, dy, dw, mode);
        } else {
            im2col::wgrad(self, conv, x, dy, dw, mode);
        }
        Ok(())
    }

    fn conv_workspace(&self, pass: Pass, conv: Conv, x: Shape, w: Shape, y: Shape) -> Workspace {
        workspace(pass, conv, x, w, y)
    }
}

/// The way a filter's products are computed.
fn workspace(pass: Pass, conv: Conv, x: Shape, w: Shape, y: Shape) -> Workspace {
    if narrow::serves(conv, w) {
        Workspace { kept: 0, scratch: narrow::scratch(pass, conv, x, w) }
    } else if winograd::serves(conv, w, y) {
        winograd::workspace(pass, conv, x, w, y)
    } else {
        Workspace { kept: 0, scratch: im2col::scratch(pass, conv, w, y) }
    }
}

/// `y[.., k] += bias[k]`. Only layers without a norm have a bias: the first and the last of a
/// network, so one more pass over them costs less than an argument in every product.
fn add_bias(cpu: &mut Cpu, bias: Option<View>, y: View) {
    let Some(bias) = bias else { return };
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
