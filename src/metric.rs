//! How far two pictures are apart: L1, PSNR, SSIM. RGB bytes, sums in f64 and in fixed order, so the
//! numbers are the same on every run.

use crate::error::{Error, Result};

/// Side of the window of [`ssim`].
pub const SSIM_WINDOW: usize = 11;

fn check(op: &'static str, a: &[u8], b: &[u8]) -> Result<()> {
    if a.len() != b.len() || a.is_empty() {
        return Err(Error::shape(
            op,
            format!("needs two pictures of one size, got {} and {} bytes", a.len(), b.len()),
        ));
    }
    Ok(())
}

/// Mean of `|a - b|` over all values in units of [-1, 1], as the training loss counts it: bytes apart
/// by 255 are apart by 2.
pub fn l1(a: &[u8], b: &[u8]) -> Result<f64> {
    check("l1", a, b)?;
    let sum: u64 = a.iter().zip(b).map(|(x, y)| u64::from(x.abs_diff(*y))).sum();
    Ok(sum as f64 / 127.5 / a.len() as f64)
}

/// `10 log10(255^2 / mean((a - b)^2))` in dB; infinite for equal pictures.
pub fn psnr(a: &[u8], b: &[u8]) -> Result<f64> {
    check("psnr", a, b)?;
    let sum: u64 = a.iter().zip(b).map(|(x, y)| u64::from(x.abs_diff(*y)).pow(2)).sum();
    Ok(10.0 * (255.0 * 255.0 / (sum as f64 / a.len() as f64)).log10())
}

/// The structural similarity, 1 for equal pictures: per channel, with a Gaussian window of 11 x 11
/// and deviation 1.5, `C1 = (0.01 * 255)^2`, `C2 = (0.03 * 255)^2`, biased variances,
///
/// `(2 ma mb + C1) (2 cov + C2) / ((ma^2 + mb^2 + C1) (va + vb + C2))`,
///
/// averaged over all places where the whole window lies inside, then over the channels.
///
/// `a` and `b` are RGB, `width * height * 3` bytes; neither extent may be below [`SSIM_WINDOW`].
///
/// Source: Wang, Bovik, Sheikh, Simoncelli, "Image quality assessment: from error visibility to
/// structural similarity", 2004. Equal to scikit-image's `structural_similarity` with
/// `gaussian_weights=True, sigma=1.5, use_sample_covariance=False, data_range=255, channel_axis=-1`.
pub fn ssim(a: &[u8], b: &[u8], width: usize, height: usize) -> Result<f64> {
    check("ssim", a, b)?;
    if a.len() != width * height * 3 {
        return Err(Error::shape(
            "ssim",
            format!("{} bytes are not {width}x{height} RGB pixels", a.len()),
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
    let (c1, c2) = ((0.01f64 * 255.0).powi(2), (0.03f64 * 255.0).powi(2));
    let window = gaussian();
    let mut total = 0.0;
    for c in 0..3 {
        let channel = |of: &[u8]| -> Vec<f64> {
            of.iter().skip(c).step_by(3).copied().map(f64::from).collect()
        };
        let (x, y) = (channel(a), channel(b));
        let product =
            |p: &[f64], q: &[f64]| -> Vec<f64> { p.iter().zip(q).map(|(p, q)| p * q).collect() };
        let mean = |values: &[f64]| blur(values, width, &window);
        let (mx, my) = (mean(&x), mean(&y));
        let (xx, yy) = (mean(&product(&x, &x)), mean(&product(&y, &y)));
        let xy = mean(&product(&x, &y));
        let mut sum = 0.0;
        for i in 0..mx.len() {
            let (ma, mb) = (mx[i], my[i]);
            let (va, vb, cov) = (xx[i] - ma * ma, yy[i] - mb * mb, xy[i] - ma * mb);
            sum += (2.0 * ma * mb + c1) * (2.0 * cov + c2)
                / ((ma * ma + mb * mb + c1) * (va + vb + c2));
        }
        total += sum / mx.len() as f64;
    }
    Ok(total / 3.0)
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
