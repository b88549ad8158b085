//! What a run takes of memory.

/// Memory of a run in bytes, known before its first step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Memory {
    /// Parameters, gradients and Adam's moments.
    pub persistent: u64,
    /// Values and gradients of a step.
    pub planned: u64,
    /// What the device's kernels keep beside that.
    pub workspace: u64,
    /// Pictures waiting and kept.
    pub pictures: u64,
}

impl Memory {
    /// All of it.
    pub fn total(&self) -> u64 {
        self.persistent + self.planned + self.workspace + self.pictures
    }
}
