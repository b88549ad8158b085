//! Programs: whole training steps of every kind read what their graph means and nothing else, whatever
//! lay in memory, on any number of threads; what a group of parameters, a constant and a device add to
//! that.

#[path = "../common/mod.rs"]
mod common;

#[path = "../common/desk.rs"]
#[allow(dead_code)]
mod desk;

mod constant;
mod describe;
mod device;
mod flow;
mod group;
mod memory;
