//! Shadow of global memory for one launch: which block touched each word.

use crate::mem::{Bytes, Table};
use std::sync::OnceLock;
use std::sync::atomic::Ordering::Relaxed;

/// Words whose marks are made together, at the first touch of one of them, and chunks that are listed
/// together: a small kernel on a large arena pays for what it touches, not for the arena.
const CHUNK: usize = 2048;
const LISTED: usize = 64;

/// Marks of `LISTED * CHUNK` words.
type List = Box<[OnceLock<Bytes>; LISTED]>;

/// Two 32-bit marks a word: writer and reader, as block number plus one.
pub(crate) struct GlobalShadow {
    marks: Vec<OnceLock<Vec<OnceLock<List>>>>,
}

/// Several blocks read the word.
const MANY: u32 = u32::MAX;

impl GlobalShadow {
    pub fn new(table: &Table) -> GlobalShadow {
        GlobalShadow { marks: (0..table.len()).map(|_| OnceLock::new()).collect() }
    }

    /// Notes an access; the block plus one that it races with, if any ([`u32::MAX`] for several).
    pub fn touch(
        &self,
        table: &Table,
        index: usize,
        offset: usize,
        block: u64,
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
        let mut other = (w != 0 && w != me).then_some(w);
        if write {
            other = other.or((r != 0 && r != me).then_some(r));
            writer.store(me, Relaxed);
        } else if r != me {
            reader.store(if r == 0 { me } else { MANY }, Relaxed);
        }
        other
    }
}
