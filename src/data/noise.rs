//! Noise and brightness of inputs, against a network that learns the grain of its training pictures.
//!
//! Each sample of an input becomes `s + r * (brightness * u + noise * g)` with `r` the width of the range, `u`
//! one uniform number in [-1, 1] for the picture and `g` a normal one for each sample, rounded and clamped to
//! its type. Both are pure functions of (seed, epoch, sample, pass). Targets stay as they are.

use std::ops::Range;

use serde::{Deserialize, Serialize};

use super::{Domain, DomainKind};
use crate::error::{Error, Result};
use crate::random::{Purpose, philox, uniform};
use crate::tensor::{Sample, SampleRange, Samples, with_samples};

/// How much the samples of inputs are changed, as shares of the width of the range.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Shading {
    /// The standard deviation of the noise.
    #[serde(default)]
    pub noise: f32,
    /// The most that a picture gets brighter or darker.
    #[serde(default)]
    pub brightness: f32,
}

/// What a brightness counts as in the counter of its numbers; blocks of noise count from 0.
const OF_PICTURE: u32 = u32::MAX >> 8;

impl Shading {
    /// Whether nothing is changed.
    pub fn is_none(&self) -> bool {
        *self == Shading::default()
    }

    /// Refuses shares outside of 0 to 1, and any of labels.
    pub(super) fn check(&self, input: &Domain) -> Result<()> {
        let Shading { noise, brightness } = *self;
        for (name, share) in [("noise", noise), ("brightness", brightness)] {
            if !(0.0..=1.0).contains(&share) {
                return Err(Error::input(format!(
                    "{name} of {share}: it is a share of the range of samples, 0 to 1"
                )));
            }
        }
        if !self.is_none() && matches!(input.kind, DomainKind::Labels { .. }) {
            return Err(Error::input("labels have no noise and no brightness: leave both out"));
        }
        Ok(())
    }

    /// Changes the samples `of` a batch that belong to one input; `key` is the seed, and the picture, epoch and
    /// pass.
    pub(super) fn apply(
        &self,
        (seed, key): (u64, [u32; 3]),
        all: &mut Samples,
        of: Range<usize>,
        range: SampleRange,
    ) {
        if self.is_none() {
            return;
        }
        let width = 2.0 * range.half() as f32;
        let words = |block: u32| {
            // The purpose has the lowest byte of the last word, the block the others.
            let last = (block << 8) | Purpose::Noise as u32;
            philox(seed, [key[0], key[1], key[2], last])
        };
        let shift = self.brightness * (2.0 * uniform(words(OF_PICTURE)[0]) - 1.0);
        with_samples!(Samples, all, samples => {
            for (block, four) in samples[of].chunks_mut(4).enumerate() {
                let normal = match self.noise {
                    0.0 => [0.0; 4],
                    _ => normal(words(block as u32 % OF_PICTURE)),
                };
                for (sample, g) in four.iter_mut().zip(normal) {
                    let value = f64::from(*sample) as f32;
                    *sample = Sample::nearest(value + width * (shift + self.noise * g));
                }
            }
        });
    }
}

/// Four normal numbers. Source: Box and Muller, "A note on the generation of random normal deviates", 1958.
fn normal(words: [u32; 4]) -> [f32; 4] {
    let pair = |a: u32, b: u32| {
        // 1 - u is above 0.
        let radius = (-2.0 * (1.0 - uniform(a)).ln()).sqrt();
        let (sin, cos) = (std::f32::consts::TAU * uniform(b)).sin_cos();
        [radius * cos, radius * sin]
    };
    let ([a, b], [c, d]) = (pair(words[0], words[1]), pair(words[2], words[3]));
    [a, b, c, d]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn noise_has_its_deviation_and_depends_on_the_picture_alone() {
        let shading = Shading { noise: 0.1, brightness: 0.0 };
        let shaded = |key: [u32; 3]| {
            let mut samples = Samples::F32(vec![5.0; 40_000]);
            shading.apply((7, key), &mut samples, 0..40_000, SampleRange { low: 0.0, high: 10.0 });
            let Samples::F32(v) = samples else { unreachable!() };
            v
        };
        let v = shaded([1, 2, 0]);
        assert_eq!(v, shaded([1, 2, 0]));
        assert_ne!(v, shaded([2, 2, 0]));
        let mean = v.iter().map(|&x| f64::from(x)).sum::<f64>() / 4e4;
        let deviation =
            (v.iter().map(|&x| (f64::from(x) - mean).powi(2)).sum::<f64>() / 4e4).sqrt();
        // Of 40,000 numbers of deviation 1 the mean has a deviation of 0.005, the deviation one of 0.0035: five
        // of each.
        assert!(
            (mean - 5.0).abs() < 0.025 && (deviation - 1.0).abs() < 0.0175,
            "{mean} {deviation}"
        );
    }

    #[test]
    fn brightness_moves_a_picture_as_a_whole_and_stays_in_the_type() {
        let shading = Shading { noise: 0.0, brightness: 0.5 };
        let mut samples = Samples::U8(vec![100, 100, 250, 3]);
        shading.apply((3, [0, 0, 0]), &mut samples, 0..2, SampleRange::BYTE);
        let Samples::U8(v) = samples else { unreachable!() };
        assert!(v[0] == v[1] && v[0] != 100 && v[2..] == [250, 3], "{v:?}");
    }
}
