//! A picture in memory: RGB, 8 bits a channel, rows from the top.

use std::path::Path;

use image::{ExtendedColorType, ImageFormat};

use crate::atomic;
use crate::error::{Error, Result};

/// RGB pixels: `pixels[(y * width + x) * 3 + channel]`, so one picture is the NHWC bytes of a batch
/// of one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Image {
    /// Pixels in a row.
    pub width: usize,
    /// Rows.
    pub height: usize,
    /// `width * height * 3` bytes.
    pub pixels: Vec<u8>,
}

impl Image {
    /// A picture from its bytes; refuses a length other than `width * height * 3`, and no pixels.
    pub fn new(width: usize, height: usize, pixels: Vec<u8>) -> Result<Self> {
        if pixels.is_empty()
            || width.checked_mul(height).is_none_or(|n| n.checked_mul(3) != Some(pixels.len()))
        {
            return Err(Error::shape(
                "picture",
                format!("{} bytes are not {width}x{height} RGB pixels", pixels.len()),
            ));
        }
        Ok(Image { width, height, pixels })
    }

    /// A picture of one colour.
    pub fn filled(width: usize, height: usize, colour: [u8; 3]) -> Self {
        let pixels = colour.iter().copied().cycle().take(width * height * 3).collect();
        Image { width, height, pixels }
    }

    /// The bytes of row `y`.
    pub fn row(&self, y: usize) -> &[u8] {
        &self.pixels[y * self.width * 3..(y + 1) * self.width * 3]
    }

    /// The colour at column `x` and row `y`.
    pub fn at(&self, x: usize, y: usize) -> [u8; 3] {
        let i = (y * self.width + x) * 3;
        [self.pixels[i], self.pixels[i + 1], self.pixels[i + 2]]
    }

    /// The part of `width` x `height` pixels whose upper left corner is at (`x`, `y`). It must lie
    /// inside the picture.
    pub fn crop(&self, x: usize, y: usize, width: usize, height: usize) -> Image {
        let mut pixels = Vec::with_capacity(width * height * 3);
        for row in y..y + height {
            pixels.extend_from_slice(&self.row(row)[x * 3..(x + width) * 3]);
        }
        Image { width, height, pixels }
    }

    /// Left and right exchanged.
    pub fn mirror(&self) -> Image {
        let mut pixels = self.pixels.clone();
        mirror_rows(&mut pixels, self.width);
        Image { pixels, ..*self }
    }

    /// Writes a PNG, atomically: a reader never sees half a picture. The folder must exist.
    pub fn write_png(&self, path: &Path) -> Result<()> {
        self.write_as(path, ImageFormat::Png)
    }

    /// Writes the format that the extension names (PNG, JPEG, BMP, TIFF, WebP), atomically. The
    /// folder must exist.
    pub fn write(&self, path: &Path) -> Result<()> {
        let format = ImageFormat::from_path(path).map_err(|_| {
            Error::input(format!(
                "{}: pictures are written as .png, .jpg, .bmp, .tiff or .webp",
                path.display()
            ))
        })?;
        self.write_as(path, format)
    }

    fn write_as(&self, path: &Path, format: ImageFormat) -> Result<()> {
        let (width, height) = (self.width as u32, self.height as u32);
        atomic::replace(path, |sink| {
            image::write_buffer_with_format(
                sink,
                &self.pixels,
                width,
                height,
                ExtendedColorType::Rgb8,
                format,
            )
            .map_err(|e| Error::file("write", path, e))
        })
    }
}

/// Exchanges left and right in every row of `width` RGB pixels.
fn mirror_rows(pixels: &mut [u8], width: usize) {
    for row in pixels.chunks_exact_mut(width * 3) {
        let (pixels, _) = row.as_chunks_mut::<3>();
        pixels.reverse();
    }
}
