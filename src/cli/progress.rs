//! The progress of a run: a bar on a terminal, otherwise a line every ten seconds.

use std::io::IsTerminal;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

use super::{say, shown, words};
use crate::printable::printable;
use crate::train::{Compared, Losses, Observer, Scores};

/// Seconds between two lines if stderr is no terminal.
const QUIET: f64 = 10.0;

/// Shows steps, losses, speed and time left.
pub struct ProgressReport {
    bar: Option<ProgressBar>,
    batch: usize,
    begun: Instant,
    first: u64,
    /// When a step was last shown.
    last: Option<Instant>,
    /// What the validation that is about to be shown found of batch norm's statistics.
    compared: Option<Compared>,
}

impl ProgressReport {
    /// For batches of `batch` pictures, from step `first` on.
    pub fn new(batch: usize, first: u64) -> Self {
        let bar = std::io::stderr().is_terminal().then(|| {
            let style = ProgressStyle::with_template("{bar:20} {pos}/{len} {prefix}\n{wide_msg}")
                .unwrap_or_else(|_| ProgressStyle::default_bar());
            ProgressBar::new(0).with_style(style)
        });
        ProgressReport { bar, batch, begun: Instant::now(), first, last: None, compared: None }
    }

    /// Removes the bar and prints a line with the last step.
    pub fn end(&self) {
        if let Some(bar) = &self.bar {
            // Read first: finishing moves the bar to its end.
            let (step, total) = (bar.position(), bar.length());
            bar.finish_and_clear();
            if let Some(total) = total.filter(|_| self.last.is_some()) {
                say(format!("step {step}/{total} {}", bar.message()));
            }
        }
    }

    fn line(&self, text: String) {
        match &self.bar {
            Some(bar) => bar.println(printable(&text)),
            None => say(text),
        }
    }
}

impl Observer for ProgressReport {
    fn step(&mut self, done: u64, total: u64, epoch: u64, losses: &Losses, _seconds: f64) {
        let elapsed = self.begun.elapsed().as_secs_f64();
        let rate = (done - self.first) as f64 / elapsed.max(1e-9);
        let left = Duration::from_secs_f64((total - done) as f64 / rate.max(1e-9));
        let names: Vec<String> =
            losses.iter().map(|(name, value)| format!("{name} {value:.3}")).collect();
        let speed = rate * self.batch as f64;
        let losses = names.join(" ");
        let pace = format!("{speed:.2} images/s, {} left", clock(left));
        if let Some(bar) = &self.bar {
            bar.set_length(total);
            // Two lines, each of which fits 80 columns.
            bar.set_prefix(format!("epoch {epoch}, {pace}"));
            bar.set_message(losses);
            bar.set_position(done);
            self.last = Some(Instant::now());
        } else if done == total || self.last.is_none_or(|t| t.elapsed().as_secs_f64() >= QUIET) {
            say(format!("step {done}/{total} epoch {epoch} {losses} {pace}"));
            self.last = Some(Instant::now());
        }
    }

    fn validated(&mut self, epoch: u64, scores: &Scores, best: bool) {
        let with = self.compared.take().as_ref().map_or(String::new(), words::scored_with);
        self.line(format!(
            "epoch {epoch} val: {}{with}{}",
            scores.line(),
            if best { " (best)" } else { "" }
        ));
    }

    fn compared(&mut self, _epoch: u64, compared: &Compared) {
        self.compared = Some(*compared);
    }

    fn warned(&mut self, message: &str) {
        self.line(format!("warning   {}", shown(message)));
    }
}

/// "1h02m", "3m20s", "12s".
pub(super) fn clock(time: Duration) -> String {
    let s = time.as_secs();
    match (s / 3600, s / 60 % 60, s % 60) {
        (0, 0, s) => format!("{s}s"),
        (0, m, s) => format!("{m}m{s:02}s"),
        (h, m, _) => format!("{h}h{m:02}m"),
    }
}
