//! Transforms of pixels: windows of inputs and gradients, and tiles of outputs back.
// Loops over fixed arrays by index and no closures: what runs here must be inlined into the
// function that has the instruction set, and unrolled there.
#![allow(clippy::needless_range_loop)]

use pulp::{Simd, WithSimd};
use rayon::prelude::*;

use super::super::Write;
use super::blocks;
use super::grid::{Stacked, TileGrid, by_tile_row};
use super::tile::{load, sandwich, store};

/// left * d * left^T for the I x I window d of every tile of m x m outputs, which begins `back`
/// positions before the tile: O * O matrices [tiles x channels].
pub(super) fn transform_windows<const O: usize, const I: usize>(
    work: (&rayon::ThreadPool, pulp::Arch),
    left: &[[f32; I]; O],
    (grid, m, back): (TileGrid, usize, usize),
    (source, from): (&[f32], Stacked),
    to: &mut [f32],
) {
    let channels = from.channels();
    let rows = by_tile_row(to, grid, channels);
    work.0.install(|| {
        rows.into_par_iter().enumerate().for_each(|(row, mut parts)| {
            let i0 = (row % grid.rows * m) as isize - back as isize;
            let (n, parts) = (row / grid.rows, &mut parts);
            let at = (n, i0, back as isize);
            work.1.dispatch(Windows { left, cols: grid.cols, m, at, source, from, parts });
        });
    });
}

/// The windows of one row of tiles.
struct Windows<'a, 'b, const O: usize, const I: usize> {
    left: &'a [[f32; I]; O],
    cols: usize,
    m: usize,
    /// Picture, first row of the windows, positions by which a window begins before its tile.
    at: (usize, isize, isize),
    source: &'a [f32],
    from: Stacked,
    parts: &'a mut Vec<&'b mut [f32]>,
}

impl<const O: usize, const I: usize> WithSimd for Windows<'_, '_, O, I> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Windows { left, cols, m, at: (n, i0, back), source, from, parts } = self;
        let (channels, c) = (from.channels(), from.view.shape.c);
        let zero = simd.splat_f32s(0.0);
        for col in 0..cols {
            let j0 = (col * m) as isize - back;
            for parity in 0..from.stride * from.stride {
                let mut at = [[None; I]; I];
                for a in 0..I {
                    for b in 0..I {
                        at[a][b] = from.at(n, i0 + a as isize, j0 + b as isize, parity);
                    }
                }
                let base = col * channels + parity * c;
                for k in (0..c).step_by(S::F32_LANES) {
                    let mut d = [[zero; I]; I];
                    for a in 0..I {
                        for b in 0..I {
                            if let Some(p) = at[a][b] {
                                d[a][b] = load::<S>(&source[p + k..]);
                            }
                        }
                    }
                    let v = sandwich(simd, left, &d);
                    for a in 0..O {
                        for b in 0..O {
                            store(simd, &mut parts[a * O + b][base + k..], v[a][b], Write::Set);
                        }
                    }
                }
            }
        }
    }
}

/// A^T (results) A for every tile, written to the positions of `to` that are inside the picture.
pub(super) fn write_tiles<const M: usize, const A: usize>(
    work: (&rayon::ThreadPool, pulp::Arch),
    at: &[[f32; A]; M],
    grid: TileGrid,
    results: &[f32],
    (out, to): (&mut [f32], Stacked),
    mode: Write,
) {
    let shape = to.view.shape;
    // Every row of the picture is written by one row of tiles: pixel row h is position
    // i = (h + pad) / stride, and position i is written by tile row i / m.
    let line = shape.w * to.view.pitch;
    let mut rows: Vec<(usize, Vec<&mut [f32]>)> = Vec::new();
    for (i, pixels) in out.chunks_mut(line).enumerate() {
        let (n, h) = (i / shape.h, i % shape.h);
        let row = n * grid.rows + (h + to.pad) / to.stride / M;
        match rows.last_mut() {
            Some((last, lines)) if *last == row => lines.push(pixels),
            _ => rows.push((row, vec![pixels])),
        }
    }
    work.0.install(|| {
        rows.into_par_iter().for_each(|(row, mut lines)| {
            let i0 = row % grid.rows * M;
            let lines = &mut lines;
            work.1.dispatch(Tiles { at, grid, row, i0, results, lines, to, mode });
        });
    });
}

/// The outputs of one row of tiles.
struct Tiles<'a, 'b, const M: usize, const A: usize> {
    at: &'a [[f32; A]; M],
    grid: TileGrid,
    row: usize,
    i0: usize,
    results: &'a [f32],
    /// The picture's rows that these tiles write.
    lines: &'a mut Vec<&'b mut [f32]>,
    to: Stacked,
    mode: Write,
}

impl<const M: usize, const A: usize> WithSimd for Tiles<'_, '_, M, A> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Tiles { at, grid, row, i0, results, lines, to, mode } = self;
        let (channels, c) = (to.channels(), to.view.shape.c);
        let (tiles, width) = (grid.tiles(), blocks(channels));
        let first = (i0 * to.stride).saturating_sub(to.pad);
        let zero = simd.splat_f32s(0.0);
        for col in 0..grid.cols {
            let tile = row * grid.cols + col;
            for channel in (0..channels).step_by(S::F32_LANES) {
                let (block, inside) = (channel / width, channel % width);
                let size = width.min(channels - block * width);
                let base = block * width * tiles + tile * size + inside;
                let mut d = [[zero; A]; A];
                for a in 0..A {
                    for b in 0..A {
                        d[a][b] = load::<S>(&results[(a * A + b) * tiles * channels + base..]);
                    }
                }
                let y = sandwich(simd, at, &d);
                let (parity, k) = (channel / c, channel % c);
                for a in 0..M {
                    for b in 0..M {
                        let (i, j) = (i0 + a, col * M + b);
                        if to.at(0, i as isize, j as isize, parity).is_none() {
                            continue;
                        }
                        let h = i * to.stride + parity / to.stride - to.pad;
                        let w = j * to.stride + parity % to.stride - to.pad;
                        let pixel = &mut lines[h - first][w * to.view.pitch + k..];
                        store(simd, pixel, y[a][b], mode);
                    }
                }
            }
        }
    }
}
