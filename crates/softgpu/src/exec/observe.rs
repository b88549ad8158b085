//! What an access to shared memory costs in banks, and what the shadow has to say of it.

use super::lanes::{W, each};
use super::state::{Fatal, Memo, Pattern, Warp, Worker};
use crate::check::lines::Lines;
use crate::check::shadow::{Conflict, Touch};
use crate::launch::Checks;
use crate::mutants::{Mutant, on};
use crate::report::FindingKind;

impl Worker<'_> {
    /// Where the memo of an instruction for this pattern of shared addresses stands; it is made if it has to be.
    #[inline(always)]
    pub fn shared_memo(&mut self, warp: &Warp, id: u32, a: &W, exec: u32, bytes: u32) -> usize {
        let id = self.memo_index(id, warp);
        let first = a[exec.trailing_zeros() as usize];
        if let Some(memo) = &self.memos[id] {
            let mut difference = 0;
            for l in 0..32 {
                let here = if exec >> l & 1 != 0 { u32::MAX } else { 0 };
                difference |= (a[l].wrapping_sub(first) ^ memo.key.deltas[l]) & here;
            }
            if difference == 0 && memo.key.mask == exec && memo.key.phase == first % 4 {
                return id;
            }
        }
        self.remember_shared(id, a, exec, bytes);
        id
    }

    #[cold]
    #[inline(never)]
    fn remember_shared(&mut self, id: usize, a: &W, exec: u32, bytes: u32) {
        let first = a[exec.trailing_zeros() as usize];
        let mut deltas = [0; 32];
        for l in 0..32 {
            deltas[l] = if exec >> l & 1 != 0 { a[l].wrapping_sub(first) } else { 0 };
        }
        let key = Pattern { bytes, shared: true, mask: exec, phase: first % 4, deltas };
        self.remember(id, key, |key| {
            let (cost, ideal) = wavefronts(a, exec, bytes);
            let unique = first_of_each(a, exec);
            let low = each(exec).map(|l| a[l]).min().unwrap_or(first);
            let words = |l: usize| {
                let start = u64::from(a[l] / 4 - low / 4);
                start..start + u64::from((a[l] % 4 + bytes).div_ceil(4))
            };
            let lines = Lines::of(each(unique).map(words)).into();
            Memo { key, cost, ideal, unique, low: low.wrapping_sub(first), lines }
        });
    }

    /// Counts wavefronts and asks the shadow, once for each distinct address.
    #[inline(always)]
    #[allow(clippy::too_many_arguments)]
    pub fn observe<const CHECK: bool, const COUNT: bool>(
        &mut self,
        warp: &Warp,
        pc: usize,
        id: u32,
        a: &W,
        exec: u32,
        bytes: u32,
        touch: Touch,
    ) -> Result<(), Fatal> {
        let id = self.shared_memo(warp, id, a, exec, bytes);
        let Some(memo) = &self.memos[id] else { return Ok(()) };
        if COUNT {
            self.stats[pc].cost += u64::from(memo.cost);
            self.stats[pc].ideal += u64::from(memo.ideal);
        }
        if !CHECK {
            return Ok(());
        }
        let first = a[exec.trailing_zeros() as usize].wrapping_add(memo.low) / 4;
        let (lines, unique) = (&*memo.lines, memo.unique);
        let fine = self.shadow.touch(lines, first as usize, bytes < 4, warp.id, pc as u32, touch);
        if !self.lane_writes.is_empty() {
            self.lanes_race(warp, pc, a, exec, bytes, touch)?;
        }
        if fine { Ok(()) } else { self.explain(warp, pc, a, unique, bytes, touch) }
    }

    /// Asks the shadow word by word what is wrong with an access.
    #[inline(never)]
    fn explain(
        &mut self,
        warp: &Warp,
        pc: usize,
        a: &W,
        lanes: u32,
        bytes: u32,
        touch: Touch,
    ) -> Result<(), Fatal> {
        let race_asked = self.checks(Checks::SHARED_RACE);
        let valid_asked = self.checks(Checks::UNINITIALIZED);
        for l in each(lanes) {
            let (mut at, end) = (a[l], a[l] + bytes);
            while at < end {
                let stop = ((at | 3) + 1).min(end);
                let marks = (((1u32 << (stop - at)) - 1) << (at % 4)) as u8;
                let [race, invalid] =
                    self.shadow.word((at / 4) as usize, marks, warp.id, pc as u32, touch);
                let race = race.filter(|_| race_asked);
                let invalid = invalid.filter(|_| valid_asked);
                if let Some(conflict) = race.or(invalid) {
                    let same = matches!(conflict, Conflict::Write(_, by) if by == pc as u32)
                        && self.writes_what_is_there(warp, pc, l, a[l], at..stop);
                    if !same {
                        self.conflict(warp, pc, l, at, conflict, touch)?;
                    }
                }
                at = stop;
            }
        }
        Ok(())
    }

    /// Lanes of one warp that read what another lane wrote, with no warp-wide synchronisation between.
    #[inline(never)]
    fn lanes_race(
        &mut self,
        warp: &Warp,
        pc: usize,
        a: &W,
        exec: u32,
        bytes: u32,
        touch: Touch,
    ) -> Result<(), Fatal> {
        for l in each(exec) {
            for word in a[l] / 4..(a[l] + bytes).div_ceil(4) {
                let (by, lane, syncs) = self.lane_writes[word as usize];
                let fresh = usize::from(by) == warp.id && syncs == warp.syncs;
                if touch == Touch::Read && fresh && usize::from(lane) != l {
                    self.found(warp, pc, l, FindingKind::SharedRace, |_| {
                        format!(
                            "lane {l} reads offset {:#x} of shared memory, which lane {lane} of the same warp \
                             wrote with no __syncwarp between",
                            word * 4
                        )
                    })?;
                }
                if touch == Touch::Write {
                    self.lane_writes[word as usize] = (warp.id as u8, l as u8, warp.syncs);
                }
            }
        }
        Ok(())
    }

    /// Whether a store changes nothing: warps that write one value by one instruction do no harm.
    #[cold]
    fn writes_what_is_there(
        &self,
        warp: &Warp,
        pc: usize,
        lane: usize,
        first: u32,
        range: std::ops::Range<u32>,
    ) -> bool {
        let crate::ir::Op::St(m) = &self.launch.program.code[pc].op else { return false };
        let width = m.width;
        range.into_iter().all(|at| {
            let register = m.regs[((at - first) / width) as usize];
            let byte = warp.get(register, m.file, lane) >> ((at - first) % width * 8) & 0xff;
            byte == self.shared_value(at, 1)
        })
    }

    #[cold]
    pub fn conflict(
        &mut self,
        warp: &Warp,
        pc: usize,
        lane: usize,
        at: u32,
        conflict: Conflict,
        touch: Touch,
    ) -> Result<(), Fatal> {
        let verb = match touch {
            Touch::Read => "reads",
            Touch::Write | Touch::Copy => "writes",
            Touch::Atomic => "updates",
        };
        let me = warp.id;
        let kind = match conflict {
            Conflict::Invalid => FindingKind::UninitializedMemory,
            Conflict::InFlight => FindingKind::AsyncCopy,
            _ => FindingKind::SharedRace,
        };
        self.found(warp, pc, lane, kind, |worker| match conflict {
            Conflict::Invalid => format!("offset {at:#x} of shared memory was never written"),
            Conflict::InFlight => {
                let mut warps = worker.warps.iter().chain([warp]);
                let copy = warps.find_map(|w| w.queue.copy_to(at).map(|by| (w.id, by)));
                let (other, by) = copy.unwrap_or((me, pc));
                format!(
                    "warp {me} {verb} offset {at:#x} of shared memory while the copy of warp {other} by {} is \
                     under way",
                    worker.line_of(by)
                )
            }
            Conflict::Write(other, by) => format!(
                "warp {me} {verb} offset {at:#x} of shared memory, which warp {other} wrote with no barrier \
                 between, by {}",
                worker.line_of(by as usize)
            ),
            Conflict::Read(other, by) => format!(
                "warp {me} {verb} offset {at:#x} of shared memory, which warp {other} read with no barrier \
                 between, by {}",
                worker.line_of(by as usize)
            ),
        })
    }
}

/// Wavefronts by the model of 32 banks of 4 bytes, and the fewest for the same lanes.
///
/// Accesses of 8 and 16 bytes go in half and quarter warps.
fn wavefronts(a: &W, exec: u32, bytes: u32) -> (u32, u32) {
    let words = bytes.div_ceil(4).max(1);
    let group = (32 / words) as usize;
    let (mut cost, mut ideal) = (0, 0);
    for start in (0..32).step_by(group) {
        let mask = exec & (((1u64 << group) - 1) as u32) << start;
        if mask == 0 {
            continue;
        }
        let mut touched: Vec<u32> = each(mask).flat_map(|l| a[l] / 4..a[l] / 4 + words).collect();
        touched.sort_unstable();
        touched.dedup();
        let mut banks = [0u32; 32];
        touched
            .iter()
            .for_each(|w| banks[(w % if on(Mutant::Banks) { 16 } else { 32 }) as usize] += 1);
        cost += banks.iter().max().copied().unwrap_or(1);
        ideal += 1;
    }
    (cost, ideal)
}

fn first_of_each(a: &W, exec: u32) -> u32 {
    let mut unique = 0u32;
    for l in each(exec) {
        if !each(unique).any(|k| a[k] == a[l]) {
            unique |= 1 << l;
        }
    }
    unique
}
