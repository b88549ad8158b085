//! Dropout whose mask is a function of (seed, step, micro-step, stream, element): nothing is
//! stored, the backward pass computes the same mask again.

use rayon::prelude::*;

use super::Write;
use crate::device::{Cpu, StepState};
use crate::error::Result;
use crate::random::{PURPOSE_BITS, Purpose, philox, uniform};
use crate::tensor::View;

/// Sets each element to 0 with probability `rate` and scales the rest by 1 / (1 - rate).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Dropout {
    /// Probability of an element becoming 0, in 0..1.
    pub rate: f32,
    /// The number of this dropout in its program: each has its own stream of random numbers.
    pub stream: u32,
}

impl Dropout {
    /// The factors, 0 or 1 / (1 - rate), of elements `4 * quad` to `4 * quad + 3` of the dense
    /// tensor, channels fastest.
    #[inline(always)]
    pub(crate) fn factors(self, state: StepState, quad: usize) -> [f32; 4] {
        let purpose = Purpose::Dropout as u32 | state.micro << PURPOSE_BITS;
        let counter = [quad as u32, self.stream, state.step as u32, purpose];
        let scale = 1.0 / (1.0 - self.rate);
        philox(state.seed, counter).map(|w| if uniform(w) >= self.rate { scale } else { 0.0 })
    }

    /// Multiplies the elements of one pixel, which begins at element `first` of the dense tensor.
    #[inline(always)]
    pub(crate) fn apply(self, state: StepState, first: usize, pixel: &mut [f32]) {
        let mut at = 0;
        while at < pixel.len() {
            let (quad, lane) = ((first + at) / 4, (first + at) % 4);
            let len = (4 - lane).min(pixel.len() - at);
            let factors = self.factors(state, quad);
            for (value, factor) in pixel[at..at + len].iter_mut().zip(&factors[lane..]) {
                *value *= factor;
            }
            at += len;
        }
    }
}

/// Dropout on a device.
pub trait DropoutKernels {
    /// y = x * mask / (1 - rate), or y += that. The backward pass is the same function, of dy into
    /// dx.
    ///
    /// # Errors
    /// What the device reports.
    fn dropout(&mut self, dropout: Dropout, x: View, y: View, mode: Write) -> Result<()>;
}

impl DropoutKernels for Cpu {
    fn dropout(&mut self, dropout: Dropout, x: View, y: View, mode: Write) -> Result<()> {
        let ([out], rest, work) = self.split([y]);
        let (input, state, c) = (rest.get(x), work.state, y.shape.c);
        work.pool.install(|| {
            out.par_chunks_mut(y.pitch).enumerate().for_each_init(
                || vec![0.0; c],
                |values, (i, pixel)| {
                    values.copy_from_slice(&input[i * x.pitch..][..c]);
                    dropout.apply(state, i * c, values);
                    for (o, v) in pixel.iter_mut().zip(&*values) {
                        *o = mode.merge(*o, *v);
                    }
                },
            );
        });
        Ok(())
    }
}
