//! ImageBatch in and out of a GPU: `kernels/image.cu`.

use super::{names, spread};
use crate::device::{ByteAddress, Cuda, device_struct};
use crate::error::{Error, Result};
use crate::kernel::{Crop, ImageBatch, ImageKernels};
use crate::tensor::View;

device_struct! {
    /// ImageBatch before they are cropped.
    pub struct Uncropped {
        /// (n, h, w, c), dense.
        pub bytes: ByteAddress,
        /// A [`CropArg`] a picture.
        pub corners: ByteAddress,
        /// Rows of a picture.
        pub h: i32,
        /// Pixels in a row.
        pub w: i32,
    }
}

device_struct! {
    /// [`Crop`] as a kernel reads it from memory: no argument of a launch changes between steps.
    pub struct CropArg {
        /// Columns left of the crop.
        pub x: i32,
        /// Rows above it.
        pub y: i32,
        /// 1 where left and right are exchanged.
        pub flip: i32,
    }
}

/// Bytes of a [`CropArg`] each.
fn corners(crops: &[Crop]) -> Vec<u8> {
    let words = |c: &Crop| [c.x as i32, c.y as i32, i32::from(c.flip)].map(i32::to_le_bytes);
    crops.iter().flat_map(words).flatten().collect()
}

impl ImageKernels for Cuda {
    fn upload_crops(&mut self, from: ImageBatch, to: View) -> Result<()> {
        from.check(to)?;
        let [h, w] = [from.height, from.width].map(|side| side as i32);
        self.stage([from.bytes, &corners(from.crops)], |cuda, [bytes, corners]| {
            let args = (Uncropped { bytes, corners, h, w }, cuda.tensor(to));
            cuda.launch(names::IMAGE_UNPACK, to.elem, spread(cuda, to), &args)
        })
    }

    fn download_images(&mut self, from: View, bytes: &mut [u8]) -> Result<()> {
        if bytes.len() != from.shape.count() {
            let detail = format!("{} bytes for {}", bytes.len(), from.shape);
            return Err(Error::shape("download_images", detail));
        }
        self.fetch(bytes, |cuda, at| {
            let args = (cuda.tensor(from), at);
            cuda.launch(names::IMAGE_PACK, from.elem, spread(cuda, from), &args)
        })
    }
}
