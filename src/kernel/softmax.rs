//! Softmax over the channels of every pixel: the probability of each class from logits.
//!
//! ```text
//! y[k]  = exp(x[k]) / sum over j of exp(x[j])
//! dx[k] = y[k] * (dy[k] - sum over j of dy[j] * y[j])
//! ```

use super::Write;
use super::gather::gather;
use crate::device::Cpu;
use crate::error::Result;
use crate::tensor::View;

/// Operands of a softmax's gradient.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SoftmaxGradArgs {
    /// The result of the softmax.
    pub y: View,
    /// Its gradient.
    pub dy: View,
    /// Where the gradient of x goes.
    pub dx: View,
    /// How it is written.
    pub mode: Write,
}

/// Softmax on a device; all Views of a call have one shape.
pub trait SoftmaxKernels {
    /// y = the softmax of x over the channels of each pixel.
    ///
    /// # Errors
    /// What the device reports.
    fn softmax(&mut self, x: View, y: View) -> Result<()>;

    /// dx = y (dy - the sum of dy y over the pixel), or dx += that.
    ///
    /// # Errors
    /// What the device reports.
    fn softmax_grad(&mut self, args: &SoftmaxGradArgs) -> Result<()>;
}

impl SoftmaxKernels for Cpu {
    fn softmax(&mut self, x: View, y: View) -> Result<()> {
        gather(self, [x], y, Write::Set, |[x], [n, h, w], values| {
            let x = x.pixel(n, h, w);
            let largest = x.iter().fold(f32::NEG_INFINITY, |most, v| most.max(*v));
            values.iter_mut().zip(x).for_each(|(y, x)| *y = (x - largest).exp());
            let sum: f32 = values.iter().sum();
            values.iter_mut().for_each(|y| *y /= sum);
        });
        Ok(())
    }

    fn softmax_grad(&mut self, args: &SoftmaxGradArgs) -> Result<()> {
        let SoftmaxGradArgs { y, dy, dx, mode } = *args;
        gather(self, [y, dy], dx, mode, |[y, dy], [n, h, w], values| {
            let (y, dy) = (y.pixel(n, h, w), dy.pixel(n, h, w));
            let sum: f32 = y.iter().zip(dy).map(|(y, dy)| y * dy).sum();
            for (dx, (y, dy)) in values.iter_mut().zip(y.iter().zip(dy)) {
                *dx = y * (dy - sum);
            }
        });
        Ok(())
    }
}
