//! How many blocks of a kernel fit on a multiprocessor.
//!
//! The arithmetic of NVIDIA's occupancy calculator: warps, blocks, registers in units of 256 a
//! warp, shared memory in units of 128 bytes with the system's reserve. Registers are softgpu's
//! estimate, so the answer is one too.

use crate::device::{MAX_THREADS, Preset, REGISTERS};
use crate::driver::Driver;
use crate::error::{CuError, Result};
use crate::handle::Id;
use crate::module::Function;

/// What a block needs.
#[derive(Clone, Copy, Debug)]
pub struct Need {
    /// Threads a block.
    pub threads: u32,
    /// Registers a thread.
    pub registers: u32,
    /// Static and dynamic shared memory a block, bytes.
    pub shared: u64,
}

/// Registers are given to a warp in this unit.
const REGISTER_UNIT: u32 = 256;
/// Shared memory is given to a block in this unit, bytes.
const SHARED_UNIT: u64 = 128;

/// Blocks of this need that a multiprocessor of `card` holds at once.
pub fn resident_blocks(card: &Preset, need: Need) -> u32 {
    let warps = need.threads.div_ceil(32);
    if warps == 0 || need.threads > MAX_THREADS {
        return 0;
    }
    let by_warps = card.threads_per_sm / 32 / warps;
    let by_registers = match (need.registers * 32).next_multiple_of(REGISTER_UNIT) {
        0 => u32::MAX,
        a_warp => REGISTERS / a_warp / warps,
    };
    let shared = (need.shared + u64::from(card.shared_reserved)).next_multiple_of(SHARED_UNIT);
    let by_shared = match shared {
        0 => u32::MAX,
        shared => (u64::from(card.shared_per_sm) / shared) as u32,
    };
    by_warps.min(by_registers).min(by_shared).min(card.blocks_per_sm)
}

impl Driver {
    fn need(
        &self,
        id: Id<Function>,
        threads: u32,
        dynamic: u64,
    ) -> Result<(&'static Preset, Need)> {
        let (function, loaded) = self.function(id)?;
        let info = &function.info;
        let registers = info.registers.clamp(16, 255);
        let shared = u64::from(info.static_shared_bytes) + dynamic;
        Ok((self.preset(loaded.context)?, Need { threads, registers, shared }))
    }

    /// Blocks of `threads` threads and `dynamic` bytes of dynamic shared memory that a
    /// multiprocessor holds at once.
    ///
    /// # Errors
    /// `INVALID_VALUE` for no threads.
    pub fn resident_blocks(&self, id: Id<Function>, threads: u32, dynamic: u64) -> Result<u32> {
        if threads == 0 {
            return Err(CuError::INVALID_VALUE);
        }
        let (card, need) = self.need(id, threads, dynamic)?;
        Ok(resident_blocks(card, need))
    }

    /// Dynamic shared memory left for each of `blocks` resident blocks of `threads` threads.
    ///
    /// # Errors
    /// `INVALID_VALUE` when so many do not fit even without.
    pub fn available_shared(&self, id: Id<Function>, blocks: u32, threads: u32) -> Result<u64> {
        if blocks == 0 || threads == 0 {
            return Err(CuError::INVALID_VALUE);
        }
        let (card, need) = self.need(id, threads, 0)?;
        if resident_blocks(card, need) < blocks {
            return Err(CuError::INVALID_VALUE);
        }
        let each = u64::from(card.shared_per_sm / blocks) / SHARED_UNIT * SHARED_UNIT;
        let room = each.saturating_sub(u64::from(card.shared_reserved)).saturating_sub(need.shared);
        Ok(room.min(u64::from(card.shared_optin).saturating_sub(need.shared)))
    }

    /// The grid and block size with the most resident threads, among block sizes that are multiples
    /// of 32 up to `limit` (0 for none), each with the dynamic shared memory that `dynamic` gives
    /// for it.
    ///
    /// # Errors
    /// `INVALID_VALUE` when no size fits.
    pub fn best_block(
        &self,
        id: Id<Function>,
        limit: u32,
        dynamic: impl Fn(u32) -> u64,
    ) -> Result<(u32, u32)> {
        let (function, loaded) = self.function(id)?;
        let most = Self::max_threads(&function.info);
        let most = if limit == 0 { most } else { most.min(limit) };
        let mut best = (0, 0, 0);
        for threads in (1..=most.div_ceil(32)).rev().map(|warps| (32 * warps).min(most)) {
            let blocks = self.resident_blocks(id, threads, dynamic(threads))?;
            if blocks * threads > best.0 {
                best = (blocks * threads, blocks, threads);
            }
        }
        if best.0 == 0 {
            return Err(CuError::INVALID_VALUE);
        }
        Ok((best.1 * self.preset(loaded.context)?.multiprocessors, best.2))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::preset;

    #[test]
    fn limits_bind_one_after_the_other() {
        // By hand from the card's table: 2048 threads, 65536 registers, 164 KiB with 1 KiB reserved
        // a block, 32 blocks.
        let a100 = preset("a100").expect("a preset");
        let blocks =
            |threads, registers, shared| resident_blocks(a100, Need { threads, registers, shared });
        assert_eq!(blocks(256, 32, 0), 8, "2048 / 256 threads");
        assert_eq!(blocks(32, 16, 0), 32, "32 blocks");
        assert_eq!(blocks(256, 128, 0), 2, "65536 / (128 * 256) registers");
        assert_eq!(blocks(128, 32, 48 << 10), 3, "164 / 49 KiB");
        assert_eq!(blocks(1024, 80, 0), 0, "1024 * 80 registers do not fit");
        assert_eq!(blocks(2000, 16, 0), 0, "no such block");
        let t4 = preset("t4").expect("a preset");
        assert_eq!(resident_blocks(t4, Need { threads: 1024, registers: 32, shared: 32 << 10 }), 1);
    }
}
