//! NVRTC: its messages, the machine code of our kernels, GPUs that only NVRTC 12 supports, and the
//! cache under concurrent use.

mod compile;
mod pascal;
mod sass;
