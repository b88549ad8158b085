//! Batch norm and instance norm, with the dropout and the activation that follow them.
//!
//! ```text
//! forward    xhat = (x - mean) / sqrt(var + eps),  y = activation(dropout(weight xhat + bias))
//! backward   g = dy activation' mask,  dweight = sum g xhat,  dbias = sum g
//!            dx = weight / sqrt(var + eps) * (g - mean(g) - xhat mean(g xhat))
//! ```
//!
//! Mean and (biased) variance are taken per channel, over the batch for batch norm and over each
//! picture for instance norm. Running statistics move by `momentum` towards the mean and the
//! unbiased variance. Sources: Ioffe and Szegedy, ICML 2015; Ulyanov et al., 2016. Norm, dropout
//! and activation are one kernel because they follow each other in most blocks of the networks, and
//! separate kernels would each read and write the tensor once more.

use rayon::prelude::*;

use super::{Activation, Dropout, PointwiseKernels, Workspace, Write};
use crate::device::{Cpu, StepState, grown};
use crate::error::Result;
use crate::one_of::one_of;
use crate::tensor::{Shape, View};

/// The pixels that each mean and variance is taken over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NormScope {
    /// All pixels of the batch.
    Batch,
    /// The batch is divided into this many consecutive runs of equal length; each has the
    /// statistics of its own pixels, as if it were a batch of its own, passed after the one before.
    /// So several batches can share one pass through the network.
    Runs(usize),
    /// The pixels of each picture.
    Instance,
}

one_of! {
    /// Which mean and variance batch norm uses.
    pub enum Statistics {
        /// Each picture's own, in training those of the batch.
        Batch = "batch",
        /// The running statistics of training.
        Running = "running",
    }
}

/// A normalisation, with the dropout and the activation that follow it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Norm {
    /// The pixels that each mean and variance is taken over.
    pub scope: NormScope,
    /// Which mean and variance normalise x.
    pub statistics: Statistics,
    /// Added to the variance; usually 1e-5.
    pub eps: f32,
    /// How far running statistics move in a step, in 0..1; usually 0.1.
    pub momentum: f32,
    /// Applied to the normalised, scaled and shifted x.
    pub dropout: Option<Dropout>,
    /// Applied last.
    pub activation: Activation,
}

/// Parameters and state of a norm, each (1,1,1,c) f32; None for a norm without them.
#[derive(Clone, Copy, Debug, Default)]
pub struct NormParams {
    /// Weight (scale) and bias (shift).
    pub affine: Option<[View; 2]>,
    /// Running mean and variance.
    pub running: Option<[View; 2]>,
}

impl Norm {
    /// Shape (groups,1,1,c) of the mean, and of 1 / sqrt(var + eps), of an input of shape `x`.
    pub fn statistics_shape(&self, x: Shape) -> Shape {
        match self.scope {
            NormScope::Batch => Shape::vector(x.c),
            NormScope::Runs(runs) => Shape::new(runs, 1, 1, x.c),
            NormScope::Instance => Shape::new(x.n, 1, 1, x.c),
        }
    }
}

/// Operands of a norm.
#[derive(Clone, Copy, Debug)]
pub struct NormArgs {
    /// The norm to compute.
    pub norm: Norm,
    /// The input, (n,h,w,c).
    pub x: View,
    /// Its parameters; running statistics are updated under [`Statistics::Batch`], except those of
    /// an instance norm.
    pub params: NormParams,
    /// Where mean and 1 / sqrt(var + eps) are kept for the backward pass, f32 of
    /// [`Norm::statistics_shape`].
    pub kept: [View; 2],
    /// The result, of x's shape.
    pub y: View,
    /// The skip output: where max(y, 0) is written for a skip connection, if there is one.
    pub skip: Option<View>,
}

/// Operands of a norm's gradient.
#[derive(Clone, Copy, Debug)]
pub struct NormGradArgs {
    /// The norm of the forward pass.
    pub norm: Norm,
    /// Its input.
    pub x: View,
    /// Its parameters.
    pub params: NormParams,
    /// Mean and 1 / sqrt(var + eps), as the forward pass kept them.
    pub kept: [View; 2],
    /// Gradient of y.
    pub dy: View,
    /// Gradient of the skip output max(y, 0), if there is one.
    pub dskip: Option<View>,
    /// Where the gradient of x goes, if it is wanted.
    pub dx: Option<(View, Write)>,
    /// Where the gradients of weight and bias go, each if it is wanted.
    pub daffine: [Option<(View, Write)>; 2],
}

/// Norms on a device.
pub trait NormKernels {
    /// Computes the statistics, updates the running ones where [`NormArgs::params`] says so, then
    /// computes y and the skip output.
    ///
    /// # Errors
    /// What the device reports.
    fn norm(&mut self, args: &NormArgs) -> Result<()>;

    /// Memory that [`NormKernels::norm`] takes in addition to its operands.
    fn norm_workspace(&self, args: &NormArgs) -> Workspace;

    /// Checks that the device can compute the norm and its gradient.
    ///
    /// # Errors
    /// [`Error::Machine`](crate::Error::Machine) where it cannot, with what to change.
    fn norm_supports(&self, _args: &NormArgs) -> Result<()> {
        Ok(())
    }

    /// Computes the wanted gradients of x, weight and bias.
    ///
    /// # Errors
    /// What the device reports.
    fn norm_grad(&mut self, args: &NormGradArgs) -> Result<()>;

    /// Memory that [`NormKernels::norm_grad`] takes in addition to its operands.
    fn norm_grad_workspace(&self, args: &NormGradArgs) -> Workspace;
}

/// Pixels per task, summed in f32; the tasks' sums are added in f64, in order.
const CHUNK: usize = 64;

/// Sums of `width` numbers over the pixels of `range`: `f(i, sums)` adds those of pixel i to
/// `sums`.
fn sum_pixels(
    (pool, arch): (&rayon::ThreadPool, pulp::Arch),
    range: std::ops::Range<usize>,
    width: usize,
    f: impl Fn(usize, &mut [f32]) + Sync,
) -> Vec<f64> {
    let parts: Vec<Vec<f32>> = pool.install(|| {
        let starts: Vec<usize> = range.clone().step_by(CHUNK).collect();
        let part = |&start: &usize| {
            let mut sums = vec![0.0; width];
            arch.dispatch(|| {
                for i in start..range.end.min(start + CHUNK) {
                    f(i, &mut sums);
                }
            });
            sums
        };
        starts.par_iter().map(part).collect()
    });
    (0..width).map(|j| parts.iter().map(|p| f64::from(p[j])).sum()).collect()
}

/// Statistics, weight and bias of each channel, for one group of pixels.
struct Line<'a> {
    mean: &'a [f32],
    rstd: &'a [f32],
    weight: &'a [f32],
    bias: &'a [f32],
}

impl Line<'_> {
    /// weight xhat + bias for one pixel.
    #[inline(always)]
    fn normalise(&self, x: &[f32], out: &mut [f32]) {
        let c = out.len();
        let (x, mean, rstd) = (&x[..c], &self.mean[..c], &self.rstd[..c]);
        let (weight, bias) = (&self.weight[..c], &self.bias[..c]);
        for k in 0..c {
            out[k] = (x[k] - mean[k]) * rstd[k] * weight[k] + bias[k];
        }
    }
}

/// Weight and bias as given, or the ones and zeros of `plain` for a norm without them.
fn affine<'a>(given: Option<[&'a [f32]; 2]>, plain: &'a (Vec<f32>, Vec<f32>)) -> [&'a [f32]; 2] {
    given.unwrap_or([&plain.0, &plain.1])
}

impl NormKernels for Cpu {
    fn norm(&mut self, args: &NormArgs) -> Result<()> {
        let NormArgs { norm, x, params, kept, y, skip } = *args;
        let c = x.shape.c;
        let groups = norm.statistics_shape(x.shape).n;
        let pixels = x.shape.pixels() / groups;
        if norm.statistics == Statistics::Running {
            let ([mean, rstd], rest, _) = self.split(kept);
            if let Some([m, v]) = params.running {
                let (m, v) = (rest.get(m), rest.get(v));
                for (mean, rstd) in mean.chunks_exact_mut(c).zip(rstd.chunks_exact_mut(c)) {
                    mean.copy_from_slice(m);
                    rstd.iter_mut().zip(v).for_each(|(i, v)| *i = 1.0 / (v + norm.eps).sqrt());
                }
            }
        } else {
            let mut moves: Vec<(f64, f64)> = Vec::new();
            {
                let ([mean, rstd], rest, work) = self.split(kept);
                let input = rest.get(x);
                for g in 0..groups {
                    let range = g * pixels..(g + 1) * pixels;
                    let count = pixels as f64;
                    let sums = sum_pixels((&work.pool, work.arch), range.clone(), c, |i, sums| {
                        let pixel = &input[i * x.pitch..][..c];
                        sums.iter_mut().zip(pixel).for_each(|(s, v)| *s += v);
                    });
                    let mean = &mut mean[g * c..][..c];
                    mean.iter_mut().zip(&sums).for_each(|(m, s)| *m = (s / count) as f32);
                    let squares = sum_pixels((&work.pool, work.arch), range, c, |i, sums| {
                        let pixel = &input[i * x.pitch..][..c];
                        for ((s, v), m) in sums.iter_mut().zip(pixel).zip(&*mean) {
                            *s += (v - m) * (v - m);
                        }
                    });
                    for (k, square) in squares.iter().enumerate() {
                        let var = square / count;
                        rstd[g * c + k] = (1.0 / (var + f64::from(norm.eps)).sqrt()) as f32;
                        let unbiased = square / (count - 1.0).max(1.0);
                        moves.push((sums[k] / count, unbiased));
                    }
                }
            }
            if let (Some([m, v]), true) = (params.running, norm.scope != NormScope::Instance) {
                let ([mean, var], _, _) = self.split([m, v]);
                let keep = 1.0 - f64::from(norm.momentum);
                // One run after another, as if each had been a pass of its own.
                for (i, (to_mean, to_var)) in moves.iter().enumerate() {
                    let (k, step) = (i % c, f64::from(norm.momentum));
                    mean[k] = (keep * f64::from(mean[k]) + step * to_mean) as f32;
                    var[k] = (keep * f64::from(var[k]) + step * to_var) as f32;
                }
            }
        }
        let ([out], rest, work) = self.split([y]);
        let (input, state) = (rest.get(x), work.state);
        let plain = (vec![1.0; c], vec![0.0; c]);
        let [weight, bias] = affine(params.affine.map(|a| a.map(|v| rest.get(v))), &plain);
        let [mean, rstd] = kept.map(|v| rest.get(v));
        let arch = work.arch;
        work.pool.install(|| {
            out.par_chunks_mut(CHUNK * y.pitch).enumerate().for_each(|(part, chunk)| {
                arch.dispatch(|| {
                    for (j, pixel) in chunk.chunks_mut(y.pitch).enumerate() {
                        let i = part * CHUNK + j;
                        let g = i / pixels * c;
                        let line =
                            Line { mean: &mean[g..g + c], rstd: &rstd[g..g + c], weight, bias };
                        let pixel = &mut pixel[..c];
                        line.normalise(&input[i * x.pitch..], pixel);
                        finish(norm, state, i * c, pixel);
                    }
                });
            });
        });
        skip.map_or(Ok(()), |skip| self.activation(Activation::Relu, y, skip))
    }

    fn norm_workspace(&self, _args: &NormArgs) -> Workspace {
        Workspace::default()
    }

    fn norm_grad(&mut self, args: &NormGradArgs) -> Result<()> {
        let NormGradArgs { norm, x, params, kept, dy, dskip, dx, daffine } = *args;
        let c = x.shape.c;
        let groups = norm.statistics_shape(x.shape).n;
        let pixels = x.shape.pixels() / groups;
        // g is computed once, into scratch memory, and read again for dx.
        let mut scratch = std::mem::take(&mut self.work_mut().scratch);
        let g = grown(&mut scratch, x.shape.count());
        let mut sums: Vec<Vec<f64>> = Vec::new();
        {
            let ([], rest, work) = self.split([]);
            let (input, gradient, state) = (rest.get(x), rest.get(dy), work.state);
            let skip = dskip.map(|view| (rest.get(view), view.pitch));
            let plain = (vec![1.0; c], vec![0.0; c]);
            let [weight, bias] = affine(params.affine.map(|a| a.map(|v| rest.get(v))), &plain);
            let [mean, rstd] = kept.map(|v| rest.get(v));
            let arch = work.arch;
            work.pool.install(|| {
                g.par_chunks_mut(CHUNK * c).enumerate().for_each(|(part, chunk)| {
                    arch.dispatch(|| {
                        let (mut y, mut total) = (vec![0.0; c], vec![0.0; c]);
                        for (j, g) in chunk.chunks_exact_mut(c).enumerate() {
                            let i = part * CHUNK + j;
                            let at = i / pixels * c;
                            let line = Line {
                                mean: &mean[at..at + c],
                                rstd: &rstd[at..at + c],
                                weight,
                                bias,
                            };
                            let dy = &gradient[i * dy.pitch..][..c];
                            line.normalise(&input[i * x.pitch..], &mut y);
                            finish(norm, state, i * c, &mut y);
                            total.copy_from_slice(dy);
                            if let Some((skip, pitch)) = skip {
                                Activation::Relu.pull(&y, &skip[i * pitch..][..c], g);
                                total.iter_mut().zip(&*g).for_each(|(t, g)| *t += g);
                            }
                            start(norm, state, i * c, &y, &total, g);
                        }
                    });
                });
            });
            let g: &[f32] = g;
            for group in 0..groups {
                let range = group * pixels..(group + 1) * pixels;
                let (mean, rstd) = (&mean[group * c..][..c], &rstd[group * c..][..c]);
                sums.push(sum_pixels((&work.pool, arch), range, 2 * c, |i, sums| {
                    let (ones, products) = sums.split_at_mut(c);
                    let (g, x) = (&g[i * c..][..c], &input[i * x.pitch..][..c]);
                    let (ones, products) = (&mut ones[..c], &mut products[..c]);
                    for k in 0..c {
                        ones[k] += g[k];
                        products[k] += g[k] * (x[k] - mean[k]) * rstd[k];
                    }
                }));
            }
        }
        for (which, target) in [1, 0].into_iter().zip(daffine) {
            let Some((view, mode)) = target else { continue };
            let ([out], _, _) = self.split([view]);
            for (k, value) in out.iter_mut().enumerate() {
                let sum: f64 = sums.iter().map(|s| s[which * c + k]).sum();
                *value = mode.merge(*value, sum as f32);
            }
        }
        if let Some((dx, mode)) = dx {
            let ([out], rest, work) = self.split([dx]);
            let input = rest.get(x);
            let plain = (vec![1.0; c], vec![0.0; c]);
            let [weight, _] = affine(params.affine.map(|a| a.map(|v| rest.get(v))), &plain);
            let [mean, rstd] = kept.map(|v| rest.get(v));
            let own = norm.statistics == Statistics::Batch;
            let means: Vec<Vec<f32>> = sums
                .iter()
                .map(|s| {
                    s.iter().map(|v| if own { (v / pixels as f64) as f32 } else { 0.0 }).collect()
                })
                .collect();
            let (arch, g) = (work.arch, &*g);
            work.pool.install(|| {
                out.par_chunks_mut(CHUNK * dx.pitch).enumerate().for_each(|(part, chunk)| {
                    arch.dispatch(|| {
                        for (j, pixel) in chunk.chunks_mut(dx.pitch).enumerate() {
                            let i = part * CHUNK + j;
                            let group = i / pixels;
                            let (mean, rstd) = (&mean[group * c..][..c], &rstd[group * c..][..c]);
                            let (mean_g, mean_gx) = means[group].split_at(c);
                            let (mean_g, mean_gx) = (&mean_g[..c], &mean_gx[..c]);
                            let (g, x) = (&g[i * c..][..c], &input[i * x.pitch..][..c]);
                            let (pixel, weight) = (&mut pixel[..c], &weight[..c]);
                            let d = |k: usize| {
                                let xhat = (x[k] - mean[k]) * rstd[k];
                                weight[k] * rstd[k] * (g[k] - mean_g[k] - xhat * mean_gx[k])
                            };
                            match mode {
                                Write::Set => (0..c).for_each(|k| pixel[k] = d(k)),
                                Write::Add => (0..c).for_each(|k| pixel[k] += d(k)),
                            }
                        }
                    });
                });
            });
        }
        self.work_mut().scratch = scratch;
        Ok(())
    }

    fn norm_grad_workspace(&self, args: &NormGradArgs) -> Workspace {
        Workspace::scratch(args.x.shape.count())
    }
}

/// Dropout and activation, in place, on a pixel that begins at element `first`.
#[inline(always)]
fn finish(norm: Norm, state: StepState, first: usize, pixel: &mut [f32]) {
    if let Some(dropout) = norm.dropout {
        dropout.apply(state, first, pixel);
    }
    norm.activation.apply(pixel);
}

/// g = dy activation' mask, for a pixel that begins at element `first`.
#[inline(always)]
fn start(norm: Norm, state: StepState, first: usize, y: &[f32], dy: &[f32], g: &mut [f32]) {
    norm.activation.pull(y, dy, g);
    if let Some(dropout) = norm.dropout {
        dropout.apply(state, first, g);
    }
}
