//! What a sanitizer keeps: shadows of shared and global memory.

pub(crate) mod global;
pub(crate) mod shadow;
