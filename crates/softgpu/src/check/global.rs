//! Shadow of global memory for one launch: which block touched each word, and which blocks are ordered.
//!
//! A block hands on what it wrote by an atomic before which every warp that wrote has executed a fence;
//! another takes it over by a fence behind an atomic of its own, later one. Which locations the two atomics
//! meet at is not looked at.

use crate::mem::{Bytes, Table};
use std::sync::OnceLock;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::{Relaxed, SeqCst};

/// Words whose marks are made together, at the first touch of one of them, and chunks that are listed
/// together: a small kernel on a large arena pays for what it touches, not for the arena.
const CHUNK: usize = 2048;
const LISTED: usize = 64;

/// Marks of `LISTED * CHUNK` words.
type List = Box<[OnceLock<Bytes>; LISTED]>;

/// Two 32-bit marks a word: writer and reader, as block number plus one.
pub(crate) struct GlobalShadow {
    marks: Vec<OnceLock<Vec<OnceLock<List>>>>,
    /// Counts atomics.
    time: AtomicU64,
    /// When each block handed on all that it had written; 0 where it wrote since, or never did.
    handed_on: Vec<AtomicU64>,
}

/// Blocks of a launch that can be ordered, 8 bytes each; those behind race with whatever they share.
const MOST_ORDERED: u64 = 1 << 24;

/// Several blocks read the word.
const MANY: u32 = u32::MAX;

impl GlobalShadow {
    pub fn new(table: &Table, blocks: u64) -> GlobalShadow {
        GlobalShadow {
            marks: (0..table.len()).map(|_| OnceLock::new()).collect(),
            time: AtomicU64::new(0),
            handed_on: (0..blocks.min(MOST_ORDERED)).map(|_| AtomicU64::new(0)).collect(),
        }
    }

    /// The time of an atomic.
    pub fn tick(&self) -> u64 {
        self.time.fetch_add(1, SeqCst) + 1
    }

    /// The block hands on what it wrote at `time`; 0 where it has written since.
    pub fn hand_on(&self, block: u64, time: u64) {
        if let Some(handed_on) = self.handed_on.get(block as usize) {
            handed_on.store(time, SeqCst);
        }
    }

    /// Notes an access of a warp that has taken over what was handed on before `taken`; the block plus one
    /// that it races with, if any ([`u32::MAX`] for several).
    pub fn touch(
        &self,
        table: &Table,
        index: usize,
        offset: usize,
        block: u64,
        taken: u64,
        write: bool,
    ) -> Option<u32> {
        let lists = table[index].data.len().div_ceil(4 * CHUNK * LISTED);
        let chunk = offset / 4 / CHUNK;
        let marks = self.marks[index].get_or_init(|| (0..lists).map(|_| OnceLock::new()).collect())
            [chunk / LISTED]
            .get_or_init(|| Box::new(std::array::from_fn(|_| OnceLock::new())))[chunk % LISTED]
            .get_or_init(|| Bytes::zeroed(CHUNK * 8));
        let at = offset / 4 % CHUNK * 8;
        let me = (block as u32).wrapping_add(1);
        let (writer, reader) = (marks.u32_at(at), marks.u32_at(at + 4));
        let (w, r) = (writer.load(Relaxed), reader.load(Relaxed));
        let ordered = |other: u32| {
            let handed_on = self.handed_on.get((other as usize).wrapping_sub(1));
            let time = handed_on.map_or(0, |time| time.load(SeqCst));
            other != MANY && time != 0 && time < taken
        };
        let races = |other: &u32| *other != 0 && *other != me && !ordered(*other);
        let mut other = Some(w).filter(races);
        if write {
            other = other.or(Some(r).filter(races));
            writer.store(me, Relaxed);
        } else if r != me {
            reader.store(if r == 0 { me } else { MANY }, Relaxed);
        }
        other
    }
}
