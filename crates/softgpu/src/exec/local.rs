//! Local memory: a word of all lanes lies together.

use super::memory::{extend, inserted};
use super::space::{AddressSpace, Request};
use super::state::{Fatal, Warp, Worker};
use crate::check::shadow::Touch;
use crate::mutants::{Mutant, on};

/// Local memory: bytes of a lane alone.
pub(super) enum Local {}

impl<'a> AddressSpace<'a> for Local {
    type Address = u64;
    /// Offset and lane.
    type Place = (u64, usize);
    const NAME: &'static str = "local";
    const COMMON: bool = false;

    #[inline(always)]
    fn place<const CHECK: bool, const COUNT: bool>(
        worker: &mut Worker<'a>,
        warp: &Warp,
        r: Request<u64>,
        lane: usize,
        _: Touch,
    ) -> Result<(u64, usize), Fatal> {
        let (at, size) = (r.addresses[lane], warp.local.len() as u64 * 4);
        worker.inside::<Local>(warp, r.pc, lane, at, r.bytes(), size)?;
        Ok((at, lane))
    }

    #[inline(always)]
    fn read(_: &Worker<'a>, warp: &Warp, place: (u64, usize), offset: u32, width: u32) -> u64 {
        warp.local_value(place.0 + u64::from(offset), width, place.1)
    }

    #[inline(always)]
    fn write(
        _: &mut Worker<'a>,
        warp: &mut Warp,
        place: (u64, usize),
        offset: u32,
        width: u32,
        value: u64,
    ) {
        warp.set_local(place.0 + u64::from(offset), width, place.1, value);
    }

    #[inline(always)]
    fn unwritten(
        warp: &Warp,
        r: Request<u64>,
        (first, lane): (u64, usize),
        _: usize,
    ) -> Option<(u64, u32)> {
        let width = r.access.width;
        let mut elements = (0..r.access.regs.len() as u64).map(|v| first + u64::from(width) * v);
        let at = elements.find(|at| !warp.local_is_written(*at, width, lane))?;
        Some((at, width))
    }
}

impl Warp {
    /// A value of local memory, zero-extended; the range is inside.
    pub fn local_value(&self, at: u64, width: u32, lane: usize) -> u64 {
        let word = (at / 4) as usize;
        let lane = if on(Mutant::LocalShared) { 0 } else { lane };
        let low = u64::from(self.local[word][lane]);
        match width {
            8 => low | u64::from(self.local[word + 1][lane]) << 32,
            _ => extend(low >> (at % 4 * 8), width, false),
        }
    }

    /// Whether all bytes of a value of local memory were written; the range is inside.
    fn local_is_written(&self, at: u64, width: u32, lane: usize) -> bool {
        let word = (at / 4) as usize;
        let lane = if on(Mutant::LocalShared) { 0 } else { lane };
        if width == 8 {
            return self.local_valid[word][lane] & self.local_valid[word + 1][lane] == 15;
        }
        let bytes = ((1u8 << width) - 1) << (at % 4);
        self.local_valid[word][lane] & bytes == bytes
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
                let word_of_lane = &mut self.local[word][lane];
                *word_of_lane = inserted(*word_of_lane, at as u32 % 4, width, value);
                self.local_valid[word][lane] |= ((1u8 << width) - 1) << (at % 4);
            }
        }
    }
}
