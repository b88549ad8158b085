//! Pictures in and out: bytes to numbers in [-1, 1] and back.

use crate::device::{Cpu, Device};
use crate::error::{Error, Result};
use crate::tensor::View;

/// Pictures of a machine. Bytes are (n, h, w, c), dense.
pub trait PictureKernels {
    /// x = byte / 127.5 - 1
    fn upload_pictures(&mut self, bytes: &[u8], to: View) -> Result<()>;

    /// byte = round((x + 1) * 127.5), kept in 0..=255. Rounding, where the PyTorch port truncates,
    /// makes upload and download inverses of each other.
    fn download_pictures(&mut self, from: View, bytes: &mut [u8]) -> Result<()>;
}

impl PictureKernels for Cpu {
    fn upload_pictures(&mut self, bytes: &[u8], to: View) -> Result<()> {
        if bytes.len() != to.shape.count() {
            let detail = format!("{} bytes for {}", bytes.len(), to.shape);
            return Err(Error::shape("upload_pictures", detail));
        }
        let ([out], _, _) = self.split([to]);
        for (pixel, bytes) in out.chunks_mut(to.pitch).zip(bytes.chunks_exact(to.shape.c)) {
            for (x, byte) in pixel.iter_mut().zip(bytes) {
                *x = f32::from(*byte) / 127.5 - 1.0;
            }
        }
        Ok(())
    }

    fn download_pictures(&mut self, from: View, bytes: &mut [u8]) -> Result<()> {
        let mut values = vec![0.0; bytes.len()];
        self.download(from, &mut values)?;
        for (byte, x) in bytes.iter_mut().zip(values) {
            *byte = ((x + 1.0) * 127.5).round().clamp(0.0, 255.0) as u8;
        }
        Ok(())
    }
}
