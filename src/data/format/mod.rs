//! Formats of image files: one file for each, and the list of them.
//!
//! A format turns bytes into the image that they hold, with its channels and samples, and back; the
//! conversion to RGB is left to `decode`. To add one, write a file with a [`Format`], a [`image_crate`]
//! one where the `image` crate has it, and put it into [`FORMATS`]: reading, writing, folders and
//! messages follow the list. [`unread`] knows formats that are not read, by name.

mod bmp;
mod image_crate;
mod jpeg;
mod jpeg_bits;
mod jpeg_scan;
mod metadata;
mod png;
mod tiff;
mod unread;
mod webp;

pub use png::PNG;
pub use unread::{Unread, unread_by_content, unread_by_extension};

use std::fmt::Debug;
use std::io::{self, BufRead, Seek};
use std::path::Path;

use image::metadata::Orientation;

use super::Image;
use super::notes::Notes;
use crate::atomic::Sink;

/// All formats, in the order in which messages name them.
pub static FORMATS: [&dyn Format; 5] = [&jpeg::Jpeg, &PNG, &bmp::Bmp, &tiff::Tiff, &webp::WebP];

/// Bytes of a file's start that [`Format::recognises`] and [`unread_by_content`] look at: DICOM files
/// have their mark behind 128 bytes.
pub const START: usize = 132;

/// A source of a file's bytes.
pub trait FileSource: BufRead + Seek {}

impl<T: BufRead + Seek> FileSource for T {}

/// Goes on to a later position. What is buffered stays so, without which a file of a million small
/// segments takes seconds.
fn skip_to(source: &mut dyn FileSource, position: u64) -> io::Result<()> {
    let now = source.stream_position()?;
    source.seek_relative(position.wrapping_sub(now) as i64)
}

/// A format of image files.
pub trait Format: Debug + Sync {
    /// Its name in messages.
    fn name(&self) -> &'static str;

    /// The extensions of its files in lower case, the usual one first.
    fn extensions(&self) -> &'static [&'static str];

    /// Whether a file that begins with these bytes, [`START`] or fewer, has this format.
    fn recognises(&self, start: &[u8]) -> bool;

    /// The header of a file, from as few of its bytes as possible.
    fn header(&self, source: &mut dyn FileSource) -> Result<Header, FormatError>;

    /// The image in a whole file with this header, turned as its orientation says.
    fn decode(&self, bytes: &[u8], header: &Header) -> Result<Image, FormatError>;

    /// Writes a file that holds this image, exactly unless the format is lossy: then with a quality of
    /// 1 to 100.
    fn encode(&self, image: &Image, sink: &mut Sink, quality: u8) -> Result<(), FormatError>;
}

/// What a file says of its image before its pixels.
#[derive(Clone, Copy, Debug)]
pub struct Header {
    /// Pixels in a row, as stored.
    pub width: usize,
    /// Rows, as stored.
    pub height: usize,
    /// How the image is to be turned to be upright.
    pub orientation: Orientation,
    /// What its last channel means.
    pub alpha: Alpha,
    /// What reading it will change or leave out.
    pub notes: Notes,
}

/// What the last channel of an image is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Alpha {
    /// A colour.
    None,
    /// Opacity; the colours are as if the image were opaque.
    Straight,
    /// Opacity, by which the colours are multiplied already (TIFF's associated alpha).
    Associated,
    /// Opacity, or padding of 0: a BMP of 32 bits does not tell which.
    Unsure,
}

impl Header {
    /// An upright image with nothing special.
    pub fn new(width: usize, height: usize, alpha: Alpha) -> Header {
        let notes = Notes { alpha: alpha != Alpha::None, ..Notes::default() };
        Header { width, height, orientation: Orientation::NoTransforms, alpha, notes }
    }

    /// Notes an orientation.
    pub fn turn(&mut self, orientation: Orientation) {
        self.orientation = orientation;
        self.notes.turned = orientation != Orientation::NoTransforms;
    }

    /// Width and height once the image is upright.
    pub fn upright(&self) -> [usize; 2] {
        match self.orientation {
            Orientation::Rotate90
            | Orientation::Rotate270
            | Orientation::Rotate90FlipH
            | Orientation::Rotate270FlipH => [self.height, self.width],
            _ => [self.width, self.height],
        }
    }
}

/// Why a file cannot be read or written.
pub enum FormatError {
    /// A variant of the format that is not supported; the text says which.
    Unsupported(String),
    /// Its samples are floats.
    Floats,
    /// It needs more memory than one image may take.
    TooLarge,
    /// Its metadata take more bytes than they may.
    Metadata,
    /// It ends before its last pixel.
    CutShort,
    /// Anything else: the message of the decoder or the operating system.
    Failed(String),
}

impl FormatError {
    /// [`FormatError::Failed`].
    pub fn failed(cause: impl Into<String>) -> Self {
        FormatError::Failed(cause.into())
    }
}

/// The format that the extension of a path names, in either case.
pub fn by_extension(path: &Path) -> Option<&'static dyn Format> {
    let extension = path.extension()?.to_str()?.to_ascii_lowercase();
    FORMATS.into_iter().find(|format| format.extensions().contains(&extension.as_str()))
}

/// The format of a file that begins with these bytes.
pub fn by_content(start: &[u8]) -> Option<&'static dyn Format> {
    FORMATS.into_iter().find(|format| format.recognises(start))
}

/// Whether an image can be written to a path, by its extension.
pub fn is_writable(path: &Path) -> bool {
    by_extension(path).is_some()
}

/// Whether a path names a file of a format that loses detail, and so has a quality.
pub fn is_lossy(path: &Path) -> bool {
    by_extension(path).is_some_and(|format| format.name() == jpeg::NAME)
}

/// "JPEG, PNG or TIFF", with `last` for "or".
pub fn names(last: &str) -> String {
    listed(FORMATS.map(|format| format.name().to_string()), last)
}

/// The extensions of files that can be written: ".jpg, .png or .tiff".
pub fn writable_extensions() -> String {
    listed(FORMATS.map(|format| format!(".{}", format.extensions()[0])), "or")
}

fn listed<const N: usize>(words: [String; N], last: &str) -> String {
    let (end, others) = words.split_last().expect("there are formats");
    format!("{} {last} {end}", others.join(", "))
}
