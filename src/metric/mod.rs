//! Distances between two images: L1, PSNR, SSIM, for samples of any type and any number of
//! channels; and how often classes are right, [`Confusion`]. Sums are in f64 and in fixed order, so the numbers are the same on every run.

use crate::error::{Error, Result};
use crate::tensor::{Sample, SampleRange, SampleSlice, with_samples};

mod confusion;

pub use confusion::{Confusion, LabelScores};

/// Side of the window of [`ssim`].
pub const SSIM_WINDOW: usize = 11;

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

/// The structural similarity, 1 for equal images: per channel, with a Gaussian window of 11 x 11
/// and deviation 1.5, `C1 = (0.01 * d)^2`, `C2 = (0.03 * d)^2` with `d = high - low` of the range,
/// biased variances,
///
/// `(2 ma mb + C1) (2 cov + C2) / ((ma^2 + mb^2 + C1) (va + vb + C2))`,
///
/// averaged over all places where the whole window lies inside, then over the channels. With a mask, 0 for each
/// pixel that does not count, only windows without such pixels are averaged; NaN where there are none.
///
/// `a` and `b` are (height, width, channels), dense; neither height nor width may be below
/// [`SSIM_WINDOW`].
///
/// Source: Wang, Bovik, Sheikh, Simoncelli, "Image quality assessment: from error visibility to
/// structural similarity", 2004. Equal to scikit-image's `structural_similarity` with
/// `gaussian_weights=True, sigma=1.5, use_sample_covariance=False, data_range=d, channel_axis=-1`.
///
/// # Errors
/// As [`l1`]; samples that are not whole pixels of this size; a size below the window.
pub fn ssim(
    a: SampleSlice,
    b: SampleSlice,
    [height, width]: [usize; 2],
    range: SampleRange,
    mask: Option<&[u8]>,
) -> Result<f64> {
    check("ssim", a, b)?;
    let pixels = width * height;
    if pixels == 0 || !a.len().is_multiple_of(pixels) {
        return Err(Error::shape(
            "ssim",
            format!("{} samples are not {width}x{height} pixels", a.len()),
        ));
    }
    if width.min(height) < SSIM_WINDOW {
        return Err(Error::shape(
            "ssim",
            format!(
                "pictures of {width}x{height} are smaller than the window of {SSIM_WINDOW} pixels"
            ),
        ));
    }
    let (channels, d) = (a.len() / pixels, range.high - range.low);
    let (c1, c2) = ((0.01 * d).powi(2), (0.03 * d).powi(2));
    let window = gaussian();
    let counts = mask.map(|mask| whole_windows(mask, width));
    let mut total = 0.0;
    for c in 0..channels {
        let channel = |of: SampleSlice| -> Vec<f64> {
            with_samples!(SampleSlice, of, v => {
                v.iter().skip(c).step_by(channels).copied().map(f64::from).collect()
            })
        };
        let (x, y) = (channel(a), channel(b));
        let product =
            |p: &[f64], q: &[f64]| -> Vec<f64> { p.iter().zip(q).map(|(p, q)| p * q).collect() };
        let mean = |values: &[f64]| blur(values, width, &window);
        let (mx, my) = (mean(&x), mean(&y));
        let (xx, yy) = (mean(&product(&x, &x)), mean(&product(&y, &y)));
        let xy = mean(&product(&x, &y));
        let (mut sum, mut windows) = (0.0, 0usize);
        for i in 0..mx.len() {
            if counts.as_ref().is_some_and(|counts| !counts[i]) {
                continue;
            }
            windows += 1;
            let (ma, mb) = (mx[i], my[i]);
            let (va, vb, cov) = (xx[i] - ma * ma, yy[i] - mb * mb, xy[i] - ma * mb);
            sum += (2.0 * ma * mb + c1) * (2.0 * cov + c2)
                / ((ma * ma + mb * mb + c1) * (va + vb + c2));
        }
        total += sum / windows as f64;
    }
    Ok(total / channels as f64)
}

/// Whether all pixels of each window that lies inside count.
fn whole_windows(mask: &[u8], width: usize) -> Vec<bool> {
    let (height, w) = (mask.len() / width, width - SSIM_WINDOW + 1);
    // Of each pixel how many below it in its column, itself included, count in a row.
    let mut down = vec![0usize; width];
    let mut all = vec![false; w * (height - SSIM_WINDOW + 1)];
    for y in (0..height).rev() {
        for (run, &counts) in down.iter_mut().zip(&mask[y * width..]) {
            *run = if counts == 0 { 0 } else { *run + 1 };
        }
        if y + SSIM_WINDOW > height {
            continue;
        }
        let mut across = 0;
        for x in (0..width).rev() {
            across = if down[x] >= SSIM_WINDOW { across + 1 } else { 0 };
            if x < w {
                all[y * w + x] = across >= SSIM_WINDOW;
            }
        }
    }
    all
}

/// Weights of one axis, their sum 1.
fn gaussian() -> [f64; SSIM_WINDOW] {
    let mut w = [0.0; SSIM_WINDOW];
    for (i, w) in w.iter_mut().enumerate() {
        let x = i as f64 - (SSIM_WINDOW / 2) as f64;
        *w = (-0.5 * x * x / (1.5 * 1.5)).exp();
    }
    let sum: f64 = w.iter().sum();
    w.map(|v| v / sum)
}

/// Weighted means of rows of `width` values over the windows that lie inside, across then down.
fn blur(values: &[f64], width: usize, window: &[f64; SSIM_WINDOW]) -> Vec<f64> {
    let w = width - SSIM_WINDOW + 1;
    let mut across = Vec::with_capacity(values.len());
    for row in values.chunks_exact(width) {
        across.extend(
            row.windows(SSIM_WINDOW).map(|v| v.iter().zip(window).map(|(v, w)| v * w).sum::<f64>()),
        );
    }
    let mut out = vec![0.0; across.len() - (SSIM_WINDOW - 1) * w];
    for (y, out) in out.chunks_exact_mut(w).enumerate() {
        for (row, weight) in across[y * w..].chunks_exact(w).zip(window) {
            for (out, v) in out.iter_mut().zip(row) {
                *out += v * weight;
            }
        }
    }
    out
}
