//! The matrices of F(m, r), and products with them on registers that hold channels.
// Loops over fixed arrays by index and no closures: what runs here must be inlined into the
// function that has the instruction set, and unrolled there.
#![allow(clippy::needless_range_loop)]

use pulp::Simd;

use super::super::Write;

/// F(m, r): m outputs of a filter of r taps by a = m + r - 1 multiplications.
#[derive(Clone, Copy)]
pub(super) struct Tile<const M: usize, const R: usize, const A: usize> {
    /// B^T, a x a.
    pub(super) bt: [[f32; A]; A],
    /// G, a x r.
    pub(super) g: [[f32; R]; A],
    /// A^T, m x a.
    pub(super) at: [[f32; A]; M],
}

impl<const M: usize, const R: usize, const A: usize> Tile<M, R, A> {
    /// The Toom-Cook construction on a - 1 finite `points` and infinity.
    pub(super) fn new(points: &[f64]) -> Self {
        assert!(A == M + R - 1 && points.len() == A - 1);
        // Coefficients of the product of (x - p) over all points, or all but number `skip`.
        let polynomial = |skip: Option<usize>| {
            let mut poly = vec![1.0];
            for (_, &p) in points.iter().enumerate().filter(|(i, _)| Some(*i) != skip) {
                let mut next = vec![0.0; poly.len() + 1];
                for (i, &v) in poly.iter().enumerate() {
                    next[i] -= v * p;
                    next[i + 1] += v;
                }
                poly = next;
            }
            poly
        };
        let mut tile = Tile { bt: [[0.0; A]; A], g: [[0.0; R]; A], at: [[0.0; A]; M] };
        for (j, &p) in points.iter().enumerate() {
            let others = points.iter().enumerate().filter(|(i, _)| *i != j);
            let scale: f64 = others.map(|(_, &q)| p - q).product();
            for (t, &v) in polynomial(Some(j)).iter().enumerate() {
                tile.bt[j][t] = v as f32;
            }
            for t in 0..R {
                tile.g[j][t] = (p.powi(t as i32) / scale) as f32;
            }
            for t in 0..M {
                tile.at[t][j] = p.powi(t as i32) as f32;
            }
        }
        for (t, &v) in polynomial(None).iter().enumerate() {
            tile.bt[A - 1][t] = v as f32;
        }
        tile.g[A - 1][R - 1] = 1.0;
        tile.at[M - 1][A - 1] = 1.0;
        tile
    }

    /// m and a.
    pub(super) const fn extents(&self) -> (usize, usize) {
        (M, A)
    }
}

/// left * d * left^T, where every element of d is a register that holds channels.
#[inline(always)]
pub(super) fn sandwich<S: Simd, const O: usize, const I: usize>(
    simd: S,
    left: &[[f32; I]; O],
    d: &[[S::f32s; I]; I],
) -> [[S::f32s; O]; O] {
    let zero = simd.splat_f32s(0.0);
    let mut half = [[zero; I]; O];
    for o in 0..O {
        for a in 0..I {
            let f = simd.splat_f32s(left[o][a]);
            for i in 0..I {
                half[o][i] = simd.mul_add_f32s(d[a][i], f, half[o][i]);
            }
        }
    }
    let mut out = [[zero; O]; O];
    for o in 0..O {
        for i in 0..I {
            let f = simd.splat_f32s(left[o][i]);
            for row in 0..O {
                out[row][o] = simd.mul_add_f32s(half[row][i], f, out[row][o]);
            }
        }
    }
    out
}

/// The first register of a slice.
#[inline(always)]
pub(super) fn load<S: Simd>(from: &[f32]) -> S::f32s {
    S::as_simd_f32s(&from[..S::F32_LANES]).0[0]
}

/// Sets the first register of a slice, or adds to it.
#[inline(always)]
pub(super) fn store<S: Simd>(simd: S, to: &mut [f32], value: S::f32s, mode: Write) {
    let to = &mut S::as_mut_simd_f32s(&mut to[..S::F32_LANES]).0[0];
    *to = match mode {
        Write::Set => value,
        Write::Add => simd.add_f32s(*to, value),
    };
}

pub(super) fn transpose<const X: usize, const Y: usize>(m: &[[f32; X]; Y]) -> [[f32; Y]; X] {
    std::array::from_fn(|x| std::array::from_fn(|y| m[y][x]))
}
