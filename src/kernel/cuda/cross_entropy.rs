//! Softmax cross entropy on a GPU: `kernels/cross_entropy.cu`.

use super::{Merge, blocks, names};
use crate::device::{
    CounterAddress, Cuda, DoubleAddress, FloatAddress, Grid, device_constants, device_struct,
};
use crate::error::settings::PRECISION;
use crate::error::{Error, Result};
use crate::kernel::{CrossEntropyArgs, CrossEntropyGradArgs, CrossEntropyKernels, Workspace};
use crate::tensor::{Elem, Shape, View};

device_struct! {
    /// The class of each pixel.
    pub struct Labels {
        /// That of the first.
        pub data: FloatAddress,
        /// Numbers from one pixel's to the next.
        pub pitch: i32,
        /// The label of pixels that do not count; -1 where all do.
        pub ignored: i32,
    }
}

device_constants! {
    /// Threads of a block, a pixel each a turn.
    const CROSS_ENTROPY_THREADS: usize = 256;
}

fn labels(cuda: &Cuda, of: View, ignored: Option<usize>) -> Labels {
    let ignored = ignored.map_or(-1, |label| label as i32);
    // Of a view with gaps only the first number may be asked for as floats.
    let data = cuda.floats(View { shape: Shape::SCALAR, ..of });
    Labels { data, pitch: of.pitch as i32, ignored }
}

/// Blocks for the pixels of `x`: the block that is last reads two numbers of each.
fn pixel_blocks(cuda: &Cuda, x: View) -> usize {
    blocks(cuda, x.shape.pixels().div_ceil(CROSS_ENTROPY_THREADS), 2)
}

fn pixel_grid(cuda: &Cuda, x: View) -> Grid {
    Grid::line(pixel_blocks(cuda, x), CROSS_ENTROPY_THREADS as u32)
}

impl CrossEntropyKernels for Cuda {
    fn cross_entropy(&mut self, args: &CrossEntropyArgs) -> Result<()> {
        debug_assert!(self.cross_entropy_supports(args).is_ok(), "asked before a program runs");
        let parts = DoubleAddress(self.scratch(self.cross_entropy_workspace(args).scratch)?.0);
        let CrossEntropyArgs { x, labels: of, ignored, y, count } = *args;
        let counters = CounterAddress(self.counters_address().0);
        let (labels, [y, count]) = (labels(self, of, ignored), [y, count].map(|v| self.floats(v)));
        let grid = pixel_grid(self, x);
        let args = (self.tensor(x), labels, y, count, parts, counters);
        self.launch(names::CROSS_ENTROPY, x.elem, grid, &args)
    }

    fn cross_entropy_workspace(&self, args: &CrossEntropyArgs) -> Workspace {
        // Two f64 a block.
        Workspace::scratch(4 * pixel_blocks(self, args.x))
    }

    fn cross_entropy_supports(&self, args: &CrossEntropyArgs) -> Result<()> {
        if args.labels.elem == Elem::F32 {
            return Ok(());
        }
        Err(Error::machine(format!(
            "cross_entropy: labels {} are stored in bf16, which holds no whole numbers above 256; \
             make them an input of f32, or use {PRECISION} f32",
            args.labels.shape
        )))
    }

    fn cross_entropy_grad(&mut self, args: &CrossEntropyGradArgs) -> Result<()> {
        let CrossEntropyGradArgs { x, labels: of, ignored, count, dy, dx, mode } = *args;
        let (labels, [count, dy]) =
            (labels(self, of, ignored), [count, dy].map(|v| self.floats(v)));
        let grid = pixel_grid(self, x);
        let args = (self.tensor(x), labels, count, dy, self.tensor(dx), Merge::from(mode));
        self.launch(names::CROSS_ENTROPY_GRAD, x.elem, grid, &args)
    }
}
