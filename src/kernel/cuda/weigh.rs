//! Products with weights on a GPU: `kernels/weigh.cu`.

use super::{Merge, names, spread};
use crate::device::Cuda;
use crate::error::settings::PRECISION;
use crate::error::{Error, Result};
use crate::kernel::{WeighArgs, WeighKernels};
use crate::tensor::{Elem, Shape, View};

impl WeighKernels for Cuda {
    fn weigh(&mut self, args: &WeighArgs) -> Result<()> {
        debug_assert!(self.weigh_supports(args).is_ok(), "asked before a program runs");
        let WeighArgs { x, weights, y, mode } = *args;
        // Of a view with gaps only the first number may be asked for as floats.
        let first = self.floats(View { shape: Shape::SCALAR, ..weights });
        let args = (self.tensor(x), first, weights.pitch as i32, self.tensor(y), Merge::from(mode));
        self.launch(names::WEIGH, y.elem, spread(self, y), &args)
    }

    fn weigh_supports(&self, args: &WeighArgs) -> Result<()> {
        if args.weights.elem == Elem::F32 {
            return Ok(());
        }
        Err(Error::machine(format!(
            "weigh: weights {} are stored in bf16, which rounds them; make them an input of f32, or use \
             {PRECISION} f32",
            args.weights.shape
        )))
    }
}
