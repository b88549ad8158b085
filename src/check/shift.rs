//! By how much the B of a pair lies beside its A: phase correlation of the edges of both (Kuglin and Hines 1975).
//!
//! Edges, since A and B may show the same in other colours: the magnitude of the gradient, in a Hann window.
//! With F and G their Fourier transforms, the inverse transform of `F conj(G) / |F conj(G)|` has its peak
//! at the shift.

use rustfft::num_complex::Complex32;
use rustfft::{Fft, FftPlanner};
use std::sync::Arc;

use super::look::{cells, grey};
use crate::data::Image;

/// How far the peak must stand above the mean, in standard deviations: the highest of 65,536 numbers
/// without meaning lies at about 4.4. Of the 114 pairs to train on of `samples/atlas`, where A and B show the same
/// place, none is above both bounds with a shift; with B moved by 9 and -6 pixels 103 are.
const CERTAIN: f32 = 9.0;
/// How much higher it must be than what no shift has.
const HIGHER: f32 = 2.0;

/// A found shift: B's content lies so many pixels to the right of A's, and below.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Shift {
    pub right: i64,
    pub down: i64,
}

/// Transforms of one size.
#[derive(Clone)]
pub(super) struct Correlator {
    side: usize,
    forward: Arc<dyn Fft<f32>>,
    inverse: Arc<dyn Fft<f32>>,
}

impl Correlator {
    /// For grids of `side` x `side` cells.
    pub fn new(side: usize) -> Self {
        let mut planner = FftPlanner::new();
        let (forward, inverse) = (planner.plan_fft_forward(side), planner.plan_fft_inverse(side));
        Correlator { side, forward, inverse }
    }

    /// The shift of a pair, if there certainly is one.
    pub fn shift(&self, a: &Image, b: &Image) -> Option<Shift> {
        let n = self.side;
        let (mut f, mut g) = (self.edges(a)?, self.edges(b)?);
        self.transform(&mut f, &self.forward);
        self.transform(&mut g, &self.forward);
        let unit = |v: Complex32| if v.norm() > 0.0 { v / v.norm() } else { v };
        let mut map: Vec<Complex32> = g.iter().zip(&f).map(|(g, f)| unit(g * f.conj())).collect();
        self.transform(&mut map, &self.inverse);
        let map: Vec<f32> = map.iter().map(|v| v.re).collect();
        let mean = map.iter().sum::<f32>() / map.len() as f32;
        let deviation =
            (map.iter().map(|v| (v - mean) * (v - mean)).sum::<f32>() / map.len() as f32).sqrt();
        let (at, peak) = map.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1))?;
        let at_rest = [0, 1, n - 1]
            .iter()
            .flat_map(|y| [0, 1, n - 1].map(|x| map[y * n + x]))
            .fold(f32::MIN, f32::max);
        let signed = |i: usize| if i > n / 2 { i as i64 - n as i64 } else { i as i64 };
        let (x, y) = (signed(at % n), signed(at / n));
        let certain = (peak - mean) > CERTAIN * deviation && *peak > HIGHER * at_rest;
        if x.abs().max(y.abs()) < 2 || !certain {
            return None;
        }
        let pixels = |cells: i64, of: usize| (cells as f64 * of as f64 / n as f64).round() as i64;
        Some(Shift { right: pixels(x, a.width), down: pixels(y, a.height) })
    }

    /// The windowed magnitudes of gradients; none of a picture without edges.
    fn edges(&self, image: &Image) -> Option<Vec<Complex32>> {
        let n = self.side;
        let grey = cells(&grey(image), n);
        let hann = |i: usize| {
            let turn = 2.0 * std::f32::consts::PI * (i as f32 + 0.5) / n as f32;
            0.5 - 0.5 * turn.cos()
        };
        let mut all = vec![Complex32::default(); n * n];
        let mut sum = 0.0;
        for y in 1..n - 1 {
            for x in 1..n - 1 {
                let across = grey[y * n + x + 1] - grey[y * n + x - 1];
                let down = grey[(y + 1) * n + x] - grey[(y - 1) * n + x];
                let edge = across.hypot(down) * hann(x) * hann(y);
                sum += edge;
                all[y * n + x] = Complex32::new(edge, 0.0);
            }
        }
        (sum > 0.0 && sum.is_finite()).then_some(all)
    }

    /// Of rows, then of columns.
    fn transform(&self, all: &mut [Complex32], fft: &Arc<dyn Fft<f32>>) {
        let n = self.side;
        for _ in 0..2 {
            fft.process(all);
            for y in 0..n {
                for x in y + 1..n {
                    all.swap(y * n + x, x * n + y);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Discs of one key, moved, in other colours.
    fn discs(size: usize, key: usize, [right, down]: [i64; 2], colours: [f32; 2]) -> Image {
        let disc =
            |k: usize| ((k * key * 37 % size) as i64, (k * key * 61 % size) as i64, 4 + k as i64);
        let samples: Vec<f32> = (0..size * size)
            .map(|i| {
                let (x, y) = ((i % size) as i64 - right, (i / size) as i64 - down);
                let inside =
                    |(cx, cy, r): (i64, i64, i64)| (x - cx).pow(2) + (y - cy).pow(2) < r * r;
                colours[usize::from((1..9).map(disc).any(inside))]
            })
            .collect();
        Image::new(size, size, 1, samples).unwrap()
    }

    #[test]
    fn shifts_are_found_and_none_where_there_is_none() {
        let of = Correlator::new(128);
        for (right, down) in [(7, 0), (-5, 12), (0, -9), (20, 20)] {
            for key in [1, 3, 5] {
                let a = discs(128, key, [0, 0], [0.0, 200.0]);
                let b = discs(128, key, [right, down], [30.0, -90.0]);
                assert_eq!(of.shift(&a, &b), Some(Shift { right, down }));
            }
        }
        for key in [1, 3, 5, 7] {
            let a = discs(128, key, [0, 0], [0.0, 200.0]);
            assert_eq!(of.shift(&a, &discs(128, key, [0, 0], [9.0, -90.0])), None);
            assert_eq!(of.shift(&a, &discs(128, key, [1, 1], [9.0, 90.0])), None, "within a cell");
            let noise = |i: usize| (i.wrapping_mul(2_654_435_761 + key) >> 9) as f32 % 251.0;
            let other =
                Image::new(128, 128, 1, (0..128 * 128).map(noise).collect::<Vec<f32>>()).unwrap();
            assert_eq!(of.shift(&a, &other), None, "another picture");
            assert_eq!(of.shift(&a, &Image::filled(128, 128, &[9])), None, "no edges");
        }
    }
}
