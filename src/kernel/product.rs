//! Matrix products on one thread: the `gemm` crate behind checked slices, and two kernels of our
//! own for products with few rows.
//!
//! The callers divide the work among threads, by shape and never by the number of threads, so that
//! results are the same on every machine with the same instruction set.
#![allow(unsafe_code)]

use pulp::{Arch, Simd, WithSimd};

/// A matrix inside a slice: element (i, j) is at `i * row + j * col`.
#[derive(Clone, Copy)]
pub(crate) struct Mat<'a> {
    pub data: &'a [f32],
    pub row: usize,
    pub col: usize,
}

impl<'a> Mat<'a> {
    /// Rows one after another, `row` elements apart.
    pub fn rows(data: &'a [f32], row: usize) -> Self {
        Mat { data, row, col: 1 }
    }

    /// The transpose of a matrix of rows.
    pub fn transposed(data: &'a [f32], row: usize) -> Self {
        Mat { data, row: 1, col: row }
    }

    /// Whether all elements of a matrix of this size are inside the slice.
    fn holds(&self, rows: usize, cols: usize) -> bool {
        rows == 0 || cols == 0 || (rows - 1) * self.row + (cols - 1) * self.col < self.data.len()
    }
}

/// c = a b, or c += a b: (m, k) times (k, n), with the rows of c `c_row` elements apart.
pub(crate) fn product(
    [m, n, k]: [usize; 3],
    a: Mat,
    b: Mat,
    c: &mut [f32],
    c_row: usize,
    add: bool,
) {
    assert!(a.holds(m, k) && b.holds(k, n), "product operands end inside their slices");
    assert!(
        m == 0 || n == 0 || (n <= c_row && (m - 1) * c_row + n <= c.len()),
        "product result ends inside its slice"
    );
    // SAFETY: the three matrices lie inside their slices, checked just above, and `c` is borrowed
    // mutably, so it aliases neither `a` nor `b`.
    unsafe {
        gemm::gemm(
            m,
            n,
            k,
            c.as_mut_ptr(),
            1,
            c_row as isize,
            add,
            a.data.as_ptr(),
            a.col as isize,
            a.row as isize,
            b.data.as_ptr(),
            b.col as isize,
            b.row as isize,
            1.0,
            1.0,
            false,
            false,
            false,
            gemm::Parallelism::None,
        );
    }
}

/// c = a b, or c += a b, for few rows m: (m, k) times (k, n), all row-major.
///
/// There a general product spends more time on packing than on arithmetic (15 GFLOP/s for m = 4 and
/// 43 for m = 16, EPYC Zen 4, 2026-11-23).
pub(crate) fn product_few_rows(
    arch: Arch,
    size: [usize; 3],
    a: Mat,
    b: Mat,
    c: &mut [f32],
    c_row: usize,
    add: bool,
) {
    assert!(a.col == 1 && b.col == 1, "rows are contiguous");
    arch.dispatch(FewRows { size, a, b, c, c_row, add });
}

struct FewRows<'a> {
    size: [usize; 3],
    a: Mat<'a>,
    b: Mat<'a>,
    c: &'a mut [f32],
    c_row: usize,
    add: bool,
}

/// Rows and vectors of c held in registers: 6 x 4 sums fill 24 of 32 registers.
const SUM_ROWS: usize = 6;
const SUM_COLS: usize = 4;
/// Rows and columns of `b` that are copied together before use: rows lie kilobytes apart, and a
/// panel of 128 KB is read in runs of 2 KB and then stays in a core's second-level cache.
const PANEL: usize = 64;
const PANEL_COLS: usize = 512;

impl WithSimd for FewRows<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let FewRows { size: [m, n, k], a, b, c, c_row, add } = self;
        let wide = SUM_COLS * S::F32_LANES;
        let mut packed = [0.0; PANEL * PANEL_COLS];
        let whole = n - n % wide;
        for t0 in (0..k).step_by(PANEL) {
            let depth = PANEL.min(k - t0);
            let add = add || t0 > 0;
            for j0 in (0..whole).step_by(PANEL_COLS) {
                let columns = PANEL_COLS.min(whole - j0);
                // With a single block of rows, the copy would not be read a second time.
                let again = m > SUM_ROWS;
                if again {
                    for (t, row) in packed.chunks_exact_mut(columns).take(depth).enumerate() {
                        row.copy_from_slice(&b.data[(t0 + t) * b.row + j0..][..columns]);
                    }
                }
                let (panel, step): (&[f32], usize) =
                    if again { (&packed, columns) } else { (&b.data[t0 * b.row + j0..], b.row) };
                for j in (0..columns).step_by(wide) {
                    for i in (0..m).step_by(SUM_ROWS) {
                        let mi = SUM_ROWS.min(m - i);
                        let rows: [&[f32]; SUM_ROWS] = std::array::from_fn(|l| {
                            &a.data[(i + l.min(mi - 1)) * a.row + t0..][..depth]
                        });
                        let mut sums = [[simd.splat_f32s(0.0); SUM_COLS]; SUM_ROWS];
                        for t in 0..depth {
                            let from = S::as_simd_f32s(&panel[t * step + j..][..wide]).0;
                            let y = [from[0], from[1], from[2], from[3]];
                            for l in 0..SUM_ROWS {
                                let x = simd.splat_f32s(rows[l][t]);
                                for q in 0..SUM_COLS {
                                    sums[l][q] = simd.mul_add_f32s(x, y[q], sums[l][q]);
                                }
                            }
                        }
                        for l in 0..mi {
                            let out = &mut c[(i + l) * c_row + j0 + j..][..wide];
                            let out = S::as_mut_simd_f32s(out).0;
                            for q in 0..SUM_COLS {
                                let sum = sums[l][q];
                                out[q] = if add { simd.add_f32s(out[q], sum) } else { sum };
                            }
                        }
                    }
                }
            }
        }
        for i in 0..m {
            for j in n - n % wide..n {
                let sum: f32 = (0..k).map(|t| a.data[i * a.row + t] * b.data[t * b.row + j]).sum();
                let out = &mut c[i * c_row + j];
                *out = if add { *out + sum } else { sum };
            }
        }
    }
}

/// Rows of `a` that [`product_rows_dot`] holds in registers at once.
const DOT_A: usize = 6;
/// Rows of `b` that it holds at the same time: 6 x 4 sums fill 24 of 32 registers.
const DOT_B: usize = 4;

/// c = a b^T for rows of equal length k: (m, k) times (n, k), both row-major.
///
/// For few rows m and long rows, as in the deep layers, where `b` is a filter that is read once
/// from memory: a general product packs `b` first, which for m of 16 to 48 takes most of its time
/// (24 of 110 GFLOP/s per core, EPYC Zen 4, 2026-11-23).
pub(crate) fn product_rows_dot(
    arch: Arch,
    size: [usize; 3],
    a: Mat,
    b: Mat,
    c: &mut [f32],
    c_row: usize,
    add: bool,
) {
    assert!(a.col == 1 && b.col == 1, "rows are contiguous");
    arch.dispatch(Dot { size, a, b, c, c_row, add });
}

struct Dot<'a> {
    size: [usize; 3],
    a: Mat<'a>,
    b: Mat<'a>,
    c: &'a mut [f32],
    c_row: usize,
    add: bool,
}

impl WithSimd for Dot<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Dot { size: [m, n, k], a, b, c, c_row, add } = self;
        for j in (0..n).step_by(DOT_B) {
            let nj = DOT_B.min(n - j);
            for i in (0..m).step_by(DOT_A) {
                let mi = DOT_A.min(m - i);
                // Rows past the end repeat the last one; their sums are dropped.
                let rows_a: [&[f32]; DOT_A] =
                    std::array::from_fn(|l| &a.data[(i + l.min(mi - 1)) * a.row..][..k]);
                let rows_b: [&[f32]; DOT_B] =
                    std::array::from_fn(|l| &b.data[(j + l.min(nj - 1)) * b.row..][..k]);
                let sums = dot_block(simd, rows_a, rows_b);
                for (l, row) in sums.iter().enumerate().take(mi) {
                    let out = &mut c[(i + l) * c_row + j..][..nj];
                    for (o, s) in out.iter_mut().zip(row) {
                        *o = if add { *o + s } else { *s };
                    }
                }
            }
        }
    }
}

#[inline(always)]
fn dot_block<S: Simd>(simd: S, a: [&[f32]; DOT_A], b: [&[f32]; DOT_B]) -> [[f32; DOT_B]; DOT_A] {
    let lanes = S::F32_LANES;
    let whole = a[0].len() / lanes * lanes;
    let mut sums = [[simd.splat_f32s(0.0); DOT_B]; DOT_A];
    for t in (0..whole).step_by(lanes) {
        let mut y = [simd.splat_f32s(0.0); DOT_B];
        for j in 0..DOT_B {
            y[j] = S::as_simd_f32s(&b[j][t..t + lanes]).0[0];
        }
        for i in 0..DOT_A {
            let x = S::as_simd_f32s(&a[i][t..t + lanes]).0[0];
            for j in 0..DOT_B {
                sums[i][j] = simd.mul_add_f32s(x, y[j], sums[i][j]);
            }
        }
    }
    let mut out = [[0.0; DOT_B]; DOT_A];
    for i in 0..DOT_A {
        for j in 0..DOT_B {
            let mut tail = 0.0;
            for t in whole..a[i].len() {
                tail += a[i][t] * b[j][t];
            }
            out[i][j] = simd.reduce_sum_f32s(sums[i][j]) + tail;
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(n: usize, seed: u64) -> Vec<f32> {
        (0..n).map(|i| crate::random::normal(seed, [i as u32, 0, 0, 0])[0]).collect()
    }

    /// Sums of k products of normal numbers in f32 and f64 differ by about sqrt(k) * 2^-24; 1e-5
    /// times sqrt(k) leaves a factor of 100, and a wrong index gives an error near 1.
    #[test]
    fn products_agree_with_f64() {
        for [m, n, k] in [[1, 1, 1], [7, 5, 33], [6, 4, 64], [13, 9, 100], [3, 150, 7]] {
            let (a, b) = (numbers(m * k, 1), numbers(k * n, 2));
            let mut nn = numbers(m * n, 3);
            let (first, mut nt, mut few) = (nn.clone(), nn.clone(), nn.clone());
            product([m, n, k], Mat::rows(&a, k), Mat::rows(&b, n), &mut nn, n, true);
            let mut bt = vec![0.0; n * k];
            for i in 0..k {
                for j in 0..n {
                    bt[j * k + i] = b[i * n + j];
                }
            }
            let (rows, turned) = (Mat::rows(&a, k), Mat::rows(&bt, k));
            product_rows_dot(Arch::new(), [m, n, k], rows, turned, &mut nt, n, true);
            product_few_rows(Arch::new(), [m, n, k], rows, Mat::rows(&b, n), &mut few, n, true);
            for i in 0..m {
                for j in 0..n {
                    let exact: f64 = (0..k)
                        .map(|t| f64::from(a[i * k + t]) * f64::from(b[t * n + j]))
                        .sum::<f64>()
                        + f64::from(first[i * n + j]);
                    let bound = 1e-5 * (k as f64).sqrt();
                    assert!((f64::from(nn[i * n + j]) - exact).abs() < bound);
                    assert!((f64::from(few[i * n + j]) - exact).abs() < bound);
                    assert!((f64::from(nt[i * n + j]) - exact).abs() < bound);
                }
            }
        }
    }
}
