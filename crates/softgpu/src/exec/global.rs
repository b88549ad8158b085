//! Global and constant memory: allocations found by address, whole-warp copies where lanes are neighbours.

use super::lanes::{D, FULL, each};
use super::space::{AddressSpace, Request};
use super::state::{Fatal, Warp, Worker};
use crate::check::shadow::Touch;
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

/// Global memory, and constant memory, which is an allocation that refuses stores.
pub(super) enum Global {}

impl<'a> AddressSpace<'a> for Global {
    type Address = u64;
    type Place = (&'a Block, usize);
    const NAME: &'static str = "global";
    const AT: &'static str = "at";

    #[inline(always)]
    fn load_at_once<const CHECK: bool, const COUNT: bool>(
        worker: &mut Worker<'a>,
        warp: &mut Warp,
        r: Request<u64>,
    ) -> bool {
        let (m, a, bytes) = (r.access, r.addresses, r.bytes() as usize);
        let watched = worker.launch.global_shadow.is_some();
        if let Some((index, block, offset)) = worker.run_of(r)
            && (!CHECK || !watched && block.valid.all(offset, 32 * bytes))
        {
            let n = m.regs.len();
            let words = block.data.u32s(offset, 32 * n);
            for (v, register) in m.regs.iter().enumerate() {
                let lanes = &mut warp.w[usize::from(*register)];
                for l in 0..32 {
                    lanes[l] = words[l * n + v].load(Relaxed);
                }
            }
            if COUNT {
                worker.count_run(r, index, offset, false);
            }
            return true;
        }
        if let Some((index, block, low)) = worker.words_of(r) {
            let offset = |l: usize| (a[l] - block.base) as usize;
            let written = |l: usize| block.valid.all(offset(l), bytes);
            if !CHECK || block.valid.is_full() || each(r.exec).all(written) {
                for (v, register) in m.regs.iter().enumerate() {
                    let lanes = &mut warp.w[usize::from(*register)];
                    for l in each(r.exec) {
                        lanes[l] = block.data.u32_at(offset(l) + 4 * v).load(Relaxed);
                    }
                }
                if COUNT {
                    worker.count_sectors(warp, r.pc, m.id, a, r.exec, bytes as u64);
                    worker.mark_pattern(warp, m.id, index, low, false);
                }
                return true;
            }
        }
        false
    }

    #[inline(always)]
    fn store_at_once<const COUNT: bool>(
        worker: &mut Worker<'a>,
        warp: &Warp,
        r: Request<u64>,
    ) -> bool {
        let (m, a, bytes) = (r.access, r.addresses, r.bytes() as usize);
        let watched = worker.launch.global_shadow.is_some();
        if let Some((index, block, offset)) = worker.run_of(r)
            && !block.read_only
            && !watched
        {
            let n = m.regs.len();
            let words = block.data.u32s(offset, 32 * n);
            for (v, register) in m.regs.iter().enumerate() {
                let lanes = &warp.w[usize::from(*register)];
                for l in 0..32 {
                    words[l * n + v].store(lanes[l], Relaxed);
                }
            }
            note_written(block, offset, 32 * bytes);
            if COUNT {
                worker.count_run(r, index, offset, true);
            }
            return true;
        }
        if let Some((index, block, low)) = worker.words_of(r)
            && !block.read_only
        {
            for l in each(r.exec) {
                let offset = (a[l] - block.base) as usize;
                for (v, register) in m.regs.iter().enumerate() {
                    let value = warp.w[usize::from(*register)][l];
                    block.data.u32_at(offset + 4 * v).store(value, Relaxed);
                }
                note_written(block, offset, bytes);
            }
            if COUNT {
                worker.count_sectors(warp, r.pc, m.id, a, r.exec, bytes as u64);
                worker.mark_pattern(warp, m.id, index, low, true);
            }
            return true;
        }
        false
    }

    #[inline(always)]
    fn place<const CHECK: bool, const COUNT: bool>(
        worker: &mut Worker<'a>,
        warp: &Warp,
        r: Request<u64>,
        lane: usize,
        touch: Touch,
    ) -> Result<(&'a Block, usize), Fatal> {
        let (at, bytes, write) = (r.addresses[lane], u64::from(r.bytes()), touch == Touch::Write);
        if !at.is_multiple_of(bytes) {
            return Err(worker.misaligned(warp, r.pc, lane, at, bytes));
        }
        let (index, block, offset) = worker.allocation(warp, r.pc, r.access.id, lane, at, bytes)?;
        if write && block.read_only {
            let message = format!("a store to constant memory at {at:#x}");
            return Err(worker.fatal(warp, r.pc, lane, FindingKind::OutOfBounds, message));
        }
        if CHECK && worker.launch.global_shadow.is_some() {
            worker.race(warp, r.pc, lane, index, offset, bytes, write)?;
        }
        if COUNT {
            worker.touched.mark(index, block.data.len(), offset, bytes as usize, write);
        }
        Ok((block, offset))
    }

    #[inline(always)]
    fn read(_: &Worker<'a>, _: &Warp, place: (&'a Block, usize), offset: u32, width: u32) -> u64 {
        let (data, at) = (&place.0.data, place.1 + offset as usize);
        match width {
            1 => data.u8_at(at).load(Relaxed).into(),
            2 => data.u16_at(at).load(Relaxed).into(),
            4 => data.u32_at(at).load(Relaxed).into(),
            _ => data.u64_at(at).load(Relaxed),
        }
    }

    #[inline(always)]
    fn write(
        _: &mut Worker<'a>,
        _: &mut Warp,
        place: (&'a Block, usize),
        offset: u32,
        width: u32,
        value: u64,
    ) {
        let (data, at) = (&place.0.data, place.1 + offset as usize);
        match width {
            1 => data.u8_at(at).store(value as u8, Relaxed),
            2 => data.u16_at(at).store(value as u16, Relaxed),
            4 => data.u32_at(at).store(value as u32, Relaxed),
            _ => data.u64_at(at).store(value, Relaxed),
        }
        note_written(place.0, at, width as usize);
    }

    #[inline(always)]
    fn unwritten(
        _: &Warp,
        r: Request<u64>,
        (block, offset): (&'a Block, usize),
        lane: usize,
    ) -> Option<(u64, u32)> {
        let bytes = r.bytes();
        (!block.valid.all(offset, bytes as usize)).then_some((r.addresses[lane], bytes))
    }

    #[inline(always)]
    fn count(worker: &mut Worker<'a>, warp: &Warp, r: Request<u64>) {
        worker.count_sectors(warp, r.pc, r.access.id, r.addresses, r.exec, r.bytes().into());
    }
}

/// A store has written these bytes.
#[inline(always)]
fn note_written(block: &Block, offset: usize, bytes: usize) {
    if !on(Mutant::ValidBits) {
        block.valid.set(offset, bytes);
    }
}

impl<'a> Worker<'a> {
    /// Index of the allocation that holds the range; the last one of the instruction is tried first.
    #[inline(always)]
    fn locate(&mut self, id: u32, address: u64, bytes: u64) -> Option<usize> {
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

    /// Allocation, as index and block, and offset of the words that a whole warp moves, lane behind lane;
    /// None where they do not lie so.
    #[inline(always)]
    fn run_of(&mut self, r: Request<u64>) -> Option<(usize, &'a Block, usize)> {
        let (first, bytes) = (r.addresses[0], u64::from(r.bytes()));
        let near = r.exec == FULL
            && r.is_words()
            && first.is_multiple_of(bytes)
            && consecutive(r.addresses, bytes);
        let index = if near { self.locate(r.access.id, first, 32 * bytes)? } else { return None };
        let block = self.block_at(index);
        Some((index, block, (first - block.base) as usize))
    }

    /// Counts an access that [`Self::run_of`] found.
    #[inline(always)]
    fn count_run(&mut self, r: Request<u64>, index: usize, offset: usize, write: bool) {
        let bytes = u64::from(r.bytes());
        let stat = &mut self.stats[r.pc];
        stat.cost += (r.addresses[0] % 32 + 32 * bytes).div_ceil(32);
        stat.ideal += bytes;
        let len = self.launch.table[index].data.len();
        self.touched.mark(index, len, offset, 32 * bytes as usize, write);
    }

    /// Allocation, as index and block, that all words lie in which these lanes move, and the lowest
    /// address; None where they do not, or where each is to be looked at for races.
    #[inline(always)]
    fn words_of(&mut self, r: Request<u64>) -> Option<(usize, &'a Block, u64)> {
        let (a, bytes) = (r.addresses, u64::from(r.bytes()));
        let plain =
            r.is_words() && self.launch.global_shadow.is_none() && Self::aligned(a, r.exec, bytes);
        let (index, low) =
            if plain { self.locate_all(r.access.id, a, r.exec, bytes)? } else { return None };
        Some((index, self.block_at(index), low))
    }

    #[inline(always)]
    fn block_at(&self, index: usize) -> &'a Block {
        &self.launch.table[index]
    }

    /// Allocation, as index and block, and offset of a lane's range.
    #[inline(always)]
    pub fn allocation(
        &mut self,
        warp: &Warp,
        pc: usize,
        id: u32,
        lane: usize,
        address: u64,
        bytes: u64,
    ) -> Result<(usize, &'a Block, usize), Fatal> {
        let Some(index) = self.locate(id, address, bytes) else {
            return Err(self.bad_address(warp, pc, lane, address, bytes));
        };
        let block = self.block_at(index);
        Ok((index, block, (address - block.base) as usize))
    }

    #[cold]
    fn bad_address(&self, warp: &Warp, pc: usize, lane: usize, address: u64, bytes: u64) -> Fatal {
        let error = self.launch.memory.explain(address, bytes);
        let kind = match error {
            MemError::UseAfterFree { .. } => FindingKind::UseAfterFree,
            _ => FindingKind::OutOfBounds,
        };
        self.fatal(warp, pc, lane, kind, error.to_string())
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
