//! Poolings on a GPU: `kernels/pool.cu`.

use super::conv::Window;
use super::{Merge, names, spread};
use crate::device::Cuda;
use crate::error::Result;
use crate::kernel::{Pool, PoolArgs, PoolGradArgs, PoolKernels};

impl From<Pool> for Window {
    fn from(pool: Pool) -> Self {
        let [r, s, stride, pad] = [pool.r, pool.s, pool.stride, pool.pad].map(|x| x as i32);
        Window { r, s, stride, pad }
    }
}

impl PoolKernels for Cuda {
    fn max_pool(&mut self, args: &PoolArgs) -> Result<()> {
        let PoolArgs { pool, x, y } = *args;
        let args = (self.tensor(x), self.tensor(y), Window::from(pool));
        self.launch(names::MAX_POOL, y.elem, spread(self, y), &args)
    }

    fn max_pool_grad(&mut self, args: &PoolGradArgs) -> Result<()> {
        let PoolGradArgs { pool, x, dy, dx, mode } = *args;
        let [x, dy, to] = [x, dy, dx].map(|view| self.tensor(view));
        let args = (x, dy, to, Window::from(pool), Merge::from(mode));
        self.launch(names::MAX_POOL_GRAD, dx.elem, spread(self, dx), &args)
    }

    fn average_pool(&mut self, args: &PoolArgs) -> Result<()> {
        let PoolArgs { pool, x, y } = *args;
        let args = (self.tensor(x), self.tensor(y), Window::from(pool));
        self.launch(names::AVERAGE_POOL, y.elem, spread(self, y), &args)
    }

    fn average_pool_grad(&mut self, args: &PoolGradArgs) -> Result<()> {
        let PoolGradArgs { pool, x: _, dy, dx, mode } = *args;
        let args = (self.tensor(dy), self.tensor(dx), Window::from(pool), Merge::from(mode));
        self.launch(names::AVERAGE_POOL_GRAD, dx.elem, spread(self, dx), &args)
    }
}
