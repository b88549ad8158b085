//! Device bytes that several host threads may touch at once, as a real device's threads do.
//!
//! Device programs may race; the host process must stay sound when they do. Every access goes through
//! relaxed atomics, which are plain moves on the machines we run on. Safe methods check their range
//! themselves, so no caller can break the invariant of the `unsafe` blocks.
#![allow(unsafe_code)]

use std::sync::atomic::{AtomicU8, AtomicU16, AtomicU32, AtomicU64, Ordering::Relaxed};

/// A fixed number of zeroed bytes, aligned to 8.
pub(crate) struct Bytes {
    words: *mut [AtomicU64],
    start: *mut u8,
    len: usize,
}

// SAFETY: the memory belongs to this value alone and is touched through atomics only; a program that
// was told the address of `Bytes::apart` reaches it beside us as one reaches memory of the C language.
unsafe impl Send for Bytes {}
// SAFETY: as above.
unsafe impl Sync for Bytes {}

impl Drop for Bytes {
    fn drop(&mut self) {
        // SAFETY: `words` came from Box::into_raw in `of_words` and is given back once.
        drop(unsafe { Box::from_raw(self.words) });
    }
}

impl Bytes {
    /// `len` zeroed bytes; pages are committed when touched.
    pub fn zeroed(len: usize) -> Bytes {
        Bytes::of_words(len)
    }

    /// `len` zeroed bytes, aligned to `room`, a power of two, and so far at least from what lies
    /// beside them.
    pub fn apart(len: usize, room: usize) -> Bytes {
        let mut bytes = Bytes::of_words(len + 3 * room);
        let at = bytes.start.addr();
        // Less than twice the room, which leaves as much behind the end.
        let skip = at.next_multiple_of(room) - at + room;
        bytes.start = bytes.start.wrapping_add(skip);
        bytes.len = len;
        bytes
    }

    fn of_words(len: usize) -> Bytes {
        let words = vec![0u64; len.div_ceil(8)].into_boxed_slice();
        // AtomicU64 has the size, alignment and validity of u64 (documented by std).
        let words = Box::into_raw(words) as *mut [AtomicU64];
        Bytes { words, start: words.cast(), len }
    }

    pub fn len(&self) -> usize {
        self.len
    }

    /// Where the bytes lie in this process.
    pub fn address(&self) -> u64 {
        self.start.expose_provenance() as u64
    }

    #[inline(always)]
    fn at(&self, offset: usize, width: usize) -> *mut u8 {
        assert!(
            offset & (width - 1) == 0 && width <= self.len && offset <= self.len - width,
            "callers check device addresses against their allocation"
        );
        self.start.wrapping_add(offset)
    }

    #[inline(always)]
    pub fn u8_at(&self, offset: usize) -> &AtomicU8 {
        // SAFETY: `at` keeps the address inside `words`, which lives as long as `self`; all accesses are
        // atomic.
        unsafe { AtomicU8::from_ptr(self.at(offset, 1)) }
    }

    #[inline(always)]
    pub fn u16_at(&self, offset: usize) -> &AtomicU16 {
        // SAFETY: as in `u8_at`; `at` also checks the alignment to 2.
        unsafe { AtomicU16::from_ptr(self.at(offset, 2).cast()) }
    }

    #[inline(always)]
    pub fn u32_at(&self, offset: usize) -> &AtomicU32 {
        // SAFETY: as in `u8_at`; `at` also checks the alignment to 4.
        unsafe { AtomicU32::from_ptr(self.at(offset, 4).cast()) }
    }

    #[inline(always)]
    pub fn u64_at(&self, offset: usize) -> &AtomicU64 {
        // SAFETY: as in `u8_at`; `at` also checks the alignment to 8.
        unsafe { AtomicU64::from_ptr(self.at(offset, 8).cast()) }
    }

    /// `count` consecutive 32-bit words from `offset`.
    #[inline(always)]
    pub fn u32s(&self, offset: usize, count: usize) -> &[AtomicU32] {
        assert!(offset.is_multiple_of(4) && offset <= self.len && count <= (self.len - offset) / 4);
        let start = self.start.wrapping_add(offset).cast::<AtomicU32>();
        // SAFETY: the assertion above keeps the whole run inside `words`, aligned to 4.
        unsafe { std::slice::from_raw_parts(start, count) }
    }

    /// Copies out; `offset + into.len()` must not exceed the length.
    pub fn read(&self, offset: usize, into: &mut [u8]) {
        let head = (offset.next_multiple_of(8) - offset).min(into.len());
        let (first, rest) = into.split_at_mut(head);
        for (i, b) in first.iter_mut().enumerate() {
            *b = self.u8_at(offset + i).load(Relaxed);
        }
        let mut at = offset + head;
        let mut words = rest.chunks_exact_mut(8);
        for chunk in &mut words {
            chunk.copy_from_slice(&self.u64_at(at).load(Relaxed).to_ne_bytes());
            at += 8;
        }
        for (i, b) in words.into_remainder().iter_mut().enumerate() {
            *b = self.u8_at(at + i).load(Relaxed);
        }
    }

    /// Copies in; `offset + from.len()` must not exceed the length.
    pub fn write(&self, offset: usize, from: &[u8]) {
        let head = (offset.next_multiple_of(8) - offset).min(from.len());
        let (first, rest) = from.split_at(head);
        for (i, b) in first.iter().enumerate() {
            self.u8_at(offset + i).store(*b, Relaxed);
        }
        let mut at = offset + head;
        let words = rest.chunks_exact(8);
        let tail = words.remainder();
        for chunk in words {
            let word = u64::from_ne_bytes(chunk.try_into().expect("chunks of eight"));
            self.u64_at(at).store(word, Relaxed);
            at += 8;
        }
        for (i, b) in tail.iter().enumerate() {
            self.u8_at(at + i).store(*b, Relaxed);
        }
    }
}
