//! Occupancy.

use std::ffi::{c_int, c_uint};

use super::{api, here, put};
use crate::error::{CuError, Result};
use crate::handle::Id;

fn positive(value: c_int) -> Result<u32> {
    u32::try_from(value).ok().filter(|&v| v > 0).ok_or(CuError::INVALID_VALUE)
}

fn resident(
    blocks: *mut c_int,
    function: u64,
    threads: c_int,
    dynamic: usize,
    flags: c_uint,
) -> Result<()> {
    let (driver, _) = here()?;
    if flags > 1 {
        return Err(CuError::INVALID_VALUE);
    }
    let found =
        driver.resident_blocks(Id::from_raw(function), positive(threads)?, dynamic as u64)?;
    // SAFETY: `put` checks; the rest is the caller's contract.
    unsafe { put(blocks, found as c_int) }
}

api! {
    fn cuOccupancyMaxActiveBlocksPerMultiprocessor(
        blocks: *mut c_int,
        function: u64,
        threads: c_int,
        dynamic: usize,
    ) {
        resident(blocks, function, threads, dynamic, 0)
    }

    fn cuOccupancyMaxActiveBlocksPerMultiprocessorWithFlags(
        blocks: *mut c_int,
        function: u64,
        threads: c_int,
        dynamic: usize,
        flags: c_uint,
    ) {
        resident(blocks, function, threads, dynamic, flags)
    }

    fn cuOccupancyAvailableDynamicSMemPerBlock(
        bytes: *mut usize,
        function: u64,
        blocks: c_int,
        threads: c_int,
    ) {
        let (driver, _) = here()?;
        let (blocks, threads) = (positive(blocks)?, positive(threads)?);
        let room = driver.available_shared(Id::from_raw(function), blocks, threads)?;
        // SAFETY: `put` checks; the rest is the caller's contract.
        unsafe { put(bytes, room as usize) }
    }

    fn cuOccupancyMaxPotentialBlockSizeWithFlags(
        grid: *mut c_int,
        block: *mut c_int,
        function: u64,
        dynamic_of: Option<unsafe extern "C" fn(c_int) -> usize>,
        dynamic: usize,
        limit: c_int,
        flags: c_uint,
    ) {
        let (driver, _) = here()?;
        if flags > 1 {
            return Err(CuError::INVALID_VALUE);
        }
        let limit = u32::try_from(limit).map_err(|_| CuError::INVALID_VALUE)?;
        // The table of answers is made without the lock, because the function is the program's.
        let id = Id::from_raw(function);
        drop(driver);
        let needs: Vec<u64> = (0..=1024)
            .map(|threads| match dynamic_of {
                // SAFETY: the caller gave the function to be called with block sizes.
                Some(of) if threads > 0 => unsafe { of(threads) as u64 },
                _ => dynamic as u64,
            })
            .collect();
        let (driver, _) = here()?;
        let need = |threads: u32| needs.get(threads as usize).copied().unwrap_or(u64::MAX);
        let (blocks, threads) = driver.best_block(id, limit, need)?;
        // SAFETY: `put` checks; the rest is the caller's contract.
        unsafe {
            put(grid, blocks as c_int)?;
            put(block, threads as c_int)
        }
    }
}
