//! NVRTC: what it says of a mistake, what becomes of our kernels on every generation of GPUs, and the
//! cache under concurrent use.

mod compile;
mod resources;
