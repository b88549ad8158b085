//! One sample: two pictures, in one file side by side or in two files.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::Image;
use crate::error::{Error, Result};

/// Which picture of a pair is the input.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Direction {
    /// A is the input, B the target.
    #[default]
    #[serde(rename = "a2b")]
    AToB,
    /// B is the input, A the target.
    #[serde(rename = "b2a")]
    BToA,
}

impl Direction {
    /// (input, target) of (A, B).
    pub fn order<T>(self, a: T, b: T) -> (T, T) {
        match self {
            Direction::AToB => (a, b),
            Direction::BToA => (b, a),
        }
    }
}

/// Where the two pictures of a pair lie.
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

/// A sample as a folder lists it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pair {
    /// The file's name without its extension.
    pub name: String,
    /// Where the pictures lie.
    pub source: PairSource,
    /// Pixels in a row of A, and of B.
    pub width: usize,
    /// Rows of A, and of B.
    pub height: usize,
}

impl Pair {
    /// Decodes both pictures: (A, B), whatever the direction.
    pub fn read(&self) -> Result<(Image, Image)> {
        match &self.source {
            PairSource::SideBySide(path) => split(&Image::read(path)?, path),
            PairSource::Two { a, b } => Ok((Image::read(a)?, Image::read(b)?)),
        }
    }

    /// A file to name in a message: the pair's own, or that of A.
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
