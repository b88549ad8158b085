//! Training: the step, and the run made of steps.

mod config;
mod differences;
mod evaluate;
mod memory;
mod metrics;
mod networks;
mod observer;
mod pending;
mod step;
mod trainer;

pub use config::RunConfig;
pub(crate) use differences::differences;
pub use evaluate::{Scores, Viewer};
pub use memory::Memory;
pub use metrics::{Losses, Metrics};
pub use networks::Networks;
pub(crate) use networks::load;
pub use observer::{Observer, Silent};
pub use step::{Distance, Gan, Objective, Step};
pub use trainer::{LATEST, Length, Outcome, Progress, RunOptions, Trainer};
