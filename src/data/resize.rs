//! Bicubic resizing, byte for byte as Pillow's `Image.resize(size, BICUBIC)` does on 8-bit RGB.
//!
//! An output pixel whose centre falls at `c = (i + 1/2) * scale` of the input, `scale = in / out`, is
//! a sum over the inputs within `2 * max(scale, 1)` of it, weighted by the cubic of Keys (1981) with
//! `a = -1/2` at `(x + 1/2 - c) / max(scale, 1)`; the weights are divided by their sum, which also
//! settles the edges, and rounded to 22 fractional bits. Rows and columns are two passes with a
//! rounding to 8 bits between them, so their order shows: across first, except where Pillow since
//! version 13 goes down first, which is where `h_in - h_out > max(0, 2 * (w_in - w_out))`, that is for
//! tall pictures that become less tall. Versions up to 12 always went across first. (The rule was
//! found by comparing bytes; `tests/golden/make_data.py` holds sizes on both sides of it.)
//!
//! These roundings are why a library that does the same in float, with 16-bit weights or in the
//! other order gives other bytes: `fast_image_resize` 6.1 did in 17 to 30 % of them, on noise.
//!
//! Source: Keys, "Cubic convolution interpolation for digital image processing", 1981; and the
//! behaviour of Pillow, which `tests/golden/data` holds.

use super::Image;

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

/// For each output position: the first input it reads, and its weights.
struct Coefficients {
    first: Vec<usize>,
    start: Vec<usize>,
    values: Vec<i32>,
}

impl Coefficients {
    /// Coefficients of the `output` positions that `input` become.
    fn new(input: usize, output: usize) -> Self {
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
            weights.values.extend(exact.iter().map(|w| {
                let w = if sum != 0.0 { w / sum } else { *w };
                // Half away from zero, and the cast cuts.
                (w * f64::from(1 << BITS) + 0.5f64.copysign(w)) as i32
            }));
            weights.start.push(weights.values.len());
        }
        weights
    }

    fn get(&self, i: usize) -> (usize, &[i32]) {
        (self.first[i], &self.values[self.start[i]..self.start[i + 1]])
    }
}

/// A sum with `BITS` fractional bits, half a unit added before, as a byte.
fn byte(sum: i32) -> u8 {
    (sum >> BITS).clamp(0, 255) as u8
}

impl Image {
    /// The whole picture at `width` x `height` pixels, bicubic; a copy if it has that size. Neither
    /// extent may be 0.
    pub fn resize(&self, width: usize, height: usize) -> Image {
        if (width, height) == (self.width, self.height) {
            return self.clone();
        }
        let across = Coefficients::new(self.width, width);
        let down = Coefficients::new(self.height, height);
        let lost = |from: usize, to: usize| from as i64 - to as i64;
        if lost(self.height, height) > (2 * lost(self.width, width)).max(0) {
            let low = columns(&self.pixels, self.width * 3, &down);
            let pixels = rows(&low, self.width, &across);
            Image { width, height, pixels }
        } else {
            let narrow = rows(&self.pixels, self.width, &across);
            let pixels = columns(&narrow, width * 3, &down);
            Image { width, height, pixels }
        }
    }
}

/// Resizes every row of `width` pixels.
fn rows(pixels: &[u8], width: usize, weights: &Coefficients) -> Vec<u8> {
    let count = weights.first.len();
    let mut result = vec![0; pixels.len() / (width * 3) * count * 3];
    for (row, out) in pixels.chunks_exact(width * 3).zip(result.chunks_exact_mut(count * 3)) {
        let (row, _) = row.as_chunks::<3>();
        let (out, _) = out.as_chunks_mut::<3>();
        for (i, out) in out.iter_mut().enumerate() {
            let (first, weights) = weights.get(i);
            let [mut r, mut g, mut b] = [1i32 << (BITS - 1); 3];
            for (p, &weight) in row[first..first + weights.len()].iter().zip(weights) {
                r += i32::from(p[0]) * weight;
                g += i32::from(p[1]) * weight;
                b += i32::from(p[2]) * weight;
            }
            *out = [r, g, b].map(byte);
        }
    }
    result
}

/// Resizes every column; `pixels` have `stride` bytes a row.
fn columns(pixels: &[u8], stride: usize, weights: &Coefficients) -> Vec<u8> {
    let mut result = vec![0; weights.first.len() * stride];
    let mut sums = vec![0i32; stride];
    for (i, out) in result.chunks_exact_mut(stride).enumerate() {
        let (first, weights) = weights.get(i);
        sums.fill(1 << (BITS - 1));
        for (row, &weight) in pixels[first * stride..].chunks_exact(stride).zip(weights) {
            for (sum, &p) in sums.iter_mut().zip(row) {
                *sum += i32::from(p) * weight;
            }
        }
        for (out, &sum) in out.iter_mut().zip(&sums) {
            *out = byte(sum);
        }
    }
    result
}
