//! Barriers of a block, and the masks of `.sync` instructions.

use super::lanes::{FULL, each};
use super::state::{Fatal, State, Warp, Worker};
use crate::ir::{Bar, BarRed};
use crate::launch::Checks;
use crate::report::FindingKind;

/// One of a block's sixteen barriers.
#[derive(Clone, Debug, Default)]
pub(super) struct Barrier {
    /// Warps that arrived, and those of them that wait.
    arrived: u32,
    waiting: u32,
    threads: u32,
    /// Threads expected, when the instruction said so.
    expected: Option<u32>,
    popc: u32,
    all: bool,
    any: bool,
    /// Instruction of the last arrival.
    pc: usize,
}

impl Worker<'_> {
    /// A warp reaches a barrier; returns whether it must wait.
    pub fn arrive(
        &mut self,
        warp: &mut Warp,
        pc: usize,
        bar: &Bar,
        exec: u32,
    ) -> Result<bool, Fatal> {
        warp.syncs += 1;
        let lane = exec.trailing_zeros() as usize;
        let id = warp.w[usize::from(bar.id)][lane] as usize;
        if id >= 16 {
            let message = format!("barrier {id}: a block has barriers 0 to 15");
            return Err(self.fatal(warp, pc, lane, FindingKind::BarrierMismatch, message));
        }
        let missing = warp.live & !exec;
        if missing != 0 && self.checks(Checks::SYNC) {
            self.found(warp, pc, lane, FindingKind::BarrierDivergence, |_| {
                format!(
                    "lanes {missing:#010x} of warp {} do not reach this barrier with the others",
                    warp.id
                )
            })?;
        }
        let expected = bar.count.map(|c| warp.w[usize::from(c)][lane]);
        if let Some(n) = expected.filter(|n| *n == 0 || n % 32 != 0 || *n > 1024) {
            let message =
                format!("barrier {id} waits for {n} threads, not a multiple of the warp size");
            return Err(self.fatal(warp, pc, lane, FindingKind::BarrierMismatch, message));
        }
        let barrier = &mut self.barriers[id];
        let bit = 1u32 << warp.id;
        if barrier.arrived & bit != 0 || barrier.arrived != 0 && barrier.expected != expected {
            let message = if barrier.arrived & bit != 0 {
                format!("warp {} arrives at barrier {id} twice before it completes", warp.id)
            } else {
                format!(
                    "barrier {id} is used with {expected:?} and {:?} threads at once",
                    barrier.expected
                )
            };
            return Err(self.fatal(warp, pc, lane, FindingKind::BarrierMismatch, message));
        }
        if barrier.arrived == 0 {
            *barrier = Barrier { expected, all: true, ..Barrier::default() };
        }
        barrier.arrived |= bit;
        barrier.threads += 32;
        barrier.pc = pc;
        if let Some(p) = bar.p {
            let value = warp.p[usize::from(p)] & exec;
            barrier.popc += value.count_ones();
            barrier.all &= value == exec;
            barrier.any |= value != 0;
        }
        if bar.waits {
            barrier.waiting |= bit;
            warp.state = State::Waiting(id);
        }
        Ok(bar.waits)
    }

    /// Completes every barrier whose warps have all come.
    pub fn release(&mut self) -> Result<(), Fatal> {
        for id in 0..16 {
            let barrier = &self.barriers[id];
            if barrier.arrived == 0 {
                continue;
            }
            let mut live = 0u32;
            for warp in self.warps.iter().filter(|w| w.state != State::Done) {
                live |= 1 << warp.id;
            }
            let complete = match barrier.expected {
                Some(n) => barrier.threads >= n,
                None => live & !barrier.arrived == 0,
            };
            if !complete {
                continue;
            }
            let barrier = std::mem::take(&mut self.barriers[id]);
            let exited = self.warps.iter().any(|w| w.live != w.exist);
            if barrier.expected.is_none() && exited && self.checks(Checks::SYNC) {
                let index = self.warps.iter().position(|w| w.live != w.exist).unwrap_or(0);
                let warp = std::mem::replace(&mut self.warps[index], Warp::empty());
                let gone = warp.exist & !warp.live;
                let result = self.found(
                    &warp,
                    barrier.pc,
                    gone.trailing_zeros() as usize,
                    FindingKind::BarrierDivergence,
                    |_| {
                        format!(
                            "lanes {gone:#010x} of warp {} exited and never reach this barrier",
                            warp.id
                        )
                    },
                );
                self.warps[index] = warp;
                result?;
            }
            self.shadow.join(barrier.arrived);
            for w in each(barrier.waiting) {
                let warp = &mut self.warps[w];
                warp.state = State::Ready;
                // The warp stands behind its barrier instruction.
                let inst = &self.launch.program.code[warp.pc - 1];
                if let crate::ir::Op::Bar(bar) = &inst.op
                    && let (Some(op), Some(d)) = (bar.red, bar.d)
                {
                    let mask = warp.mask;
                    let d = usize::from(d);
                    let truth = match op {
                        BarRed::Popc => {
                            each(mask).for_each(|l| warp.w[d][l] = barrier.popc);
                            continue;
                        }
                        BarRed::And => barrier.all,
                        BarRed::Or => barrier.any,
                    };
                    warp.p[d] = warp.p[d] & !mask | if truth { mask } else { 0 };
                }
            }
        }
        Ok(())
    }

    /// The lanes that a `.sync` instruction names must be those that execute it.
    #[inline(always)]
    pub fn sync_mask(
        &mut self,
        warp: &mut Warp,
        pc: usize,
        mask: u16,
        exec: u32,
    ) -> Result<(), Fatal> {
        warp.syncs += 1;
        let masks = &warp.w[usize::from(mask)];
        if exec == FULL && masks.iter().all(|m| *m == FULL) {
            return Ok(());
        }
        self.sync_mask_slow(warp, pc, mask, exec)
    }

    #[cold]
    fn sync_mask_slow(
        &mut self,
        warp: &Warp,
        pc: usize,
        mask: u16,
        exec: u32,
    ) -> Result<(), Fatal> {
        if !self.checks(Checks::SYNC) {
            return Ok(());
        }
        for lane in each(exec) {
            let named = warp.w[usize::from(mask)][lane];
            let absent = named & warp.exist & !exec;
            if absent != 0 || named >> lane & 1 == 0 {
                return self.found(warp, pc, lane, FindingKind::SyncMask, |_| match absent {
                    0 => format!("mask {named:#010x} does not name lane {lane} that executes it"),
                    _ => format!(
                        "mask {named:#010x} names lanes {absent:#010x} that do not execute it"
                    ),
                });
            }
        }
        Ok(())
    }

    /// Matrix instructions need the whole warp.
    pub fn whole_warp(&mut self, warp: &Warp, pc: usize, exec: u32) -> Result<(), Fatal> {
        if exec != FULL && self.checks(Checks::SYNC) {
            let lane = exec.trailing_zeros() as usize;
            return self.found(warp, pc, lane, FindingKind::SyncMask, |_| {
                format!("a warp-wide instruction is executed by lanes {exec:#010x} only")
            });
        }
        Ok(())
    }
}
