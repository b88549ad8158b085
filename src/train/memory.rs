//! The memory that a run needs.

/// Memory of a run in bytes, known before its first step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Memory {
    /// Parameters, gradients and Adam's moments.
    pub persistent: u64,
    /// Intermediate values and gradients of a step.
    pub planned: u64,
    /// Workspace of the device's kernels.
    pub workspace: u64,
    /// Loaded images, waiting or cached.
    pub pictures: u64,
}

impl Memory {
    /// The sum.
    pub fn total(&self) -> u64 {
        self.persistent + self.planned + self.workspace + self.pictures
    }
}
