//! The persistent front of a device's memory.

use crate::tensor::{Shape, View};

/// Every allocation starts at a multiple of this many elements: 256 bytes, what a GPU's widest
/// copies want.
pub const ALIGNMENT: usize = 64;

/// Hands out the persistent part of the arena, front to back. Nothing is given back: what lives
/// here lives as long as the device's contents.
#[derive(Clone, Debug, Default)]
pub struct Arena {
    len: usize,
}

impl Arena {
    /// A dense View of `shape`, behind all that was taken before.
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
