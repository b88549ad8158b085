//! Functions of dense vectors on a GPU: `kernels/vector.cu`.

use super::{blocks, names};
use crate::device::{COUNTERS, CounterAddress, Cuda, DoubleAddress, Grid, device_constants};
use crate::error::Result;
use crate::kernel::{VectorKernels, Workspace};
use crate::tensor::{Elem, View};

device_constants! {
    /// Threads of a block. A block is added for every four numbers per thread, up to a bound.
    const VECTOR_THREADS: usize = 256;
}

fn grid(cuda: &Cuda, count: usize, waves: usize) -> Grid {
    let blocks = blocks(cuda, count.div_ceil(4 * VECTOR_THREADS), waves);
    Grid::line(blocks, VECTOR_THREADS as u32)
}

/// The grid of a norm: few blocks, because the last one reads one number of every block.
fn norm_grid(cuda: &Cuda, count: usize) -> Grid {
    grid(cuda, count, 2)
}

impl VectorKernels for Cuda {
    fn moving_average(&mut self, decay: f32, x: View, mean: View) -> Result<()> {
        let count = x.shape.count();
        let args = (self.floats(x), self.floats(mean), decay, count as u32);
        self.launch(names::MOVING_AVERAGE, Elem::F32, grid(self, count, 8), &args)
    }

    fn vector_norm(&mut self, x: View, y: View) -> Result<()> {
        let count = x.shape.count();
        let parts = DoubleAddress(self.scratch(self.vector_norm_workspace(count).scratch)?.0);
        let counters = CounterAddress(self.counters_address().0);
        let args = (self.floats(x), self.floats(y), parts, counters, count as u32);
        self.launch(names::VECTOR_NORM, Elem::F32, norm_grid(self, count), &args)
    }

    /// One f64 per block.
    fn vector_norm_workspace(&self, count: usize) -> Workspace {
        Workspace { kept: 0, scratch: 2 * norm_grid(self, count).blocks[0] as usize }
    }

    fn count_not_finite(&mut self, tensors: &[View]) -> Result<Vec<usize>> {
        let mut counts = Vec::with_capacity(tensors.len());
        for some in tensors.chunks(COUNTERS) {
            self.clear_counts(some.len())?;
            for (i, view) in some.iter().enumerate() {
                let count = view.shape.count();
                let to = CounterAddress(self.counts_address().0 + 4 * i as u64);
                let args = (self.floats(*view), to, count as u32);
                self.launch(names::COUNT_NOT_FINITE, Elem::F32, grid(self, count, 8), &args)?;
            }
            counts.extend(self.counts(some.len())?.into_iter().map(|count| count as usize));
        }
        Ok(counts)
    }
}
