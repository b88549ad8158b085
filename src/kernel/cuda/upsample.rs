//! Nearest upsampling on a GPU: `kernels/upsample.cu`.

use super::{Merge, names, spread};
use crate::device::Cuda;
use crate::error::Result;
use crate::kernel::{UpsampleArgs, UpsampleGradArgs, UpsampleKernels};

impl UpsampleKernels for Cuda {
    fn upsample(&mut self, args: &UpsampleArgs) -> Result<()> {
        let UpsampleArgs { factor, x, y } = *args;
        let args = (self.tensor(x), self.tensor(y), factor as i32);
        self.launch(names::UPSAMPLE, y.elem, spread(self, y), &args)
    }

    fn upsample_grad(&mut self, args: &UpsampleGradArgs) -> Result<()> {
        let UpsampleGradArgs { factor, dy, dx, mode } = *args;
        let args = (self.tensor(dy), self.tensor(dx), factor as i32, Merge::from(mode));
        self.launch(names::UPSAMPLE_GRAD, dx.elem, spread(self, dx), &args)
    }
}
