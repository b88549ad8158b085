//! Reflection padding: a picture continues behind its edges as in a mirror that stands on the
//! outermost pixels, which are not repeated (PyTorch's `ReflectionPad2d`).
//!
//! ```text
//! y[n,p,q,c] = x[n, mirror(p - pad, h), mirror(q - pad, w), c]
//! mirror(i, len) = -i below 0, 2 (len - 1) - i from len on, i between
//! ```

use super::Write;
use super::gather::{add, gather};
use crate::device::Cpu;
use crate::error::Result;
use crate::tensor::View;

/// Operands of a reflection padding.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PadArgs {
    /// Pixels added on every side: fewer than the picture has rows and columns.
    pub pad: usize,
    /// What is padded, (n,h,w,c).
    pub x: View,
    /// Where the result goes, (n, h + 2 pad, w + 2 pad, c).
    pub y: View,
}

/// Operands of a reflection padding's gradient.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PadGradArgs {
    /// Pixels that were added on every side.
    pub pad: usize,
    /// Gradient of y.
    pub dy: View,
    /// Where the gradient of x goes.
    pub dx: View,
    /// How it is written.
    pub mode: Write,
}

/// Padding of a device.
pub trait PadKernels {
    /// y = x, and its mirror image around it.
    ///
    /// # Errors
    /// What the device reports.
    fn reflection_pad(&mut self, args: &PadArgs) -> Result<()>;

    /// dx = the sum of dy over all places where the pixel is seen, at most three rows by three
    /// columns, or dx += that.
    ///
    /// # Errors
    /// What the device reports.
    fn reflection_pad_grad(&mut self, args: &PadGradArgs) -> Result<()>;
}

/// The row that padded row `p` shows, of `len`. Columns alike.
#[inline(always)]
fn mirror(p: usize, pad: usize, len: usize) -> usize {
    let seen = p.abs_diff(pad);
    if seen < len { seen } else { 2 * (len - 1) - seen }
}

/// The padded rows that show row `h` of `len`, from the first to the last: in the mirror above, as
/// it is, in the mirror below. Columns alike.
#[inline(always)]
fn images(h: usize, pad: usize, len: usize) -> impl Iterator<Item = usize> + Clone {
    let above = (h > 0 && h <= pad).then(|| pad - h);
    let below = (h + 1 < len && len - 1 - h <= pad).then(|| pad + 2 * (len - 1) - h);
    above.into_iter().chain([pad + h]).chain(below)
}

impl PadKernels for Cpu {
    fn reflection_pad(&mut self, args: &PadArgs) -> Result<()> {
        let PadArgs { pad, x, y } = *args;
        gather(self, [x], y, Write::Set, |[source], [n, p, q], values| {
            let (h, w) = (mirror(p, pad, x.shape.h), mirror(q, pad, x.shape.w));
            values.copy_from_slice(source.pixel(n, h, w));
        });
        Ok(())
    }

    fn reflection_pad_grad(&mut self, args: &PadGradArgs) -> Result<()> {
        let PadGradArgs { pad, dy, dx, mode } = *args;
        gather(self, [dy], dx, mode, |[gradient], [n, h, w], values| {
            for p in images(h, pad, dx.shape.h) {
                for q in images(w, pad, dx.shape.w) {
                    add(values, gradient.pixel(n, p, q));
                }
            }
        });
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every padded row shows one row, and is among the images of that one.
    #[test]
    fn images_are_what_the_mirror_shows() {
        for (len, pad) in [(1, 0), (2, 1), (5, 2), (5, 4), (3, 2)] {
            let mut shown = vec![0; len + 2 * pad];
            for h in 0..len {
                let all: Vec<usize> = images(h, pad, len).collect();
                assert!(all.is_sorted_by(|a, b| a < b), "{all:?}");
                for p in all {
                    assert_eq!(mirror(p, pad, len), h, "row {p}, {pad} around {len}");
                    shown[p] += 1;
                }
            }
            assert!(shown.iter().all(|times| *times == 1), "{pad} around {len}: {shown:?}");
        }
        let rows: Vec<usize> = (0..8).map(|p| mirror(p, 2, 4)).collect();
        assert_eq!(rows, [2, 1, 0, 1, 2, 3, 2, 1]);
    }
}
