//! Samples: the numbers of an image as they are stored, and the range that a network sees as [-1,
//! 1].

use serde::{Deserialize, Serialize};

/// The type of one number of an image.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SampleType {
    /// 0 to 255.
    #[default]
    U8,
    /// 0 to 65,535.
    U16,
    /// IEEE single precision.
    F32,
}

impl SampleType {
    /// Bytes of one sample.
    pub const fn size(self) -> usize {
        match self {
            SampleType::U8 => 1,
            SampleType::U16 => 2,
            SampleType::F32 => 4,
        }
    }
}

impl std::fmt::Display for SampleType {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        f.write_str(match self {
            SampleType::U8 => "u8",
            SampleType::U16 => "u16",
            SampleType::F32 => "f32",
        })
    }
}

/// A type of [`SampleType`].
pub trait Sample: Copy + Default + PartialEq + Into<f32> + Into<f64> + Send + Sync {
    /// The type at run time.
    const TYPE: SampleType;

    /// The sample nearest to `value`: halves are rounded away from 0, values outside the type's
    /// range are clamped, NaN becomes 0. An f32 is the value itself.
    fn nearest(value: f32) -> Self;
}

impl Sample for u8 {
    const TYPE: SampleType = SampleType::U8;

    fn nearest(value: f32) -> u8 {
        // The cast saturates.
        value.round() as u8
    }
}

impl Sample for u16 {
    const TYPE: SampleType = SampleType::U16;

    fn nearest(value: f32) -> u16 {
        value.round() as u16
    }
}

impl Sample for f32 {
    const TYPE: SampleType = SampleType::F32;

    fn nearest(value: f32) -> f32 {
        value
    }
}

/// Samples of any type.
#[derive(Clone, Debug, PartialEq)]
pub enum Samples {
    /// 8 bits each.
    U8(Vec<u8>),
    /// 16 bits each.
    U16(Vec<u16>),
    /// Single precision.
    F32(Vec<f32>),
}

/// Samples of any type, borrowed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum SampleSlice<'a> {
    /// 8 bits each.
    U8(&'a [u8]),
    /// 16 bits each.
    U16(&'a [u16]),
    /// Single precision.
    F32(&'a [f32]),
}

/// Evaluates an expression with `$values` standing for the slice or vector in `$samples`, once for
/// each type that it may have.
macro_rules! with_samples {
    ($enum:ident, $samples:expr, $values:pat => $body:expr) => {
        match $samples {
            $enum::U8($values) => $body,
            $enum::U16($values) => $body,
            $enum::F32($values) => $body,
        }
    };
}
pub(crate) use with_samples;

impl Samples {
    /// Whether every sample is 0.
    pub fn is_all_zero(&self) -> bool {
        with_samples!(Samples, self, all => all.iter().all(|&v| f64::from(v) == 0.0))
    }

    /// `len` zeros.
    pub fn zeros(of: SampleType, len: usize) -> Samples {
        match of {
            SampleType::U8 => Samples::U8(vec![0; len]),
            SampleType::U16 => Samples::U16(vec![0; len]),
            SampleType::F32 => Samples::F32(vec![0.0; len]),
        }
    }

    /// The type of the samples.
    pub fn sample_type(&self) -> SampleType {
        self.as_slice().sample_type()
    }

    /// Number of samples.
    pub fn len(&self) -> usize {
        self.as_slice().len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// All of them.
    pub fn as_slice(&self) -> SampleSlice<'_> {
        match self {
            Samples::U8(v) => SampleSlice::U8(v),
            Samples::U16(v) => SampleSlice::U16(v),
            Samples::F32(v) => SampleSlice::F32(v),
        }
    }

    /// The bytes in memory, in native byte order.
    pub(crate) fn bytes_mut(&mut self) -> &mut [u8] {
        with_samples!(Samples, self, v => bytemuck::cast_slice_mut(v))
    }

    /// Changes the type to `of` and the number to `len`; the memory is reused if the type stays.
    /// The values are unspecified afterwards.
    pub(crate) fn reset(&mut self, of: SampleType, len: usize) {
        if self.sample_type() != of {
            *self = Samples::zeros(of, len);
            return;
        }
        with_samples!(Samples, self, v => v.resize(len, Default::default()));
    }

    /// Copies `from` to index `at`.
    ///
    /// # Panics
    /// If the types differ or `from` does not fit.
    pub(crate) fn copy_at(&mut self, at: usize, from: SampleSlice) {
        let end = at + from.len();
        match (self, from) {
            (Samples::U8(to), SampleSlice::U8(from)) => to[at..end].copy_from_slice(from),
            (Samples::U16(to), SampleSlice::U16(from)) => to[at..end].copy_from_slice(from),
            (Samples::F32(to), SampleSlice::F32(from)) => to[at..end].copy_from_slice(from),
            (to, from) => {
                panic!("{} samples are made for {}", to.sample_type(), from.sample_type())
            }
        }
    }
}

impl Default for Samples {
    fn default() -> Self {
        Samples::U8(Vec::new())
    }
}

macro_rules! from {
    ($($type:ty => $variant:ident),*) => { $(
        impl From<Vec<$type>> for Samples {
            fn from(values: Vec<$type>) -> Samples {
                Samples::$variant(values)
            }
        }

        impl<'a> From<&'a [$type]> for SampleSlice<'a> {
            fn from(values: &'a [$type]) -> SampleSlice<'a> {
                SampleSlice::$variant(values)
            }
        }
    )* };
}
from!(u8 => U8, u16 => U16, f32 => F32);

impl<'a> SampleSlice<'a> {
    /// Their type.
    pub fn sample_type(self) -> SampleType {
        match self {
            SampleSlice::U8(_) => SampleType::U8,
            SampleSlice::U16(_) => SampleType::U16,
            SampleSlice::F32(_) => SampleType::F32,
        }
    }

    /// How many there are.
    pub fn len(self) -> usize {
        with_samples!(SampleSlice, self, v => v.len())
    }

    /// Whether there are none.
    pub fn is_empty(self) -> bool {
        self.len() == 0
    }

    /// The samples of `range`, which must lie inside.
    pub fn part(self, range: std::ops::Range<usize>) -> SampleSlice<'a> {
        with_samples!(SampleSlice, self, v => SampleSlice::from(&v[range]))
    }

    /// The bytes in memory, in the order of this machine.
    pub fn bytes(self) -> &'a [u8] {
        with_samples!(SampleSlice, self, v => bytemuck::cast_slice(v))
    }
}

/// The sample values that a network sees as -1 and 1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SampleRange {
    /// Seen as -1.
    pub low: f64,
    /// Seen as 1; above `low`.
    pub high: f64,
}

impl SampleRange {
    /// The range of 8 bits: 0 to 255.
    pub const BYTE: SampleRange = SampleRange { low: 0.0, high: 255.0 };

    /// That of a network, whose numbers are the samples: -1 to 1.
    pub const NETWORK: SampleRange = SampleRange { low: -1.0, high: 1.0 };

    /// Half the width of the range, which a network sees as 1: `(high - low) / 2`.
    pub fn half(self) -> f64 {
        (self.high - self.low) / 2.0
    }

    /// The pixel in [-1, 1] for a sample: `(sample - low) / half - 1` in f32, for 8 bits
    /// `sample / 127.5 - 1`.
    pub fn value<T: Sample>(self, sample: T) -> f32 {
        let sample: f32 = sample.into();
        (sample - self.low as f32) / self.half() as f32 - 1.0
    }

    /// The sample nearest to a network's output: `(value + 1) * half + low`, rounded.
    ///
    /// The PyTorch port truncates, which darkens every picture by half a level on average. With
    /// rounding, [`SampleRange::value`] and back is the identity for all samples of 8 and 16 bits.
    pub fn sample<T: Sample>(self, value: f32) -> T {
        T::nearest((value + 1.0) * self.half() as f32 + self.low as f32)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_sample_survives_the_way_to_values_and_back() {
        let byte = SampleRange::BYTE;
        for x in 0..=u8::MAX {
            let value = byte.value(x);
            assert_eq!(value.to_bits(), (f32::from(x) / 127.5 - 1.0).to_bits());
            assert_eq!(byte.sample::<u8>(value), x);
        }
        let deep = SampleRange { low: 0.0, high: 65_535.0 };
        assert!((0..=u16::MAX).all(|x| deep.sample::<u16>(deep.value(x)) == x));
        let metres = SampleRange { low: -100.0, high: 300.0 };
        assert_eq!([-100.0, 100.0, 300.0f32].map(|x| metres.value(x)), [-1.0, 0.0, 1.0]);
        assert_eq!(metres.sample::<f32>(0.5), 200.0);
    }

    #[test]
    fn samples_are_rounded_and_kept_in_their_type() {
        let sample = |x| SampleRange::BYTE.sample::<u8>(x);
        let edge = [-3.0, 7.5, 0.0, 0.4 / 127.5 - 1.0, f32::NAN];
        assert_eq!(edge.map(sample), [0, 255, 128, 0, 0]);
        let low = SampleRange { low: -10.0, high: 10.0 };
        assert_eq!([-1.0, 1.0].map(|x| low.sample::<u16>(x)), [0, 10]);
        assert_eq!(low.sample::<f32>(-1.5), -15.0);
    }

    #[test]
    fn samples_are_copied_and_cut_by_type() {
        let mut all = Samples::zeros(SampleType::U16, 5);
        all.copy_at(2, SampleSlice::U16(&[7, 8]));
        assert_eq!(all, Samples::U16(vec![0, 0, 7, 8, 0]));
        assert_eq!(all.as_slice().part(2..4), SampleSlice::U16(&[7, 8]));
        assert_eq!(all.as_slice().bytes().len(), 10);
        all.reset(SampleType::F32, 2);
        assert_eq!(all, Samples::F32(vec![0.0; 2]));
    }
}
