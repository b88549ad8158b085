//! NVRTC: what it says of a mistake, what becomes of our kernels on every generation of GPUs down to
//! the machine code of their loops, and the cache under concurrent use.

mod compile;
mod resources;
mod sass;
