//! What one image file may take: one set of limits for its header and for its pixels.
//!
//! A file is read whole before it is decoded, by every loader thread, so its length is bounded by the
//! size that its header states; and what its header and its metadata may take is bounded before that.

use std::path::Path;

use super::format::Header;
use crate::error::{Error, Result};

/// Longest side that is read, in pixels: that of the largest JPEG.
const MAX_SIDE: usize = 65_535;
/// Most pixels that are read: 16,384 x 8,192, 400 MB as RGB.
pub const MAX_PIXELS: usize = 1 << 27;
/// Longest side of a picture that is read by windows, in pixels.
const MAX_WINDOWED_SIDE: usize = 1 << 20;
/// Most bytes of a volume or a stack that is read whole: 512 x 512 x 2,000 floats.
pub const MAX_BYTES: u64 = 1 << 31;
/// Most bytes of a file that hold no pixels: camera data, profiles, thumbnails, further pages. The
/// largest found in photographs are previews of 20 MB.
pub const METADATA: u64 = 64 << 20;
/// Most bytes of metadata that are read into memory: EXIF in a JPEG has at most 64 KiB, and its
/// orientation stands in its first bytes.
pub const EXIF: u64 = 1 << 20;

/// Most bytes that a decoder may ask for: RGBA with 16 bits, twice, as some decoders keep the planes
/// of a picture beside its pixels.
pub fn decoder_bytes(width: usize, height: usize) -> u64 {
    16 * pixels(width, height) + METADATA
}

/// Refuses a picture that is empty or too large.
///
/// # Errors
/// [`Error::Input`] with the size and what may be.
pub fn check_size(path: &Path, width: usize, height: usize) -> Result<()> {
    let name = path.display();
    if width == 0 || height == 0 {
        return Err(Error::input(format!("{name} has no pixels ({width}x{height}): remove it")));
    }
    if is_large(width, height) {
        return Err(Error::input(format!(
            "{name} is {width}x{height} pixels, and at most {MAX_SIDE} a side and {} megapixels \
             are read: cut it into tiles or make it smaller",
            MAX_PIXELS / 1_000_000
        )));
    }
    Ok(())
}

/// Whether a picture is too large to be read whole.
pub fn is_large(width: usize, height: usize) -> bool {
    width.max(height) > MAX_SIDE || width.saturating_mul(height) > MAX_PIXELS
}

/// Refuses a picture that is empty, or larger than one that is read by windows may be.
///
/// # Errors
/// [`Error::Input`] with the size and what may be.
pub fn check_windowed_size(path: &Path, width: usize, height: usize) -> Result<()> {
    if width > 0 && height > 0 && width.max(height) <= MAX_WINDOWED_SIDE {
        return Ok(());
    }
    Err(Error::input(format!(
        "{} is {width}x{height} pixels, and 1 to {MAX_WINDOWED_SIDE} a side are read: cut it into tiles",
        path.display()
    )))
}

/// Refuses a file that is much longer than its pictures can be: 16 bytes a pixel, which is RGBA as 32-bit
/// floats, or what its samples take, and [`METADATA`].
///
/// # Errors
/// [`Error::Input`] with the length and the size.
pub fn check_length(path: &Path, length: u64, header: &Header) -> Result<()> {
    let Header { width, height, channels, stored, pages, .. } = *header;
    let pixel = (channels * stored.size()).max(16) as u64;
    let most = pixel.saturating_mul(pixels(width, height)).saturating_mul(pages as u64);
    if length <= most.saturating_add(METADATA).min(MAX_BYTES.saturating_mul(2)) {
        return Ok(());
    }
    Err(Error::input(format!(
        "{} has {} MB, far more than its {width}x{height} pixels can take: save the picture alone, as \
         PNG, or remove it",
        path.display(),
        length / 1_000_000
    )))
}

/// Refuses a picture whose samples take more memory than may be.
///
/// # Errors
/// [`Error::Input`] with the bytes.
pub fn check_bytes(path: &Path, header: &Header) -> Result<()> {
    let Header { width, height, channels, stored, .. } = *header;
    let bytes = pixels(width, height).saturating_mul((channels * stored.held().size()) as u64);
    if bytes <= MAX_BYTES {
        return Ok(());
    }
    Err(Error::input(format!(
        "{} takes {} MB in memory with {width}x{height} pixels of {channels} channels, and at most {} MB are \
         read: cut it into tiles",
        path.display(),
        bytes / 1_000_000,
        MAX_BYTES / 1_000_000
    )))
}

fn pixels(width: usize, height: usize) -> u64 {
    (width as u64).saturating_mul(height as u64).min(MAX_PIXELS as u64)
}
