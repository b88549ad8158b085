//! How pictures get the proportions of the training.

use super::Image;
use crate::one_of::one_of;
use crate::tensor::Size;

one_of! {
    /// How a picture gets the size of the training; one of its proportions is resized, but for native.
    pub enum Fit {
        /// It is resized to cover the size, and what is longer is cut off: with jitter at random, else on
        /// both sides alike.
        Crop = "crop",
        /// It is resized to fit into the size and filled up by reflection, with the picture in the middle.
        Pad = "pad",
        /// It is squeezed to the size; circles become ellipses.
        Stretch = "stretch",
        /// It is not resized: each step sees a part of it, at random. Smaller ones are filled up by
        /// reflection.
        Native = "native",
    }
}

impl Fit {
    /// What runs did before they stated their fit.
    pub(crate) const fn unstated() -> Fit {
        Fit::Stretch
    }

    /// The longest pictures that [`Fit::Crop`] uses whole, in multiples of their shorter side: of
    /// longer ones the middle. Their resized copies are kept in memory, and those of a strip of
    /// 10 x 65,535 pixels would take 1.6 GB at a size of 256.
    pub const LONGEST: usize = 8;

    /// Width and height after resizing so that the part to train on has the size `to`: the smallest that
    /// cover it for [`Fit::Crop`], the largest inside of it for [`Fit::Pad`], the size itself for
    /// [`Fit::Stretch`], unchanged for [`Fit::Native`]. The side that does not decide is rounded, to at least
    /// 1 pixel.
    pub fn resized(self, [width, height]: [usize; 2], to: impl Into<Size>) -> [usize; 2] {
        let to = to.into();
        // Whether the picture is longer across than the size.
        let wide = width as u128 * to.height as u128 >= height as u128 * to.width as u128;
        let by_height = match self {
            Fit::Native => return [width, height],
            Fit::Stretch => return to.across(),
            Fit::Crop => wide,
            Fit::Pad => !wide,
        };
        let other =
            |side: usize, to: usize, base: usize| rounded(side as f64 * to as f64 / base as f64);
        match by_height {
            true => [other(width, to.height, height), to.height],
            false => [to.width, other(height, to.width, width)],
        }
    }

    /// The part of a picture of this width and height that is used: all of it, or the middle of
    /// one that is longer than [`Fit::LONGEST`] allows.
    pub fn used(self, [width, height]: [usize; 2]) -> [usize; 2] {
        match self {
            Fit::Crop => {
                let most = width.min(height).saturating_mul(Fit::LONGEST);
                [width.min(most), height.min(most)]
            }
            Fit::Pad | Fit::Stretch | Fit::Native => [width, height],
        }
    }

    /// The picture resized by `resize` as [`Fit::resized`] says, and filled up to the size where it is
    /// smaller.
    pub(crate) fn apply(
        self,
        image: &Image,
        to: Size,
        resize: fn(&Image, usize, usize) -> Image,
    ) -> Image {
        let [width, height] = self.used([image.width, image.height]);
        let (x, y) = ((image.width - width) / 2, (image.height - height) / 2);
        let [to_width, to_height] = self.resized([width, height], to);
        let resized = if (width, height) == (image.width, image.height) {
            resize(image, to_width, to_height)
        } else {
            resize(&image.crop(x, y, width, height), to_width, to_height)
        };
        let [width, height] = [to_width.max(to.width), to_height.max(to.height)];
        resized.reflected(width, height)
    }
}

/// The nearest number of pixels, at least 1.
pub(crate) fn rounded(side: f64) -> usize {
    // The cast saturates.
    side.round().max(1.0) as usize
}

impl Image {
    /// The image in the middle of `width` x `height` pixels, which are at least its own, reflected at its
    /// edges as often as needed; the edge pixel itself is not repeated.
    pub(crate) fn reflected(self, width: usize, height: usize) -> Image {
        if (width, height) == (self.width, self.height) {
            return self;
        }
        let taken = |len: usize, padded: usize| -> Vec<usize> {
            (0..padded).map(|i| mirrored(i, len, padded)).collect()
        };
        self.gather(&taken(self.width, width), &taken(self.height, height))
    }
}

/// The pixel of a row of `len` that stands at `i` once the row is padded to `padded` by reflection.
pub(crate) fn mirrored(i: usize, len: usize, padded: usize) -> usize {
    if len == 1 {
        return 0;
    }
    let before = (padded - len) / 2;
    let period = 2 * (len - 1);
    let at = (i + period * before.div_ceil(period) - before) % period;
    at.min(period - at)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tensor::Samples;

    /// Columns of a padded row.
    fn row(width: usize, to: usize) -> Vec<u8> {
        let samples: Vec<u8> = (0..width as u8).collect();
        match Image::new(width, 1, 1, samples).unwrap().reflected(to, 1).samples {
            Samples::U8(padded) => padded,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn reflection_does_not_repeat_the_edge() {
        assert_eq!(row(4, 8), [2, 1, 0, 1, 2, 3, 2, 1]);
        assert_eq!(row(3, 3), [0, 1, 2]);
        assert_eq!(row(2, 8), [1, 0, 1, 0, 1, 0, 1, 0]);
        assert_eq!(row(1, 4), [0, 0, 0, 0]);
        assert_eq!(row(3, 10), [1, 2, 1, 0, 1, 2, 1, 0, 1, 2]);
    }

    #[test]
    fn only_stretching_changes_proportions() {
        for size in [[600, 400], [400, 600]] {
            let turned = |[w, h]: [usize; 2]| if size[0] > size[1] { [w, h] } else { [h, w] };
            assert_eq!(Fit::Crop.resized(size, 256), turned([384, 256]));
            assert_eq!(Fit::Pad.resized(size, 256), turned([256, 171]));
            assert_eq!(Fit::Stretch.resized(size, 256), [256, 256]);
        }
        for fit in [Fit::Crop, Fit::Pad, Fit::Stretch] {
            assert_eq!(fit.resized([31, 31], 64), [64, 64], "a square one, {fit:?}");
            assert_eq!(fit.used([31, 31]), [31, 31]);
        }
        assert_eq!(Fit::Pad.resized([1, 10_000], 64), [1, 64]);
        assert_eq!(Fit::Crop.used([10_000, 10]), [80, 10]);
        assert_eq!(Fit::Crop.used([10, 80]), [10, 80]);
        assert_eq!(Fit::Pad.used([10_000, 10]), [10_000, 10]);
    }
}
