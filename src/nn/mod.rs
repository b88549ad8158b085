//! The parts of networks: named parameters, the blocks of pix2pix, learning-rate schedules, and the
//! names of parameters in the PyTorch port.

mod blocks;
mod layer;
mod params;
mod port;
mod schedule;

pub use blocks::{Block, BlockSpec, Mode, Running, shared_statistics};
pub use layer::Layer;
pub use params::{Init, Param, Params, Placement};
pub use port::{PortModules, PortTensor};
pub use schedule::Schedule;
