//! The planner: whole training steps of every kind read what their graph means and nothing else,
//! whatever lay in memory, on any number of threads.

#[path = "../common/mod.rs"]
mod common;
mod flow;
mod memory;
