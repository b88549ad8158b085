//! Decoding of files of any [`super::format`] to 8-bit RGB.
//!
//! - The format is recognised by the file's content; its extension only helps to word a message.
//! - The orientation that cameras write (EXIF, and TIFF's own tag) is applied.
//! - Grey is repeated in the three channels, a palette is looked up.
//! - 16 bits become 8 as `round(v / 257)`.
//! - Alpha is composited over white: `round((c * a + 255 * (255 - a)) / 255)`, at 16 bits if the
//!   file has them; [`Notes::alpha`] and [`ImageHeader::alpha`] tell a program that it happened.
//! - CMYK in a JPEG or TIFF is converted to RGB by the `image` crate. No colour profile is applied.
//! - Float pixels are refused, since nothing says which value is white.
//! - A truncated file is refused, never filled with grey.
//!
//! The PyTorch port drops alpha, ignores the orientation, and clips most 16-bit pictures to white.

use std::fs::File;
use std::io::{BufReader, Cursor, Read, Seek};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use image::ImageFormat;

use super::Image;
use super::format::{self, Decoded, Format, FormatError, START};
use crate::error::{Error, Result};
use crate::tensor::{SampleType, Samples};

/// Longest side that is read, in pixels: that of the largest JPEG.
const MAX_SIDE: usize = 65_535;
/// Most pixels that are read: 16,384 x 8,192, 400 MB as RGB.
const MAX_PIXELS: usize = 1 << 27;
/// Most bytes that a decoder may ask for: eight a pixel, RGBA with 16 bits.
pub(super) const MAX_BYTES: u64 = 8 * MAX_PIXELS as u64;

/// The header of an image file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ImageHeader {
    /// Pixels in a row, after the orientation is applied.
    pub width: usize,
    /// Rows, after the orientation is applied.
    pub height: usize,
    /// The image has an alpha channel.
    pub alpha: bool,
}

/// How decoding changed an image, for a note to the user.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Notes {
    /// An alpha channel was composited over white.
    pub alpha: bool,
    /// 16 bits a channel were rounded to 8.
    pub sixteen_bits: bool,
    /// The image was rotated or mirrored, as its EXIF orientation says.
    pub turned: bool,
}

impl ImageHeader {
    /// Reads the header and as little else as possible, so that thousands of files take little
    /// time. The pixels may still be damaged.
    ///
    /// # Errors
    /// A file that cannot be read or is no image, or an image of more than 134 megapixels or 65,535
    /// pixels a side.
    pub fn read(path: &Path) -> Result<ImageHeader> {
        let unreadable = |e| Error::file("read", path, e);
        let mut file = BufReader::new(File::open(path).map_err(unreadable)?);
        let mut start = Vec::new();
        file.by_ref().take(START as u64).read_to_end(&mut start).map_err(unreadable)?;
        let format = format_of(path, &start)?;
        file.rewind().map_err(unreadable)?;
        let found = guarded(path, || format.header(&mut file))?;
        check_size(path, found.width, found.height)?;
        Ok(found)
    }
}

impl Image {
    /// Reads and decodes a file to 8-bit RGB.
    ///
    /// # Errors
    /// As [`Image::decode`]; a file that cannot be read.
    pub fn read(path: &Path) -> Result<Image> {
        let bytes = std::fs::read(path).map_err(|e| Error::file("read", path, e))?;
        Ok(Image::decode(&bytes, path)?.0)
    }

    /// Decodes the bytes of an image file to 8-bit RGB; `path` only serves for messages.
    ///
    /// # Errors
    /// No image, one that is damaged or too large, or one that cannot be converted to 8-bit RGB.
    pub fn decode(bytes: &[u8], path: &Path) -> Result<(Image, Notes)> {
        let format = format_of(path, &bytes[..bytes.len().min(START)])?;
        let size = guarded(path, || format.header(&mut Cursor::new(bytes)))?;
        check_size(path, size.width, size.height)?;
        let decoded = guarded(path, || format.decode(bytes))?;
        let notes = Notes {
            alpha: decoded.alpha,
            sixteen_bits: decoded.image.samples.sample_type() == SampleType::U16,
            turned: decoded.turned,
        };
        Ok((rgb(decoded, path)?, notes))
    }
}

/// The format of a file, by its first bytes.
fn format_of(path: &Path, start: &[u8]) -> Result<&'static dyn Format> {
    let name = path.display();
    if start.is_empty() {
        return Err(Error::input(format!("{name} is empty: copy it again or remove it")));
    }
    if let Some(format) = format::by_content(start) {
        return Ok(format);
    }
    let other = image::guess_format(start).or_else(|_| ImageFormat::from_path(path)).ok();
    Err(Error::input(match other {
        Some(other) if !other.reading_enabled() => format!(
            "{name} is a {} picture, and only {} are read: convert it to one of these",
            format!("{other:?}").to_uppercase(),
            format::names("and")
        ),
        // The extension is that of an image, the content is not: text, or zeros.
        _ if other.is_some() || format::by_extension(path).is_some() => format!(
            "{name} is no picture, whatever its name says: its content is of no known kind; copy it \
             again or remove it"
        ),
        _ => format!("{name} is not a picture that can be read: give {}", format::names("or")),
    }))
}

/// Runs a decoder: its errors, and its panics on malformed input, become one sentence.
fn guarded<T>(path: &Path, decode: impl FnOnce() -> Result<T, FormatError>) -> Result<T> {
    match catch_unwind(AssertUnwindSafe(decode)) {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(FormatError::Unsupported(what))) => Err(Error::input(format!(
            "{} is of a kind that cannot be read ({what}): save it as PNG with 8 or 16 bits \
             a channel",
            path.display()
        ))),
        Ok(Err(FormatError::TooLarge)) => Err(Error::input(format!(
            "{} needs more memory to decode than is given to one picture ({} MiB): make it smaller \
             than {} megapixels",
            path.display(),
            MAX_BYTES >> 20,
            MAX_PIXELS / 1_000_000
        ))),
        Ok(Err(FormatError::CutShort)) => Err(damaged(path, "it ends before its last pixel")),
        Ok(Err(FormatError::Failed(cause))) => Err(damaged(path, &cause)),
        Err(_) => Err(damaged(path, "its content is malformed")),
    }
}

fn damaged(path: &Path, cause: &str) -> Error {
    let cause = cause.replace('\n', " ");
    Error::input(format!(
        "{} is damaged or cut short ({}): copy it again or remove it",
        path.display(),
        cause.trim_end_matches('.')
    ))
}

fn check_size(path: &Path, width: usize, height: usize) -> Result<()> {
    let name = path.display();
    if width == 0 || height == 0 {
        return Err(Error::input(format!("{name} has no pixels ({width}x{height}): remove it")));
    }
    if width.max(height) > MAX_SIDE || width * height > MAX_PIXELS {
        return Err(Error::input(format!(
            "{name} is {width}x{height} pixels, and at most {MAX_SIDE} a side and {} megapixels \
             are read: cut it into tiles or make it smaller",
            MAX_PIXELS / 1_000_000
        )));
    }
    Ok(())
}

/// Converts to 8-bit RGB: grey repeated, alpha composited over white, 16 bits rounded.
fn rgb(decoded: Decoded, path: &Path) -> Result<Image> {
    let Decoded { image, alpha, .. } = decoded;
    let Image { height, width, channels, samples } = image;
    let shown = match channels - usize::from(alpha) {
        1 => [0; 3],
        3 => [0, 1, 2],
        n => {
            return Err(Error::input(format!(
                "{} has {n} channels, of which nothing says what is red, green and blue: save it \
                 as grey or RGB",
                path.display()
            )));
        }
    };
    let narrow = |v: u16| ((u32::from(v) + 128) / 257) as u8;
    let over8 = |c: u8, a: u8| {
        ((u32::from(c) * u32::from(a) + 255 * (255 - u32::from(a)) + 127) / 255) as u8
    };
    let over16 = |c: u16, a: u16| {
        let (c, a) = (u64::from(c), u64::from(a));
        narrow(((c * a + 65_535 * (65_535 - a) + 32_767) / 65_535) as u16)
    };
    let last = channels - 1;
    let bytes: Vec<u8> = match (samples, alpha) {
        (Samples::U8(v), false) if channels == 3 => v,
        (Samples::U8(v), false) => {
            v.chunks_exact(channels).flat_map(|p| shown.map(|c| p[c])).collect()
        }
        (Samples::U8(v), true) => {
            v.chunks_exact(channels).flat_map(|p| shown.map(|c| over8(p[c], p[last]))).collect()
        }
        (Samples::U16(v), false) => {
            v.chunks_exact(channels).flat_map(|p| shown.map(|c| narrow(p[c]))).collect()
        }
        (Samples::U16(v), true) => {
            v.chunks_exact(channels).flat_map(|p| shown.map(|c| over16(p[c], p[last]))).collect()
        }
        (Samples::F32(_), _) => {
            return Err(Error::input(format!(
                "{} has float pixels, of which nothing says what is white: \
                 save it with 8 or 16 bits a channel",
                path.display()
            )));
        }
    };
    Image::new(width, height, 3, bytes)
}
