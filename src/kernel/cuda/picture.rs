//! Pictures in and out of a GPU: `kernels/image.cu`.

use super::{names, spread};
use crate::device::Cuda;
use crate::error::{Error, Result};
use crate::kernel::PictureKernels;
use crate::tensor::View;

impl PictureKernels for Cuda {
    fn upload_pictures(&mut self, bytes: &[u8], to: View) -> Result<()> {
        if bytes.len() != to.shape.count() {
            let detail = format!("{} bytes for {}", bytes.len(), to.shape);
            return Err(Error::shape("upload_pictures", detail));
        }
        self.stage(bytes, |cuda, at| {
            let args = (at, cuda.tensor(to));
            cuda.launch(names::IMAGE_UNPACK, to.elem, spread(cuda, to), &args)
        })
    }

    fn download_pictures(&mut self, from: View, bytes: &mut [u8]) -> Result<()> {
        if bytes.len() != from.shape.count() {
            let detail = format!("{} bytes for {}", bytes.len(), from.shape);
            return Err(Error::shape("download_pictures", detail));
        }
        self.fetch(bytes, |cuda, at| {
            let args = (cuda.tensor(from), at);
            cuda.launch(names::IMAGE_PACK, from.elem, spread(cuda, from), &args)
        })
    }
}
