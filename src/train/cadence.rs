//! How often a run writes what takes time to write.

use std::time::{Duration, Instant};

/// Something that is written at the ends of epochs, unless epochs are so short that the writing
/// would take more than a quarter of the time.
#[derive(Debug)]
pub struct Cadence {
    /// When it was last written.
    last: Instant,
    /// How long that took.
    took: Duration,
}

impl Cadence {
    /// What is always fast enough: 200 epochs of it are 20 seconds.
    const FAST: Duration = Duration::from_millis(100);
    /// Time between two writings for each second of writing: three, so that it is a quarter of all.
    const PAUSE: u32 = 3;

    /// Of something that was not written yet; it is due at the first end of an epoch.
    pub fn new() -> Self {
        Cadence { last: Instant::now(), took: Duration::ZERO }
    }

    /// Whether it is due at the end of an epoch.
    pub fn is_due(&self) -> bool {
        self.took <= Self::FAST || self.last.elapsed() >= self.took * Self::PAUSE
    }

    /// Whether it was last written more than `minutes` ago; never for 0.
    pub fn is_older(&self, minutes: f64) -> bool {
        minutes > 0.0 && self.last.elapsed().as_secs_f64() >= 60.0 * minutes
    }

    /// It was written, from `begun` to now.
    pub fn wrote(&mut self, begun: Instant) {
        *self = Cadence { last: Instant::now(), took: begun.elapsed() };
    }

    /// How long it took when it was last written, in seconds.
    pub fn seconds(&self) -> f64 {
        self.took.as_secs_f64()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_takes_long_waits_three_times_as_long() {
        let ago = |seconds| Instant::now() - Duration::from_secs(seconds);
        let of = |last, took| Cadence { last: ago(last), took: Duration::from_millis(took) };
        assert!(Cadence::new().is_due() && of(0, 100).is_due());
        assert!(!of(5, 2000).is_due() && of(6, 2000).is_due());
        assert!(!of(299, 0).is_older(5.0) && of(301, 0).is_older(5.0));
        assert!(!of(1_000_000, 0).is_older(0.0) && !of(1_000_000, 0).is_older(f64::NAN));
    }
}
