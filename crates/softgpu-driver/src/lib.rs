//! The CUDA Driver API in front of softgpu: a `libcuda.so` that runs the PTX which NVRTC really
//! emitted.
//!
//! Built as a shared library it is what a CUDA program loads in place of NVIDIA's driver. As a Rust
//! library it is what a test depends on: [`install()`] puts that shared library in its place, and
//! [`Gpu`] tells what was found and counted.
//!
//! ```no_run
//! let gpu = cuda::install()?;
//! // ... cudarc::driver::CudaContext::new(0), kernels, copies ...
//! assert_eq!(gpu.findings(), []);
//! # Ok::<(), cuda::InstallError>(())
//! ```
//!
//! What such a run proves, and what it cannot, stands in the README.
#![deny(unsafe_code)]
#![warn(missing_docs)]

mod clock;
mod config;
mod context;
mod device;
mod driver;
mod error;
mod event;
mod ffi;
mod gate;
mod graph;
mod handle;
mod hazard;
mod host;
mod install;
mod launch;
mod memory;
mod module;
pub mod nvrtc;
mod occupancy;
mod ops;
mod report;
mod run;
#[cfg(test)]
mod schedule_tests;
mod stream;

pub use device::{PRESETS, Preset};
pub use install::{
    Alone, CountersReport, Gpu, InstallError, Options, find as find_library, install,
};
pub use report::{Counted, Found, KernelTotal};
