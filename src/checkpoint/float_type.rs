//! The number formats of stored weights, and their conversion to f32.

use std::io::{self, Read, Write};

/// A floating-point format in a file, little-endian.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FloatType {
    /// IEEE 754 binary16.
    F16,
    /// The upper half of a binary32.
    Bf16,
    /// IEEE 754 binary32, what we write.
    F32,
    /// IEEE 754 binary64, rounded to the nearest f32.
    F64,
}

/// Bytes converted at a time: small beside any tensor, large beside a system call.
const CHUNK: usize = 1 << 16;

impl FloatType {
    /// Bytes of one number.
    pub const fn size(self) -> usize {
        match self {
            FloatType::F16 | FloatType::Bf16 => 2,
            FloatType::F32 => 4,
            FloatType::F64 => 8,
        }
    }

    /// Fills `out` with the next `out.len()` numbers of `source`.
    ///
    /// # Errors
    /// The error of `source`; `UnexpectedEof` if it ends early.
    pub fn read(self, source: &mut impl Read, out: &mut [f32]) -> io::Result<()> {
        if self == FloatType::F32 {
            source.read_exact(bytemuck::cast_slice_mut(out))?;
            if cfg!(target_endian = "big") {
                out.iter_mut().for_each(|v| *v = f32::from_bits(v.to_bits().swap_bytes()));
            }
            return Ok(());
        }
        let mut bytes = vec![0; CHUNK.min(out.len() * self.size())];
        for part in out.chunks_mut(CHUNK / self.size()) {
            let bytes = &mut bytes[..part.len() * self.size()];
            source.read_exact(bytes)?;
            for (v, b) in part.iter_mut().zip(bytes.chunks_exact(self.size())) {
                *v = match *b {
                    [lo, hi] if self == FloatType::F16 => half(u16::from_le_bytes([lo, hi])),
                    [lo, hi] => f32::from_bits(u32::from(u16::from_le_bytes([lo, hi])) << 16),
                    [a, b, c, d, e, f, g, h] => f64::from_le_bytes([a, b, c, d, e, f, g, h]) as f32,
                    _ => 0.0,
                };
            }
        }
        Ok(())
    }
}

/// Writes `values` as little-endian f32.
///
/// # Errors
/// The error of `sink`.
pub fn write(sink: &mut impl Write, values: &[f32]) -> io::Result<()> {
    if cfg!(target_endian = "little") {
        return sink.write_all(bytemuck::cast_slice(values));
    }
    values.iter().try_for_each(|v| sink.write_all(&v.to_le_bytes()))
}

/// The value of a binary16, exactly: subnormals, infinities and NaN included.
fn half(bits: u16) -> f32 {
    let sign = u32::from(bits >> 15) << 31;
    let (exponent, fraction) = (u32::from(bits >> 10) & 31, u32::from(bits) & 1023);
    match exponent {
        // Subnormal: fraction * 2^-24, both factors exact in f32.
        0 => f32::from_bits(sign | (fraction as f32 * 2f32.powi(-24)).to_bits()),
        31 => f32::from_bits(sign | 0x7f80_0000 | fraction << 13),
        _ => f32::from_bits(sign | (exponent + 112) << 23 | fraction << 13),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(float_type: FloatType, bytes: &[u8]) -> Vec<f32> {
        let mut out = vec![f32::NAN; bytes.len() / float_type.size()];
        float_type.read(&mut &bytes[..], &mut out).unwrap();
        out
    }

    /// Bit patterns from the table of IEEE 754: one, minus two, the largest, the smallest normal,
    /// the smallest subnormal, infinity.
    #[test]
    fn halves_have_their_tabled_values() {
        let bits = [0x3c00u16, 0xc000, 0x7bff, 0x0400, 0x8001, 0x7c00, 0x8000];
        let bytes: Vec<u8> = bits.iter().flat_map(|b| b.to_le_bytes()).collect();
        let want = [1.0, -2.0, 65504.0, 6.103_515_6e-5, -5.960_464_5e-8, f32::INFINITY, -0.0];
        assert_eq!(read(FloatType::F16, &bytes).map_bits(), want.to_vec().map_bits());
        assert!(read(FloatType::F16, &[0x01, 0x7e])[0].is_nan());
    }

    #[test]
    fn other_formats_convert_and_short_sources_fail() {
        assert_eq!(read(FloatType::Bf16, &[0x80, 0x3f, 0x49, 0xc0]), [1.0, -3.140_625]);
        assert_eq!(read(FloatType::F64, &0.1f64.to_le_bytes()), [0.1]);
        assert_eq!(read(FloatType::F32, &0.1f32.to_le_bytes()), [0.1]);
        let error = FloatType::F16.read(&mut &[0u8][..], &mut [0.0]).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
    }

    #[test]
    fn long_tensors_cross_the_chunk() {
        let values: Vec<f64> = (0..20_000).map(f64::from).collect();
        let bytes: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
        assert!(read(FloatType::F64, &bytes).iter().zip(&values).all(|(a, b)| f64::from(*a) == *b));
    }

    trait MapBits {
        fn map_bits(self) -> Vec<u32>;
    }
    impl MapBits for Vec<f32> {
        fn map_bits(self) -> Vec<u32> {
            self.into_iter().map(f32::to_bits).collect()
        }
    }
}
