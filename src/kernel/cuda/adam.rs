//! Adam on a GPU: `kernels/adam.cu`.

use super::{MAP_THREADS, blocks, names};
use crate::device::{Cuda, Grid, device_struct};
use crate::error::Result;
use crate::kernel::{Adam, AdamKernels};
use crate::tensor::{Elem, View};

device_struct! {
    /// [`Adam`] as a kernel takes it.
    pub struct AdamRule {
        /// Decay of the first moment.
        pub beta1: f32,
        /// Decay of the second moment.
        pub beta2: f32,
        /// Added to the square root.
        pub eps: f32,
    }
}

impl AdamKernels for Cuda {
    fn adam(&mut self, adam: Adam, values: View, grads: View, m: View, v: View) -> Result<()> {
        let count = values.shape.count();
        assert!(count.is_multiple_of(4), "networks are laid out in multiples of 64 numbers");
        let Adam { beta1, beta2, eps } = adam;
        // Four numbers per thread and iteration; a multiprocessor holds eight blocks of 256
        // threads.
        let blocks = blocks(self, count.div_ceil(4 * MAP_THREADS), 8);
        let grid = Grid::line(blocks, MAP_THREADS as u32);
        let [w, g, m, v] = [values, grads, m, v].map(|view| self.floats(view));
        let rule = AdamRule { beta1, beta2, eps };
        let args = (w, g, m, v, rule, count as u32, self.state_address());
        self.launch(names::ADAM, Elem::F32, grid, &args)
    }
}
