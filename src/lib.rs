//! pix2pix from scratch: image-to-image translation with conditional adversarial networks (Isola,
//! Zhu, Zhou and Efros, CVPR 2017), trained and run by one program without a framework.
//!
//! # Train and translate
//!
//! Pairs of images come from a folder ([`data::Folder`]) or from memory ([`data::MemoryPairs`]). A
//! run is planned, started and run to its end, and its model translates images of any size, resized as
//! those of the training were ([`translate::Scale`]).
//!
//! ```
//! use std::sync::{Arc, atomic::AtomicBool};
//!
//! use pix2pix_engine::data::{Image, MemoryPairs};
//! use pix2pix_engine::device::Cpu;
//! use pix2pix_engine::train::{RunConfig, RunOptions, RunPlan, Silent, Trainer};
//! use pix2pix_engine::translate::{TranslateOptions, Translator};
//!
//! # fn main() -> pix2pix_engine::Result<()> {
//! # let out = std::env::temp_dir().join(format!("pix2pix-engine-doc-{}", std::process::id()));
//! let (grey, blue) = (Image::filled(32, 32, &[128; 3]), Image::filled(32, 32, &[0, 0, 255]));
//! let pairs = Arc::new(MemoryPairs::new(vec![(grey.clone(), blue)])?);
//! let mut config = RunConfig { size: 32.into(), ..RunConfig::default() };
//! config.generator.depth = RunConfig::depth_for(32)?;
//! config.generator.base_channels = 4;
//! config.discriminators[0].base_channels = 4;
//! config.discriminators[0].layers = 1;
//!
//! let options = RunOptions::new(&out, 2);
//! let none = Arc::new(MemoryPairs::default());
//! let plan = RunPlan::new(config, options, pairs, none, Box::new(Cpu::new(0)?))?;
//! let mut run = Trainer::start(plan, &[])?;
//! run.run(&AtomicBool::new(false), &mut Silent)?;
//!
//! let cpu = Box::new(Cpu::new(0)?);
//! let mut model = Translator::open(&out, TranslateOptions::default(), cpu)?;
//! let translated = model.translate(&grey)?;
//! assert_eq!((translated.width, translated.height), (32, 32));
//! # std::fs::remove_dir_all(out).unwrap();
//! # Ok(())
//! # }
//! ```
//!
//! A run stops where its flag is set, with everything saved, and goes on from its folder to the same
//! bytes: open it with [`train::Checkpoint::open`], plan the run with the checkpoint's configuration,
//! and begin with [`train::Trainer::resume`]. Images of other channels or sample types than 8-bit RGB
//! are declared in [`train::RunConfig::domains`] and in the channels of the generator.
//!
//! `examples/train.rs` trains on a folder and shows progress, `examples/translate.rs` translates a
//! file. The default feature `cli` adds the program, with its argument parser, progress bar and
//! signal handler; the library works without it.
//!
//! # Layers
//!
//! Each module may use those to its left; `tests/layers.rs` checks it.
//!
//! ```text
//! tensor <- device <- kernel <- tape <- op <- nn <- model <- train <- translate <- evaluate <- cli
//!                                                     ^         ^
//!                                                checkpoint    data, metric
//! ```
//!
//! - [`tensor`]: shapes, views and samples, all plain numbers. [`device`]: memory. [`kernel`]: the
//!   computations that a device must offer, with their CPU implementations.
//! - [`tape`]: records a step once, plans its memory, and runs it many times. [`op`]: the
//!   operations, one file each.
//! - [`nn`]: parameters, blocks, learning-rate schedules. [`model`]: U-Net, encoder-decoder,
//!   PatchGAN.
//! - [`train`]: the recipe of what is learnt, and the run. [`translate`]: applies a model to images
//!   of any size.
//! - [`prepare`]: makes data sets of pictures, with the feature `edges` also edges.
//! - [`data`]: turns folders and lists of pairs into batches. [`metric`]: figures of two images.
//!   [`checkpoint`]: safetensors, and PyTorch's `.pth`.
//! - [`evaluate`]: scores outputs of models, or pictures from elsewhere, against their targets.
//! - [`verify`]: compares a GPU with the CPU.
//!
//! # Conventions
//!
//! Tensors are NHWC, filters (k, r, s, c), pixels in [-1, 1], learning rates per step. The gradient
//! of x is called dx. Every random number is a function of a seed and a counter, and sums have a
//! fixed order: the same seed on the same kind of device gives the same bytes, on any number of
//! threads.
//!
//! # Your own tape
//!
//! A network with one layer learns to double its input.
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
//!     cpu.set_state(StepState { step, lr: 0.05, ..StepState::default() });
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

pub(crate) mod atomic;
pub mod check;
pub mod checkpoint;
#[cfg(feature = "cli")]
pub mod cli;
pub mod data;
pub mod device;
pub(crate) mod disk;
pub mod error;
pub mod evaluate;
pub mod kernel;
pub(crate) mod limits;
pub(crate) mod lock;
pub mod metric;
pub mod model;
pub mod nn;
mod one_of;
pub mod op;
mod page;
pub mod prepare;
mod printable;
pub mod random;
mod regular;
pub mod tape;
pub mod tensor;
pub mod train;
pub mod translate;
pub mod verify;

pub use error::{Error, Result};
pub use one_of::OneOf;
