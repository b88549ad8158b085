//! Softmax cross entropy of every pixel's channels with the class that a label names.
//!
//! ```text
//! y     = 1 / count * sum over pixels that are not ignored of ln(sum over k of exp(x[k])) - x[t]
//! dx[k] = dy / count * (exp(x[k]) / sum over j of exp(x[j]) - (1 where k = t, else 0))
//! ```
//!
//! `count` is the number of pixels that are not ignored; where all are, the loss is 0 and so are all
//! gradients (PyTorch has NaN there). Softmax is not kept from forward to backward: it would take as
//! much memory as x, and the gradient needs x's channels only twice more from the cache.

use rayon::prelude::*;

use super::{Workspace, Write};
use crate::device::{Cpu, Rest};
use crate::error::{Error, Result};
use crate::tensor::View;

/// Operands of a cross entropy.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CrossEntropyArgs {
    /// Logits, (n,h,w,c).
    pub x: View,
    /// The class of each pixel, (n,h,w,1), f32: whole numbers in 0..c, or `ignored`.
    pub labels: View,
    /// The label of pixels that do not count, in 0..c or outside of it.
    pub ignored: Option<usize>,
    /// Where the loss goes, a number, f32.
    pub y: View,
    /// Where the number of pixels that count goes, f32, for the gradient.
    pub count: View,
}

/// Operands of a cross entropy's gradient.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CrossEntropyGradArgs {
    /// Logits.
    pub x: View,
    /// The class of each pixel.
    pub labels: View,
    /// The label of pixels that do not count.
    pub ignored: Option<usize>,
    /// The number of pixels that count, as [`CrossEntropyKernels::cross_entropy`] left it.
    pub count: View,
    /// Gradient of the loss, a number, f32.
    pub dy: View,
    /// Where the gradient of x goes.
    pub dx: View,
    /// How it is written.
    pub mode: Write,
}

/// Cross entropy of a device.
///
/// A label that is neither a class nor ignored is an error where the host sees it, on the CPU. A GPU
/// makes the loss NaN of it, and the gradient of its pixel; it reads nothing outside of the pixel.
pub trait CrossEntropyKernels {
    /// y = the mean of the cross entropy over the pixels that are not ignored, 0 where all are.
    ///
    /// # Errors
    /// [`Error::Input`] on the CPU: a label that is no class; what the device reports.
    fn cross_entropy(&mut self, args: &CrossEntropyArgs) -> Result<()>;

    /// What [`CrossEntropyKernels::cross_entropy`] takes beside its operands.
    fn cross_entropy_workspace(&self, args: &CrossEntropyArgs) -> Workspace;

    /// Whether the device can compute it, and its gradient.
    ///
    /// # Errors
    /// [`Error::Machine`] where it cannot, with what to change.
    fn cross_entropy_supports(&self, _args: &CrossEntropyArgs) -> Result<()> {
        Ok(())
    }

    /// dx = dy / count * (softmax - the label's class), or dx += that; 0 at ignored pixels.
    ///
    /// # Errors
    /// As [`CrossEntropyKernels::cross_entropy`].
    fn cross_entropy_grad(&mut self, args: &CrossEntropyGradArgs) -> Result<()>;
}

/// Pixels that one task sums, in f64; the tasks' sums are added in order.
const CHUNK: usize = 1024;

/// Classes of a batch.
#[derive(Clone, Copy)]
struct Classes<'a> {
    values: &'a [f32],
    of: View,
    logits: View,
    ignored: Option<usize>,
}

impl<'a> Classes<'a> {
    fn of(rest: &Rest<'a>, labels: View, x: View, ignored: Option<usize>) -> Self {
        Classes { values: rest.get(labels), of: labels, logits: x, ignored }
    }

    /// The class of pixel `i` of the batch; none where it is ignored.
    fn class(self, i: usize) -> Result<Option<usize>> {
        let (label, x) = (self.values[i * self.of.pitch], self.logits.shape);
        if self.ignored.is_some_and(|ignored| label == ignored as f32) {
            return Ok(None);
        }
        if label >= 0.0 && label < x.c as f32 && label.fract() == 0.0 {
            return Ok(Some(label as usize));
        }
        let (n, h, w) = (i / (x.h * x.w), i / x.w % x.h, i % x.w);
        let ignored =
            self.ignored.map_or_else(String::new, |i| format!(" or {i}, which is ignored"));
        Err(Error::input(format!(
            "cross_entropy: the label of pixel ({n}, {h}, {w}) is {label}, but {x} has {} classes; \
             make labels {} whole numbers from 0 to {}{ignored}",
            x.c,
            self.of.shape,
            x.c - 1
        )))
    }
}

/// The largest logit of a pixel, and the sum of exp(x - largest).
fn softmax(pixel: &[f32]) -> (f32, f32) {
    let largest = pixel.iter().fold(f32::NEG_INFINITY, |most, v| most.max(*v));
    (largest, pixel.iter().map(|v| (v - largest).exp()).sum())
}

impl CrossEntropyKernels for Cpu {
    fn cross_entropy(&mut self, args: &CrossEntropyArgs) -> Result<()> {
        let CrossEntropyArgs { x, labels, ignored, y, count } = *args;
        let ([loss, counted], rest, work) = self.split([y, count]);
        let (input, labels) = (rest.get(x), Classes::of(&rest, labels, x, ignored));
        let part = |(i, part): (usize, &[f32])| -> Result<(f64, usize)> {
            let (mut sum, mut count) = (0.0, 0);
            for (j, pixel) in part.chunks(x.pitch).enumerate() {
                if let Some(class) = labels.class(i * CHUNK + j)? {
                    let (largest, total) = softmax(&pixel[..x.shape.c]);
                    sum += f64::from(largest - pixel[class] + total.ln());
                    count += 1;
                }
            }
            Ok((sum, count))
        };
        let parts: Vec<Result<(f64, usize)>> =
            work.pool.install(|| input.par_chunks(CHUNK * x.pitch).enumerate().map(part).collect());
        let (mut sum, mut count) = (0.0, 0);
        for part in parts {
            let (more, pixels) = part?;
            sum += more;
            count += pixels;
        }
        loss[0] = (sum / count.max(1) as f64) as f32;
        counted[0] = count as f32;
        Ok(())
    }

    fn cross_entropy_workspace(&self, _args: &CrossEntropyArgs) -> Workspace {
        Workspace::default()
    }

    fn cross_entropy_grad(&mut self, args: &CrossEntropyGradArgs) -> Result<()> {
        let CrossEntropyGradArgs { x, labels, ignored, count, dy, dx, mode } = *args;
        let ([out], rest, work) = self.split([dx]);
        let (input, c) = (rest.get(x), x.shape.c);
        let scale = rest.get(dy)[0] / rest.get(count)[0].max(1.0);
        let labels = Classes::of(&rest, labels, x, ignored);
        let part = |(i, part): (usize, &mut [f32])| -> Result<()> {
            for (j, to) in part.chunks_mut(dx.pitch).enumerate() {
                let at = i * CHUNK + j;
                let (to, pixel) = (&mut to[..c], &input[at * x.pitch..][..c]);
                let Some(class) = labels.class(at)? else {
                    to.iter_mut().for_each(|to| *to = mode.merge(*to, 0.0));
                    continue;
                };
                let (largest, total) = softmax(pixel);
                for (k, (to, v)) in to.iter_mut().zip(pixel).enumerate() {
                    let target = if k == class { 1.0 } else { 0.0 };
                    *to = mode.merge(*to, scale * ((v - largest).exp() / total - target));
                }
            }
            Ok(())
        };
        let parts: Vec<Result<()>> = work
            .pool
            .install(|| out.par_chunks_mut(CHUNK * dx.pitch).enumerate().map(part).collect());
        parts.into_iter().collect()
    }
}
