//! PointwiseKernels on a GPU.

use crate::device::Cuda;
use crate::error::{Error, Result};
use crate::kernel::*;
use crate::tensor::*;

impl PointwiseKernels for Cuda {
    fn activation(&mut self, _activation: Activation, _x: View, _y: View) -> Result<()> {
        Err(Error::machine("this kernel family has no CUDA kernels yet"))
    }
    fn activation_grad(
        &mut self,
        _activation: Activation,
        _y: View,
        _dy: View,
        _dx: View,
        _mode: Write,
    ) -> Result<()> {
        Err(Error::machine("this kernel family has no CUDA kernels yet"))
    }
    fn fill(&mut self, _to: View, _value: f32) -> Result<()> {
        Err(Error::machine("this kernel family has no CUDA kernels yet"))
    }
    fn scale(&mut self, _scale: f32, _x: View, _y: View, _mode: Write) -> Result<()> {
        Err(Error::machine("this kernel family has no CUDA kernels yet"))
    }
    fn channel_sum(&mut self, _dy: View, _db: View, _mode: Write) -> Result<()> {
        Err(Error::machine("this kernel family has no CUDA kernels yet"))
    }
}
