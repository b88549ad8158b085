//! What one picture of a pair looks like, in a few numbers.

use std::hash::{DefaultHasher, Hasher};

use crate::data::{Domain, DomainKind, Image};
use crate::tensor::{SampleSlice, Samples, with_samples};

/// Rows and columns of [`Look::thumb`].
pub(super) const THUMB: usize = 32;

/// Figures of one picture.
#[derive(Clone, Debug)]
pub(super) struct Look {
    /// A hash of its size and prepared samples, so wide that no two pictures of a data set share one by chance.
    pub checksum: u64,
    /// The smallest and the largest sample that counts; none if none do.
    pub ends: Option<[f64; 2]>,
    /// Whether all pixels that count are equal; also where none do.
    pub is_constant: bool,
    /// The share of samples at the low and at the high end of the domain's range.
    pub at_ends: [f64; 2],
    /// The share of pixels that do not count.
    pub holes: f64,
    /// Its brightness in 32 x 32 means, less their mean, of length 1; none of a picture of one brightness.
    pub thumb: Option<Vec<f32>>,
    /// Pixels of each class of labels, the last those of no class.
    pub classes: Vec<u64>,
    /// Whether 16 bits hold no more than 8 do: all samples below 256, or all multiples of 257.
    pub shallow: bool,
}

impl Look {
    /// Of a picture that was read as its domain says.
    pub fn of(domain: &Domain, image: &Image) -> Look {
        let (prepared, mask) = domain.prepared(image.clone());
        let counts = mask.as_ref().map(|mask| match &mask.samples {
            Samples::U8(counts) => counts.as_slice(),
            _ => panic!("masks are of u8"),
        });
        let (channels, range) = (image.channels, domain.range());
        let (mut ends, mut at_ends, mut all) =
            ([f64::INFINITY, f64::NEG_INFINITY], [0u64; 2], 0u64);
        let mut is_constant = true;
        with_samples!(Samples, &image.samples, samples => {
            let mut first = None;
            for (i, pixel) in samples.chunks_exact(channels).enumerate() {
                if counts.is_some_and(|counts| counts[i] == 0) {
                    continue;
                }
                is_constant &= *first.get_or_insert(pixel) == pixel;
                for &sample in pixel {
                    let value = f64::from(sample);
                    ends = [ends[0].min(value), ends[1].max(value)];
                    at_ends[0] += u64::from(value <= range.low);
                    at_ends[1] += u64::from(value >= range.high);
                }
                all += channels as u64;
            }
        });
        let total = (image.width * image.height).max(1) as f64;
        let share = |n: u64| n as f64 / all.max(1) as f64;
        let labels = matches!(domain.kind, DomainKind::Labels { .. });
        Look {
            checksum: checksum(&prepared),
            ends: (all > 0).then_some(ends),
            is_constant,
            at_ends: at_ends.map(share),
            holes: 1.0 - (all as f64 / channels as f64) / total,
            thumb: thumb(&grey(&prepared)),
            classes: if labels { classes(domain, &prepared) } else { Vec::new() },
            shallow: match &image.samples {
                Samples::U16(all) => {
                    all.iter().all(|&v| v < 256) || all.iter().all(|&v| v.is_multiple_of(257))
                }
                _ => false,
            },
        }
    }

    /// The distance of two thumbs, 0 to 2; infinite where one has none.
    pub fn distance(&self, other: &Look) -> f32 {
        let (Some(a), Some(b)) = (&self.thumb, &other.thumb) else { return f32::INFINITY };
        a.iter().zip(b).map(|(a, b)| (a - b) * (a - b)).sum::<f32>().sqrt()
    }
}

fn checksum(image: &Image) -> u64 {
    let mut sum = DefaultHasher::new();
    match image.samples.as_slice() {
        SampleSlice::U8(all) => sum.write(all),
        SampleSlice::U16(all) => sum.write(bytemuck::cast_slice(all)),
        SampleSlice::F32(all) => sum.write(bytemuck::cast_slice(all)),
    }
    [image.width, image.height].into_iter().for_each(|side| sum.write_usize(side));
    sum.finish()
}

fn classes(domain: &Domain, image: &Image) -> Vec<u64> {
    let DomainKind::Labels { classes } = &domain.kind else { return Vec::new() };
    let mut counts = vec![0; classes.len() + 1];
    with_samples!(Samples, &image.samples, all => {
        all.iter().for_each(|&v| counts[(f64::from(v) as usize).min(classes.len())] += 1);
    });
    counts
}

/// The mean of the channels, as floats of one channel.
pub(super) fn grey(image: &Image) -> Image {
    let channels = image.channels;
    let samples: Vec<f32> = with_samples!(Samples, &image.samples, all => {
        all.chunks_exact(channels)
            .map(|pixel| pixel.iter().map(|&v| f64::from(v)).sum::<f64>() as f32 / channels as f32)
            .collect()
    });
    Image { channels: 1, samples: samples.into(), height: image.height, width: image.width }
}

/// Means of a grid of `side` x `side` cells, as even as pixels allow.
pub(super) fn cells(image: &Image, side: usize) -> Vec<f32> {
    let Samples::F32(all) = &image.samples else { panic!("grey pictures are floats") };
    let ends = |i: usize, length: usize| {
        let from = i * length / side;
        from..((i + 1) * length / side).max(from + 1).min(length)
    };
    let mut means = Vec::with_capacity(side * side);
    for y in 0..side {
        for x in 0..side {
            let (rows, columns) = (ends(y, image.height), ends(x, image.width));
            let count = (rows.len() * columns.len()) as f32;
            let sum: f32 =
                rows.map(|row| all[row * image.width..][columns.clone()].iter().sum::<f32>()).sum();
            means.push(sum / count);
        }
    }
    means
}

fn thumb(grey: &Image) -> Option<Vec<f32>> {
    let mut all = cells(grey, THUMB);
    let mean = all.iter().sum::<f32>() / all.len() as f32;
    all.iter_mut().for_each(|v| *v -= mean);
    let length = all.iter().map(|v| v * v).sum::<f32>().sqrt();
    all.iter_mut().for_each(|v| *v /= length);
    (length > 1e-6 && length.is_finite()).then_some(all)
}
