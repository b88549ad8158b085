//! Structural similarity, at one scale and at five.

use super::check;
use crate::error::{Error, Result};
use crate::tensor::{SampleRange, SampleSlice, with_samples};

/// Side of the window of [`ssim`].
pub const SSIM_WINDOW: usize = 11;
/// The weights of the scales of [`ms_ssim`], from the picture itself down.
const MS_SSIM_WEIGHTS: [f64; 5] = [0.0448, 0.2856, 0.3001, 0.2363, 0.1333];
/// The smallest side that [`ms_ssim`] takes: at its last scale a window still fits.
pub const MS_SSIM_SIDE: usize = (SSIM_WINDOW - 1) * (1 << (MS_SSIM_WEIGHTS.len() - 1)) + 1;

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
/// As [`l1`](super::l1); samples that are not whole pixels of this size; a size below the window.
pub fn ssim(
    a: SampleSlice,
    b: SampleSlice,
    size: [usize; 2],
    range: SampleRange,
    mask: Option<&[u8]>,
) -> Result<f64> {
    let channels = channels("ssim", [a, b], size, SSIM_WINDOW)?;
    let of = |c| {
        let planes = [a, b].map(|of| Plane::of(of, c, channels, size));
        similarity(&planes, constants(range), mask)[0]
    };
    Ok((0..channels).map(of).sum::<f64>() / channels as f64)
}

/// The structural similarity at five scales, 1 for equal images: of each channel the product over the scales of
///
/// `(mean of (2 cov + C2) / (va + vb + C2))^w`, at the last scale of the whole of [`ssim`],
///
/// with `w` 0.0448, 0.2856, 0.3001, 0.2363 and 0.1333, a negative mean taken as 0; averaged over the channels. A
/// scale has half the size of the one before: means of 2 x 2 pixels, at odd sizes with the last row and column
/// repeated. A mean of pixels of which one does not count does not count. NaN where a scale has no whole window
/// that counts.
///
/// `a` and `b` are (height, width, channels), dense; neither height nor width may be below [`MS_SSIM_SIDE`].
///
/// Source: Wang, Simoncelli, Bovik, "Multi-scale structural similarity for image quality assessment", 2003. At
/// sizes that are multiples of 16 equal to `ms_ssim` of the Python package pytorch-msssim.
///
/// # Errors
/// As [`ssim`].
pub fn ms_ssim(
    a: SampleSlice,
    b: SampleSlice,
    size: [usize; 2],
    range: SampleRange,
    mask: Option<&[u8]>,
) -> Result<f64> {
    let channels = channels("ms_ssim", [a, b], size, MS_SSIM_SIDE)?;
    let last = MS_SSIM_WEIGHTS.len() - 1;
    let of = |c| {
        let mut planes = [a, b].map(|of| Plane::of(of, c, channels, size));
        let mut mask = mask.map(<[u8]>::to_vec);
        let mut product = 1.0;
        for (scale, weight) in MS_SSIM_WEIGHTS.into_iter().enumerate() {
            let [whole, contrast] = similarity(&planes, constants(range), mask.as_deref());
            let mean = if scale == last { whole } else { contrast };
            // `max` would make a 0 of NaN.
            product *= if mean < 0.0 { 0.0 } else { mean.powf(weight) };
            mask = mask.map(|mask| halved_mask(&mask, planes[0].width));
            planes = planes.map(|plane| plane.halved());
        }
        product
    };
    Ok((0..channels).map(of).sum::<f64>() / channels as f64)
}

/// The number of channels of two images of this height and width.
fn channels(
    op: &'static str,
    [a, b]: [SampleSlice; 2],
    [height, width]: [usize; 2],
    least: usize,
) -> Result<usize> {
    check(op, a, b)?;
    let pixels = width * height;
    if pixels == 0 || !a.len().is_multiple_of(pixels) {
        return Err(Error::shape(
            op,
            format!("{} samples are not {width}x{height} pixels", a.len()),
        ));
    }
    if width.min(height) < least {
        return Err(Error::shape(
            op,
            format!("pictures of {width}x{height} have a side below {least} pixels"),
        ));
    }
    Ok(a.len() / pixels)
}

/// C1 and C2.
fn constants(range: SampleRange) -> [f64; 2] {
    let d = range.high - range.low;
    [(0.01 * d).powi(2), (0.03 * d).powi(2)]
}

/// One channel of an image.
struct Plane {
    values: Vec<f64>,
    width: usize,
}

impl Plane {
    fn of(samples: SampleSlice, channel: usize, channels: usize, [_, width]: [usize; 2]) -> Plane {
        let values = with_samples!(SampleSlice, samples, v => {
            v.iter().skip(channel).step_by(channels).copied().map(f64::from).collect()
        });
        Plane { values, width }
    }

    fn halved(&self) -> Plane {
        let values = halved(&self.values, self.width, |four| four.iter().sum::<f64>() / 4.0);
        Plane { values, width: self.width.div_ceil(2) }
    }
}

fn halved_mask(mask: &[u8], width: usize) -> Vec<u8> {
    halved(mask, width, |four| u8::from(four.iter().all(|&counts| counts != 0)))
}

/// A value for every 2 x 2 values, the last row and column repeated where their number is odd.
fn halved<T: Copy>(values: &[T], width: usize, of: impl Fn([T; 4]) -> T) -> Vec<T> {
    let height = values.len() / width;
    let mut all = Vec::with_capacity(width.div_ceil(2) * height.div_ceil(2));
    for y in (0..height).step_by(2) {
        let rows = [y, (y + 1).min(height - 1)].map(|y| &values[y * width..][..width]);
        for x in (0..width).step_by(2) {
            let right = (x + 1).min(width - 1);
            all.push(of([rows[0][x], rows[0][right], rows[1][x], rows[1][right]]));
        }
    }
    all
}

/// Means over all windows that lie inside and count: of the whole similarity, and of its second factor.
fn similarity([a, b]: &[Plane; 2], [c1, c2]: [f64; 2], mask: Option<&[u8]>) -> [f64; 2] {
    let (width, window) = (a.width, gaussian());
    let counts = mask.map(|mask| whole_windows(mask, width));
    let product = |p: &Plane, q: &Plane| -> Vec<f64> {
        let products: Vec<f64> = p.values.iter().zip(&q.values).map(|(p, q)| p * q).collect();
        blur(&products, width, &window)
    };
    let (mx, my) = (blur(&a.values, width, &window), blur(&b.values, width, &window));
    let (xx, yy, xy) = (product(a, a), product(b, b), product(a, b));
    let (mut whole, mut contrast, mut windows) = (0.0, 0.0, 0usize);
    for i in 0..mx.len() {
        if counts.as_ref().is_some_and(|counts| !counts[i]) {
            continue;
        }
        windows += 1;
        let (ma, mb) = (mx[i], my[i]);
        let (va, vb, cov) = (xx[i] - ma * ma, yy[i] - mb * mb, xy[i] - ma * mb);
        let second = (2.0 * cov + c2) / (va + vb + c2);
        whole += (2.0 * ma * mb + c1) / (ma * ma + mb * mb + c1) * second;
        contrast += second;
    }
    [whole, contrast].map(|sum| sum / windows as f64)
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
