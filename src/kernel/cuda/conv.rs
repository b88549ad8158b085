//! The convolution passes on a GPU: `kernels/conv.cu`, `conv_dgrad.cu`, `conv_thin.cu`,
//! `conv_narrow.cu`.
//!
//! Here it is decided, from shapes and the number of multiprocessors alone, which tile computes a
//! pass and into how many parts its sum is cut, so that one card gives the same bytes each time.

use super::{Merge, names};
use crate::device::{
    ByteAddress, COUNTERS, Cuda, Device, FloatAddress, Grid, Kernel, device_struct,
};
use crate::error::{Error, Result};
use crate::kernel::{Conv, ConvKernels, Pass, Workspace, Write};
use crate::tensor::{Elem, Shape, View};

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
    /// How the sum of a tile is cut into parts.
    pub struct Split {
        /// The sums of each part: tiles x parts x the tile.
        pub sums: FloatAddress,
        /// A counter a tile, 0 between launches, of the parts that are done.
        pub counters: ByteAddress,
        /// Blocks that share a tile.
        pub parts: i32,
    }
}

impl From<Conv> for Window {
    fn from(conv: Conv) -> Self {
        let [r, s, stride, pad] = [conv.r, conv.s, conv.stride, conv.pad].map(|x| x as i32);
        Window { r, s, stride, pad }
    }
}

/// Threads of a block, as `tile.cuh` has it.
const THREADS: u32 = 128;
/// Columns of a tile, as `tile.cuh` has it.
const COLUMNS: usize = 64;
/// Most parts of a tile: the last block of a tile reads them all, 4 KiB each in the smallest.
const MOST_PARTS: usize = 32;
/// Fewest chunks of a part: fewer would not fill the stages that are in flight.
const FEWEST_CHUNKS: usize = 4;
/// Rows of the tile of which two blocks a multiprocessor are wanted: it is fed by memory, and its
/// partial sums are few. Of the larger ones each more would leave 16 or 32 KiB of them.
const SMALL: usize = 16;

/// How a pass is computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct ConvPlan {
    kernel: Kernel,
    /// Rows of a tile.
    rows: usize,
    /// Tiles along x and y.
    tiles: [usize; 2],
    /// Blocks a tile.
    parts: usize,
}

impl ConvPlan {
    /// Floats of partial sums.
    fn scratch(&self) -> usize {
        let [x, y] = self.tiles;
        if self.parts == 1 { 0 } else { x * y * self.parts * self.rows * COLUMNS }
    }
}

/// A pass as a matrix product: rows x columns, each a sum of `chunks` chunks, in `classes`.
#[derive(Clone, Copy, Debug)]
struct Matrix {
    rows: usize,
    columns: usize,
    chunks: usize,
    classes: usize,
}

impl Matrix {
    fn of(pass: Pass, conv: Conv, x: Shape, w: Shape, y: Shape, chunk: usize) -> Self {
        // Taps that meet more than padding, at most.
        let taps = |window: usize, from: usize| window.min(from + conv.pad);
        let class_taps = |window: usize, from: usize| window.div_ceil(conv.stride).min(from);
        match pass {
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

    /// As `conv_thin.cu` has it: tiles of pixels, and chunks of them, end with a row of y.
    fn by_rows(pass: Pass, w: Shape, y: Shape, chunk: usize) -> Self {
        let (lines, taps) = (y.n * y.h, w.h * w.w * w.c);
        match pass {
            Pass::Wgrad => {
                let chunks = lines * y.w.div_ceil(chunk);
                Matrix { rows: w.n, columns: taps, chunks, classes: 1 }
            }
            _ => {
                let (rows, chunks) =
                    (lines * y.w.next_multiple_of(THIN_PIXELS), taps.div_ceil(chunk));
                Matrix { rows, columns: w.n, chunks, classes: 1 }
            }
        }
    }

    /// Tiles of `rows` rows, and the parts that fill `want` blocks.
    fn cut(self, rows: usize, want: usize) -> ([usize; 2], usize) {
        let (down, across) =
            (self.rows.div_ceil(rows) * self.classes, self.columns.div_ceil(COLUMNS));
        let most = (self.chunks / FEWEST_CHUNKS).clamp(1, MOST_PARTS);
        ([down, across], (want / (down * across)).clamp(1, most))
    }
}

/// How the kernels of a pass read their operands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Access {
    /// In vectors of 16 bytes.
    Vectors,
    /// x in the runs that neighbouring windows read: it has few channels.
    Runs,
    /// Element by element.
    Any,
}

/// Most channels of x, and most taps and most stride of a window, that `conv_thin.cu` takes.
const THIN: usize = 6;
const THIN_TAPS: usize = 4;
const THIN_STRIDE: usize = 2;
/// Pixels of a row of y in a tile there, and the fewest in a row: at least half of the tile.
const THIN_PIXELS: usize = 64;
const THIN_ROW: usize = THIN_PIXELS / 2;

/// What `conv_thin.cu` asks of shapes.
fn in_runs(pass: Pass, conv: Conv, x: Shape, w: Shape, y: Shape, elem: Elem) -> bool {
    let vector = 16 / elem.size();
    let filters = match pass {
        Pass::Fprop => true,
        Pass::Dgrad => false,
        Pass::Wgrad => w.n.is_multiple_of(vector),
    };
    filters
        && x.c <= THIN
        && conv.r.max(conv.s) <= THIN_TAPS
        && conv.stride <= THIN_STRIDE
        && y.w >= THIN_ROW
        && (x.w * x.c).is_multiple_of(vector)
}

/// What the kernels of whole vectors ask of a pass's channels.
fn in_vectors(pass: Pass, w: Shape, elem: Elem) -> bool {
    let vector = 16 / elem.size();
    match pass {
        Pass::Fprop => w.c.is_multiple_of(4 * vector),
        Pass::Dgrad => w.n.is_multiple_of(4 * vector) && w.c.is_multiple_of(4),
        Pass::Wgrad => w.n.is_multiple_of(vector) && w.c.is_multiple_of(vector),
    }
}

/// Whether every pixel begins at a multiple of `bytes`.
fn aligned(view: View, bytes: usize) -> bool {
    let vector = bytes / view.elem.size();
    view.at.is_multiple_of(vector) && view.pitch.is_multiple_of(vector)
}

/// The kernels of a pass by the rows of their tile, largest first.
fn kernels(pass: Pass, access: Access) -> &'static [(usize, Kernel)] {
    use Access::*;
    use names::*;
    match (pass, access) {
        (Pass::Fprop, Vectors) => &[(128, CONV_FPROP), (64, CONV_FPROP_HALF), (16, CONV_FPROP_FEW)],
        (Pass::Fprop, Runs) => &[(THIN_PIXELS, CONV_FPROP_THIN)],
        (Pass::Fprop, Any) => &[(64, CONV_FPROP_ANY)],
        (Pass::Dgrad, Vectors) => &[(128, CONV_DGRAD), (64, CONV_DGRAD_HALF), (16, CONV_DGRAD_FEW)],
        (Pass::Dgrad, Runs | Any) => &[(64, CONV_DGRAD_ANY)],
        (Pass::Wgrad, Vectors) => &[(128, CONV_WGRAD), (64, CONV_WGRAD_HALF)],
        (Pass::Wgrad, Runs) => &[(16, CONV_WGRAD_THIN)],
        (Pass::Wgrad, Any) => &[(64, CONV_WGRAD_ANY), (16, CONV_WGRAD_FEW)],
    }
}

/// How a pass of these operands is computed: from shapes and addresses alone.
fn access(pass: Pass, conv: Conv, [x, w, y]: [View; 3]) -> Access {
    let of_pass = match pass {
        Pass::Fprop => aligned(x, 16),
        Pass::Dgrad => aligned(y, 16),
        Pass::Wgrad => aligned(x, 16) && aligned(y, 16),
    };
    // Rows of a dense x begin at vectors where the first does.
    let begins = x.is_dense() && x.byte().is_multiple_of(16);
    let runs = begins && (pass == Pass::Fprop || aligned(y, 16));
    if of_pass && aligned(w, 16) && in_vectors(pass, w.shape, x.elem) {
        Access::Vectors
    } else if runs && in_runs(pass, conv, x.shape, w.shape, y.shape, x.elem) {
        Access::Runs
    } else {
        Access::Any
    }
}

/// The largest tile that keeps three multiprocessors of four busy, where no smaller one holds all
/// rows; where none does, the tile of the most blocks.
fn plan(list: &[(usize, Kernel)], matrix: Matrix, multiprocessors: usize) -> ConvPlan {
    let mut best: Option<ConvPlan> = None;
    for &(rows, kernel) in list {
        if next(list, rows).is_some_and(|smaller| matrix.rows <= smaller) {
            continue;
        }
        let want = if rows == SMALL { 2 * multiprocessors } else { multiprocessors };
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

/// Most channels of a result that `conv_narrow.cu` computes.
const NARROW: usize = 6;
/// Most bytes of a class of a filter, which those kernels keep in shared memory.
const NARROW_BYTES: usize = 48 * 1024;
/// Pixels that a block of those kernels has at a time: 4 warps of 4.
const NARROW_PIXELS: usize = 16;

/// The next smaller tile of a list.
fn next(list: &[(usize, Kernel)], rows: usize) -> Option<usize> {
    list.iter().map(|k| k.0).filter(|&r| r < rows).max()
}

impl Cuda {
    fn conv_plan(
        &self,
        pass: Pass,
        conv: Conv,
        [x, w, y]: [Shape; 3],
        elem: Elem,
        access: Access,
    ) -> ConvPlan {
        let chunk = 64 / elem.size();
        let matrix = match access {
            Access::Runs => Matrix::by_rows(pass, w, y, chunk),
            _ => Matrix::of(pass, conv, x, w, y, chunk),
        };
        plan(kernels(pass, access), matrix, self.multiprocessors())
    }

    /// ConvPlan, grid and partial sums of a pass of these operands.
    fn prepare(
        &mut self,
        pass: Pass,
        conv: Conv,
        [x, w, y]: [View; 3],
    ) -> Result<(ConvPlan, Grid, Split)> {
        let shapes = [x.shape, w.shape, y.shape];
        let plan = self.conv_plan(pass, conv, shapes, x.elem, access(pass, conv, [x, w, y]));
        let need = self.conv_workspace(pass, conv, x.shape, w.shape, y.shape).scratch;
        let sums = if need > 0 { self.scratch(need)? } else { FloatAddress::default() };
        let counters = self.counters_address();
        let split = Split { sums, counters, parts: plan.parts as i32 };
        let blocks = [plan.tiles[0], plan.tiles[1], plan.parts].map(|b| b as u32);
        Ok((plan, Grid { blocks, threads: THREADS, shared: 0 }, split))
    }

    /// The grid of a pass whose result `to` has few channels, None where tiles compute it.
    fn narrow_grid(&self, pass: Pass, conv: Conv, w: Shape, from: View, to: View) -> Option<Grid> {
        let matrix = match pass {
            Pass::Fprop => Matrix::of(pass, conv, from.shape, w, to.shape, 1),
            _ => Matrix::of(pass, conv, to.shape, w, from.shape, 1),
        };
        let outs = [1, 3, NARROW].into_iter().find(|&outs| to.shape.c <= outs)?;
        let shared = 4 * outs * matrix.chunks;
        let runs = from.shape.c.is_multiple_of(4) && aligned(from, 4 * from.elem.size());
        if !runs || shared > NARROW_BYTES {
            return None;
        }
        let most = (4 * self.multiprocessors()).div_ceil(matrix.classes);
        let blocks = matrix.rows.div_ceil(NARROW_PIXELS).min(most) * matrix.classes;
        Some(Grid { blocks: [blocks as u32, 1, 1], threads: THREADS, shared: shared as u32 })
    }
}

/// Activations of one pass are stored alike.
fn alike(x: View, y: View) -> Result<()> {
    if x.elem == y.elem {
        return Ok(());
    }
    Err(Error::machine(format!(
        "conv: {} and {} are stored differently, as a single number is in bf16; use larger pictures \
         or --precision f32",
        x.shape, y.shape
    )))
}

impl ConvKernels for Cuda {
    fn conv_fprop(
        &mut self,
        conv: Conv,
        x: View,
        w: View,
        bias: Option<View>,
        y: View,
        mode: Write,
    ) -> Result<()> {
        alike(x, y)?;
        let (input, output) = (self.tensor(x), self.tensor(y));
        let (filter, bias) = (self.floats(w), self.maybe_floats(bias));
        let (window, merge) = (Window::from(conv), Merge::from(mode));
        if let Some(grid) = self.narrow_grid(Pass::Fprop, conv, w.shape, x, y) {
            let args = (input, filter, bias, output, window, merge);
            return self.launch(names::CONV_FPROP_NARROW, y.elem, grid, &args);
        }
        let (plan, grid, split) = self.prepare(Pass::Fprop, conv, [x, w, y])?;
        let args = (input, filter, bias, output, window, merge, split);
        self.launch(plan.kernel, y.elem, grid, &args)
    }

    fn conv_dgrad(
        &mut self,
        conv: Conv,
        dy: View,
        w: View,
        bias: Option<View>,
        dx: View,
        mode: Write,
    ) -> Result<()> {
        alike(dy, dx)?;
        let (input, output) = (self.tensor(dy), self.tensor(dx));
        let (filter, bias) = (self.floats(w), self.maybe_floats(bias));
        let (window, merge) = (Window::from(conv), Merge::from(mode));
        if let Some(grid) = self.narrow_grid(Pass::Dgrad, conv, w.shape, dy, dx) {
            let args = (input, filter, bias, output, window, merge);
            return self.launch(names::CONV_DGRAD_NARROW, dx.elem, grid, &args);
        }
        let (plan, grid, split) = self.prepare(Pass::Dgrad, conv, [dx, w, dy])?;
        let args = (input, filter, bias, output, window, merge, split);
        self.launch(plan.kernel, dx.elem, grid, &args)
    }

    fn conv_wgrad(&mut self, conv: Conv, x: View, dy: View, dw: View, mode: Write) -> Result<()> {
        alike(x, dy)?;
        let (plan, mut grid, split) = self.prepare(Pass::Wgrad, conv, [x, dw, dy])?;
        // Elements of a filter, its longer side, run along x.
        grid.blocks.swap(0, 1);
        let (x, of) = (self.tensor(x), x.elem);
        let args =
            (x, self.tensor(dy), self.floats(dw), Window::from(conv), Merge::from(mode), split);
        self.launch(plan.kernel, of, grid, &args)
    }

    fn conv_workspace(&self, pass: Pass, conv: Conv, x: Shape, w: Shape, y: Shape) -> Workspace {
        // Addresses are not known here: of the ways that the shapes allow, what takes most.
        let elem = self.elem();
        let of = |access| self.conv_plan(pass, conv, [x, w, y], elem, access).scratch();
        let runs = if in_runs(pass, conv, x, w, y, elem) { of(Access::Runs) } else { 0 };
        Workspace { kept: 0, scratch: of(Access::Vectors).max(of(Access::Any)).max(runs) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Multiprocessors of an H100.
    const CARD: usize = 132;

    fn planned(pass: Pass, conv: Conv, x: Shape, k: usize) -> (ConvPlan, Matrix) {
        let (w, y) = (Shape::new(k, conv.r, conv.s, x.c), conv.shrink(x, k).unwrap());
        let matrix = Matrix::of(pass, conv, x, w, y, 16);
        assert!(in_vectors(pass, w, Elem::F32));
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
