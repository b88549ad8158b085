//! Reflection padding on a GPU: `kernels/pad.cu`.

use super::{Merge, names, spread};
use crate::device::Cuda;
use crate::error::Result;
use crate::kernel::{PadArgs, PadGradArgs, PadKernels};

impl PadKernels for Cuda {
    fn reflection_pad(&mut self, args: &PadArgs) -> Result<()> {
        let PadArgs { pad, x, y } = *args;
        let args = (self.tensor(x), self.tensor(y), pad as i32);
        self.launch(names::REFLECTION_PAD, y.elem, spread(self, y), &args)
    }

    fn reflection_pad_grad(&mut self, args: &PadGradArgs) -> Result<()> {
        let PadGradArgs { pad, dy, dx, mode } = *args;
        let args = (self.tensor(dy), self.tensor(dx), pad as i32, Merge::from(mode));
        self.launch(names::REFLECTION_PAD_GRAD, dx.elem, spread(self, dx), &args)
    }
}
