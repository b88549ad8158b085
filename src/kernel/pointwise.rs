//! Pointwise functions: activations, sums, copies; and sums per channel.

use rayon::prelude::*;

use super::{Workspace, Write};
use crate::device::Cpu;
use crate::error::Result;
use crate::tensor::View;

/// An activation function.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Activation {
    /// y = x
    Identity,
    /// y = max(x, 0); NaN stays NaN.
    Relu,
    /// y = x where x > 0, slope * x elsewhere; the slope is above 0.
    LeakyRelu(f32),
    /// y = tanh(x)
    Tanh,
}

impl Activation {
    /// y = activation(x).
    #[inline(always)]
    pub fn value(self, x: f32) -> f32 {
        match self {
            Activation::Identity => x,
            Activation::Relu => relu(x),
            Activation::LeakyRelu(slope) => {
                if x > 0.0 {
                    x
                } else {
                    slope * x
                }
            }
            Activation::Tanh => tanh(x),
        }
    }

    /// [`Activation::value`] of every element, in place. The activation is matched outside the
    /// loop, so that the compiler vectorises it.
    #[inline(always)]
    pub(crate) fn apply(self, values: &mut [f32]) {
        match self {
            Activation::Identity => {}
            Activation::Relu => values.iter_mut().for_each(|v| *v = relu(*v)),
            Activation::LeakyRelu(slope) => {
                values.iter_mut().for_each(|v| *v = if *v > 0.0 { *v } else { slope * *v });
            }
            Activation::Tanh => values.iter_mut().for_each(|v| *v = tanh(*v)),
        }
    }

    /// g = dy times [`Activation::slope`] of y, element by element.
    #[inline(always)]
    pub(crate) fn pull(self, y: &[f32], dy: &[f32], g: &mut [f32]) {
        let all = g.iter_mut().zip(y.iter().zip(dy));
        match self {
            Activation::Identity => all.for_each(|(g, (_, dy))| *g = *dy),
            Activation::Relu => all.for_each(|(g, (y, dy))| *g = if *y <= 0.0 { 0.0 } else { *dy }),
            Activation::LeakyRelu(slope) => {
                all.for_each(|(g, (y, dy))| *g = if *y > 0.0 { *dy } else { slope * dy });
            }
            Activation::Tanh => all.for_each(|(g, (y, dy))| *g = dy * (1.0 - y * y)),
        }
    }

    /// The derivative dy/dx, computed from y: all of these functions keep the sign of x, so that y
    /// is enough. At 0 it is the left derivative, and where y is NaN that of a number below 0 for a
    /// leaky ReLU and that of one above for a ReLU, all as in PyTorch.
    #[inline(always)]
    pub fn slope(self, y: f32) -> f32 {
        match self {
            Activation::Identity => 1.0,
            Activation::Relu => {
                if y <= 0.0 {
                    0.0
                } else {
                    1.0
                }
            }
            Activation::LeakyRelu(slope) => {
                if y > 0.0 {
                    1.0
                } else {
                    slope
                }
            }
            Activation::Tanh => 1.0 - y * y,
        }
    }
}

/// max(x, 0) that keeps NaN, which `f32::max` would replace by 0; 0 of -0.
#[inline(always)]
fn relu(x: f32) -> f32 {
    if x <= 0.0 { 0.0 } else { x }
}

/// tanh(x) to a relative error of 3e-7, in arithmetic that the compiler vectorises: calling the C
/// library for each of the 196,608 values of a picture took 1.3 of 60 ms (EPYC Zen 4, 2026-11-23).
///
/// From 0.25 on (1 - e) / (1 + e) with e = exp(-2 |x|) = 2^n 2^f, below that the odd series to
/// x^11.
#[inline(always)]
fn tanh(x: f32) -> f32 {
    /// 1.5 * 2^23: adding it rounds to an integer, which the low bits of the sum then hold.
    const ROUND: f32 = 12_582_912.0;
    let a = x.abs().min(10.0);
    let t = a * -2.0 * std::f32::consts::LOG2_E;
    let n = t + ROUND;
    let f = (t - (n - ROUND)) * std::f32::consts::LN_2;
    let series = 1.0
        + f * (1.0
            + f * (0.5
                + f * (1.0 / 6.0 + f * (1.0 / 24.0 + f * (1.0 / 120.0 + f * (1.0 / 720.0))))));
    let power = f32::from_bits(n.to_bits().wrapping_sub(ROUND.to_bits()).wrapping_add(127) << 23);
    let e = series * power;
    let far = (1.0 - e) / (1.0 + e);
    let s = a * a;
    let near = a
        * (1.0
            - s * (1.0 / 3.0
                - s * (2.0 / 15.0
                    - s * (17.0 / 315.0 - s * (62.0 / 2835.0 - s * (1382.0 / 155_925.0))))));
    let y = if a < 0.25 { near } else { far };
    // NaN stays NaN: `min` above has replaced it.
    if x.is_nan() { x } else { y.copysign(x) }
}

/// Operands of an activation's gradient.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ActivationGradArgs {
    /// The activation of the forward pass.
    pub activation: Activation,
    /// Its result.
    pub y: View,
    /// Gradient of y.
    pub dy: View,
    /// Where the gradient of its input goes.
    pub dx: View,
    /// Whether that is set or added to.
    pub mode: Write,
}

/// Pointwise functions on a device. All Views of a call have one shape, except in
/// [`PointwiseKernels::stack`] and [`PointwiseKernels::channel_sum`]. Errors are what the device
/// reports.
pub trait PointwiseKernels {
    /// y = activation(x)
    fn activation(&mut self, activation: Activation, x: View, y: View) -> Result<()>;

    /// dx = dy * activation'(x), computed from y; or dx += that.
    fn activation_grad(&mut self, args: &ActivationGradArgs) -> Result<()>;

    /// Copies the first tensor of each pair to the second, which has its shape.
    fn stack(&mut self, parts: &[(View, View)]) -> Result<()> {
        parts.iter().try_for_each(|&(x, y)| self.scale(1.0, x, y, Write::Set))
    }

    /// Sets every element to `value`.
    fn fill(&mut self, to: View, value: f32) -> Result<()>;

    /// y = scale * x, or y += that.
    fn scale(&mut self, scale: f32, x: View, y: View, mode: Write) -> Result<()>;

    /// Checks that the device can read and write these tensors in one call of
    /// [`PointwiseKernels::scale`] or [`PointwiseKernels::stack`].
    ///
    /// # Errors
    /// [`Error::Machine`](crate::Error::Machine) where it cannot, with what to change.
    fn scale_supports(&self, _x: View, _y: View) -> Result<()> {
        Ok(())
    }

    /// `db[c] = sum over pixels of dy[.., c]`, or db += that: the gradient of a bias, (1,1,1,c)
    /// f32.
    fn channel_sum(&mut self, dy: View, db: View, mode: Write) -> Result<()>;

    /// Memory that [`PointwiseKernels::channel_sum`] takes in addition to its operands.
    fn channel_sum_workspace(&self, dy: View) -> Workspace;

    /// Checks that the device can sum the channels of `dy`.
    ///
    /// # Errors
    /// [`Error::Machine`](crate::Error::Machine) where it cannot, with what to change.
    fn channel_sum_supports(&self, _dy: View) -> Result<()> {
        Ok(())
    }
}

/// Elements per task.
const CHUNK: usize = 16_384;

/// The number of pixels of `view` that have about [`CHUNK`] elements.
fn pixels_of(view: View) -> usize {
    CHUNK.div_ceil(view.pitch)
}

/// Calls `f(pixel of y, pixels of inputs)` for every pixel, in parallel.
fn each_pixel<const N: usize>(
    cpu: &mut Cpu,
    inputs: [View; N],
    y: View,
    f: impl Fn(&mut [f32], [&[f32]; N]) + Sync,
) {
    let ([out], rest, work) = cpu.split([y]);
    let sources = inputs.map(|v| rest.get(v));
    let (arch, step) = (work.arch, pixels_of(y));
    work.pool.install(|| {
        out.par_chunks_mut(step * y.pitch).enumerate().for_each(|(i, part)| {
            arch.dispatch(|| {
                for (j, pixel) in part.chunks_mut(y.pitch).enumerate() {
                    let at = i * step + j;
                    let from: [&[f32]; N] = std::array::from_fn(|k| {
                        &sources[k][at * inputs[k].pitch..][..inputs[k].shape.c]
                    });
                    f(&mut pixel[..y.shape.c], from);
                }
            });
        });
    });
}

impl PointwiseKernels for Cpu {
    fn activation(&mut self, activation: Activation, x: View, y: View) -> Result<()> {
        each_pixel(self, [x], y, |y, [x]| {
            y.iter_mut().zip(x).for_each(|(y, x)| *y = activation.value(*x));
        });
        Ok(())
    }

    fn activation_grad(&mut self, args: &ActivationGradArgs) -> Result<()> {
        let ActivationGradArgs { activation, y, dy, dx, mode } = *args;
        each_pixel(self, [y, dy], dx, |dx, [y, dy]| {
            for (dx, (y, dy)) in dx.iter_mut().zip(y.iter().zip(dy)) {
                *dx = mode.merge(*dx, dy * activation.slope(*y));
            }
        });
        Ok(())
    }

    fn fill(&mut self, to: View, value: f32) -> Result<()> {
        let ([out], _, _) = self.split([to]);
        for pixel in out.chunks_mut(to.pitch) {
            let c = to.shape.c.min(pixel.len());
            pixel[..c].fill(value);
        }
        Ok(())
    }

    fn scale(&mut self, scale: f32, x: View, y: View, mode: Write) -> Result<()> {
        each_pixel(self, [x], y, |y, [x]| {
            y.iter_mut().zip(x).for_each(|(y, x)| *y = mode.merge(*y, scale * x));
        });
        Ok(())
    }

    fn channel_sum(&mut self, dy: View, db: View, mode: Write) -> Result<()> {
        let ([out], rest, work) = self.split([db]);
        let (gradient, c) = (rest.get(dy), dy.shape.c);
        let (arch, step) = (work.arch, pixels_of(dy));
        let parts: Vec<Vec<f32>> = work.pool.install(|| {
            let chunks = gradient.par_chunks(step * dy.pitch);
            chunks
                .map(|part| {
                    let mut sums = vec![0.0; c];
                    arch.dispatch(|| {
                        for pixel in part.chunks(dy.pitch) {
                            sums.iter_mut().zip(pixel).for_each(|(s, v)| *s += v);
                        }
                    });
                    sums
                })
                .collect()
        });
        for (i, value) in out.iter_mut().enumerate() {
            let sum: f64 = parts.iter().map(|p| f64::from(p[i])).sum();
            *value = mode.merge(*value, sum as f32);
        }
        Ok(())
    }

    fn channel_sum_workspace(&self, _dy: View) -> Workspace {
        Workspace::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tanh_is_that_of_f64_to_3e_7() {
        for i in -120_000..=120_000 {
            let x = i as f32 / 10_000.0;
            let (got, exact) = (f64::from(tanh(x)), f64::from(x).tanh());
            assert!((got - exact).abs() <= 3e-7 * exact.abs(), "tanh({x}) = {got}, not {exact}");
        }
        for (x, y) in [(f32::INFINITY, 1.0), (f32::NEG_INFINITY, -1.0), (1e-30, 1e-30)] {
            assert_eq!(tanh(x), y);
        }
        assert!(tanh(f32::NAN).is_nan() && tanh(-0.0).is_sign_negative());
    }
}
