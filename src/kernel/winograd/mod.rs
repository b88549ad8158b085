//! Convolutions by Winograd's minimal filtering: fewer multiplications for 4 x 4 windows and many
//! channels.
//!
//! A tile of m outputs of a filter of r taps takes m + r - 1 multiplications instead of m * r, in
//! each dimension. With matrices B, G and A and a window d of m + r - 1 inputs,
//!
//! ```text
//! fprop   y  = A^T [ (G g G^T) . (B^T d B) ] A
//! wgrad   dg = G^T [ sum over tiles of (A dy A^T) . (B^T d B) ] G
//! dgrad   fprop with the filter turned by 180 degrees and its channels exchanged
//! ```
//!
//! where "." multiplies element by element and sums over channels, which makes (m + r - 1)^2 matrix
//! products. A 4 x 4 window of stride 2 becomes a 2 x 2 window of stride 1 on the picture's four
//! parities, which are stacked as channels ("space to depth") by address alone. Multiplications are
//! fewer by a factor of 2.25 for stride 2 (F(3, 2)), 1.78 on small pictures (F(2, 2)) and 4 for
//! stride 1 (F(3, 4)).
//!
//! Sources: Winograd, "Arithmetic complexity of computations", 1980; Lavin and Gray, "Fast
//! algorithms for convolutional neural networks", CVPR 2016 (for 3 x 3 windows of stride 1).

mod filters;
mod grid;
mod pixels;
mod tile;

use rayon::prelude::*;

use self::filters::{filters_backward, filters_forward, write_filters};
use self::grid::{Stacked, TileGrid};
use self::pixels::{transform_windows, write_tiles};
use self::tile::{Tile, transpose};
use super::product::{Mat, product};
use super::{Conv, ConvArgs, Parts, Pass, Workspace};
use crate::device::{Cpu, Resources, grown};
use crate::tensor::{Shape, View};

/// Channels must be multiples of this: one register of AVX-512, two of AVX2.
const LANES: usize = 16;
/// Columns per task of a matrix product.
const COLUMNS: usize = 256;
/// Fewest output pixels for which the transforms pay off.
const MANY: usize = 14 * 14;

/// Output rows up to which stride 2 takes the smaller tile.
const FEW_ROWS: usize = 16;
/// All tiles have 2 or 3 outputs a side, and more rows than these take one kind of tile in this module.
pub(super) const PARTS: Parts = Parts { align: 6, least: FEW_ROWS + 1 };
const _: () = assert!(PARTS.least * PARTS.least >= MANY);

/// Whether this module computes the passes of a layer with the filter (k,r,s,c) and the output `y`.
pub(super) fn serves(conv: Conv, filter: Shape, y: Shape) -> bool {
    (conv.r, conv.s) == (4, 4)
        && (conv.stride == 1 || conv.stride == 2)
        && conv.pad < 4
        && filter.n.is_multiple_of(LANES)
        && filter.c.is_multiple_of(LANES)
        && y.h * y.w >= MANY
}

/// Evaluates `$body` with the tile for a shape. Stride 2 on up to 16 output rows takes the smaller
/// tile, which has 9 numbers per 2 x 2 filter instead of 16: there reading filters takes longer
/// than reading pixels.
macro_rules! with_tile {
    ($conv:expr, $rows:expr, |$tile:ident| $body:expr) => {
        if $conv.stride == 1 {
            let $tile = Tile::<3, 4, 6>::new(&[0.0, 1.0, -1.0, 2.0, -0.5]);
            $body
        } else if $rows <= FEW_ROWS {
            let $tile = Tile::<2, 2, 3>::new(&[0.0, 1.0]);
            $body
        } else {
            let $tile = Tile::<3, 2, 4>::new(&[0.0, 1.0, -1.0]);
            $body
        }
    };
}

/// Columns per task of a matrix product of this many columns.
fn blocks(columns: usize) -> usize {
    columns.min(COLUMNS)
}

/// For each of `count` matrices: result = windows [tiles x inner] times filters [inner x columns].
/// The result is stored in blocks of columns, [block][tiles x width], so that every task writes one
/// slice.
fn multiply(
    pool: &rayon::ThreadPool,
    [count, tiles, inner, columns]: [usize; 4],
    windows: &[f32],
    filters: &[f32],
    results: &mut [f32],
) {
    let width = blocks(columns);
    let mut tasks = Vec::new();
    for (i, result) in results.chunks_exact_mut(tiles * columns).take(count).enumerate() {
        let mut left = result;
        for from in (0..columns).step_by(width) {
            let size = width.min(columns - from);
            let (part, rest) = left.split_at_mut(tiles * size);
            tasks.push((i, from, size, part));
            left = rest;
        }
    }
    pool.install(|| {
        tasks.into_par_iter().for_each(|(i, from, size, part)| {
            let a = Mat::rows(&windows[i * tiles * inner..], inner);
            let b = Mat::rows(&filters[i * inner * columns + from..], columns);
            product([tiles, size, inner], a, b, part, size, false);
        });
    });
}

/// Memory that a pass takes in addition to its operands.
pub(super) fn workspace(args: &ConvArgs) -> Workspace {
    let (conv, x, y) = (args.conv, args.x.shape, args.y.shape);
    let (k, channels) = (args.w.shape.n, conv.stride * conv.stride * args.w.shape.c);
    // Square tiles: m outputs by a * a matrices.
    let (m, a) = with_tile!(conv, y.h.min(y.w), |tile| tile.extents());
    let outputs = TileGrid::new(y.n, y.h, y.w, m).tiles();
    let inputs = TileGrid::over(x, conv, m).tiles();
    let filters = a * a * channels * k;
    let both = |tiles: usize| a * a * tiles * (channels + k);
    match args.pass {
        Pass::Fprop => Workspace { kept: filters, scratch: both(outputs) },
        Pass::Dgrad => Workspace { kept: filters, scratch: both(inputs) },
        Pass::Wgrad => Workspace::scratch(both(outputs) + filters),
    }
}

/// Two parts of the scratch memory, of `first` and `second` floats: transformed windows and
/// results.
fn two(scratch: &mut Vec<f32>, first: usize, second: usize) -> (&mut [f32], &mut [f32]) {
    grown(scratch, first + second).split_at_mut(first)
}

/// The kind of a kept filter transform, by the pass and the extent `a` of the transformed tile.
const fn kind(pass: Pass, a: usize) -> u8 {
    match pass {
        Pass::Dgrad => 128 + a as u8,
        Pass::Fprop | Pass::Wgrad => a as u8,
    }
}

/// Threads, instruction set and scratch memory for a pass, and the transform of the filter `w`,
/// which is recomputed only where the filter has been written since.
fn with_filters(
    work: &mut Resources,
    w: View,
    kind: u8,
    len: usize,
    make: impl FnOnce((&rayon::ThreadPool, pulp::Arch), &mut [f32]),
) -> (&rayon::ThreadPool, pulp::Arch, &mut Vec<f32>, &[f32]) {
    let Resources { pool, arch, scratch, memo, .. } = work;
    let filters = memo.get(w.span(), kind, len, |to| make((pool, *arch), to));
    (pool, *arch, scratch, filters)
}

/// y = conv(x, w), or y += that.
pub(super) fn fprop(cpu: &mut Cpu, args: &ConvArgs) {
    with_tile!(args.conv, args.y.shape.h.min(args.y.shape.w), |tile| fprop_tiles(cpu, tile, args));
}

fn fprop_tiles<const M: usize, const R: usize, const A: usize>(
    cpu: &mut Cpu,
    tile: Tile<M, R, A>,
    args: &ConvArgs,
) {
    let ConvArgs { conv, x, w, y, mode, .. } = *args;
    let source = Stacked::of(conv, x);
    let (k, channels) = (w.shape.n, source.channels());
    let grid = TileGrid::new(y.shape.n, y.shape.h, y.shape.w, M);
    let ([out], rest, work) = cpu.split([y]);
    let filter = (rest.get(w), w.shape);
    let (pool, arch, scratch, filters) =
        with_filters(work, w, kind(Pass::Fprop, A), A * A * channels * k, |work, to| {
            filters_forward(work, &tile.g, conv, filter, to);
        });
    let tiles = grid.tiles();
    let (windows, results) = two(scratch, A * A * tiles * channels, A * A * tiles * k);
    transform_windows((pool, arch), &tile.bt, (grid, M, 0), (rest.get(x), source), windows);
    multiply(pool, [A * A, tiles, channels, k], windows, filters, results);
    write_tiles((pool, arch), &tile.at, grid, results, (out, Stacked::plain(y)), mode);
}

/// dx = adjoint(dy, w), or dx += that.
pub(super) fn dgrad(cpu: &mut Cpu, args: &ConvArgs) {
    with_tile!(args.conv, args.y.shape.h.min(args.y.shape.w), |tile| dgrad_tiles(cpu, tile, args));
}

fn dgrad_tiles<const M: usize, const R: usize, const A: usize>(
    cpu: &mut Cpu,
    tile: Tile<M, R, A>,
    args: &ConvArgs,
) {
    let ConvArgs { conv, x: dx, w, y: dy, mode, .. } = *args;
    let target = Stacked::of(conv, dx);
    let (k, channels) = (w.shape.n, target.channels());
    let grid = TileGrid::over(dx.shape, conv, M);
    let ([out], rest, work) = cpu.split([dx]);
    let filter = (rest.get(w), w.shape);
    let (pool, arch, scratch, filters) =
        with_filters(work, w, kind(Pass::Dgrad, A), A * A * channels * k, |work, to| {
            filters_backward(work, &tile.g, conv, filter, to);
        });
    let tiles = grid.tiles();
    let (windows, results) = two(scratch, A * A * tiles * k, A * A * tiles * channels);
    let source = (rest.get(dy), Stacked::plain(dy));
    transform_windows((pool, arch), &tile.bt, (grid, M, R - 1), source, windows);
    multiply(pool, [A * A, tiles, k, channels], windows, filters, results);
    write_tiles((pool, arch), &tile.at, grid, results, (out, target), mode);
}

/// dw = sum over pixels of dy times the windows of x, or dw += that.
pub(super) fn wgrad(cpu: &mut Cpu, args: &ConvArgs) {
    with_tile!(args.conv, args.y.shape.h.min(args.y.shape.w), |tile| wgrad_tiles(cpu, tile, args));
}

fn wgrad_tiles<const M: usize, const R: usize, const A: usize>(
    cpu: &mut Cpu,
    tile: Tile<M, R, A>,
    args: &ConvArgs,
) {
    let ConvArgs { conv, x, w: dw, y: dy, mode, .. } = *args;
    let source = Stacked::of(conv, x);
    let (k, channels) = (dw.shape.n, source.channels());
    let grid = TileGrid::new(dy.shape.n, dy.shape.h, dy.shape.w, M);
    let ([out], rest, work) = cpu.split([dw]);
    let (pool, arch) = (&work.pool, work.arch);
    let tiles = grid.tiles();
    let (windows, more) =
        two(&mut work.scratch, A * A * tiles * channels, A * A * (tiles + channels) * k);
    let (gradients, sums) = more.split_at_mut(A * A * tiles * k);
    transform_windows((pool, arch), &tile.bt, (grid, M, 0), (rest.get(x), source), windows);
    let spread = transpose(&tile.at);
    let gradient = (rest.get(dy), Stacked::plain(dy));
    transform_windows((pool, arch), &spread, (grid, M, 0), gradient, gradients);
    let rows = blocks(k);
    pool.install(|| {
        sums.par_chunks_mut(channels * k).enumerate().for_each(|(i, matrix)| {
            let b = Mat::rows(&windows[i * tiles * channels..], channels);
            matrix.par_chunks_mut(rows * channels).enumerate().for_each(|(j, part)| {
                let a = Mat::transposed(&gradients[i * tiles * k + j * rows..], k);
                product([part.len() / channels, channels, tiles], a, b, part, channels, false);
            });
        });
    });
    let gt = transpose(&tile.g);
    write_filters((pool, arch), &gt, conv, sums, (out, dw.shape), mode);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The identity of minimal filtering: A^T [(G g) . (B^T d)] is the correlation of d with g.
    fn check<const M: usize, const R: usize, const A: usize>(tile: Tile<M, R, A>) {
        assert!(PARTS.align.is_multiple_of(M), "parts would begin within a tile of {M} outputs");
        let g: [f32; R] = std::array::from_fn(|i| 0.5 + i as f32);
        let d: [f32; A] = std::array::from_fn(|i| 1.0 / (1.0 + i as f32));
        for m in 0..M {
            let exact: f32 = (0..R).map(|t| d[m + t] * g[t]).sum();
            let sum: f32 = (0..A)
                .map(|a| {
                    let u: f32 = (0..R).map(|t| tile.g[a][t] * g[t]).sum();
                    let v: f32 = (0..A).map(|t| tile.bt[a][t] * d[t]).sum();
                    tile.at[m][a] * u * v
                })
                .sum();
            assert!((sum - exact).abs() < 1e-5, "F({M}, {R}): {sum} for {exact}");
        }
    }

    #[test]
    fn every_tile_is_a_correlation() {
        with_tile!(Conv::PATCH, 1, |tile| check(tile));
        with_tile!(Conv::HALVE, FEW_ROWS, |tile| check(tile));
        with_tile!(Conv::HALVE, PARTS.least, |tile| check(tile));
    }
}
