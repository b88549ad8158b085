//! Bicubic resizing. For 8 bits the result equals Pillow's `Image.resize(size, BICUBIC)` byte for
//! byte; other samples are not rounded in between.
//!
//! An output pixel whose centre falls at `c = (i + 1/2) * scale` of the input, `scale = in / out`,
//! is a sum over the inputs within `2 * max(scale, 1)` of it, weighted by the cubic of Keys (1981)
//! with `a = -1/2` at `(x + 1/2 - c) / max(scale, 1)`; the weights are divided by their sum, also
//! at the edges, where some inputs are missing. Rows and columns are two passes.
//!
//! With 8 bits the weights are rounded to 22 fractional bits and the intermediate image to 8 bits,
//! so the order of the passes matters: rows first, except if
//! `h_in - h_out > max(0, 2 * (w_in - w_out))`, where Pillow since version 13 takes columns first
//! (up to 12 it always took rows first). The rule was found by comparing bytes;
//! `tests/golden/make_data.py` has sizes on both sides of it. A library that computes in float, with
//! 16-bit weights or in the other order gives other bytes: `fast_image_resize` 6.1 differed in 17 to
//! 30 % of them, on noise.
//!
//! 16 bits and floats are summed in f64 and held in f32 between the passes; 16 bits are rounded
//! once, at the end.
//!
//! Source: Keys, "Cubic convolution interpolation for digital image processing", 1981; and the
//! behaviour of Pillow, which `tests/golden/data` holds.

use super::Image;
use crate::tensor::{Sample, Samples};

/// Fractional bits of a weight: 32, less 8 for the pixel and 2 for overshoot and sign.
const BITS: u32 = 22;

/// Keys' cubic with a = -1/2.
fn cubic(x: f64) -> f64 {
    const A: f64 = -0.5;
    let x = x.abs();
    if x < 1.0 {
        ((A + 2.0) * x - (A + 3.0)) * x * x + 1.0
    } else if x < 2.0 {
        (((x - 5.0) * x + 8.0) * x - 4.0) * A
    } else {
        0.0
    }
}

/// A sample type, with the arithmetic of its weighted sums.
trait Summed: Copy + Default {
    /// A weight, and a sum of weighted samples.
    type Sum: Copy;
    /// Where a sum begins.
    const ZERO: Self::Sum;
    /// A weight in the type of sums.
    fn weight(exact: f64) -> Self::Sum;
    /// A sum with one more sample.
    fn add(sum: Self::Sum, sample: Self, weight: Self::Sum) -> Self::Sum;
    /// The sample of a finished sum.
    fn done(sum: Self::Sum) -> Self;
}

impl Summed for u8 {
    type Sum = i32;
    /// Half a unit, so that the shift rounds.
    const ZERO: i32 = 1 << (BITS - 1);

    fn weight(exact: f64) -> i32 {
        // Rounds half away from zero: the cast truncates.
        (exact * f64::from(1 << BITS) + 0.5f64.copysign(exact)) as i32
    }

    #[inline(always)]
    fn add(sum: i32, sample: u8, weight: i32) -> i32 {
        sum + i32::from(sample) * weight
    }

    #[inline(always)]
    fn done(sum: i32) -> u8 {
        (sum >> BITS).clamp(0, 255) as u8
    }
}

impl Summed for f32 {
    type Sum = f64;
    const ZERO: f64 = 0.0;

    fn weight(exact: f64) -> f64 {
        exact
    }

    #[inline(always)]
    fn add(sum: f64, sample: f32, weight: f64) -> f64 {
        sum + f64::from(sample) * weight
    }

    #[inline(always)]
    fn done(sum: f64) -> f32 {
        sum as f32
    }
}

/// For each output position: the first input it reads, and its weights.
struct Coefficients<W> {
    first: Vec<usize>,
    start: Vec<usize>,
    values: Vec<W>,
}

impl<W> Coefficients<W> {
    /// Coefficients of the `output` positions that `input` become.
    fn new(input: usize, output: usize, held: fn(f64) -> W) -> Self {
        let scale = input as f64 / output as f64;
        let stretch = scale.max(1.0);
        let support = 2.0 * stretch;
        let inverse = 1.0 / stretch;
        let mut weights =
            Coefficients { first: Vec::with_capacity(output), start: vec![0], values: Vec::new() };
        let mut exact = Vec::new();
        for i in 0..output {
            let centre = (i as f64 + 0.5) * scale;
            let first = (centre - support + 0.5).max(0.0) as usize;
            let end = ((centre + support + 0.5) as usize).min(input);
            exact.clear();
            exact.extend((first..end).map(|x| cubic((x as f64 - centre + 0.5) * inverse)));
            let sum: f64 = exact.iter().sum();
            weights.first.push(first);
            weights
                .values
                .extend(exact.iter().map(|w| held(if sum != 0.0 { w / sum } else { *w })));
            weights.start.push(weights.values.len());
        }
        weights
    }

    fn get(&self, i: usize) -> (usize, &[W]) {
        (self.first[i], &self.values[self.start[i]..self.start[i + 1]])
    }
}

impl Image {
    /// The image resized to `width` x `height` pixels, both at least 1, by bicubic interpolation; a
    /// copy if it has that size.
    pub fn resize(&self, width: usize, height: usize) -> Image {
        if (width, height) == (self.width, self.height) {
            return self.clone();
        }
        let samples = match &self.samples {
            Samples::U8(v) => self.resized(v, width, height).into(),
            Samples::F32(v) => self.resized(v, width, height).into(),
            Samples::U16(v) => {
                let wide: Vec<f32> = v.iter().map(|&x| f32::from(x)).collect();
                let wide = self.resized(&wide, width, height);
                Samples::U16(wide.into_iter().map(u16::nearest).collect())
            }
        };
        Image { width, height, samples, channels: self.channels }
    }

    /// `samples`, which are as many as this image has, at another size.
    fn resized<T: Summed>(&self, samples: &[T], width: usize, height: usize) -> Vec<T> {
        let across = Coefficients::new(self.width, width, T::weight);
        let down = Coefficients::new(self.height, height, T::weight);
        let lost = |from: usize, to: usize| from as i64 - to as i64;
        if lost(self.height, height) > (2 * lost(self.width, width)).max(0) {
            let low = columns(samples, self.width * self.channels, &down);
            rows(&low, self.width, self.channels, &across)
        } else {
            let narrow = rows(samples, self.width, self.channels, &across);
            columns(&narrow, width * self.channels, &down)
        }
    }
}

/// Resizes every row of `width` pixels.
fn rows<T: Summed>(
    samples: &[T],
    width: usize,
    channels: usize,
    weights: &Coefficients<T::Sum>,
) -> Vec<T> {
    // With the number of channels known, the sums of a pixel are held in registers.
    match channels {
        1 => rows_of::<T, 1>(samples, width, 1, weights),
        3 => rows_of::<T, 3>(samples, width, 3, weights),
        _ => rows_of::<T, 1>(samples, width, channels, weights),
    }
}

/// [`rows`] of `channels` channels, `TOGETHER` of them at a time.
fn rows_of<T: Summed, const TOGETHER: usize>(
    samples: &[T],
    width: usize,
    channels: usize,
    weights: &Coefficients<T::Sum>,
) -> Vec<T> {
    let count = weights.first.len();
    let mut result = vec![T::default(); samples.len() / width * count];
    let lines = samples.chunks_exact(width * channels);
    for (row, out) in lines.zip(result.chunks_exact_mut(count * channels)) {
        for (i, out) in out.chunks_exact_mut(channels).enumerate() {
            let (first, weights) = weights.get(i);
            let window = &row[first * channels..(first + weights.len()) * channels];
            for (c, out) in out.chunks_exact_mut(TOGETHER).enumerate() {
                let mut sums = [T::ZERO; TOGETHER];
                for (pixel, &weight) in window.chunks_exact(channels).zip(weights) {
                    let pixel = &pixel[c * TOGETHER..][..TOGETHER];
                    for (sum, &p) in sums.iter_mut().zip(pixel) {
                        *sum = T::add(*sum, p, weight);
                    }
                }
                out.iter_mut().zip(sums).for_each(|(out, sum)| *out = T::done(sum));
            }
        }
    }
    result
}

impl Image {
    /// The nearest pixel of each: at `floor((i + 1/2) * in / out)`. For labels, which have no means.
    pub fn resize_nearest(&self, width: usize, height: usize) -> Image {
        let taken = |from: usize, to: usize| -> Vec<usize> {
            (0..to)
                .map(|i| ((2 * i + 1) as u128 * from as u128 / (2 * to) as u128) as usize)
                .collect()
        };
        if (width, height) == (self.width, self.height) {
            return self.clone();
        }
        self.gather(&taken(self.width, width), &taken(self.height, height))
    }

    /// A mask of 0 and 1, resized as [`Image::resize`] resizes the images it is of: a pixel counts if all
    /// do that lie within one output pixel of its centre, or within one of the input where that is larger. These
    /// have all of the positive weight of the cubic, and what lies behind has below a fourteenth.
    pub fn resize_mask(&self, width: usize, height: usize) -> Image {
        if (width, height) == (self.width, self.height) {
            return self.clone();
        }
        let Samples::U8(counts) = &self.samples else { panic!("masks are of u8") };
        let reach = |from: usize, to: usize| -> Vec<std::ops::Range<usize>> {
            let scale = from as f64 / to as f64;
            let half = scale.max(1.0);
            let window = |i: usize| {
                let centre = (i as f64 + 0.5) * scale;
                // Inputs whose centre lies strictly inside; the nearest always does.
                let first = (centre - half + 0.5).floor().max(0.0) as usize;
                let end = ((centre + half - 0.5).ceil() as usize).min(from);
                first..end.max(first + 1)
            };
            (0..to).map(window).collect()
        };
        let across: Vec<u8> = {
            let windows = reach(self.width, width);
            let line = |row: &[u8]| -> Vec<u8> {
                windows
                    .iter()
                    .map(|w| *row[w.clone()].iter().min().expect("windows hold one"))
                    .collect()
            };
            counts.chunks_exact(self.width).flat_map(line).collect()
        };
        let down = reach(self.height, height).into_iter().flat_map(|window| {
            let across = &across;
            (0..width).map(move |x| {
                window.clone().map(|y| across[y * width + x]).min().expect("windows hold one")
            })
        });
        Image { height, width, channels: 1, samples: Samples::U8(down.collect()) }
    }
}

/// Resizes every column; rows have `stride` samples.
fn columns<T: Summed>(samples: &[T], stride: usize, weights: &Coefficients<T::Sum>) -> Vec<T> {
    let mut result = vec![T::default(); weights.first.len() * stride];
    let mut sums = vec![T::ZERO; stride];
    for (i, out) in result.chunks_exact_mut(stride).enumerate() {
        let (first, weights) = weights.get(i);
        sums.fill(T::ZERO);
        for (row, &weight) in samples[first * stride..].chunks_exact(stride).zip(weights) {
            for (sum, &p) in sums.iter_mut().zip(row) {
                *sum = T::add(*sum, p, weight);
            }
        }
        for (out, &sum) in out.iter_mut().zip(&sums) {
            *out = T::done(sum);
        }
    }
    result
}
