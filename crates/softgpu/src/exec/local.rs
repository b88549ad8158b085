//! Local memory: a word of all lanes lies together, so that the usual access is one copy.

use super::lanes::{D, each};
use super::memory::extend;
use super::state::{Fatal, Warp, Worker};
use crate::ir::Access;
use crate::launch::Checks;
use crate::mutants::{Mutant, on};
use crate::report::FindingKind;

impl Worker<'_> {
    fn check_local(
        &self,
        warp: &Warp,
        pc: usize,
        lane: usize,
        a: u64,
        bytes: u64,
    ) -> Result<(), Fatal> {
        let size = warp.local.len() as u64 * 4;
        if !a.is_multiple_of(bytes) {
            return Err(self.misaligned(warp, pc, lane, a, bytes));
        }
        if a > size || bytes > size - a {
            return Err(self.outside(warp, pc, lane, "local", a, bytes, size));
        }
        Ok(())
    }

    pub fn load_local<const CHECK: bool>(
        &mut self,
        warp: &mut Warp,
        pc: usize,
        m: &Access,
        a: &D,
        exec: u32,
    ) -> Result<(), Fatal> {
        let n = u64::from(m.width);
        let mut values = [[0; 32]; 4];
        let mut invalid = None;
        for l in each(exec) {
            self.check_local(warp, pc, l, a[l], n * m.regs.len() as u64)?;
            for (v, lanes) in values.iter_mut().enumerate().take(m.regs.len()) {
                let at = a[l] + n * v as u64;
                let (value, valid) = warp.local_value(at, m.width, l);
                if CHECK && !valid {
                    invalid.get_or_insert((l, at));
                }
                lanes[l] = extend(value, m.width, m.signed);
            }
        }
        for (register, lanes) in m.regs.iter().zip(&values) {
            warp.set(*register, m.file, lanes, exec);
        }
        if let (Some((lane, at)), true) = (invalid, self.checks(Checks::UNINITIALIZED)) {
            self.found(warp, pc, lane, FindingKind::UninitializedMemory, |_| {
                format!("{n} bytes at offset {at:#x} of local memory were never written")
            })?;
        }
        Ok(())
    }

    pub fn store_local(
        &mut self,
        warp: &mut Warp,
        pc: usize,
        m: &Access,
        a: &D,
        exec: u32,
    ) -> Result<(), Fatal> {
        let n = u64::from(m.width);
        for l in each(exec) {
            self.check_local(warp, pc, l, a[l], n * m.regs.len() as u64)?;
            for (v, register) in m.regs.iter().enumerate() {
                let value = warp.get(*register, m.file, l);
                warp.set_local(a[l] + n * v as u64, m.width, l, value);
            }
        }
        Ok(())
    }
}

impl Warp {
    /// A value of local memory, and whether all its bytes were written; the range is inside.
    pub fn local_value(&self, at: u64, width: u32, lane: usize) -> (u64, bool) {
        let word = (at / 4) as usize;
        let shift = at % 4 * 8;
        let lane = if on(Mutant::LocalShared) { 0 } else { lane };
        let low = u64::from(self.local[word][lane]);
        if width == 8 {
            let high = u64::from(self.local[word + 1][lane]);
            let valid = self.local_valid[word][lane] & self.local_valid[word + 1][lane] == 15;
            return (low | high << 32, valid);
        }
        let bytes = ((1u8 << width) - 1) << (at % 4);
        (extend(low >> shift, width, false), self.local_valid[word][lane] & bytes == bytes)
    }

    pub fn set_local(&mut self, at: u64, width: u32, lane: usize, value: u64) {
        let word = (at / 4) as usize;
        match width {
            8 => {
                self.local[word][lane] = value as u32;
                self.local[word + 1][lane] = (value >> 32) as u32;
                self.local_valid[word][lane] = 15;
                self.local_valid[word + 1][lane] = 15;
            }
            4 => {
                self.local[word][lane] = value as u32;
                self.local_valid[word][lane] = 15;
            }
            _ => {
                let shift = at % 4 * 8;
                let mask = ((1u64 << (width * 8)) - 1) << shift;
                let old = u64::from(self.local[word][lane]);
                self.local[word][lane] = (old & !mask | value << shift & mask) as u32;
                self.local_valid[word][lane] |= ((1u8 << width) - 1) << (at % 4);
            }
        }
    }
}
