//! What the compiler does not make good vector code of: the products of `mma`, and loads of four words a lane.
//!
//! A `Simd` is proof that the machine has AVX2 and FMA; where it has not, the plain loops of `mma.rs` and
//! `shared.rs` do the same, and tests hold the two to each other bit by bit.
#![allow(unsafe_code)]

use super::lanes::W;
use super::shared::WORDS;

/// Values that a register of an `mma` operand holds.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Values {
    /// One f32, of which this mask is used.
    One(u32),
    /// Two bf16, the lower first.
    Two,
}

#[cfg(target_arch = "x86_64")]
pub(super) use x86::Simd;

/// No other machine has them.
#[cfg(not(target_arch = "x86_64"))]
#[derive(Clone, Copy)]
pub(super) enum Simd {}

#[cfg(not(target_arch = "x86_64"))]
impl Simd {
    pub fn detect() -> Option<Simd> {
        None
    }

    pub fn mma(self, _: Values, _: [&W; 4], _: [&W; 2], _: [&W; 4]) -> [W; 4] {
        match self {}
    }

    pub fn load_quads(self, _: &[u32; WORDS], _: &W) -> [W; 4] {
        match self {}
    }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use super::{Values, W, WORDS};
    use std::arch::x86_64::*;

    /// The machine has AVX2 and FMA. Made by [`Simd::detect`] alone.
    #[derive(Clone, Copy)]
    pub struct Simd(());

    impl Simd {
        /// The proof, where it holds. Deliberate mistakes are made in the plain loops, so they get none.
        pub fn detect() -> Option<Simd> {
            let there = is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma");
            (there && !cfg!(feature = "mutants")).then_some(Simd(()))
        }

        /// D = A B + C of m16n8k8 (`One`) or m16n8k16 (`Two`), f32 sums, fused, in the order of k.
        #[inline(always)]
        pub fn mma(self, values: Values, a: [&W; 4], b: [&W; 2], c: [&W; 4]) -> [W; 4] {
            // SAFETY: `self` exists only where `detect` found both features.
            unsafe {
                match values {
                    Values::One(mask) => product::<1, 8>(mask, a, b, c),
                    Values::Two => product::<2, 16>(0, a, b, c),
                }
            }
        }

        /// Word v of the quad of shared memory at lane l's address becomes lane l of register v.
        #[inline(always)]
        pub fn load_quads(self, words: &[u32; WORDS], a: &W) -> [W; 4] {
            // SAFETY: as in `mma`.
            unsafe { load_quads(words, a) }
        }
    }

    #[inline(always)]
    fn load8(from: &[u32; 8]) -> __m256i {
        // SAFETY: the reference is to 32 readable bytes, and the load takes any alignment.
        unsafe { _mm256_loadu_si256(from.as_ptr().cast()) }
    }

    #[inline(always)]
    fn store8(to: &mut [u32; 8], value: __m256i) {
        // SAFETY: as in `load8`, writable.
        unsafe { _mm256_storeu_si256(to.as_mut_ptr().cast(), value) }
    }

    #[inline(always)]
    fn load4(from: &[u32; 4]) -> __m128i {
        // SAFETY: as in `load8`, 16 bytes.
        unsafe { _mm_loadu_si128(from.as_ptr().cast()) }
    }

    #[inline(always)]
    fn store4(to: &mut [u32; 4], value: __m128i) {
        // SAFETY: as in `store8`, 16 bytes.
        unsafe { _mm_storeu_si128(to.as_mut_ptr().cast(), value) }
    }

    #[inline(always)]
    fn eights(w: &W) -> &[[u32; 8]] {
        w.as_chunks::<8>().0
    }

    /// Rows of four words in each half of the inputs become columns.
    #[target_feature(enable = "avx2")]
    #[inline]
    fn transpose_halves(y: [__m256i; 4]) -> [__m256i; 4] {
        let low = [_mm256_unpacklo_epi32(y[0], y[1]), _mm256_unpacklo_epi32(y[2], y[3])];
        let high = [_mm256_unpackhi_epi32(y[0], y[1]), _mm256_unpackhi_epi32(y[2], y[3])];
        [
            _mm256_unpacklo_epi64(low[0], low[1]),
            _mm256_unpackhi_epi64(low[0], low[1]),
            _mm256_unpacklo_epi64(high[0], high[1]),
            _mm256_unpackhi_epi64(high[0], high[1]),
        ]
    }

    #[target_feature(enable = "avx2")]
    #[inline]
    fn load_quads(words: &[u32; WORDS], a: &W) -> [W; 4] {
        let quads = words.as_chunks::<4>().0;
        let mut out = [[0; 32]; 4];
        for group in 0..4 {
            // Lanes i and 4 + i of the group share a register, so that a column comes out in order.
            let quad = |l: usize| load4(&quads[(a[8 * group + l] / 16) as usize % (WORDS / 4)]);
            let pair = |i: usize| {
                let low = _mm256_castsi128_si256(quad(i));
                _mm256_inserti128_si256::<1>(low, quad(4 + i))
            };
            let columns = transpose_halves([pair(0), pair(1), pair(2), pair(3)]);
            for (column, lanes) in columns.into_iter().zip(&mut out) {
                store8(&mut lanes.as_chunks_mut::<8>().0[group], column);
            }
        }
        out
    }

    /// The values of a register: `part` 0 alone, or the lower and the upper 16 bits.
    #[target_feature(enable = "avx2")]
    #[inline]
    fn value<const PARTS: usize>(part: usize, mask: u32, bits: __m256i) -> __m256i {
        match (PARTS, part) {
            (1, _) => _mm256_and_si256(bits, _mm256_set1_epi32(mask as i32)),
            (_, 0) => _mm256_slli_epi32::<16>(bits),
            _ => _mm256_and_si256(bits, _mm256_set1_epi32(0xffff_0000_u32 as i32)),
        }
    }

    #[target_feature(enable = "avx2,fma")]
    #[inline]
    fn product<const PARTS: usize, const K: usize>(
        mask: u32,
        a: [&W; 4],
        b: [&W; 2],
        c: [&W; 4],
    ) -> [W; 4] {
        // Row k of B, its columns in the order 0 2 4 6 1 3 5 7: then a row of C is two registers side by side.
        let mut rows = [_mm256_setzero_ps(); K];
        for (i, register) in b.into_iter().enumerate() {
            let y = eights(register);
            let columns =
                transpose_halves([load8(&y[0]), load8(&y[1]), load8(&y[2]), load8(&y[3])]);
            for (t, bits) in columns.into_iter().enumerate() {
                for part in 0..PARTS {
                    rows[(4 * i + t) * PARTS + part] =
                        _mm256_castsi256_ps(value::<PARTS>(part, mask, bits));
                }
            }
        }
        let mut out = [[0; 32]; 4];
        for half in 0..2 {
            // The values of rows g (or g + 8) of A, for each register and part.
            let mut values = [[[0; 32]; PARTS]; 2];
            for (i, values) in values.iter_mut().enumerate() {
                let bits = eights(a[2 * i + half]);
                for (part, values) in values.iter_mut().enumerate() {
                    for (to, bits) in values.as_chunks_mut::<8>().0.iter_mut().zip(bits) {
                        store8(to, value::<PARTS>(part, mask, load8(bits)));
                    }
                }
            }
            let fours = [c[2 * half].as_chunks::<4>().0, c[2 * half + 1].as_chunks::<4>().0];
            for g in 0..8 {
                let even = _mm256_castsi128_si256(load4(&fours[0][g]));
                let mut sums =
                    _mm256_castsi256_ps(_mm256_inserti128_si256::<1>(even, load4(&fours[1][g])));
                for (k, row) in rows.iter().enumerate() {
                    let (quarter, part) = (k / PARTS, k % PARTS);
                    let x = values[quarter / 4][part][4 * g + quarter % 4];
                    let x = _mm256_castsi256_ps(_mm256_set1_epi32(x as i32));
                    sums = _mm256_fmadd_ps(x, *row, sums);
                }
                let sums = _mm256_castps_si256(sums);
                let to = &mut out[2 * half].as_chunks_mut::<4>().0[g];
                store4(to, _mm256_castsi256_si128(sums));
                let to = &mut out[2 * half + 1].as_chunks_mut::<4>().0[g];
                store4(to, _mm256_extracti128_si256::<1>(sums));
            }
        }
        out
    }
}
