//! The sizes that training pictures have before they are resized.

use serde::{Deserialize, Serialize};

use super::{Fit, Pairs};

/// The smallest, the middle and the largest of many lengths in pixels; of an even number, the lower
/// of the two in the middle.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spread {
    /// The smallest.
    pub min: usize,
    /// Half of them are at most as large.
    pub median: usize,
    /// The largest.
    pub max: usize,
}

impl Spread {
    /// How far lengths may lie apart and still count as one: by a tenth, which is less than what
    /// jitter changes the scale by, 286 / 256.
    const ONE: f64 = 1.1;

    /// Of at least one length.
    fn of(mut lengths: Vec<usize>) -> Spread {
        lengths.sort_unstable();
        let last = lengths.len() - 1;
        Spread { min: lengths[0], median: lengths[last / 2], max: lengths[last] }
    }

    /// Whether all are one length, or nearly so.
    pub fn nearly_one(self) -> bool {
        self.max as f64 <= self.min as f64 * Spread::ONE
    }

    /// Whether they are what they claim to be.
    fn sound(self) -> bool {
        0 < self.min && self.min <= self.median && self.median <= self.max
    }
}

/// "512", or "200 to 600".
impl std::fmt::Display for Spread {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        match self {
            Spread { min, max, .. } if min == max => write!(f, "{min}"),
            Spread { min, max, .. } => write!(f, "{min} to {max}"),
        }
    }
}

/// The sizes of training pictures in pixels, as they are before they are resized.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceSizes {
    /// Number of pairs.
    pub pairs: usize,
    /// Pixels in a row.
    pub width: Spread,
    /// Rows.
    pub height: Spread,
    /// The shorter of the two.
    pub short: Spread,
    /// The longer of the two.
    pub long: Spread,
    /// Pairs that are not square.
    pub not_square: usize,
    /// Pairs of which [`Fit::Crop`] uses the middle alone.
    pub too_long: usize,
}

impl SourceSizes {
    /// The sizes of all pairs; `None` for no pairs, or pairs that do not tell their size.
    pub fn of(pairs: &dyn Pairs) -> Option<SourceSizes> {
        let sizes: Vec<[usize; 2]> =
            (0..pairs.len()).map(|i| pairs.size(i)).collect::<Option<_>>()?;
        if sizes.is_empty() {
            return None;
        }
        let spread = |of: fn(&[usize; 2]) -> usize| Spread::of(sizes.iter().map(of).collect());
        let count = |of: fn(&[usize; 2]) -> bool| sizes.iter().filter(|size| of(size)).count();
        Some(SourceSizes {
            pairs: sizes.len(),
            width: spread(|[w, _]| *w),
            height: spread(|[_, h]| *h),
            short: spread(|[w, h]| *w.min(h)),
            long: spread(|[w, h]| *w.max(h)),
            not_square: count(|[w, h]| w != h),
            too_long: count(|&size| Fit::Crop.used(size) != size),
        })
    }

    /// Whether the numbers can be those of pictures; a damaged file may hold others.
    pub fn sound(&self) -> bool {
        [self.width, self.height, self.short, self.long].into_iter().all(Spread::sound)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::{Image, MemoryPairs};

    fn sizes(of: &[[usize; 2]]) -> SourceSizes {
        let image = |&[w, h]: &[usize; 2]| Image::filled(w, h, &[0]);
        let pairs = of.iter().map(|size| (image(size), image(size))).collect();
        SourceSizes::of(&MemoryPairs::new(pairs).unwrap()).unwrap()
    }

    #[test]
    fn sizes_are_counted() {
        let all = sizes(&[[30, 20], [20, 30], [20, 20], [90, 10]]);
        assert_eq!(all.pairs, 4);
        assert_eq!(all.width, Spread { min: 20, median: 20, max: 90 });
        assert_eq!(all.height, Spread { min: 10, median: 20, max: 30 });
        assert_eq!(all.short, Spread { min: 10, median: 20, max: 20 });
        assert_eq!(all.long, Spread { min: 20, median: 30, max: 90 });
        assert_eq!((all.not_square, all.too_long), (3, 1));
        assert_eq!(SourceSizes::of(&MemoryPairs::default()), None);
        assert!(all.sound());
        assert!(!SourceSizes { short: Spread { min: 0, median: 0, max: 0 }, ..all }.sound());
    }

    #[test]
    fn a_tenth_apart_is_nearly_one() {
        let near = |sides: &[usize]| {
            let squares: Vec<_> = sides.iter().map(|&side| [side, side]).collect();
            sizes(&squares).short.nearly_one()
        };
        assert!(near(&[512]) && near(&[500, 512, 550]));
        assert!(!near(&[500, 512, 551]));
        assert_eq!(sizes(&[[512, 512]]).short.to_string(), "512");
        assert_eq!(sizes(&[[9, 9], [12, 12]]).short.to_string(), "9 to 12");
    }
}
