//! Programs: training steps of every kind read exactly what their graph says, whatever memory held
//! before, on any number of threads; groups of parameters, constants, and questions to the device.

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
