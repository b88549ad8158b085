//! ImageBatch in and out: bytes to numbers in [-1, 1], cropped and flipped, and back.

use crate::device::{Cpu, Device};
use crate::error::{Error, Result};
use crate::tensor::View;

/// What is taken of a picture.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Crop {
    /// Columns left of it.
    pub x: usize,
    /// Rows above it.
    pub y: usize,
    /// Left and right exchanged, after the crop.
    pub flip: bool,
}

/// A batch of pictures as bytes, and what is taken of each.
#[derive(Clone, Copy, Debug)]
pub struct ImageBatch<'a> {
    /// (n, height, width, c), dense.
    pub bytes: &'a [u8],
    /// Rows of a picture.
    pub height: usize,
    /// Pixels in a row.
    pub width: usize,
    /// One a picture.
    pub crops: &'a [Crop],
}

impl ImageBatch<'_> {
    /// Whether these fill `to`.
    ///
    /// # Errors
    /// Another number of bytes or of crops, a crop that ends outside its picture.
    pub(super) fn check(&self, to: View) -> Result<()> {
        let ImageBatch { bytes, height, width, crops } = *self;
        let (shape, len) = (to.shape, to.shape.n * height * width * to.shape.c);
        let detail = if bytes.len() != len {
            format!(
                "{} bytes are not {} pictures of {height}x{width}x{}",
                bytes.len(),
                shape.n,
                shape.c
            )
        } else if crops.len() != shape.n {
            format!("{} crops of {} pictures", crops.len(), shape.n)
        } else {
            let fits =
                |at: usize, size, whole| at.checked_add(size).is_some_and(|end| end <= whole);
            let outside = |c: &Crop| !fits(c.x, shape.w, width) || !fits(c.y, shape.h, height);
            let Some(i) = crops.iter().position(outside) else { return Ok(()) };
            let Crop { x, y, .. } = crops[i];
            format!(
                "the crop of {}x{} at row {y}, column {x} is not inside picture {i} of {height}x{width}",
                shape.h, shape.w
            )
        };
        Err(Error::shape("upload_crops", detail))
    }
}

/// ImageBatch of a machine. Bytes are (n, h, w, c), dense.
pub trait ImageKernels {
    /// x[n, h, w, c] = byte[n, y + h, x + w, c] / 127.5 - 1 with the corner (x, y) of picture n's crop;
    /// where that is flipped, w counts from its right end.
    ///
    /// # Errors
    /// Bytes or crops that do not fill `to`, a crop outside its picture: nothing is sent then.
    fn upload_crops(&mut self, from: ImageBatch, to: View) -> Result<()>;

    /// [`ImageKernels::upload_crops`] of whole pictures: x = byte / 127.5 - 1.
    ///
    /// # Errors
    /// Another number of bytes.
    fn upload_images(&mut self, bytes: &[u8], to: View) -> Result<()> {
        let crops = vec![Crop::default(); to.shape.n];
        let (height, width) = (to.shape.h, to.shape.w);
        self.upload_crops(ImageBatch { bytes, height, width, crops: &crops }, to)
    }

    /// byte = round((x + 1) * 127.5), kept in 0..=255. Rounding, where the PyTorch port truncates,
    /// makes upload and download inverses of each other.
    fn download_images(&mut self, from: View, bytes: &mut [u8]) -> Result<()>;
}

impl ImageKernels for Cpu {
    fn upload_crops(&mut self, from: ImageBatch, to: View) -> Result<()> {
        from.check(to)?;
        let ([out], _, _) = self.split([to]);
        let (shape, row) = (to.shape, from.width * to.shape.c);
        for (i, out) in out.chunks_mut(shape.w * to.pitch).enumerate() {
            let (n, h) = (i / shape.h, i % shape.h);
            let Crop { x, y, flip } = from.crops[n];
            let begin = (n * from.height + y + h) * row + x * shape.c;
            let bytes = &from.bytes[begin..begin + shape.w * shape.c];
            for (w, pixel) in out.chunks_mut(to.pitch).enumerate() {
                let w = if flip { shape.w - 1 - w } else { w };
                for (x, byte) in pixel.iter_mut().zip(&bytes[w * shape.c..][..shape.c]) {
                    *x = f32::from(*byte) / 127.5 - 1.0;
                }
            }
        }
        Ok(())
    }

    fn download_images(&mut self, from: View, bytes: &mut [u8]) -> Result<()> {
        let mut values = vec![0.0; bytes.len()];
        self.download(from, &mut values)?;
        for (byte, x) in bytes.iter_mut().zip(values) {
            *byte = ((x + 1.0) * 127.5).round().clamp(0.0, 255.0) as u8;
        }
        Ok(())
    }
}
