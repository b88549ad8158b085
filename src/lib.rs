//! pix2pix from scratch: image-to-image translation with conditional adversarial networks (Isola,
//! Zhu, Zhou and Efros, CVPR 2017), trained and run by one program without a framework.
//!
//! # Layers
//!
//! Each module uses those to its left; `tests/layers.rs` keeps it so.
//!
//! ```text
//! tensor <- device <- kernel <- tape <- op <- nn <- model <- train <- translate <- cli
//!                                                     ^         ^
//!                                                checkpoint    data, metric
//! ```
//!
//! - [`tensor`]: shapes and views, plain numbers. [`device`]: memory. [`kernel`]: what a machine
//!   must be able to do, and the CPU doing it.
//! - [`tape`]: a step is recorded once, planned into one piece of memory, run many times.
//!   [`op`]: the operations, one file each.
//! - [`nn`]: parameters, blocks, schedules. [`model`]: U-Net, encoder-decoder, PatchGAN.
//! - [`train`]: the step and the run. [`translate`]: pictures of any size through a model.
//! - [`data`]: folders to batches of bytes. [`checkpoint`]: safetensors, and PyTorch's `.pth`.
//!
//! # Conventions
//!
//! Tensors are NHWC, filters (k, r, s, c), pixels in [-1, 1], learning rates a step. A gradient of
//! x is called dx. Every random number is a function of a seed and a counter ([`random`]): the same
//! seed on the same kind of device gives the same bytes, on any number of threads.
//!
//! # Example
//!
//! A network of one layer learns to double its input.
//!
//! ```
//! use pix2pix_engine::device::{Arena, Cpu, Device, StepState};
//! use pix2pix_engine::kernel::{Adam, Conv, Write};
//! use pix2pix_engine::nn::{Init, Params, Placement};
//! use pix2pix_engine::tape::Tape;
//! use pix2pix_engine::tensor::Shape;
//!
//! let (mut params, mut arena) = (Params::default(), Arena::default());
//! let w = params.add("w", Shape::vector(1), Init::Constant(0.0));
//! params.place(&mut arena, Placement::Training(&Adam::STATE));
//!
//! let mut tape = Tape::new();
//! let x = tape.input("x", Shape::new(1, 4, 4, 1));
//! let target = tape.input("target", Shape::new(1, 4, 4, 1));
//! let filter = params.on(&mut tape, w);
//! let y = tape.conv(Conv::PIXEL, x, filter, None)?;
//! let loss = tape.l2(y, target)?;
//! tape.output("loss", loss);
//! tape.backward(&[(1.0, loss)], params.group(), Write::Set)?;
//! tape.optimise(params.group(), Adam::default())?;
//!
//! let mut cpu = Cpu::new(1)?;
//! let program = tape.compile(&cpu, arena.len())?;
//! cpu.reserve(program.end())?;
//! params.init(&mut cpu, 0, 0)?;
//! let mut last = [1.0];
//! for step in 1..=200 {
//!     cpu.set_state(StepState { seed: 0, step, lr: 0.05, micro: 0 });
//!     cpu.upload(program.view("x")?, &[0.5; 16])?;
//!     cpu.upload(program.view("target")?, &[1.0; 16])?;
//!     program.run(&mut cpu)?;
//!     cpu.download(program.view("loss")?, &mut last)?;
//! }
//! assert!(last[0] < 1e-4);
//! # Ok::<(), pix2pix_engine::Error>(())
//! ```
#![deny(unsafe_code)]
#![warn(missing_docs)]

pub mod atomic;
pub mod checkpoint;
pub mod cli;
pub mod data;
pub mod device;
pub mod error;
pub mod kernel;
pub mod metric;
pub mod model;
pub mod nn;
pub mod op;
pub mod random;
pub mod tape;
pub mod tensor;
pub mod train;
pub mod translate;
pub mod verify;

pub use error::{Error, Result};
