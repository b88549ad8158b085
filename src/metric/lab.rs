//! Colours in CIE Lab, and how alike their distributions are.

use serde::Serialize;

/// Linear light from sRGB, to X, Y and Z (ITU-R BT.709 primaries, white D65), as scikit-image has it.
const XYZ: [[f64; 3]; 3] = [
    [0.412453, 0.357580, 0.180423],
    [0.212671, 0.715160, 0.072169],
    [0.019334, 0.119193, 0.950227],
];
/// X, Y and Z of white D65 seen at 2 degrees.
const WHITE: [f64; 3] = [0.95047, 1.0, 1.08883];

/// L (0 to 100), a and b of an sRGB colour.
///
/// Source: CIE 15, with the rounded constants of scikit-image's `rgb2lab`, whose results these are.
pub fn lab(rgb: [u8; 3]) -> [f64; 3] {
    let linear = rgb.map(|v| {
        let v = f64::from(v) / 255.0;
        if v > 0.04045 { ((v + 0.055) / 1.055).powf(2.4) } else { v / 12.92 }
    });
    let [x, y, z] = [0, 1, 2].map(|i| {
        let sum: f64 = XYZ[i].iter().zip(linear).map(|(m, v)| m * v).sum();
        let t = sum / WHITE[i];
        if t > 0.008856 { t.cbrt() } else { 7.787 * t + 16.0 / 116.0 }
    });
    [116.0 * y - 16.0, 500.0 * (x - y), 200.0 * (y - z)]
}

/// Bins of L, and of a and of b.
const BINS: [usize; 3] = [101, 221, 221];
/// The middle of the first bin.
const FIRST: [f64; 3] = [0.0, -110.0, -110.0];

/// How many pixels have which L, a and b, rounded: L from 0 to 100, a and b from -110 to 110; what is outside is in the
/// outermost bin. Whole numbers are the middles of bins, so that greys, whose a and b are 0 but for rounding, share one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LabHistogram {
    /// The counts of L, of a and of b.
    pub counts: [Vec<u64>; 3],
}

impl Default for LabHistogram {
    fn default() -> Self {
        LabHistogram { counts: BINS.map(|bins| vec![0; bins]) }
    }
}

impl LabHistogram {
    /// Of 8-bit RGB pixels.
    pub fn of(pixels: impl Iterator<Item = [u8; 3]>) -> Self {
        let mut all = LabHistogram::default();
        // Neighbours are often of one colour.
        let (mut last, mut bins) = (None, [0; 3]);
        for rgb in pixels {
            if last != Some(rgb) {
                let of = lab(rgb);
                bins = [0, 1, 2]
                    .map(|i| ((of[i] - FIRST[i]).round().max(0.0) as usize).min(BINS[i] - 1));
                last = Some(rgb);
            }
            all.counts.iter_mut().zip(bins).for_each(|(counts, bin)| counts[bin] += 1);
        }
        all
    }
}

/// The sum over the bins of the smaller share of both: 1 for equal distributions, 0 for such that have no bin in common;
/// NaN where one is of nothing.
///
/// Source: Swain and Ballard, "Color indexing", 1991; Isola et al. 2017, Figure 7(d).
pub fn intersection(a: &[u64], b: &[u64]) -> f64 {
    let [n, m] = [a, b].map(|counts| counts.iter().sum::<u64>() as f64);
    if n == 0.0 || m == 0.0 {
        return f64::NAN;
    }
    a.iter().zip(b).map(|(&a, &b)| (a as f64 / n).min(b as f64 / m)).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// By hand: half of the pixels are the same, the others differ in L alone.
    #[test]
    fn intersections_are_of_shares() {
        let (black, white, red) = ([0; 3], [255; 3], [255, 0, 0]);
        let shared = |a: &[[u8; 3]], b: &[[u8; 3]]| {
            let [a, b] = [a, b].map(|pixels| LabHistogram::of(pixels.iter().copied()).counts);
            [0, 1, 2].map(|i| intersection(&a[i], &b[i]))
        };
        assert_eq!(shared(&[black, red], &[red, red, white, white]), [0.5, 1.0, 1.0]);
        assert_eq!(shared(&[black, red], &[black]), [0.5; 3]);
        assert_eq!(shared(&[black, red, black], &[red, black, black]), [1.0; 3]);
        assert!(shared(&[], &[black])[0].is_nan());
    }
}
