//! Jitter and flip: the crop drawn for a sample is a pure function of (seed, epoch, sample, pass).
//!
//! As in the paper's jitter and the PyTorch port's `resize_and_crop`, both images of a pair are
//! resized to `load x load` with `load = round(size * 286 / 256)`, the same crop of `size x size`
//! is taken from both at an offset of 0 to `load - size` on each axis, and with probability 1/2
//! both are mirrored after the crop. An image that is not square becomes square. This module
//! resizes and draws; the device crops and mirrors when it converts samples to pixels.

use super::Image;
use crate::random::{Purpose, below, philox};
use crate::tensor::Crop;

/// How images are brought to `size x size`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Augment {
    /// Height and width of the network's input in pixels.
    pub size: usize,
    /// Resize to [`Augment::load`] and crop at random; otherwise resize to `size`.
    pub jitter: bool,
    /// Mirror with probability 1/2.
    pub flip: bool,
    /// Seed of crops and flips.
    pub seed: u64,
}

impl Augment {
    /// No jitter, no flip, as in validation.
    pub fn plain(size: usize) -> Self {
        Augment { size, jitter: false, flip: false, seed: 0 }
    }

    /// Height and width before the crop: `round(size * 286 / 256)` with jitter, else `size`.
    pub fn load(&self) -> usize {
        if self.jitter { (self.size * 286 + 128) / 256 } else { self.size }
    }

    /// The crop and flip drawn for `sample`, its index, in `epoch`; `pass` counts how often the
    /// epoch has used this sample before (see [`Order`](super::Order)).
    pub fn draw(&self, epoch: usize, sample: usize, pass: usize) -> Crop {
        let counter = [sample as u32, epoch as u32, pass as u32, Purpose::Augment as u32];
        let words = philox(self.seed, counter);
        let room = (self.load() - self.size) as u32 + 1;
        Crop {
            x: below(words[0], room) as usize,
            y: below(words[1], room) as usize,
            flip: self.flip && words[2] >> 31 == 1,
        }
    }

    /// The image resized to `load x load`, which no draw affects; a copy if it has that size.
    pub fn resized(&self, image: &Image) -> Image {
        image.resize(self.load(), self.load())
    }
}
