//! The learning rate of an epoch.

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
    /// The factor in `epoch`, from 0.
    pub fn factor(self, epoch: u64) -> f64 {
        match self {
            Schedule::Constant => 1.0,
            Schedule::Linear { epochs, decay } => {
                let into = (epoch + 1).saturating_sub(epochs).min(decay);
                1.0 - into as f64 / (decay + 1) as f64
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

#[cfg(test)]
mod tests {
    use super::*;

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
