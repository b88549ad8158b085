//! Contexts, primary and others, and what is current.

use std::ffi::{c_int, c_uint, c_void};

use super::{CURRENT, api, at, gate, here, lock, put};
use crate::context::Context;
use crate::error::{CuError, Result};
use crate::handle::Id;

/// Waits for all of a context and ends it.
fn destroy(id: Id<Context>) -> Result<()> {
    let gate = gate()?;
    let driver = gate.lock();
    let targets = driver.in_flight(id);
    let mut driver = gate.wait(driver, &targets);
    driver.host_saw_context(id);
    driver.destroy_context(id);
    Ok(())
}

/// Writes the device of a context, or of the current one.
fn device_of(context: u64, device: *mut c_int) -> Result<()> {
    let (driver, context) = at(context)?;
    let ordinal = driver.context(context)?.device;
    // SAFETY: `put` checks; the rest is the caller's contract.
    unsafe { put(device, ordinal as c_int) }
}

/// Waits for all of a context, or of the current one.
fn synchronize(context: u64) -> Result<()> {
    let gate = gate()?;
    let (mut driver, context) = at(context)?;
    driver.refuse_capture_in(context)?;
    let targets = driver.in_flight(context);
    let mut driver = gate.wait(driver, &targets);
    driver.host_saw_context(context);
    driver.context(context).map(|_| ())
}

api! {
    fn cuDevicePrimaryCtxRetain(context: *mut u64, device: c_int) {
        let id = lock()?.retain_primary(device)?;
        // SAFETY: `put` checks; the rest is the caller's contract.
        unsafe { put(context, id.raw()) }
    }

    fn cuDevicePrimaryCtxRelease_v2(device: c_int) {
        let last = lock()?.release_primary(device)?;
        last.map_or(Ok(()), destroy)
    }

    fn cuDevicePrimaryCtxReset_v2(device: c_int) {
        let primary = lock()?.device(device)?.primary;
        primary.map_or(Ok(()), |(id, _)| destroy(id))
    }

    fn cuDevicePrimaryCtxGetState(device: c_int, flags: *mut c_uint, active: *mut c_int) {
        let driver = lock()?;
        let primary = driver.device(device)?.primary;
        let context = primary.and_then(|(id, _)| driver.contexts.get(id));
        // SAFETY: `put` checks; the rest is the caller's contract.
        unsafe {
            put(flags, context.map_or(0, |c| c.flags))?;
            put(active, c_int::from(context.is_some()))
        }
    }

    fn cuCtxCreate_v4(context: *mut u64, params: *const c_void, flags: c_uint, device: c_int) {
        let mut driver = lock()?;
        if !params.is_null() {
            let why = "cuCtxCreate_v4: affinity and graphics parameters are outside the subset";
            driver.report.complain(why.into());
            return Err(CuError::NOT_SUPPORTED);
        }
        if context.is_null() {
            return Err(CuError::INVALID_VALUE);
        }
        let id = driver.create_context(device, flags, false)?;
        CURRENT.with_borrow_mut(|stack| stack.push(id.raw()));
        // SAFETY: `put` checks; the rest is the caller's contract.
        unsafe { put(context, id.raw()) }
    }

    fn cuCtxDestroy_v2(context: u64) {
        let id = Id::from_raw(context);
        match lock()?.contexts.get(id) {
            None => return Err(CuError::INVALID_CONTEXT),
            Some(context) if context.primary => return Err(CuError::INVALID_CONTEXT),
            Some(_) => {}
        }
        destroy(id)?;
        CURRENT.with_borrow_mut(|stack| {
            if stack.last() == Some(&context) {
                stack.pop();
            }
        });
        Ok(())
    }

    fn cuCtxGetCurrent(context: *mut u64) {
        gate()?;
        let raw = CURRENT.with_borrow(|stack| stack.last().copied().unwrap_or(0));
        // SAFETY: `put` checks; the rest is the caller's contract.
        unsafe { put(context, raw) }
    }

    fn cuCtxSetCurrent(context: u64) {
        let driver = lock()?;
        if context != 0 && driver.contexts.get(Id::from_raw(context)).is_none() {
            return Err(CuError::INVALID_CONTEXT);
        }
        CURRENT.with_borrow_mut(|stack| {
            stack.pop();
            if context != 0 {
                stack.push(context);
            }
        });
        Ok(())
    }

    fn cuCtxPushCurrent_v2(context: u64) {
        if lock()?.contexts.get(Id::from_raw(context)).is_none() {
            return Err(CuError::INVALID_CONTEXT);
        }
        CURRENT.with_borrow_mut(|stack| stack.push(context));
        Ok(())
    }

    fn cuCtxPopCurrent_v2(context: *mut u64) {
        gate()?;
        let raw = CURRENT.with_borrow_mut(Vec::pop).ok_or(CuError::INVALID_CONTEXT)?;
        if context.is_null() {
            return Ok(());
        }
        // SAFETY: `put` checks; the rest is the caller's contract.
        unsafe { put(context, raw) }
    }

    fn cuCtxGetDevice(device: *mut c_int) {
        device_of(0, device)
    }

    fn cuCtxGetDevice_v2(device: *mut c_int, context: u64) {
        device_of(context, device)
    }

    fn cuCtxSetFlags(flags: c_uint) {
        let (mut driver, context) = here()?;
        if let Some(context) = driver.contexts.get_mut(context) {
            context.flags = flags;
        }
        Ok(())
    }

    fn cuCtxGetLimit(value: *mut usize, limit: c_uint) {
        let (driver, context) = here()?;
        let found = driver.context(context)?.limits.get(&limit).copied();
        // SAFETY: `put` checks; the rest is the caller's contract.
        unsafe { put(value, found.ok_or(CuError::UNSUPPORTED_LIMIT)?) }
    }

    fn cuCtxSetLimit(limit: c_uint, value: usize) {
        let (mut driver, context) = here()?;
        let limits = driver.contexts.get_mut(context).map(|context| &mut context.limits);
        let kept = limits.and_then(|limits| limits.get_mut(&limit));
        *kept.ok_or(CuError::UNSUPPORTED_LIMIT)? = value;
        Ok(())
    }

    fn cuCtxGetCacheConfig(config: *mut c_uint) {
        let (driver, context) = here()?;
        let kept = driver.context(context)?.cache_config;
        // SAFETY: `put` checks; the rest is the caller's contract.
        unsafe { put(config, kept) }
    }

    fn cuCtxSetCacheConfig(config: c_uint) {
        let (mut driver, context) = here()?;
        if config > 3 {
            return Err(CuError::INVALID_VALUE);
        }
        if let Some(context) = driver.contexts.get_mut(context) {
            context.cache_config = config;
        }
        Ok(())
    }

    fn cuCtxGetStreamPriorityRange(least: *mut c_int, greatest: *mut c_int) {
        drop(here()?);
        for (to, value) in [(least, 0), (greatest, -5)] {
            if !to.is_null() {
                // SAFETY: `put` checks; the rest is the caller's contract.
                unsafe { put(to, value) }?;
            }
        }
        Ok(())
    }

    fn cuCtxSynchronize() {
        synchronize(0)
    }

    fn cuCtxSynchronize_v2(context: u64) {
        synchronize(context)
    }

    fn cuProfilerStart() {
        here().map(|_| ())
    }

    fn cuProfilerStop() {
        here().map(|_| ())
    }
}
