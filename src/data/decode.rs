//! Decoding: JPEG, PNG, BMP, TIFF and WebP to RGB with 8 bits, or one sentence that says why not.
//!
//! What becomes of what is not RGB with 8 bits:
//! - the kind of picture is told by the file's content; its extension counts only where the content
//!   says nothing;
//! - the orientation that cameras write (EXIF, and TIFF's own tag) is applied;
//! - grey is repeated for the three channels, a palette is looked up;
//! - 16 bits become 8 as `round(v / 257)`;
//! - alpha is composited over white: `round((c * a + 255 * (255 - a)) / 255)`, at 16 bits where the
//!   file has them; [`Notes::alpha`] and [`ImageHeader::alpha`] tell, so that a program can say so;
//! - CMYK in a JPEG or TIFF is converted to RGB by the `image` crate, without colour profiles, and
//!   no other colour profile is applied either;
//! - float pixels are refused, since nothing says what is white.
//!
//! The PyTorch port differs in three: it drops alpha, whatever colour lies beneath, ignores the
//! orientation, and clips most pictures of 16 bits to white.
//!
//! A picture that is cut short is refused, never filled with grey: the JPEG decoder would do that,
//! so a JPEG without its end mark is refused before it is asked.

use std::fs::File;
use std::io::{BufRead, BufReader, Cursor, Read, Seek};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use image::metadata::Orientation;
use image::{DynamicImage, ImageDecoder, ImageError, ImageFormat, ImageReader, Limits};

use super::Image;
use crate::error::{Error, Result};

/// Longest side that is read, in pixels: what a JPEG can have at most.
pub const MAX_SIDE: usize = 65_535;
/// Most pixels that are read: 16,384 x 8,192, 400 MB as RGB.
pub const MAX_PIXELS: usize = 1 << 27;
/// Most bytes that a decoder may ask for: eight a pixel, RGBA with 16 bits.
const MAX_BYTES: u64 = 8 * MAX_PIXELS as u64;
/// Bytes of a JPEG that are read for its header; larger headers are found by reading all of it.
const JPEG_PREFIX: u64 = 64 << 10;

/// What a picture file says of itself before its pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ImageHeader {
    /// Pixels in a row, after the orientation is applied.
    pub width: usize,
    /// Rows, after the orientation is applied.
    pub height: usize,
    /// The picture has an alpha channel.
    pub alpha: bool,
}

/// What decoding changed beyond unpacking, for a line that is said once a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Notes {
    /// An alpha channel was composited over white.
    pub alpha: bool,
    /// 16 bits a channel were rounded to 8.
    pub sixteen_bits: bool,
    /// The picture was turned or mirrored as its EXIF orientation says.
    pub turned: bool,
}

impl ImageHeader {
    /// Reads as little of the file as tells its size: fit for thousands of files. The pixels may
    /// still be damaged.
    pub fn read(path: &Path) -> Result<ImageHeader> {
        let unreadable = |e| Error::file("read", path, e);
        let mut file = BufReader::new(File::open(path).map_err(unreadable)?);
        let mut start = Vec::new();
        file.by_ref().take(16).read_to_end(&mut start).map_err(unreadable)?;
        let format = format_of(path, &start)?;
        let found = guarded(path, || {
            if format != ImageFormat::Jpeg {
                file.rewind()?;
                return header(ImageReader::with_format(file, format));
            }
            // The JPEG decoder reads all of what it is given.
            let mut bytes = start;
            file.by_ref().take(JPEG_PREFIX).read_to_end(&mut bytes)?;
            let found = header(ImageReader::with_format(Cursor::new(&bytes), format));
            if found.is_ok() || file.read_to_end(&mut bytes)? == 0 {
                return found;
            }
            header(ImageReader::with_format(Cursor::new(&bytes), format))
        })?;
        check_size(path, found.width, found.height)?;
        Ok(found)
    }
}

impl Image {
    /// Reads and decodes a file.
    pub fn read(path: &Path) -> Result<Image> {
        Ok(Image::read_noted(path)?.0)
    }

    /// [`Image::read`], with what was changed on the way.
    pub fn read_noted(path: &Path) -> Result<(Image, Notes)> {
        let bytes = std::fs::read(path).map_err(|e| Error::file("read", path, e))?;
        Image::decode(&bytes, path)
    }

    /// Decodes the bytes of a picture file; `path` is for its extension and for messages.
    pub fn decode(bytes: &[u8], path: &Path) -> Result<(Image, Notes)> {
        let format = format_of(path, &bytes[..bytes.len().min(16)])?;
        let size = guarded(path, || header(ImageReader::with_format(Cursor::new(bytes), format)))?;
        check_size(path, size.width, size.height)?;
        if format == ImageFormat::Jpeg && !jpeg_ends(bytes) {
            return Err(damaged(path, "it ends before its last pixel"));
        }
        let (mut decoded, turn) = guarded(path, || {
            let mut decoder = limited(ImageReader::with_format(Cursor::new(bytes), format))?;
            let turn = orientation(&mut decoder);
            Ok((DynamicImage::from_decoder(decoder)?, turn))
        })?;
        decoded.apply_orientation(turn);
        let notes = Notes {
            alpha: decoded.color().has_alpha(),
            sixteen_bits: decoded.color().bytes_per_pixel() == 2 * decoded.color().channel_count(),
            turned: turn != Orientation::NoTransforms,
        };
        let (width, height) = (decoded.width() as usize, decoded.height() as usize);
        let pixels = rgb(decoded).ok_or_else(|| {
            Error::input(format!(
                "{} has float pixels, of which nothing says what is white: \
                 save it with 8 or 16 bits a channel",
                path.display()
            ))
        })?;
        Ok((Image::new(width, height, 3, pixels)?, notes))
    }
}

/// The kind of picture, by its first bytes, else by its extension.
fn format_of(path: &Path, start: &[u8]) -> Result<ImageFormat> {
    let name = path.display();
    if start.is_empty() {
        return Err(Error::input(format!("{name} is empty: copy it again or remove it")));
    }
    let guessed = image::guess_format(start).ok();
    match guessed.or_else(|| ImageFormat::from_path(path).ok()) {
        Some(format) if format.reading_enabled() => match guessed {
            // The extension promises a picture; text and zeros keep no such promise.
            None if format != ImageFormat::Tiff => Err(Error::input(format!(
                "{name} is no picture, whatever its name says: its content is of no known kind; \
                 copy it again or remove it"
            ))),
            _ => Ok(format),
        },
        Some(format) => Err(Error::input(format!(
            "{name} is a {} picture, and only JPEG, PNG, BMP, TIFF and WebP are read: convert it \
             to one of these",
            format!("{format:?}").to_uppercase()
        ))),
        None => Err(Error::input(format!(
            "{name} is not a picture that can be read: give JPEG, PNG, BMP, TIFF or WebP"
        ))),
    }
}

/// Runs a decoder: its errors, and its panics on malformed input, become one sentence.
fn guarded<T>(path: &Path, decode: impl FnOnce() -> Result<T, ImageError>) -> Result<T> {
    match catch_unwind(AssertUnwindSafe(decode)) {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(ImageError::Unsupported(e))) => Err(Error::input(format!(
            "{} is of a kind that cannot be read ({e}): save it as PNG with 8 or 16 bits \
             a channel",
            path.display()
        ))),
        Ok(Err(ImageError::Limits(_))) => Err(Error::input(format!(
            "{} needs more memory to decode than is given to one picture ({} MiB): make it smaller \
             than {} megapixels",
            path.display(),
            MAX_BYTES >> 20,
            MAX_PIXELS / 1_000_000
        ))),
        Ok(Err(ImageError::IoError(e))) if e.kind() == std::io::ErrorKind::UnexpectedEof => {
            Err(damaged(path, "it ends before its last pixel"))
        }
        Ok(Err(e)) => Err(damaged(path, &e.to_string())),
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

fn header<R: BufRead + Seek>(mut reader: ImageReader<R>) -> Result<ImageHeader, ImageError> {
    // Sizes are judged by `check_size`, which can name them.
    reader.limits(Limits::no_limits());
    let mut decoder = reader.into_decoder()?;
    let (width, height) = decoder.dimensions();
    let alpha = decoder.color_type().has_alpha();
    let (width, height) = match orientation(&mut decoder) {
        Orientation::Rotate90
        | Orientation::Rotate270
        | Orientation::Rotate90FlipH
        | Orientation::Rotate270FlipH => (height, width),
        _ => (width, height),
    };
    Ok(ImageHeader { width: width as usize, height: height as usize, alpha })
}

fn limited<'a, R: BufRead + Seek + 'a>(
    mut reader: ImageReader<R>,
) -> Result<impl ImageDecoder + 'a, ImageError> {
    let mut limits = Limits::default();
    limits.max_alloc = Some(MAX_BYTES);
    reader.limits(limits);
    reader.into_decoder()
}

/// The orientation; a picture whose EXIF is unreadable is upright, as everywhere.
fn orientation(decoder: &mut impl ImageDecoder) -> Orientation {
    decoder.orientation().unwrap_or(Orientation::NoTransforms)
}

/// Whether a JPEG has its end mark after a scan: a walk over its segments, so that the end mark of
/// an embedded thumbnail does not count.
fn jpeg_ends(bytes: &[u8]) -> bool {
    let mut at = 2;
    loop {
        // To the next marker: 0xff and a code; in a scan 0xff 0x00 is data and 0xd0..=0xd7 restart.
        match bytes.get(at..) {
            Some([0xff, 0xff, ..]) => at += 1,
            Some([0xff, 0xd9, ..]) => return true,
            Some([0xff, 0x00 | 0x01 | 0xd0..=0xd8, ..]) => at += 2,
            Some([0xff, _, high, low, ..]) => {
                at += 2 + usize::from(u16::from_be_bytes([*high, *low]));
            }
            Some([_, ..]) => at += 1,
            Some([]) | None => return false,
        }
    }
}

/// RGB bytes; `None` for float pixels.
fn rgb(picture: DynamicImage) -> Option<Vec<u8>> {
    use DynamicImage as D;
    let narrow = |v: u16| ((u32::from(v) + 128) / 257) as u8;
    let over8 = |c: u8, a: u8| {
        ((u32::from(c) * u32::from(a) + 255 * (255 - u32::from(a)) + 127) / 255) as u8
    };
    let over16 = |c: u16, a: u16| {
        let (c, a) = (u64::from(c), u64::from(a));
        narrow(((c * a + 65_535 * (65_535 - a) + 32_767) / 65_535) as u16)
    };
    Some(match picture {
        D::ImageRgb8(p) => p.into_raw(),
        D::ImageLuma8(p) => p.iter().flat_map(|&v| [v; 3]).collect(),
        D::ImageLumaA8(p) => p.pixels().flat_map(|p| [over8(p[0], p[1]); 3]).collect(),
        D::ImageRgba8(p) => p.pixels().flat_map(|p| [0, 1, 2].map(|c| over8(p[c], p[3]))).collect(),
        D::ImageRgb16(p) => p.iter().map(|&v| narrow(v)).collect(),
        D::ImageLuma16(p) => p.iter().flat_map(|&v| [narrow(v); 3]).collect(),
        D::ImageLumaA16(p) => p.pixels().flat_map(|p| [over16(p[0], p[1]); 3]).collect(),
        D::ImageRgba16(p) => {
            p.pixels().flat_map(|p| [0, 1, 2].map(|c| over16(p[c], p[3]))).collect()
        }
        _ => return None,
    })
}
