//! Every kernel on a GPU, executed by softgpu with all its checks on and in several orders of warps
//! and blocks, against the CPU reference.

#[path = "../common/mod.rs"]
mod common;

#[path = "../common/desk.rs"]
mod desk;

mod activation;
mod adam;
mod batch_norm;
mod cases;
mod concat;
mod conv;
mod dropout;
mod image;
mod loss;
