//! Pooling: every window of a picture becomes one pixel, channel by channel.
//!
//! ```text
//! max      y[n,p,q,c] = max over r,s of x[n, p*stride - pad + r, q*stride - pad + s, c]
//! average  y[n,p,q,c] = 1 / (r s) * sum of the same
//! ```
//!
//! Positions outside the picture do not count in a maximum, and count as zeros in an average, whose
//! divisor is always r s (PyTorch's `count_include_pad=True`, the default).
//!
//! Where the maximum of a window stands is not kept from forward to backward but found again: the
//! gradient reads each window once more for every pixel it covers, four reads a pixel for 2 x 2
//! windows, which lie in the cache; indices would take as much memory as y, held through the whole
//! forward pass.

use std::ops::Range;

use super::Write;
use super::gather::{Pixels, add, gather};
use crate::device::Cpu;
use crate::error::{Error, Result};
use crate::tensor::{Shape, View};

/// Window of a pooling: `r` rows and `s` columns, `stride` apart, on a picture with `pad` positions
/// more on every side.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Pool {
    /// Rows of the window.
    pub r: usize,
    /// Columns of the window.
    pub s: usize,
    /// Pixels from one window to the next.
    pub stride: usize,
    /// Positions on every side that the picture does not have: at most half the window.
    pub pad: usize,
}

impl Pool {
    /// A square window.
    pub const fn square(size: usize, stride: usize, pad: usize) -> Self {
        Pool { r: size, s: size, stride, pad }
    }

    /// Extents of y from those of x: (h + 2 pad - r) / stride + 1 rows, rounded down.
    ///
    /// # Errors
    /// [`Error::Shape`] for `op` where the padding is more than half the window, as PyTorch refuses
    /// it too: a window could lie outside of the picture; and where the window is larger than the
    /// padded picture.
    pub fn shrink(self, op: &'static str, x: Shape) -> Result<Shape> {
        let Pool { r, s, stride, pad } = self;
        if stride == 0 || r == 0 || s == 0 {
            let detail =
                format!("a {r} x {s} window with stride {stride} has no result; use 1 or more");
            return Err(Error::shape(op, detail));
        }
        if 2 * pad > r.min(s) {
            let detail = format!(
                "a padding of {pad} is more than half of the {r} x {s} window; use {} or less",
                r.min(s) / 2
            );
            return Err(Error::shape(op, detail));
        }
        let (h, w) = (x.h + 2 * pad, x.w + 2 * pad);
        if h < r || w < s {
            let detail = format!(
                "a {r} x {s} window does not fit into {x} with a padding of {pad}; use a larger \
                 picture or a smaller window"
            );
            return Err(Error::shape(op, detail));
        }
        Ok(Shape { h: (h - r) / stride + 1, w: (w - s) / stride + 1, ..x })
    }

    /// Pixels in a window, r * s.
    const fn count(self) -> usize {
        self.r * self.s
    }

    /// Rows and columns of an `x` that window (p, q) covers.
    #[inline(always)]
    fn covered(self, x: Shape, p: usize, q: usize) -> [Range<usize>; 2] {
        let range = |window: usize, taps: usize, len: usize| {
            let first = window * self.stride;
            first.saturating_sub(self.pad)..(first + taps).saturating_sub(self.pad).min(len)
        };
        [range(p, self.r, x.h), range(q, self.s, x.w)]
    }

    /// Rows and columns of the windows of a `y` that cover pixel (h, w).
    #[inline(always)]
    fn covering(self, y: Shape, h: usize, w: usize) -> [Range<usize>; 2] {
        let range = |at: usize, taps: usize, windows: usize| {
            let first = (at + self.pad + 1).saturating_sub(taps).div_ceil(self.stride);
            first..((at + self.pad) / self.stride + 1).min(windows)
        };
        [range(h, self.r, y.h), range(w, self.s, y.w)]
    }
}

/// Operands of a pooling.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PoolArgs {
    /// The window.
    pub pool: Pool,
    /// What is pooled, (n,h,w,c).
    pub x: View,
    /// Where the result goes, (n,p,q,c).
    pub y: View,
}

/// Operands of a pooling's gradient.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PoolGradArgs {
    /// The window.
    pub pool: Pool,
    /// What was pooled. A maximum stands where it says; an average's gradient does not read it.
    pub x: View,
    /// Gradient of y.
    pub dy: View,
    /// Where the gradient of x goes.
    pub dx: View,
    /// How it is written.
    pub mode: Write,
}

/// Poolings of a device.
pub trait PoolKernels {
    /// y = the maximum of each window; NaN where the window holds one.
    ///
    /// # Errors
    /// What the device reports.
    fn max_pool(&mut self, args: &PoolArgs) -> Result<()>;

    /// dx = the sum of dy over the windows whose maximum the pixel is, or dx += that. Of several
    /// pixels with the maximum of a window the first has its gradient, row by row; of several NaN
    /// the last; both as in PyTorch.
    ///
    /// # Errors
    /// What the device reports.
    fn max_pool_grad(&mut self, args: &PoolGradArgs) -> Result<()>;

    /// y = the mean of each window, zeros outside the picture counted.
    ///
    /// # Errors
    /// What the device reports.
    fn average_pool(&mut self, args: &PoolArgs) -> Result<()>;

    /// dx = 1 / (r s) times the sum of dy over the windows that cover the pixel, or dx += that.
    ///
    /// # Errors
    /// What the device reports.
    fn average_pool_grad(&mut self, args: &PoolGradArgs) -> Result<()>;
}

/// Whether `x` at (h, w) is the maximum of its window in channel `k`: no pixel before it is as
/// large, none behind it is larger, NaN being larger than all.
#[inline(always)]
fn is_maximum(x: Pixels, [n, h, w]: [usize; 3], k: usize, window: &[Range<usize>; 2]) -> bool {
    let value = x.pixel(n, h, w)[k];
    let beats = |row: usize, column: usize| {
        let other = x.pixel(n, row, column)[k];
        if (row, column) < (h, w) {
            !value.is_nan() && (other >= value || other.is_nan())
        } else {
            (row, column) > (h, w) && (other > value || other.is_nan())
        }
    };
    let [rows, columns] = window;
    !rows.clone().any(|row| columns.clone().any(|column| beats(row, column)))
}

impl PoolKernels for Cpu {
    fn max_pool(&mut self, args: &PoolArgs) -> Result<()> {
        let PoolArgs { pool, x, y } = *args;
        gather(self, [x], y, Write::Set, |[source], [n, p, q], values| {
            values.fill(f32::NEG_INFINITY);
            let [rows, columns] = pool.covered(x.shape, p, q);
            for row in rows {
                for column in columns.clone() {
                    for (most, v) in values.iter_mut().zip(source.pixel(n, row, column)) {
                        *most = if *v > *most || v.is_nan() { *v } else { *most };
                    }
                }
            }
        });
        Ok(())
    }

    fn max_pool_grad(&mut self, args: &PoolGradArgs) -> Result<()> {
        let PoolGradArgs { pool, x, dy, dx, mode } = *args;
        gather(self, [x, dy], dx, mode, |[source, gradient], [n, h, w], values| {
            let [ps, qs] = pool.covering(dy.shape, h, w);
            for p in ps {
                for q in qs.clone() {
                    let window = pool.covered(x.shape, p, q);
                    let pixel = gradient.pixel(n, p, q);
                    for (k, (sum, dy)) in values.iter_mut().zip(pixel).enumerate() {
                        if is_maximum(source, [n, h, w], k, &window) {
                            *sum += dy;
                        }
                    }
                }
            }
        });
        Ok(())
    }

    fn average_pool(&mut self, args: &PoolArgs) -> Result<()> {
        let PoolArgs { pool, x, y } = *args;
        let count = pool.count() as f32;
        gather(self, [x], y, Write::Set, |[source], [n, p, q], values| {
            let [rows, columns] = pool.covered(x.shape, p, q);
            for row in rows {
                columns.clone().for_each(|column| add(values, source.pixel(n, row, column)));
            }
            values.iter_mut().for_each(|sum| *sum /= count);
        });
        Ok(())
    }

    fn average_pool_grad(&mut self, args: &PoolGradArgs) -> Result<()> {
        let PoolGradArgs { pool, x: _, dy, dx, mode } = *args;
        let count = pool.count() as f32;
        gather(self, [dy], dx, mode, |[gradient], [n, h, w], values| {
            let [ps, qs] = pool.covering(dy.shape, h, w);
            for p in ps {
                qs.clone().for_each(|q| add(values, gradient.pixel(n, p, q)));
            }
            values.iter_mut().for_each(|sum| *sum /= count);
        });
        Ok(())
    }
}
