//! The CPU's loop for results whose every pixel is gathered from a few pixels elsewhere: poolings,
//! upsampling, padding, and their gradients.
//!
//! Gradients are gathered too, not scattered: whoever writes an element adds all that belongs to it,
//! in the order of the sources' rows and columns. So no two threads write one place, and a sum does
//! not depend on their number.

use rayon::prelude::*;

use super::Write;
use crate::device::Cpu;
use crate::tensor::{Shape, View};

/// An input of a gather.
#[derive(Clone, Copy)]
pub(super) struct Pixels<'a> {
    values: &'a [f32],
    view: View,
}

impl<'a> Pixels<'a> {
    /// The channels of a pixel.
    #[inline(always)]
    pub fn pixel(self, n: usize, h: usize, w: usize) -> &'a [f32] {
        let Shape { h: rows, w: columns, c, .. } = self.view.shape;
        &self.values[((n * rows + h) * columns + w) * self.view.pitch..][..c]
    }
}

/// y = what `f(inputs, [n, h, w], values)` makes of `values`, which begin at 0, or y += that; pixels
/// in parallel, a task a row.
pub(super) fn gather<const N: usize>(
    cpu: &mut Cpu,
    inputs: [View; N],
    y: View,
    mode: Write,
    f: impl Fn([Pixels; N], [usize; 3], &mut [f32]) + Sync,
) {
    let ([out], rest, work) = cpu.split([y]);
    let inputs = inputs.map(|view| Pixels { values: rest.get(view), view });
    let (arch, Shape { h, w, c, .. }) = (work.arch, y.shape);
    work.pool.install(|| {
        out.par_chunks_mut(w * y.pitch).enumerate().for_each_init(
            || vec![0.0; c],
            |values, (row, pixels)| {
                arch.dispatch(|| {
                    for (column, pixel) in pixels.chunks_mut(y.pitch).enumerate() {
                        values.fill(0.0);
                        f(inputs, [row / h, row % h, column], values);
                        for (old, new) in pixel.iter_mut().zip(&*values) {
                            *old = mode.merge(*old, *new);
                        }
                    }
                });
            },
        );
    });
}

/// Adds the channels of a pixel.
#[inline(always)]
pub(super) fn add(values: &mut [f32], pixel: &[f32]) {
    values.iter_mut().zip(pixel).for_each(|(sum, v)| *sum += v);
}
