//! Device memory: one address space, allocations far apart, and the record of what was freed.
//!
//! Addresses are never reused, so a stale pointer is always told from a live one. Allocations are
//! aligned to 512 bytes and at least [`GUARD`] bytes apart.
//!
//! Host memory that kernels reach too ([`Memory::alloc_host`]) lies among them under the address that
//! the host knows it by. There are no copies to keep alike: kernels read and write it in place, through
//! relaxed atomics, so that a program that touches it at the same time sees what it would see of a card
//! and cannot make the interpreter unsound. What the program writes is not seen by the checks: such
//! memory counts as initialised.

mod bytes;
mod valid;

pub(crate) use bytes::Bytes;
pub(crate) use valid::Valid;

use std::collections::VecDeque;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, PoisonError, RwLock};

/// Smallest distance between two allocations, bytes.
pub const GUARD: u64 = 512;

/// First device address.
const BASE: u64 = 0x7_0000_0000;
/// Freed allocations that are remembered by address; their bytes are given back at once.
const QUARANTINE: usize = 1 << 16;
/// Byte that fills new memory: every float of any width read from it is a NaN.
const POISON: u8 = 0xff;

/// Why a memory operation was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MemError {
    /// No room.
    #[error("out of device memory: {requested} bytes asked, {free} of {total} free")]
    OutOfMemory {
        /// Bytes asked for.
        requested: u64,
        /// Bytes free.
        free: u64,
        /// Size of the device memory.
        total: u64,
    },
    /// Not inside a live allocation.
    #[error("{bytes} bytes at {address:#x} are outside every live allocation{near}")]
    OutOfBounds {
        /// First address.
        address: u64,
        /// Length.
        bytes: u64,
        /// The nearest allocation in words, or nothing.
        near: String,
    },
    /// Inside memory that was freed.
    #[error(
        "{bytes} bytes at {address:#x} are in freed memory (allocation {base:#x} of {len} bytes)"
    )]
    UseAfterFree {
        /// First address.
        address: u64,
        /// Length.
        bytes: u64,
        /// Start of the freed allocation.
        base: u64,
        /// Its length.
        len: u64,
    },
    /// `free` of what is not the start of a live allocation.
    #[error("{address:#x} is not the start of a live allocation")]
    NotAnAllocation {
        /// The address.
        address: u64,
    },
}

/// A live allocation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Allocation {
    /// Device address.
    pub address: u64,
    /// Size, bytes.
    pub bytes: u64,
}

/// Totals.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemInfo {
    /// Size of the device memory, bytes.
    pub total: u64,
    /// Bytes not allocated.
    pub free: u64,
    /// Live allocations.
    pub allocations: usize,
    /// Most bytes ever live at once.
    pub peak: u64,
}

/// Bytes and shadow of one allocation.
pub(crate) struct Block {
    pub base: u64,
    pub data: Bytes,
    pub valid: Valid,
    pub read_only: bool,
}

impl Block {
    pub fn end(&self) -> u64 {
        self.base + self.data.len() as u64
    }

    /// Whether the range lies inside; no overflow for any address.
    #[inline(always)]
    pub fn holds(&self, address: u64, bytes: u64) -> bool {
        address >= self.base && bytes <= self.end() - self.base && address <= self.end() - bytes
    }
}

/// The live allocations at one moment, ascending by address.
pub(crate) type Table = Arc<Vec<Arc<Block>>>;

#[derive(Default)]
struct State {
    live: Table,
    freed: VecDeque<(u64, u64)>,
    next: u64,
    used: u64,
    peak: u64,
}

impl State {
    fn insert(&mut self, block: Block) {
        self.used += block.data.len() as u64;
        self.peak = self.peak.max(self.used);
        let at = self.live.partition_point(|b| b.base <= block.base);
        Arc::make_mut(&mut self.live).insert(at, Arc::new(block));
    }
}

/// One device's memory. All methods may be called from any thread.
pub struct Memory {
    state: RwLock<State>,
    total: u64,
}

impl Memory {
    /// A device with `total` bytes; nothing is committed before it is allocated.
    pub fn new(total: u64) -> Memory {
        Memory { state: RwLock::new(State { next: BASE, ..State::default() }), total }
    }

    /// Allocates `bytes` (0 gives a valid address of no bytes), uninitialised.
    pub fn alloc(&self, bytes: u64) -> Result<u64, MemError> {
        self.place(bytes, None)
    }

    /// Allocates and fills; `read_only` memory refuses stores of kernels.
    pub(crate) fn place_bytes(&self, data: &[u8], read_only: bool) -> Result<u64, MemError> {
        self.place(data.len() as u64, Some((data, read_only)))
    }

    fn place(&self, bytes: u64, data: Option<(&[u8], bool)>) -> Result<u64, MemError> {
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        let free = self.total - state.used;
        if bytes > free || bytes > 1 << 46 {
            return Err(MemError::OutOfMemory { requested: bytes, free, total: self.total });
        }
        let base = state.next;
        let block = Block {
            base,
            data: Bytes::zeroed(bytes as usize),
            valid: Valid::new(bytes as usize),
            read_only: data.is_some_and(|d| d.1),
        };
        match data {
            Some((from, _)) => {
                block.data.write(0, from);
                block.valid.set(0, from.len());
            }
            None => fill(&block.data, 0, bytes as usize, POISON),
        }
        state.next = (base + bytes + GUARD).next_multiple_of(512);
        state.insert(block);
        Ok(base)
    }

    /// Allocates memory of the host that kernels reach too, uninitialised, and returns its address for
    /// both. It stays until [`Memory::free`], and for as long as a launch that began before runs.
    pub fn alloc_host(&self, bytes: u64) -> Result<u64, MemError> {
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        let free = self.total - state.used;
        if bytes > free || bytes > 1 << 46 {
            return Err(MemError::OutOfMemory { requested: bytes, free, total: self.total });
        }
        let data = Bytes::apart(bytes as usize, GUARD as usize);
        fill(&data, 0, bytes as usize, POISON);
        let (base, valid) = (data.address(), Valid::known(bytes as usize));
        // The host's allocator gives addresses again.
        state.freed.retain(|(start, len)| base + bytes <= *start || start + len <= base);
        state.insert(Block { base, data, valid, read_only: false });
        Ok(base)
    }

    /// Frees the allocation that starts at `address`.
    pub fn free(&self, address: u64) -> Result<(), MemError> {
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        let found = state.live.binary_search_by_key(&address, |b| b.base);
        let index = found.map_err(|_| MemError::NotAnAllocation { address })?;
        let block = Arc::make_mut(&mut state.live).remove(index);
        state.used -= block.data.len() as u64;
        state.freed.push_back((block.base, block.data.len() as u64));
        if state.freed.len() > QUARANTINE {
            state.freed.pop_front();
        }
        Ok(())
    }

    /// The live allocation that `address` lies in.
    pub fn lookup(&self, address: u64) -> Option<Allocation> {
        let table = self.table();
        let block = find(&table, address)?;
        Some(Allocation { address: block.base, bytes: block.data.len() as u64 })
    }

    /// Copies device bytes to the host.
    pub fn read(&self, address: u64, into: &mut [u8]) -> Result<(), MemError> {
        let block = self.range(address, into.len() as u64)?;
        block.data.read((address - block.base) as usize, into);
        Ok(())
    }

    /// Copies host bytes to the device and marks them initialised.
    pub fn write(&self, address: u64, from: &[u8]) -> Result<(), MemError> {
        let block = self.range(address, from.len() as u64)?;
        let offset = (address - block.base) as usize;
        block.data.write(offset, from);
        block.valid.set(offset, from.len());
        Ok(())
    }

    /// Repeats `pattern` (1, 2 or 4 bytes) `count` times from `address` and marks the bytes initialised.
    pub fn fill(&self, address: u64, pattern: &[u8], count: u64) -> Result<(), MemError> {
        let bytes = (pattern.len() as u64).saturating_mul(count);
        let block = self.range(address, bytes)?;
        let offset = (address - block.base) as usize;
        if let [byte] = pattern {
            fill(&block.data, offset, bytes as usize, *byte);
        } else {
            for i in 0..bytes as usize {
                block.data.u8_at(offset + i).store(pattern[i % pattern.len()], Relaxed);
            }
        }
        block.valid.set(offset, bytes as usize);
        Ok(())
    }

    /// Copies device bytes to device bytes, with their initialised marks; ranges may overlap.
    pub fn copy(&self, to: u64, from: u64, bytes: u64) -> Result<(), MemError> {
        let source = self.range(from, bytes)?;
        let target = self.range(to, bytes)?;
        let mut data = vec![0; bytes as usize];
        let offset = (from - source.base) as usize;
        source.data.read(offset, &mut data);
        let at = (to - target.base) as usize;
        target.data.write(at, &data);
        if source.valid.all(offset, bytes as usize) {
            target.valid.set(at, bytes as usize);
        } else {
            let marks: Vec<bool> =
                (0..data.len()).map(|i| source.valid.all(offset + i, 1)).collect();
            for (i, mark) in marks.into_iter().enumerate() {
                if mark { target.valid.set(at + i, 1) } else { target.valid.clear(at + i, 1) }
            }
        }
        Ok(())
    }

    /// Whether every byte of the range was written by the host or a kernel.
    pub fn initialised(&self, address: u64, bytes: u64) -> Result<bool, MemError> {
        let block = self.range(address, bytes)?;
        Ok(block.valid.all((address - block.base) as usize, bytes as usize))
    }

    /// Totals.
    pub fn info(&self) -> MemInfo {
        let state = self.state.read().unwrap_or_else(PoisonError::into_inner);
        MemInfo {
            total: self.total,
            free: self.total - state.used,
            allocations: state.live.len(),
            peak: state.peak,
        }
    }

    /// The live allocations now; those freed later stay readable through the table.
    pub(crate) fn table(&self) -> Table {
        self.state.read().unwrap_or_else(PoisonError::into_inner).live.clone()
    }

    fn range(&self, address: u64, bytes: u64) -> Result<Arc<Block>, MemError> {
        let table = self.table();
        match find(&table, address) {
            Some(block) if block.holds(address, bytes) => Ok(block.clone()),
            _ => Err(self.explain(address, bytes)),
        }
    }

    /// Why the range is not inside one live allocation.
    pub(crate) fn explain(&self, address: u64, bytes: u64) -> MemError {
        let state = self.state.read().unwrap_or_else(PoisonError::into_inner);
        let last = address.saturating_add(bytes.max(1));
        for &(base, len) in &state.freed {
            if address < base + len && last > base {
                return MemError::UseAfterFree { address, bytes, base, len };
            }
        }
        let index = state.live.partition_point(|b| b.base <= address);
        let before = index.checked_sub(1).map(|i| &state.live[i]);
        let near = match before {
            Some(b) if address - b.base < 1 << 32 => {
                let len = b.data.len() as u64;
                let past = address.saturating_add(bytes).saturating_sub(b.end());
                format!("; it ends {past} bytes past the allocation {:#x} of {len} bytes", b.base)
            }
            _ => String::new(),
        };
        MemError::OutOfBounds { address, bytes, near }
    }
}

/// The block that `address` lies in (or at whose end it stands).
pub(crate) fn find(table: &Table, address: u64) -> Option<&Arc<Block>> {
    let index = table.partition_point(|b| b.base <= address);
    let block = &table[index.checked_sub(1)?];
    (address <= block.end()).then_some(block)
}

fn fill(data: &Bytes, offset: usize, count: usize, byte: u8) {
    let (mut at, end) = (offset, offset + count);
    while at < end && at % 8 != 0 {
        data.u8_at(at).store(byte, Relaxed);
        at += 1;
    }
    while at + 8 <= end {
        data.u64_at(at).store(u64::from_ne_bytes([byte; 8]), Relaxed);
        at += 8;
    }
    while at < end {
        data.u8_at(at).store(byte, Relaxed);
        at += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_told_apart() {
        let memory = Memory::new(1 << 20);
        let a = memory.alloc(100).unwrap();
        let b = memory.alloc(100).unwrap();
        assert!(b - (a + 100) >= GUARD && a.is_multiple_of(256));
        memory.write(a + 3, &[1, 2, 3]).unwrap();
        assert!(memory.initialised(a + 3, 3).unwrap());
        assert!(!memory.initialised(a + 2, 3).unwrap());
        let mut out = [0; 3];
        memory.read(a + 3, &mut out).unwrap();
        assert_eq!(out, [1, 2, 3]);
        assert!(matches!(memory.read(a + 98, &mut out), Err(MemError::OutOfBounds { .. })));
        assert!(matches!(memory.read(u64::MAX, &mut out), Err(MemError::OutOfBounds { .. })));
        memory.free(a).unwrap();
        assert!(matches!(memory.read(a, &mut out), Err(MemError::UseAfterFree { .. })));
        assert!(matches!(memory.free(a), Err(MemError::NotAnAllocation { .. })));
        assert_eq!(memory.info().free, (1 << 20) - 100);
        assert!(matches!(memory.alloc(1 << 20), Err(MemError::OutOfMemory { .. })));
    }

    #[test]
    fn host_memory_has_one_address_for_both_sides() {
        let memory = Memory::new(1 << 20);
        let device = memory.alloc(100).unwrap();
        let [a, b] = [100, 7].map(|bytes| memory.alloc_host(bytes).unwrap());
        let c = memory.alloc(100).unwrap();
        assert!(a.is_multiple_of(GUARD) && b.is_multiple_of(GUARD) && a.abs_diff(b) >= 2 * GUARD);
        assert!(memory.table().is_sorted_by_key(|block| block.base));
        for (address, bytes) in [(device, 100), (a, 100), (b, 7), (c, 100)] {
            assert_eq!(memory.lookup(address), Some(Allocation { address, bytes }));
        }
        let host = std::ptr::with_exposed_provenance_mut::<u8>(a as usize);
        memory.write(a + 3, &[1, 2, 3]).unwrap();
        // SAFETY: the allocation has 100 bytes, and nothing else runs here.
        #[allow(unsafe_code)]
        let seen = unsafe {
            host.add(4).write(9);
            host.add(5).read()
        };
        let mut out = [0; 3];
        memory.read(a + 3, &mut out).unwrap();
        assert_eq!((out, seen), ([1, 9, 3], 3));
        assert!(memory.initialised(a, 100).unwrap(), "what a program writes is not seen");
        memory.copy(a, device, 100).unwrap();
        assert!(memory.initialised(a, 100).unwrap(), "nor does a copy of unwritten bytes matter");
        assert!(matches!(memory.read(a + 98, &mut out), Err(MemError::OutOfBounds { .. })));
        memory.free(a).unwrap();
        assert!(matches!(memory.read(a, &mut out), Err(MemError::UseAfterFree { .. })));
        assert!(matches!(memory.alloc_host(1 << 20), Err(MemError::OutOfMemory { .. })));
    }

    #[test]
    fn copies_carry_marks() {
        let memory = Memory::new(1 << 20);
        let a = memory.alloc(64).unwrap();
        memory.fill(a, &[7, 8], 16).unwrap();
        memory.copy(a + 16, a + 8, 40).unwrap();
        assert!(memory.initialised(a, 40).unwrap());
        assert!(!memory.initialised(a + 40, 1).unwrap());
        memory.fill(a, &[0], 64).unwrap();
        assert!(memory.initialised(a, 64).unwrap());
    }
}
