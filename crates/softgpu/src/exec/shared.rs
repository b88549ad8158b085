//! Shared memory: bounds, loads and stores.

use super::lanes::{D, FULL, W, each, put};
use super::memory::{extend, inserted};
use super::space::{AddressSpace, Request};
use super::state::{Fatal, Warp, Worker};
use crate::check::shadow::Touch;
use crate::ir::{File, LdMatrix, R};
use crate::mutants::{Mutant, on};

/// Words of a block's shared memory: more than any launch may ask for, and a power of two, so that an
/// index taken modulo it needs no check of its own.
pub(super) const WORDS: usize = 1 << 16;
const QUADS: usize = WORDS / 4;

/// The words of a block's shared memory.
pub(super) type SharedWords = Box<[u32; WORDS]>;

/// Zeroed; pages are committed when touched.
pub(super) fn shared() -> SharedWords {
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

/// Shared memory: words of a block, in 32 banks.
pub(super) enum Shared {}

impl<'a> AddressSpace<'a> for Shared {
    type Address = u32;
    type Place = u32;
    const NAME: &'static str = "shared";

    #[inline(always)]
    fn check<const CHECK: bool, const COUNT: bool>(
        worker: &mut Worker<'a>,
        warp: &Warp,
        r: Request<u32>,
        touch: Touch,
    ) -> Result<(), Fatal> {
        worker.check_shared(warp, r.pc, r.addresses, r.exec, r.bytes())?;
        if CHECK || COUNT {
            let (id, bytes) = (r.access.id, r.bytes());
            worker.observe::<CHECK, COUNT>(warp, r.pc, id, r.addresses, r.exec, bytes, touch)?;
        }
        Ok(())
    }

    #[inline(always)]
    fn load_at_once<const CHECK: bool, const COUNT: bool>(
        worker: &mut Worker<'a>,
        warp: &mut Warp,
        r: Request<u32>,
    ) -> bool {
        if r.exec != FULL || !r.is_words() {
            return false;
        }
        let (words, a) = (&*worker.shared, r.addresses);
        match r.access.regs.as_slice() {
            [r] if neighbours(a, 4) => {
                let first = (a[0] / 4) as usize;
                warp.w[usize::from(*r)].copy_from_slice(&words[first..first + 32]);
            }
            [p, q, r, s] => {
                let out = match worker.simd {
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
        true
    }

    #[inline(always)]
    fn store_at_once<const COUNT: bool>(
        worker: &mut Worker<'a>,
        warp: &Warp,
        r: Request<u32>,
    ) -> bool {
        if !r.is_words() {
            return false;
        }
        let a = r.addresses;
        for (v, register) in r.access.regs.iter().enumerate() {
            let lanes = &warp.w[usize::from(*register)];
            let move_lane = |l: usize| {
                worker.shared[((a[l] / 4) as usize + v) % WORDS] = lanes[l];
            };
            if r.exec == FULL {
                (0..32).for_each(move_lane);
            } else {
                each(r.exec).for_each(move_lane);
            }
        }
        true
    }

    #[inline(always)]
    fn place<const CHECK: bool, const COUNT: bool>(
        _: &mut Worker<'a>,
        _: &Warp,
        r: Request<u32>,
        lane: usize,
        _: Touch,
    ) -> Result<u32, Fatal> {
        Ok(r.addresses[lane])
    }

    #[inline(always)]
    fn read(worker: &Worker<'a>, _: &Warp, place: u32, offset: u32, width: u32) -> u64 {
        worker.shared_value(place + offset, width)
    }

    #[inline(always)]
    fn write(
        worker: &mut Worker<'a>,
        _: &mut Warp,
        place: u32,
        offset: u32,
        width: u32,
        value: u64,
    ) {
        worker.set_shared(place + offset, width, value);
    }
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
        each(exec)
            .try_for_each(|l| self.inside::<Shared>(warp, pc, l, a[l].into(), bytes, size.into()))
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
            _ => self.shared[word] = inserted(self.shared[word], at % 4, width, value),
        }
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
