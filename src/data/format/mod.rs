//! Formats of image files: one file for each, and the list of them.
//!
//! A format turns bytes into the image that they hold, with its channels and samples, and back; the
//! conversion to RGB is left to `decode`. To add one, write a file with a [`Format`], a [`image_crate`]
//! one where the `image` crate has it, and put it into [`FORMATS`]: reading, writing, folders and
//! messages follow the list. [`unread`] knows formats that are not read, by name.

mod bmp;
mod gif;
mod image_crate;
mod jpeg;
mod jpeg_bits;
mod jpeg_scan;
mod metadata;
mod metaimage;
mod nifti;
mod npy;
mod png;
mod pnm;
mod tiff;
mod unread;
mod webp;

pub use png::PNG;
pub(in crate::data) use png::rgb_png;
pub use unread::{Unread, unread_by_content, unread_by_extension};

use std::fmt::Debug;
use std::io::{self, BufRead, Seek};
use std::path::{Path, PathBuf};

use image::metadata::Orientation;

use super::notes::Notes;
use super::{Attributes, Image, StoredType, WindowSource};
use crate::atomic::Sink;

/// All formats, in the order in which messages name them.
pub static FORMATS: [&dyn Format; 12] = [
    &jpeg::Jpeg,
    &PNG,
    &bmp::Bmp,
    &gif::Gif,
    &tiff::Tiff,
    &webp::WebP,
    &pnm::Pnm,
    &npy::Npy,
    &npy::Npz,
    &nifti::Nifti { gzipped: false },
    &nifti::Nifti { gzipped: true },
    &metaimage::MetaImage,
];

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

    /// The name of the file in the same folder that holds the samples, if it is another one.
    fn data_file(&self, _source: &mut dyn FileSource) -> Result<Option<String>, FormatError> {
        Ok(None)
    }

    /// The bytes for [`Format::decode`] from those of a file and of its [data file](Format::data_file).
    fn joined(&self, mut head: Vec<u8>, data: Vec<u8>) -> Vec<u8> {
        head.extend(data);
        head
    }

    /// What a file with this header says beside its samples, with [`Header::stored`] at least.
    fn attributes(
        &self,
        _source: &mut dyn FileSource,
        header: &Header,
    ) -> Result<Attributes, FormatError> {
        Ok(Attributes::new(header.stored))
    }

    /// The image of page `page`, from 0, in a whole file with this header: samples as they are stored,
    /// indices where there is a palette, alpha as the last channel, turned as the orientation says.
    fn decode(&self, bytes: &[u8], header: &Header, page: usize) -> Result<Decoded, FormatError>;

    /// The first page of a file with this header, to be read by windows; `None` if the format cannot.
    fn windows(
        &self,
        _source: Box<dyn FileSource + Send>,
        _header: &Header,
    ) -> Result<Option<Box<dyn WindowSource>>, FormatError> {
        Ok(None)
    }

    /// Whether [`Format::encode_rows`] writes files.
    fn writes_rows(&self) -> bool {
        false
    }

    /// Begins a file of one page that is written row by row, as [`Format::encode`] writes one from memory.
    fn encode_rows<'a>(
        &self,
        _size: [usize; 2],
        _channels: usize,
        _attributes: &'a Attributes,
        _sink: &'a mut Sink,
    ) -> Result<Box<dyn RowWriter + 'a>, FormatError> {
        Err(FormatError::Unsupported("pictures that come row by row".to_string()))
    }

    /// Whether a file can hold pixels of so many channels of this type exactly.
    fn holds(&self, channels: usize, stored: StoredType) -> bool;

    /// Writes a file that holds these pages, of one size and one format, with as many of their
    /// attributes as it has a place for: exactly unless the format is lossy, then with a quality of 1 to
    /// 100. Returns what of the attributes it has no place for, such as "the colour profile".
    ///
    /// Samples are converted to [`Attributes::stored`], as [`stored::bytes_of`](super::stored::bytes_of)
    /// says.
    fn encode(
        &self,
        pages: &[Image],
        attributes: &Attributes,
        sink: &mut Sink,
        quality: u8,
    ) -> Result<Vec<&'static str>, FormatError>;
}

/// A file that is written row by row.
pub trait RowWriter {
    /// Writes the next rows.
    fn rows(&mut self, rows: &Image) -> Result<(), FormatError>;

    /// Ends the file; returns what of the attributes it could not hold.
    fn finish(self: Box<Self>) -> Result<Vec<&'static str>, FormatError>;
}

/// An image out of a file.
pub struct Decoded {
    /// Its samples.
    pub image: Image,
    /// Samples that had to be rounded to be held in memory.
    pub rounded: usize,
}

impl From<Image> for Decoded {
    fn from(image: Image) -> Decoded {
        Decoded { image, rounded: 0 }
    }
}

/// What a file says of its image before its pixels.
#[derive(Clone, Copy, Debug)]
pub struct Header {
    /// Pixels in a row, as stored.
    pub width: usize,
    /// Rows, as stored.
    pub height: usize,
    /// Samples of a pixel, with alpha; 1 for a palette.
    pub channels: usize,
    /// The type of a sample.
    pub stored: StoredType,
    /// What the channels mean.
    pub colours: Colours,
    /// How the image is to be turned to be upright.
    pub orientation: Orientation,
    /// What its last channel means.
    pub alpha: Alpha,
    /// Images in the file that are of this size and format: the pages of a TIFF, the frames of an
    /// animation, the slices of a volume; at least 1.
    pub pages: usize,
    /// Whether these are the slices of a volume or the items of an array, each a picture of its own, and not
    /// pages of which the first is meant.
    pub slices: bool,
    /// What reading it will change or leave out.
    pub notes: Notes,
}

/// What the channels of a file mean, alpha aside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Colours {
    /// One channel of light.
    Grey,
    /// Red, green and blue.
    Rgb,
    /// An index into a palette.
    Palette,
    /// Anything: bands, measurements.
    Other,
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
    /// An upright image of 8 bits: grey with one colour, RGB with three.
    pub fn new(width: usize, height: usize, channels: usize, alpha: Alpha) -> Header {
        let colours = match channels - usize::from(alpha != Alpha::None) {
            1 => Colours::Grey,
            3 => Colours::Rgb,
            _ => Colours::Other,
        };
        Header {
            width,
            height,
            channels,
            stored: StoredType::U8,
            colours,
            orientation: Orientation::NoTransforms,
            alpha,
            pages: 1,
            slices: false,
            notes: Notes { alpha: alpha != Alpha::None, ..Notes::default() },
        }
    }

    /// Channels that are no alpha.
    pub fn colour_channels(&self) -> usize {
        self.channels - usize::from(self.alpha != Alpha::None)
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

/// Whether all colours of a palette are greys, and there are some: what has it is grey.
fn is_grey(palette: &[[u8; 3]]) -> bool {
    !palette.is_empty() && palette.iter().all(|[r, g, b]| r == g && g == b)
}

/// The only page of a format that holds one.
fn only<'a>(pages: &'a [Image], name: &str) -> Result<&'a Image, FormatError> {
    match pages {
        [page] => Ok(page),
        all => Err(FormatError::Unsupported(format!("{} pages in a {name}", all.len()))),
    }
}

/// What of these attributes a format loses that holds nothing but pixels.
fn unkept(attributes: &Attributes) -> Vec<&'static str> {
    let Attributes { channels, unit, nodata, palette, profile, place, .. } = attributes;
    let lost = [
        (!channels.is_empty(), "the names of the channels"),
        (unit.is_some(), "the unit"),
        (nodata.is_some(), "the value that stands for no data"),
        (palette.is_some(), "the palette"),
        (profile.is_some(), "the colour profile"),
        (!place.tags.is_empty(), "the tags of its TIFF, such as its place on the map"),
        (place.volume.is_some(), "the header of its volume"),
    ];
    lost.into_iter().filter_map(|(has, what)| has.then_some(what)).collect()
}

/// The format that the extension of a path names, in either case.
pub fn by_extension(path: &Path) -> Option<&'static dyn Format> {
    let name = path.file_name()?.to_str()?.to_ascii_lowercase();
    let ends = |extension: &&str| {
        name.strip_suffix(*extension).is_some_and(|stem| stem.len() > 1 && stem.ends_with('.'))
    };
    FORMATS.into_iter().find(|format| format.extensions().iter().any(ends))
}

/// The name of a file without the extension that names its format, or without any.
pub fn stem(path: &Path) -> PathBuf {
    let plain = path.with_extension("");
    match by_extension(path) {
        // Extensions of two parts.
        Some(format) if format.extensions().iter().any(|e| e.contains('.')) => {
            plain.with_extension("")
        }
        _ => plain,
    }
}

/// The format of a file that begins with these bytes.
pub fn by_content(start: &[u8]) -> Option<&'static dyn Format> {
    FORMATS.into_iter().find(|format| format.recognises(start))
}

/// Whether an image can be written to a path, by its extension.
pub fn is_writable(path: &Path) -> bool {
    by_extension(path).is_some()
}

/// Whether the format that a path names holds pixels of so many channels of this type exactly.
pub fn holds(path: &Path, channels: usize, stored: StoredType) -> bool {
    by_extension(path).is_some_and(|format| format.holds(channels, stored))
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
