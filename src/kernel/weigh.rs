//! The product of every pixel's channels with the pixel's weight, which is 0 where a pixel does not count.
//!
//! ```text
//! y[n,h,w,c] = weights[n,h,w] * x[n,h,w,c]
//! ```
//!
//! The gradient of x is the same product with that of y.

use super::Write;
use super::gather::gather;
use crate::device::Cpu;
use crate::error::Result;
use crate::tensor::View;

/// Operands of a product with weights.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct WeighArgs {
    /// What is weighed, (n,h,w,c).
    pub x: View,
    /// The weight of each pixel, (n,h,w,1), f32.
    pub weights: View,
    /// Where the product goes, shaped as x.
    pub y: View,
    /// How it is written.
    pub mode: Write,
}

/// Products with weights on a device.
pub trait WeighKernels {
    /// y = weights x, or y += that.
    ///
    /// # Errors
    /// What the device reports.
    fn weigh(&mut self, args: &WeighArgs) -> Result<()>;

    /// Whether the device can compute it.
    ///
    /// # Errors
    /// [`Error::Machine`](crate::Error::Machine) where it cannot, with what to change.
    fn weigh_supports(&self, _args: &WeighArgs) -> Result<()> {
        Ok(())
    }
}

impl WeighKernels for Cpu {
    fn weigh(&mut self, args: &WeighArgs) -> Result<()> {
        let WeighArgs { x, weights, y, mode } = *args;
        gather(self, [x, weights], y, mode, |[x, weights], [n, h, w], values| {
            let weight = weights.pixel(n, h, w)[0];
            values.iter_mut().zip(x.pixel(n, h, w)).for_each(|(y, x)| *y = weight * x);
        });
        Ok(())
    }
}
