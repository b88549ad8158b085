//! The progress of a run: a bar on a terminal, otherwise a line every ten seconds.

use std::io::IsTerminal;
use std::time::Instant;

use indicatif::{ProgressBar, ProgressStyle};

use super::{say, shown, words};
use crate::error::Warning;
use crate::printable::printable;
use crate::train::{Compared, Distance, Losses, Objective, Observer, RunConfig, Scores};

/// The loss of the distance to the target, with its weight.
const DISTANCE_LOSS: &str = "g_l1";
/// That of labels.
const CROSS_ENTROPY: &str = "g_cross_entropy";
/// Seconds between two lines if stderr is no terminal.
const QUIET: f64 = 10.0;

/// Per cent of the time spent waiting for pictures above which it is worth a word.
const WAITS: f64 = 5.0;

/// Seconds beyond which the time left is not told.
const LONGEST: f64 = 99.0 * 86400.0;

/// Shows steps, losses, speed and time left.
pub struct ProgressReport {
    bar: Option<ProgressBar>,
    batch: usize,
    epochs: u64,
    /// The name of the distance to the target, and its weight in the loss.
    distance: (&'static str, f32),
    begun: Instant,
    first: u64,
    /// When a step was last shown.
    last: Option<Instant>,
    /// What the validation that is about to be shown found of batch norm's statistics.
    compared: Option<Compared>,
    /// Seconds in which steps waited for pictures, and the steps.
    waited: Option<(f64, u64)>,
}

impl ProgressReport {
    /// For a run of `epochs` with these settings, from step `first` on.
    pub fn new(config: &RunConfig, epochs: u64, first: u64) -> Self {
        let Objective { distance, lambda, .. } = config.objective;
        let name = match distance {
            Distance::L2 => "L2",
            Distance::L1 | Distance::None => "L1",
        };
        let distance = (name, lambda);
        let bar = std::io::stderr().is_terminal().then(|| {
            let style = ProgressStyle::with_template("{bar:20} {pos}/{len} {prefix}\n{wide_msg}")
                .unwrap_or_else(|_| ProgressStyle::default_bar());
            ProgressBar::new(0).with_style(style)
        });
        let (batch, begun, compared) = (config.batch_size, Instant::now(), None);
        ProgressReport {
            bar,
            batch,
            epochs,
            distance,
            begun,
            first,
            last: None,
            compared,
            waited: None,
        }
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

    /// How long a step waited for its pictures, of a run that had more than one.
    pub fn waiting(&self) -> Option<String> {
        let (seconds, steps) = self.waited.filter(|(_, steps)| *steps > 0)?;
        let share = 100.0 * seconds / self.begun.elapsed().as_secs_f64().max(1e-9);
        let cure = if share >= WAITS {
            ": reading the pictures takes longer than the steps; smaller files or a faster disk would help"
        } else {
            ""
        };
        let each = 1e3 * seconds / steps as f64;
        Some(format!("a step waited {each:.2} ms for its pictures, {share:.1} % of the time{cure}"))
    }

    /// A loss for people: the distance to the target without its weight, so that it is on the scale
    /// of validations.
    fn loss(&self, name: &str, value: f32) -> Option<String> {
        match &self.distance {
            (_, 0.0) if name == DISTANCE_LOSS => None,
            (distance, weight) if name == DISTANCE_LOSS => {
                Some(format!("{distance} {:.4}", value / weight))
            }
            _ if name == CROSS_ENTROPY => Some(format!("cross entropy {value:.4}")),
            _ => Some(format!("{name} {value:.3}")),
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
        let left = (total - done) as f64 / rate.max(1e-9);
        let losses: Vec<String> =
            losses.iter().filter_map(|(name, value)| self.loss(name, value)).collect();
        let speed = rate * self.batch as f64;
        let (epoch, losses) = (format!("{epoch}/{}", self.epochs), losses.join(" "));
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

    fn waited(&mut self, seconds: f64, steps: u64) {
        self.waited = Some((seconds, steps));
    }

    fn warned(&mut self, warning: &Warning) {
        self.line(format!("warning   {}", shown(warning.marked())));
    }
}

/// Seconds as "12s", "3m20s", "1h02m", "2d03h".
pub(super) fn clock(seconds: f64) -> String {
    if seconds.is_nan() || seconds > LONGEST {
        return "more than 99 days".to_string();
    }
    let s = seconds as u64;
    match (s / 86400, s / 3600 % 24, s / 60 % 60, s % 60) {
        (0, 0, 0, s) => format!("{s}s"),
        (0, 0, m, s) => format!("{m}m{s:02}s"),
        (0, h, m, _) => format!("{h}h{m:02}m"),
        (d, h, _, _) => format!("{d}d{h:02}h"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_of_any_length_is_told() {
        for (seconds, told) in [
            (0.0, "0s"),
            (59.9, "59s"),
            (200.0, "3m20s"),
            (3720.0, "1h02m"),
            (86400.0 + 3600.0 * 2.0, "1d02h"),
            (LONGEST, "99d00h"),
            (LONGEST + 1.0, "more than 99 days"),
            (1e30, "more than 99 days"),
            (f64::INFINITY, "more than 99 days"),
            (f64::NAN, "more than 99 days"),
        ] {
            assert_eq!(clock(seconds), told);
        }
    }

    #[test]
    fn the_distance_is_told_on_the_scale_of_validations() {
        let mut config = RunConfig::default();
        let told = |config: &RunConfig, name| ProgressReport::new(config, 1, 0).loss(name, 31.0);
        assert_eq!(told(&config, "g_l1").unwrap(), "L1 0.3100");
        assert_eq!(told(&config, "d_real").unwrap(), "d_real 31.000");
        config.objective.distance = Distance::L2;
        assert_eq!(told(&config, "g_l1").unwrap(), "L2 0.3100");
        config.objective.lambda = 0.0;
        assert_eq!(told(&config, "g_l1"), None);
    }
}
