//! Address arithmetic common to all spaces, generic addresses, sectors of global memory.

use super::lanes::{D, each};
use super::state::{Fatal, Memo, Pattern, Warp, Worker};
use crate::check::lines::Lines;
use crate::ir::{File, R};
use crate::lower::{LOCAL_BASE, PARAM_BASE, SHARED_BASE};
use crate::mutants::{Mutant, on};
use crate::ptx::ast::Space;
use crate::report::FindingKind;
use std::rc::Rc;

/// Bytes that global memory moves at least.
const SECTOR: u64 = 32;

/// Bytes of the window of generic addresses that each of the three spaces has.
const WINDOW: u64 = 1 << 32;

/// The space that a generic address lies in.
pub(super) fn window(address: u64) -> Space {
    match address {
        a if a.wrapping_sub(SHARED_BASE) < WINDOW => Space::Shared,
        a if a.wrapping_sub(LOCAL_BASE) < WINDOW => Space::Local,
        a if a.wrapping_sub(PARAM_BASE) < WINDOW => Space::Param,
        _ => Space::Global,
    }
}

pub(super) fn base(space: Space) -> u64 {
    match space {
        Space::Shared => SHARED_BASE,
        Space::Local => LOCAL_BASE,
        Space::Param => PARAM_BASE,
        _ => 0,
    }
}

/// A value of `width` bytes as it stands in a register.
#[inline(always)]
pub(super) fn extend(value: u64, width: u32, signed: bool) -> u64 {
    match (width, signed && !on(Mutant::LoadSign)) {
        (1, true) => value as i8 as u64,
        (2, true) => value as i16 as u64,
        (4, true) => value as i32 as u64,
        (1, false) => value & 0xff,
        (2, false) => value & 0xffff,
        (4, false) => value & 0xffff_ffff,
        _ => value,
    }
}

/// A word with `width` of its bytes, from byte `first` on, set to a value.
#[inline(always)]
pub(super) fn inserted(word: u32, first: u32, width: u32, value: u64) -> u32 {
    let shift = first * 8;
    let mask = ((1u64 << (width * 8)) - 1) << shift;
    (u64::from(word) & !mask | value << shift & mask) as u32
}

impl Warp {
    /// Addresses of all lanes, offset added.
    #[inline(always)]
    pub fn addresses(&self, register: R, file: File, offset: i64) -> D {
        let mut out = [0; 32];
        match file {
            File::W => {
                let a = &self.w[usize::from(register)];
                for l in 0..32 {
                    // 32-bit addresses wrap within 32 bits, as the hardware's do.
                    out[l] = u64::from(a[l].wrapping_add(offset as u32));
                }
            }
            _ => {
                let a = &self.d[usize::from(register)];
                for l in 0..32 {
                    out[l] = a[l].wrapping_add(offset as u64);
                }
            }
        }
        out
    }

    /// Writes loaded values to a register, whatever its file.
    #[inline(always)]
    pub fn set(&mut self, register: R, file: File, values: &D, exec: u32) {
        let r = usize::from(register);
        for l in each(exec) {
            match file {
                File::W => self.w[r][l] = values[l] as u32,
                _ => self.d[r][l] = values[l],
            }
        }
    }

    #[inline(always)]
    pub fn get(&self, register: R, file: File, lane: usize) -> u64 {
        match file {
            File::W => u64::from(self.w[usize::from(register)][lane]),
            _ => self.d[usize::from(register)][lane],
        }
    }
}

impl Worker<'_> {
    #[cold]
    pub fn misaligned(
        &self,
        warp: &Warp,
        pc: usize,
        lane: usize,
        address: u64,
        bytes: u64,
    ) -> Fatal {
        let message = format!("address {address:#x} is no multiple of the access width {bytes}");
        self.fatal(warp, pc, lane, FindingKind::Misaligned, message)
    }

    #[cold]
    #[allow(clippy::too_many_arguments)]
    pub fn outside(
        &self,
        warp: &Warp,
        pc: usize,
        lane: usize,
        what: &str,
        address: u64,
        n: u64,
        size: u64,
    ) -> Fatal {
        let message =
            format!("{n} bytes at offset {address:#x} of {what} memory, which has {size} bytes");
        self.fatal(warp, pc, lane, FindingKind::OutOfBounds, message)
    }

    /// Where the memo of an instruction and a warp stands: warps come in turn, each with its own pattern.
    #[inline(always)]
    pub fn memo_index(&self, id: u32, warp: &Warp) -> usize {
        id as usize * self.warps.len() + warp.id
    }

    /// Where the memo of an instruction for this pattern of global addresses stands; it is made if it has to be.
    #[inline(always)]
    pub fn global_memo(&mut self, warp: &Warp, id: u32, a: &D, exec: u32, bytes: u64) -> usize {
        let id = self.memo_index(id, warp);
        let first = a[exec.trailing_zeros() as usize];
        if let Some(memo) = &self.memos[id] {
            let mut difference = 0;
            for l in 0..32 {
                let here = if exec >> l & 1 != 0 { u64::MAX } else { 0 };
                let delta = i64::from(memo.key.deltas[l] as i32) as u64;
                difference |= (a[l].wrapping_sub(first) ^ delta) & here;
            }
            let phase = (first % SECTOR) as u32;
            if difference == 0 && memo.key.mask == exec && memo.key.phase == phase {
                return id;
            }
        }
        self.remember_global(id, a, exec, bytes);
        id
    }

    #[cold]
    #[inline(never)]
    fn remember_global(&mut self, id: usize, a: &D, exec: u32, bytes: u64) {
        let first = a[exec.trailing_zeros() as usize];
        // A pattern wider than 32 bits is not known again.
        let far = each(exec).any(|l| i32::try_from(a[l].wrapping_sub(first) as i64).is_err());
        let mut deltas = [0; 32];
        for l in 0..32 {
            deltas[l] = if exec >> l & 1 != 0 { a[l].wrapping_sub(first) as u32 } else { 0 };
        }
        let key = Pattern {
            bytes: bytes as u32,
            shared: false,
            mask: if far { 0 } else { exec },
            phase: (first % SECTOR) as u32,
            deltas,
        };
        let make = |key| {
            let low = each(exec).map(|l| a[l]).min().unwrap_or(first);
            let (mut sectors, mut starts) = (Vec::with_capacity(64), Vec::with_capacity(32));
            let size = if on(Mutant::Sectors) { 2 * SECTOR } else { SECTOR };
            for l in each(exec) {
                sectors.extend(a[l] / size..(a[l] + bytes).div_ceil(size));
                starts.push(a[l]);
            }
            for list in [&mut sectors, &mut starts] {
                list.sort_unstable();
                list.dedup();
            }
            Memo {
                key,
                cost: sectors.len() as u32,
                ideal: (starts.len() as u64 * bytes).div_ceil(SECTOR) as u32,
                unique: exec,
                low: low.wrapping_sub(first) as u32,
                lines: Lines::of(starts.iter().map(|s| s - low..s - low + bytes)).into(),
            }
        };
        if far {
            self.memos[id] = Some(Rc::new(make(key)));
        } else {
            self.remember(id, key, make);
        }
    }

    /// Counts the 32-byte sectors of a request, and those that its distinct bytes would fill.
    #[inline(always)]
    pub fn count_sectors(&mut self, warp: &Warp, pc: usize, id: u32, a: &D, exec: u32, bytes: u64) {
        let id = self.global_memo(warp, id, a, exec, bytes);
        let Some(memo) = &self.memos[id] else { return };
        self.stats[pc].cost += u64::from(memo.cost);
        self.stats[pc].ideal += u64::from(memo.ideal);
    }
}
