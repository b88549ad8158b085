//! The types that samples have in files, and their bytes.
//!
//! In memory samples are u8, u16 or f32 ([`SampleType`]): other types are held as f32, which has every
//! integer up to 2^24 = 16,777,216 exactly and f64 to 24 bits. What is rounded on the way in is counted.

use half::f16;

use crate::one_of::one_of;
use crate::tensor::{SampleSlice, SampleType, Samples, with_samples};

one_of! {
    /// The type of a sample in a file.
    pub enum StoredType {
        /// 0 to 255.
        U8 = "u8",
        /// -128 to 127.
        I8 = "i8",
        /// 0 to 65,535.
        U16 = "u16",
        /// -32,768 to 32,767.
        I16 = "i16",
        /// 0 to 2^32 - 1.
        U32 = "u32",
        /// -2^31 to 2^31 - 1.
        I32 = "i32",
        /// 0 to 2^64 - 1.
        U64 = "u64",
        /// -2^63 to 2^63 - 1.
        I64 = "i64",
        /// IEEE half precision.
        F16 = "f16",
        /// IEEE single precision.
        F32 = "f32",
        /// IEEE double precision.
        F64 = "f64",
    }
}

impl StoredType {
    /// Bytes of a sample.
    pub const fn size(self) -> usize {
        match self {
            StoredType::U8 | StoredType::I8 => 1,
            StoredType::U16 | StoredType::I16 | StoredType::F16 => 2,
            StoredType::U32 | StoredType::I32 | StoredType::F32 => 4,
            StoredType::U64 | StoredType::I64 | StoredType::F64 => 8,
        }
    }

    /// The type that holds such samples in memory.
    pub const fn held(self) -> SampleType {
        match self {
            StoredType::U8 => SampleType::U8,
            StoredType::U16 => SampleType::U16,
            _ => SampleType::F32,
        }
    }

    /// The type of a file that holds samples of this type in memory.
    pub const fn of(held: SampleType) -> StoredType {
        match held {
            SampleType::U8 => StoredType::U8,
            SampleType::U16 => StoredType::U16,
            SampleType::F32 => StoredType::F32,
        }
    }

    /// The smallest and largest value of an integer type; none for floats.
    pub fn bounds(self) -> Option<[f64; 2]> {
        match self {
            StoredType::U8 => Some([0.0, f64::from(u8::MAX)]),
            StoredType::I8 => Some([f64::from(i8::MIN), f64::from(i8::MAX)]),
            StoredType::U16 => Some([0.0, f64::from(u16::MAX)]),
            StoredType::I16 => Some([f64::from(i16::MIN), f64::from(i16::MAX)]),
            StoredType::U32 => Some([0.0, f64::from(u32::MAX)]),
            StoredType::I32 => Some([f64::from(i32::MIN), f64::from(i32::MAX)]),
            StoredType::U64 => Some([0.0, u64::MAX as f64]),
            StoredType::I64 => Some([i64::MIN as f64, i64::MAX as f64]),
            StoredType::F16 | StoredType::F32 | StoredType::F64 => None,
        }
    }

    /// Whether it is a float.
    pub fn is_float(self) -> bool {
        self.bounds().is_none()
    }
}

impl std::fmt::Display for StoredType {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        use crate::one_of::OneOf;
        let name = StoredType::ALL.iter().find(|(of, ..)| of == self).expect("all are listed").1;
        f.write_str(name)
    }
}

/// The order of the bytes of a number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ByteOrder {
    /// The lowest first.
    #[default]
    Little,
    /// The highest first.
    Big,
}

/// The numbers of `$type` in `$bytes`, each made by `$make`.
macro_rules! numbers {
    ($bytes:expr, $order:expr, $type:ty, $make:expr) => {{
        const SIZE: usize = size_of::<$type>();
        let all = $bytes.chunks_exact(SIZE).map(|b| b.try_into().expect("chunks have this size"));
        match $order {
            ByteOrder::Little => all.map(|b| $make(<$type>::from_le_bytes(b))).collect(),
            ByteOrder::Big => all.map(|b| $make(<$type>::from_be_bytes(b))).collect(),
        }
    }};
}

/// The samples in the bytes of a file, and how many of them had to be rounded to be held in memory.
/// Bytes behind the last whole sample are ignored.
pub fn samples_of(bytes: &[u8], stored: StoredType, order: ByteOrder) -> (Samples, usize) {
    let mut rounded = 0usize;
    /// An integer of 32 or 64 bits as f32; counts what is not exact.
    macro_rules! wide {
        ($type:ty) => {
            numbers!(bytes, order, $type, |v: $type| {
                let held = v as f32;
                rounded += usize::from(held as i128 != v as i128);
                held
            })
        };
    }
    let samples = match stored {
        StoredType::U8 => Samples::U8(bytes.to_vec()),
        StoredType::I8 => Samples::F32(bytes.iter().map(|&b| f32::from(b as i8)).collect()),
        StoredType::U16 => Samples::U16(numbers!(bytes, order, u16, |v| v)),
        StoredType::I16 => Samples::F32(numbers!(bytes, order, i16, f32::from)),
        StoredType::U32 => Samples::F32(wide!(u32)),
        StoredType::I32 => Samples::F32(wide!(i32)),
        StoredType::U64 => Samples::F32(wide!(u64)),
        StoredType::I64 => Samples::F32(wide!(i64)),
        StoredType::F16 => Samples::F32(numbers!(bytes, order, f16, f32::from)),
        StoredType::F32 => Samples::F32(numbers!(bytes, order, f32, |v| v)),
        StoredType::F64 => Samples::F32(numbers!(bytes, order, f64, |v: f64| {
            // Of floats, which are mostly measurements, only what single precision cannot tell counts:
            // beyond its range.
            rounded += usize::from(v.is_finite() && !(v as f32).is_finite());
            v as f32
        })),
    };
    (samples, rounded)
}

/// The bytes of samples in a file. Samples are rounded to the nearest value of an integer type, halves
/// away from 0, and clamped to its bounds; NaN becomes 0 there.
pub fn bytes_of(samples: SampleSlice, stored: StoredType, order: ByteOrder) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(samples.len() * stored.size());
    macro_rules! put {
        ($type:ty, $make:expr) => {
            with_samples!(SampleSlice, samples, all => for &v in all {
                let v: $type = $make(f64::from(v));
                match order {
                    ByteOrder::Little => bytes.extend_from_slice(&v.to_le_bytes()),
                    ByteOrder::Big => bytes.extend_from_slice(&v.to_be_bytes()),
                }
            })
        };
    }
    match stored {
        StoredType::U8 => put!(u8, |v: f64| v.round() as u8),
        StoredType::I8 => put!(i8, |v: f64| v.round() as i8),
        StoredType::U16 => put!(u16, |v: f64| v.round() as u16),
        StoredType::I16 => put!(i16, |v: f64| v.round() as i16),
        StoredType::U32 => put!(u32, |v: f64| v.round() as u32),
        StoredType::I32 => put!(i32, |v: f64| v.round() as i32),
        StoredType::U64 => put!(u64, |v: f64| v.round() as u64),
        StoredType::I64 => put!(i64, |v: f64| v.round() as i64),
        StoredType::F16 => put!(f16, f16::from_f64),
        StoredType::F32 => put!(f32, |v: f64| v as f32),
        StoredType::F64 => put!(f64, |v: f64| v),
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::one_of::OneOf;

    /// Every type, both orders, the edges of what is held exactly.
    #[test]
    fn samples_survive_their_bytes() {
        for &(stored, name, _) in StoredType::ALL {
            assert_eq!(stored.to_string(), name);
            let [low, high] = stored.bounds().unwrap_or([-2048.0, 2048.0]);
            let edge = f64::from(1 << 24);
            let values = [low.max(-edge), -3.0f64.max(low), 0.0, 1.0, 77.0, high.min(edge)];
            let samples = match stored.held() {
                SampleType::U8 => Samples::U8(values.map(|v| v.max(0.0) as u8).to_vec()),
                SampleType::U16 => Samples::U16(values.map(|v| v.max(0.0) as u16).to_vec()),
                SampleType::F32 => Samples::F32(values.map(|v| v.max(low) as f32).to_vec()),
            };
            for order in [ByteOrder::Little, ByteOrder::Big] {
                let bytes = bytes_of(samples.as_slice(), stored, order);
                assert_eq!(bytes.len(), values.len() * stored.size());
                assert_eq!(samples_of(&bytes, stored, order), (samples.clone(), 0), "{name}");
            }
        }
    }

    #[test]
    fn what_single_precision_cannot_hold_is_counted() {
        let of = |bytes: &[u8], stored| samples_of(bytes, stored, ByteOrder::Little).1;
        assert_eq!(of(&16_777_217u32.to_le_bytes(), StoredType::U32), 1);
        assert_eq!(of(&u32::MAX.to_le_bytes(), StoredType::U32), 1);
        assert_eq!(of(&i32::MIN.to_le_bytes(), StoredType::I32), 0);
        assert_eq!(of(&i64::MAX.to_le_bytes(), StoredType::I64), 1);
        assert_eq!(of(&u64::MAX.to_le_bytes(), StoredType::U64), 1);
        assert_eq!(of(&1e300f64.to_le_bytes(), StoredType::F64), 1);
        assert_eq!(of(&0.1f64.to_le_bytes(), StoredType::F64), 0);
    }

    #[test]
    fn samples_are_rounded_and_clamped_to_their_type() {
        let bytes = |v: f32, stored| bytes_of(SampleSlice::F32(&[v]), stored, ByteOrder::Little);
        assert_eq!(bytes(-7.5, StoredType::I8), [-8i8 as u8]);
        assert_eq!(bytes(400.0, StoredType::U8), [255]);
        assert_eq!(bytes(f32::NAN, StoredType::I16), [0, 0]);
        assert_eq!(bytes(-1e9, StoredType::I16), i16::MIN.to_le_bytes());
    }
}
