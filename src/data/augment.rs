//! Jitter and flip: what is drawn for a sample is a pure function of (seed, epoch, sample, pass).
//!
//! As the paper's jitter and the PyTorch port's `resize_and_crop`: both pictures of a pair are
//! resized to `load x load` with `load = round(size * 286 / 256)`, the same crop of `size x size` is
//! cut from both at an offset of 0 to `load - size` on each axis, and with probability 1/2 both are
//! mirrored, after the crop. A picture that is not square becomes square, as it does there. Here the
//! pictures are resized and the crops drawn; who turns samples into numbers crops and mirrors.

use super::Image;
use crate::random::{Purpose, below, philox};
use crate::tensor::Crop;

/// How pictures become `size x size`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Augment {
    /// Height and width of what the network sees.
    pub size: usize,
    /// Resize to [`Augment::load`] and crop at random; else resize to `size`, and a picture that has
    /// it stays as it is.
    pub jitter: bool,
    /// Mirror half of the samples.
    pub flip: bool,
    /// Key of the draws.
    pub seed: u64,
}

impl Augment {
    /// No jitter, no flip: how pictures are translated and validated.
    pub fn plain(size: usize) -> Self {
        Augment { size, jitter: false, flip: false, seed: 0 }
    }

    /// Height and width before the crop: `round(size * 286 / 256)` with jitter, else `size`.
    pub fn load(&self) -> usize {
        if self.jitter { (self.size * 286 + 128) / 256 } else { self.size }
    }

    /// The crop of `size x size` and the flip drawn for `sample` (its index by file name) in `epoch`;
    /// `pass` counts how often the epoch has taken this sample before (see [`Order`](super::Order)).
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

    /// The image at `load x load`: all of the work that no draw changes. A copy if it has that size.
    pub fn resized(&self, image: &Image) -> Image {
        image.resize(self.load(), self.load())
    }
}
