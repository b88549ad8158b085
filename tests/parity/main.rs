//! Every kernel on a GPU, executed by softgpu with all its checks on and in several orders of warps
//! and blocks, against the CPU reference.

#[path = "../common/mod.rs"]
mod common;

#[path = "../common/desk.rs"]
mod desk;

mod adam;
mod cases;
mod conv;
mod cross_entropy;
mod dropout;
mod image;
mod loss;
mod norm;
mod not_finite;
mod pad;
mod pointwise;
mod pool;
mod softmax;
mod stack;
mod supports;
mod upsample;
mod vector;
mod weigh;
