//! Decoding of files of any [`super::format`] to 8-bit RGB.
//!
//! - The format is recognised by the file's content; its extension only helps to word a message.
//! - The orientation that cameras write (EXIF, and TIFF's own tag) is applied.
//! - Colours become 8-bit RGB as [`colours`](mod@super::colours) says; CMYK in a JPEG or TIFF is converted to RGB
//!   by the `image` crate. No colour profile is applied.
//! - Float pixels are refused as colours, since nothing says which value is white.
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

use super::colours::{Look, colours};
use super::format::Colours;
use super::format::{
    self, Alpha, Decoded, FileSource, Format, FormatError, Header, START, unread_by_content,
    unread_by_extension,
};
use super::limits::{
    MAX_BYTES, METADATA, check_bytes, check_length, check_size, check_windowed_size, is_large,
};
use super::notes::Notes;
use super::{Attributes, Image, StoredType, WindowSource};
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
    /// What kind of opacity.
    pub(super) opacity: Alpha,
    /// Images of this kind in the file: pages, frames or slices; at least 1.
    pub pages: usize,
    /// Whether these are slices of a volume, each a picture of its own.
    pub slices: bool,
    /// What reading the image will change or leave out.
    pub notes: Notes,
}

/// A file whose header is read.
struct Opened {
    source: BufReader<File>,
    length: u64,
    format: &'static dyn Format,
    header: Header,
    /// The file of the samples with its length and path, where it is another one.
    data: Option<(File, u64, PathBuf)>,
}

impl Opened {
    /// What the file says beside its samples.
    fn attributes(&mut self, path: &Path) -> Result<Attributes> {
        self.source.rewind().map_err(|e| Error::file("read", path, e))?;
        guarded(path, || self.format.attributes(&mut self.source, &self.header))
    }

    /// All its bytes, with those of its data file where it has one. A file that grows meanwhile is read as long
    /// as it was.
    fn bytes(self, path: &Path) -> Result<Vec<u8>> {
        let Opened { mut source, length, format, data, .. } = self;
        let whole = |source: &mut dyn Read, length: u64, path: &Path| -> Result<Vec<u8>> {
            let mut bytes = Vec::with_capacity(length as usize);
            let read = source.take(length).read_to_end(&mut bytes);
            read.map(|_| bytes).map_err(|e| Error::file("read", path, e))
        };
        source.rewind().map_err(|e| Error::file("read", path, e))?;
        let bytes = whole(&mut source, length, path)?;
        match data {
            None => Ok(bytes),
            Some((mut file, length, path)) => {
                Ok(format.joined(bytes, whole(&mut file, length, &path)?))
            }
        }
    }
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

    /// As [`ImageHeader::read`], but without a limit to the size where the file can be read by windows
    /// ([`Domain::windows`](super::Domain::windows)).
    ///
    /// # Errors
    /// As [`ImageHeader::read`], but for the size.
    pub fn read_large(path: &Path) -> Result<ImageHeader> {
        let Opened { source, length, format, header, .. } = opened(path)?;
        if !is_large(header.width, header.height) {
            check_whole(path, length, &header)?;
        } else if guarded(path, || format.windows(Box::new(source), &header))?.is_some() {
            check_windowed_size(path, header.width, header.height)?;
        } else {
            check_size(path, header.width, header.height)?;
        }
        Ok(ImageHeader::of(&header))
    }

    pub(super) fn of(header: &Header) -> ImageHeader {
        let [width, height] = header.upright();
        let Header { channels, stored, colours, pages, slices, .. } = *header;
        let (alpha, opacity, notes) = (header.alpha != Alpha::None, header.alpha, header.notes);
        ImageHeader {
            width,
            height,
            channels,
            stored,
            colours,
            alpha,
            opacity,
            pages,
            slices,
            notes,
        }
    }

    /// Pages or frames behind the first that are of another size or kind than it, or that are not read at all.
    pub fn other_pages(&self) -> usize {
        (self.notes.more_frames + 1).saturating_sub(self.pages)
    }

    /// Refuses a file whose pages cannot be channels of one picture.
    pub(super) fn check_alike(&self, path: &Path) -> Result<()> {
        match self.other_pages() {
            0 => Ok(()),
            n => Err(Error::input(format!(
                "{} has {n} of {} pages that differ from the first in size or type, so they are no channels \
                 of one picture: save them alike, or leave it out",
                path.display(),
                self.pages + n
            ))),
        }
    }

    /// "3 channels of u16", "a palette".
    pub fn describe(&self) -> String {
        let s = if self.channels == 1 { "" } else { "s" };
        match self.colours {
            Colours::Palette => "a palette".to_string(),
            _ => format!("{} channel{s} of {}", self.channels, self.stored),
        }
    }

    /// [`ImageHeader::read_large`] of many files, in parallel.
    pub fn read_all_large(paths: &[PathBuf]) -> Vec<Result<ImageHeader>> {
        paths.par_iter().map(|path| ImageHeader::read_large(path)).collect()
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
        let opened = open(path)?;
        let (format, header) = (opened.format, opened.header);
        pixels(&opened.bytes(path)?, path, format, &header)
    }

    /// Decodes the bytes of an image file to 8-bit RGB; `path` only serves for messages.
    ///
    /// # Errors
    /// No image, one that is damaged or too large, or one that cannot be converted to 8-bit RGB.
    pub fn decode(bytes: &[u8], path: &Path) -> Result<(Image, Notes)> {
        let source = &mut Cursor::new(bytes);
        let (format, header) = header_of(source, path)?;
        check_whole(path, bytes.len() as u64, &header)?;
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
        let mut opened = open(path)?;
        let (format, header) = (opened.format, opened.header);
        if page >= header.pages {
            return Err(Error::input(format!(
                "{} has {} pages and no page {page}, counted from 0",
                path.display(),
                header.pages
            )));
        }
        let attributes = opened.attributes(path)?;
        let bytes = opened.bytes(path)?;
        let Decoded { image, rounded } = guarded(path, || format.decode(&bytes, &header, page))?;
        let mut header = ImageHeader::of(&header);
        header.notes.rounded = rounded;
        Ok(Picture { image, header, attributes })
    }

    /// Reads all pages of a file as the channels of one picture, those of the first page first.
    ///
    /// # Errors
    /// As [`Picture::read`]; pages that differ in size or type.
    pub fn read_stacked(path: &Path) -> Result<Picture> {
        let stack = PictureStack::read(path)?;
        stack.header.check_alike(path)?;
        let count = stack.pages.len();
        let (mut header, mut pictures) = (stack.header, stack.into_pictures());
        let first = pictures.next().expect("a file has a page");
        if count == 1 {
            return Ok(first);
        }
        let Picture { image: Image { height, width, channels, .. }, attributes, .. } = first;
        let kind = first.image.samples.sample_type();
        let mut samples = Samples::zeros(kind, first.image.samples.len() * count);
        let images = [first.image].into_iter().chain(pictures.map(|picture| picture.image));
        for (page, image) in images.enumerate() {
            for i in 0..width * height {
                let pixel = image.samples.as_slice().part(i * channels..(i + 1) * channels);
                samples.copy_at((i * count + page) * channels, pixel);
            }
        }
        let channels = channels * count;
        header.channels = channels;
        (header.colours, header.alpha, header.opacity) = (Colours::Other, false, Alpha::None);
        (header.pages, header.slices) = (1, false);
        header.notes = Notes { alpha: false, more_frames: 0, ..header.notes };
        Ok(Picture { image: Image { height, width, channels, samples }, header, attributes })
    }

    /// What a file says beside its samples, without reading those: of a picture of any size.
    ///
    /// # Errors
    /// As [`Picture::read`].
    pub fn read_attributes(path: &Path) -> Result<Attributes> {
        opened(path)?.attributes(path)
    }
}

/// All pages of a file that are of one size and kind, as the file holds them.
#[derive(Clone, Debug)]
pub struct PictureStack {
    /// The pages; at least one.
    pub pages: Vec<Image>,
    /// What the header says.
    pub header: ImageHeader,
    /// What else the file says.
    pub attributes: Attributes,
}

impl PictureStack {
    /// Reads all pages: the slices of a volume, the pages of a TIFF, one of most other files.
    ///
    /// # Errors
    /// As [`Picture::read`].
    pub fn read(path: &Path) -> Result<PictureStack> {
        let mut opened = open(path)?;
        let (format, header) = (opened.format, opened.header);
        let attributes = opened.attributes(path)?;
        let bytes = opened.bytes(path)?;
        let page = |page| guarded(path, || format.decode(&bytes, &header, page));
        let pages: Vec<Decoded> = (0..header.pages).map(page).collect::<Result<_>>()?;
        let mut header = ImageHeader::of(&header);
        header.notes.rounded = pages.iter().map(|page| page.rounded).sum();
        let pages = pages.into_iter().map(|page| page.image).collect();
        Ok(PictureStack { pages, header, attributes })
    }

    /// Its pages as pictures.
    pub fn into_pictures(self) -> impl Iterator<Item = Picture> {
        let PictureStack { pages, header, attributes } = self;
        pages.into_iter().map(move |image| Picture {
            image,
            header,
            attributes: attributes.clone(),
        })
    }
}

/// A file that is read by windows, as it holds its samples.
pub struct PictureWindows {
    /// Reads parts of the first page.
    pub windows: Box<dyn WindowSource>,
    /// What the header says.
    pub header: ImageHeader,
    /// What else the file says.
    pub attributes: Attributes,
}

impl PictureWindows {
    /// Opens a file; `None` if its format is only read whole.
    ///
    /// # Errors
    /// As [`Picture::read`], but for the size.
    pub fn open(path: &Path) -> Result<Option<PictureWindows>> {
        let opened = large(path)?;
        Ok(opened.map(|Large { windows, header, attributes }| PictureWindows {
            windows,
            header: ImageHeader::of(&header),
            attributes,
        }))
    }
}

/// A file whose first page is read by windows.
pub(super) struct Large {
    pub windows: Box<dyn WindowSource>,
    pub header: Header,
    pub attributes: Attributes,
}

/// Opens the first page of a file to be read by windows; `None` if its format is only read whole.
///
/// # Errors
/// As [`Picture::read`], but for the size.
pub(super) fn large(path: &Path) -> Result<Option<Large>> {
    let mut opened = opened(path)?;
    check_windowed_size(path, opened.header.width, opened.header.height)?;
    let attributes = opened.attributes(path)?;
    let Opened { mut source, format, header, .. } = opened;
    source.rewind().map_err(|e| Error::file("read", path, e))?;
    let windows = guarded(path, || format.windows(Box::new(source), &header))?;
    Ok(windows.map(|windows| Large { windows, header, attributes }))
}

/// Opens a file that is to be read whole, within the limits of such.
fn open(path: &Path) -> Result<Opened> {
    let opened = opened(path)?;
    check_whole(path, opened.length, &opened.header)?;
    Ok(opened)
}

/// Opens a file of a picture of any size.
fn opened(path: &Path) -> Result<Opened> {
    let (file, length) = open_regular(path, "read")?;
    let mut source = BufReader::new(file);
    let (format, header) = header_of(&mut source, path)?;
    let data = match guarded(path, || format.data_file(&mut source))? {
        None => None,
        Some(name) => {
            let beside = path.with_file_name(name);
            let (file, length) = open_regular(&beside, "read")?;
            // Packed voxels may be larger than plain ones by little.
            if length > MAX_BYTES + MAX_BYTES / 100 {
                return Err(Error::input(format!(
                    "{} has {length} bytes, more than a picture may: cut it",
                    beside.display()
                )));
            }
            Some((file, length, beside))
        }
    };
    Ok(Opened { source, length, format, header, data })
}

/// The format and the header of a file.
fn header_of(source: &mut dyn FileSource, path: &Path) -> Result<(&'static dyn Format, Header)> {
    let unreadable = |e| Error::file("read", path, e);
    let mut start = Vec::new();
    source.take(START as u64).read_to_end(&mut start).map_err(unreadable)?;
    let format = format_of(path, &start)?;
    source.rewind().map_err(unreadable)?;
    let header = guarded(path, || format.header(source))?;
    Ok((format, header))
}

/// Checks a header against the limits of what is read whole.
fn check_whole(path: &Path, length: u64, header: &Header) -> Result<()> {
    check_size(path, header.width, header.height)?;
    check_length(path, length, header)?;
    check_bytes(path, header)
}

fn pixels(
    bytes: &[u8],
    path: &Path,
    format: &dyn Format,
    header: &Header,
) -> Result<(Image, Notes)> {
    let Decoded { image, rounded } = guarded(path, || format.decode(bytes, header, 0))?;
    let mut header_of_image = ImageHeader::of(header);
    header_of_image.notes.rounded = rounded;
    let attributes = guarded(path, || format.attributes(&mut Cursor::new(bytes), header))?;
    colours(Picture { image, header: header_of_image, attributes }, Look::RGB, path)
}

/// The format of a file, by its first bytes.
fn format_of(path: &Path, start: &[u8]) -> Result<&'static dyn Format> {
    let name = path.display();
    if start.is_empty() {
        return Err(Error::input(format!("{name} is empty: copy it again or remove it")));
    }
    // What name and content agree on: an NPZ is also a zip archive, a .nii.gz also a gzipped file.
    let (named, found) = (format::by_extension(path), format::by_content(start));
    if let Some(format) = found.filter(|f| named.is_some_and(|n| n.name() == f.name())) {
        return Ok(format);
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
