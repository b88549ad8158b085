//! The interface that receives a run's progress.

use super::{Compared, Losses, Scores};
use crate::error::Warning;

/// Receives a run's progress. Every method does nothing by default.
pub trait Observer {
    /// After a step: steps done and in all, the epoch from 1, the losses, and the seconds that the
    /// step took.
    fn step(&mut self, _done: u64, _total: u64, _epoch: u64, _losses: &Losses, _seconds: f64) {}
    /// Before [`Observer::validated`], of a validation that compared batch norm's two statistics.
    fn compared(&mut self, _epoch: u64, _compared: &Compared) {}
    /// After the validation of epoch `epoch`, from 1; `best` if its L1 is the lowest so far.
    fn validated(&mut self, _epoch: u64, _scores: &Scores, _best: bool) {}
    /// At the end: the seconds in which steps waited for their pictures, and how many steps there were. The first
    /// batch of a run, for which there was no step to read it behind, is not among them.
    fn waited(&mut self, _seconds: f64, _steps: u64) {}
    /// Something that the user should know while the run goes on: one sentence.
    fn warned(&mut self, _warning: &Warning) {}
}

/// Ignores all progress.
#[derive(Clone, Copy, Debug, Default)]
pub struct Silent;

impl Observer for Silent {}
