//! NVRTC: what it says of a mistake, the machine code of our kernels, cards that only NVRTC 12 knows,
//! and the cache under concurrent use.

mod compile;
mod pascal;
mod sass;
