//! LossKernels on a GPU.

use crate::device::Cuda;
use crate::error::{Error, Result};
use crate::kernel::*;
use crate::tensor::*;

impl LossKernels for Cuda {
    fn loss(&mut self, _loss: Loss, _x: View, _target: Target<View>, _y: View) -> Result<()> {
        Err(Error::machine("this kernel family has no CUDA kernels yet"))
    }
    fn loss_grad(
        &mut self,
        _loss: Loss,
        _x: View,
        _target: Target<View>,
        _dy: View,
        _dx: View,
        _mode: Write,
    ) -> Result<()> {
        Err(Error::machine("this kernel family has no CUDA kernels yet"))
    }
    fn keep_losses(&mut self, _losses: &[View]) -> Result<()> {
        Err(Error::machine("this kernel family has no CUDA kernels yet"))
    }
}
