//! What is learnt from: pairs of images that can be loaded one by one, wherever they lie.

use super::{Direction, Image, Pair};
use crate::error::{Error, Result};

/// Pairs of images, numbered from 0 in an order that stays.
pub trait Pairs: Send + Sync {
    /// How many there are.
    fn len(&self) -> usize;

    /// Whether there are none.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Pair `i`: (A, B), whatever the direction of the training. All As have one pixel format, and all
    /// Bs.
    ///
    /// # Errors
    /// A pair that cannot be read, by its file or name.
    fn load(&self, i: usize) -> Result<(Image, Image)>;

    /// What pair `i` is called in messages.
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
    /// Takes pairs (A, B).
    ///
    /// # Errors
    /// A pair of two sizes; an A, or a B, with other channels or samples than the first.
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

/// Pair `i` whole, resized to `size x size`, neither cropped nor flipped: (input, target) for
/// validation.
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
