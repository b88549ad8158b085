//! Integer operations on 32 and 64 bits, as PTX defines them.

use super::lanes::{D, W};
use crate::ir::IntOp;
use crate::mutants::{Mutant, on};

/// Result of a division by zero: hardware gives all ones and PTX leaves it open.
const DIVIDED_BY_ZERO: u32 = u32::MAX;

fn bfe32(signed: bool, a: u32, pos: u32, len: u32) -> u32 {
    let (pos, len) = (pos & 0xff, len & 0xff);
    if len == 0 {
        return 0;
    }
    let top = (pos + len - 1).min(31);
    let sign = signed && a >> top & 1 != 0 && !on(Mutant::BfeSign);
    let fill = if sign { u32::MAX } else { 0 };
    let shifted = if pos > 31 { fill } else { a >> pos };
    // Bits at and above the length, and those that came from beyond bit 31, take the sign.
    let kept = len.min(32u32.saturating_sub(pos));
    if kept >= 32 { shifted } else { shifted & ((1 << kept) - 1) | fill & !((1 << kept) - 1) }
}

/// The 64-bit forms take position and length whole, unlike the 32-bit ones, which look at 8 bits.
pub(super) fn bfe64(signed: bool, a: u64, pos: u32, len: u32) -> u64 {
    if len == 0 {
        return 0;
    }
    let top = pos.saturating_add(len - 1).min(63);
    let fill = if signed && a >> top & 1 != 0 { u64::MAX } else { 0 };
    let shifted = if pos > 63 { fill } else { a >> pos };
    let kept = len.min(64u32.saturating_sub(pos));
    if kept >= 64 { shifted } else { shifted & ((1 << kept) - 1) | fill & !((1 << kept) - 1) }
}

/// bfi: `len` low bits of `a` placed into `b` at `pos`.
pub(super) fn bfi64(a: u64, b: u64, pos: u32, len: u32, width: u32) -> u64 {
    if pos >= width || len == 0 {
        return b;
    }
    let len = len.min(width - pos);
    let mask = if len >= 64 { u64::MAX } else { (1 << len) - 1 } << pos;
    b & !mask | a << pos & mask
}

fn prmt(mode: u8, a: u32, b: u32, c: u32) -> u32 {
    let bytes = (u64::from(b) << 32 | u64::from(a)).to_le_bytes();
    let s = c & 3;
    let pick = |i: u32| -> u8 {
        match mode {
            0 => {
                let selector = c >> (4 * i) & 15;
                let byte = bytes[(selector & 7) as usize];
                match selector & if on(Mutant::PrmtSign) { 0 } else { 8 } {
                    0 => byte,
                    _ => ((byte as i8) >> 7) as u8,
                }
            }
            1 => bytes[(s + i) as usize],
            2 => bytes[((s + 8 - i) & 7) as usize],
            3 => bytes[s as usize],
            4 => bytes[s.max(i) as usize],
            5 => bytes[s.min(i) as usize],
            _ => bytes[((s & 1) * 2 + (i & 1)) as usize],
        }
    };
    u32::from_le_bytes([pick(0), pick(1), pick(2), pick(3)])
}

fn lop3(table: u8, a: u32, b: u32, c: u32) -> u32 {
    let mut out = 0;
    for i in 0..8 {
        if table >> i & 1 != 0 {
            let x = if i & 4 != 0 { a } else { !a };
            let y = if i & 2 != 0 { b } else { !b };
            let z = if i & 1 != 0 { c } else { !c };
            out |= x & y & z;
        }
    }
    out
}

fn shf(left: bool, a: u32, b: u32, n: u32) -> u32 {
    let both = u64::from(b) << 32 | u64::from(a);
    if left { (both << n >> 32) as u32 } else { (both >> n) as u32 }
}

fn bmsk(pos: u32, len: u32) -> u32 {
    if pos > 31 || len == 0 {
        return 0;
    }
    let mask = if len >= 32 { u32::MAX } else { (1 << len) - 1 };
    mask << pos
}

fn dp4a(s: bool, t: bool, a: u32, b: u32, c: u32) -> u32 {
    let (x, y) = (a.to_le_bytes(), b.to_le_bytes());
    let value = |signed: bool, v: u8| {
        if signed && !on(Mutant::Dp4aSign) { i32::from(v as i8) } else { i32::from(v) }
    };
    (0..4).fold(c, |sum, i| sum.wrapping_add((value(s, x[i]) * value(t, y[i])) as u32))
}

/// bfind: position of the highest bit that differs from the sign, or all ones.
fn bfind(signed: bool, a: u64, width: u32) -> u32 {
    let negative = signed && a >> (width - 1) & 1 != 0;
    let v = if negative { !a } else { a };
    let v = if width < 64 { v & ((1 << width) - 1) } else { v };
    if v == 0 { u32::MAX } else { 63 - v.leading_zeros() }
}

fn sext24(v: u32) -> i64 {
    i64::from((v << 8) as i32 >> 8)
}

/// One 32-bit operation over all lanes.
#[inline(never)]
pub(super) fn int32(op: IntOp, a: &W, b: &W, c: &W) -> W {
    let mut out = [0; 32];
    macro_rules! go {
        (|$x:ident, $y:ident, $z:ident| $e:expr) => {{
            for l in 0..32 {
                let ($x, $y, $z) = (a[l], b[l], c[l]);
                let _ = ($y, $z);
                out[l] = $e;
            }
        }};
    }
    let hi_s = |x: u32, y: u32| ((i64::from(x as i32) * i64::from(y as i32)) >> 32) as u32;
    let hi_u = |x: u32, y: u32| ((u64::from(x) * u64::from(y)) >> 32) as u32;
    match op {
        IntOp::Sub => go!(|x, y, z| x.wrapping_sub(y)),
        IntOp::And => go!(|x, y, z| x & y),
        IntOp::Mul => go!(|x, y, z| x.wrapping_mul(y)),
        IntOp::Mad => go!(|x, y, z| x.wrapping_mul(y).wrapping_add(z)),
        IntOp::MulHiS if on(Mutant::MulHi) => go!(|x, y, z| hi_u(x, y)),
        IntOp::MulHiS => go!(|x, y, z| hi_s(x, y)),
        IntOp::MulHiU => go!(|x, y, z| hi_u(x, y)),
        IntOp::MadHiS => go!(|x, y, z| hi_s(x, y).wrapping_add(z)),
        IntOp::MadHiU => go!(|x, y, z| hi_u(x, y).wrapping_add(z)),
        IntOp::DivS if on(Mutant::DivFloor) => {
            go!(|x, y, z| i64::from(x as i32).div_euclid(i64::from(y as i32).max(1)) as u32)
        }
        IntOp::RemS if on(Mutant::RemSign) => {
            go!(|x, y, z| i64::from(x as i32).rem_euclid(i64::from(y as i32).max(1)) as u32)
        }
        IntOp::DivS => go!(|x, y, z| match y {
            0 => DIVIDED_BY_ZERO,
            _ => (x as i32).wrapping_div(y as i32) as u32,
        }),
        IntOp::DivU => go!(|x, y, z| x.checked_div(y).unwrap_or(DIVIDED_BY_ZERO)),
        IntOp::RemS => {
            go!(|x, y, z| if y == 0 { x } else { (x as i32).wrapping_rem(y as i32) as u32 })
        }
        IntOp::RemU => go!(|x, y, z| if y == 0 { x } else { x % y }),
        IntOp::MinS => go!(|x, y, z| (x as i32).min(y as i32) as u32),
        IntOp::MinU => go!(|x, y, z| x.min(y)),
        IntOp::MaxS => go!(|x, y, z| (x as i32).max(y as i32) as u32),
        IntOp::MaxU => go!(|x, y, z| x.max(y)),
        IntOp::Or => go!(|x, y, z| x | y),
        IntOp::Xor => go!(|x, y, z| x ^ y),
        IntOp::Not => go!(|x, y, z| !x),
        IntOp::Cnot => go!(|x, y, z| u32::from(x == 0)),
        IntOp::Neg => go!(|x, y, z| x.wrapping_neg()),
        IntOp::Abs => go!(|x, y, z| (x as i32).wrapping_abs() as u32),
        IntOp::ShrS if on(Mutant::ShiftSign) => go!(|x, y, z| x >> y.min(31)),
        IntOp::ShrU if on(Mutant::ShiftPast) => go!(|x, y, z| x >> (y & 31)),
        // Shifts past the width give zeros or the sign.
        IntOp::ShrU => go!(|x, y, z| if y > 31 { 0 } else { x >> y }),
        IntOp::ShrS => go!(|x, y, z| ((x as i32) >> y.min(31)) as u32),
        IntOp::Popc => go!(|x, y, z| x.count_ones()),
        IntOp::Clz => go!(|x, y, z| x.leading_zeros()),
        IntOp::Brev => go!(|x, y, z| x.reverse_bits()),
        IntOp::BfindS => go!(|x, y, z| bfind(true, x.into(), 32)),
        IntOp::BfindU => go!(|x, y, z| bfind(false, x.into(), 32)),
        IntOp::BfindShiftS => go!(|x, y, z| match bfind(true, x.into(), 32) {
            u32::MAX => u32::MAX,
            n => 31 - n,
        }),
        IntOp::BfindShiftU => go!(|x, y, z| match bfind(false, x.into(), 32) {
            u32::MAX => u32::MAX,
            n => 31 - n,
        }),
        IntOp::BfeS => go!(|x, y, z| bfe32(true, x, y, z)),
        IntOp::BfeU => go!(|x, y, z| bfe32(false, x, y, z)),
        IntOp::SadS => go!(|x, y, z| (x as i32).abs_diff(y as i32).wrapping_add(z)),
        IntOp::SadU => go!(|x, y, z| x.abs_diff(y).wrapping_add(z)),
        IntOp::Prmt(mode) => go!(|x, y, z| prmt(mode, x, y, z)),
        IntOp::Lop3(table) => go!(|x, y, z| lop3(table, x, y, z)),
        IntOp::ShfLeft => go!(|x, y, z| shf(true, x, y, z.min(32))),
        IntOp::ShfLeftWrap => go!(|x, y, z| shf(true, x, y, z & 31)),
        IntOp::ShfRight => go!(|x, y, z| shf(false, x, y, z.min(32))),
        IntOp::ShfRightWrap => go!(|x, y, z| shf(false, x, y, z & 31)),
        IntOp::BmskClamp => go!(|x, y, z| bmsk(x, y)),
        IntOp::BmskWrap => go!(|x, y, z| bmsk(x & 31, y & 31)),
        IntOp::Dp4a(s, t) => go!(|x, y, z| dp4a(s, t, x, y, z)),
        IntOp::AddSatS => go!(|x, y, z| (x as i32).saturating_add(y as i32) as u32),
        IntOp::SubSatS => go!(|x, y, z| (x as i32).saturating_sub(y as i32) as u32),
        IntOp::Mul24S => go!(|x, y, z| (sext24(x) * sext24(y)) as u32),
        IntOp::Mul24U => go!(|x, y, z| (x & 0xff_ffff).wrapping_mul(y & 0xff_ffff)),
        IntOp::Sext16 => go!(|x, y, z| x as i16 as u32),
        IntOp::Zext16 => go!(|x, y, z| x & 0xffff),
    }
    out
}

/// One 64-bit operation over all lanes; `None` for what lowering never emits at 64 bits.
#[inline(never)]
pub(super) fn int64(op: IntOp, a: &D, b: &D, c: &D) -> D {
    let mut out = [0; 32];
    macro_rules! go {
        (|$x:ident, $y:ident, $z:ident| $e:expr) => {{
            for l in 0..32 {
                let ($x, $y, $z) = (a[l], b[l], c[l]);
                let _ = ($y, $z);
                out[l] = $e;
            }
        }};
    }
    let hi_s = |x: u64, y: u64| ((i128::from(x as i64) * i128::from(y as i64)) >> 64) as u64;
    let hi_u = |x: u64, y: u64| ((u128::from(x) * u128::from(y)) >> 64) as u64;
    match op {
        IntOp::Sub => go!(|x, y, z| x.wrapping_sub(y)),
        IntOp::And => go!(|x, y, z| x & y),
        IntOp::Or => go!(|x, y, z| x | y),
        IntOp::Xor => go!(|x, y, z| x ^ y),
        IntOp::Not => go!(|x, y, z| !x),
        IntOp::Cnot => go!(|x, y, z| u64::from(x == 0)),
        IntOp::Neg => go!(|x, y, z| x.wrapping_neg()),
        IntOp::Abs => go!(|x, y, z| (x as i64).wrapping_abs() as u64),
        IntOp::Mul => go!(|x, y, z| x.wrapping_mul(y)),
        IntOp::Mad => go!(|x, y, z| x.wrapping_mul(y).wrapping_add(z)),
        IntOp::MulHiS => go!(|x, y, z| hi_s(x, y)),
        IntOp::MulHiU => go!(|x, y, z| hi_u(x, y)),
        IntOp::MadHiS => go!(|x, y, z| hi_s(x, y).wrapping_add(z)),
        IntOp::MadHiU => go!(|x, y, z| hi_u(x, y).wrapping_add(z)),
        IntOp::DivS => go!(|x, y, z| match y {
            0 => u64::MAX,
            _ => (x as i64).wrapping_div(y as i64) as u64,
        }),
        IntOp::DivU => go!(|x, y, z| x.checked_div(y).unwrap_or(u64::MAX)),
        IntOp::RemS => {
            go!(|x, y, z| if y == 0 { x } else { (x as i64).wrapping_rem(y as i64) as u64 })
        }
        IntOp::RemU => go!(|x, y, z| if y == 0 { x } else { x % y }),
        IntOp::MinS => go!(|x, y, z| (x as i64).min(y as i64) as u64),
        IntOp::MinU => go!(|x, y, z| x.min(y)),
        IntOp::MaxS => go!(|x, y, z| (x as i64).max(y as i64) as u64),
        IntOp::MaxU => go!(|x, y, z| x.max(y)),
        IntOp::SadS => go!(|x, y, z| (x as i64).abs_diff(y as i64).wrapping_add(z)),
        IntOp::SadU => go!(|x, y, z| x.abs_diff(y).wrapping_add(z)),
        IntOp::Brev => go!(|x, y, z| x.reverse_bits()),
        _ => unreachable!("lowering emits no {op:?} on 64 bits"),
    }
    out
}

/// Bit counts of 64-bit values.
pub(super) fn count64(op: IntOp, a: u64) -> u32 {
    let shift = |n: u32| if n == u32::MAX { n } else { 63 - n };
    match op {
        IntOp::Popc => a.count_ones(),
        IntOp::Clz => a.leading_zeros(),
        IntOp::BfindS => bfind(true, a, 64),
        IntOp::BfindU => bfind(false, a, 64),
        IntOp::BfindShiftS => shift(bfind(true, a, 64)),
        _ => shift(bfind(false, a, 64)),
    }
}

/// bfi on 32 bits.
pub(super) fn bfi32(a: u32, b: u32, pos: u32, len: u32) -> u32 {
    bfi64(a.into(), b.into(), pos & 0xff, (len & 0xff) + u32::from(on(Mutant::BfiLength)), 32)
        as u32
}
