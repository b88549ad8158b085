//! Jitter, flips and turns: what is drawn for a sample is a pure function of (seed, epoch, sample, pass).
//!
//! As in the paper's jitter and the PyTorch port's `resize_and_crop`, both images of a pair are
//! resized to `load = round(size * 286 / 256)`, height and width alike, the same crop of `size`
//! is taken from both at an offset of 0 to `load - size` on each axis, and with probability 1/2
//! both are mirrored after the crop. [`Fit`] says what happens to images of other proportions; with
//! [`Fit::Crop`] their longer side stays longer than `load`, and offsets go up to `longer - size`; with
//! [`Fit::Native`] nothing is resized and offsets reach over the whole image.
//! This module resizes and draws; the loader turns, and the device crops and mirrors when it converts
//! samples to pixels.

use super::{Fit, Image};
use crate::error::{Error, Result};
use crate::random::{Purpose, below, philox};
use crate::tensor::{Crop, Samples, Size, with_samples};

/// How images are brought to `size x size`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Augment {
    /// Height and width of the network's input in pixels.
    pub size: Size,
    /// What becomes of images that are not square.
    pub fit: Fit,
    /// Resize to [`Augment::load`] and crop at random; otherwise resize to `size`, and crop in the
    /// middle.
    pub jitter: bool,
    /// Mirror left to right with probability 1/2.
    pub flip: bool,
    /// Mirror top to bottom with probability 1/2.
    pub flip_vertical: bool,
    /// Turn by 0, 90, 180 or 270 degrees alike; only of a square size.
    pub turn: bool,
    /// Seed of crops and flips.
    pub seed: u64,
}

impl Augment {
    /// No jitter, no flip, no turn, as in validation.
    pub fn plain(size: impl Into<Size>, fit: Fit) -> Self {
        Augment {
            size: size.into(),
            fit,
            jitter: false,
            flip: false,
            flip_vertical: false,
            turn: false,
            seed: 0,
        }
    }

    /// Height and width that a resized image covers before the crop: `round(size * 286 / 256)` with
    /// jitter, else `size`.
    pub fn load(&self) -> Size {
        match self.jitter && self.fit != Fit::Native {
            true => self.size.map(|side| (side * 286 + 128) / 256),
            false => self.size,
        }
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
        let offset = |word: u32, side: usize, size: usize| {
            let room = side.saturating_sub(size);
            if self.jitter { below(word, room as u32 + 1) as usize } else { room / 2 }
        };
        Crop {
            x: offset(words[0], width, self.size.width),
            y: offset(words[1], height, self.size.height),
            flip: self.flip && words[2] >> 31 == 1,
        }
    }

    /// The turn drawn with [`Augment::draw`].
    pub fn draw_turn(&self, epoch: usize, sample: usize, pass: usize) -> Turn {
        let counter = [sample as u32, epoch as u32, pass as u32, Purpose::Augment as u32];
        let word = philox(self.seed, counter)[3];
        Turn {
            quarters: if self.turn { word >> 30 } else { 0 },
            flip: self.flip_vertical && word & 1 == 1,
        }
    }

    /// Width and height of [`Augment::resized`] for an image of this width and height.
    pub fn resized_size(&self, size: [usize; 2]) -> [usize; 2] {
        let load = self.load();
        let [width, height] = self.fit.resized(self.fit.used(size), load);
        [width.max(load.width), height.max(load.height)]
    }

    /// The image resized, which no draw affects: to the size that [`Augment::load`] says, or covering it,
    /// as [`Augment::fit`] says. A copy if it has that size.
    pub fn resized(&self, image: &Image) -> Image {
        self.resized_by(image, Image::resize)
    }

    /// As [`Augment::resized`], by this way of resizing.
    pub fn resized_by(&self, image: &Image, resize: fn(&Image, usize, usize) -> Image) -> Image {
        self.fit.apply(image, self.load(), resize)
    }

    /// Both images of a pair [`resized`](Augment::resized); `name` stands for the pair in messages.
    ///
    /// # Errors
    /// [`Error::Input`] for images of different sizes, except with [`Fit::Stretch`]: a crop would
    /// not show the same part of both.
    pub fn resized_pair(&self, a: &Image, b: &Image, name: &str) -> Result<(Image, Image)> {
        self.check_sizes(a, b, name)?;
        Ok((self.resized(a), self.resized(b)))
    }

    /// Refuses images of different sizes, except with [`Fit::Stretch`].
    pub(super) fn check_sizes(&self, a: &Image, b: &Image, name: &str) -> Result<()> {
        if self.fit != Fit::Stretch && (a.width, a.height) != (b.width, b.height) {
            return Err(Error::input(format!(
                "{name}: A is {}x{} and B is {}x{}: a pair needs one size, so resize one of them",
                a.width, a.height, b.width, b.height
            )));
        }
        Ok(())
    }
}

/// A turn of an image, and a mirror top to bottom before it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Turn {
    /// Quarters of a turn, counterclockwise, 0 to 3.
    pub quarters: u32,
    /// Mirrored top to bottom first.
    pub flip: bool,
}

impl Image {
    /// The image mirrored and turned.
    pub fn turned(&self, turn: Turn) -> Image {
        let Image { width, height, channels: c, .. } = *self;
        if turn == Turn::default() {
            return self.clone();
        }
        let (to_width, to_height) =
            if turn.quarters.is_multiple_of(2) { (width, height) } else { (height, width) };
        let samples = with_samples!(Samples, &self.samples, all => {
            let mut turned = Vec::with_capacity(all.len());
            for y in 0..to_height {
                for x in 0..to_width {
                    let (from_x, from_y) = match turn.quarters % 4 {
                        0 => (x, y),
                        1 => (width - 1 - y, x),
                        2 => (width - 1 - x, height - 1 - y),
                        _ => (y, height - 1 - x),
                    };
                    let from_y = if turn.flip { height - 1 - from_y } else { from_y };
                    let at = (from_y * width + from_x) * c;
                    turned.extend_from_slice(&all[at..at + c]);
                }
            }
            Samples::from(turned)
        });
        Image { height: to_height, width: to_width, channels: c, samples }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_are_turned_counterclockwise() {
        let image = Image::new(3, 2, 1, vec![1u8, 2, 3, 4, 5, 6]).unwrap();
        let turned = |quarters, flip| image.turned(Turn { quarters, flip });
        let of =
            |width, samples: [u8; 6]| Image::new(width, 6 / width, 1, samples.to_vec()).unwrap();
        assert_eq!(turned(1, false), of(2, [3, 6, 2, 5, 1, 4]));
        assert_eq!(turned(2, false), of(3, [6, 5, 4, 3, 2, 1]));
        assert_eq!(turned(3, false), of(2, [4, 1, 5, 2, 6, 3]));
        assert_eq!(turned(0, true), of(3, [4, 5, 6, 1, 2, 3]));
        assert_eq!(turned(1, true), turned(0, true).turned(Turn { quarters: 1, flip: false }));
    }
}
