//! Jitter and flip: the crop drawn for a sample is a pure function of (seed, epoch, sample, pass).
//!
//! As in the paper's jitter and the PyTorch port's `resize_and_crop`, both images of a pair are
//! resized to `load x load` with `load = round(size * 286 / 256)`, the same crop of `size x size`
//! is taken from both at an offset of 0 to `load - size` on each axis, and with probability 1/2
//! both are mirrored after the crop. [`Fit`] says what happens to images that are not square; with
//! [`Fit::Crop`] their longer side stays longer than `load`, and offsets go up to `longer - size`.
//! This module resizes and draws; the device crops and mirrors when it converts samples to pixels.

use super::{Fit, Image};
use crate::error::{Error, Result};
use crate::random::{Purpose, below, philox};
use crate::tensor::Crop;

/// How images are brought to `size x size`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Augment {
    /// Height and width of the network's input in pixels.
    pub size: usize,
    /// What becomes of images that are not square.
    pub fit: Fit,
    /// Resize to [`Augment::load`] and crop at random; otherwise resize to `size`, and crop in the
    /// middle.
    pub jitter: bool,
    /// Mirror with probability 1/2.
    pub flip: bool,
    /// Seed of crops and flips.
    pub seed: u64,
}

impl Augment {
    /// No jitter, no flip, as in validation.
    pub fn plain(size: usize, fit: Fit) -> Self {
        Augment { size, fit, jitter: false, flip: false, seed: 0 }
    }

    /// Height and width of a square image before the crop, and the shorter side of others:
    /// `round(size * 286 / 256)` with jitter, else `size`.
    pub fn load(&self) -> usize {
        if self.jitter { (self.size * 286 + 128) / 256 } else { self.size }
    }

    /// The crop and flip drawn for `sample`, its index, in `epoch`, out of a resized image of this
    /// `width` and `height`; `pass` counts how often the epoch has used this sample before (see
    /// [`Order`](super::Order)).
    pub fn draw(
        &self,
        epoch: usize,
        sample: usize,
        pass: usize,
        [width, height]: [usize; 2],
    ) -> Crop {
        let counter = [sample as u32, epoch as u32, pass as u32, Purpose::Augment as u32];
        let words = philox(self.seed, counter);
        let offset = |word: u32, side: usize| {
            let room = side.saturating_sub(self.size);
            if self.jitter { below(word, room as u32 + 1) as usize } else { room / 2 }
        };
        Crop {
            x: offset(words[0], width),
            y: offset(words[1], height),
            flip: self.flip && words[2] >> 31 == 1,
        }
    }

    /// Width and height of [`Augment::resized`] for an image of this width and height.
    pub fn resized_size(&self, size: [usize; 2]) -> [usize; 2] {
        match self.fit {
            Fit::Crop => self.fit.resized(self.fit.used(size), self.load()),
            Fit::Pad | Fit::Stretch => [self.load(); 2],
        }
    }

    /// The image resized, which no draw affects: `load x load` for a square one, else as
    /// [`Augment::fit`] says. A copy if it has that size.
    pub fn resized(&self, image: &Image) -> Image {
        self.fit.apply(image, self.load())
    }

    /// Both images of a pair [`resized`](Augment::resized); `name` stands for the pair in messages.
    ///
    /// # Errors
    /// [`Error::Input`] for images of different sizes, except with [`Fit::Stretch`]: a crop would
    /// not show the same part of both.
    pub fn resized_pair(&self, a: &Image, b: &Image, name: &str) -> Result<(Image, Image)> {
        if self.fit != Fit::Stretch && (a.width, a.height) != (b.width, b.height) {
            return Err(Error::input(format!(
                "{name}: A is {}x{} and B is {}x{}: a pair needs one size, so resize one of them",
                a.width, a.height, b.width, b.height
            )));
        }
        Ok((self.resized(a), self.resized(b)))
    }
}
