//! Training: what is learnt ([`Recipe`], [`Pix2Pix`], [`Segmentation`]), one training step ([`Step`]), and a run of
//! many ([`RunPlan`], [`Trainer`]).

mod cadence;
mod config;
mod differences;
mod evaluate;
#[cfg(test)]
mod faults;
mod files;
mod given;
mod health;
mod losses;
mod memory;
mod metrics;
mod networks;
mod objective;
mod observer;
mod pending;
mod pix2pix;
mod plan;
mod recipe;
mod run_files;
mod saved;
mod segmentation;
mod space;
mod step;
mod trained;
mod trainer;

pub use config::RunConfig;
pub(crate) use differences::differences;
pub use evaluate::{Compared, Scores, Tally, Validation, Viewer};
pub(crate) use files::refuse_run;
pub use files::{BEST, CONFUSION, METRICS, PREVIOUS, SAMPLES};
pub use losses::Losses;
pub use memory::Memory;
pub(crate) use metrics::Metrics;
pub use networks::Networks;
pub use objective::{Distance, Gan, Judgement, Objective};
pub use observer::{Observer, Silent};
pub use pix2pix::Pix2Pix;
pub use plan::{RunOptions, RunPlan};
pub use recipe::{Given, NamedLoss, Recipe, Recorded, StepInput};
pub use saved::{Checkpoint, Length, Progress, SavedOptions, checkpoint_of};
pub use segmentation::Segmentation;
pub use step::Step;
pub use trained::Trained;
pub use trainer::{FirstValues, Outcome, Trainer};

pub use crate::checkpoint::{LATEST, MODEL};
