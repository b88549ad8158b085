//! ConvKernels on a GPU.

use crate::device::Cuda;
use crate::error::{Error, Result};
use crate::kernel::*;
use crate::tensor::*;

impl ConvKernels for Cuda {
    fn conv_fprop(
        &mut self,
        _conv: Conv,
        _x: View,
        _w: View,
        _bias: Option<View>,
        _y: View,
        _mode: Write,
    ) -> Result<()> {
        Err(Error::machine("this kernel family has no CUDA kernels yet"))
    }
    fn conv_dgrad(
        &mut self,
        _conv: Conv,
        _dy: View,
        _w: View,
        _bias: Option<View>,
        _dx: View,
        _mode: Write,
    ) -> Result<()> {
        Err(Error::machine("this kernel family has no CUDA kernels yet"))
    }
    fn conv_wgrad(
        &mut self,
        _conv: Conv,
        _x: View,
        _dy: View,
        _dw: View,
        _mode: Write,
    ) -> Result<()> {
        Err(Error::machine("this kernel family has no CUDA kernels yet"))
    }
    fn conv_workspace(
        &self,
        _product: Product,
        _conv: Conv,
        _x: Shape,
        _w: Shape,
        _y: Shape,
    ) -> Workspace {
        Workspace::default()
    }
}
