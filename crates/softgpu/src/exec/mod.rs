//! Execution: warps up to their next barrier, blocks over host threads.

// Loops over lanes index several registers at once; iterators over one of them read worse.
#![allow(clippy::needless_range_loop)]

mod alu;
mod atomic;
mod block;
mod call;
mod collective;
mod cpasync;
mod cvt;
mod diverge;
mod float;
mod float16;
mod global;
mod grid;
mod int;
mod lanes;
mod local;
mod memory;
mod mma;
mod observe;
mod param;
mod shared;
mod simd;
mod space;
mod state;
mod sync;
mod warp;

pub(crate) use grid::run;
