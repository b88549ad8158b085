//! Shared memory: bounds, banks, races.

use super::lanes::{D, FULL, W, each, put};
use super::memory::extend;
use super::state::{Fatal, Memo, Pattern, Warp, Worker};
use crate::check::lines::Lines;
use crate::check::shadow::{Conflict, Touch};
use crate::ir::{Access, File, LdMatrix, R};
use crate::launch::Checks;
use crate::mutants::{Mutant, on};
use crate::report::FindingKind;

/// Words of a block's shared memory: more than any launch may ask for, and a power of two, so that an
/// index taken modulo it needs no check of its own.
pub(super) const WORDS: usize = 1 << 16;
const QUADS: usize = WORDS / 4;

/// The shared memory of a block.
pub(super) type Shared = Box<[u32; WORDS]>;

/// Zeroed; pages are committed when touched.
pub(super) fn shared() -> Shared {
    let words = vec![0; WORDS].into_boxed_slice();
    words.try_into().expect("the length is the type's")
}

/// Whether lane l is `step` bytes behind lane l - 1.
#[inline(always)]
fn neighbours(a: &W, step: u32) -> bool {
    let mut difference = 0;
    for l in 0..32 {
        difference |= a[l].wrapping_sub(a[0]) ^ (step * l as u32);
    }
    difference == 0
}

impl Warp {
    /// Addresses in shared memory of all lanes, offset added. What a 64-bit register holds beyond the 32 bits of
    /// the space becomes an address that no block has.
    #[inline(always)]
    pub fn shared_addresses(&self, register: R, file: File, offset: i64) -> W {
        let mut out = [0; 32];
        if file == File::W {
            let a = &self.w[usize::from(register)];
            for l in 0..32 {
                // 32-bit addresses wrap within 32 bits, as the hardware's do.
                out[l] = a[l].wrapping_add(offset as u32);
            }
            return out;
        }
        narrow(&self.addresses(register, file, offset))
    }
}

/// Addresses inside the space as 32 bits.
#[inline(always)]
pub(super) fn narrow(a: &D) -> W {
    let mut out = [0; 32];
    for l in 0..32 {
        out[l] = if a[l] >> 32 == 0 { a[l] as u32 } else { !15 };
    }
    out
}

impl Worker<'_> {
    /// Every lane's range must lie inside and be aligned.
    #[inline(always)]
    pub fn check_shared(
        &self,
        warp: &Warp,
        pc: usize,
        a: &W,
        exec: u32,
        bytes: u32,
    ) -> Result<(), Fatal> {
        let size = self.launch.shared_bytes;
        if exec == FULL {
            let (mut most, mut low) = (0, 0);
            for l in 0..32 {
                most = if a[l] > most { a[l] } else { most };
                low |= a[l];
            }
            // Widths are powers of two.
            if low & (bytes - 1) == 0 && bytes <= size && most <= size - bytes {
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
        a: &W,
        exec: u32,
        bytes: u32,
    ) -> Result<(), Fatal> {
        let size = self.launch.shared_bytes;
        for l in each(exec) {
            let (at, n) = (u64::from(a[l]), u64::from(bytes));
            if !a[l].is_multiple_of(bytes) {
                return Err(self.misaligned(warp, pc, l, at, n));
            }
            if bytes > size || a[l] > size - bytes {
                return Err(self.outside(warp, pc, l, "shared", at, n, size.into()));
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
        let a = warp.shared_addresses(m.address, m.address_file, m.offset);
        self.shared_read::<CHECK, COUNT>(warp, pc, m, &a, exec)
    }

    #[inline(always)]
    pub fn shared_read<const CHECK: bool, const COUNT: bool>(
        &mut self,
        warp: &mut Warp,
        pc: usize,
        m: &Access,
        a: &W,
        exec: u32,
    ) -> Result<(), Fatal> {
        let bytes = m.width * m.regs.len() as u32;
        self.check_shared(warp, pc, a, exec, bytes)?;
        if CHECK || COUNT {
            self.observe::<CHECK, COUNT>(warp, pc, m.id, a, exec, bytes, Touch::Read)?;
        }
        if exec == FULL && m.width == 4 && m.file == File::W {
            let words = &*self.shared;
            match m.regs.as_slice() {
                [r] if neighbours(a, 4) => {
                    let first = (a[0] / 4) as usize;
                    warp.w[usize::from(*r)].copy_from_slice(&words[first..first + 32]);
                }
                [r] => {
                    let lanes = &mut warp.w[usize::from(*r)];
                    for l in 0..32 {
                        lanes[l] = words[(a[l] / 4) as usize % WORDS];
                    }
                }
                [p, q, r, s] => {
                    let out = match self.simd {
                        Some(simd) => simd.load_quads(words, a),
                        None => std::array::from_fn(|v| {
                            std::array::from_fn(|l| words[((a[l] / 4) as usize + v) % WORDS])
                        }),
                    };
                    for (v, register) in [p, q, r, s].into_iter().enumerate() {
                        let v = if on(Mutant::VectorOrder) { [0, 2, 1, 3][v] } else { v };
                        warp.w[usize::from(*register)] = out[v];
                    }
                }
                regs => {
                    for (v, register) in regs.iter().enumerate() {
                        let lanes = &mut warp.w[usize::from(*register)];
                        for l in 0..32 {
                            lanes[l] = words[((a[l] / 4) as usize + v) % WORDS];
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
    fn shared_read_lanes(&self, warp: &mut Warp, m: &Access, a: &W, exec: u32) {
        let mut values = [[0; 32]; 4];
        for l in each(exec) {
            for (v, lanes) in values.iter_mut().enumerate().take(m.regs.len()) {
                let value = self.shared_value(a[l] + m.width * v as u32, m.width);
                lanes[l] = extend(value, m.width, m.signed);
            }
        }
        for (register, lanes) in m.regs.iter().zip(&values) {
            warp.set(*register, m.file, lanes, exec);
        }
    }

    /// A value of shared memory; the range is inside and aligned.
    #[inline(always)]
    pub fn shared_value(&self, at: u32, width: u32) -> u64 {
        let word = (at / 4) as usize % WORDS;
        let low = u64::from(self.shared[word]);
        match width {
            8 => low | u64::from(self.shared[(word + 1) % WORDS]) << 32,
            _ => extend(low >> (at % 4 * 8), width, false),
        }
    }

    pub fn set_shared(&mut self, at: u32, width: u32, value: u64) {
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
        let a = warp.shared_addresses(m.address, m.address_file, m.offset);
        self.shared_write::<CHECK, COUNT>(warp, pc, m, &a, exec)
    }

    #[inline(always)]
    pub fn shared_write<const CHECK: bool, const COUNT: bool>(
        &mut self,
        warp: &mut Warp,
        pc: usize,
        m: &Access,
        a: &W,
        exec: u32,
    ) -> Result<(), Fatal> {
        let bytes = m.width * m.regs.len() as u32;
        self.check_shared(warp, pc, a, exec, bytes)?;
        if CHECK || COUNT {
            self.observe::<CHECK, COUNT>(warp, pc, m.id, a, exec, bytes, Touch::Write)?;
        }
        for (v, register) in m.regs.iter().enumerate() {
            if m.width == 4 && m.file == File::W {
                let lanes = &warp.w[usize::from(*register)];
                if exec == FULL {
                    for l in 0..32 {
                        self.shared[((a[l] / 4) as usize + v) % WORDS] = lanes[l];
                    }
                    continue;
                }
                for l in each(exec) {
                    self.shared[((a[l] / 4) as usize + v) % WORDS] = lanes[l];
                }
                continue;
            }
            for l in each(exec) {
                let value = warp.get(*register, m.file, l);
                self.set_shared(a[l] + m.width * v as u32, m.width, value);
            }
        }
        Ok(())
    }

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

    /// Matrices of 8 rows of 16 bytes: lanes 8i to 8i+7 hold the row addresses of matrix i.
    #[inline(always)]
    pub fn ldmatrix<const CHECK: bool, const COUNT: bool>(
        &mut self,
        warp: &mut Warp,
        pc: usize,
        m: &LdMatrix,
        exec: u32,
    ) -> Result<(), Fatal> {
        self.whole_warp(warp, pc, exec)?;
        let a = warp.shared_addresses(m.address, m.address_file, m.offset);
        let count = m.regs.len();
        let rows = if count == 4 { FULL } else { (1u32 << (8 * count)) - 1 };
        self.check_shared(warp, pc, &a, rows, 16)?;
        if CHECK || COUNT {
            self.observe::<CHECK, COUNT>(warp, pc, m.id, &a, rows, 16, Touch::Read)?;
        }
        let quads = self.shared.as_chunks::<4>().0;
        let mut out = [[0u32; 32]; 4];
        for (i, lanes) in out.iter_mut().enumerate().take(count) {
            let i = if on(Mutant::LdmatrixOrder) && count == 4 { [0, 2, 1, 3][i] } else { i };
            let mut matrix = [[0; 4]; 8];
            for (row, words) in matrix.iter_mut().enumerate() {
                *words = quads[(a[8 * i + row] / 16) as usize % QUADS];
            }
            if m.transposed && !on(Mutant::LdmatrixTrans) {
                // Lane 4 r + p holds elements (2p, r) and (2p + 1, r).
                for row in 0..8 {
                    for pair in 0..4 {
                        let element = |r: usize| matrix[r][row / 2] >> (row % 2 * 16) & 0xffff;
                        lanes[4 * row + pair] = element(2 * pair) | element(2 * pair + 1) << 16;
                    }
                }
            } else {
                lanes.copy_from_slice(matrix.as_flattened());
            }
        }
        for (register, lanes) in m.regs.iter().zip(&out) {
            put(&mut warp.w[usize::from(*register)], lanes, exec);
        }
        Ok(())
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
