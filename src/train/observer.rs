//! Receives a run's progress.

use super::{Losses, Scores};

/// Receives a run's progress. Every method does nothing by default.
pub trait Observer {
    /// A step was done: (done, of how many in all), epoch from 0, losses.
    fn step(&mut self, _done: u64, _total: u64, _epoch: u64, _losses: &Losses, _seconds: f64) {}
    /// A validation was done after epoch `epoch` (from 1); `best` if none before was better.
    fn validated(&mut self, _epoch: u64, _scores: &Scores, _best: bool) {}
    /// Something a user should read.
    fn note(&mut self, _text: &str) {}
}

/// Ignores all progress.
#[derive(Clone, Copy, Debug, Default)]
pub struct Silent;

impl Observer for Silent {}
