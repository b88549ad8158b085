//! Matrix multiply-accumulate on the fragments of a warp, by the layouts of the PTX manual.
//!
//! With g = lane / 4 and t = lane % 4, a register of A holds row g (or g + 8) and columns t or 2t, 2t + 1;
//! one of B holds column g and rows t or 2t, 2t + 1; C holds rows g and g + 8, columns 2t and 2t + 1.
//! Products are exact in f32; sums go in the order of k, fused, rounding each step.

use super::float16::{from_f16, to_f16};
use super::lanes::put;
use super::simd::{Simd, Values};
use super::state::Warp;
use crate::ir::{Mma, MmaType, R, Round};
use crate::mutants::{Mutant, on};

/// Lower tf32 bits are ignored, as the tensor cores do.
const TF32: u32 = !0x1fff;

/// How the vector code takes the values of the type out of a register, where it does.
fn vectors(ty: MmaType) -> Option<Values> {
    match ty {
        MmaType::Tf32 => Some(Values::One(TF32)),
        MmaType::Bf16 => Some(Values::Two),
        MmaType::F16 => None,
    }
}

/// Columns of B, C and D in the order 0 2 4 6 1 3 5 7: the two registers of a row of C then stand side by side.
type Row = [f32; 8];

impl Warp {
    #[inline(always)]
    pub fn mma(&mut self, m: &Mma, exec: u32, simd: Option<Simd>) {
        if let (Some(simd), false, [a, b, c, d], [x, y]) = (simd, m.half, &m.a[..], &m.b[..])
            && let Some(values) = vectors(m.ty)
            && let [p, q, r, s] = m.c[..]
        {
            let w = |r: R| &self.w[usize::from(r)];
            let a = [w(*a), w(*b), w(*c), w(*d)];
            let out = simd.mma(values, a, [w(*x), w(*y)], [w(p), w(q), w(r), w(s)]);
            for (register, lanes) in m.d.iter().zip(&out) {
                put(&mut self.w[usize::from(*register)], lanes, exec);
            }
            return;
        }
        self.mma_by_lanes(m, exec);
    }

    #[inline(never)]
    fn mma_by_lanes(&mut self, m: &Mma, exec: u32) {
        match m.ty {
            MmaType::Tf32 => {
                self.product::<1>(m, exec, |_, bits| f32::from_bits(bits & TF32));
            }
            MmaType::Bf16 => self.product::<2>(m, exec, |part, bits| {
                f32::from_bits(if part == 0 { bits << 16 } else { bits & 0xffff_0000 })
            }),
            MmaType::F16 => {
                self.product::<2>(m, exec, |part, bits| from_f16(bits >> (16 * part) & 0xffff));
            }
        }
    }

    /// `value` takes value 0 (or 1, of 16 bits) out of a register.
    #[inline(always)]
    fn product<const PARTS: usize>(
        &mut self,
        m: &Mma,
        exec: u32,
        value: impl Fn(usize, u32) -> f32,
    ) {
        // A register of A holds columns t (of each part) of 8 rows; one of B holds rows t of all columns.
        let mut a = [[[0f32; 32]; PARTS]; 4];
        for (values, register) in a.iter_mut().zip(&m.a) {
            let lanes = &self.w[usize::from(*register)];
            for (part, values) in values.iter_mut().enumerate() {
                for l in 0..32 {
                    values[l] = value(part, lanes[l]);
                }
            }
        }
        let mut b = [[[[0f32; 8]; 4]; PARTS]; 2];
        for (values, register) in b.iter_mut().zip(&m.b) {
            let lanes = &self.w[usize::from(*register)];
            for (part, values) in values.iter_mut().enumerate() {
                for j in 0..4 {
                    for t in 0..4 {
                        values[t][j] = value(part, lanes[8 * j + t]);
                        values[t][4 + j] = value(part, lanes[8 * j + 4 + t]);
                    }
                }
            }
        }
        misplace(&mut a, &mut b, m);
        let mut c = self.accumulators(m);
        for (half, rows) in c.iter_mut().enumerate() {
            for (g, sums) in rows.iter_mut().enumerate() {
                for (i, b) in b.iter().enumerate().take(m.b.len()) {
                    let a = &a[2 * i + half];
                    for t in 0..4 {
                        for part in 0..PARTS {
                            let x = a[part][4 * g + t];
                            for n in 0..8 {
                                sums[n] = x.mul_add(b[part][t][n], sums[n]);
                            }
                        }
                    }
                }
            }
        }
        self.store_accumulators(m, &c, exec);
    }

    #[inline(always)]
    fn accumulators(&self, m: &Mma) -> [[Row; 8]; 2] {
        let mut c = [[[0f32; 8]; 8]; 2];
        for (half, rows) in c.iter_mut().enumerate() {
            if m.half {
                let lanes = &self.w[usize::from(m.c[half])];
                for (l, bits) in lanes.iter().enumerate() {
                    rows[l / 4][l % 4] = from_f16(bits & 0xffff);
                    rows[l / 4][4 + l % 4] = from_f16(bits >> 16);
                }
                continue;
            }
            let even = &self.w[usize::from(m.c[2 * half])];
            let odd = &self.w[usize::from(m.c[2 * half + 1])];
            for (g, row) in rows.iter_mut().enumerate() {
                for t in 0..4 {
                    row[t] = f32::from_bits(even[4 * g + t]);
                    row[4 + t] = f32::from_bits(odd[4 * g + t]);
                }
            }
        }
        c
    }

    #[inline(always)]
    fn store_accumulators(&mut self, m: &Mma, c: &[[Row; 8]; 2], exec: u32) {
        for (half, rows) in c.iter().enumerate() {
            let (mut even, mut odd) = ([0; 32], [0; 32]);
            for (g, row) in rows.iter().enumerate() {
                for t in 0..4 {
                    even[4 * g + t] = row[t].to_bits();
                    odd[4 * g + t] = row[4 + t].to_bits();
                }
            }
            if on(Mutant::MmaCColumns) {
                std::mem::swap(&mut even, &mut odd);
            }
            if m.half {
                let f16 = |bits: u32| to_f16(f32::from_bits(bits), Round::Near);
                let pairs = std::array::from_fn(|l| f16(even[l]) | f16(odd[l]) << 16);
                put(&mut self.w[usize::from(m.d[half])], &pairs, exec);
            } else {
                put(&mut self.w[usize::from(m.d[2 * half])], &even, exec);
                put(&mut self.w[usize::from(m.d[2 * half + 1])], &odd, exec);
            }
        }
    }

    /// Transposes an 8 by 8 matrix of 16-bit elements across the warp.
    pub fn movmatrix(&mut self, d: R, a: R, exec: u32) {
        let a = self.w[usize::from(a)];
        let element =
            |row: usize, column: usize| a[row * 4 + column / 2] >> (column % 2 * 16) & 0xffff;
        let mut out = [0; 32];
        for (l, lane) in out.iter_mut().enumerate() {
            let (row, pair) = (l / 4, l % 4);
            *lane = element(2 * pair, row) | element(2 * pair + 1, row) << 16;
        }
        put(&mut self.w[usize::from(d)], &out, exec);
    }
}

/// The mistakes in the layout that tests must notice.
#[inline(always)]
fn misplace<const PARTS: usize>(
    a: &mut [[[f32; 32]; PARTS]; 4],
    b: &mut [[[Row; 4]; PARTS]; 2],
    m: &Mma,
) {
    if on(Mutant::MmaARows) {
        a.swap(0, 1);
        a.swap(2, 3);
    }
    if (on(Mutant::MmaAHalves) || on(Mutant::MmaK)) && m.b.len() == 2 {
        a.swap(0, 2);
        a.swap(1, 3);
    }
    if (on(Mutant::MmaBHalves) || on(Mutant::MmaK)) && m.b.len() == 2 {
        b.swap(0, 1);
    }
    if on(Mutant::MmaGroups) {
        for values in a.as_flattened_mut() {
            let lanes = *values;
            *values = std::array::from_fn(|l| lanes[l % 4 * 8 + l / 4]);
        }
    }
    if on(Mutant::MmaPair) && PARTS == 2 {
        a.iter_mut().for_each(|values| values.reverse());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exec::lanes::{FULL, W};

    #[test]
    fn vector_code_and_plain_loops_give_the_same_bits() {
        let Some(simd) = Simd::detect() else {
            println!("not run: this machine has no AVX2 and FMA");
            return;
        };
        let mut state = 7;
        let mut warp = Warp::empty();
        for _ in 0..14 {
            let lanes: W = std::array::from_fn(|_| {
                // Floats about 1 of either sign, as f32 and as a pair of bf16.
                let bits = crate::exec::grid::random(&mut state) as u32;
                bits & 0x80ff_80ff | 0x3f00_3f00
            });
            warp.w.push(lanes);
        }
        for ty in [MmaType::Tf32, MmaType::Bf16] {
            let k = if ty == MmaType::Tf32 { 8 } else { 16 };
            let (a, b, c) = (vec![0, 1, 2, 3], vec![4, 5], vec![6, 7, 8, 9]);
            let m = Mma { ty, k, half: false, d: vec![10, 11, 12, 13], a, b, c };
            warp.mma(&m, FULL, Some(simd));
            let fast = warp.w[10..].to_vec();
            warp.w[10..].fill([0; 32]);
            warp.mma(&m, FULL, None);
            assert!(warp.w[10..] == fast, "{ty:?}");
        }
        let words = std::array::from_fn(|i| i as u32);
        let a = std::array::from_fn(|l| 16 * (l as u32 * 5 % 32));
        let columns = simd.load_quads(&words, &a);
        assert!((0..4).all(|v| (0..32).all(|l| columns[v][l] == a[l] / 4 + v as u32)));
    }
}
