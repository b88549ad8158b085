//! The operations a network is written in. One file an operation: its shape rule, its work, its
//! way back, and the method that records it on a [`Tape`](crate::tape::Tape).

mod activation;
mod add;
mod concat;
mod conv;
mod conv_transpose;
mod dropout;
mod loss;
mod norm;
mod stack;

pub use norm::{NormUse, NormVars};
