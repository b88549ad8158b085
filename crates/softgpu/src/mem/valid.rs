//! One bit a byte: has anything written it?

use super::bytes::Bytes;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

/// The shadow of one allocation.
pub(crate) struct Valid {
    bits: Bytes,
    /// Set once everything is known to be written, so that no bit is looked at again.
    full: AtomicBool,
    len: usize,
    /// Whether nothing is ever unknown: a program writes the bytes without telling.
    known: bool,
}

impl Valid {
    pub fn new(len: usize) -> Valid {
        Valid {
            bits: Bytes::zeroed(len.div_ceil(8)),
            full: AtomicBool::new(len == 0),
            len,
            known: false,
        }
    }

    /// The shadow of memory that a program writes itself: all of it counts as written.
    pub fn known(len: usize) -> Valid {
        Valid { bits: Bytes::zeroed(0), full: AtomicBool::new(true), len, known: true }
    }

    #[inline(always)]
    pub fn is_full(&self) -> bool {
        self.full.load(Relaxed)
    }

    /// Marks `count` bytes from `offset` as written.
    #[inline]
    pub fn set(&self, offset: usize, count: usize) {
        if self.is_full() {
            return;
        }
        if offset == 0 && count == self.len {
            self.full.store(true, Relaxed);
            return;
        }
        self.each(offset, count, |byte, mask| {
            if mask == 0xff {
                self.bits.u8_at(byte).store(0xff, Relaxed);
            } else {
                self.bits.u8_at(byte).fetch_or(mask, Relaxed);
            }
            true
        });
    }

    /// Marks bytes as never written: a store of an undefined value.
    pub fn clear(&self, offset: usize, count: usize) {
        if self.known {
            return;
        }
        if self.is_full() {
            self.full.store(false, Relaxed);
            for i in 0..self.bits.len() {
                self.bits.u8_at(i).store(0xff, Relaxed);
            }
        }
        self.each(offset, count, |byte, mask| {
            self.bits.u8_at(byte).fetch_and(!mask, Relaxed);
            true
        });
    }

    /// Whether all `count` bytes from `offset` were written.
    #[inline]
    pub fn all(&self, offset: usize, count: usize) -> bool {
        self.is_full()
            || self.each(offset, count, |byte, mask| {
                self.bits.u8_at(byte).load(Relaxed) & mask == mask
            })
    }

    /// Calls `visit` with each shadow byte and the bits of it in the range, until it says false.
    #[inline(always)]
    fn each(&self, offset: usize, count: usize, visit: impl Fn(usize, u8) -> bool) -> bool {
        let (mut at, end) = (offset, offset + count);
        while at < end {
            let stop = (at | 7).min(end - 1);
            let mask = ((1u32 << (stop - at + 1)) - 1) as u8;
            if !visit(at / 8, mask << (at % 8)) {
                return false;
            }
            at = stop + 1;
        }
        true
    }
}
