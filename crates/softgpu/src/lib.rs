//! A software GPU: it loads the PTX that NVRTC or Triton emit and executes it warp by warp on the CPU.
//!
//! The order of use is [`Memory`] (device address space), [`Module::load`] (text to kernels), [`launch()`].
//! A launch returns a [`LaunchReport`] with counters and findings, or a [`Fault`] for what would have
//! stopped a real device. What such a run proves, and what it cannot, is stated in the crate's README.
#![deny(unsafe_code)]
#![warn(missing_docs)]

mod check;
mod counters;
mod exec;
mod ir;
mod launch;
mod load_error;
mod lower;
pub mod mem;
mod module;
mod mutants;
mod ptx;
mod report;
mod touched;

pub use launch::{Checks, CpAsync, LaunchConfig, Options, Order, launch};
pub use load_error::LoadError;
pub use mem::{Allocation, MemError, MemInfo, Memory};
pub use module::{Global, KernelInfo, LoadOptions, Module, ParamInfo};
#[cfg(feature = "mutants")]
pub use mutants::MUTANTS;
pub use report::{Fault, Finding, FindingKind, LaunchReport, Place, SourceLine};

pub use counters::{Counters, LineCounters};
pub use touched::Touches;

/// The README's example, compiled and run as a test.
#[doc = include_str!("../README.md")]
#[cfg(doctest)]
struct Readme;
