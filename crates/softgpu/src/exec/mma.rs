//! Matrix multiply-accumulate on the fragments of a warp, by the layouts of the PTX manual.
//!
//! With g = lane / 4 and t = lane % 4, a register of A holds row g (or g + 8) and columns t or 2t, 2t + 1;
//! one of B holds column g and rows t or 2t, 2t + 1; C holds rows g and g + 8, columns 2t and 2t + 1.
//! Products are exact in f32; sums go in the order of k, fused, rounding each step.

use super::float16::{from_bf16, from_f16, to_f16};
use super::lanes::{W, put};
use super::state::Warp;
use crate::ir::{Mma, MmaType, R, Round};
use crate::mutants::{Mutant, on};

/// Lower tf32 bits are ignored, as the tensor cores do.
const TF32: u32 = !0x1fff;

impl Warp {
    #[inline(always)]
    pub fn mma(&mut self, m: &Mma, exec: u32) {
        let mut a = [[0f32; 16]; 16];
        let mut b = [[0f32; 8]; 16];
        let pairs = m.ty != MmaType::Tf32;
        let load = |bits: u32| match m.ty {
            MmaType::Tf32 => f32::from_bits(bits & TF32),
            MmaType::F16 => from_f16(bits & 0xffff),
            MmaType::Bf16 => from_bf16(bits & 0xffff),
        };
        for (i, register) in m.a.iter().enumerate() {
            let lanes = &self.w[usize::from(*register)];
            let (row, column) = (i % 2 * 8, i / 2 * if pairs { 8 } else { 4 });
            let row = if on(Mutant::MmaARows) { 8 - row } else { row };
            let swapped = on(Mutant::MmaAHalves) || on(Mutant::MmaK);
            let column = if swapped { (m.k as usize / 2) ^ column } else { column };
            for g in 0..8 {
                for t in 0..4 {
                    let bits = lanes[if on(Mutant::MmaGroups) { t * 8 + g } else { g * 4 + t }];
                    let bits =
                        if pairs && on(Mutant::MmaPair) { bits.rotate_left(16) } else { bits };
                    if pairs {
                        a[row + g][column + 2 * t] = load(bits);
                        a[row + g][column + 2 * t + 1] = load(bits >> 16);
                    } else {
                        a[row + g][column + t] = load(bits);
                    }
                }
            }
        }
        for (i, register) in m.b.iter().enumerate() {
            let lanes = &self.w[usize::from(*register)];
            let first = i * if pairs { 8 } else { 4 };
            let swapped = on(Mutant::MmaBHalves) || on(Mutant::MmaK);
            let first = if swapped { (m.k as usize / 2) ^ first } else { first };
            for g in 0..8 {
                for t in 0..4 {
                    let bits = lanes[g * 4 + t];
                    if pairs {
                        b[first + 2 * t][g] = load(bits);
                        b[first + 2 * t + 1][g] = load(bits >> 16);
                    } else {
                        b[first + t][g] = load(bits);
                    }
                }
            }
        }
        let mut c = self.accumulators(m);
        let k = m.k as usize;
        for (row, sums) in a.iter().zip(&mut c) {
            for (x, column) in row[..k].iter().zip(&b[..k]) {
                for n in 0..8 {
                    sums[n] = x.mul_add(column[n], sums[n]);
                }
            }
        }
        self.store_accumulators(m, &c, exec);
    }

    #[inline(always)]
    fn accumulators(&self, m: &Mma) -> [[f32; 8]; 16] {
        let mut c = [[0f32; 8]; 16];
        let file = |r: R| -> &W { &self.w[usize::from(r)] };
        for g in 0..8 {
            for t in 0..4 {
                let l = g * 4 + t;
                for half in 0..2 {
                    let pair = if m.half {
                        let bits = file(m.c[half])[l];
                        [from_f16(bits & 0xffff), from_f16(bits >> 16)]
                    } else {
                        [file(m.c[2 * half])[l], file(m.c[2 * half + 1])[l]].map(f32::from_bits)
                    };
                    c[8 * half + g][2 * t] = pair[0];
                    c[8 * half + g][2 * t + 1] = pair[1];
                }
            }
        }
        c
    }

    #[inline(always)]
    fn store_accumulators(&mut self, m: &Mma, c: &[[f32; 8]; 16], exec: u32) {
        let mut out = [[0u32; 32]; 4];
        for g in 0..8 {
            for t in 0..4 {
                let l = g * 4 + t;
                for half in 0..2 {
                    let (x, y) = (c[8 * half + g][2 * t], c[8 * half + g][2 * t + 1]);
                    let (x, y) = if on(Mutant::MmaCColumns) { (y, x) } else { (x, y) };
                    if m.half {
                        out[half][l] = to_f16(x, Round::Near) | to_f16(y, Round::Near) << 16;
                    } else {
                        out[2 * half][l] = x.to_bits();
                        out[2 * half + 1][l] = y.to_bits();
                    }
                }
            }
        }
        for (register, lanes) in m.d.iter().zip(&out) {
            put(&mut self.w[usize::from(*register)], lanes, exec);
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
