//! Loops over the 32 lanes of a warp, written so that the compiler turns them into vector code.

use crate::ir::R;

pub(super) type W = [u32; 32];
pub(super) type D = [u64; 32];

pub(super) const FULL: u32 = u32::MAX;

/// Writes the lanes of `mask`.
#[inline(always)]
pub(super) fn put<T: Copy>(to: &mut [T; 32], from: &[T; 32], mask: u32) {
    if mask == FULL {
        *to = *from;
    } else {
        blend(to, from, mask);
    }
}

#[inline(never)]
fn blend<T: Copy>(to: &mut [T; 32], from: &[T; 32], mask: u32) {
    for l in 0..32 {
        to[l] = if mask >> l & 1 != 0 { from[l] } else { to[l] };
    }
}

/// One value a lane. Where `[T; 32]::map` would be a call, this is vector code.
#[inline(always)]
pub(super) fn all<T: Copy + Default>(f: impl Fn(usize) -> T) -> [T; 32] {
    let mut out = [T::default(); 32];
    for (l, lane) in out.iter_mut().enumerate() {
        *lane = f(l);
    }
    out
}

// In each of these the whole-warp case stands first and alone, so that results stay in registers on their way
// to the slot: sharing the loop with the masked case costs a round trip through the stack.

#[inline(always)]
pub(super) fn map1(w: &mut [W], d: R, a: R, mask: u32, f: impl Fn(u32) -> u32) {
    let a = &w[usize::from(a)];
    if mask == FULL {
        let out = all(|l| f(a[l]));
        w[usize::from(d)] = out;
        return;
    }
    let out = all(|l| f(a[l]));
    blend(&mut w[usize::from(d)], &out, mask);
}

#[inline(always)]
pub(super) fn map2(w: &mut [W], d: R, a: R, b: R, mask: u32, f: impl Fn(u32, u32) -> u32) {
    let (a, b) = (&w[usize::from(a)], &w[usize::from(b)]);
    if mask == FULL {
        let out = all(|l| f(a[l], b[l]));
        w[usize::from(d)] = out;
        return;
    }
    let out = all(|l| f(a[l], b[l]));
    blend(&mut w[usize::from(d)], &out, mask);
}

#[inline(always)]
pub(super) fn map3(
    w: &mut [W],
    d: R,
    [a, b, c]: [R; 3],
    mask: u32,
    f: impl Fn(u32, u32, u32) -> u32,
) {
    let (a, b, c) = (&w[usize::from(a)], &w[usize::from(b)], &w[usize::from(c)]);
    if mask == FULL {
        let out = all(|l| f(a[l], b[l], c[l]));
        w[usize::from(d)] = out;
        return;
    }
    let out = all(|l| f(a[l], b[l], c[l]));
    blend(&mut w[usize::from(d)], &out, mask);
}

/// The same for floats.
#[inline(always)]
pub(super) fn float2(w: &mut [W], d: R, a: R, b: R, mask: u32, f: impl Fn(f32, f32) -> f32) {
    map2(w, d, a, b, mask, |x, y| f(f32::from_bits(x), f32::from_bits(y)).to_bits());
}

#[inline(always)]
pub(super) fn float3(w: &mut [W], d: R, r: [R; 3], mask: u32, f: impl Fn(f32, f32, f32) -> f32) {
    map3(w, d, r, mask, |x, y, z| {
        f(f32::from_bits(x), f32::from_bits(y), f32::from_bits(z)).to_bits()
    });
}

/// 64-bit lanes.
#[inline(always)]
pub(super) fn wide2(d: &mut [D], to: R, a: R, b: R, mask: u32, f: impl Fn(u64, u64) -> u64) {
    let (a, b) = (&d[usize::from(a)], &d[usize::from(b)]);
    if mask == FULL {
        let out = all(|l| f(a[l], b[l]));
        d[usize::from(to)] = out;
        return;
    }
    let out = all(|l| f(a[l], b[l]));
    blend(&mut d[usize::from(to)], &out, mask);
}

/// The lanes of a mask, ascending.
#[inline(always)]
pub(super) fn each(mask: u32) -> impl Iterator<Item = usize> {
    let mut rest = mask;
    std::iter::from_fn(move || {
        if rest == 0 {
            return None;
        }
        let lane = rest.trailing_zeros() as usize;
        rest &= rest - 1;
        Some(lane)
    })
}

/// One bit a lane from a condition.
#[inline(always)]
pub(super) fn bits<T: Copy>(a: &[T; 32], b: &[T; 32], f: impl Fn(T, T) -> bool) -> u32 {
    let mut flags = [0u32; 32];
    for l in 0..32 {
        flags[l] = u32::from(f(a[l], b[l])) << l;
    }
    flags.iter().fold(0, |x, y| x | y)
}
