//! Formats of image files: one file for each, and the list of them.
//!
//! A format turns bytes into the image that they hold, with its channels and samples, and back; the
//! conversion to RGB is left to `decode`. To add one, write a file with a [`Format`], a [`image_crate`]
//! one where the `image` crate has it, and put it into [`FORMATS`]: reading, writing, folders and
//! messages follow the list.

mod bmp;
mod image_crate;
mod jpeg;
mod png;
mod tiff;
mod webp;

pub use png::PNG;

use std::fmt::Debug;
use std::io::{BufRead, Seek};
use std::path::Path;

use super::{Image, ImageHeader};
use crate::atomic::Sink;

/// All formats, in the order in which messages name them.
pub static FORMATS: [&dyn Format; 5] = [&jpeg::Jpeg, &PNG, &bmp::BMP, &tiff::TIFF, &webp::WEBP];

/// Bytes of a file's start that [`Format::recognises`] looks at.
pub const START: usize = 16;

/// A source of a file's bytes.
pub trait FileSource: BufRead + Seek {}

impl<T: BufRead + Seek> FileSource for T {}

/// A format of image files.
pub trait Format: Debug + Sync {
    /// Its name in messages.
    fn name(&self) -> &'static str;

    /// The extensions of its files in lower case, the usual one first.
    fn extensions(&self) -> &'static [&'static str];

    /// Whether a file that begins with these bytes, [`START`] or fewer, has this format.
    fn recognises(&self, start: &[u8]) -> bool;

    /// The header of a file, from as few of its bytes as possible.
    fn header(&self, source: &mut dyn FileSource) -> Result<ImageHeader, FormatError>;

    /// The image in a whole file, with the file's orientation applied.
    fn decode(&self, bytes: &[u8]) -> Result<Decoded, FormatError>;

    /// Writes a file that holds this image, exactly unless the format is lossy.
    fn encode(&self, image: &Image, sink: &mut Sink) -> Result<(), FormatError>;
}

/// A decoded file.
pub struct Decoded {
    /// The pixels.
    pub image: Image,
    /// The last channel is alpha.
    pub alpha: bool,
    /// It was rotated or mirrored, as the orientation in the file says.
    pub turned: bool,
}

/// Why a file cannot be read or written.
pub enum FormatError {
    /// A variant of the format that is not supported; the text says which.
    Unsupported(String),
    /// It needs more memory than one image may take.
    TooLarge,
    /// It ends before its last pixel.
    CutShort,
    /// Anything else: the message of the decoder or the operating system.
    Failed(String),
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
