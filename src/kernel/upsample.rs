//! Nearest upsampling: every pixel becomes a square of equal pixels.
//!
//! ```text
//! y[n,p,q,c] = x[n, p / factor, q / factor, c]
//! ```

use super::Write;
use super::gather::{add, gather};
use crate::device::Cpu;
use crate::error::Result;
use crate::tensor::View;

/// Operands of an upsampling.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct UpsampleArgs {
    /// Rows and columns that a pixel becomes, from 1.
    pub factor: usize,
    /// What is upsampled, (n,h,w,c).
    pub x: View,
    /// Where the result goes, (n, factor h, factor w, c).
    pub y: View,
}

/// Operands of an upsampling's gradient.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct UpsampleGradArgs {
    /// Rows and columns that a pixel became.
    pub factor: usize,
    /// Gradient of y.
    pub dy: View,
    /// Where the gradient of x goes.
    pub dx: View,
    /// How it is written.
    pub mode: Write,
}

/// Nearest upsampling of a device.
pub trait UpsampleKernels {
    /// `y[n,p,q,c] = x[n, p / factor, q / factor, c]`
    ///
    /// # Errors
    /// What the device reports.
    fn upsample(&mut self, args: &UpsampleArgs) -> Result<()>;

    /// dx = the sum of dy over the square that the pixel became, or dx += that.
    ///
    /// # Errors
    /// What the device reports.
    fn upsample_grad(&mut self, args: &UpsampleGradArgs) -> Result<()>;
}

impl UpsampleKernels for Cpu {
    fn upsample(&mut self, args: &UpsampleArgs) -> Result<()> {
        let UpsampleArgs { factor, x, y } = *args;
        gather(self, [x], y, Write::Set, |[source], [n, p, q], values| {
            values.copy_from_slice(source.pixel(n, p / factor, q / factor));
        });
        Ok(())
    }

    fn upsample_grad(&mut self, args: &UpsampleGradArgs) -> Result<()> {
        let UpsampleGradArgs { factor, dy, dx, mode } = *args;
        gather(self, [dy], dx, mode, |[gradient], [n, h, w], values| {
            for p in h * factor..(h + 1) * factor {
                for q in w * factor..(w + 1) * factor {
                    add(values, gradient.pixel(n, p, q));
                }
            }
        });
        Ok(())
    }
}
