//! How far a figure over pictures can be trusted, by drawing the pictures again.

use serde::Serialize;

use crate::random::{Purpose, below, philox};

/// How often pictures are drawn again.
pub const RESAMPLES: usize = 10_000;

/// The ends between which 95 % of the figures over drawn pictures lie.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Interval {
    /// The 2.5th percentile.
    pub low: f64,
    /// The 97.5th.
    pub high: f64,
}

/// The percentile bootstrap of a figure over `n` pictures: [`RESAMPLES`] times `n` of them are drawn with
/// replacement, a function of the seed alone, and `figure` is given their indices. Figures that are NaN are left
/// out. `None` below two pictures, which say nothing of a spread, and where all figures are NaN.
///
/// Percentiles between two figures are interpolated linearly, as numpy's `percentile` does.
///
/// Source: Efron and Tibshirani, "An introduction to the bootstrap", 1993, chapter 13.
pub fn bootstrap(n: usize, seed: u64, figure: impl Fn(&[usize]) -> f64) -> Option<Interval> {
    if n < 2 {
        return None;
    }
    let mut drawn = vec![0; n];
    let mut figures: Vec<f64> = (0..RESAMPLES)
        .map(|resample| {
            for (i, four) in drawn.chunks_mut(4).enumerate() {
                let counter = [i as u32, resample as u32, 0, Purpose::Bootstrap as u32];
                let words = philox(seed, counter);
                four.iter_mut()
                    .zip(words)
                    .for_each(|(d, word)| *d = below(word, n as u32) as usize);
            }
            figure(&drawn)
        })
        .filter(|figure| !figure.is_nan())
        .collect();
    figures.sort_by(f64::total_cmp);
    let percentile = |share: f64| -> Option<f64> {
        let at = share * figures.len().checked_sub(1)? as f64;
        let (low, high) = (figures[at.floor() as usize], figures[at.ceil() as usize]);
        // Equal ends may be infinite.
        Some(if low == high { low } else { low + (high - low) * at.fract() })
    };
    Some(Interval { low: percentile(0.025)?, high: percentile(0.975)? })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mean(values: &[f64]) -> impl Fn(&[usize]) -> f64 + '_ {
        |drawn| drawn.iter().map(|&i| values[i]).sum::<f64>() / drawn.len() as f64
    }

    /// Of answers that are 0 or 1 the sum over drawn ones is binomial, whose quantiles are known exactly. The
    /// share of resamples at or below a value deviates from its probability by at most 5 times
    /// sqrt(p (1 - p) / 10,000), which moves neither end by more than one answer here.
    #[test]
    fn of_yes_and_no_the_ends_are_quantiles_of_the_binomial_distribution() {
        for (n, yes) in [(40, 9), (100, 19), (200, 100)] {
            let answers: Vec<f64> = (0..n).map(|i| f64::from(i < yes)).collect();
            let p = f64::from(yes) / f64::from(n);
            // The terms of the distribution, each from the one before.
            let mut term = (1.0 - p).powi(n);
            let (mut below, mut quantiles) = (0.0, Vec::new());
            for k in 0..=n {
                below += term;
                while quantiles.len() < 2 && below >= [0.025, 0.975][quantiles.len()] {
                    quantiles.push(f64::from(k) / f64::from(n));
                }
                term *= f64::from(n - k) / f64::from(k + 1) * p / (1.0 - p);
            }
            let got = bootstrap(n as usize, 7, mean(&answers)).unwrap();
            let one = 1.0 / f64::from(n) + 1e-12;
            for (got, want) in [got.low, got.high].into_iter().zip(quantiles) {
                assert!((got - want).abs() <= one, "{yes} of {n}: {got}, not {want}");
            }
        }
    }

    /// A mean of many numbers is nearly normal with deviation s / sqrt(n), s that of the numbers themselves. An end
    /// is known to sqrt(q (1 - q) / 10,000) / density(1.96) = 0.027 deviations; 5 times that, and 0.05 for n.
    #[test]
    fn of_many_numbers_the_ends_are_1_96_deviations_of_the_mean_away() {
        let values: Vec<f64> = (0..400).map(|i| f64::from((i * 7919) % 400)).collect();
        let n = values.len() as f64;
        let middle = values.iter().sum::<f64>() / n;
        let s = (values.iter().map(|v| (v - middle).powi(2)).sum::<f64>() / n).sqrt();
        let deviation = s / n.sqrt();
        let Interval { low, high } = bootstrap(values.len(), 1, mean(&values)).unwrap();
        for end in [middle - low, high - middle] {
            assert!((end / deviation - 1.96).abs() < 0.19, "{} deviations", end / deviation);
        }
        let again = bootstrap(values.len(), 1, mean(&values)).unwrap();
        assert_eq!(again, Interval { low, high });
        assert_ne!(bootstrap(values.len(), 2, mean(&values)).unwrap(), again);
    }

    #[test]
    fn what_says_nothing_has_no_interval() {
        assert_eq!(bootstrap(1, 0, |_| 1.0), None);
        assert_eq!(bootstrap(5, 0, |_| f64::NAN), None);
        let infinite = bootstrap(5, 0, |_| f64::INFINITY).unwrap();
        assert_eq!((infinite.low, infinite.high), (f64::INFINITY, f64::INFINITY));
    }
}
