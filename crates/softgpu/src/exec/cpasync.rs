//! Asynchronous copies to shared memory: queued by instruction, carried out as late or as early as PTX allows.

use super::global::Global;
use super::lanes::{D, W, each};
use super::state::{Fatal, Warp, Worker};
use crate::check::lines::Lines;
use crate::check::shadow::Touch;
use crate::ir::CpAsync;
use crate::launch::CpAsync as When;
use crate::mutants::{Mutant, on};
use std::rc::Rc;
use std::sync::atomic::Ordering::Relaxed;

/// The copies that lanes of a warp began by one instruction and have not all waited for.
struct Copy {
    /// Lanes whose copy is not done.
    mask: u32,
    pc: usize,
    /// Groups that each lane had committed before.
    group: W,
    to: W,
    from: D,
    /// Bytes read; the others become zero.
    source: [u8; 32],
    /// The words of all lanes and the lowest; none where nothing is checked.
    words: Option<(Rc<Lines>, usize)>,
    /// Whether some lanes waited before the others.
    parted: bool,
}

/// Copies of one warp.
#[derive(Default)]
pub(super) struct Queue {
    copies: Vec<Copy>,
    /// Groups that each lane has committed.
    committed: W,
}

impl Queue {
    pub fn clear(&mut self) {
        self.copies.clear();
        self.committed = [0; 32];
    }

    pub fn commit(&mut self, exec: u32) {
        each(exec).for_each(|l| self.committed[l] += 1);
    }

    /// The instruction of a copy to this address that was not waited for.
    pub fn copy_to(&self, at: u32) -> Option<usize> {
        let hits = |c: &&Copy| each(c.mask).any(|l| at.wrapping_sub(c.to[l] & !3) < 16);
        self.copies.iter().rev().find(hits).map(|c| c.pc)
    }
}

impl Worker<'_> {
    #[inline(never)]
    pub fn cp_async<const CHECK: bool, const COUNT: bool>(
        &mut self,
        warp: &mut Warp,
        pc: usize,
        m: &CpAsync,
        exec: u32,
    ) -> Result<(), Fatal> {
        let to = warp.shared_addresses(m.to, m.to_file, m.to_offset);
        let from = warp.addresses(m.from, crate::ir::File::D, m.from_offset);
        let bytes = u64::from(m.bytes);
        self.check_shared(warp, pc, &to, exec, m.bytes)?;
        let (source, reading) = sources(warp, m, exec);
        let mut low = 0;
        for l in each(exec) {
            low |= from[l];
        }
        if low % bytes != 0 {
            let lane = each(exec).find(|l| !from[*l].is_multiple_of(bytes)).unwrap_or(0);
            return Err(self.misaligned(warp, pc, lane, from[lane], bytes));
        }
        let whole = each(reading).all(|l| u32::from(source[l]) == m.bytes);
        if !whole || !self.copies_are_fine::<CHECK, COUNT>(warp, m, &from, reading) {
            for l in each(reading) {
                self.look_at_source::<CHECK, COUNT>(warp, pc, m.id, l, from[l], source[l])?;
            }
        }
        if COUNT && reading != 0 {
            self.count_sectors(warp, pc, m.id, &from, reading, bytes);
        }
        let mut words = None;
        if CHECK {
            self.observe::<CHECK, false>(warp, pc, m.to_id(), &to, exec, m.bytes, Touch::Copy)?;
            let memo = self.shared_memo(warp, m.to_id(), &to, exec, m.bytes);
            let first = to[exec.trailing_zeros() as usize];
            words = self.memos[memo]
                .as_ref()
                .map(|memo| (Rc::clone(&memo.lines), (first.wrapping_add(memo.low) / 4) as usize));
        }
        let group = warp.queue.committed;
        let copy = Copy { mask: exec, pc, group, to, from, source, words, parted: false };
        if self.launch.options.cp_async != When::Latest {
            self.carry_out(warp, &copy, m, exec)?;
        }
        warp.queue.copies.push(copy);
        Ok(())
    }

    /// Whether whole copies of these lanes lie in one allocation and read written bytes; then they are counted.
    #[inline(always)]
    fn copies_are_fine<const CHECK: bool, const COUNT: bool>(
        &mut self,
        warp: &Warp,
        m: &CpAsync,
        from: &D,
        reading: u32,
    ) -> bool {
        if reading == 0 {
            return true;
        }
        let bytes = u64::from(m.bytes);
        let Some((index, low)) = self.locate_all(m.id, from, reading, bytes) else { return false };
        let block = &self.launch.table[index];
        if CHECK && !block.valid.is_full() {
            let fine =
                |l: usize| block.valid.all((from[l] - block.base) as usize, m.bytes as usize);
            if !each(reading).all(fine) {
                return false;
            }
        }
        if COUNT {
            self.global_memo(warp, m.id, from, reading, bytes);
            self.mark_pattern(warp, m.id, index, low, false);
        }
        true
    }

    /// Bounds, written bytes and marks of one lane's source.
    fn look_at_source<const CHECK: bool, const COUNT: bool>(
        &mut self,
        warp: &Warp,
        pc: usize,
        id: u32,
        lane: usize,
        from: u64,
        source: u8,
    ) -> Result<(), Fatal> {
        let (index, block, offset) = self.allocation(warp, pc, id, lane, from, source.into())?;
        if CHECK && !block.valid.all(offset, source.into()) {
            self.unwritten::<Global>(warp, pc, lane, from, source.into())?;
        }
        if COUNT {
            self.touched.mark(index, block.data.len(), offset, source.into(), false);
        }
        Ok(())
    }

    /// Completes all groups of the lanes but their last `pending`.
    #[inline(never)]
    pub fn cp_wait(&mut self, warp: &mut Warp, pending: u32, exec: u32) -> Result<(), Fatal> {
        let mut copies = std::mem::take(&mut warp.queue.copies);
        let late = self.launch.options.cp_async == When::Latest;
        let pending = pending + u32::from(on(Mutant::WaitOne));
        for copy in &mut copies {
            let mut done = 0;
            for l in 0..32 {
                let committed = warp.queue.committed[l].saturating_sub(pending);
                done |= u32::from(copy.group[l] < committed) << l;
            }
            let done = done & exec & copy.mask;
            if done == 0 {
                continue;
            }
            let crate::ir::Op::CpAsync(m) = &self.launch.program.code[copy.pc].op else { continue };
            if late {
                self.carry_out(warp, copy, m, done)?;
            }
            copy.parted |= done != copy.mask;
            copy.mask &= !done;
            let Some((lines, first)) = &copy.words else { continue };
            let pc = copy.pc as u32;
            if !copy.parted {
                self.shadow.end_copy(lines, *first, warp.id, pc);
                continue;
            }
            let word = Lines::of(std::iter::once(0..u64::from(m.bytes / 4)));
            for l in each(done) {
                self.shadow.end_copy(&word, (copy.to[l] / 4) as usize, warp.id, pc);
            }
        }
        copies.retain(|c| c.mask != 0);
        warp.queue.copies = copies;
        Ok(())
    }

    /// Moves the bytes of these lanes.
    #[inline(never)]
    fn carry_out(
        &mut self,
        warp: &Warp,
        copy: &Copy,
        m: &CpAsync,
        lanes: u32,
    ) -> Result<(), Fatal> {
        let words = (m.bytes / 4) as usize;
        for l in each(lanes) {
            let (from, bytes) = (copy.from[l], usize::from(copy.source[l]));
            let first = (copy.to[l] / 4) as usize;
            if bytes == 0 {
                fill(&mut self.shared[first..first + words], 0);
                continue;
            }
            let (_, block, offset) = self.allocation(warp, copy.pc, m.id, l, from, bytes as u64)?;
            let target = &mut self.shared[first..first + words];
            for (to, word) in target.iter_mut().zip(block.data.u32s(offset, bytes / 4)) {
                *to = word.load(Relaxed);
            }
            if bytes % 4 != 0 {
                let byte = |i: usize| u32::from(block.data.u8_at(offset + i).load(Relaxed));
                let tail = (bytes / 4 * 4..bytes).enumerate();
                target[bytes / 4] = tail.fold(0, |value, (i, at)| value | byte(at) << (8 * i));
            }
            fill(target, bytes.div_ceil(4));
        }
        Ok(())
    }
}

/// Zeros from a word on.
fn fill(target: &mut [u32], from: usize) {
    if !on(Mutant::CopyZeros) {
        target[from..].fill(0);
    }
}

/// Bytes that each lane reads, and the lanes of `exec` that read any.
#[inline(always)]
fn sources(warp: &Warp, m: &CpAsync, exec: u32) -> ([u8; 32], u32) {
    let most = if on(Mutant::CopyHalf) && m.bytes == 16 { 8 } else { m.bytes };
    let mut source = [most as u8; 32];
    if let Some(register) = m.source_bytes {
        let given = &warp.w[usize::from(register)];
        for l in 0..32 {
            source[l] = given[l].min(most) as u8;
        }
    }
    if let Some(predicate) = m.ignore {
        each(warp.p[usize::from(predicate)]).for_each(|l| source[l] = 0);
    }
    let mut lanes = 0;
    for l in 0..32 {
        lanes |= u32::from(source[l] != 0) << l;
    }
    (source, exec & lanes)
}
