//! Asynchronous copies to shared memory: queued by lane, carried out as late or as early as PTX allows.

use super::lanes::each;
use super::shared::Touch;
use super::state::{Fatal, Warp, Worker};
use crate::check::shadow::Ask;
use crate::ir::CpAsync;
use crate::launch::{Checks, CpAsync as When};
use crate::mutants::{Mutant, on};
use crate::report::FindingKind;
use std::sync::atomic::Ordering::Relaxed;

/// A copy that has not been waited for.
#[derive(Clone, Copy)]
struct Copy {
    lane: u8,
    bytes: u8,
    /// Bytes read; the others become zero.
    source: u8,
    group: u32,
    to: u32,
    from: u64,
    pc: u32,
}

/// Copies of one warp.
#[derive(Default)]
pub(super) struct Queue {
    copies: Vec<Copy>,
    /// Groups that each lane has committed.
    committed: [u32; 32],
}

impl Queue {
    pub fn clear(&mut self) {
        self.copies.clear();
        self.committed = [0; 32];
    }

    pub fn commit(&mut self, exec: u32) {
        each(exec).for_each(|l| self.committed[l] += 1);
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
        let to = warp.addresses(m.to, m.to_file, m.to_offset);
        let from = warp.addresses(m.from, crate::ir::File::D, m.from_offset);
        let bytes = u64::from(m.bytes);
        self.check_shared(warp, pc, &to, exec, bytes)?;
        let late = self.launch.options.cp_async == When::Latest;
        let ask = self.ask();
        let mut reading = 0u32;
        for l in each(exec) {
            let mut source =
                m.source_bytes.map_or(m.bytes, |r| warp.w[usize::from(r)][l].min(m.bytes));
            if m.ignore.is_some_and(|p| warp.p[usize::from(p)] >> l & 1 != 0) {
                source = 0;
            }
            if on(Mutant::CopyHalf) && m.bytes == 16 {
                source = source.min(8);
            }
            if !from[l].is_multiple_of(bytes) {
                return Err(self.misaligned(warp, pc, l, from[l], bytes));
            }
            if source > 0 {
                reading |= 1 << l;
                let Some(index) = self.locate(m.id, from[l], u64::from(source)) else {
                    return Err(self.bad_address(warp, pc, l, from[l], u64::from(source)));
                };
                let block = &self.launch.table[index];
                let offset = (from[l] - block.base) as usize;
                if CHECK
                    && self.checks(Checks::UNINITIALIZED)
                    && !block.valid.all(offset, source as usize)
                {
                    self.found(warp, pc, l, FindingKind::UninitializedMemory, |_| {
                        format!(
                            "{source} bytes at {:#x} of global memory were never written",
                            from[l]
                        )
                    })?;
                }
                if COUNT {
                    self.touched.mark(index, block.data.len(), offset, source as usize, false);
                }
            }
            if CHECK {
                for word in to[l] / 4..(to[l] + bytes) / 4 {
                    if let Some(conflict) =
                        self.shadow.start_copy(word as usize, warp.id, pc as u32, ask)
                    {
                        self.conflict(warp, pc, l, word * 4, conflict, Touch::Write)?;
                    }
                }
            }
            let copy = Copy {
                lane: l as u8,
                bytes: m.bytes as u8,
                source: source as u8,
                group: warp.queue.committed[l],
                to: to[l] as u32,
                from: from[l],
                pc: pc as u32,
            };
            if !late {
                self.carry_out(warp, m.id, copy)?;
            }
            warp.queue.copies.push(copy);
        }
        if COUNT && reading != 0 {
            let id = self.memo_index(m.id, warp);
            self.count_sectors(pc, id, &from, reading, bytes);
        }
        Ok(())
    }

    /// Completes all groups of the lanes but their last `pending`.
    #[inline(never)]
    pub fn cp_wait(
        &mut self,
        warp: &mut Warp,
        pc: usize,
        pending: u32,
        exec: u32,
    ) -> Result<(), Fatal> {
        let _ = pc;
        let mut copies = std::mem::take(&mut warp.queue.copies);
        let late = self.launch.options.cp_async == When::Latest;
        let ask = Ask { race: false, valid: false };
        let mut kept = 0;
        for i in 0..copies.len() {
            let copy = copies[i];
            let lane = usize::from(copy.lane);
            let done =
                warp.queue.committed[lane].saturating_sub(pending + u32::from(on(Mutant::WaitOne)));
            if exec >> lane & 1 == 0 || copy.group >= done {
                copies[kept] = copy;
                kept += 1;
                continue;
            }
            if late {
                let id = self.copy_id(copy.pc);
                self.carry_out(warp, id, copy)?;
            }
            if self.launch.options.checks != Checks::NONE {
                for word in copy.to / 4..(copy.to + u32::from(copy.bytes)) / 4 {
                    self.shadow.end_copy(word as usize, warp.id, copy.pc, ask);
                }
            }
        }
        copies.truncate(kept);
        warp.queue.copies = copies;
        Ok(())
    }

    fn copy_id(&self, pc: u32) -> u32 {
        match &self.launch.program.code[pc as usize].op {
            crate::ir::Op::CpAsync(m) => m.id,
            _ => 0,
        }
    }

    fn carry_out(&mut self, warp: &Warp, id: u32, copy: Copy) -> Result<(), Fatal> {
        let mut data = [0u8; 16];
        let source = usize::from(copy.source);
        if copy.source == copy.bytes
            && let Some(index) = self.locate(id, copy.from, source as u64)
        {
            // The usual case: whole words, nothing to fill.
            let block = &self.launch.table[index];
            let words = block.data.u32s((copy.from - block.base) as usize, source / 4);
            let first = copy.to as usize / 4;
            for (to, word) in self.shared[first..first + words.len()].iter_mut().zip(words) {
                *to = word.load(Relaxed);
            }
            return Ok(());
        }
        if source > 0 {
            let Some(index) = self.locate(id, copy.from, source as u64) else {
                let (pc, lane) = (copy.pc as usize, usize::from(copy.lane));
                return Err(self.bad_address(warp, pc, lane, copy.from, source as u64));
            };
            let block = &self.launch.table[index];
            let offset = (copy.from - block.base) as usize;
            if source % 4 == 0 {
                let words = block.data.u32s(offset, source / 4);
                for (bytes, word) in data.chunks_exact_mut(4).zip(words) {
                    bytes.copy_from_slice(&word.load(Relaxed).to_le_bytes());
                }
            } else {
                for (i, byte) in data.iter_mut().enumerate().take(source) {
                    *byte = block.data.u8_at(offset + i).load(Relaxed);
                }
            }
        }
        for (i, word) in data.chunks_exact(4).enumerate().take(usize::from(copy.bytes) / 4) {
            if on(Mutant::CopyZeros) && 4 * i >= source {
                break;
            }
            let value = u32::from_le_bytes(word.try_into().expect("chunks of four"));
            self.shared[copy.to as usize / 4 + i] = value;
        }
        Ok(())
    }
}
