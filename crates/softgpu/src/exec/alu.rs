//! Conversions, comparisons, selections and the rarer arithmetic over all lanes.

use super::lanes::{D, W, all, bits, each, put};
use super::state::Warp;
use super::{cvt, float, float16};
use crate::ir::{Cmp, Cvt, File, PredOp, Round, file_of};
use crate::mutants::{Mutant, on};
use crate::ptx::ast::Ty;

/// A comparison of ordered values.
#[inline(always)]
fn ordered<T: Copy + PartialOrd>(cmp: Cmp, a: &[T; 32], b: &[T; 32]) -> u32 {
    match cmp {
        Cmp::Eq => bits(a, b, |x, y| x == y),
        Cmp::Ne => bits(a, b, |x, y| x != y),
        Cmp::Lt => bits(a, b, |x, y| x < y),
        Cmp::Le => bits(a, b, |x, y| x <= y),
        Cmp::Gt => bits(a, b, |x, y| x > y),
        _ => bits(a, b, |x, y| x >= y),
    }
}

/// A comparison of floats: the plain ones are false on NaN, those with `u` true.
#[inline(always)]
fn floats<T: Copy + PartialOrd>(cmp: Cmp, a: &[T; 32], b: &[T; 32]) -> u32 {
    let nan = |x: T, y: T| x.partial_cmp(&y).is_none();
    let cmp = match cmp {
        Cmp::Ltu if on(Mutant::Unordered) => Cmp::Lt,
        Cmp::Leu if on(Mutant::Unordered) => Cmp::Le,
        Cmp::Gtu if on(Mutant::Unordered) => Cmp::Gt,
        Cmp::Geu if on(Mutant::Unordered) => Cmp::Ge,
        other => other,
    };
    match cmp {
        Cmp::Ne => bits(a, b, |x, y| !nan(x, y) && x != y),
        Cmp::Equ => bits(a, b, |x, y| x == y || nan(x, y)),
        Cmp::Neu => bits(a, b, |x, y| x != y),
        Cmp::Ltu => !ordered(Cmp::Ge, a, b),
        Cmp::Leu => !ordered(Cmp::Gt, a, b),
        Cmp::Gtu => !ordered(Cmp::Le, a, b),
        Cmp::Geu => !ordered(Cmp::Lt, a, b),
        Cmp::Num => bits(a, b, |x, y| !nan(x, y)),
        Cmp::Nan => bits(a, b, nan),
        _ => ordered(cmp, a, b),
    }
}

#[inline(always)]
pub(super) fn compare32(ty: Ty, cmp: Cmp, ftz: bool, a: &W, b: &W) -> u32 {
    match ty {
        Ty::U32 => ordered(cmp, a, b),
        Ty::S32 => ordered(cmp, &all(|l| a[l] as i32), &all(|l| b[l] as i32)),
        Ty::F32 if !ftz => {
            floats(cmp, &all(|l| f32::from_bits(a[l])), &all(|l| f32::from_bits(b[l])))
        }
        _ => compare_rare(ty, cmp, ftz, a, b),
    }
}

#[inline(never)]
fn compare_rare(ty: Ty, cmp: Cmp, ftz: bool, a: &W, b: &W) -> u32 {
    let load = |x: u32| match ty {
        Ty::F16 => float16::from_f16(x & 0xffff),
        Ty::Bf16 => float16::from_bf16(x & 0xffff),
        _ if ftz => float::flush(f32::from_bits(x)),
        _ => f32::from_bits(x),
    };
    floats(cmp, &a.map(load), &b.map(load))
}

#[inline(never)]
pub(super) fn compare64(ty: Ty, cmp: Cmp, a: &D, b: &D) -> u32 {
    match ty {
        Ty::U64 => ordered(cmp, a, b),
        Ty::S64 => ordered(cmp, &all(|l| a[l] as i64), &all(|l| b[l] as i64)),
        _ => floats(cmp, &all(|l| f64::from_bits(a[l])), &all(|l| f64::from_bits(b[l]))),
    }
}

pub(super) fn pred(op: PredOp, a: u32, b: u32) -> u32 {
    match op {
        PredOp::And => a & b,
        PredOp::Or => a | b,
        PredOp::Xor => a ^ b,
        PredOp::Not => !a,
        PredOp::Mov => a,
    }
}

pub(super) fn testp(what: u8, x: f64, normal: bool) -> bool {
    match what {
        0 => x.is_finite(),
        1 => x.is_infinite(),
        2 => !x.is_nan(),
        3 => x.is_nan(),
        // Zeros count as normal, says the manual.
        4 => normal || x == 0.0,
        _ => x != 0.0 && x.is_finite() && !normal,
    }
}

impl Warp {
    /// A conversion; the common ones have their own loops.
    pub fn convert(&mut self, cvt: &Cvt, d: u16, a: u16, exec: u32) {
        let (d, a) = (usize::from(d), usize::from(a));
        let plain = !cvt.sat && !cvt.ftz;
        match (cvt.to, cvt.from) {
            (Ty::S64 | Ty::U64, Ty::S32) if plain => {
                let a = &self.w[a];
                let out = all(|l| {
                    let x = a[l];
                    x as i32 as u64
                });
                return put(&mut self.d[d], &out, exec);
            }
            (Ty::S64 | Ty::U64, Ty::U32) if plain => {
                let out = self.w[a].map(u64::from);
                return put(&mut self.d[d], &out, exec);
            }
            (Ty::U32 | Ty::S32, Ty::U64 | Ty::S64) if plain => {
                let a = &self.d[a];
                let out = all(|l| {
                    let x = a[l];
                    x as u32
                });
                return put(&mut self.w[d], &out, exec);
            }
            (Ty::F32, Ty::S32) if plain && cvt.round == Round::Near => {
                let a = &self.w[a];
                let out = all(|l| {
                    let x = a[l];
                    (x as i32 as f32).to_bits()
                });
                return put(&mut self.w[d], &out, exec);
            }
            (Ty::Tf32, Ty::F32) => {
                let a = &self.w[a];
                let out = all(|l| {
                    let x = a[l];
                    float16::to_tf32(f32::from_bits(x), cvt.away)
                });
                return put(&mut self.w[d], &out, exec);
            }
            (Ty::F32, Ty::F16) if plain => {
                let a = &self.w[a];
                let out = all(|l| {
                    let x = a[l];
                    float16::from_f16(x & 0xffff).to_bits()
                });
                return put(&mut self.w[d], &out, exec);
            }
            (Ty::F32, Ty::Bf16) if plain => {
                let a = &self.w[a];
                let out = all(|l| {
                    let x = a[l];
                    x << 16
                });
                return put(&mut self.w[d], &out, exec);
            }
            _ => {}
        }
        let narrow = cvt.to.size() == 2 && !cvt.to.signed();
        for l in each(exec) {
            let bits = match file_of(cvt.from) {
                File::D => self.d[a][l],
                _ => u64::from(self.w[a][l]),
            };
            let out = cvt::convert(cvt, bits);
            match file_of(cvt.to) {
                File::D => self.d[d][l] = out,
                _ if narrow => self.w[d][l] = out as u32 & 0xffff,
                _ => self.w[d][l] = out as u32,
            }
        }
    }
}
