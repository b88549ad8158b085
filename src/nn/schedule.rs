//! The learning rate of an epoch.

use std::cmp::Ordering::{Equal, Greater, Less};

use serde::{Deserialize, Serialize};

/// How the learning rate changes from epoch to epoch, as a factor of the initial rate.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "kind")]
pub enum Schedule {
    /// 1 throughout: the paper's, and the Torch original's.
    Constant,
    /// 1 for `epochs`, then linear: 1 - i / (decay + 1) in the i-th epoch of the decay, from 1, as
    /// by default in the PyTorch port. The port starts the decay one epoch earlier and trains its
    /// last epoch at rate 0, without effect; here the last factor is 1 / (decay + 1).
    Linear {
        /// Epochs at the full rate.
        epochs: u64,
        /// Epochs of decay after them.
        decay: u64,
    },
    /// Multiplied by `factor` every `every` epochs; the port's `step` has 50 and 0.1.
    Step {
        /// Epochs from one drop to the next.
        every: u64,
        /// The factor at each drop.
        factor: f64,
    },
    /// (1 + cos(pi e / epochs)) / 2 in epoch e from 0 (Loshchilov and Hutter, ICLR 2017, without
    /// restarts). Above 0 in every epoch of the run.
    Cosine {
        /// Epochs of the run.
        epochs: u64,
    },
}

impl Schedule {
    /// The port's proportion for a run of `epochs`: half of them at the full rate, one more of an odd
    /// number, then half of decay.
    pub fn halves(epochs: u64) -> Schedule {
        Schedule::Linear { epochs: epochs - epochs / 2, decay: epochs / 2 }
    }

    /// The schedule of a run that was to have `from` epochs and is to have `to`. One that ended with
    /// the run ends with it again: halves stay halves, other linear ones keep their epochs at the
    /// full rate. Any other stays.
    pub fn with_length(self, from: u64, to: u64) -> Schedule {
        match self {
            Schedule::Cosine { epochs } if epochs == from => Schedule::Cosine { epochs: to },
            halves if halves == Schedule::halves(from) => Schedule::halves(to),
            Schedule::Linear { epochs, decay } if epochs.checked_add(decay) == Some(from) => {
                let epochs = epochs.min(to);
                Schedule::Linear { epochs, decay: to - epochs }
            }
            other => other,
        }
    }

    /// The rates of a run of `epochs` with the initial rate `lr`, for users: "learning rate 2e-4 for
    /// 100 epochs, then down in even steps over 100, to 1.98e-6 in the last".
    pub fn describe(self, lr: f32, epochs: u64) -> String {
        let rate = |epoch: u64| rate(f64::from(lr) * self.factor(epoch));
        let (first, last) = (rate(0), rate(epochs.saturating_sub(1)));
        let plural = |n: u64| if n == 1 { "1 epoch".to_string() } else { format!("{n} epochs") };
        match self {
            Schedule::Linear { epochs: full, decay } if decay > 0 && full < epochs => {
                let begin = match full {
                    0 => format!("learning rate {first} in the first epoch, then"),
                    full => {
                        format!(
                            "learning rate {} for {}, then",
                            self::rate(lr.into()),
                            plural(full)
                        )
                    }
                };
                let end = full.saturating_add(decay);
                match end.cmp(&epochs) {
                    Equal => {
                        format!("{begin} down in even steps over {decay}, to {last} in the last")
                    }
                    Less => format!(
                        "{begin} down in even steps over {decay}, and {last} from epoch {end} to the \
                         end"
                    ),
                    Greater => format!(
                        "{begin} down in even steps over {decay}, of which the run does {}, to \
                         {last}",
                        epochs - full
                    ),
                }
            }
            Schedule::Step { every, factor } if every < epochs => {
                let plural = plural(every);
                format!("learning rate {first}, times {factor} every {plural}, {last} in the last")
            }
            Schedule::Cosine { .. } if epochs > 1 => {
                format!("learning rate {first}, down half a cosine, to {last} in the last epoch")
            }
            _ => format!("learning rate {first} throughout"),
        }
    }

    /// The factor in `epoch`, from 0.
    pub fn factor(self, epoch: u64) -> f64 {
        match self {
            Schedule::Constant => 1.0,
            Schedule::Linear { epochs, decay } => {
                let into = epoch.saturating_add(1).saturating_sub(epochs).min(decay);
                1.0 - into as f64 / (decay as f64 + 1.0)
            }
            Schedule::Step { every, factor } => {
                factor.powi(i32::try_from(epoch / every.max(1)).unwrap_or(i32::MAX))
            }
            Schedule::Cosine { epochs } => {
                let at = epoch.min(epochs.saturating_sub(1)) as f64 / epochs.max(1) as f64;
                (1.0 + (std::f64::consts::PI * at).cos()) / 2.0
            }
        }
    }
}

/// Three digits: "2e-4", "1.98e-6"; 0 where a rate is too small for any.
fn rate(value: f64) -> String {
    if value == 0.0 {
        return "0".to_string();
    }
    let text = format!("{value:.2e}");
    match text.split_once('e') {
        Some((digits, power)) if digits.contains('.') => {
            format!("{}e{power}", digits.trim_end_matches('0').trim_end_matches('.'))
        }
        _ => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_linear_schedule_ends_with_its_run() {
        let linear = |epochs, decay| Schedule::Linear { epochs, decay };
        let halves = [(1, 1, 0), (2, 1, 1), (5, 3, 2), (200, 100, 100)];
        for (epochs, full, decay) in halves {
            assert_eq!(Schedule::halves(epochs), linear(full, decay));
        }
        // Prolonged and shortened.
        assert_eq!(linear(10, 10).with_length(20, 40), linear(20, 20));
        assert_eq!(linear(1, 0).with_length(1, 2), linear(1, 1));
        assert_eq!(linear(5, 15).with_length(20, 40), linear(5, 35));
        assert_eq!(linear(15, 5).with_length(20, 10), linear(10, 0));
        let cosine = |epochs| Schedule::Cosine { epochs };
        assert_eq!(cosine(20).with_length(20, 40), cosine(40));
        // None of these ended with the run.
        let step = Schedule::Step { every: 50, factor: 0.1 };
        for other in [linear(100, 100), cosine(7), step, Schedule::Constant] {
            assert_eq!(other.with_length(20, 40), other);
        }
        assert_eq!(linear(u64::MAX, u64::MAX).with_length(3, 4), linear(u64::MAX, u64::MAX));
    }

    #[test]
    fn a_schedule_says_what_the_rate_does() {
        let linear = |epochs, decay| Schedule::Linear { epochs, decay };
        let step = Schedule::Step { every: 50, factor: 0.1 };
        let huge = linear(u64::MAX, u64::MAX);
        for (schedule, epochs, says) in [
            (
                Schedule::halves(200),
                200,
                "2e-4 for 100 epochs, then down in even steps over 100, to 1.98e-6 in the last",
            ),
            (
                linear(1, 3),
                4,
                "2e-4 for 1 epoch, then down in even steps over 3, to 5e-5 in the last",
            ),
            (
                linear(0, 3),
                3,
                "1.5e-4 in the first epoch, then down in even steps over 3, to 5e-5 in the last",
            ),
            (
                linear(1, 3),
                9,
                "2e-4 for 1 epoch, then down in even steps over 3, and 5e-5 from epoch 4 to the end",
            ),
            (
                linear(2, 9),
                4,
                "2e-4 for 2 epochs, then down in even steps over 9, of which the run does 2, to \
                 1.6e-4",
            ),
            (linear(100, 100), 20, "2e-4 throughout"),
            (huge, u64::MAX, "2e-4 throughout"),
            (Schedule::halves(1), 1, "2e-4 throughout"),
            (Schedule::Constant, 9, "2e-4 throughout"),
            (step, 200, "2e-4, times 0.1 every 50 epochs, 2e-7 in the last"),
            (step, 50, "2e-4 throughout"),
            (
                Schedule::Cosine { epochs: 4 },
                4,
                "2e-4, down half a cosine, to 2.93e-5 in the last epoch",
            ),
        ] {
            assert_eq!(schedule.describe(2e-4, epochs), format!("learning rate {says}"));
        }
    }

    #[test]
    fn the_linear_schedule_never_trains_at_rate_0() {
        let schedule = Schedule::Linear { epochs: 100, decay: 100 };
        let factors: Vec<f64> = (0..200).map(|e| schedule.factor(e)).collect();
        assert!(factors[..100].iter().all(|f| *f == 1.0));
        assert!((factors[100] - 100.0 / 101.0).abs() < 1e-12);
        assert!((factors[199] - 1.0 / 101.0).abs() < 1e-12);
        assert!(factors.windows(2).all(|w| w[1] <= w[0]));
    }

    #[test]
    fn step_and_cosine_fall() {
        let step = Schedule::Step { every: 50, factor: 0.1 };
        assert_eq!((step.factor(49), step.factor(50)), (1.0, 0.1));
        let cosine = Schedule::Cosine { epochs: 10 };
        assert_eq!(cosine.factor(0), 1.0);
        assert!((cosine.factor(5) - 0.5).abs() < 1e-12);
        assert!(cosine.factor(9) > 0.0);
    }
}
