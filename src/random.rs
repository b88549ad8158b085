//! Counter-based random numbers: every draw is a pure function of a key and a counter.
//!
//! Dropout, initial weights, the order of pictures, crops and flips all come from here, so nothing
//! random is ever stored: to resume is to know where one was.
//!
//! Source: Salmon, Moraes, Dror, Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC 2011,
//! Philox4x32 with 10 rounds.

/// What a stream of random numbers is for: the last word of the counter, so that two uses of one
/// seed never meet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Purpose {
    /// Initial weights.
    Init = 1,
    /// Dropout masks.
    Dropout = 2,
    /// The order of the pictures in an epoch.
    Shuffle = 3,
    /// Crops, flips and turns.
    Augment = 4,
    /// Noise and brightness of inputs.
    Noise = 5,
    /// Holes of pictures.
    Holes = 6,
    /// Which pictures a resample of a bootstrap has.
    Bootstrap = 7,
}

/// Lowest bits of the counter's last word, which hold the [`Purpose`]; a use may count in the others.
pub(crate) const PURPOSE_BITS: u32 = 8;
/// Rounds of [`philox`].
pub(crate) const PHILOX_ROUNDS: usize = 10;
/// What a round multiplies the first and the third word by.
pub(crate) const PHILOX_MULTIPLIERS: [u32; 2] = [0xD251_1F53, 0xCD9E_8D57];
/// What a round adds to the two words of the key.
pub(crate) const PHILOX_KEY_STEPS: [u32; 2] = [0x9E37_79B9, 0xBB67_AE85];
/// Bits of a [`uniform`] number: all that an f32 below 1 has.
pub(crate) const UNIFORM_BITS: u32 = 24;

/// Four 32-bit words from a 64-bit key and a 128-bit counter.
#[inline(always)]
pub fn philox(key: u64, counter: [u32; 4]) -> [u32; 4] {
    let mut k = [key as u32, (key >> 32) as u32];
    let mut x = counter;
    for _ in 0..PHILOX_ROUNDS {
        let a = u64::from(x[0]) * u64::from(PHILOX_MULTIPLIERS[0]);
        let b = u64::from(x[2]) * u64::from(PHILOX_MULTIPLIERS[1]);
        x = [(b >> 32) as u32 ^ x[1] ^ k[0], b as u32, (a >> 32) as u32 ^ x[3] ^ k[1], a as u32];
        k = [0, 1].map(|i| k[i].wrapping_add(PHILOX_KEY_STEPS[i]));
    }
    x
}

/// A uniform number in [0, 1) with 24 bits.
#[inline(always)]
pub fn uniform(word: u32) -> f32 {
    (word >> (32 - UNIFORM_BITS)) as f32 * (1.0 / (1u32 << UNIFORM_BITS) as f32)
}

/// An integer in 0..bound, with a bias below bound / 2^32.
#[inline(always)]
pub fn below(word: u32, bound: u32) -> u32 {
    ((u64::from(word) * u64::from(bound)) >> 32) as u32
}

/// Four normal numbers, mean 0 and deviation 1, by Box and Muller's transform in f64.
pub fn normal(key: u64, counter: [u32; 4]) -> [f32; 4] {
    let u = philox(key, counter).map(|w| (f64::from(w) + 0.5) / 4_294_967_296.0);
    let polar = |a: f64, b: f64| {
        let radius = (-2.0 * a.ln()).sqrt();
        let (sin, cos) = (std::f64::consts::TAU * b).sin_cos();
        [(radius * cos) as f32, (radius * sin) as f32]
    };
    let ([a, b], [c, d]) = (polar(u[0], u[1]), polar(u[2], u[3]));
    [a, b, c, d]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Known answers that the authors publish with Random123.
    #[test]
    fn philox_gives_the_published_words() {
        let pi = [0x243f_6a88, 0x85a3_08d3, 0x1319_8a2e, 0x0370_7344];
        let cases = [
            (0, [0; 4], [0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8]),
            (u64::MAX, [u32::MAX; 4], [0x408f_276d, 0x41c8_3b0e, 0xa20b_c7c6, 0x6d54_51fd]),
            (0x299f_31d0_a409_3822, pi, [0xd16c_fe09, 0x94fd_cceb, 0x5001_e420, 0x2412_6ea1]),
        ];
        for (key, counter, words) in cases {
            assert_eq!(philox(key, counter), words);
        }
    }

    /// The mean of n normal numbers has deviation 1/sqrt(n), their variance about sqrt(2/n): five
    /// deviations of each.
    #[test]
    fn normal_numbers_have_mean_0_and_deviation_1() {
        let n = 40_000;
        let x: Vec<f64> = (0..n / 4).flat_map(|i| normal(7, [i, 0, 0, 1])).map(f64::from).collect();
        let mean = x.iter().sum::<f64>() / f64::from(n);
        let var = x.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / f64::from(n);
        assert!(mean.abs() < 5.0 / f64::from(n).sqrt(), "mean {mean}");
        assert!((var - 1.0).abs() < 5.0 * (2.0 / f64::from(n)).sqrt(), "variance {var}");
    }
}
