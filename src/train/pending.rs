//! Steps whose losses are still on the device: an asynchronous device gets several steps before the
//! host waits for one.

use std::time::Instant;

use super::health::Health;
use super::{Losses, Metrics, Observer};
use crate::error::{Result, Warning};
use crate::kernel::Backend;

/// Seconds after which losses are fetched even from few steps, so that the display stays current.
const PATIENCE: f64 = 0.25;

/// A step that has run.
#[derive(Clone, Copy, Debug)]
struct Done {
    step: u64,
    epoch: u64,
    lr: f32,
}

/// The steps since losses were last fetched.
pub struct Pending {
    done: Vec<Done>,
    names: Vec<String>,
    total: u64,
    since: Instant,
}

impl Pending {
    /// No steps yet, of a run of `total` steps with losses of these names.
    pub fn new(names: &[String], total: u64) -> Self {
        Pending { done: Vec::new(), names: names.to_vec(), total, since: Instant::now() }
    }

    /// Adds a step in `epoch`, from 1.
    pub fn push(&mut self, step: u64, epoch: u64, lr: f32) {
        self.done.push(Done { step, epoch, lr });
    }

    /// Whether it is time to fetch losses.
    pub fn due(&self, b: &dyn Backend) -> bool {
        self.done.len() >= b.runs_ahead() || self.since.elapsed().as_secs_f64() > PATIENCE
    }

    /// Fetches losses, writes and reports them, with what `health` has to say of them. Returns the
    /// first step whose losses are NaN or infinite, if there is one, and these losses; they and later
    /// ones are not written.
    ///
    /// # Errors
    /// A device that failed, a file that cannot be written.
    pub fn flush(
        &mut self,
        b: &dyn Backend,
        metrics: &mut Metrics,
        observer: &mut dyn Observer,
        health: &mut Health,
    ) -> Result<Option<(u64, Losses)>> {
        let rows = b.kept_losses(self.done.len(), self.names.len())?;
        let seconds = self.since.elapsed().as_secs_f64() / self.done.len().max(1) as f64;
        self.since = Instant::now();
        for (Done { step, epoch, lr }, row) in self.done.drain(..).zip(rows) {
            let losses = Losses::new(&self.names, row);
            if !losses.finite() {
                return Ok(Some((step, losses)));
            }
            metrics.step(step, epoch, &losses, lr, seconds)?;
            observer.step(step, self.total, epoch, &losses, seconds);
            if let Some(warning) = health.step(step, &losses) {
                observer.warned(&Warning::new(warning));
            }
        }
        Ok(None)
    }
}
