//! Losses: means over elements, and their gradients.

use rayon::prelude::*;

use super::{Workspace, Write};
use crate::device::{Cpu, Rest, device_enum};
use crate::error::Result;
use crate::tensor::View;

device_enum! {
    /// The loss of one element x against a target t, which is a label or an element of another
    /// tensor. The loss of a tensor is the mean over its elements.
    pub enum Loss {
        /// Binary cross entropy of a logit: max(x, 0) - x t + ln(1 + exp(-|x|)); t is 0 or 1.
        Bce,
        /// Squared difference (x - t)^2: LSGAN's loss (Mao et al., 2017), and L2 between pictures.
        Mse,
        /// Absolute difference |x - t|.
        L1,
    }
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
            // 0 where both are equal, as in PyTorch.
            Loss::L1 => f32::from(i8::from(x > t) - i8::from(x < t)),
        }
    }
}

/// 1 / (1 + exp(-x)), without overflow for large |x|.
fn sigmoid(x: f32) -> f32 {
    let e = (-x.abs()).exp();
    if x >= 0.0 { 1.0 / (1.0 + e) } else { e / (1.0 + e) }
}

/// The target of a loss.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Target<'a> {
    /// Labels, such as 1 for real and 0 for fake. The batch is divided into as many consecutive
    /// runs of equal length as there are labels; each run is compared with its label and has its
    /// own loss.
    Labels(&'a [f32]),
    /// The element at the same place of another tensor.
    Tensor(View),
}

impl Target<'_> {
    /// The number of losses: one per label, or one.
    pub const fn runs(&self) -> usize {
        match self {
            Target::Labels(labels) => labels.len(),
            Target::Tensor(_) => 1,
        }
    }
}

/// Operands of a loss.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LossArgs<'a> {
    /// The loss of an element.
    pub loss: Loss,
    /// The tensor that is compared, (n,h,w,c); n is a multiple of [`Target::runs`].
    pub x: View,
    /// What it is compared with.
    pub target: Target<'a>,
    /// Factor of the mean.
    pub weight: f32,
    /// Where the losses go: f32, one number per run.
    pub y: View,
}

/// Operands of a loss's gradient.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LossGradArgs<'a> {
    /// The loss of an element.
    pub loss: Loss,
    /// The tensor that was compared.
    pub x: View,
    /// What it was compared with.
    pub target: Target<'a>,
    /// Factor of the mean.
    pub weight: f32,
    /// Gradients of the losses: f32, one number per run.
    pub dy: View,
    /// Where the gradient of x goes.
    pub dx: View,
    /// Whether that is set or added to.
    pub mode: Write,
}

/// Losses on a device.
pub trait LossKernels {
    /// `y[run] = weight * mean of loss(x, target)` over the pictures of each run.
    ///
    /// # Errors
    /// What the device reports.
    fn loss(&mut self, args: &LossArgs) -> Result<()>;

    /// Memory that [`LossKernels::loss`] takes in addition to its operands.
    fn loss_workspace(&self, args: &LossArgs) -> Workspace;

    /// Checks that the device can compute the loss and its gradient.
    ///
    /// # Errors
    /// [`Error::Machine`](crate::Error::Machine) where it cannot, with what to change.
    fn loss_supports(&self, _args: &LossArgs) -> Result<()> {
        Ok(())
    }

    /// `dx = dy[run] * weight / count * loss'(x, target)`, or dx += that; `count` is the number of
    /// elements of a run.
    ///
    /// # Errors
    /// What the device reports.
    fn loss_grad(&mut self, args: &LossGradArgs) -> Result<()>;

    /// Copies single f32 numbers, at most [`RING_WIDTH`](crate::device::RING_WIDTH), to the row of
    /// the ring that belongs to the current run of the program.
    ///
    /// # Errors
    /// What the device reports.
    fn keep_losses(&mut self, losses: &[View]) -> Result<()>;
}

/// The pictures of run `i` of `runs`.
///
/// # Errors
/// [`Error::Shape`](crate::Error::Shape) for pictures outside the batch.
pub(super) fn run_of(view: View, i: usize, runs: usize) -> Result<View> {
    let each = view.shape.n / runs;
    view.pictures(i * each..(i + 1) * each)
}

/// Pixels per task, summed in f64; the tasks' sums are added in order.
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

    fn loss(&mut self, args: &LossArgs) -> Result<()> {
        let runs = args.target.runs();
        for i in 0..runs {
            let (x, y) = (run_of(args.x, i, runs)?, args.y.channels(i..i + 1)?);
            self.loss_of_run(&LossArgs { x, y, ..*args }, i);
        }
        Ok(())
    }

    fn loss_workspace(&self, _args: &LossArgs) -> Workspace {
        Workspace::default()
    }

    fn loss_grad(&mut self, args: &LossGradArgs) -> Result<()> {
        let runs = args.target.runs();
        for i in 0..runs {
            let (x, dx) = (run_of(args.x, i, runs)?, run_of(args.dx, i, runs)?);
            let dy = args.dy.channels(i..i + 1)?;
            self.loss_grad_of_run(&LossGradArgs { x, dy, dx, ..*args }, i);
        }
        Ok(())
    }
}

/// What the elements of a run are compared with.
#[derive(Clone, Copy)]
enum Compared<'a> {
    /// One label.
    Label(f32),
    /// The elements of a tensor, and its pitch.
    Elements(&'a [f32], usize),
}

impl<'a> Compared<'a> {
    fn of(target: Target, run: usize, rest: &Rest<'a>) -> Self {
        match target {
            Target::Labels(labels) => Compared::Label(labels[run]),
            Target::Tensor(t) => Compared::Elements(rest.get(t), t.pitch),
        }
    }

    /// Channel `k` of pixel `i`.
    #[inline(always)]
    fn at(self, i: usize, k: usize) -> f32 {
        match self {
            Compared::Label(t) => t,
            Compared::Elements(values, pitch) => values[i * pitch + k],
        }
    }
}

impl Cpu {
    /// The loss of one run: x and y of `args` are that run's part.
    fn loss_of_run(&mut self, args: &LossArgs, run: usize) {
        let LossArgs { loss, x, target, weight, y } = *args;
        let ([out], rest, work) = self.split([y]);
        let (input, c) = (rest.get(x), x.shape.c);
        let target = Compared::of(target, run, &rest);
        let parts: Vec<f64> = work.pool.install(|| {
            let chunks = input.par_chunks(CHUNK * x.pitch).enumerate();
            chunks
                .map(|(i, part)| {
                    let pixels = part.chunks(x.pitch).enumerate();
                    let sum = |(j, pixel): (usize, &[f32])| -> f64 {
                        let values = pixel[..c].iter().enumerate();
                        let value = |(k, &v)| loss.value(v, target.at(i * CHUNK + j, k));
                        values.map(|at| f64::from(value(at))).sum()
                    };
                    pixels.map(sum).sum()
                })
                .collect()
        });
        let mean = parts.iter().sum::<f64>() / x.shape.count() as f64;
        out[0] = (f64::from(weight) * mean) as f32;
    }

    /// The gradient of one run: x, dy and dx of `args` are that run's part.
    fn loss_grad_of_run(&mut self, args: &LossGradArgs, run: usize) {
        let LossGradArgs { loss, x, target, weight, dy, dx, mode } = *args;
        let ([out], rest, work) = self.split([dx]);
        let (input, c) = (rest.get(x), x.shape.c);
        let scale = rest.get(dy)[0] * weight / x.shape.count() as f32;
        let target = Compared::of(target, run, &rest);
        work.pool.install(|| {
            out.par_chunks_mut(CHUNK * dx.pitch).enumerate().for_each(|(i, part)| {
                for (j, pixel) in part.chunks_mut(dx.pitch).enumerate() {
                    let at = i * CHUNK + j;
                    for (k, value) in pixel[..c].iter_mut().enumerate() {
                        let slope = loss.slope(input[at * x.pitch + k], target.at(at, k));
                        *value = mode.merge(*value, scale * slope);
                    }
                }
            });
        });
    }
}
