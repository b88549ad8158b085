//! Shared memory: bounds, banks, races.

use super::lanes::{D, FULL, each};
use super::memory::extend;
use super::state::{Fatal, Warp, Worker};
use crate::check::shadow::{Ask, Conflict};
use crate::ir::{Access, File, LdMatrix};
use crate::launch::Checks;
use crate::mutants::{Mutant, on};
use crate::report::FindingKind;

/// What an access does to the shadow.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Touch {
    Read,
    Write,
    Atomic,
}

impl Worker<'_> {
    pub fn ask(&self) -> Ask {
        Ask { race: self.checks(Checks::SHARED_RACE), valid: self.checks(Checks::UNINITIALIZED) }
    }

    /// Every lane's range must lie inside and be aligned.
    #[inline(always)]
    pub fn check_shared(
        &self,
        warp: &Warp,
        pc: usize,
        a: &D,
        exec: u32,
        bytes: u64,
    ) -> Result<(), Fatal> {
        let size = u64::from(self.launch.shared_bytes);
        if exec == FULL {
            let (mut most, mut low) = (0, 0);
            for l in 0..32 {
                most = if a[l] > most { a[l] } else { most };
                low |= a[l];
            }
            if low % bytes == 0 && bytes <= size && most <= size - bytes {
                return Ok(());
            }
        }
        self.check_shared_lanes(warp, pc, a, exec, bytes)
    }

    #[inline(never)]
    fn check_shared_lanes(
        &self,
        warp: &Warp,
        pc: usize,
        a: &D,
        exec: u32,
        bytes: u64,
    ) -> Result<(), Fatal> {
        let size = u64::from(self.launch.shared_bytes);
        for l in each(exec) {
            if !a[l].is_multiple_of(bytes) {
                return Err(self.misaligned(warp, pc, l, a[l], bytes));
            }
            if bytes > size || a[l] > size - bytes {
                return Err(self.outside(warp, pc, l, "shared", a[l], bytes, size));
            }
        }
        Ok(())
    }

    #[inline(always)]
    pub fn load_shared<const CHECK: bool, const COUNT: bool>(
        &mut self,
        warp: &mut Warp,
        pc: usize,
        m: &Access,
        exec: u32,
    ) -> Result<(), Fatal> {
        let a = warp.addresses(m.address, m.address_file, m.offset);
        self.shared_read::<CHECK, COUNT>(warp, pc, m, &a, exec)
    }

    #[inline(always)]
    pub fn shared_read<const CHECK: bool, const COUNT: bool>(
        &mut self,
        warp: &mut Warp,
        pc: usize,
        m: &Access,
        a: &D,
        exec: u32,
    ) -> Result<(), Fatal> {
        let n = m.regs.len();
        let bytes = u64::from(m.width) * n as u64;
        self.check_shared(warp, pc, a, exec, bytes)?;
        if CHECK || COUNT {
            self.observe::<CHECK, COUNT>(warp, pc, m.id, a, exec, bytes, Touch::Read)?;
        }
        if exec == FULL && m.width == 4 && m.file == File::W {
            let words = self.shared.as_slice();
            match m.regs.as_slice() {
                [r] => {
                    let lanes = &mut warp.w[usize::from(*r)];
                    for l in 0..32 {
                        lanes[l] = words[(a[l] / 4) as usize];
                    }
                }
                [p, q, r, s] => {
                    // Rows first, whole 16 bytes at a time; the transposition is vector code.
                    let mut rows = [[0u32; 4]; 32];
                    for l in 0..32 {
                        let at = (a[l] / 4) as usize;
                        rows[l].copy_from_slice(&words[at..at + 4]);
                    }
                    for (v, register) in [p, q, r, s].into_iter().enumerate() {
                        let lanes = &mut warp.w[usize::from(*register)];
                        let v = if on(Mutant::VectorOrder) { [0, 2, 1, 3][v] } else { v };
                        for l in 0..32 {
                            lanes[l] = rows[l][v];
                        }
                    }
                }
                regs => {
                    for (v, register) in regs.iter().enumerate() {
                        let lanes = &mut warp.w[usize::from(*register)];
                        for l in 0..32 {
                            lanes[l] = words[(a[l] / 4) as usize + v];
                        }
                    }
                }
            }
            return Ok(());
        }
        self.shared_read_lanes(warp, m, a, exec);
        Ok(())
    }

    #[inline(never)]
    fn shared_read_lanes(&self, warp: &mut Warp, m: &Access, a: &D, exec: u32) {
        let mut values = [[0; 32]; 4];
        for l in each(exec) {
            for (v, lanes) in values.iter_mut().enumerate().take(m.regs.len()) {
                let value = self.shared_value(a[l] + u64::from(m.width) * v as u64, m.width);
                lanes[l] = extend(value, m.width, m.signed);
            }
        }
        for (register, lanes) in m.regs.iter().zip(&values) {
            warp.set(*register, m.file, lanes, exec);
        }
    }

    /// A value of shared memory; the range is inside and aligned.
    pub fn shared_value(&self, at: u64, width: u32) -> u64 {
        let word = (at / 4) as usize;
        let low = u64::from(self.shared[word]);
        match width {
            8 => low | u64::from(self.shared[word + 1]) << 32,
            _ => extend(low >> (at % 4 * 8), width, false),
        }
    }

    pub fn set_shared(&mut self, at: u64, width: u32, value: u64) {
        let word = (at / 4) as usize;
        match width {
            8 => {
                self.shared[word] = value as u32;
                self.shared[word + 1] = (value >> 32) as u32;
            }
            4 => self.shared[word] = value as u32,
            _ => {
                let shift = at % 4 * 8;
                let mask = ((1u64 << (width * 8)) - 1) << shift;
                let old = u64::from(self.shared[word]);
                self.shared[word] = (old & !mask | value << shift & mask) as u32;
            }
        }
    }

    #[inline(always)]
    pub fn store_shared<const CHECK: bool, const COUNT: bool>(
        &mut self,
        warp: &mut Warp,
        pc: usize,
        m: &Access,
        exec: u32,
    ) -> Result<(), Fatal> {
        let a = warp.addresses(m.address, m.address_file, m.offset);
        self.shared_write::<CHECK, COUNT>(warp, pc, m, &a, exec)
    }

    #[inline(always)]
    pub fn shared_write<const CHECK: bool, const COUNT: bool>(
        &mut self,
        warp: &mut Warp,
        pc: usize,
        m: &Access,
        a: &D,
        exec: u32,
    ) -> Result<(), Fatal> {
        let bytes = u64::from(m.width) * m.regs.len() as u64;
        self.check_shared(warp, pc, a, exec, bytes)?;
        if CHECK || COUNT {
            self.observe::<CHECK, COUNT>(warp, pc, m.id, a, exec, bytes, Touch::Write)?;
        }
        for (v, register) in m.regs.iter().enumerate() {
            if m.width == 4 && m.file == File::W {
                let lanes = &warp.w[usize::from(*register)];
                for l in each(exec) {
                    self.shared[(a[l] / 4) as usize + v] = lanes[l];
                }
                continue;
            }
            for l in each(exec) {
                let value = warp.get(*register, m.file, l);
                self.set_shared(a[l] + u64::from(m.width) * v as u64, m.width, value);
            }
        }
        Ok(())
    }

    /// Counts wavefronts and asks the shadow, once for each distinct address.
    #[inline(never)]
    #[allow(clippy::too_many_arguments)]
    pub fn observe<const CHECK: bool, const COUNT: bool>(
        &mut self,
        warp: &Warp,
        pc: usize,
        id: u32,
        a: &D,
        exec: u32,
        bytes: u64,
        touch: Touch,
    ) -> Result<(), Fatal> {
        let id = self.memo_index(id, warp);
        let (cost, ideal, unique) = match self.memo(id, a, exec, 4) {
            Some(memo) => (memo.cost, memo.ideal, memo.unique),
            None => {
                let (cost, ideal) = wavefronts(a, exec, bytes);
                let unique = first_of_each(a, exec);
                self.remember(id, a, exec, 4, cost, ideal, unique);
                (cost, ideal, unique)
            }
        };
        if COUNT {
            self.stats[pc].cost += u64::from(cost);
            self.stats[pc].ideal += u64::from(ideal);
        }
        if !CHECK {
            return Ok(());
        }
        if !self.lane_writes.is_empty() {
            self.lanes_race(warp, pc, a, exec, bytes, touch)?;
        }
        let ask = self.ask();
        let info = pc as u32;
        for l in each(unique) {
            let mut at = a[l];
            let end = a[l] + bytes;
            while at < end {
                let word = (at / 4) as usize;
                let stop = ((at | 3) + 1).min(end);
                let marks = ((1u32 << (stop - at)) - 1) as u8;
                let marks = marks << (at % 4);
                let conflict = match touch {
                    Touch::Read => self.shadow.read(word, marks, warp.id, info, ask),
                    Touch::Write => self.shadow.write(word, marks, warp.id, info, ask, false),
                    Touch::Atomic => {
                        let quiet = Ask { race: false, ..ask };
                        let invalid = self.shadow.read(word, marks, warp.id, info, quiet);
                        self.shadow.write(word, marks, warp.id, info, ask, true).or(invalid)
                    }
                };
                if let Some(conflict) = conflict {
                    let same = matches!(conflict, Conflict::Write(_, by) if by == info)
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
        a: &D,
        exec: u32,
        bytes: u64,
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
        first: u64,
        range: std::ops::Range<u64>,
    ) -> bool {
        let crate::ir::Op::St(m) = &self.launch.program.code[pc].op else { return false };
        let width = u64::from(m.width);
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
        at: u64,
        conflict: Conflict,
        touch: Touch,
    ) -> Result<(), Fatal> {
        let verb = match touch {
            Touch::Read => "reads",
            Touch::Write => "writes",
            Touch::Atomic => "updates",
        };
        let me = warp.id;
        let kind = match conflict {
            Conflict::Invalid => FindingKind::UninitializedMemory,
            Conflict::InFlight(..) => FindingKind::AsyncCopy,
            _ => FindingKind::SharedRace,
        };
        self.found(warp, pc, lane, kind, |worker| match conflict {
            Conflict::Invalid => format!("offset {at:#x} of shared memory was never written"),
            Conflict::InFlight(other, by) => format!(
                "warp {me} {verb} offset {at:#x} of shared memory while the copy of warp {other} by {} is \
                 under way",
                worker.line_of(by as usize)
            ),
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

    /// Matrices of 8 rows of 16 bytes: lanes 8i to 8i+7 hold the row addresses of matrix i.
    #[inline(never)]
    pub fn ldmatrix<const CHECK: bool, const COUNT: bool>(
        &mut self,
        warp: &mut Warp,
        pc: usize,
        m: &LdMatrix,
        exec: u32,
    ) -> Result<(), Fatal> {
        self.whole_warp(warp, pc, exec)?;
        let a = warp.addresses(m.address, m.address_file, m.offset);
        let count = m.regs.len();
        let rows = if count == 4 { FULL } else { (1u32 << (8 * count)) - 1 };
        self.check_shared_lanes(warp, pc, &a, rows, 16)?;
        if CHECK || COUNT {
            self.observe::<CHECK, COUNT>(warp, pc, m.id, &a, rows, 16, Touch::Read)?;
        }
        let mut out = [[0u32; 32]; 4];
        for (i, lanes) in out.iter_mut().enumerate().take(count) {
            for (l, lane) in lanes.iter_mut().enumerate() {
                let (row, pair) = (l / 4, (l % 4) as u64);
                let i = if on(Mutant::LdmatrixOrder) && count == 4 { [0, 2, 1, 3][i] } else { i };
                *lane = if m.transposed && !on(Mutant::LdmatrixTrans) {
                    // Elements (2 pair, row) and (2 pair + 1, row).
                    let at = |r: u64| a[8 * i + r as usize] + 2 * row as u64;
                    let low = self.shared_value(at(2 * pair), 2);
                    (low | self.shared_value(at(2 * pair + 1), 2) << 16) as u32
                } else {
                    self.shared[(a[8 * i + row] / 4 + pair) as usize]
                };
            }
        }
        for (register, lanes) in m.regs.iter().zip(&out) {
            super::lanes::put(&mut warp.w[usize::from(*register)], lanes, exec);
        }
        Ok(())
    }
}

/// Wavefronts by the model of 32 banks of 4 bytes, and the fewest for the same lanes.
///
/// Accesses of 8 and 16 bytes go in half and quarter warps.
fn wavefronts(a: &D, exec: u32, bytes: u64) -> (u32, u32) {
    let words = bytes.div_ceil(4).max(1);
    let group = (32 / words) as usize;
    let (mut cost, mut ideal) = (0, 0);
    for start in (0..32).step_by(group) {
        let mask = exec & (((1u64 << group) - 1) as u32) << start;
        if mask == 0 {
            continue;
        }
        let mut touched: Vec<u64> = each(mask).flat_map(|l| a[l] / 4..a[l] / 4 + words).collect();
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

fn first_of_each(a: &D, exec: u32) -> u32 {
    let mut unique = 0u32;
    for l in each(exec) {
        if !each(unique).any(|k| a[k] == a[l]) {
            unique |= 1 << l;
        }
    }
    unique
}
