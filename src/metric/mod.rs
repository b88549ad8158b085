//! Distances between two images: L1, PSNR, SSIM, MS-SSIM, correlation, for samples of any type and any
//! number of channels; how often classes are right, [`Confusion`]; and how far a mean over pictures can be
//! trusted, [`bootstrap`]. Sums are in f64 and in fixed order, so the numbers are the same on every run.

use crate::error::{Error, Result};
use crate::tensor::{Sample, SampleRange, SampleSlice, with_samples};

mod confusion;
mod lab;
mod resample;
mod similarity;

pub use confusion::{Confusion, LabelScores};
pub use lab::{LabHistogram, intersection, lab};
pub use resample::{Interval, RESAMPLES, bootstrap};
pub use similarity::{MS_SSIM_SIDE, SSIM_WINDOW, ms_ssim, ssim};

fn check(op: &'static str, a: SampleSlice, b: SampleSlice) -> Result<()> {
    if a.len() != b.len() || a.is_empty() || a.sample_type() != b.sample_type() {
        return Err(Error::shape(
            op,
            format!(
                "needs two images of one size and type, got {} samples of {} and {} of {}",
                a.len(),
                a.sample_type(),
                b.len(),
                b.sample_type()
            ),
        ));
    }
    Ok(())
}

/// The sum of `f(a - b)` over all samples. For 8 bits, sums of up to 2^37 squares are exact.
fn sum(a: SampleSlice, b: SampleSlice, f: fn(f64) -> f64) -> f64 {
    fn add<T: Sample>(a: &[T], b: &[T], f: fn(f64) -> f64) -> f64 {
        a.iter().zip(b).map(|(&x, &y)| f(Into::<f64>::into(x) - Into::<f64>::into(y))).sum()
    }
    match (a, b) {
        (SampleSlice::U8(a), SampleSlice::U8(b)) => add(a, b, f),
        (SampleSlice::U16(a), SampleSlice::U16(b)) => add(a, b, f),
        (SampleSlice::F32(a), SampleSlice::F32(b)) => add(a, b, f),
        _ => unreachable!("types are compared before"),
    }
}

/// Mean of `|a - b|` over all samples, scaled to [-1, 1] as in the training loss: samples at the
/// two ends of `range` differ by 2.
///
/// # Errors
/// [`Error::Shape`] if `a` and `b` differ in number or type of samples, or have none.
pub fn l1(a: SampleSlice, b: SampleSlice, range: SampleRange) -> Result<f64> {
    check("l1", a, b)?;
    Ok(sum(a, b, f64::abs) / range.half() / a.len() as f64)
}

/// `10 log10(d^2 / mean((a - b)^2))` in dB with `d = high - low` of the range; infinite for equal
/// images.
///
/// # Errors
/// As [`l1`].
pub fn psnr(a: SampleSlice, b: SampleSlice, range: SampleRange) -> Result<f64> {
    check("psnr", a, b)?;
    let d = range.high - range.low;
    Ok(10.0 * (d * d / (sum(a, b, |d| d * d) / a.len() as f64)).log10())
}

/// Mean of `|a - b|` over all samples, in their own unit: levels, metres.
///
/// # Errors
/// As [`l1`].
pub fn mae(a: SampleSlice, b: SampleSlice) -> Result<f64> {
    check("mae", a, b)?;
    Ok(sum(a, b, f64::abs) / a.len() as f64)
}

/// `sqrt(sum((a - b)^2) / sum(b^2))`, the root of the mean squared difference over that of the target `b`;
/// infinite where `b` is 0 everywhere and `a` is not, NaN where both are. Samples in their own unit.
///
/// Equal to scikit-image's `normalized_root_mse(b, a, normalization="euclidean")`.
///
/// # Errors
/// As [`l1`].
pub fn nrmse(a: SampleSlice, b: SampleSlice) -> Result<f64> {
    check("nrmse", a, b)?;
    let square = |v: f64| {
        with_samples!(SampleSlice, b, all => {
            all.iter().map(|&b| (Into::<f64>::into(b) - v).powi(2)).sum::<f64>()
        })
    };
    Ok((sum(a, b, |d| d * d) / square(0.0)).sqrt())
}

/// Pearson's correlation of all samples, -1 to 1; NaN where those of one image are all equal.
///
/// `sum((a - ma) (b - mb)) / sqrt(sum((a - ma)^2) sum((b - mb)^2))` with the means `ma` and `mb`.
///
/// # Errors
/// As [`l1`].
pub fn pearson(a: SampleSlice, b: SampleSlice) -> Result<f64> {
    check("pearson", a, b)?;
    let values = |of: SampleSlice| -> Vec<f64> {
        with_samples!(SampleSlice, of, all => all.iter().map(|&v| v.into()).collect())
    };
    let (mut a, mut b) = (values(a), values(b));
    for side in [&mut a, &mut b] {
        let mean = side.iter().sum::<f64>() / side.len() as f64;
        side.iter_mut().for_each(|v| *v -= mean);
    }
    let product = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    Ok(product(&a, &b) / (product(&a, &a) * product(&b, &b)).sqrt())
}
