//! Which bytes of global memory a launch touched, exact to the byte and cheap to keep.

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
    /// For each allocation: reads, writes.
    maps: Vec<[Map; 2]>,
    chunks: Vec<usize>,
}

impl Touched {
    /// Nothing, with room for marks in the allocations of `table`.
    pub fn new(table: &Table) -> Touched {
        let chunks = table.iter().map(|b| b.data.len().div_ceil(CHUNK)).collect();
        Touched { maps: table.iter().map(|_| Default::default()).collect(), chunks }
    }

    #[inline(always)]
    pub fn mark(&mut self, index: usize, offset: usize, bytes: usize, write: bool) {
        let map = &mut self.maps[index][usize::from(write)];
        if map.is_empty() {
            *map = vec![None; self.chunks[index]];
        }
        let (mut at, end) = (offset, offset + bytes);
        while at < end {
            let chunk = map[at / CHUNK].get_or_insert_with(|| Box::new([0; WORDS]));
            let stop = (at / 64 * 64 + 64).min(end);
            chunk[at % CHUNK / 64] |= (u64::MAX >> (64 - (stop - at))) << (at % 64);
            at = stop;
        }
    }

    /// Adds what another thread touched.
    pub fn merge(&mut self, other: Touched) {
        if self.maps.is_empty() {
            *self = other;
            return;
        }
        for (mine, theirs) in self.maps.iter_mut().flatten().zip(other.maps.into_iter().flatten()) {
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

    /// Sectors of 32 bytes that were read, or written.
    pub fn sectors(&self, write: bool) -> u64 {
        let chunks = self.maps.iter().flat_map(|m| m[usize::from(write)].iter().flatten());
        let halves = |w: &u64| u64::from(*w as u32 != 0) + u64::from(w >> 32 != 0);
        chunks.flat_map(|chunk| chunk.iter()).map(halves).sum()
    }

    /// The touched bytes as device addresses.
    pub fn ranges(&self, table: &Table) -> Touches {
        Touches { reads: self.merged(table, false), writes: self.merged(table, true) }
    }

    fn merged(&self, table: &Table, write: bool) -> Vec<Range<u64>> {
        let mut list: Vec<Range<u64>> = Vec::new();
        for (block, maps) in table.iter().zip(&self.maps) {
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
        one.mark(0, 3, 2, false);
        one.mark(0, CHUNK - 10, 20, true);
        two.mark(0, 5, 60, false);
        two.mark(0, 2 * CHUNK, 64, true);
        two.mark(1, 99, 1, true);
        two.mark(1, 0, 0, false);
        let mut all = Touched::default();
        all.merge(one);
        all.merge(two);
        let chunk = CHUNK as u64;
        let expected = Touches {
            reads: Vec::from([a + 3..a + 65]),
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
