//! The convolution passes on a GPU: `kernels/conv.cu`, `conv_dgrad.cu`, `conv_thin.cu`,
//! `conv_narrow.cu`.
//!
//! The tile that computes a pass, and the number of parts its sum is split into, depend only on
//! shapes, addresses and the number of multiprocessors, so that one GPU gives the same bytes each
//! time.

use super::{Merge, VECTOR_BYTES, names, stored_alike};
use crate::device::{
    ByteAddress, COUNTERS, Cuda, FloatAddress, Grid, Kernel, device_constants, device_struct,
};
use crate::error::Result;
use crate::kernel::{Conv, ConvArgs, ConvKernels, Pass, Workspace};
use crate::tensor::{Shape, View};

device_struct! {
    /// [`Conv`] as a kernel takes it.
    pub struct Window {
        /// Rows of the filter.
        pub r: i32,
        /// Columns of the filter.
        pub s: i32,
        /// Pixels from one window to the next.
        pub stride: i32,
        /// Zeros on every side.
        pub pad: i32,
    }
}

device_struct! {
    /// How the sum of a tile is split into parts.
    pub struct Split {
        /// The sums of each part, as many as a tile has elements: (tiles, parts, tile).
        pub sums: FloatAddress,
        /// One counter per tile of the parts that are done; 0 between launches.
        pub counters: ByteAddress,
        /// Parts of a tile's sum, one block each.
        pub parts: i32,
    }
}

impl From<Conv> for Window {
    fn from(conv: Conv) -> Self {
        let [r, s, stride, pad] = [conv.r, conv.s, conv.stride, conv.pad].map(|x| x as i32);
        Window { r, s, stride, pad }
    }
}

device_constants! {
    /// Threads of a block.
    const CONV_THREADS: usize = 128;
    /// Rows of the largest tile.
    const TILE_ROWS: usize = 128;
    /// Rows of the middle tile, for matrices that do not fill the GPU with the largest.
    const TILE_ROWS_HALF: usize = 64;
    /// Rows of the smallest tile, for layers of few pixels. It is bound by memory and its partial
    /// sums are small, so two of its blocks per multiprocessor are wanted; another part of a larger
    /// tile would write 16 or 32 KiB of partial sums.
    const TILE_ROWS_FEW: usize = 16;
    /// Columns of a tile.
    const TILE_COLUMNS: usize = 64;
    /// Bytes of a row of an operand that are in shared memory at a time: two sectors of a pixel.
    const CHUNK_BYTES: usize = 64;
    /// Most channels of x that `conv_thin.cu` takes.
    const THIN_CHANNELS: usize = 6;
    /// Most rows and columns of a window that `conv_thin.cu` takes.
    const THIN_TAPS: usize = 4;
    /// Largest stride of a window that `conv_thin.cu` takes.
    const THIN_STRIDE: usize = 2;
    /// Pixels of one row of y in a tile of `conv_thin.cu`.
    const THIN_PIXELS: usize = 64;
    /// Filters in a tile of a filter gradient of `conv_thin.cu`.
    const THIN_FILTERS: usize = 16;
    /// `conv_narrow.cu` is compiled for results of up to this many channels: a map of patches, ...
    const NARROW_MAP: usize = 1;
    /// ... a picture, ...
    const NARROW_PICTURE: usize = 3;
    /// ... and two pictures, the most that it computes.
    const NARROW_PAIR: usize = 6;
    /// Pixels that a warp of `conv_narrow.cu` computes at a time.
    const NARROW_TOGETHER: usize = 4;
}

/// Most parts of a tile: its last block reads them all, 4 KiB each for the smallest tile.
const MOST_PARTS: usize = 32;
/// Fewest chunks of a part: fewer would not fill the stages of the pipeline.
const FEWEST_CHUNKS: usize = 4;

/// How a pass is computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct ConvPlan {
    kernel: Kernel,
    /// Rows of a tile.
    rows: usize,
    /// Tiles down the rows, over all classes, and across the columns.
    tiles: [usize; 2],
    /// Parts of a tile's sum, one block each.
    parts: usize,
}

impl ConvPlan {
    /// Floats of partial sums.
    fn scratch(&self) -> usize {
        let [x, y] = self.tiles;
        if self.parts == 1 { 0 } else { x * y * self.parts * self.rows * TILE_COLUMNS }
    }
}

fn shapes(args: &ConvArgs) -> [Shape; 3] {
    [args.x, args.w, args.y].map(|view| view.shape)
}

/// A pass as `classes` matrix products of rows x columns elements, each summed over `chunks`
/// chunks.
#[derive(Clone, Copy, Debug)]
struct Matrix {
    rows: usize,
    columns: usize,
    chunks: usize,
    classes: usize,
}

impl Matrix {
    fn of(args: &ConvArgs, chunk: usize) -> Self {
        let (conv, [x, w, y]) = (args.conv, shapes(args));
        // Upper bounds of the taps that meet more than padding.
        let taps = |window: usize, from: usize| window.min(from + conv.pad);
        let class_taps = |window: usize, from: usize| window.div_ceil(conv.stride).min(from);
        match args.pass {
            Pass::Fprop => Matrix {
                rows: y.pixels(),
                columns: w.n,
                chunks: (taps(w.h, x.h) * taps(w.w, x.w) * w.c).div_ceil(chunk),
                classes: 1,
            },
            Pass::Dgrad => Matrix {
                rows: x.n * x.h.div_ceil(conv.stride) * x.w.div_ceil(conv.stride),
                columns: w.c,
                chunks: (class_taps(w.h, y.h) * class_taps(w.w, y.w) * w.n).div_ceil(chunk),
                classes: conv.stride * conv.stride,
            },
            Pass::Wgrad => Matrix {
                rows: w.n,
                columns: w.h * w.w * w.c,
                chunks: y.pixels().div_ceil(chunk),
                classes: 1,
            },
        }
    }

    /// The same for `conv_thin.cu`, where tiles and chunks of pixels do not extend past a row of y.
    fn by_rows(args: &ConvArgs, chunk: usize) -> Self {
        let [_, w, y] = shapes(args);
        let (lines, taps) = (y.n * y.h, w.h * w.w * w.c);
        match args.pass {
            Pass::Wgrad => {
                let chunks = lines * y.w.div_ceil(chunk);
                Matrix { rows: w.n, columns: taps, chunks, classes: 1 }
            }
            Pass::Fprop | Pass::Dgrad => {
                let (rows, chunks) =
                    (lines * y.w.next_multiple_of(THIN_PIXELS), taps.div_ceil(chunk));
                Matrix { rows, columns: w.n, chunks, classes: 1 }
            }
        }
    }

    /// The tiles of `rows` rows, and the number of parts with which they make up to `want` blocks.
    fn cut(self, rows: usize, want: usize) -> ([usize; 2], usize) {
        let (down, across) =
            (self.rows.div_ceil(rows) * self.classes, self.columns.div_ceil(TILE_COLUMNS));
        let most = (self.chunks / FEWEST_CHUNKS).clamp(1, MOST_PARTS);
        ([down, across], (want / (down * across)).clamp(1, most))
    }
}

/// How the kernels of a pass read their operands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Access {
    /// In vectors of 16 bytes.
    Vectors,
    /// x, which has few channels, in the contiguous runs that neighbouring windows read.
    Runs,
    /// Element by element.
    Any,
}

/// Fewest pixels of a row of y that `conv_thin.cu` takes: half of a tile.
const THIN_ROW: usize = THIN_PIXELS / 2;

/// Whether `conv_thin.cu` computes passes of these shapes.
fn in_runs(args: &ConvArgs) -> bool {
    let (conv, [x, w, y]) = (args.conv, shapes(args));
    let vector = VECTOR_BYTES / args.x.elem.size();
    let filters = match args.pass {
        Pass::Fprop => true,
        Pass::Dgrad => false,
        Pass::Wgrad => w.n.is_multiple_of(vector),
    };
    filters
        && x.c <= THIN_CHANNELS
        && conv.r.max(conv.s) <= THIN_TAPS
        && conv.stride <= THIN_STRIDE
        && y.w >= THIN_ROW
        && (x.w * x.c).is_multiple_of(vector)
}

/// Whether the channels of a pass suit the kernels that read whole vectors.
fn in_vectors(args: &ConvArgs) -> bool {
    let (w, size) = (args.w.shape, args.x.elem.size());
    let (vector, chunk) = (VECTOR_BYTES / size, CHUNK_BYTES / size);
    match args.pass {
        Pass::Fprop => w.c.is_multiple_of(chunk),
        Pass::Dgrad => w.n.is_multiple_of(chunk) && w.c.is_multiple_of(4),
        Pass::Wgrad => w.n.is_multiple_of(vector) && w.c.is_multiple_of(vector),
    }
}

/// Whether every pixel begins at a multiple of `bytes`.
fn aligned(view: View, bytes: usize) -> bool {
    let vector = bytes / view.elem.size();
    view.at.is_multiple_of(vector) && view.pitch.is_multiple_of(vector)
}

/// The kernels of a pass with the rows of their tile, largest first.
fn kernels(pass: Pass, access: Access) -> &'static [(usize, Kernel)] {
    use Access::*;
    use names::*;
    const ROWS: usize = TILE_ROWS;
    const HALF: usize = TILE_ROWS_HALF;
    const FEW: usize = TILE_ROWS_FEW;
    match (pass, access) {
        (Pass::Fprop, Vectors) => {
            &[(ROWS, CONV_FPROP), (HALF, CONV_FPROP_HALF), (FEW, CONV_FPROP_FEW)]
        }
        (Pass::Fprop, Runs) => &[(THIN_PIXELS, CONV_FPROP_THIN)],
        (Pass::Fprop, Any) => &[(HALF, CONV_FPROP_ANY)],
        (Pass::Dgrad, Vectors) => {
            &[(ROWS, CONV_DGRAD), (HALF, CONV_DGRAD_HALF), (FEW, CONV_DGRAD_FEW)]
        }
        (Pass::Dgrad, Runs | Any) => &[(HALF, CONV_DGRAD_ANY)],
        (Pass::Wgrad, Vectors) => &[(ROWS, CONV_WGRAD), (HALF, CONV_WGRAD_HALF)],
        (Pass::Wgrad, Runs) => &[(THIN_FILTERS, CONV_WGRAD_THIN)],
        (Pass::Wgrad, Any) => &[(HALF, CONV_WGRAD_ANY), (FEW, CONV_WGRAD_FEW)],
    }
}

/// How the operands of a pass are read, which depends on shapes and addresses alone.
fn access(args: &ConvArgs) -> Access {
    let ConvArgs { pass, x, w, y, .. } = *args;
    let of_pass = match pass {
        Pass::Fprop => aligned(x, VECTOR_BYTES),
        Pass::Dgrad => aligned(y, VECTOR_BYTES),
        Pass::Wgrad => aligned(x, VECTOR_BYTES) && aligned(y, VECTOR_BYTES),
    };
    // `in_runs` makes rows whole vectors, so that every row of a dense x is aligned if the first
    // is.
    let begins = x.is_dense() && x.byte().is_multiple_of(VECTOR_BYTES);
    let runs = begins && (pass == Pass::Fprop || aligned(y, VECTOR_BYTES));
    if of_pass && aligned(w, VECTOR_BYTES) && in_vectors(args) {
        Access::Vectors
    } else if runs && in_runs(args) {
        Access::Runs
    } else {
        Access::Any
    }
}

/// The largest tile that gives three of four multiprocessors a block, skipping tiles where the next
/// smaller one holds all rows; if none gives that many, the tile with the most blocks.
fn plan(list: &[(usize, Kernel)], matrix: Matrix, multiprocessors: usize) -> ConvPlan {
    let mut best: Option<ConvPlan> = None;
    for &(rows, kernel) in list {
        if next(list, rows).is_some_and(|smaller| matrix.rows <= smaller) {
            continue;
        }
        let want = if rows == TILE_ROWS_FEW { 2 * multiprocessors } else { multiprocessors };
        let (tiles, parts) = matrix.cut(rows, want.min(COUNTERS));
        let plan = ConvPlan { kernel, rows, tiles, parts };
        let blocks = |p: &ConvPlan| p.tiles[0] * p.tiles[1] * p.parts;
        let idle = |p: &ConvPlan| 4 * blocks(p) < 3 * multiprocessors;
        if best.as_ref().is_none_or(|b| idle(b) && blocks(b) < blocks(&plan)) {
            best = Some(plan);
        }
    }
    best.expect("the smallest tile takes everything")
}

/// Most bytes of a filter's taps of one class, which `conv_narrow.cu` holds in shared memory.
const NARROW_BYTES: usize = 48 * 1024;
/// Pixels that a block of `conv_narrow.cu` computes at a time.
const NARROW_PIXELS: usize = CONV_THREADS / 32 * NARROW_TOGETHER;

/// The rows of the next smaller tile of a list.
fn next(list: &[(usize, Kernel)], rows: usize) -> Option<usize> {
    list.iter().map(|k| k.0).filter(|&r| r < rows).max()
}

/// The launch that computes a pass.
enum ConvLaunch {
    /// A kernel of `conv_narrow.cu`.
    Narrow(Kernel, Grid),
    /// A kernel that computes tiles.
    Tiled(ConvPlan),
}

impl Cuda {
    /// The one place that decides how a pass is computed.
    fn conv_launch(&self, args: &ConvArgs) -> ConvLaunch {
        if let Some((kernel, grid)) = self.conv_narrow(args) {
            return ConvLaunch::Narrow(kernel, grid);
        }
        let (access, chunk) = (access(args), CHUNK_BYTES / args.x.elem.size());
        let matrix = match access {
            Access::Runs => Matrix::by_rows(args, chunk),
            Access::Vectors | Access::Any => Matrix::of(args, chunk),
        };
        ConvLaunch::Tiled(plan(kernels(args.pass, access), matrix, self.multiprocessors()))
    }

    /// The kernel of a pass whose result has few channels, None where tiles compute it.
    fn conv_narrow(&self, args: &ConvArgs) -> Option<(Kernel, Grid)> {
        let (kernel, from, to) = match args.pass {
            Pass::Fprop => (names::CONV_FPROP_NARROW, args.x, args.y),
            Pass::Dgrad => (names::CONV_DGRAD_NARROW, args.y, args.x),
            Pass::Wgrad => return None,
        };
        let matrix = Matrix::of(args, 1);
        let outs = [NARROW_MAP, NARROW_PICTURE, NARROW_PAIR]
            .into_iter()
            .find(|&outs| to.shape.c <= outs)?;
        let shared = 4 * outs * matrix.chunks;
        let runs = from.shape.c.is_multiple_of(4) && aligned(from, 4 * from.elem.size());
        if !runs || shared > NARROW_BYTES {
            return None;
        }
        let most = (4 * self.multiprocessors()).div_ceil(matrix.classes);
        let blocks = matrix.rows.div_ceil(NARROW_PIXELS).min(most) * matrix.classes;
        let blocks = [blocks as u32, 1, 1];
        Some((kernel, Grid { blocks, threads: CONV_THREADS as u32, shared: shared as u32 }))
    }
}

impl ConvKernels for Cuda {
    fn conv(&mut self, args: &ConvArgs) -> Result<()> {
        debug_assert!(self.conv_supports(args).is_ok(), "asked before a program runs");
        let ConvArgs { pass, conv, x, w, y, bias, mode } = *args;
        let (filter, window, merge) = (self.floats(w), Window::from(conv), Merge::from(mode));
        let (elem, bias, x, y) = (x.elem, self.maybe_floats(bias), self.tensor(x), self.tensor(y));
        let (from, to) = if pass == Pass::Dgrad { (y, x) } else { (x, y) };
        let plan = match self.conv_launch(args) {
            ConvLaunch::Narrow(kernel, grid) => {
                return self.launch(kernel, elem, grid, &(from, filter, bias, to, window, merge));
            }
            ConvLaunch::Tiled(plan) => plan,
        };
        let sums = match plan.scratch() {
            0 => FloatAddress::default(),
            need => self.scratch(need)?,
        };
        let split = Split { sums, counters: self.counters_address(), parts: plan.parts as i32 };
        let [down, across, parts] = [plan.tiles[0], plan.tiles[1], plan.parts].map(|b| b as u32);
        if pass == Pass::Wgrad {
            // The columns, elements of a filter, run along x: there are more of them than filters.
            let grid =
                Grid { blocks: [across, down, parts], threads: CONV_THREADS as u32, shared: 0 };
            return self.launch(plan.kernel, elem, grid, &(x, y, filter, window, merge, split));
        }
        let grid = Grid { blocks: [down, across, parts], threads: CONV_THREADS as u32, shared: 0 };
        let args = (from, filter, bias, to, window, merge, split);
        self.launch(plan.kernel, elem, grid, &args)
    }

    fn conv_workspace(&self, args: &ConvArgs) -> Workspace {
        match self.conv_launch(args) {
            ConvLaunch::Narrow(..) => Workspace::default(),
            ConvLaunch::Tiled(plan) => Workspace::scratch(plan.scratch()),
        }
    }

    fn conv_supports(&self, args: &ConvArgs) -> Result<()> {
        stored_alike("conv", args.x, args.y)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::Write;

    /// Multiprocessors of an H100.
    const CARD: usize = 132;

    fn planned(pass: Pass, conv: Conv, x: Shape, k: usize) -> (ConvPlan, Matrix) {
        let shapes = [x, Shape::new(k, conv.r, conv.s, x.c), conv.shrink(x, k).unwrap()];
        let [x, w, y] = shapes.map(|shape| View::dense(0, shape));
        let args = ConvArgs { pass, conv, x, w, y, bias: None, mode: Write::Set };
        let matrix = Matrix::of(&args, 16);
        assert!(in_vectors(&args));
        (plan(kernels(pass, Access::Vectors), matrix, CARD), matrix)
    }

    #[test]
    fn every_layer_keeps_a_card_busy() {
        let mut side = 256;
        for (c, k) in [(64, 128), (128, 256), (256, 512), (512, 512), (512, 512), (1024, 512)] {
            side /= 2;
            for pass in [Pass::Fprop, Pass::Dgrad, Pass::Wgrad] {
                let x = Shape::new(1, side, side, c);
                let (plan, matrix) = planned(pass, Conv::HALVE, x, k);
                let blocks = plan.tiles[0] * plan.tiles[1] * plan.parts;
                assert!(4 * blocks >= 3 * CARD, "{pass:?} {x}: {plan:?}");
                assert!(plan.parts == 1 || matrix.chunks >= plan.parts * FEWEST_CHUNKS);
                assert!(plan.parts == 1 || plan.tiles[0] * plan.tiles[1] <= COUNTERS);
            }
        }
    }

    #[test]
    fn filters_of_few_pixels_are_read_by_one_row_of_tiles() {
        for side in [2, 4, 8, 16] {
            let x = Shape::new(1, side, side, 512);
            let (fprop, _) = planned(Pass::Fprop, Conv::HALVE, x, 512);
            assert_eq!(fprop.tiles[0], 1, "{x}: {fprop:?}");
            // Each class of the adjoint reads taps of its own.
            let (dgrad, _) = planned(Pass::Dgrad, Conv::HALVE, x, 512);
            assert_eq!(dgrad.tiles[0], 4, "{x}: {dgrad:?}");
        }
    }
}
