//! A pair of images in files: side by side in one file, or in two.

use std::path::{Path, PathBuf};

use super::Image;
use super::notes::Notes;
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
        Ok(Pair { name, source, width: width / 2, height })
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
                Ok((split(&image, path)?, [Some((path.clone(), notes)), None]))
            }
            PairSource::Two { a, b } => {
                let (of_a, notes_a) = Image::read_with_notes(a)?;
                let (of_b, notes_b) = Image::read_with_notes(b)?;
                Ok(((of_a, of_b), [Some((a.clone(), notes_a)), Some((b.clone(), notes_b))]))
            }
        }
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

/// The left and the right half.
fn split(picture: &Image, path: &Path) -> Result<(Image, Image)> {
    check_width(path, picture.width)?;
    let (half, height) = (picture.width / 2, picture.height);
    Ok((picture.crop(0, 0, half, height), picture.crop(half, 0, half, height)))
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
