//! Where the tiles of a large picture lie, and how neighbours share what both cover.

use std::ops::Range;

/// Pixels over which one tile passes into the next, where there is room for more.
pub(super) const RAMP: usize = 64;

/// What tiles along an axis are to be, in pixels; all but the reach are multiples of the network's step, so that
/// every tile begins where the network's strides do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Cut {
    /// The extent of a tile.
    pub side: usize,
    /// What neighbours share.
    pub overlap: usize,
    /// What tiles begin at multiples of.
    pub align: usize,
    /// The extent of the last tile, at least; at most [`Cut::side`].
    pub least: usize,
    /// Pixels along the edges of a tile that are not those of the whole picture.
    pub reach: usize,
}

/// The tiles along one axis.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Axis {
    side: usize,
    length: usize,
    /// The first pixel of each tile, ascending.
    pub origins: Vec<usize>,
    /// For each tile but the first, the pixels over which it takes over from the one before, counted along
    /// the axis.
    pub ramps: Vec<Range<usize>>,
}

impl Axis {
    /// Tiles over `length` pixels. Where the overlap has room, neither of two neighbours is used within the reach;
    /// where it has none, its outer quarters are not used.
    pub fn new(length: usize, cut: Cut) -> Axis {
        let Cut { side, overlap, align, least, reach } = cut;
        let side = side.min(length);
        let step = side.saturating_sub(overlap).max(1);
        let mut origins: Vec<usize> =
            (0..).map(|i| i * step).take_while(|o| o + side < length).collect();
        let next = origins.len() * step;
        // The last tile is moved back until it has its extent.
        let last = length.saturating_sub(least.min(side)) / align * align;
        origins.push(next.min(last));
        let ramp = |pair: &[usize]| {
            let (from, to) = (pair[1], pair[0] + side);
            let zone = to - from;
            let edge = if zone > 2 * reach { reach } else { zone / 4 };
            let middle = from + zone / 2;
            let half = ((zone - 2 * edge) / 2).min(RAMP / 2);
            middle - half..middle + half
        };
        let ramps = origins.windows(2).map(ramp).collect();
        Axis { side, length, origins, ramps }
    }

    /// The extent of tile `i`.
    pub fn side(&self, i: usize) -> usize {
        self.side.min(self.length - self.origins[i])
    }

    /// Whether no pixel within `reach` of an inner edge of a tile is used.
    pub fn is_exact(&self, reach: usize) -> bool {
        let mut pairs = self.origins.windows(2).zip(&self.ramps);
        pairs.all(|(pair, ramp)| {
            ramp.start >= pair[1] + reach && ramp.end + reach <= pair[0] + self.side
        })
    }

    /// The share of tile `i` at pixel `x` of it, where the tile before has the rest: 0 before the ramp, 1 behind
    /// it, and 3 t^2 - 2 t^3 at the part t of it.
    pub fn share(&self, i: usize, x: usize) -> f32 {
        let Some(ramp) = i.checked_sub(1).map(|i| &self.ramps[i]) else { return 1.0 };
        let at = self.origins[i] + x;
        if at < ramp.start {
            0.0
        } else if at >= ramp.end {
            1.0
        } else {
            let t = (at - ramp.start) as f32 + 0.5;
            let t = t / ramp.len() as f32;
            t * t * (3.0 - 2.0 * t)
        }
    }

    /// The pixels whose step from the pixel before may show a border: where a ramp begins, its middle, and its
    /// end.
    pub fn borders(&self) -> Vec<usize> {
        let of = |ramp: &Range<usize>| [ramp.start, (ramp.start + ramp.end) / 2, ramp.end];
        self.ramps.iter().flat_map(of).collect()
    }

    /// How many pixels of tile `i` no tile before has.
    pub fn new_pixels(&self, i: usize) -> usize {
        match i.checked_sub(1) {
            Some(before) => {
                self.origins[i] + self.side(i) - self.origins[before] - self.side(before)
            }
            None => self.side(0),
        }
    }
}

/// `from` where `share` is 0, `to` where it is 1: exactly, and where both are equal.
pub(super) fn mixed(from: f32, to: f32, share: f32) -> f32 {
    if share >= 1.0 { to } else { from + (to - from) * share }
}

/// The steps from pixel to pixel, across the borders of tiles and elsewhere.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Steps {
    across: (f64, u64),
    inside: (f64, u64),
}

impl Steps {
    /// Counts the step between two numbers, which are neighbours.
    pub fn add(&mut self, from: f32, to: f32, border: bool) {
        let (sum, count) = if border { &mut self.across } else { &mut self.inside };
        *sum += f64::from((to - from).abs());
        *count += 1;
    }

    /// The mean step across borders over that elsewhere; `None` if there are no borders or no steps.
    pub fn seam(&self) -> Option<f64> {
        let mean = |(sum, count): (f64, u64)| (count > 0).then(|| sum / count as f64);
        let (across, inside) = (mean(self.across)?, mean(self.inside)?);
        (inside > 0.0).then(|| across / inside)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(side: usize, overlap: usize, reach: usize) -> Cut {
        Cut { side, overlap, align: 32, least: side, reach }
    }

    #[test]
    fn tiles_cover_an_axis_and_begin_at_multiples() {
        for (length, side, overlap) in [(64, 64, 32), (96, 64, 32), (1024, 256, 64), (992, 256, 96)]
        {
            for (reach, least) in [(0, side), (15, 32), (31, side), (500, 64)] {
                let align = 32;
                let axis = Axis::new(length, Cut { side, overlap, align, least, reach });
                let last = axis.origins.len() - 1;
                assert_eq!(axis.origins[0], 0);
                assert_eq!(axis.origins[last] + axis.side(last), length);
                assert!(axis.side(last) >= least.min(length) || last == 0, "{axis:?}");
                assert!((0..last).all(|i| axis.side(i) == side.min(length)));
                assert!(axis.origins.windows(2).all(|p| p[0] < p[1] && p[1] < p[0] + side));
                // Both tiles have every pixel of a ramp.
                for (pair, ramp) in axis.origins.windows(2).zip(&axis.ramps) {
                    assert!(pair[1] <= ramp.start && ramp.end <= pair[0] + side, "{axis:?}");
                }
                let new: usize = (0..axis.origins.len()).map(|i| axis.new_pixels(i)).sum();
                assert_eq!(new, length);
            }
        }
        assert!(Axis::new(1024, cut(256, 96, 31)).is_exact(31));
        assert!(!Axis::new(1024, cut(256, 32, 31)).is_exact(31));
        assert!(Axis::new(64, cut(256, 32, 31)).is_exact(31), "one tile has no inner edge");
    }

    #[test]
    fn shares_rise_smoothly_and_equal_numbers_stay() {
        let axis = Axis::new(512, cut(256, 64, 8));
        let shares: Vec<f32> = (0..256).map(|x| axis.share(1, x)).collect();
        assert_eq!((shares[0], shares[255]), (0.0, 1.0));
        assert!(shares.windows(2).all(|p| p[0] <= p[1] && p[1] - p[0] < 0.05));
        assert!((0..256).all(|x| axis.share(0, x) == 1.0));
        for share in [0.0, 0.1, 0.7, 1.0] {
            assert_eq!(mixed(0.3, 0.3, share), 0.3);
        }
        assert_eq!((mixed(1.0, 5.0, 0.0), mixed(1.0, 5.0, 1.0)), (1.0, 5.0));
    }

    #[test]
    fn a_seam_is_the_step_at_borders_over_that_elsewhere() {
        let mut steps = Steps::default();
        assert_eq!(steps.seam(), None);
        [(0.0, 1.0, false), (1.0, 0.0, false), (0.0, 3.0, true)]
            .into_iter()
            .for_each(|(a, b, border)| steps.add(a, b, border));
        assert_eq!(steps.seam(), Some(3.0));
    }
}
