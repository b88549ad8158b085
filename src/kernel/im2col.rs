//! Convolutions as matrix products of gathered windows (im2col): serves any window, stride and
//! padding.
//!
//! Layers of few pixels (the deep ones, 8 x 8 and below) read each filter once from memory and
//! leave out the taps that meet only padding: at 2 x 2 -> 1 x 1 a 4 x 4 window uses 4 of 16.
//! Layers of many pixels are gathered one tile at a time into a buffer that stays in cache: in NHWC
//! the pixels of a filter row are contiguous, so a row of the gathered matrix is r copies.

use std::ops::Range;

use rayon::prelude::*;

use super::product::{Mat, product, product_few_rows, product_rows_dot};
use super::{Conv, ConvArgs, Pass, Write};
use crate::device::{Cpu, grown};
use crate::tensor::{Shape, View};

/// Pixels of a gathered tile: 48 rows of 1,024 floats stay in a core's second-level cache beside
/// the filter.
const TILE: usize = 48;
/// Most output pixels of a layer "of few pixels", whose windows are all gathered at once.
const FEW: usize = 64;
/// Filters per task where pixels are few.
const FILTERS: usize = 16;
/// Length of the pieces of a window that are multiplied at once where pixels are few: 64 such
/// pieces (512 KB) stay in a second-level cache of 1 MB.
const PIECE: usize = 2048;
/// Fewest rows for which packing the filter pays off.
const PACKED: usize = 32;
/// Columns of the gathered gradient per task where pixels are few.
const COLUMNS: usize = 512;
/// Longest window, in floats, that is gathered whole for a filter gradient over many pixels.
const SHORT: usize = 512;
/// Pixels per task of a filter gradient; the tasks' sums are added in order.
const CHUNK: usize = 2048;

/// Scratch memory of a pass, in floats.
pub(super) fn scratch(args: &ConvArgs) -> usize {
    let w = args.w.shape;
    let (window, pixels) = (args.conv.taps() * w.c, args.y.shape.pixels());
    let few = pixels <= FEW;
    match args.pass {
        Pass::Fprop if few => pixels * w.n.next_multiple_of(FILTERS),
        Pass::Fprop => window * w.n,
        Pass::Dgrad if few => pixels * window.next_multiple_of(COLUMNS.min(window)),
        Pass::Dgrad if window <= SHORT => pixels * window,
        Pass::Wgrad if !few && window <= SHORT => pixels.div_ceil(CHUNK) * w.n * window,
        Pass::Wgrad if !few => w.n * window,
        Pass::Dgrad | Pass::Wgrad => 0,
    }
}

/// The taps that meet at least one pixel inside the picture, as ranges of neighbouring taps.
fn used_taps(conv: Conv, x: Shape, y: Shape) -> Vec<Range<usize>> {
    let meets = |taps: usize, outputs: usize, len: usize| -> Vec<bool> {
        (0..taps).map(|r| (0..outputs).any(|p| conv.source(p, r, len).is_some())).collect()
    };
    let (rows, cols) = (meets(conv.r, y.h, x.h), meets(conv.s, y.w, x.w));
    let mut runs: Vec<Range<usize>> = Vec::new();
    for tap in (0..conv.taps()).filter(|t| rows[t / conv.s] && cols[t % conv.s]) {
        match runs.last_mut() {
            Some(run) if run.end == tap => run.end += 1,
            _ => runs.push(tap..tap + 1),
        }
    }
    runs
}

/// Picture, row and column of pixel `i`.
#[inline(always)]
fn position(i: usize, shape: Shape) -> (usize, usize, usize) {
    (i / (shape.h * shape.w), i / shape.w % shape.h, i % shape.w)
}

/// The windows of output pixels `pixels`, one after another, r * s * c floats each.
fn gather(conv: Conv, x: &[f32], view: View, y: Shape, pixels: Range<usize>, to: &mut Vec<f32>) {
    let c = view.shape.c;
    let window = conv.taps() * c;
    to.resize(pixels.len() * window, 0.0);
    for (row, i) in to.chunks_exact_mut(window).zip(pixels) {
        let (n, p, q) = position(i, y);
        for (r, line) in row.chunks_exact_mut(conv.s * c).enumerate() {
            let Some(h) = conv.source(p, r, view.shape.h) else {
                line.fill(0.0);
                continue;
            };
            for (s, out) in line.chunks_exact_mut(c).enumerate() {
                match conv.source(q, s, view.shape.w) {
                    Some(w) => {
                        let at = ((n * view.shape.h + h) * view.shape.w + w) * view.pitch;
                        out.copy_from_slice(&x[at..at + c]);
                    }
                    None => out.fill(0.0),
                }
            }
        }
    }
}

/// y = conv(x, w), or y += that.
pub(super) fn fprop(cpu: &mut Cpu, args: &ConvArgs) {
    let ConvArgs { conv, x, w, y, mode, .. } = *args;
    let (window, k, pixels) = (conv.taps() * x.shape.c, w.shape.n, y.shape.pixels());
    let ([out], rest, work) = cpu.split([y]);
    let (input, filter) = (rest.get(x), rest.get(w));
    let arch = work.arch;
    if pixels <= FEW {
        let runs = used_taps(conv, x.shape, y.shape);
        let c = x.shape.c;
        let scratch = grown(&mut work.scratch, pixels * k.next_multiple_of(FILTERS));
        work.pool.install(|| {
            let mut windows = Vec::new();
            gather(conv, input, x, y.shape, 0..pixels, &mut windows);
            scratch.par_chunks_mut(pixels * FILTERS).enumerate().for_each(|(block, part)| {
                part.fill(0.0);
                let filters = FILTERS.min(k - block * FILTERS);
                for run in &runs {
                    for from in (run.start * c..run.end * c).step_by(PIECE) {
                        let len = PIECE.min(run.end * c - from);
                        product_rows_dot(
                            arch,
                            [pixels, filters, len],
                            Mat::rows(&windows[from..], window),
                            Mat::rows(&filter[block * FILTERS * window + from..], window),
                            part,
                            FILTERS,
                            true,
                        );
                    }
                }
            });
        });
        for (i, pixel) in out.chunks_mut(y.pitch).enumerate() {
            for (j, value) in pixel[..k].iter_mut().enumerate() {
                let part = &scratch[j / FILTERS * FILTERS * pixels..];
                *value = mode.merge(*value, part[i * FILTERS + j % FILTERS]);
            }
        }
        return;
    }
    let scratch = grown(&mut work.scratch, window * k);
    work.pool.install(|| {
        scratch.par_chunks_mut(k).enumerate().for_each(|(j, column)| {
            for (f, value) in column.iter_mut().enumerate() {
                *value = filter[f * window + j];
            }
        });
        let transposed = Mat::rows(scratch, k);
        out.par_chunks_mut(TILE * y.pitch).enumerate().for_each_init(
            Vec::new,
            |tile, (i, part)| {
                let size = TILE.min(pixels - i * TILE);
                gather(conv, input, x, y.shape, i * TILE..i * TILE + size, tile);
                let add = mode == Write::Add;
                product([size, k, window], Mat::rows(tile, window), transposed, part, y.pitch, add);
            },
        );
    });
}

/// dx = adjoint(dy, w), or dx += that.
pub(super) fn dgrad(cpu: &mut Cpu, args: &ConvArgs) {
    let few = args.y.shape.pixels() <= FEW;
    if few || args.conv.taps() * args.x.shape.c <= SHORT {
        dgrad_by_window(cpu, args, few);
    } else {
        dgrad_by_parity(cpu, args);
    }
}

/// First multiplies every pixel of dy by the filters, which gives its contribution to every tap of
/// its window; then sums, for every pixel of dx, over the windows that contain it.
fn dgrad_by_window(cpu: &mut Cpu, args: &ConvArgs, few: bool) {
    let ConvArgs { conv, x: dx, w, y: dy, mode, .. } = *args;
    let (c, k, pixels) = (dx.shape.c, dy.shape.c, dy.shape.pixels());
    let window = conv.taps() * c;
    let ([out], rest, work) = cpu.split([dx]);
    let (gradient, filter) = (rest.get(dy), rest.get(w));
    let arch = work.arch;
    // The gathered gradient is stored in blocks of columns, one after another.
    let block = if few { COLUMNS.min(window) } else { window };
    let runs = used_taps(conv, dx.shape, dy.shape);
    let scratch = grown(&mut work.scratch, pixels * window.next_multiple_of(block));
    work.pool.install(|| {
        if few {
            scratch.par_chunks_mut(pixels * block).enumerate().for_each(|(b, part)| {
                let columns = b * block..window.min((b + 1) * block);
                for run in &runs {
                    let from = columns.start.max(run.start * c);
                    let to = columns.end.min(run.end * c);
                    if from >= to {
                        continue;
                    }
                    let part = &mut part[from - columns.start..];
                    let dims = [pixels, to - from, k];
                    let rows = Mat::rows(gradient, dy.pitch);
                    let filter = Mat::rows(&filter[from..], window);
                    if pixels >= PACKED {
                        product(dims, rows, filter, part, block, false);
                    } else {
                        product_few_rows(arch, dims, rows, filter, part, block, false);
                    }
                }
            });
        } else {
            scratch.par_chunks_mut(TILE * window).enumerate().for_each(|(i, part)| {
                let size = TILE.min(pixels - i * TILE);
                let rows = Mat::rows(&gradient[i * TILE * dy.pitch..], dy.pitch);
                product([size, window, k], rows, Mat::rows(filter, window), part, window, false);
            });
        }
        let sums: &[f32] = scratch;
        if !few {
            out.par_chunks_mut(dx.shape.w * dx.pitch).enumerate().for_each(|(i, row)| {
                sum_windows(conv, sums, dy.shape, dx, i, row, mode);
            });
            return;
        }
        let (size, line) = (dx.shape, dx.shape.w * dx.pitch);
        out.par_chunks_mut(line).enumerate().for_each_init(
            || vec![0.0; c],
            |sum, (i, row)| {
                let (n, h) = (i / size.h, i % size.h);
                for (x, pixel) in row.chunks_mut(dx.pitch).enumerate() {
                    sum.fill(0.0);
                    each_window(conv, h, x, dy.shape, |p, q, tap| {
                        let i = (n * dy.shape.h + p) * dy.shape.w + q;
                        // A block may end inside a tap.
                        let (mut from, end) = (tap * c, (tap + 1) * c);
                        while from < end {
                            let (b, at) = (from / block, from % block);
                            let len = (block - at).min(end - from);
                            let part = &sums[(b * pixels + i) * block + at..][..len];
                            let to = &mut sum[from - tap * c..][..len];
                            to.iter_mut().zip(part).for_each(|(s, v)| *s += v);
                            from += len;
                        }
                    });
                    for (o, s) in pixel[..c].iter_mut().zip(&*sum) {
                        *o = mode.merge(*o, *s);
                    }
                }
            },
        );
    });
}

/// Row `i` of dx, from the contributions of every pixel of dy to its window.
fn sum_windows(
    conv: Conv,
    sums: &[f32],
    y: Shape,
    dx: View,
    i: usize,
    row: &mut [f32],
    mode: Write,
) {
    let (n, h, c) = (i / dx.shape.h, i % dx.shape.h, dx.shape.c);
    if mode == Write::Set {
        row.chunks_mut(dx.pitch).for_each(|pixel| pixel[..c].fill(0.0));
    }
    for r in 0..conv.r {
        let p = (h + conv.pad).checked_sub(r).filter(|p| p.is_multiple_of(conv.stride));
        let Some(p) = p.map(|p| p / conv.stride).filter(|&p| p < y.h) else { continue };
        let windows = &sums[(n * y.h + p) * y.w * conv.taps() * c..][..y.w * conv.taps() * c];
        for s in 0..conv.s {
            let taps = windows.chunks_exact(conv.taps() * c).enumerate();
            for (q, window) in taps {
                let Some(x) = (q * conv.stride + s).checked_sub(conv.pad) else { continue };
                if x >= dx.shape.w {
                    break;
                }
                let from = &window[(r * conv.s + s) * c..][..c];
                let to = &mut row[x * dx.pitch..][..c];
                to.iter_mut().zip(from).for_each(|(o, v)| *o += v);
            }
        }
    }
}

/// Calls `f(p, q, tap)` for every window (p, q) that contains the pixel (h, w) of dx, in increasing
/// order of taps.
#[inline(always)]
fn each_window(conv: Conv, h: usize, w: usize, y: Shape, mut f: impl FnMut(usize, usize, usize)) {
    let from = |i: usize, tap: usize, len: usize| {
        let i = (i + conv.pad).checked_sub(tap)?;
        (i.is_multiple_of(conv.stride) && i / conv.stride < len).then_some(i / conv.stride)
    };
    for r in 0..conv.r {
        let Some(p) = from(h, r, y.h) else { continue };
        for s in 0..conv.s {
            if let Some(q) = from(w, s, y.w) {
                f(p, q, r * conv.s + s);
            }
        }
    }
}

/// Pixels of dx of one parity (h + pad and w + pad modulo the stride) share their taps, so each
/// parity is a dense problem of its own and no multiplication by an inserted zero is made.
fn dgrad_by_parity(cpu: &mut Cpu, args: &ConvArgs) {
    let ConvArgs { conv, x: dx, w, y: dy, mode, .. } = *args;
    let (c, k) = (dx.shape.c, dy.shape.c);
    let window = conv.taps() * c;
    let ([out], rest, work) = cpu.split([dx]);
    let (gradient, filter) = (rest.get(dy), rest.get(w));
    let (size, line) = (dx.shape, dx.shape.w * dx.pitch);
    work.pool.install(|| {
        out.par_chunks_mut(line).enumerate().for_each_init(
            || (Vec::new(), Vec::new()),
            |(tile, sums), (i, row)| {
                let (n, h) = (i / size.h, i % size.h);
                for parity in 0..conv.stride.min(size.w) {
                    let columns: Vec<usize> = (parity..size.w).step_by(conv.stride).collect();
                    sums.clear();
                    sums.resize(columns.len() * c, 0.0);
                    for r in 0..conv.r {
                        let Some(p) = (h + conv.pad).checked_sub(r) else { continue };
                        if !p.is_multiple_of(conv.stride) || p / conv.stride >= dy.shape.h {
                            continue;
                        }
                        let p = p / conv.stride;
                        for s in 0..conv.s {
                            let shift = parity + conv.pad + conv.s * conv.stride - s;
                            if !shift.is_multiple_of(conv.stride) {
                                continue;
                            }
                            tile.clear();
                            for &x in &columns {
                                let q = (x + conv.pad).checked_sub(s).map(|q| q / conv.stride);
                                match q.filter(|&q| q < dy.shape.w) {
                                    Some(q) => {
                                        let at = ((n * dy.shape.h + p) * dy.shape.w + q) * dy.pitch;
                                        tile.extend_from_slice(&gradient[at..at + k]);
                                    }
                                    None => tile.resize(tile.len() + k, 0.0),
                                }
                            }
                            let tap = &filter[(r * conv.s + s) * c..];
                            let dims = [columns.len(), c, k];
                            product(
                                dims,
                                Mat::rows(tile, k),
                                Mat::rows(tap, window),
                                sums,
                                c,
                                true,
                            );
                        }
                    }
                    for (sum, &x) in sums.chunks_exact(c).zip(&columns) {
                        let pixel = &mut row[x * dx.pitch..][..c];
                        pixel.iter_mut().zip(sum).for_each(|(o, s)| *o = mode.merge(*o, *s));
                    }
                }
            },
        );
    });
}

/// dw = sum over pixels of dy times the windows of x, or dw += that.
pub(super) fn wgrad(cpu: &mut Cpu, args: &ConvArgs) {
    let ConvArgs { conv, x, w: dw, y: dy, mode, .. } = *args;
    let (c, k, pixels) = (x.shape.c, dy.shape.c, dy.shape.pixels());
    let window = conv.taps() * c;
    let ([out], rest, work) = cpu.split([dw]);
    let (input, gradient) = (rest.get(x), rest.get(dy));
    let add = mode == Write::Add;
    if pixels <= FEW {
        let runs = used_taps(conv, x.shape, dy.shape);
        work.pool.install(|| {
            let mut windows = Vec::new();
            gather(conv, input, x, dy.shape, 0..pixels, &mut windows);
            out.par_chunks_mut(FILTERS * window).enumerate().for_each(|(i, part)| {
                if !add && (runs.len() != 1 || runs[0] != (0..conv.taps())) {
                    part.fill(0.0);
                }
                let filters = part.len() / window;
                let rows = Mat::transposed(&gradient[i * FILTERS..], dy.pitch);
                for run in &runs {
                    let (from, len) = (run.start * c, run.len() * c);
                    let columns = Mat::rows(&windows[from..], window);
                    product([filters, len, pixels], rows, columns, &mut part[from..], window, add);
                }
            });
        });
        return;
    }
    if window <= SHORT {
        let chunks = pixels.div_ceil(CHUNK);
        let scratch = grown(&mut work.scratch, chunks * k * window);
        work.pool.install(|| {
            scratch.par_chunks_mut(k * window).enumerate().for_each_init(
                Vec::new,
                |windows, (i, part)| {
                    let size = CHUNK.min(pixels - i * CHUNK);
                    gather(conv, input, x, dy.shape, i * CHUNK..i * CHUNK + size, windows);
                    let rows = Mat::transposed(&gradient[i * CHUNK * dy.pitch..], dy.pitch);
                    let dims = [k, window, size];
                    product(dims, rows, Mat::rows(windows, window), part, window, false);
                },
            );
        });
        for (j, value) in out.iter_mut().enumerate() {
            let sum = scratch.chunks_exact(k * window).map(|part| part[j]).sum();
            *value = mode.merge(*value, sum);
        }
        return;
    }
    // One task per tap: [k x pixels] times [pixels x c], one chunk of pixels at a time.
    let scratch = grown(&mut work.scratch, conv.taps() * k * c);
    work.pool.install(|| {
        scratch.par_chunks_mut(k * c).enumerate().for_each_init(Vec::new, |tile, (tap, part)| {
            for from in (0..pixels).step_by(CHUNK) {
                let size = CHUNK.min(pixels - from);
                gather_tap(conv, tap, input, x, dy.shape, from..from + size, tile);
                let rows = Mat::transposed(&gradient[from * dy.pitch..], dy.pitch);
                product([k, c, size], rows, Mat::rows(tile, c), part, c, from > 0);
            }
        });
        out.par_chunks_mut(window).enumerate().for_each(|(f, row)| {
            for (tap, values) in row.chunks_exact_mut(c).enumerate() {
                let sums = &scratch[(tap * k + f) * c..][..c];
                values.iter_mut().zip(sums).for_each(|(o, s)| *o = mode.merge(*o, *s));
            }
        });
    });
}

/// Gathers what tap `tap` reads in the windows of `pixels`: c floats per pixel.
fn gather_tap(
    conv: Conv,
    tap: usize,
    x: &[f32],
    view: View,
    y: Shape,
    pixels: Range<usize>,
    to: &mut Vec<f32>,
) {
    let c = view.shape.c;
    to.clear();
    for i in pixels {
        let (n, p, q) = position(i, y);
        let row = conv.source(p, tap / conv.s, view.shape.h);
        match row.zip(conv.source(q, tap % conv.s, view.shape.w)) {
            Some((h, w)) => {
                let at = ((n * view.shape.h + h) * view.shape.w + w) * view.pitch;
                to.extend_from_slice(&x[at..at + c]);
            }
            None => to.resize(to.len() + c, 0.0),
        }
    }
}
