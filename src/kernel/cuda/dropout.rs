//! DropoutKernels on a GPU.

use crate::device::Cuda;
use crate::error::{Error, Result};
use crate::kernel::*;
use crate::tensor::*;

impl DropoutKernels for Cuda {
    fn dropout(&mut self, _dropout: Dropout, _x: View, _y: View, _mode: Write) -> Result<()> {
        Err(Error::machine("this kernel family has no CUDA kernels yet"))
    }
}
