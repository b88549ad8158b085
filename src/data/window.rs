//! Images too large for memory: read by windows, written by rows.

use std::path::{Path, PathBuf};

use super::colours::Hidden;
use super::decode::{Large, large};
use super::format::{self, RowWriter};
use super::image::unwritten;
use super::{Attributes, Domain, Image, ImageHeader, Notes, Picture, PixelFormat};
use crate::atomic;
use crate::error::{Error, Result};

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

    /// Samples that had to be rounded to be held in memory, of all that was read so far; some may be counted twice.
    fn rounded(&self) -> usize {
        0
    }
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

impl Domain {
    /// Opens the first page of a file to be read by windows, as images of this domain; `None` if its format is
    /// only read whole, and where pages are channels.
    ///
    /// # Errors
    /// As [`Domain::read`], but for the size.
    pub fn windows(&self, path: &Path) -> Result<Option<DomainWindows>> {
        if self.stacked {
            return Ok(None);
        }
        let Some(Large { windows, header, attributes }) = large(path)? else { return Ok(None) };
        let (domain, path) = (self.clone(), path.to_path_buf());
        let header = ImageHeader::of(&header);
        let notes = header.notes;
        let mut opened =
            DomainWindows { domain, path, windows, header, attributes, unseen: false, notes };
        if header.alpha && self.composites() {
            opened.unseen = opened.is_unseen()?;
        }
        Ok(Some(opened))
    }
}

/// The windows of a file, as images of a domain.
pub struct DomainWindows {
    domain: Domain,
    path: PathBuf,
    windows: Box<dyn WindowSource>,
    header: ImageHeader,
    attributes: Attributes,
    /// Whether alpha is 0 in the whole picture, and ignored.
    unseen: bool,
    notes: Notes,
}

impl DomainWindows {
    /// Rows of a window in which a picture is looked through.
    const LINES: usize = 64;

    /// What reading changed so far, but for [`Notes::dim`], which only a whole picture is.
    pub fn notes(&self) -> &Notes {
        &self.notes
    }

    /// Whether the last channel of the file is opacity.
    pub(super) fn has_alpha(&self) -> bool {
        self.header.alpha
    }

    /// Whether alpha is 0 everywhere: as a rule the first rows tell that it is not.
    fn is_unseen(&mut self) -> Result<bool> {
        let [width, height] = self.size();
        let mut hidden = Hidden::default();
        for y in (0..height).step_by(DomainWindows::LINES) {
            if !hidden.add(&self.stored(0, y, width, DomainWindows::LINES.min(height - y))?) {
                break;
            }
        }
        Ok(hidden.is_unseen(self.header.opacity))
    }

    fn stored(&mut self, x: usize, y: usize, width: usize, height: usize) -> Result<Image> {
        let image = self.windows.read(x, y, width, height);
        image.map_err(|e| Error::input(format!("{}: {e}", self.path.display())))
    }
}

impl WindowSource for DomainWindows {
    fn size(&self) -> [usize; 2] {
        self.windows.size()
    }

    fn format(&self) -> PixelFormat {
        self.domain.format()
    }

    fn read(&mut self, x: usize, y: usize, width: usize, height: usize) -> Result<Image> {
        let image = self.stored(x, y, width, height)?;
        let header = ImageHeader { width, height, ..self.header };
        let picture = Picture { image, header, attributes: self.attributes.clone() };
        let (image, notes) = self.domain.part_converted(picture, self.unseen, &self.path)?;
        self.notes = Notes {
            rounded: self.windows.rounded(),
            soft: self.notes.soft.max(notes.soft),
            no_class: self.notes.no_class.max(notes.no_class),
            dim: None,
            ..notes
        };
        Ok(image)
    }
}

/// Writes an image row by row to the format that the extension of `path` names, atomically, with these
/// attributes; `body` gives the rows. Returns what of the attributes the format has no place for, or `None`
/// where the format is only written whole, and `body` was not called.
///
/// # Errors
/// What `body` returns; as [`Image::write_pages`]; fewer rows than the image has.
pub fn write_rows(
    path: &Path,
    size: [usize; 2],
    channels: usize,
    attributes: &Attributes,
    body: impl FnOnce(&mut dyn RowSink) -> Result<()>,
) -> Result<Option<Vec<&'static str>>> {
    let Some(format) = format::by_extension(path).filter(|format| format.writes_rows()) else {
        return Ok(None);
    };
    let mut lost = Vec::new();
    atomic::replace(path, |sink| {
        let failed = |e| unwritten(e, path, format);
        let writer = format.encode_rows(size, channels, attributes, sink).map_err(failed)?;
        let mut rows = FileRows { path, format, writer };
        body(&mut rows)?;
        lost = rows.writer.finish().map_err(failed)?;
        Ok(())
    })?;
    Ok(Some(lost))
}

struct FileRows<'a> {
    path: &'a Path,
    format: &'static dyn format::Format,
    writer: Box<dyn RowWriter + 'a>,
}

impl RowSink for FileRows<'_> {
    fn rows(&mut self, rows: &Image) -> Result<()> {
        self.writer.rows(rows).map_err(|e| unwritten(e, self.path, self.format))
    }
}
