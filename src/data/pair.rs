//! A pair of images in files: side by side in one file, or in two.

use std::path::{Path, PathBuf};

use super::notes::Notes;
use super::{Domain, Image, Picture};
use crate::error::{Error, Result};
use crate::one_of::one_of;

one_of! {
    /// Which image of a pair is the input.
    pub enum Direction {
        /// A is the input, B the target.
        AToB = "a2b",
        /// B is the input, A the target.
        BToA = "b2a",
    }
}

impl Direction {
    /// (input, target) from (A, B), or (A, B) from (input, target).
    pub fn order<T>(self, a: T, b: T) -> (T, T) {
        match self {
            Direction::AToB => (a, b),
            Direction::BToA => (b, a),
        }
    }
}

/// The files of a pair.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PairSource {
    /// One file: A is its left half, B its right half.
    SideBySide(PathBuf),
    /// Two files.
    Two {
        /// The file of A.
        a: PathBuf,
        /// The file of B.
        b: PathBuf,
    },
}

/// A pair of a [`Folder`](super::Folder).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pair {
    /// The path from its folder without the extension.
    pub name: String,
    /// Its files.
    pub source: PairSource,
    /// Pixels in a row of A, and of B.
    pub width: usize,
    /// Rows of A, and of B.
    pub height: usize,
    /// Which page, frame or slice of its files it is, from 0.
    pub page: usize,
    /// How many pairs its files hold: pages or slices.
    pub pages: usize,
    /// Whether all pages are the channels of one picture.
    pub stacked: bool,
    /// The file of its mask: pixels that are 0 there do not count.
    pub mask: Option<PathBuf>,
}

/// One image of a pair.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Half {
    /// A, left in a file with both.
    A,
    /// B, right in a file with both.
    B,
}

impl Half {
    /// "A" or "B".
    pub fn name(self) -> &'static str {
        match self {
            Half::A => "A",
            Half::B => "B",
        }
    }
}

/// The images of a pair, and what reading each of its files changed or left out.
pub type PairWithNotes = ((Image, Image), [Option<(PathBuf, Notes)>; 2]);

impl Pair {
    /// The pair in one file of this size.
    ///
    /// # Errors
    /// An odd width.
    pub fn side_by_side(path: &Path, width: usize, height: usize) -> Result<Pair> {
        check_width(path, width)?;
        let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let source = PairSource::SideBySide(path.to_path_buf());
        Ok(Pair {
            name,
            source,
            width: width / 2,
            height,
            page: 0,
            pages: 1,
            stacked: false,
            mask: None,
        })
    }

    /// Decodes both images: (A, B), whatever the direction.
    ///
    /// # Errors
    /// As [`Image::read`]; an odd width of a side-by-side image.
    pub fn read(&self) -> Result<(Image, Image)> {
        Ok(self.read_with_notes()?.0)
    }

    /// As [`Pair::read`], with what was changed or left out.
    ///
    /// # Errors
    /// As [`Pair::read`].
    pub fn read_with_notes(&self) -> Result<PairWithNotes> {
        match &self.source {
            PairSource::SideBySide(path) => {
                let (image, notes) = Image::read_with_notes(path)?;
                Ok((image.halves(path)?, [Some((path.clone(), notes)), None]))
            }
            PairSource::Two { a, b } => {
                let (of_a, notes_a) = Image::read_with_notes(a)?;
                let (of_b, notes_b) = Image::read_with_notes(b)?;
                Ok(((of_a, of_b), [Some((a.clone(), notes_a)), Some((b.clone(), notes_b))]))
            }
        }
    }

    /// Its name without the number of its page.
    pub(super) fn file_name(&self) -> String {
        match self.name.rsplit_once('-') {
            Some((name, _)) if self.pages > 1 => name.to_string(),
            _ => self.name.clone(),
        }
    }

    /// One of its images as its file holds it, and the file.
    ///
    /// # Errors
    /// As [`Picture::read`]; an odd width of a side-by-side image.
    pub fn picture(&self, half: Half) -> Result<(Picture, PathBuf)> {
        let path = self.half(half);
        let mut picture = match self.stacked {
            true => Picture::read_stacked(path)?,
            false => Picture::read(path, self.page)?,
        };
        if let PairSource::SideBySide(path) = &self.source {
            let (a, b) = picture.image.halves(path)?;
            picture.image = if half == Half::A { a } else { b };
        }
        Ok((picture, path.to_path_buf()))
    }

    /// The file of one of its images.
    pub fn half(&self, half: Half) -> &Path {
        match (&self.source, half) {
            (PairSource::SideBySide(path), _) => path,
            (PairSource::Two { a, .. }, Half::A) => a,
            (PairSource::Two { b, .. }, Half::B) => b,
        }
    }

    /// Reads both images as these domains say, A's and B's, with what reading each file changed or left out.
    ///
    /// # Errors
    /// As [`Domain::read`]; an odd width of a side-by-side image.
    pub fn read_as(&self, [of_a, of_b]: [&Domain; 2]) -> Result<PairWithNotes> {
        match &self.source {
            PairSource::SideBySide(path) if of_a == of_b => {
                let (image, notes) = of_a.read(path, self.page)?;
                Ok((image.halves(path)?, [Some((path.clone(), notes)), None]))
            }
            PairSource::SideBySide(path) => {
                let picture = of_a.picture(path, self.page)?;
                let (a, b) = picture.image.halves(path)?;
                let (a, notes_a) = of_a.converted(Picture { image: a, ..picture.clone() }, path)?;
                let (b, notes_b) = of_b.converted(Picture { image: b, ..picture }, path)?;
                Ok(((a, b), [Some((path.clone(), notes_a)), Some((path.clone(), notes_b))]))
            }
            PairSource::Two { a, b } => {
                let (of_a, notes_a) = of_a.read(a, self.page)?;
                let (of_b, notes_b) = of_b.read(b, self.page)?;
                Ok(((of_a, of_b), [Some((a.clone(), notes_a)), Some((b.clone(), notes_b))]))
            }
        }
    }

    /// Its mask, if it has one: 1 where a pixel counts, of one channel. Any sample above 0 counts.
    ///
    /// # Errors
    /// As [`Image::read`]; a mask of another size.
    pub fn read_mask(&self) -> Result<Option<Image>> {
        let Some(path) = &self.mask else { return Ok(None) };
        let mask = Picture::read(path, self.page)?.image.counting();
        if (mask.width, mask.height) != (self.width, self.height) {
            return Err(Error::input(format!(
                "the mask {} is {}x{}, and its pair {}x{}: make them one size",
                path.display(),
                mask.width,
                mask.height,
                self.width,
                self.height
            )));
        }
        Ok(Some(mask))
    }

    /// Its files: the one of both images, or those of A and B.
    pub fn paths(&self) -> impl Iterator<Item = &Path> {
        let (first, second) = match &self.source {
            PairSource::SideBySide(path) => (path, None),
            PairSource::Two { a, b } => (a, Some(b)),
        };
        [first].into_iter().chain(second).map(PathBuf::as_path)
    }

    /// The file to name in messages: the one of both images, or that of A.
    pub fn path(&self) -> &Path {
        match &self.source {
            PairSource::SideBySide(path) | PairSource::Two { a: path, .. } => path,
        }
    }
}

impl Image {
    /// The left and the right half; `path` only serves for the message.
    ///
    /// # Errors
    /// An odd width.
    pub fn halves(&self, path: &Path) -> Result<(Image, Image)> {
        check_width(path, self.width)?;
        let (half, height) = (self.width / 2, self.height);
        Ok((self.crop(0, 0, half, height), self.crop(half, 0, half, height)))
    }
}

/// A side-by-side picture has an even width.
pub(super) fn check_width(path: &Path, width: usize) -> Result<()> {
    if width.is_multiple_of(2) {
        return Ok(());
    }
    Err(Error::input(format!(
        "{} is {width} pixels wide, so it cannot be two pictures of one width side by side: put A \
         left and B right with equal widths, or give folders A and B",
        path.display()
    )))
}
