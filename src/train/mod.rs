//! Training: the step, and the run made of steps.

mod config;
mod differences;
mod evaluate;
mod metrics;
mod networks;
mod pending;
mod step;
mod trainer;

pub use config::{RunConfig, Side};
pub(crate) use differences::differences;
pub use evaluate::{Scores, Viewer};
pub use metrics::{Losses, Metrics};
pub use networks::Networks;
pub(crate) use networks::load;
pub use step::{Distance, Gan, Objective, Step};
pub use trainer::{
    LATEST, Length, Memory, Observer, Outcome, Progress, RunOptions, Silent, Trainer,
};
