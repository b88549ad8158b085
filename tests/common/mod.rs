//! What several test programs share: numbers from seeds, tolerances by name, slow references.
#![allow(dead_code)]

pub mod files;
pub mod harness;
pub mod passage;
pub mod training;

use pix2pix_engine::device::{Arena, Cpu, Device};
use pix2pix_engine::kernel::Conv;
use pix2pix_engine::random;
use pix2pix_engine::tensor::{Shape, View};

/// Normalised mean square error allowed for a product in f32: sums of 1,024 to 16,384 terms give
/// 3e-13 to 5e-12 in simulation, minimal filtering adds its transforms' rounding.
pub const PRODUCT_NMSE: f64 = 1e-10;

/// Relative error allowed for functions of one element in f32, of [`POINTWISE_FLOOR`] and more: one
/// unit in the last place is 1.2e-7, exp and ln add a few.
pub const POINTWISE: f64 = 1e-6;
/// Below this, errors of pointwise functions are compared absolutely.
pub const POINTWISE_FLOOR: f64 = 1.0;
/// Normalised mean square error allowed for norms and their gradients in f32: relative errors of
/// 1e-6 a value, as sums of up to 256 terms in f32 have, are 1e-12; differences of nearly equal
/// numbers in the way back cost another factor of 100.
pub const NORM_NMSE: f64 = 1e-10;
/// A difference quotient with h = 1e-2 of a smooth function of f32, relative to the largest
/// gradient: rounding is 1e-7 / h, the cubic term h^2.
pub const SMOOTH: f64 = 1e-3;
/// The same where a probe may meet a kink.
pub const KINKED: f64 = 1e-2;

/// Normal numbers with mean 0 and deviation 0.25, a function of the seed.
pub fn numbers(count: usize, seed: u64) -> Vec<f32> {
    (0..count.div_ceil(4) as u32)
        .flat_map(|i| random::normal(seed, [i, 0, 0, 0]))
        .take(count)
        .map(|v| 0.25 * v)
        .collect()
}

/// Sum of squared differences over the sum of squares of what is expected.
pub fn nmse(got: &[f32], expected: &[f64]) -> f64 {
    assert_eq!(got.len(), expected.len());
    let (mut error, mut size) = (0.0, 0.0);
    for (g, e) in got.iter().zip(expected) {
        error += (f64::from(*g) - e).powi(2);
        size += e * e;
    }
    error / size.max(f64::MIN_POSITIVE)
}

/// A CPU with memory for `elements` numbers.
pub fn cpu(threads: usize, arena: &Arena) -> Cpu {
    let mut cpu = Cpu::new(threads).unwrap();
    cpu.reserve(arena.len()).unwrap();
    cpu
}

/// The numbers of a View.
pub fn read(cpu: &Cpu, view: View) -> Vec<f32> {
    let mut values = vec![0.0; view.shape.count()];
    cpu.download(view, &mut values).unwrap();
    values
}

/// The three products of a convolution by their definition, in f64.
pub struct SlowConv {
    pub conv: Conv,
    pub x: Shape,
    pub w: Shape,
    pub y: Shape,
}

impl SlowConv {
    /// Calls `f` with the indices of x, w and y of every product.
    fn each(&self, mut f: impl FnMut(usize, usize, usize)) {
        let (x, w, y, conv) = (self.x, self.w, self.y, self.conv);
        for (n, p, q, k) in indices(y) {
            for r in 0..w.h {
                for s in 0..w.w {
                    let h = (p * conv.stride + r) as isize - conv.pad as isize;
                    let v = (q * conv.stride + s) as isize - conv.pad as isize;
                    if h < 0 || v < 0 || h as usize >= x.h || v as usize >= x.w {
                        continue;
                    }
                    for c in 0..x.c {
                        let i = ((n * x.h + h as usize) * x.w + v as usize) * x.c + c;
                        let j = ((k * w.h + r) * w.w + s) * w.c + c;
                        f(i, j, ((n * y.h + p) * y.w + q) * y.c + k);
                    }
                }
            }
        }
    }

    pub fn fprop(&self, x: &[f32], w: &[f32]) -> Vec<f64> {
        let mut y = vec![0.0; self.y.count()];
        self.each(|i, j, k| y[k] += f64::from(x[i]) * f64::from(w[j]));
        y
    }

    pub fn dgrad(&self, dy: &[f32], w: &[f32]) -> Vec<f64> {
        let mut dx = vec![0.0; self.x.count()];
        self.each(|i, j, k| dx[i] += f64::from(dy[k]) * f64::from(w[j]));
        dx
    }

    pub fn wgrad(&self, x: &[f32], dy: &[f32]) -> Vec<f64> {
        let mut dw = vec![0.0; self.w.count()];
        self.each(|i, j, k| dw[j] += f64::from(x[i]) * f64::from(dy[k]));
        dw
    }
}

fn indices(s: Shape) -> impl Iterator<Item = (usize, usize, usize, usize)> {
    (0..s.count())
        .map(move |i| (i / (s.h * s.w * s.c), i / (s.w * s.c) % s.h, i / s.c % s.w, i % s.c))
}
