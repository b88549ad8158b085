//! How pictures that are not square become square.

use super::Image;
use crate::one_of::one_of;

one_of! {
    /// How a picture becomes as high as wide; one that is square is resized, whatever the fit.
    pub enum Fit {
        /// A square is cut out of it: with jitter anywhere along the longer side, else in the middle.
        Crop = "crop",
        /// It is filled up by reflection to a square, with the picture in the middle.
        Pad = "pad",
        /// It is squeezed to a square; circles become ellipses.
        Stretch = "stretch",
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

    /// Width and height after resizing so that the square to train on has `to` x `to` pixels: the
    /// shorter side becomes `to` for [`Fit::Crop`], the longer one for [`Fit::Pad`], both for
    /// [`Fit::Stretch`]. Other sides are rounded, to at least 1 pixel.
    pub fn resized(self, [width, height]: [usize; 2], to: usize) -> [usize; 2] {
        let base = match self {
            Fit::Stretch => return [to, to],
            Fit::Crop => width.min(height),
            Fit::Pad => width.max(height),
        };
        [width, height].map(|side| rounded(side as f64 * to as f64 / base as f64))
    }

    /// The part of a picture of this width and height that is used: all of it, or the middle of
    /// one that is longer than [`Fit::LONGEST`] allows.
    pub fn used(self, [width, height]: [usize; 2]) -> [usize; 2] {
        match self {
            Fit::Crop => {
                let most = width.min(height).saturating_mul(Fit::LONGEST);
                [width.min(most), height.min(most)]
            }
            Fit::Pad | Fit::Stretch => [width, height],
        }
    }

    /// The picture resized as [`Fit::resized`] says, and for [`Fit::Pad`] filled up to `to` x `to`
    /// pixels.
    pub(super) fn apply(self, image: &Image, to: usize) -> Image {
        let [width, height] = self.used([image.width, image.height]);
        let (x, y) = ((image.width - width) / 2, (image.height - height) / 2);
        let [to_width, to_height] = self.resized([width, height], to);
        let resized = if (width, height) == (image.width, image.height) {
            image.resize(to_width, to_height)
        } else {
            image.crop(x, y, width, height).resize(to_width, to_height)
        };
        match self {
            Fit::Pad => resized.reflected(to, to),
            Fit::Crop | Fit::Stretch => resized,
        }
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
        let mirror = |i: usize, before: usize, len: usize| {
            if len == 1 {
                return 0;
            }
            let period = 2 * (len - 1);
            let at = (i + period * before.div_ceil(period) - before) % period;
            at.min(period - at)
        };
        let taken = |len: usize, padded: usize| -> Vec<usize> {
            (0..padded).map(|i| mirror(i, (padded - len) / 2, len)).collect()
        };
        self.gather(&taken(self.width, width), &taken(self.height, height))
    }
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
