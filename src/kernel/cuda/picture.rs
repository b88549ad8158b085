//! PictureKernels on a GPU.

use crate::device::Cuda;
use crate::error::{Error, Result};
use crate::kernel::*;
use crate::tensor::*;

impl PictureKernels for Cuda {
    fn upload_pictures(&mut self, _bytes: &[u8], _to: View) -> Result<()> {
        Err(Error::machine("this kernel family has no CUDA kernels yet"))
    }
    fn download_pictures(&mut self, _from: View, _bytes: &mut [u8]) -> Result<()> {
        Err(Error::machine("this kernel family has no CUDA kernels yet"))
    }
}
