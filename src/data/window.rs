//! Images too large for memory: read by windows, written by rows.

use super::{Image, PixelFormat};
use crate::error::Result;

/// An image of which a part can be read without the whole.
pub trait WindowSource: Send {
    /// Width and height.
    fn size(&self) -> [usize; 2];

    /// The channels and the type of its samples in memory.
    fn format(&self) -> PixelFormat;

    /// The part of `width` x `height` pixels whose upper left corner is at (`x`, `y`), which lies inside.
    ///
    /// # Errors
    /// A file that cannot be read or is damaged there.
    fn read(&mut self, x: usize, y: usize, width: usize, height: usize) -> Result<Image>;
}

/// Takes an image row by row, from top to bottom.
pub trait RowSink {
    /// Takes the next rows, which have the width and the format of the image.
    ///
    /// # Errors
    /// A file that cannot be written.
    fn rows(&mut self, rows: &Image) -> Result<()>;
}

/// An image in memory.
impl WindowSource for Image {
    fn size(&self) -> [usize; 2] {
        [self.width, self.height]
    }

    fn format(&self) -> PixelFormat {
        Image::format(self)
    }

    fn read(&mut self, x: usize, y: usize, width: usize, height: usize) -> Result<Image> {
        Ok(self.crop(x, y, width, height))
    }
}
