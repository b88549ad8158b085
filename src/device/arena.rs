//! Allocation of the persistent front part of a device's memory.

use crate::tensor::{Shape, View};

/// Every allocation starts at a multiple of this many elements of 4 bytes: 256 bytes, the alignment
/// of CUDA's own allocations.
pub const ALIGNMENT: usize = 64;

/// Allocates the persistent part of the arena, front to back. It only computes addresses; nothing
/// is ever freed.
#[derive(Clone, Debug, Default)]
pub struct Arena {
    len: usize,
}

impl Arena {
    /// A dense f32 View of `shape`, after everything that was taken before.
    pub fn take(&mut self, shape: Shape) -> View {
        let view = View::dense(self.len, shape);
        self.len = (self.len + shape.count()).next_multiple_of(ALIGNMENT);
        view
    }

    /// Elements taken so far: where planned memory begins.
    pub fn len(&self) -> usize {
        self.len
    }

    /// True before the first allocation.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }
}
