//! NVRTC: what it says of a mistake, the machine code of our kernels, and the cache under concurrent
//! use.

mod compile;
mod sass;
