//! Decoding of files of any [`super::format`] to 8-bit RGB.
//!
//! - The format is recognised by the file's content; its extension only helps to word a message.
//! - The orientation that cameras write (EXIF, and TIFF's own tag) is applied.
//! - Grey is repeated in the three channels, a palette is looked up.
//! - 16 bits become 8 as `round(v / 257)`.
//! - Alpha is composited over white: `round((c * a + 255 * (255 - a)) / 255)`, at 16 bits if the
//!   file has them; for TIFF's associated alpha, by which the colours are multiplied already,
//!   `c + 255 - a`. Alpha that is 0 everywhere is ignored where the colours differ, and in a BMP always:
//!   nobody stores a picture that cannot be seen.
//! - CMYK in a JPEG or TIFF is converted to RGB by the `image` crate. No colour profile is applied.
//! - Float pixels are refused, since nothing says which value is white.
//! - A truncated or damaged file is refused, never filled with grey.
//! - What a file may take is bounded by [`super::limits`].
//!
//! [`Notes`] tell a program what of this happened.
//!
//! The PyTorch port drops alpha, ignores the orientation, and clips most 16-bit pictures to white.

use std::cell::Cell;
use std::fs::File;
use std::io::{BufReader, Cursor, Read, Seek};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use rayon::prelude::*;

use super::format::Colours;
use super::{Attributes, Image, StoredType};
use super::format::{
    self, Alpha, FileSource, Format, FormatError, Header, START, unread_by_content,
    unread_by_extension,
};
use super::limits::{METADATA, check_length, check_size};
use super::notes::{DIM, Notes};
use crate::error::{Error, Result};
use crate::regular::open_regular;
use crate::tensor::Samples;

/// The header of an image file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ImageHeader {
    /// Pixels in a row, after the orientation is applied.
    pub width: usize,
    /// Rows, after the orientation is applied.
    pub height: usize,
    /// Samples of a pixel in the file, with alpha; 1 for a palette.
    pub channels: usize,
    /// The type of a sample in the file.
    pub stored: StoredType,
    /// What the channels mean, alpha aside.
    pub colours: Colours,
    /// Whether the last channel is opacity.
    pub alpha: bool,
    /// Images of this kind in the file: pages, frames or slices; at least 1.
    pub pages: usize,
    /// What reading the image will change or leave out.
    pub notes: Notes,
}

/// A file whose header is read.
struct Opened {
    source: BufReader<File>,
    length: u64,
    format: &'static dyn Format,
    header: Header,
}

impl ImageHeader {
    /// Reads the header and as little else as possible, so that thousands of files take little
    /// time. The pixels may still be damaged.
    ///
    /// # Errors
    /// A file that cannot be read, is no regular file or no image, an image of more than 134 megapixels
    /// or 65,535 pixels a side, or a file that is much longer than its pixels can be.
    pub fn read(path: &Path) -> Result<ImageHeader> {
        let Opened { header, .. } = open(path)?;
        Ok(ImageHeader::of(&header))
    }

    fn of(header: &Header) -> ImageHeader {
        let [width, height] = header.upright();
        let Header { channels, stored, colours, pages, .. } = *header;
        let alpha = header.alpha != Alpha::None;
        let notes = Notes { sixteen_bits: stored == StoredType::U16, ..header.notes };
        ImageHeader { width, height, channels, stored, colours, alpha, pages, notes }
    }

    /// Reads the headers of many files, in parallel.
    pub fn read_all(paths: &[PathBuf]) -> Vec<Result<ImageHeader>> {
        paths.par_iter().map(|path| ImageHeader::read(path)).collect()
    }
}

impl Image {
    /// Reads and decodes a file to 8-bit RGB.
    ///
    /// # Errors
    /// As [`Image::decode`]; a file that cannot be read or is no regular file.
    pub fn read(path: &Path) -> Result<Image> {
        Ok(Image::read_with_notes(path)?.0)
    }

    /// As [`Image::read`], with what was changed or left out.
    ///
    /// # Errors
    /// As [`Image::read`].
    pub fn read_with_notes(path: &Path) -> Result<(Image, Notes)> {
        let Opened { mut source, length, format, header } = open(path)?;
        let unreadable = |e| Error::file("read", path, e);
        source.rewind().map_err(unreadable)?;
        let mut bytes = Vec::with_capacity(length as usize);
        // A file that grows meanwhile is read as long as it was.
        source.take(length).read_to_end(&mut bytes).map_err(unreadable)?;
        pixels(&bytes, path, format, &header)
    }

    /// Decodes the bytes of an image file to 8-bit RGB; `path` only serves for messages.
    ///
    /// # Errors
    /// No image, one that is damaged or too large, or one that cannot be converted to 8-bit RGB.
    pub fn decode(bytes: &[u8], path: &Path) -> Result<(Image, Notes)> {
        let source = &mut Cursor::new(bytes);
        let (format, header) = header_of(source, path, bytes.len() as u64)?;
        pixels(bytes, path, format, &header)
    }
}

/// An image as its file holds it: nothing is converted but that it is turned upright.
#[derive(Clone, Debug, PartialEq)]
pub struct Picture {
    /// The samples, in the type that holds those of the file.
    pub image: Image,
    /// What the header says.
    pub header: ImageHeader,
    /// What else the file says.
    pub attributes: Attributes,
}

impl Picture {
    /// Reads page `page`, from 0, of a file.
    ///
    /// # Errors
    /// As [`Image::read`], but for what is only refused since it is no colour; a page that is not there.
    pub fn read(path: &Path, page: usize) -> Result<Picture> {
        let Opened { mut source, length, format, header } = open(path)?;
        if page >= header.pages {
            return Err(Error::input(format!(
                "{} has {} pages and no page {page}, counted from 0",
                path.display(),
                header.pages
            )));
        }
        let unreadable = |e| Error::file("read", path, e);
        source.rewind().map_err(unreadable)?;
        let attributes = guarded(path, || format.attributes(&mut source, &header))?;
        source.rewind().map_err(unreadable)?;
        let mut bytes = Vec::with_capacity(length as usize);
        source.take(length).read_to_end(&mut bytes).map_err(unreadable)?;
        let image = guarded(path, || format.decode(&bytes, &header, page))?;
        Ok(Picture { image, header: ImageHeader::of(&header), attributes })
    }

    /// What a file says beside its samples, without reading those.
    ///
    /// # Errors
    /// As [`Picture::read`].
    pub fn read_attributes(path: &Path) -> Result<Attributes> {
        let Opened { mut source, format, header, .. } = open(path)?;
        source.rewind().map_err(|e| Error::file("read", path, e))?;
        guarded(path, || format.attributes(&mut source, &header))
    }
}

fn open(path: &Path) -> Result<Opened> {
    let (file, length) = open_regular(path, "read")?;
    let mut source = BufReader::new(file);
    let (format, header) = header_of(&mut source, path, length)?;
    Ok(Opened { source, length, format, header })
}

/// The format and the header of a file, checked against the limits.
fn header_of(
    source: &mut dyn FileSource,
    path: &Path,
    length: u64,
) -> Result<(&'static dyn Format, Header)> {
    let unreadable = |e| Error::file("read", path, e);
    let mut start = Vec::new();
    source.take(START as u64).read_to_end(&mut start).map_err(unreadable)?;
    let format = format_of(path, &start)?;
    source.rewind().map_err(unreadable)?;
    let header = guarded(path, || format.header(source))?;
    check_size(path, header.width, header.height)?;
    check_length(path, length, header.width, header.height)?;
    Ok((format, header))
}

fn pixels(
    bytes: &[u8],
    path: &Path,
    format: &dyn Format,
    header: &Header,
) -> Result<(Image, Notes)> {
    let image = guarded(path, || format.decode(bytes, header, 0))?;
    rgb(image, header, path)
}

/// The format of a file, by its first bytes.
fn format_of(path: &Path, start: &[u8]) -> Result<&'static dyn Format> {
    let name = path.display();
    if start.is_empty() {
        return Err(Error::input(format!("{name} is empty: copy it again or remove it")));
    }
    if let Some(unread) = unread_by_content(start) {
        return Err(Error::input(format!(
            "{name} is {} {}, and only {} are read: {}",
            if unread.name.starts_with(['A', 'a', 'i', 'O', 'X']) { "an" } else { "a" },
            unread.name,
            format::names("and"),
            unread.cure(1)
        )));
    }
    if let Some(format) = format::by_content(start) {
        return Ok(format);
    }
    let named = format::by_extension(path).is_some() || unread_by_extension(path).is_some();
    Err(Error::input(if named {
        // The extension is that of an image, the content is not: text, or zeros.
        format!(
            "{name} is no picture, whatever its name says: its content is of no known kind; copy it \
             again or remove it"
        )
    } else {
        format!("{name} is not a picture that can be read: give {}", format::names("or"))
    }))
}

thread_local! {
    static GUARDED: Cell<bool> = const { Cell::new(false) };
}

/// Whether a panic of this thread is a decoder's, which becomes an error: a hook has nothing to say.
#[cfg(feature = "cli")]
pub(crate) fn is_guarded() -> bool {
    GUARDED.get()
}

/// Runs a decoder: its errors, and its panics on malformed input, become one sentence.
fn guarded<T>(path: &Path, decode: impl FnOnce() -> Result<T, FormatError>) -> Result<T> {
    let name = path.display();
    GUARDED.set(true);
    let decoded = catch_unwind(AssertUnwindSafe(decode));
    GUARDED.set(false);
    match decoded {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(FormatError::Unsupported(what))) => Err(Error::input(format!(
            "{name} is of a kind that cannot be read ({what}): save it as PNG with 8 or 16 bits \
             a channel"
        ))),
        Ok(Err(FormatError::TooLarge)) => Err(Error::input(format!(
            "{name} needs more memory to decode than its size calls for: save it again, as PNG, or \
             remove it"
        ))),
        Ok(Err(FormatError::Metadata)) => Err(Error::input(format!(
            "{name} has more than {} MB before its pixels: save it without its metadata, or remove it",
            METADATA / 1_000_000
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

/// Converts to 8-bit RGB: grey repeated, alpha composited over white, 16 bits rounded.
fn rgb(image: Image, header: &Header, path: &Path) -> Result<(Image, Notes)> {
    let Image { height, width, channels, samples } = image;
    let (mut notes, mut alpha) = (header.notes, header.alpha);
    notes.sixteen_bits = header.stored == StoredType::U16;
    let colours = channels - usize::from(alpha != Alpha::None);
    let shown = match colours {
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
    let unseen = match &samples {
        Samples::U8(v) => unseen(v, channels, alpha),
        Samples::U16(v) => unseen(v, channels, alpha),
        Samples::F32(_) => {
            return Err(Error::input(format!(
                "{} has float pixels, of which nothing says what is white: save it with 8 or 16 bits \
                 a channel",
                path.display()
            )));
        }
    };
    if unseen {
        notes.transparent = true;
        alpha = Alpha::None;
    }
    let bytes: Vec<u8> = match samples {
        Samples::U8(v) if channels == 3 => v,
        Samples::U8(v) => {
            let over = |p: &[u8], c: usize| over8(p[c], p[channels - 1], alpha);
            v.chunks_exact(channels).flat_map(|p| shown.map(|c| over(p, c))).collect()
        }
        Samples::U16(v) => {
            let highest = v.chunks_exact(channels).flat_map(|p| &p[..colours]).max().copied();
            notes.dim = highest.filter(|&h| 0 < h && h < DIM);
            let over = |p: &[u16], c: usize| narrow(over16(p[c], p[channels - 1], alpha));
            v.chunks_exact(channels).flat_map(|p| shown.map(|c| over(p, c))).collect()
        }
        Samples::F32(_) => unreachable!("refused above"),
    };
    Ok((Image::new(width, height, 3, bytes)?, notes))
}

/// 16 bits rounded to 8.
fn narrow(v: u16) -> u8 {
    ((u32::from(v) + 128) / 257) as u8
}

/// A sample over white; `a` counts only if there is alpha.
fn over8(c: u8, a: u8, alpha: Alpha) -> u8 {
    match alpha {
        Alpha::None => c,
        Alpha::Associated => c.saturating_add(255 - a),
        Alpha::Straight | Alpha::Unsure => {
            ((u32::from(c) * u32::from(a) + 255 * (255 - u32::from(a)) + 127) / 255) as u8
        }
    }
}

/// As [`over8`], with 16 bits.
fn over16(c: u16, a: u16, alpha: Alpha) -> u16 {
    match alpha {
        Alpha::None => c,
        Alpha::Associated => c.saturating_add(65_535 - a),
        Alpha::Straight | Alpha::Unsure => {
            let (c, a) = (u64::from(c), u64::from(a));
            ((c * a + 65_535 * (65_535 - a) + 32_767) / 65_535) as u16
        }
    }
}

/// Whether alpha is 0 everywhere and hides a picture: always in a BMP, whose fourth byte may be padding,
/// else where the colours differ.
fn unseen<T: Copy + PartialEq + Default>(v: &[T], channels: usize, alpha: Alpha) -> bool {
    let last = channels - 1;
    let clear = || v.chunks_exact(channels).all(|p| p[last] == T::default());
    let differ = || v.chunks_exact(channels).any(|p| p[..last] != v[..last]);
    alpha != Alpha::None && clear() && (alpha == Alpha::Unsure || differ())
}
