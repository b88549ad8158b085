//! Shared memory: bounds, loads and stores.

use super::lanes::{D, FULL, W, each, put};
use super::memory::extend;
use super::state::{Fatal, Warp, Worker};
use crate::check::shadow::Touch;
use crate::ir::{Access, File, LdMatrix, R};
use crate::mutants::{Mutant, on};

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
