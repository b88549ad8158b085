//! What networks are built from: named parameters, the blocks of pix2pix, learning-rate schedules.

mod blocks;
mod params;
mod schedule;

pub use blocks::{Block, ConvParams, Mode, NormOf, Running};
pub use params::{Init, Param, Params, Placement};
pub use schedule::Schedule;
