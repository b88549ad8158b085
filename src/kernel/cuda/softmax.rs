//! Softmax on a GPU: `kernels/softmax.cu`.

use super::{MAP_THREADS, Merge, blocks, names};
use crate::device::{Cuda, Grid};
use crate::error::Result;
use crate::kernel::{SoftmaxGradArgs, SoftmaxKernels};
use crate::tensor::View;

/// A thread a pixel.
fn pixel_grid(cuda: &Cuda, x: View) -> Grid {
    Grid::line(blocks(cuda, x.shape.pixels().div_ceil(MAP_THREADS), 8), MAP_THREADS as u32)
}

impl SoftmaxKernels for Cuda {
    fn softmax(&mut self, x: View, y: View) -> Result<()> {
        let args = (self.tensor(x), self.tensor(y));
        self.launch(names::SOFTMAX, x.elem, pixel_grid(self, x), &args)
    }

    fn softmax_grad(&mut self, args: &SoftmaxGradArgs) -> Result<()> {
        let SoftmaxGradArgs { y, dy, dx, mode } = *args;
        let grid = pixel_grid(self, y);
        let [y, dy, dx] = [y, dy, dx].map(|view| self.tensor(view));
        self.launch(names::SOFTMAX_GRAD, args.dx.elem, grid, &(y, dy, dx, Merge::from(mode)))
    }
}
