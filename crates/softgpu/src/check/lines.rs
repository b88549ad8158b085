//! Patterns of touched cells, made once for a pattern of addresses and laid down anywhere.

use crate::mutants::{Mutant, on};
use std::ops::Range;

/// Cells that one access of a warp touches, counted from the lowest: bits in lines of 64.
#[derive(Clone, Debug, Default)]
pub(crate) struct Lines {
    /// Number of the line and the bits in it; ascending, none empty.
    lines: Vec<(u32, u64)>,
}

impl Lines {
    /// The union of ranges of cells.
    pub fn of(ranges: impl Iterator<Item = Range<u64>>) -> Lines {
        let mut lines: Vec<(u32, u64)> = Vec::new();
        for range in ranges {
            let (mut at, end) = (range.start, range.end);
            while at < end {
                let stop = (at / 64 * 64 + 64).min(end);
                let bits = (u64::MAX >> (64 - (stop - at))) << (at % 64);
                let line = (at / 64) as u32;
                match lines.iter_mut().find(|l| l.0 == line) {
                    Some(known) => known.1 |= bits,
                    None => lines.push((line, bits)),
                }
                at = stop;
            }
        }
        lines.sort_unstable();
        Lines { lines }
    }

    /// Calls `visit` with lines and their bits where cell 0 of the pattern is cell `first`.
    #[inline(always)]
    pub fn at(&self, first: usize, mut visit: impl FnMut(usize, u64)) {
        let (line, shift) = (first / 64, if on(Mutant::LinesShift) { 0 } else { first % 64 });
        for &(i, bits) in &self.lines {
            let high = bits.checked_shr(64 - shift as u32).unwrap_or(0);
            for (i, bits) in [(line + i as usize, bits << shift), (line + i as usize + 1, high)] {
                if bits != 0 {
                    visit(i, bits);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_touches_the_same_cells_wherever_it_is_laid() {
        let ranges = [0..4u64, 60..70, 200..201, 2..5];
        let lines = Lines::of(ranges.iter().cloned());
        for first in [0usize, 1, 5, 59, 63, 64, 130] {
            let mut expected: Vec<usize> =
                ranges.iter().cloned().flatten().map(|c| c as usize + first).collect();
            expected.sort_unstable();
            expected.dedup();
            let mut cells = Vec::new();
            lines.at(first, |i, bits| {
                cells.extend((0..64).filter(|b| bits >> b & 1 != 0).map(|b| 64 * i + b));
            });
            cells.sort_unstable();
            assert_eq!(cells, expected, "at {first}");
        }
    }
}
