//! Conversions between integers and floats.

use super::float::{NAN, flush, round_exact};
use super::float16::{from_bf16, from_f16, odd32, to_bf16, to_f16, to_tf32};
use crate::ir::{Cvt, Round};
use crate::mutants::{Mutant, on};
use crate::ptx::ast::Ty;

fn integral(x: f64, round: Round) -> f64 {
    match round {
        Round::Near if on(Mutant::TiesAway) => x.round(),
        Round::Near => x.round_ties_even(),
        Round::Zero => x.trunc(),
        Round::Down => x.floor(),
        Round::Up => x.ceil(),
    }
}

/// Range of an integer type.
fn range(ty: Ty) -> (i128, i128) {
    let bits = ty.size() * 8;
    if ty.signed() { (-(1 << (bits - 1)), (1 << (bits - 1)) - 1) } else { (0, (1 << bits) - 1) }
}

fn int_value(ty: Ty, bits: u64) -> i128 {
    match ty {
        Ty::S8 => i128::from(bits as i8),
        Ty::S16 => i128::from(bits as i16),
        Ty::S32 => i128::from(bits as i32),
        Ty::S64 => i128::from(bits as i64),
        Ty::U8 => i128::from(bits as u8),
        Ty::U16 => i128::from(bits as u16),
        Ty::U32 => i128::from(bits as u32),
        _ => i128::from(bits),
    }
}

fn float_value(ty: Ty, bits: u64) -> f64 {
    match ty {
        Ty::F16 => from_f16(bits as u32 & 0xffff).into(),
        Ty::Bf16 => from_bf16(bits as u32 & 0xffff).into(),
        Ty::F32 => f32::from_bits(bits as u32).into(),
        _ => f64::from_bits(bits),
    }
}

fn is_float(ty: Ty) -> bool {
    matches!(ty, Ty::F16 | Ty::Bf16 | Ty::F32 | Ty::F64 | Ty::Tf32)
}

/// Bits of an integer of the type in a register: sign-extended to the register's width.
fn int_bits(value: i128, ty: Ty) -> u64 {
    match ty.size() {
        // Narrow results are sign- or zero-extended into registers that may be 32 bits wide.
        1 | 2 | 4 => value as u32 as u64,
        _ => value as u64,
    }
}

/// An f64 rounded to f32 in any direction.
fn to_f32(x: f64, round: Round) -> f32 {
    if round == Round::Near || x == 0.0 || x.is_nan() {
        x as f32
    } else {
        round_exact(x, 0.0, round)
    }
}

fn float_bits(x: f64, cvt: &Cvt) -> u64 {
    let narrow =
        |x: f64| if cvt.from == Ty::F64 || !is_float(cvt.from) { odd32(x) } else { x as f32 };
    match cvt.to {
        Ty::F64 if x.is_nan() => f64::NAN.to_bits(),
        Ty::F64 => x.to_bits(),
        Ty::F32 => {
            let y = to_f32(x, cvt.round);
            let y = if cvt.ftz { flush(y) } else { y };
            if y.is_nan() { NAN.to_bits().into() } else { y.to_bits().into() }
        }
        Ty::Tf32 => to_tf32(x as f32, cvt.away).into(),
        Ty::Bf16 => to_bf16(narrow(x), cvt.round).into(),
        _ => to_f16(narrow(x), cvt.round).into(),
    }
}

/// One conversion of one lane.
pub(super) fn convert(cvt: &Cvt, bits: u64) -> u64 {
    match (is_float(cvt.from), is_float(cvt.to)) {
        (false, false) => {
            let mut value = int_value(cvt.from, bits);
            if cvt.sat {
                let (low, high) = range(cvt.to);
                value = value.clamp(low, high);
            } else {
                value = int_value(cvt.to, value as u64);
            }
            int_bits(value, cvt.to)
        }
        (false, true) => {
            let value = int_value(cvt.from, bits);
            int_to_float(value, cvt)
        }
        (true, false) => {
            let mut x = float_value(cvt.from, bits);
            if cvt.ftz && cvt.from == Ty::F32 {
                x = flush(x as f32).into();
            }
            let (low, high) = range(cvt.to);
            // Out-of-range values clamp; NaN gives 0, or the top bit at 64 bits.
            let value = if x.is_nan() {
                match cvt.to {
                    _ if on(Mutant::NanInteger) => high,
                    Ty::S64 | Ty::U64 => i128::from(i64::MIN as u64),
                    _ => 0,
                }
            } else {
                match integral(x, cvt.round) as i128 {
                    v if on(Mutant::Saturation) => int_value(cvt.to, v as u64),
                    v => v.clamp(low, high),
                }
            };
            int_bits(value, cvt.to)
        }
        (true, true) => {
            let mut x = float_value(cvt.from, bits);
            if cvt.ftz && cvt.from == Ty::F32 {
                x = flush(x as f32).into();
            }
            if cvt.integral {
                x = integral(x, cvt.round);
            }
            if cvt.sat {
                x = if x > 0.0 { x.min(1.0) } else { 0.0 };
            }
            let mut out = float_bits(x, cvt);
            if cvt.relu && x < 0.0 {
                out = 0;
            }
            out
        }
    }
}

fn int_to_float(value: i128, cvt: &Cvt) -> u64 {
    let out = match cvt.to {
        Ty::F64 => {
            let near = value as f64;
            let exact = near as i128;
            let y = match (cvt.round, exact.cmp(&value)) {
                (Round::Down, std::cmp::Ordering::Greater) => near.next_down(),
                (Round::Up, std::cmp::Ordering::Less) => near.next_up(),
                (Round::Zero, std::cmp::Ordering::Greater) if value > 0 => near.next_down(),
                (Round::Zero, std::cmp::Ordering::Less) if value < 0 => near.next_up(),
                _ => near,
            };
            return y.to_bits();
        }
        Ty::F32 => {
            let near = value as f32;
            let exact = near as i128;
            match (cvt.round, exact.cmp(&value)) {
                (Round::Down, std::cmp::Ordering::Greater) => near.next_down(),
                (Round::Up, std::cmp::Ordering::Less) => near.next_up(),
                (Round::Zero, std::cmp::Ordering::Greater) if value > 0 => near.next_down(),
                (Round::Zero, std::cmp::Ordering::Less) if value < 0 => near.next_up(),
                _ => near,
            }
        }
        // Through a value rounded to odd, so that the second rounding is the only one that counts.
        _ => {
            let near = value as f64;
            let sticky =
                if near as i128 == value { near } else { f64::from_bits(near.to_bits() | 1) };
            return float_bits(sticky, cvt);
        }
    };
    let out = if cvt.sat { if out > 0.0 { out.min(1.0) } else { 0.0 } } else { out };
    out.to_bits().into()
}

/// Two f32 into a pair, `a` in the upper half.
pub(super) fn pack(bf16: bool, round: Round, relu: bool, a: f32, b: f32) -> u32 {
    let one = |x: f32| {
        let bits = if bf16 { to_bf16(x, round) } else { to_f16(x, round) };
        if relu && x < 0.0 { 0 } else { bits }
    };
    one(a) << 16 | one(b)
}
