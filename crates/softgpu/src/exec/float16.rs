//! Conversions between f32 and the 16-bit floats, tf32 rounding, and arithmetic on 16-bit floats.

use super::float::{self, f32_op};
use crate::ir::{FloatOp, Mode, Round};
use crate::mutants::{Mutant, on};

/// f16 to f32, exact.
#[inline(always)]
pub(super) fn from_f16(h: u32) -> f32 {
    let (sign, rest) = ((h & 0x8000) << 16, h & 0x7fff);
    // Move exponent and mantissa into place, then scale by 2^112: subnormals come out right.
    let value = f32::from_bits(rest << 13) * f32::from_bits(0x7780_0000);
    let value = if on(Mutant::F16Subnormal) && rest < 0x400 { 0.0 } else { value };
    let bits = if rest >= 0x7c00 { rest << 13 | 0x7f80_0000 } else { value.to_bits() };
    f32::from_bits(bits | sign)
}

#[inline(always)]
pub(super) fn from_bf16(h: u32) -> f32 {
    f32::from_bits(h << 16)
}

/// Keeps the upper bits of a magnitude, `drop` lower ones rounded away.
fn round_bits(magnitude: u32, drop: u32, round: Round, negative: bool) -> u32 {
    let (kept, lost) = (magnitude >> drop, magnitude & ((1 << drop) - 1));
    let half = 1 << (drop - 1);
    let up = match round {
        Round::Near => lost > half || lost == half && kept & 1 != 0,
        Round::Zero => false,
        Round::Down => negative && lost != 0,
        Round::Up => !negative && lost != 0,
    };
    kept + u32::from(up)
}

/// f32 to f16. Overflow gives infinity, or the largest number when rounding towards zero.
pub(super) fn to_f16(x: f32, round: Round) -> u32 {
    let (sign, magnitude) = (x.to_bits() >> 16 & 0x8000, x.to_bits() & 0x7fff_ffff);
    if magnitude > 0x7f80_0000 {
        return 0x7fff;
    }
    if magnitude == 0x7f80_0000 {
        return sign | 0x7c00;
    }
    let negative = sign != 0;
    let exponent = (magnitude >> 23) as i32 - 127;
    let value = if exponent >= -14 {
        round_bits(magnitude - (112 << 23), 13, round, negative)
    } else if exponent >= -26 {
        let mantissa = magnitude & 0x7f_ffff | 0x80_0000;
        round_bits(mantissa, (13 + (-14 - exponent)) as u32, round, negative)
    } else {
        // Below half the smallest subnormal: only its being there matters.
        round_bits(u32::from(magnitude != 0), 2, round, negative)
    };
    if value >= 0x7c00 {
        let finite = match round {
            Round::Near => on(Mutant::F16Overflow),
            Round::Zero => true,
            Round::Down => !negative,
            Round::Up => negative,
        };
        return sign | if finite { 0x7bff } else { 0x7c00 };
    }
    sign | value
}

/// f32 to bf16.
#[inline(always)]
pub(super) fn to_bf16(x: f32, round: Round) -> u32 {
    let bits = x.to_bits();
    if x.is_nan() {
        return 0x7fff;
    }
    match round {
        Round::Near if on(Mutant::Bf16Truncates) => bits >> 16,
        Round::Near => (bits + 0x7fff + (bits >> 16 & 1)) >> 16,
        Round::Zero => bits >> 16,
        _ if bits & 0xffff == 0 => bits >> 16,
        Round::Down => (bits >> 16) + (bits >> 31),
        Round::Up => (bits >> 16) + 1 - (bits >> 31),
    }
}

/// f32 to tf32: 10 mantissa bits, the rest zero.
pub(super) fn to_tf32(x: f32, away: bool) -> u32 {
    let bits = x.to_bits();
    if x.is_nan() {
        return 0x7fff_ffff;
    }
    if x.is_infinite() {
        return bits;
    }
    if on(Mutant::Tf32Truncates) {
        return bits & !0x1fff;
    }
    let up = if away { 0x1000 } else { 0xfff + (bits >> 13 & 1) };
    (bits + up) & !0x1fff
}

/// f64 to a narrower float in one rounding, through a value rounded to odd.
pub(super) fn odd32(x: f64) -> f32 {
    let near = x as f32;
    if !x.is_finite() || near.is_infinite() || f64::from(near) == x {
        return if near.is_infinite() && x.is_finite() { f32::MAX.copysign(near) } else { near };
    }
    let toward =
        if (f64::from(near) > x) == (x > 0.0) { f32::from_bits(near.to_bits() - 1) } else { near };
    f32::from_bits(toward.to_bits() | 1)
}

fn load(bf16: bool, h: u32) -> f32 {
    if bf16 { from_bf16(h & 0xffff) } else { from_f16(h & 0xffff) }
}

/// One operation on one 16-bit float: computed wide enough that it rounds once.
fn op16(op: FloatOp, bf16: bool, mode: Mode, a: u32, b: u32, c: u32) -> u32 {
    match op {
        FloatOp::Neg => return a ^ 0x8000,
        FloatOp::Abs => return a & 0x7fff,
        _ => {}
    }
    let (x, y, z) = (load(bf16, a), load(bf16, b), load(bf16, c));
    let store = |v: f32| if bf16 { to_bf16(v, Round::Near) } else { to_f16(v, Round::Near) };
    let wide = |v: f64| store(odd32(v));
    let subnormal = |h: u32| h & 0x7fff != 0 && h & 0x7fff < 0x400;
    let flushed = |h: u32| if mode.ftz && !bf16 && subnormal(h) { h & 0x8000 } else { h };
    let (x, y, z) = if mode.ftz && !bf16 {
        (load(bf16, flushed(a)), load(bf16, flushed(b)), load(bf16, flushed(c)))
    } else {
        (x, y, z)
    };
    let mut bits = match op {
        // Sums and products of two 16-bit floats are exact in f64; the third operand of fma may not be.
        FloatOp::Add => wide(f64::from(x) + f64::from(y)),
        FloatOp::Sub => wide(f64::from(x) - f64::from(y)),
        FloatOp::Mul => wide(f64::from(x) * f64::from(y)),
        FloatOp::Fma => {
            let product = f64::from(x) * f64::from(y);
            let sum = product + f64::from(z);
            let t = sum - product;
            let error = (product - (sum - t)) + (f64::from(z) - t);
            // Round to odd in f64 as well, so that the lost part is not forgotten.
            let odd = if error != 0.0 && sum.is_finite() && sum.to_bits() & 1 == 0 {
                if (error > 0.0) == (sum > 0.0) {
                    f64::from_bits(sum.to_bits() + 1)
                } else {
                    f64::from_bits(sum.to_bits() - 1)
                }
            } else {
                sum
            };
            wide(odd)
        }
        _ => store(f32_op(op, Mode::default(), x, y, z)),
    };
    bits = flushed(bits);
    if mode.sat {
        let v = load(bf16, bits);
        bits = if v > 0.0 { store(float::min(v, 1.0)) } else { 0 };
    }
    if mode.relu && load(bf16, bits) < 0.0 {
        bits = 0;
    }
    bits
}

/// The operation on both halves, or on the low one.
pub(super) fn half_op(
    op: FloatOp,
    bf16: bool,
    single: bool,
    mode: Mode,
    a: u32,
    b: u32,
    c: u32,
) -> u32 {
    let low = op16(op, bf16, mode, a & 0xffff, b & 0xffff, c & 0xffff);
    if single {
        return low;
    }
    low | op16(op, bf16, mode, a >> 16, b >> 16, c >> 16) << 16
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_16_bit_pattern_converts() {
        for h in 0..=u16::MAX {
            let (x, y) = (from_f16(h.into()), half::f16::from_bits(h).to_f32());
            assert!(x.to_bits() == y.to_bits() || x.is_nan() && y.is_nan(), "f16 {h:04x}");
            let (x, y) = (from_bf16(h.into()), half::bf16::from_bits(h).to_f32());
            assert!(x.to_bits() == y.to_bits() || x.is_nan() && y.is_nan(), "bf16 {h:04x}");
        }
    }

    /// Every pair of neighbouring 16-bit values: both ends, the tie between them, and the values around it.
    #[test]
    fn narrowing_agrees_with_half_around_every_tie() {
        for h in 0..u16::MAX {
            let wide = half::f16::from_bits(h).to_f32();
            let next = half::f16::from_bits(h + 1).to_f32();
            let tie = ((f64::from(wide) + f64::from(next)) / 2.0) as f32;
            for x in [wide, tie, tie.next_up(), tie.next_down()].into_iter().filter(|x| !x.is_nan())
            {
                let want = half::f16::from_f32(x).to_bits();
                assert_eq!(to_f16(x, Round::Near), want.into(), "{x:e}");
            }
            let high = u32::from(h) << 16;
            for low in [0, 1, 0x7fff, 0x8000, 0x8001, 0xffff] {
                let x = f32::from_bits(high | low);
                if !x.is_nan() {
                    let want = half::bf16::from_f32(x).to_bits();
                    assert_eq!(to_bf16(x, Round::Near), want.into(), "{x:e}");
                }
            }
        }
    }
}
