//! Which bytes of global memory a launch touched, exact to the byte and cheap to keep.

use crate::check::lines::Lines;
use crate::mem::Table;
use std::ops::Range;

/// Bytes whose bits are kept together: their bitmap is one page of the host.
const CHUNK: usize = 1 << 15;
const WORDS: usize = CHUNK / 64;

/// Bits of one allocation, a chunk at a time; no chunk stands for bytes that nothing touched. A small
/// kernel on a large arena thus pays for what it touches, not for the arena.
type Map = Vec<Option<Box<[u64; WORDS]>>>;

/// Bytes of global memory that a launch touched; see [`crate::Options::touches`].
///
/// Ranges are ascending and merged: neighbours that meet are one. Atomics count as writes, and
/// asynchronous copies read at the instruction that starts them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Touches {
    /// Device addresses that were read.
    pub reads: Vec<Range<u64>>,
    /// Device addresses that were written.
    pub writes: Vec<Range<u64>>,
}

/// What one host thread, and in the end the launch, touched.
#[derive(Default)]
pub(crate) struct Touched {
    /// For each allocation the place of its maps plus one, or 0: most launches touch few of many.
    places: Vec<u32>,
    /// Allocation with its reads and writes, in the order they were first touched.
    maps: Vec<(usize, [Map; 2])>,
}

impl Touched {
    /// Nothing, with room for marks in the allocations of `table`.
    pub fn new(table: &Table) -> Touched {
        Touched { places: vec![0; table.len()], maps: Vec::new() }
    }

    /// The maps of allocation `index`.
    #[inline(always)]
    fn maps(&mut self, index: usize) -> &mut [Map; 2] {
        if self.places[index] == 0 {
            self.maps.push((index, Default::default()));
            self.places[index] = self.maps.len() as u32;
        }
        &mut self.maps[self.places[index] as usize - 1].1
    }

    /// Notes a touch of `bytes` bytes from `offset` in allocation `index`, which is `len` bytes long.
    #[inline(always)]
    pub fn mark(&mut self, index: usize, len: usize, offset: usize, bytes: usize, write: bool) {
        let map = &mut self.maps(index)[usize::from(write)];
        if map.is_empty() {
            *map = vec![None; len.div_ceil(CHUNK)];
        }
        let (mut at, end) = (offset, offset + bytes);
        while at < end {
            let chunk = map[at / CHUNK].get_or_insert_with(|| Box::new([0; WORDS]));
            let stop = (at / 64 * 64 + 64).min(end);
            chunk[at % CHUNK / 64] |= (u64::MAX >> (64 - (stop - at))) << (at % 64);
            at = stop;
        }
    }

    /// The same for the bytes of a pattern whose lowest lies at `offset`.
    #[inline(always)]
    pub fn mark_lines(&mut self, index: usize, len: usize, offset: usize, l: &Lines, write: bool) {
        let map = &mut self.maps(index)[usize::from(write)];
        if map.is_empty() {
            *map = vec![None; len.div_ceil(CHUNK)];
        }
        l.at(offset, |line, bits| {
            let chunk = map[line / WORDS].get_or_insert_with(|| Box::new([0; WORDS]));
            chunk[line % WORDS] |= bits;
        });
    }

    /// Adds what another thread touched.
    pub fn merge(&mut self, other: Touched) {
        if self.places.is_empty() {
            *self = other;
            return;
        }
        for (index, theirs) in other.maps {
            for (mine, theirs) in self.maps(index).iter_mut().zip(theirs) {
                if mine.is_empty() {
                    *mine = theirs;
                    continue;
                }
                for (a, b) in mine.iter_mut().zip(theirs) {
                    match (a, b) {
                        (Some(a), Some(b)) => a.iter_mut().zip(&*b).for_each(|(x, y)| *x |= y),
                        (a @ None, b) => *a = b,
                        (Some(_), None) => {}
                    }
                }
            }
        }
    }

    /// Sectors of 32 bytes that were read, or written.
    pub fn sectors(&self, write: bool) -> u64 {
        let chunks = self.maps.iter().flat_map(|(_, m)| m[usize::from(write)].iter().flatten());
        let halves = |w: &u64| u64::from(*w as u32 != 0) + u64::from(w >> 32 != 0);
        chunks.flat_map(|chunk| chunk.iter()).map(halves).sum()
    }

    /// The touched bytes as device addresses.
    pub fn ranges(&self, table: &Table) -> Touches {
        Touches { reads: self.merged(table, false), writes: self.merged(table, true) }
    }

    fn merged(&self, table: &Table, write: bool) -> Vec<Range<u64>> {
        let mut list: Vec<Range<u64>> = Vec::new();
        for (block, &place) in table.iter().zip(&self.places) {
            let Some(place) = place.checked_sub(1) else { continue };
            let maps = &self.maps[place as usize].1;
            for (i, chunk) in maps[usize::from(write)].iter().enumerate() {
                let Some(chunk) = chunk else { continue };
                for (j, &word) in chunk.iter().enumerate() {
                    let base = block.base + (i * CHUNK + j * 64) as u64;
                    let (mut rest, mut from) = (word, 0);
                    while rest != 0 {
                        let skip = rest.trailing_zeros();
                        let ones = (rest >> skip).trailing_ones();
                        let start = base + u64::from(from + skip);
                        let end = start + u64::from(ones);
                        match list.last_mut() {
                            Some(last) if last.end == start => last.end = end,
                            _ => list.push(start..end),
                        }
                        from += skip + ones;
                        rest = rest.checked_shr(skip + ones).unwrap_or(0);
                    }
                }
            }
        }
        list
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mem::Memory;

    #[test]
    fn marks_merge_to_the_byte_across_words_chunks_and_threads() {
        let memory = Memory::new(1 << 20);
        let a = memory.alloc(3 * CHUNK as u64).unwrap();
        let b = memory.alloc(100).unwrap();
        let table = memory.table();
        let (mut one, mut two) = (Touched::new(&table), Touched::new(&table));
        one.mark(0, 3 * CHUNK, 3, 2, false);
        one.mark(0, 3 * CHUNK, CHUNK - 10, 20, true);
        two.mark(0, 3 * CHUNK, 5, 60, false);
        two.mark(0, 3 * CHUNK, 2 * CHUNK, 64, true);
        two.mark(1, 100, 99, 1, true);
        two.mark(1, 100, 0, 0, false);
        let mut all = Touched::default();
        all.merge(one);
        all.merge(two);
        let chunk = CHUNK as u64;
        let expected = Touches {
            reads: std::iter::once(a + 3..a + 65).collect(),
            writes: vec![
                a + chunk - 10..a + chunk + 10,
                a + 2 * chunk..a + 2 * chunk + 64,
                b + 99..b + 100,
            ],
        };
        assert_eq!(all.ranges(&table), expected);
        assert_eq!((all.sectors(false), all.sectors(true)), (3, 2 + 2 + 1));
    }
}
