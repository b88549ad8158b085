//! Float operations with their rounding, flushing and saturation modes.
//!
//! f32 results are correctly rounded in all four directions for add, sub, mul, fma, div, rcp and sqrt. The
//! `.approx` functions are computed in f64 and rounded once, which lies inside every bound of the manual.

use crate::ir::{FloatOp, Mode, Round};
use crate::mutants::{Mutant, on};

/// The one NaN that PTX's f32 instructions produce.
pub(super) const NAN: f32 = f32::from_bits(0x7fff_ffff);

#[inline(always)]
pub(super) fn flush(x: f32) -> f32 {
    if x.abs() < f32::MIN_POSITIVE && !on(Mutant::Flush) {
        f32::from_bits(x.to_bits() & 1 << 31)
    } else {
        x
    }
}

/// Rounds the exact value `s + e` (`|e|` below half a unit of `s`) to f32.
pub(super) fn round_exact(s: f64, e: f64, round: Round) -> f32 {
    let near = s as f32;
    if !s.is_finite() {
        return near;
    }
    // Sign of the exact value minus `near`; the subtraction is exact unless `near` is infinite.
    let gap = if near.is_infinite() { -f64::from(near) } else { s - f64::from(near) };
    let order = match gap.partial_cmp(&0.0) {
        Some(std::cmp::Ordering::Equal) => e,
        _ => gap,
    };
    match round {
        Round::Near => {
            // A tie of `s` that `e` breaks: `near` went to even, the exact value lies on one side.
            if e == 0.0 || near.is_infinite() {
                return near;
            }
            let up = f64::from(near.next_up());
            let down = f64::from(near.next_down());
            if gap > 0.0 && e > 0.0 && s - f64::from(near) == up - s {
                return near.next_up();
            }
            if gap < 0.0 && e < 0.0 && f64::from(near) - s == s - down {
                return near.next_down();
            }
            near
        }
        Round::Down if order < 0.0 => near.next_down(),
        Round::Up if order > 0.0 => near.next_up(),
        Round::Zero if order < 0.0 && s > 0.0 => near.next_down(),
        Round::Zero if order > 0.0 && s < 0.0 => near.next_up(),
        _ => near,
    }
}

/// `a + b` in f64 with its rounding error (Knuth's two-sum).
fn two_sum(a: f64, b: f64) -> (f64, f64) {
    let s = a + b;
    let t = s - a;
    (s, (a - (s - t)) + (b - t))
}

/// a * b + c rounded in the given direction.
pub(super) fn fma_directed(a: f32, b: f32, c: f32, round: Round) -> f32 {
    if on(Mutant::FmaDirected) {
        return a.mul_add(b, c);
    }
    let product = f64::from(a) * f64::from(b);
    let (s, e) = two_sum(product, f64::from(c));
    if s == 0.0 && e == 0.0 {
        // Exact zero: the sign is that of both addends, else + except when rounding down.
        let (p, q) = (product.is_sign_negative(), c.is_sign_negative());
        let negative = if p == q { p } else { round == Round::Down };
        return if negative { -0.0 } else { 0.0 };
    }
    round_exact(s, e, round)
}

fn add_directed(a: f32, b: f32, round: Round) -> f32 {
    fma_directed(a, 1.0, b, round)
}

fn mul_directed(a: f32, b: f32, round: Round) -> f32 {
    // The product of two f32 is exact in f64.
    let p = f64::from(a) * f64::from(b);
    if p == 0.0 { p as f32 } else { round_exact(p, 0.0, round) }
}

/// a / b; the sign of the remainder tells on which side of `q` the quotient lies.
fn div_directed(a: f32, b: f32, round: Round) -> f32 {
    let q = f64::from(a) / f64::from(b);
    if q == 0.0 || !q.is_finite() {
        return q as f32;
    }
    let rest = (-q).mul_add(f64::from(b), f64::from(a));
    let side = if rest == 0.0 { 0.0 } else { rest.signum() * f64::from(b).signum() };
    // Any error smaller than half a unit of q serves, for only its sign is used.
    round_exact(q, side * f64::MIN_POSITIVE, round)
}

fn sqrt_directed(a: f32, round: Round) -> f32 {
    let r = f64::from(a).sqrt();
    if r.is_nan() || r <= 0.0 || r.is_infinite() {
        return r as f32;
    }
    let rest = (-r).mul_add(r, f64::from(a));
    round_exact(r, if rest == 0.0 { 0.0 } else { rest.signum() * f64::MIN_POSITIVE }, round)
}

/// f32 minimum: the number wins over NaN, -0 is below +0.
pub(super) fn min(a: f32, b: f32) -> f32 {
    match (a.is_nan(), b.is_nan()) {
        (true, _) if on(Mutant::MinNan) => NAN,
        (true, true) => NAN,
        (true, _) => b,
        (_, true) => a,
        _ if a == b => f32::from_bits(a.to_bits() | b.to_bits()),
        _ => {
            if a < b {
                a
            } else {
                b
            }
        }
    }
}

/// f32 maximum.
pub(super) fn max(a: f32, b: f32) -> f32 {
    match (a.is_nan(), b.is_nan()) {
        (true, true) => NAN,
        (true, _) => b,
        (_, true) => a,
        _ if a == b && on(Mutant::ZeroSign) => f32::from_bits(a.to_bits() | b.to_bits()),
        _ if a == b => f32::from_bits(a.to_bits() & b.to_bits()),
        _ => {
            if a > b {
                a
            } else {
                b
            }
        }
    }
}

fn via64(x: f32, f: impl Fn(f64) -> f64) -> f32 {
    let y = f(f64::from(x)) as f32;
    if y.is_nan() { NAN } else { y }
}

/// One float operation on one lane.
#[inline(always)]
pub(super) fn f32_op(op: FloatOp, mode: Mode, a: f32, b: f32, c: f32) -> f32 {
    let near = mode.round == Round::Near;
    let (a, b, c) = if mode.ftz { (flush(a), flush(b), flush(c)) } else { (a, b, c) };
    let value = match op {
        FloatOp::Add if near => a + b,
        FloatOp::Sub if near => a - b,
        FloatOp::Mul if near => a * b,
        FloatOp::Fma if near => a.mul_add(b, c),
        FloatOp::Div if near => a / b,
        FloatOp::Rcp if near => 1.0 / a,
        FloatOp::Sqrt if near => a.sqrt(),
        FloatOp::Add => add_directed(a, b, mode.round),
        FloatOp::Sub => add_directed(a, -b, mode.round),
        FloatOp::Mul => mul_directed(a, b, mode.round),
        FloatOp::Fma => fma_directed(a, b, c, mode.round),
        FloatOp::Div => div_directed(a, b, mode.round),
        FloatOp::Rcp => div_directed(1.0, a, mode.round),
        FloatOp::Sqrt => sqrt_directed(a, mode.round),
        // The manual: a divisor above 2^126 gives 0, or NaN for an infinite dividend.
        FloatOp::DivApprox if b.abs() > f32::from_bits(0x7e80_0000) && b.is_finite() => {
            if a.is_infinite() { NAN } else { f32::from_bits((a * b.signum()).to_bits() & 1 << 31) }
        }
        FloatOp::DivApprox => a / b,
        FloatOp::Rsqrt => via64(a, |x| 1.0 / x.sqrt()),
        FloatOp::Ex2 => via64(a, f64::exp2),
        // Subnormal inputs are fine in f64; negative ones give NaN, zeros -infinity.
        FloatOp::Lg2 => via64(a, f64::log2),
        // The range reduction of the hardware loses subnormal arguments.
        FloatOp::Sin => via64(flush(a), f64::sin),
        FloatOp::Cos => via64(a, f64::cos),
        FloatOp::Tanh => via64(a, f64::tanh),
        FloatOp::Abs => f32::from_bits(a.to_bits() & !(1 << 31)),
        FloatOp::Neg => f32::from_bits(a.to_bits() ^ 1 << 31),
        FloatOp::Min => min(a, b),
        FloatOp::Max => max(a, b),
        FloatOp::MinNan => {
            if a.is_nan() || b.is_nan() {
                NAN
            } else {
                min(a, b)
            }
        }
        FloatOp::MaxNan => {
            if a.is_nan() || b.is_nan() {
                NAN
            } else {
                max(a, b)
            }
        }
        FloatOp::Copysign => f32::from_bits(a.to_bits() & !(1 << 31) | b.to_bits() & 1 << 31),
    };
    let value = if mode.ftz { flush(value) } else { value };
    if mode.sat {
        if on(Mutant::SatNan) {
            return value.clamp(0.0, 1.0);
        }
        // NaN becomes +0.
        return if value > 0.0 { value.min(1.0) } else { 0.0 };
    }
    value
}

/// One f64 operation on one lane, rounded to nearest.
#[inline(always)]
pub(super) fn f64_op(op: FloatOp, a: f64, b: f64, c: f64) -> f64 {
    let pick = |smaller: bool| match (a.is_nan(), b.is_nan()) {
        (true, true) => f64::NAN,
        (true, _) => b,
        (_, true) => a,
        _ if a == b && smaller => f64::from_bits(a.to_bits() | b.to_bits()),
        _ if a == b => f64::from_bits(a.to_bits() & b.to_bits()),
        _ => {
            if (a < b) == smaller {
                a
            } else {
                b
            }
        }
    };
    match op {
        FloatOp::Add => a + b,
        FloatOp::Sub => a - b,
        FloatOp::Mul => a * b,
        FloatOp::Fma => a.mul_add(b, c),
        FloatOp::Div | FloatOp::DivApprox => a / b,
        FloatOp::Rcp => 1.0 / a,
        FloatOp::Sqrt => a.sqrt(),
        FloatOp::Rsqrt => 1.0 / a.sqrt(),
        FloatOp::Ex2 => a.exp2(),
        FloatOp::Lg2 => a.log2(),
        FloatOp::Sin => a.sin(),
        FloatOp::Cos => a.cos(),
        FloatOp::Tanh => a.tanh(),
        FloatOp::Abs => a.abs(),
        FloatOp::Neg => -a,
        FloatOp::Min | FloatOp::MinNan => pick(true),
        FloatOp::Max | FloatOp::MaxNan => pick(false),
        FloatOp::Copysign => a.copysign(b),
    }
}
