//! Operations, networks and whole training steps against files that PyTorch wrote (`make.py` in
//! this folder): float64 results from inputs that are exact in f32, so what is measured is the
//! engine's own rounding.

#[path = "../common/mod.rs"]
mod common;
mod names;
mod networks;
mod operations;
mod steps;
