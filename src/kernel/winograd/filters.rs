//! Transforms of filters, and of their gradients back.
// Loops over fixed arrays by index and no closures: what runs here must be inlined into the
// function that has the instruction set, and unrolled there.
#![allow(clippy::needless_range_loop)]

use pulp::{Simd, WithSimd};
use rayon::prelude::*;

use super::super::{Conv, Write};
use super::LANES;
use super::tile::{load, sandwich, store};
use crate::tensor::Shape;

/// Offset inside one filter (r,s,c) of tap (i, j) of the stacked picture, at channel 0 of a parity.
#[inline(always)]
pub(super) fn tap(conv: Conv, c: usize, i: usize, j: usize, parity: usize) -> usize {
    let (r, s) = (i * conv.stride + parity / conv.stride, j * conv.stride + parity % conv.stride);
    (r * conv.s + s) * c
}

/// G g G^T for fprop: matrices [stacked channels x k]. Sixteen filters are transformed at once, so
/// that the result is written in contiguous runs although the filter is stored with k slowest.
pub(super) fn filters_forward<const R: usize, const A: usize>(
    work: (&rayon::ThreadPool, pulp::Arch),
    g: &[[f32; R]; A],
    conv: Conv,
    (filter, shape): (&[f32], Shape),
    to: &mut [f32],
) {
    let (k, c) = (shape.n, shape.c);
    let channels = conv.stride * conv.stride * c;
    // One task per LANES rows of the matrices.
    let mut parts: Vec<Vec<&mut [f32]>> = (0..channels / LANES).map(|_| Vec::new()).collect();
    for matrix in to.chunks_exact_mut(channels * k) {
        for (part, rows) in parts.iter_mut().zip(matrix.chunks_exact_mut(LANES * k)) {
            part.push(rows);
        }
    }
    work.0.install(|| {
        parts.into_par_iter().enumerate().for_each(|(part, mut rows)| {
            let (first, rows) = (part * LANES, &mut rows);
            work.1.dispatch(FiltersForward { g, conv, filter, shape, first, rows });
        });
    });
}

/// LANES rows of the matrices, from stacked channel `first` on.
struct FiltersForward<'a, 'b, const R: usize, const A: usize> {
    g: &'a [[f32; R]; A],
    conv: Conv,
    filter: &'a [f32],
    shape: Shape,
    first: usize,
    rows: &'a mut Vec<&'b mut [f32]>,
}

impl<const R: usize, const A: usize> WithSimd for FiltersForward<'_, '_, R, A> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let FiltersForward { g, conv, filter, shape: Shape { n: k, c, .. }, first, rows } = self;
        let window = conv.taps() * c;
        let zero = simd.splat_f32s(0.0);
        let (parity, channel) = (first / c, first % c);
        // Filters are a power of two apart, so that reading across them would evict each other's
        // cache lines: LANES channels of LANES filters are transposed at once, one cache line at a
        // time.
        let mut turned = [[[[0.0; LANES]; LANES]; R]; R];
        for f in (0..k).step_by(LANES) {
            for l in 0..LANES {
                let filter = &filter[(f + l) * window..][..window];
                for i in 0..R {
                    for j in 0..R {
                        let line = &filter[tap(conv, c, i, j, parity) + channel..][..LANES];
                        for row in 0..LANES {
                            turned[i][j][row][l] = line[row];
                        }
                    }
                }
            }
            for row in 0..LANES {
                for part in (0..LANES).step_by(S::F32_LANES) {
                    let mut d = [[zero; R]; R];
                    for i in 0..R {
                        for j in 0..R {
                            d[i][j] = load::<S>(&turned[i][j][row][part..]);
                        }
                    }
                    let u = sandwich(simd, g, &d);
                    let at = row * k + f + part;
                    for a in 0..A {
                        for b in 0..A {
                            store(simd, &mut rows[a * A + b][at..], u[a][b], Write::Set);
                        }
                    }
                }
            }
        }
    }
}

/// G g G^T of the filter turned by 180 degrees, for dgrad: matrices [k x stacked channels].
pub(super) fn filters_backward<const R: usize, const A: usize>(
    work: (&rayon::ThreadPool, pulp::Arch),
    g: &[[f32; R]; A],
    conv: Conv,
    (filter, shape): (&[f32], Shape),
    to: &mut [f32],
) {
    let (k, c) = (shape.n, shape.c);
    let (window, parities) = (conv.taps() * c, conv.stride * conv.stride);
    let channels = parities * c;
    let mut parts: Vec<Vec<&mut [f32]>> = (0..k).map(|_| Vec::new()).collect();
    for matrix in to.chunks_exact_mut(channels * k) {
        for (part, row) in parts.iter_mut().zip(matrix.chunks_exact_mut(channels)) {
            part.push(row);
        }
    }
    work.0.install(|| {
        parts.into_par_iter().enumerate().for_each(|(f, mut rows)| {
            let (filter, rows) = (&filter[f * window..][..window], &mut rows);
            work.1.dispatch(FiltersBackward { g, conv, c, filter, rows });
        });
    });
}

/// One filter: a row of every matrix.
struct FiltersBackward<'a, 'b, const R: usize, const A: usize> {
    g: &'a [[f32; R]; A],
    conv: Conv,
    c: usize,
    filter: &'a [f32],
    rows: &'a mut Vec<&'b mut [f32]>,
}

impl<const R: usize, const A: usize> WithSimd for FiltersBackward<'_, '_, R, A> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let FiltersBackward { g, conv, c, filter, rows } = self;
        let zero = simd.splat_f32s(0.0);
        for parity in 0..conv.stride * conv.stride {
            for channel in (0..c).step_by(S::F32_LANES) {
                let mut d = [[zero; R]; R];
                for i in 0..R {
                    for j in 0..R {
                        let at = tap(conv, c, R - 1 - i, R - 1 - j, parity);
                        d[i][j] = load::<S>(&filter[at + channel..]);
                    }
                }
                let u = sandwich(simd, g, &d);
                for a in 0..A {
                    for b in 0..A {
                        let to = &mut rows[a * A + b][parity * c + channel..];
                        store(simd, to, u[a][b], Write::Set);
                    }
                }
            }
        }
    }
}

/// dw = G^T (sums) G: from matrices [k x stacked channels] to filters (k, r, s, c).
pub(super) fn write_filters<const R: usize, const A: usize>(
    work: (&rayon::ThreadPool, pulp::Arch),
    gt: &[[f32; A]; R],
    conv: Conv,
    sums: &[f32],
    (out, shape): (&mut [f32], Shape),
    mode: Write,
) {
    work.0.install(|| {
        out.par_chunks_exact_mut(conv.taps() * shape.c).enumerate().for_each(|(f, filter)| {
            work.1.dispatch(WriteFilter { gt, conv, sums, shape, f, filter, mode });
        });
    });
}

/// One filter, from a row of every matrix.
struct WriteFilter<'a, const R: usize, const A: usize> {
    gt: &'a [[f32; A]; R],
    conv: Conv,
    sums: &'a [f32],
    shape: Shape,
    f: usize,
    filter: &'a mut [f32],
    mode: Write,
}

impl<const R: usize, const A: usize> WithSimd for WriteFilter<'_, R, A> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let WriteFilter { gt, conv, sums, shape: Shape { n: k, c, .. }, f, filter, mode } = self;
        let parities = conv.stride * conv.stride;
        let channels = parities * c;
        let zero = simd.splat_f32s(0.0);
        for parity in 0..parities {
            for channel in (0..c).step_by(S::F32_LANES) {
                let base = f * channels + parity * c + channel;
                let mut d = [[zero; A]; A];
                for a in 0..A {
                    for b in 0..A {
                        d[a][b] = load::<S>(&sums[(a * A + b) * k * channels + base..]);
                    }
                }
                let dg = sandwich(simd, gt, &d);
                for i in 0..R {
                    for j in 0..R {
                        let to = &mut filter[tap(conv, c, i, j, parity) + channel..];
                        store(simd, to, dg[i][j], mode);
                    }
                }
            }
        }
    }
}
