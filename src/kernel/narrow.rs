//! Stride-1 convolutions to a few channels, such as the last layer of a PatchGAN (512 to 1).
//!
//! With k output channels and r * s taps there are only k * r * s numbers to compute per pixel, so
//! the input is read once, in place: every input pixel is multiplied by the filters' values at all
//! taps, and an output pixel is the sum, over its window, of the product at its own tap. Gathering
//! windows first would move r * s times the input.

use rayon::prelude::*;

use super::product::{Mat, product, product_rows_dot};
use super::{Conv, ConvArgs, Pass, Write};
use crate::device::{Cpu, grown};
use crate::tensor::{Shape, View};

/// Most numbers per pixel for which this is faster than gathering.
const NARROW: usize = 64;
/// Input pixels per task.
const TILE: usize = 64;
/// Input pixels per task of the filter gradient; the tasks' sums are added in order.
const CHUNK: usize = 256;

/// Whether this module computes the passes of a layer with the filter (k,r,s,c).
pub(super) fn serves(conv: Conv, filter: Shape) -> bool {
    conv.stride == 1 && filter.n * conv.taps() <= NARROW && filter.c >= 16
}

/// Scratch memory of a pass, in floats.
pub(super) fn scratch(args: &ConvArgs) -> usize {
    let (x, w) = (args.x.shape, args.w.shape);
    let numbers = w.n * args.conv.taps();
    match args.pass {
        Pass::Fprop => x.pixels() * numbers,
        Pass::Dgrad => 0,
        Pass::Wgrad => x.pixels().div_ceil(CHUNK) * numbers * w.c,
    }
}

/// y = conv(x, w), or y += that.
pub(super) fn fprop(cpu: &mut Cpu, args: &ConvArgs) {
    let ConvArgs { conv, x, w, y, mode, .. } = *args;
    let (c, taps, pixels) = (x.shape.c, conv.taps(), x.shape.pixels());
    let numbers = w.shape.n * taps;
    let ([out], rest, work) = cpu.split([y]);
    let (input, filter) = (rest.get(x), rest.get(w));
    let arch = work.arch;
    let scratch = grown(&mut work.scratch, pixels * numbers);
    work.pool.install(|| {
        scratch.par_chunks_mut(TILE * numbers).enumerate().for_each(|(i, part)| {
            let dims = [part.len() / numbers, numbers, c];
            let rows = Mat::rows(&input[i * TILE * x.pitch..], x.pitch);
            product_rows_dot(arch, dims, rows, Mat::rows(filter, c), part, numbers, false);
        });
    });
    for (i, pixel) in out.chunks_mut(y.pitch).enumerate() {
        let (n, p, q) = (i / (y.shape.h * y.shape.w), i / y.shape.w % y.shape.h, i % y.shape.w);
        for (k, value) in pixel[..y.shape.c].iter_mut().enumerate() {
            let mut sum = 0.0;
            for tap in 0..taps {
                let row = conv.source(p, tap / conv.s, x.shape.h);
                if let Some((h, w)) = row.zip(conv.source(q, tap % conv.s, x.shape.w)) {
                    let at = (n * x.shape.h + h) * x.shape.w + w;
                    sum += scratch[at * numbers + k * taps + tap];
                }
            }
            *value = mode.merge(*value, sum);
        }
    }
}

/// For the input pixels from `from` on: dy of the output pixel that reads them at each tap, or 0.
fn gather(conv: Conv, dy: &[f32], view: View, x: Shape, from: usize, to: &mut [f32]) {
    let (taps, y) = (conv.taps(), view.shape);
    for (i, row) in to.chunks_exact_mut(y.c * taps).enumerate() {
        let i = from + i;
        let (n, h, w) = (i / (x.h * x.w), i / x.w % x.h, i % x.w);
        for (j, value) in row.iter_mut().enumerate() {
            let (k, tap) = (j / taps, j % taps);
            let p = (h + conv.pad).checked_sub(tap / conv.s).filter(|&p| p < y.h);
            let q = (w + conv.pad).checked_sub(tap % conv.s).filter(|&q| q < y.w);
            *value = match p.zip(q) {
                Some((p, q)) => dy[((n * y.h + p) * y.w + q) * view.pitch + k],
                None => 0.0,
            };
        }
    }
}

/// dx = adjoint(dy, w), or dx += that.
pub(super) fn dgrad(cpu: &mut Cpu, args: &ConvArgs) {
    let ConvArgs { conv, x: dx, w, y: dy, mode, .. } = *args;
    let (c, numbers, pixels) = (dx.shape.c, w.shape.n * conv.taps(), dx.shape.pixels());
    let ([out], rest, work) = cpu.split([dx]);
    let (gradient, filter) = (rest.get(dy), rest.get(w));
    work.pool.install(|| {
        out.par_chunks_mut(TILE * dx.pitch).enumerate().for_each(|(i, part)| {
            let size = TILE.min(pixels - i * TILE);
            let mut seen = vec![0.0; size * numbers];
            gather(conv, gradient, dy, dx.shape, i * TILE, &mut seen);
            let (a, b) = (Mat::rows(&seen, numbers), Mat::rows(filter, c));
            product([size, c, numbers], a, b, part, dx.pitch, mode == Write::Add);
        });
    });
}

/// dw = sum over pixels of dy times the windows of x, or dw += that.
pub(super) fn wgrad(cpu: &mut Cpu, args: &ConvArgs) {
    let ConvArgs { conv, x, w: dw, y: dy, mode, .. } = *args;
    let (c, numbers, pixels) = (x.shape.c, dw.shape.n * conv.taps(), x.shape.pixels());
    let ([out], rest, work) = cpu.split([dw]);
    let (input, gradient) = (rest.get(x), rest.get(dy));
    let scratch = grown(&mut work.scratch, pixels.div_ceil(CHUNK) * numbers * c);
    work.pool.install(|| {
        scratch.par_chunks_mut(numbers * c).enumerate().for_each(|(i, part)| {
            let size = CHUNK.min(pixels - i * CHUNK);
            let mut seen = vec![0.0; size * numbers];
            gather(conv, gradient, dy, x.shape, i * CHUNK, &mut seen);
            let rows = Mat::rows(&input[i * CHUNK * x.pitch..], x.pitch);
            product([numbers, c, size], Mat::transposed(&seen, numbers), rows, part, c, false);
        });
    });
    for (j, value) in out.iter_mut().enumerate() {
        let sum = scratch.chunks_exact(numbers * c).map(|part| part[j]).sum();
        *value = mode.merge(*value, sum);
    }
}
