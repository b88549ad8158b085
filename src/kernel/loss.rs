//! Losses: the mean over all elements, and its gradient.

use rayon::prelude::*;

use super::Write;
use crate::device::Cpu;
use crate::error::Result;
use crate::tensor::View;

/// A loss of one element x, against a number or another tensor's element t. The value is the mean
/// over all elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Loss {
    /// Binary cross entropy of a logit: max(x, 0) - x t + ln(1 + exp(-|x|)); t is 0 or 1.
    Bce,
    /// Squared difference (x - t)^2: LSGAN's loss (Mao et al., 2017), and L2 between pictures.
    Mse,
    /// Absolute difference |x - t|.
    L1,
}

impl Loss {
    #[inline(always)]
    fn value(self, x: f32, t: f32) -> f32 {
        match self {
            Loss::Bce => x.max(0.0) - x * t + (-x.abs()).exp().ln_1p(),
            Loss::Mse => (x - t) * (x - t),
            Loss::L1 => (x - t).abs(),
        }
    }

    #[inline(always)]
    fn slope(self, x: f32, t: f32) -> f32 {
        match self {
            Loss::Bce => sigmoid(x) - t,
            Loss::Mse => 2.0 * (x - t),
            // As PyTorch, 0 where both are equal.
            Loss::L1 => f32::from(i8::from(x > t) - i8::from(x < t)),
        }
    }
}

/// 1 / (1 + exp(-x)) without overflow on either side.
fn sigmoid(x: f32) -> f32 {
    let e = (-x.abs()).exp();
    if x >= 0.0 { 1.0 / (1.0 + e) } else { e / (1.0 + e) }
}

/// What a loss compares with.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Target<V> {
    /// One number for every element: "real" is 1, "fake" is 0.
    Value(f32),
    /// The element at the same place of another tensor.
    Tensor(V),
}

/// Losses of a machine.
pub trait LossKernels {
    /// `y[0] = weight * mean of loss(x, target)`
    fn loss(
        &mut self,
        loss: Loss,
        x: View,
        target: Target<View>,
        weight: f32,
        y: View,
    ) -> Result<()>;

    /// `dx = dy[0] * weight / count * loss'(x, target)`, or dx += that.
    fn loss_grad(
        &mut self,
        loss: Loss,
        x: View,
        target: Target<View>,
        weight: f32,
        dy: View,
        dx: View,
        mode: Write,
    ) -> Result<()>;

    /// [`LossKernels::loss`] of each run of pictures against a label of its own: a number of `y` each.
    fn labelled(&mut self, loss: Loss, x: View, labels: &[f32], y: View) -> Result<()> {
        let each = x.shape.n / labels.len();
        for (i, label) in labels.iter().enumerate() {
            let x = x.pictures(i * each..(i + 1) * each)?;
            self.loss(loss, x, Target::Value(*label), 1.0, y.channels(i..i + 1)?)?;
        }
        Ok(())
    }

    /// The gradient of [`LossKernels::labelled`]; `dy` has a number a run.
    fn labelled_grad(
        &mut self,
        loss: Loss,
        x: View,
        labels: &[f32],
        dy: View,
        dx: View,
        mode: Write,
    ) -> Result<()> {
        let each = x.shape.n / labels.len();
        for (i, label) in labels.iter().enumerate() {
            let run = i * each..(i + 1) * each;
            let (x, dx, dy) = (x.pictures(run.clone())?, dx.pictures(run)?, dy.channels(i..i + 1)?);
            self.loss_grad(loss, x, Target::Value(*label), 1.0, dy, dx, mode)?;
        }
        Ok(())
    }

    /// Copies single numbers, at most [`RING_WIDTH`](crate::device::RING_WIDTH), to the row of the
    /// ring that is this run's.
    fn keep_losses(&mut self, losses: &[View]) -> Result<()>;
}

/// Pixels that one task sums, in f64; the tasks' sums are added in order.
const CHUNK: usize = 4096;

impl LossKernels for Cpu {
    fn keep_losses(&mut self, losses: &[View]) -> Result<()> {
        let ([], rest, work) = self.split([]);
        let row = work.row;
        for (kept, loss) in work.ring[row].iter_mut().zip(losses) {
            *kept = rest.get(*loss)[0];
        }
        Ok(())
    }

    fn loss(
        &mut self,
        loss: Loss,
        x: View,
        target: Target<View>,
        weight: f32,
        y: View,
    ) -> Result<()> {
        let ([out], rest, work) = self.split([y]);
        let (input, c) = (rest.get(x), x.shape.c);
        let parts: Vec<f64> = work.pool.install(|| {
            let chunks = input.par_chunks(CHUNK * x.pitch).enumerate();
            chunks
                .map(|(i, part)| {
                    let pixels = part.chunks(x.pitch).enumerate();
                    let sum = |(j, pixel): (usize, &[f32])| -> f64 {
                        let element = |k: usize| match target {
                            Target::Value(t) => t,
                            Target::Tensor(t) => rest.get(t)[(i * CHUNK + j) * t.pitch + k],
                        };
                        let values = pixel[..c].iter().enumerate();
                        values.map(|(k, &v)| f64::from(loss.value(v, element(k)))).sum()
                    };
                    pixels.map(sum).sum()
                })
                .collect()
        });
        let mean = parts.iter().sum::<f64>() / x.shape.count() as f64;
        out[0] = (f64::from(weight) * mean) as f32;
        Ok(())
    }

    fn loss_grad(
        &mut self,
        loss: Loss,
        x: View,
        target: Target<View>,
        weight: f32,
        dy: View,
        dx: View,
        mode: Write,
    ) -> Result<()> {
        let ([out], rest, work) = self.split([dx]);
        let (input, c) = (rest.get(x), x.shape.c);
        let scale = rest.get(dy)[0] * weight / x.shape.count() as f32;
        let other = match target {
            Target::Tensor(t) => Some((rest.get(t), t.pitch)),
            Target::Value(_) => None,
        };
        work.pool.install(|| {
            out.par_chunks_mut(CHUNK * dx.pitch).enumerate().for_each(|(i, part)| {
                for (j, pixel) in part.chunks_mut(dx.pitch).enumerate() {
                    let at = i * CHUNK + j;
                    for (k, value) in pixel[..c].iter_mut().enumerate() {
                        let t = match (target, other) {
                            (Target::Value(t), _) => t,
                            (_, Some((values, pitch))) => values[at * pitch + k],
                            (Target::Tensor(_), None) => continue,
                        };
                        let slope = loss.slope(input[at * x.pitch + k], t);
                        *value = mode.merge(*value, scale * slope);
                    }
                }
            });
        });
        Ok(())
    }
}
