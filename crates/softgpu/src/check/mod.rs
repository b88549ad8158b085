//! What a sanitizer keeps: shadows of shared and global memory.

mod clocks;
mod epochs;
pub(crate) mod global;
pub(crate) mod lines;
pub(crate) mod shadow;
