//! Lanes that part and meet, the instruction budget, and undefined registers.

use super::state::{Entry, Fatal, Warp, Worker};
use crate::ir::Track;
use crate::launch::Checks;
use crate::report::FindingKind;

impl Worker<'_> {
    /// Takes the instructions of a basic block from the block's budget.
    #[inline(always)]
    pub fn spend(&mut self, warp: &Warp, pc: usize, cost: u32) -> Result<(), Fatal> {
        match self.budget.checked_sub(u64::from(cost)) {
            Some(rest) => {
                self.budget = rest;
                Ok(())
            }
            None => Err(self.hang(warp, pc)),
        }
    }

    #[cold]
    fn hang(&self, warp: &Warp, pc: usize) -> Fatal {
        let message =
            format!("no end after {} warp instructions of a block", self.launch.options.budget);
        let lane = warp.mask.trailing_zeros().min(31) as usize;
        self.fatal(warp, pc, lane, FindingKind::Hang, message)
    }

    /// Follows undefined values.
    pub fn track(
        &mut self,
        warp: &mut Warp,
        pc: usize,
        track: &Track,
        exec: u32,
    ) -> Result<(), Fatal> {
        let defined = track.reads.iter().fold(exec, |m, r| m & warp.tracked[usize::from(*r)]);
        let missing = exec & !defined;
        if track.consumes && missing != 0 && self.checks(Checks::UNINITIALIZED) {
            let lane = missing.trailing_zeros() as usize;
            self.found(warp, pc, lane, FindingKind::UninitializedRegister, |_| {
                "a register that was never written decides this instruction's effect".into()
            })?;
        }
        for d in &track.defines {
            let value = if track.fresh { exec } else { defined };
            let bits = &mut warp.tracked[usize::from(*d)];
            *bits = *bits & !exec | value;
        }
        Ok(())
    }
}

/// Splits the lanes at a branch; returns where to go on.
#[inline(never)]
pub(super) fn diverge(warp: &mut Warp, next: usize, target: usize, taken: u32, meet: u32) -> usize {
    let mask = warp.mask;
    let rest = mask & !taken;
    if meet != warp.reconverge && meet != u32::MAX {
        warp.stack.push(Entry { pc: meet, mask, reconverge: warp.reconverge });
    }
    // Lanes that are already where all meet just wait there.
    if target == meet as usize {
        warp.mask = rest;
        warp.reconverge = meet;
        return next;
    }
    if next != meet as usize {
        warp.stack.push(Entry { pc: next as u32, mask: rest, reconverge: meet });
    }
    warp.mask = taken;
    warp.reconverge = meet;
    target
}

/// The next lanes that wait, if any are alive.
#[inline(never)]
pub(super) fn resume(warp: &mut Warp) -> Option<usize> {
    while let Some(entry) = warp.stack.pop() {
        let mask = entry.mask & warp.live;
        if mask != 0 {
            warp.mask = mask;
            warp.reconverge = entry.reconverge;
            return Some(entry.pc as usize);
        }
    }
    None
}
