//! The interface of training data, pairs of images that are loaded one by one, and pairs in memory.

use super::{Direction, Image, Pair};
use crate::error::{Error, Result};

/// Pairs of images in a fixed order, numbered from 0.
pub trait Pairs: Send + Sync {
    /// Number of pairs.
    fn len(&self) -> usize;

    /// Whether there are no pairs.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Loads pair `i`: (A, B), whatever the direction of the training. All As have the same pixel
    /// format, and all Bs.
    ///
    /// # Errors
    /// A pair that cannot be read, with its file or name.
    fn load(&self, i: usize) -> Result<(Image, Image)>;

    /// The name of pair `i` in messages.
    fn name(&self, i: usize) -> String;
}

/// The pairs of a folder, decoded when they are loaded.
impl Pairs for Vec<Pair> {
    fn len(&self) -> usize {
        Vec::len(self)
    }

    fn load(&self, i: usize) -> Result<(Image, Image)> {
        self[i].read()
    }

    fn name(&self, i: usize) -> String {
        self[i].name.clone()
    }
}

/// Pairs held in memory.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct MemoryPairs {
    pairs: Vec<(Image, Image)>,
}

impl MemoryPairs {
    /// A list of pairs (A, B), which may be empty.
    ///
    /// # Errors
    /// A pair of different sizes; an A or a B whose pixel format differs from the first one's.
    pub fn new(pairs: Vec<(Image, Image)>) -> Result<Self> {
        for (i, (a, b)) in pairs.iter().enumerate() {
            if (a.width, a.height) != (b.width, b.height) {
                return Err(Error::input(format!(
                    "pair {i}: A is {}x{} and B is {}x{}: a pair needs one size, so resize one of \
                     them",
                    a.width, a.height, b.width, b.height
                )));
            }
            pairs[0].0.format().check(a, &format!("A of pair {i}"))?;
            pairs[0].1.format().check(b, &format!("B of pair {i}"))?;
        }
        Ok(MemoryPairs { pairs })
    }
}

impl Pairs for MemoryPairs {
    fn len(&self) -> usize {
        self.pairs.len()
    }

    fn load(&self, i: usize) -> Result<(Image, Image)> {
        Ok(self.pairs[i].clone())
    }

    fn name(&self, i: usize) -> String {
        format!("pair {i}")
    }
}

/// Pair `i` for validation, (input, target): resized to `size x size`, neither cropped nor flipped.
///
/// # Errors
/// A pair that cannot be read.
pub fn plain(
    pairs: &dyn Pairs,
    i: usize,
    size: usize,
    direction: Direction,
) -> Result<(Image, Image)> {
    let (a, b) = pairs.load(i)?;
    Ok(direction.order(a.resize(size, size), b.resize(size, size)))
}
