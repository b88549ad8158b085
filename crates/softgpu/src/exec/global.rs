//! Global and constant memory: allocations found by address, whole-warp copies where lanes are neighbours.

use super::lanes::{D, FULL, each};
use super::memory::extend;
use super::state::{Fatal, Warp, Worker};
use crate::ir::{Access, File};
use crate::launch::Checks;
use crate::mem::{Block, MemError};
use crate::mutants::{Mutant, on};
use crate::report::FindingKind;
use std::sync::atomic::Ordering::Relaxed;

#[inline(always)]
fn consecutive(a: &D, step: u64) -> bool {
    let mut difference = 0;
    for l in 0..32 {
        difference |= a[l].wrapping_sub(a[0]).wrapping_sub(step * l as u64);
    }
    difference == 0
}

fn load(block: &Block, offset: usize, width: u32) -> u64 {
    match width {
        1 => block.data.u8_at(offset).load(Relaxed).into(),
        2 => block.data.u16_at(offset).load(Relaxed).into(),
        4 => block.data.u32_at(offset).load(Relaxed).into(),
        _ => block.data.u64_at(offset).load(Relaxed),
    }
}

fn store(block: &Block, offset: usize, width: u32, value: u64) {
    match width {
        1 => block.data.u8_at(offset).store(value as u8, Relaxed),
        2 => block.data.u16_at(offset).store(value as u16, Relaxed),
        4 => block.data.u32_at(offset).store(value as u32, Relaxed),
        _ => block.data.u64_at(offset).store(value, Relaxed),
    }
}

impl Worker<'_> {
    /// Index of the allocation that holds the range; the last one of the instruction is tried first.
    #[inline(always)]
    pub fn locate(&mut self, id: u32, address: u64, bytes: u64) -> Option<usize> {
        let table = &self.launch.table;
        let last = self.cache[id as usize] as usize;
        if table.get(last).is_some_and(|b| b.holds(address, bytes)) {
            return Some(last);
        }
        let index = table.partition_point(|b| b.base <= address).checked_sub(1)?;
        if !table[index].holds(address, bytes) {
            return None;
        }
        self.cache[id as usize] = index as u32;
        Some(index)
    }

    /// Index of the allocation that holds the ranges of all these lanes, and the lowest address; None where no
    /// one allocation does.
    #[inline(always)]
    pub fn locate_all(&mut self, id: u32, a: &D, exec: u32, bytes: u64) -> Option<(usize, u64)> {
        let first = a[exec.trailing_zeros() as usize];
        let (mut low, mut high) = (first, first);
        for l in 0..32 {
            let at = if exec >> l & 1 != 0 { a[l] } else { first };
            low = if at < low { at } else { low };
            high = if at > high { at } else { high };
        }
        let index = self.locate(id, low, high.checked_sub(low)?.checked_add(bytes)?)?;
        Some((index, low))
    }

    /// Whether every active lane's address is a multiple of a power of two.
    #[inline(always)]
    fn aligned(a: &D, exec: u32, bytes: u64) -> bool {
        let mut low = 0;
        for l in 0..32 {
            low |= if exec >> l & 1 != 0 { a[l] } else { 0 };
        }
        low & (bytes - 1) == 0
    }

    #[cold]
    pub fn bad_address(
        &self,
        warp: &Warp,
        pc: usize,
        lane: usize,
        address: u64,
        bytes: u64,
    ) -> Fatal {
        let error = self.launch.memory.explain(address, bytes);
        let kind = match error {
            MemError::UseAfterFree { .. } => FindingKind::UseAfterFree,
            _ => FindingKind::OutOfBounds,
        };
        self.fatal(warp, pc, lane, kind, error.to_string())
    }

    #[inline(always)]
    pub fn load_global<const CHECK: bool, const COUNT: bool>(
        &mut self,
        warp: &mut Warp,
        pc: usize,
        m: &Access,
        exec: u32,
    ) -> Result<(), Fatal> {
        let a = warp.addresses(m.address, m.address_file, m.offset);
        self.global_read::<CHECK, COUNT>(warp, pc, m, &a, exec)
    }

    #[inline(always)]
    pub fn global_read<const CHECK: bool, const COUNT: bool>(
        &mut self,
        warp: &mut Warp,
        pc: usize,
        m: &Access,
        a: &D,
        exec: u32,
    ) -> Result<(), Fatal> {
        let launch = self.launch;
        let n = m.regs.len();
        let bytes = u64::from(m.width) * n as u64;
        if exec == FULL
            && m.width == 4
            && m.file == File::W
            && a[0].is_multiple_of(bytes)
            && consecutive(a, bytes)
            && let Some(index) = self.locate(m.id, a[0], 32 * bytes)
        {
            let block = &launch.table[index];
            let offset = (a[0] - block.base) as usize;
            let clean = !CHECK || self.clean(block, index, offset, 32 * bytes as usize, false);
            if clean {
                let words = block.data.u32s(offset, 32 * n);
                for (v, register) in m.regs.iter().enumerate() {
                    let lanes = &mut warp.w[usize::from(*register)];
                    for l in 0..32 {
                        lanes[l] = words[l * n + v].load(Relaxed);
                    }
                }
                if COUNT {
                    let sectors = (a[0] % 32 + 32 * bytes).div_ceil(32);
                    self.stats[pc].cost += sectors;
                    self.stats[pc].ideal += bytes;
                    self.touched.mark(index, block.data.len(), offset, 32 * bytes as usize, false);
                }
                return Ok(());
            }
        }
        if m.width == 4
            && m.file == File::W
            && launch.global_shadow.is_none()
            && Self::aligned(a, exec, bytes)
            && let Some((index, low)) = self.locate_all(m.id, a, exec, bytes)
        {
            let block = &launch.table[index];
            let written = |l: usize| block.valid.all((a[l] - block.base) as usize, bytes as usize);
            if !CHECK || block.valid.is_full() || each(exec).all(written) {
                for (v, register) in m.regs.iter().enumerate() {
                    let lanes = &mut warp.w[usize::from(*register)];
                    for l in each(exec) {
                        lanes[l] =
                            block.data.u32_at((a[l] - block.base) as usize + 4 * v).load(Relaxed);
                    }
                }
                if COUNT {
                    self.count_sectors(warp, pc, m.id, a, exec, bytes);
                    self.mark_pattern(warp, m.id, index, low, false);
                }
                return Ok(());
            }
        }
        let mut values = [[0; 32]; 4];
        let mut before = usize::MAX;
        let mut invalid = None;
        for l in each(exec) {
            if before != usize::MAX && a[l] == a[before] {
                values.iter_mut().take(n).for_each(|v| v[l] = v[before]);
                continue;
            }
            before = l;
            if !a[l].is_multiple_of(bytes) {
                return Err(self.misaligned(warp, pc, l, a[l], bytes));
            }
            let Some(index) = self.locate(m.id, a[l], bytes) else {
                return Err(self.bad_address(warp, pc, l, a[l], bytes));
            };
            let block = &launch.table[index];
            let offset = (a[l] - block.base) as usize;
            if CHECK && !block.valid.all(offset, bytes as usize) {
                invalid.get_or_insert(l);
            }
            if CHECK && launch.global_shadow.is_some() {
                self.race(warp, pc, l, index, offset, bytes, false)?;
            }
            for (v, lanes) in values.iter_mut().enumerate().take(n) {
                let value = load(block, offset + v * m.width as usize, m.width);
                lanes[l] = extend(value, m.width, m.signed);
            }
            if COUNT {
                self.touched.mark(index, block.data.len(), offset, bytes as usize, false);
            }
        }
        for (register, lanes) in m.regs.iter().zip(&values) {
            warp.set(*register, m.file, lanes, exec);
        }
        if COUNT {
            self.count_sectors(warp, pc, m.id, a, exec, bytes);
        }
        if let (true, Some(lane)) = (CHECK && self.checks(Checks::UNINITIALIZED), invalid) {
            self.found(warp, pc, lane, FindingKind::UninitializedMemory, |_| {
                format!("{bytes} bytes at {:#x} of global memory were never written", a[lane])
            })?;
        }
        Ok(())
    }

    #[inline(always)]
    pub fn store_global<const CHECK: bool, const COUNT: bool>(
        &mut self,
        warp: &mut Warp,
        pc: usize,
        m: &Access,
        exec: u32,
    ) -> Result<(), Fatal> {
        let a = warp.addresses(m.address, m.address_file, m.offset);
        self.global_write::<CHECK, COUNT>(warp, pc, m, &a, exec)
    }

    #[inline(always)]
    pub fn global_write<const CHECK: bool, const COUNT: bool>(
        &mut self,
        warp: &mut Warp,
        pc: usize,
        m: &Access,
        a: &D,
        exec: u32,
    ) -> Result<(), Fatal> {
        let launch = self.launch;
        let n = m.regs.len();
        let bytes = u64::from(m.width) * n as u64;
        if exec == FULL
            && m.width == 4
            && m.file == File::W
            && a[0].is_multiple_of(bytes)
            && consecutive(a, bytes)
            && let Some(index) = self.locate(m.id, a[0], 32 * bytes)
        {
            let block = &launch.table[index];
            let offset = (a[0] - block.base) as usize;
            let clean = !block.read_only && launch.global_shadow.is_none();
            if clean {
                let words = block.data.u32s(offset, 32 * n);
                for (v, register) in m.regs.iter().enumerate() {
                    let lanes = &warp.w[usize::from(*register)];
                    for l in 0..32 {
                        words[l * n + v].store(lanes[l], Relaxed);
                    }
                }
                if !on(Mutant::ValidBits) {
                    block.valid.set(offset, 32 * bytes as usize);
                }
                if COUNT {
                    self.stats[pc].cost += (a[0] % 32 + 32 * bytes).div_ceil(32);
                    self.stats[pc].ideal += bytes;
                    self.touched.mark(index, block.data.len(), offset, 32 * bytes as usize, true);
                }
                return Ok(());
            }
        }
        if m.width == 4
            && m.file == File::W
            && launch.global_shadow.is_none()
            && Self::aligned(a, exec, bytes)
            && let Some((index, low)) = self.locate_all(m.id, a, exec, bytes)
            && !launch.table[index].read_only
        {
            let block = &launch.table[index];
            for l in each(exec) {
                let offset = (a[l] - block.base) as usize;
                for (v, register) in m.regs.iter().enumerate() {
                    let value = warp.w[usize::from(*register)][l];
                    block.data.u32_at(offset + 4 * v).store(value, Relaxed);
                }
                if !on(Mutant::ValidBits) {
                    block.valid.set(offset, bytes as usize);
                }
            }
            if COUNT {
                self.count_sectors(warp, pc, m.id, a, exec, bytes);
                self.mark_pattern(warp, m.id, index, low, true);
            }
            return Ok(());
        }
        for l in each(exec) {
            if !a[l].is_multiple_of(bytes) {
                return Err(self.misaligned(warp, pc, l, a[l], bytes));
            }
            let Some(index) = self.locate(m.id, a[l], bytes) else {
                return Err(self.bad_address(warp, pc, l, a[l], bytes));
            };
            let block = &launch.table[index];
            let offset = (a[l] - block.base) as usize;
            if block.read_only {
                let message = format!("a store to constant memory at {:#x}", a[l]);
                return Err(self.fatal(warp, pc, l, FindingKind::OutOfBounds, message));
            }
            if CHECK && launch.global_shadow.is_some() {
                self.race(warp, pc, l, index, offset, bytes, true)?;
            }
            for (v, register) in m.regs.iter().enumerate() {
                store(
                    block,
                    offset + v * m.width as usize,
                    m.width,
                    warp.get(*register, m.file, l),
                );
            }
            if !on(Mutant::ValidBits) {
                block.valid.set(offset, bytes as usize);
            }
            if COUNT {
                self.touched.mark(index, block.data.len(), offset, bytes as usize, true);
            }
        }
        if COUNT {
            self.count_sectors(warp, pc, m.id, a, exec, bytes);
        }
        Ok(())
    }

    /// Marks the bytes of an instruction's pattern, which was counted just now, as touched.
    #[inline(always)]
    pub fn mark_pattern(&mut self, warp: &Warp, id: u32, index: usize, low: u64, write: bool) {
        let block = &self.launch.table[index];
        let offset = (low - block.base) as usize;
        if let Some(memo) = &self.memos[self.memo_index(id, warp)] {
            self.touched.mark_lines(index, block.data.len(), offset, &memo.lines, write);
        }
    }

    /// Whether a range needs no report, so that the short way may be taken.
    #[inline(always)]
    fn clean(
        &self,
        block: &Block,
        _index: usize,
        offset: usize,
        bytes: usize,
        _write: bool,
    ) -> bool {
        self.launch.global_shadow.is_none() && block.valid.all(offset, bytes)
    }

    #[inline(never)]
    #[allow(clippy::too_many_arguments)]
    fn race(
        &mut self,
        warp: &Warp,
        pc: usize,
        lane: usize,
        index: usize,
        offset: usize,
        bytes: u64,
        write: bool,
    ) -> Result<(), Fatal> {
        let launch = self.launch;
        let Some(shadow) = &launch.global_shadow else { return Ok(()) };
        let (me, taken) = (self.linear, warp.taken);
        if write {
            self.unfenced |= 1 << warp.id;
            shadow.hand_on(me, 0);
        }
        for at in (offset & !3..offset + bytes as usize).step_by(4) {
            if let Some(other) = shadow.touch(&launch.table, index, at, me, taken, write) {
                let address = launch.table[index].base + at as u64;
                let who = match other {
                    u32::MAX => "several blocks".to_string(),
                    b => format!("block number {}", b - 1),
                };
                let verb = if write { "writes" } else { "reads" };
                return self.found(warp, pc, lane, FindingKind::GlobalRace, |_| {
                    format!("the block {verb} {address:#x}, which {who} touched in the same launch")
                });
            }
        }
        Ok(())
    }
}
