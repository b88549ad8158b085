//! From images as files have them to images as a network's side holds them, and back.
//!
//! Prepared samples are those of the file, but that
//! - where channels have ranges of their own they are put on one: `(sample - low) / (high - low)`, 0 to 1,
//!   in f64 and then rounded to f32, from which integers of up to 22 bits come back exactly;
//! - samples outside of a range that clips are moved to its ends;
//! - pixels that do not count (NaN, no data, a class that is none) are all set to the low end of the range, so
//!   that nothing depends on what the file holds there.

use std::borrow::Cow;

use super::{Domain, DomainKind, Image};
use crate::tensor::{Sample, SampleRange, SampleType, Samples, with_samples};

/// Which pixels count: one channel of u8, 1 where a pixel counts and 0 where it does not.
pub type Mask = Image;

impl Image {
    /// Which pixels count: those all of whose samples are finite and not `none`. `None` if all do.
    pub(crate) fn counted(&self, none: Option<f64>) -> Option<Mask> {
        if none.is_none() && self.samples.sample_type() != SampleType::F32 {
            return None;
        }
        // Single precision holds the file's value rounded, so the mark is rounded alike.
        let none = none.map(|v| v as f32);
        let known = |v: f32| v.is_finite() && Some(v) != none;
        let counts: Vec<u8> = with_samples!(Samples, &self.samples, all => {
            all.chunks_exact(self.channels)
                .map(|p| u8::from(p.iter().all(|&v| known(f64::from(v) as f32))))
                .collect()
        });
        if counts.iter().all(|&c| c == 1) {
            return None;
        }
        let (width, height) = (self.width, self.height);
        Some(Image { height, width, channels: 1, samples: Samples::U8(counts) })
    }

    /// The samples of the pixels that count, those whose number in `counts` is not 0.
    pub(crate) fn samples_that_count(&self, counts: &[u8]) -> Samples {
        with_samples!(Samples, &self.samples, all => {
            let pixels = all.chunks_exact(self.channels).zip(counts).filter(|(_, counts)| **counts != 0);
            pixels.flat_map(|(pixel, _)| pixel).copied().collect::<Vec<_>>().into()
        })
    }

    /// Sets all samples of the pixels that do not count to the one nearest to `value`.
    ///
    /// # Panics
    /// If the mask has another size.
    pub(crate) fn fill_uncounted(&mut self, mask: &Mask, value: f32) {
        assert_eq!((self.width, self.height), (mask.width, mask.height), "the mask of the image");
        let Samples::U8(counts) = &mask.samples else { panic!("masks are of u8") };
        let channels = self.channels;
        with_samples!(Samples, &mut self.samples, all => {
            let fill = Sample::nearest(value);
            for (pixel, &counts) in all.chunks_exact_mut(channels).zip(counts) {
                if counts == 0 {
                    pixel.fill(fill);
                }
            }
        });
    }
}

impl Domain {
    /// The image as the network's side holds it, and which of its pixels count if not all do.
    pub fn prepared(&self, mut image: Image) -> (Image, Option<Mask>) {
        let mask = self.counting(&image);
        if let DomainKind::Values { ranges, clip, low, high, .. } = &self.kind {
            if !ranges.is_empty() {
                image = self.on_one_range(&image, ranges, *clip);
            } else if *clip {
                image = image.clamped(SampleRange { low: *low, high: *high });
            }
        }
        if let Some(mask) = &mask {
            self.blank(&mut image, mask);
        }
        (image, mask)
    }

    /// Sets all pixels of a prepared image that do not count to one value: no class, or the low end.
    ///
    /// # Panics
    /// If the mask has another size.
    pub fn blank(&self, image: &mut Image, mask: &Mask) {
        image.fill_uncounted(
            mask,
            match self.kind {
                DomainKind::Labels { .. } => f32::from(self.no_class()),
                _ => self.range().low as f32,
            },
        );
    }

    /// The samples of prepared images as a network is given them, and the two that it sees as -1 and 1: of
    /// labels a channel for each class, 1 in that of the pixel and 0 in the others, in all for no class.
    pub fn network_samples<'a>(&self, samples: &'a Samples) -> (Cow<'a, Samples>, SampleRange) {
        let DomainKind::Labels { classes } = &self.kind else {
            return (Cow::Borrowed(samples), self.range());
        };
        let mut one_hot = vec![0; samples.len() * classes.len()];
        with_samples!(Samples, samples, all => {
            for (pixel, &index) in one_hot.chunks_exact_mut(classes.len()).zip(all) {
                // What is no class has no channel.
                if let Some(class) = pixel.get_mut(f64::from(index) as usize) {
                    *class = 1;
                }
            }
        });
        (Cow::Owned(Samples::U8(one_hot)), SampleRange { low: 0.0, high: 1.0 })
    }

    /// The prepared image of what a network gave, (height, width, channels): of logits the class with the
    /// largest, the first of equals.
    ///
    /// # Panics
    /// If a network of another number of channels gave it.
    pub fn from_network(&self, width: usize, height: usize, samples: Samples) -> Image {
        let DomainKind::Labels { classes } = &self.kind else {
            let channels = samples.len() / (width * height);
            return Image { height, width, channels, samples };
        };
        let Samples::F32(logits) = &samples else { panic!("logits are f32") };
        let largest = |pixel: &[f32]| {
            let better = |best: usize, i: usize| if pixel[i] > pixel[best] { i } else { best };
            (1..classes.len()).fold(0, better)
        };
        let indices = logits.chunks_exact(classes.len()).map(largest);
        let samples = match self.samples {
            SampleType::U8 => Samples::U8(indices.map(|i| i as u8).collect()),
            _ => Samples::U16(indices.map(|i| i as u16).collect()),
        };
        Image { height, width, channels: 1, samples }
    }

    /// How a network's output is fetched for [`Domain::from_network`]: the samples that stand for -1 and 1,
    /// and their type. Logits are fetched as they are.
    pub fn network_output(&self) -> (SampleRange, SampleType) {
        match self.kind {
            DomainKind::Labels { .. } => (SampleRange::NETWORK, SampleType::F32),
            _ => (self.range(), self.prepared_format().samples),
        }
    }

    /// An 8-bit RGB rendering of a prepared image: labels in the colours of their classes, or in greys where they
    /// have none.
    pub fn shown(&self, image: &Image) -> Image {
        let DomainKind::Labels { classes } = &self.kind else { return image.preview(self.range()) };
        if !classes.iter().all(|class| class.colour.is_some()) {
            return image.preview(self.range());
        }
        let colour =
            |index: f64| classes.get(index as usize).and_then(|c| c.colour).unwrap_or_default();
        let samples: Vec<u8> = with_samples!(Samples, &image.samples, all => {
            all.iter().flat_map(|&index| colour(f64::from(index))).collect()
        });
        Image { height: image.height, width: image.width, channels: 3, samples: samples.into() }
    }

    /// A [restored](Domain::restored) image without the pixels that do not count: they become the mark of no
    /// data, NaN where samples are floats, or no class. Of colours, and of integers without a mark, they stay.
    ///
    /// # Panics
    /// If the mask has another size.
    pub fn without(&self, mut image: Image, mask: &Mask) -> Image {
        let mark = match (&self.kind, self.samples) {
            (DomainKind::Labels { .. }, _) => f32::from(self.no_class()),
            (_, SampleType::F32) => self.nodata.map_or(f32::NAN, |mark| mark as f32),
            (_, _) => match self.nodata {
                Some(mark) => mark as f32,
                None => return image,
            },
        };
        image.fill_uncounted(mask, mark);
        image
    }

    /// The image as files have it, from a prepared one.
    pub fn restored(&self, image: Image) -> Image {
        match &self.kind {
            DomainKind::Values { ranges, .. } if !ranges.is_empty() => {
                self.on_own_ranges(&image, ranges)
            }
            _ => image,
        }
    }

    /// The index of a pixel of no class: the largest of the sample type.
    pub fn no_class(&self) -> u16 {
        if self.samples == SampleType::U8 { u16::from(u8::MAX) } else { u16::MAX }
    }

    /// Which pixels count; `None` if all do. A pixel counts if all its samples do.
    fn counting(&self, image: &Image) -> Option<Mask> {
        image.counted(match self.kind {
            DomainKind::Labels { .. } => Some(f64::from(self.no_class())),
            _ => self.nodata,
        })
    }

    fn on_one_range(&self, image: &Image, ranges: &[[f64; 2]], clip: bool) -> Image {
        let samples: Vec<f32> = with_samples!(Samples, &image.samples, all => {
            all.iter()
                .zip(ranges.iter().cycle())
                .map(|(&v, [low, high])| {
                    let on = (f64::from(v) - low) / (high - low);
                    (if clip { on.clamp(0.0, 1.0) } else { on }) as f32
                })
                .collect()
        });
        Image { samples: samples.into(), ..*image }
    }

    fn on_own_ranges(&self, image: &Image, ranges: &[[f64; 2]]) -> Image {
        let Samples::F32(all) = &image.samples else { panic!("prepared samples are f32") };
        let own = all
            .iter()
            .zip(ranges.iter().cycle())
            .map(|(&v, [low, high])| f64::from(v) * (high - low) + low);
        let samples = match self.samples {
            SampleType::U8 => Samples::U8(own.map(|v| v.round() as u8).collect()),
            SampleType::U16 => Samples::U16(own.map(|v| v.round() as u16).collect()),
            SampleType::F32 => Samples::F32(own.map(|v| v as f32).collect()),
        };
        Image { samples, ..*image }
    }
}
