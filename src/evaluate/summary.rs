//! Means over pictures, how far they can be trusted, and differences between systems.

use super::score::{ClassPixels, Measure, Score, pooled};
use crate::metric::{Interval, bootstrap};

/// A figure over all pictures of a system.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Summary {
    /// What it is a figure of.
    pub measure: Measure,
    /// The mean over the pictures, or the figure of all their pixels; NaN where no picture has one.
    pub value: f64,
    /// Where it lies with other pictures of the same kind, at 95 %.
    pub interval: Option<Interval>,
    /// Pictures that it is of.
    pub pictures: usize,
    /// Pictures without such a figure, or with an infinite one, which are not in it.
    pub left_out: usize,
}

/// The difference of a system from another on the pictures that both have.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Difference {
    /// Of which figure.
    pub measure: Measure,
    /// That of the system minus that of the other.
    pub value: f64,
    /// Where it lies with other pictures of the same kind, at 95 %: each is drawn with both outputs.
    pub interval: Option<Interval>,
    /// Pictures that it is of.
    pub pictures: usize,
}

/// The figure of a measure over some pictures.
fn over(measure: Measure, scores: &[&Score]) -> f64 {
    if measure.is_pooled() {
        return pooled(measure, scores.iter().copied());
    }
    scores.iter().map(|score| score.figure(measure)).sum::<f64>() / scores.len() as f64
}

/// Whether a picture belongs into the figure over all.
fn belongs(measure: Measure, score: &Score) -> bool {
    if Measure::OF_COLOURS.contains(&measure) {
        return score.colours.is_some();
    }
    match measure.is_pooled() {
        true => score.classes.iter().any(|ClassPixels { target, .. }| *target > 0),
        false => score.figure(measure).is_finite(),
    }
}

/// The figure of a measure over all pictures of a system.
pub fn summary(measure: Measure, scores: &[Option<Score>], seed: u64) -> Summary {
    let all: Vec<&Score> = scores.iter().flatten().collect();
    let of: Vec<&Score> = all.iter().copied().filter(|score| belongs(measure, score)).collect();
    let drawn = |drawn: &[usize]| drawn.iter().map(|&i| of[i]).collect::<Vec<_>>();
    Summary {
        measure,
        value: over(measure, &of),
        interval: bootstrap(of.len(), seed, |indices| over(measure, &drawn(indices))),
        pictures: of.len(),
        left_out: all.len() - of.len(),
    }
}

/// The difference of a system from another, on the pictures where both have a figure.
pub fn difference(
    measure: Measure,
    scores: &[Option<Score>],
    other: &[Option<Score>],
    seed: u64,
) -> Difference {
    let both: Vec<[&Score; 2]> = scores
        .iter()
        .zip(other)
        .filter_map(|(a, b)| Some([a.as_ref()?, b.as_ref()?]))
        .filter(|both| both.iter().all(|score| belongs(measure, score)))
        .collect();
    let of = |indices: &mut dyn Iterator<Item = usize>| {
        let (a, b): (Vec<_>, Vec<_>) = indices.map(|i| (both[i][0], both[i][1])).unzip();
        over(measure, &a) - over(measure, &b)
    };
    Difference {
        measure,
        value: of(&mut (0..both.len())),
        interval: bootstrap(both.len(), seed, |drawn| of(&mut drawn.iter().copied())),
        pictures: both.len(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of_ssim(figures: &[f64]) -> Vec<Option<Score>> {
        let all = |ssim: f64| Score {
            samples: vec![0.5, 0.5, 20.0, ssim],
            classes: Vec::new(),
            colours: None,
        };
        figures.iter().map(|&ssim| (ssim >= 0.0 || ssim.is_nan()).then(|| all(ssim))).collect()
    }

    /// By hand; -1 stands for a picture that there is none of, NaN for one too small for a figure.
    #[test]
    fn means_are_of_the_pictures_that_have_a_figure_and_differences_of_common_ones() {
        let (a, b) = (of_ssim(&[0.5, 0.25, f64::NAN, -1.0]), of_ssim(&[0.25, -1.0, 0.5, 1.0]));
        let found = summary(Measure::Ssim, &a, 0);
        assert_eq!((found.value, found.pictures, found.left_out), (0.375, 2, 1));
        let interval = found.interval.unwrap();
        assert_eq!((interval.low, interval.high), (0.25, 0.5));
        let between = difference(Measure::Ssim, &a, &b, 0);
        assert_eq!((between.value, between.pictures, between.interval), (0.25, 1, None));
        assert!(summary(Measure::Ssim, &of_ssim(&[-1.0]), 0).value.is_nan());
    }

    /// A constant difference has no spread, however much the pictures differ. Sums and means of 64ths over 64 pictures
    /// are exact.
    #[test]
    fn differences_are_paired() {
        let figures: Vec<f64> = (1..=64).map(|i| f64::from(i) / 64.0).collect();
        let more: Vec<f64> = figures.iter().map(|f| f + 0.25).collect();
        let found = difference(Measure::Ssim, &of_ssim(&more), &of_ssim(&figures), 3);
        let interval = found.interval.unwrap();
        assert_eq!((found.value, interval.low, interval.high), (0.25, 0.25, 0.25));
    }

    /// Two pictures, the second four times as large: figures of classes are of all pixels.
    #[test]
    fn figures_of_classes_are_of_all_pixels() {
        let of = |right: u64, target: u64, output: u64| ClassPixels { right, target, output };
        let scores = [vec![of(1, 2, 1), of(2, 2, 3)], vec![of(16, 16, 16), of(0, 0, 0)]];
        let scores =
            scores.map(|classes| Some(Score { samples: Vec::new(), classes, colours: None }));
        let value = |measure| summary(measure, &scores, 0).value;
        assert_eq!(value(Measure::PixelAccuracy), 19.0 / 20.0);
        assert_eq!(value(Measure::ClassAccuracy), (17.0 / 18.0 + 1.0) / 2.0);
        assert_eq!(value(Measure::MeanIou), (17.0 / 18.0 + 2.0 / 3.0) / 2.0);
    }
}
