//! NormKernels on a GPU.

use crate::device::Cuda;
use crate::error::{Error, Result};
use crate::kernel::*;
use crate::tensor::*;

impl NormKernels for Cuda {
    fn norm(
        &mut self,
        _norm: Norm,
        _x: View,
        _params: NormParams,
        _kept: [View; 2],
        _y: View,
    ) -> Result<()> {
        Err(Error::machine("this kernel family has no CUDA kernels yet"))
    }
    fn norm_grad(
        &mut self,
        _norm: Norm,
        _x: View,
        _params: NormParams,
        _kept: [View; 2],
        _dy: View,
        _dx: Option<(View, Write)>,
        _daffine: [Option<(View, Write)>; 2],
    ) -> Result<()> {
        Err(Error::machine("this kernel family has no CUDA kernels yet"))
    }
    fn norm_scratch(&self, _x: Shape) -> usize {
        0
    }
}
