//! The size at which an image is translated: as large, in pixels, as what the network saw in
//! training.

use std::str::FromStr;

use crate::data::{Fit, SourceSizes, rounded};
use crate::error::settings::SCALE;
use crate::error::{Error, Result};
use crate::tensor::Size;
use crate::train::Trained;

/// How an image is resized before a translation; its output is resized back.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Scale {
    /// As the images of the training were, if the model's file tells; else [`Scale::Native`].
    #[default]
    Trained,
    /// Not at all.
    Native,
    /// By this factor, at least [`Scale::LEAST`] and at most [`Scale::MOST`].
    By(f64),
}

impl Scale {
    /// The smallest factor: the largest picture that is read becomes 65 pixels long.
    pub const LEAST: f64 = 0.001;
    /// The largest factor.
    pub const MOST: f64 = 64.0;

    /// Refuses a factor outside the range.
    ///
    /// # Errors
    /// [`Error::Input`].
    pub(super) fn check(self) -> Result<()> {
        match self {
            Scale::By(factor) if !(Scale::LEAST..=Scale::MOST).contains(&factor) => {
                Err(Error::input(format!(
                    "{SCALE} {factor}: a factor is at least {} and at most {}",
                    Scale::LEAST,
                    Scale::MOST
                )))
            }
            _ => Ok(()),
        }
    }
}

/// "trained", "native" or a factor.
impl FromStr for Scale {
    type Err = Error;

    fn from_str(text: &str) -> Result<Scale> {
        match text {
            "trained" => Ok(Scale::Trained),
            "native" => Ok(Scale::Native),
            factor => match factor.parse() {
                Ok(factor) => Ok(Scale::By(factor)),
                Err(_) => Err(Error::input("it is trained, native or a factor such as 0.5")),
            },
        }
    }
}

/// How the images of a model are resized: a [`Scale`] with what its file tells of the training.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Resizing {
    /// Not at all, as was asked for.
    Native,
    /// Not at all, because the file does not tell what the training did.
    Unknown {
        /// Height and width of the training images, if the file has that.
        size: Option<Size>,
    },
    /// Width and height are multiplied, as was asked for.
    Asked(f64),
    /// Width and height are multiplied, because all training images had nearly one size.
    Trained {
        /// The factors of width and height; they differ if the training stretched its images.
        factors: [f64; 2],
        /// The usual width and height of training images before they were resized.
        from: [usize; 2],
        /// The height and width for which they were resized.
        size: Size,
        /// What they were resized to.
        fit: Fit,
    },
    /// As a training image would have been, because they had many sizes and each was resized.
    TrainedTo {
        /// The size to resize to.
        size: Size,
        /// The side that gets it.
        fit: Fit,
        /// The sizes of the training images.
        sources: SourceSizes,
    },
}

impl Resizing {
    /// What `scale` is for a model that was trained like this.
    pub(super) fn new(scale: Scale, trained: &Trained) -> Resizing {
        match scale {
            Scale::Native => Resizing::Native,
            Scale::By(factor) => Resizing::Asked(factor),
            Scale::Trained => match (trained.size, trained.fit, &trained.sources) {
                (Some(size), Some(fit), Some(sources)) => Resizing::trained(size, fit, sources),
                (size, ..) => Resizing::Unknown { size },
            },
        }
    }

    fn trained(size: Size, fit: Fit, sources: &SourceSizes) -> Resizing {
        let SourceSizes { width, height, short, long, .. } = *sources;
        let square = size.square().is_some();
        // Square images are squeezed by none of the fits to a square, so translation squeezes none either.
        let fit = match fit {
            Fit::Pad | Fit::Stretch if square && sources.not_square == 0 => Fit::Crop,
            fit => fit,
        };
        let by = |to: usize, from: usize| to as f64 / from as f64;
        let both = width.nearly_one() && height.nearly_one();
        let resized = fit.resized([width.median, height.median], size);
        let (one, factors) = match fit {
            Fit::Native => (true, [1.0; 2]),
            Fit::Crop if square => (short.nearly_one(), [by(size.height, short.median); 2]),
            Fit::Pad if square => (long.nearly_one(), [by(size.height, long.median); 2]),
            Fit::Crop | Fit::Pad => {
                // The side that decided is the one that was not rounded.
                let across = by(resized[0], width.median);
                let factor =
                    if resized[0] == size.width { across } else { by(resized[1], height.median) };
                (both, [factor; 2])
            }
            Fit::Stretch => (both, [by(size.width, width.median), by(size.height, height.median)]),
        };
        if one {
            let from = [width.median, height.median];
            Resizing::Trained { factors, from, size, fit }
        } else {
            Resizing::TrainedTo { size, fit, sources: *sources }
        }
    }

    /// Width and height at which an image of this width and height is translated.
    pub fn size(&self, image: [usize; 2]) -> [usize; 2] {
        let by = |[x, y]: [f64; 2]| [rounded(image[0] as f64 * x), rounded(image[1] as f64 * y)];
        match *self {
            Resizing::Native | Resizing::Unknown { .. } => image,
            Resizing::Asked(factor) => by([factor; 2]),
            Resizing::Trained { factors, .. } => by(factors),
            Resizing::TrainedTo { size, fit, .. } => fit.resized(image, size),
        }
    }

    /// Whether images are filled up to squares, because those of the training were.
    pub(super) fn squares(&self) -> bool {
        match self {
            Resizing::Trained { fit, .. } | Resizing::TrainedTo { fit, .. } => *fit == Fit::Pad,
            Resizing::Native | Resizing::Unknown { .. } | Resizing::Asked(_) => false,
        }
    }

    /// Whether images of some size are resized.
    pub fn changes(&self) -> bool {
        match *self {
            Resizing::Native | Resizing::Unknown { .. } => false,
            Resizing::Asked(factor) => factor != 1.0,
            Resizing::Trained { factors, .. } => factors != [1.0; 2],
            Resizing::TrainedTo { .. } => true,
        }
    }
}

/// What is done and why, behind "pictures".
impl std::fmt::Display for Resizing {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        const BACK: &str = "and their translations resized back";
        match *self {
            Resizing::Native => write!(f, "keep their size, as {SCALE} native says"),
            Resizing::Trained { fit: Fit::Native, .. } => {
                write!(f, "keep their size, as in training")
            }
            Resizing::Unknown { size: None } => write!(
                f,
                "keep their size: the model's file does not say how those of its training were \
                 resized (PyTorch's port makes them 256 pixels); {SCALE} resizes them"
            ),
            Resizing::Unknown { size: Some(size) } => write!(
                f,
                "keep their size: the model's file does not say what size those of its training \
                 had before they were made {size}; {SCALE} resizes them"
            ),
            Resizing::Asked(factor) => {
                write!(f, "are resized by {factor}, as {SCALE} says, {BACK}")
            }
            Resizing::Trained { from: [w, h], size, .. } if !self.changes() => {
                write!(f, "keep their size, as in training ({w} x {h} for {size})")
            }
            Resizing::Trained { factors: [x, y], from: [w, h], size, .. } => {
                let short = |factor: f64| (factor * 1e4).round() / 1e4;
                let factor = if x == y {
                    short(x).to_string()
                } else {
                    format!("{} x {}", short(x), short(y))
                };
                write!(f, "are resized by {factor}, as in training ({w} x {h} for {size}), {BACK}")
            }
            Resizing::TrainedTo { size, fit, sources } => {
                let (what, lengths) = match fit {
                    Fit::Crop => match size.square() {
                        Some(side) => {
                            (format!("to {side} pixels on the shorter side"), sources.short)
                        }
                        None => (format!("to cover {size}"), sources.short),
                    },
                    Fit::Pad => match size.square() {
                        Some(side) => {
                            (format!("to {side} pixels on the longer side"), sources.long)
                        }
                        None => (format!("to fit into {size}"), sources.long),
                    },
                    Fit::Stretch => (format!("to {size}, stretched"), sources.short),
                    Fit::Native => ("not at all".to_string(), sources.short),
                };
                write!(f, "are resized {what}, as in training (from {lengths} pixels), {BACK}")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::{Image, MemoryPairs};

    fn of(size: usize, fit: Fit, images: &[[usize; 2]]) -> Resizing {
        let image = |&[w, h]: &[usize; 2]| Image::filled(w, h, &[0]);
        let pairs = images.iter().map(|size| (image(size), image(size))).collect();
        let sources = SourceSizes::of(&MemoryPairs::new(pairs).unwrap());
        let size = Some(Size::from(size));
        let trained = Trained { size, fit: Some(fit), sources, ..Trained::default() };
        Resizing::new(Scale::Trained, &trained)
    }

    /// Each way of training, and the sizes at which images are then translated.
    #[test]
    fn images_are_translated_as_large_as_in_training() {
        /// A fit, sizes of training images, an image, and its size in translation.
        type Case = (Fit, &'static [[usize; 2]], [usize; 2], [usize; 2]);
        let cases: [Case; 12] = [
            // One size: its factor, whatever the image.
            (Fit::Crop, &[[512, 512]], [512, 512], [64, 64]),
            (Fit::Crop, &[[512, 512]], [1024, 1024], [128, 128]),
            (Fit::Crop, &[[512, 512]], [600, 400], [75, 50]),
            (Fit::Crop, &[[64, 64]], [300, 20], [300, 20]),
            (Fit::Crop, &[[32, 32]], [33, 21], [66, 42]),
            (Fit::Crop, &[[500, 500], [540, 540]], [500, 500], [64, 64]),
            // One size that is not square.
            (Fit::Crop, &[[200, 100]], [200, 100], [128, 64]),
            (Fit::Pad, &[[200, 100]], [200, 100], [64, 32]),
            (Fit::Stretch, &[[200, 100]], [100, 100], [32, 64]),
            // Many sizes: each to the one of training.
            (Fit::Crop, &[[200, 200], [600, 400]], [900, 300], [192, 64]),
            (Fit::Pad, &[[200, 200], [600, 400]], [900, 300], [64, 21]),
            (Fit::Stretch, &[[200, 200], [600, 400]], [900, 300], [64, 64]),
        ];
        for (fit, trained, image, want) in cases {
            let resizing = of(64, fit, trained);
            assert_eq!(resizing.size(image), want, "{fit:?} {trained:?} {resizing}");
        }
        // Square training images were not squeezed, so none is.
        for images in [&[[512, 512]][..], &[[200, 200], [600, 600]]] {
            let [w, h] = of(64, Fit::Stretch, images).size([960, 320]);
            assert_eq!(w, 3 * h, "{images:?}");
        }
        assert_eq!(of(64, Fit::Crop, &[[512, 512]]).size([1, 3000]), [1, 375]);
    }

    #[test]
    fn a_file_that_does_not_tell_keeps_the_size() {
        for size in [None, Some(Size::from(256))] {
            let trained = Trained { size, fit: size.map(|_| Fit::Crop), ..Trained::default() };
            let resizing = Resizing::new(Scale::Trained, &trained);
            assert_eq!(resizing.size([300, 200]), [300, 200]);
            assert!(resizing.to_string().contains("does not say"), "{resizing}");
        }
    }

    #[test]
    fn scales_are_read_and_checked() {
        let read = |text: &str| text.parse::<Scale>();
        assert_eq!(read("trained").unwrap(), Scale::Trained);
        assert_eq!(read("native").unwrap(), Scale::Native);
        assert_eq!(read("0.5").unwrap(), Scale::By(0.5));
        for wrong in ["", "big", "0,5", "50%"] {
            assert!(read(wrong).unwrap_err().to_string().contains("a factor such as 0.5"));
        }
        for wrong in ["0", "-1", "nan", "inf", "65", "1e-9"] {
            assert!(read(wrong).unwrap().check().is_err(), "{wrong}");
        }
        let native = Resizing::new(Scale::Native, &Trained::default());
        assert_eq!(native.size([7, 9]), [7, 9]);
        let half = Resizing::new(Scale::By(0.5), &Trained::default());
        assert_eq!(half.size([7, 1]), [4, 1]);
    }
}
