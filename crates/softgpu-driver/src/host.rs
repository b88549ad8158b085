//! The program's own memory, which copies read and write when they run.
#![allow(unsafe_code)]

/// A piece of the program's memory that an operation in flight may touch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HostSpan {
    address: usize,
    bytes: usize,
}

/// Bytes moved at a time between host memory and device memory.
const CHUNK: usize = 64 << 10;

impl HostSpan {
    /// The `bytes` bytes at `address`.
    ///
    /// # Safety
    /// They must stay allocated, readable (and, if [`HostSpan::write_from`] is used, writable)
    /// until every operation that was given the span has run. The CUDA Driver API asks just this of
    /// a caller of its asynchronous copies.
    pub unsafe fn new(address: *const u8, bytes: usize) -> Self {
        HostSpan { address: address as usize, bytes }
    }

    /// First address.
    pub fn address(self) -> u64 {
        self.address as u64
    }

    /// Length.
    pub fn bytes(self) -> usize {
        self.bytes
    }

    /// Hands the bytes to `take` in pieces, each with its offset, until it fails.
    ///
    /// # Errors
    /// The first error of `take`.
    pub fn read_into<E>(
        self,
        mut take: impl FnMut(usize, &[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut piece = vec![0u8; CHUNK.min(self.bytes)];
        for offset in (0..self.bytes).step_by(CHUNK) {
            let count = CHUNK.min(self.bytes - offset);
            // SAFETY: `offset + count <= bytes`, all readable by the contract of `new`; `piece` is
            // our own and holds `count` bytes, so the two do not overlap. Where the memory is one
            // that kernels reach too, none runs: operations run one at a time, under the lock.
            unsafe {
                let from = (self.address as *const u8).add(offset);
                std::ptr::copy_nonoverlapping(from, piece.as_mut_ptr(), count);
            }
            take(offset, &piece[..count])?;
        }
        Ok(())
    }

    /// Fills the bytes in pieces that `give` provides for each offset, until it fails.
    ///
    /// # Errors
    /// The first error of `give`; earlier pieces are written.
    pub fn write_from<E>(
        self,
        mut give: impl FnMut(usize, &mut [u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut piece = vec![0u8; CHUNK.min(self.bytes)];
        for offset in (0..self.bytes).step_by(CHUNK) {
            let count = CHUNK.min(self.bytes - offset);
            give(offset, &mut piece[..count])?;
            // SAFETY: as in `read_into`, with the bytes writable by the contract of `new`.
            unsafe {
                let to = (self.address as *mut u8).add(offset);
                std::ptr::copy_nonoverlapping(piece.as_ptr(), to, count);
            }
        }
        Ok(())
    }
}
