//! Events.

use std::ffi::c_uint;

use super::{api, gate, here, lock, on_stream, put};
use crate::error::CuError;
use crate::handle::Id;

api! {
    fn cuEventCreate(event: *mut u64, flags: c_uint) {
        let (mut driver, context) = here()?;
        if event.is_null() {
            return Err(CuError::INVALID_VALUE);
        }
        let id = driver.create_event(context, flags)?;
        // SAFETY: `put` checks; the rest is the caller's contract.
        unsafe { put(event, id.raw()) }
    }

    fn cuEventDestroy_v2(event: u64) {
        lock()?.destroy_event(Id::from_raw(event))
    }

    queue fn cuEventRecord(event: u64, stream: u64) {
        let (mut driver, _, stream) = on_stream(stream)?;
        driver.record_event(Id::from_raw(event), stream)
    }

    fn cuEventSynchronize(event: u64) {
        let gate = gate()?;
        let mut driver = gate.lock();
        let id = Id::from_raw(event);
        let context = driver.event(id)?.context;
        let targets: Vec<_> = driver.event_target(id)?.into_iter().collect();
        let mut driver = gate.wait(driver, &targets);
        driver.host_saw_event(id);
        driver.context(context).map(|_| ())
    }

    fn cuEventQuery(event: u64) {
        let gate = gate()?;
        let mut driver = gate.lock();
        let id = Id::from_raw(event);
        let context = driver.event(id)?.context;
        if let Some(target) = driver.event_target(id)? {
            gate.nudge(&mut driver, target);
            driver.context(context)?;
            return Err(CuError::NOT_READY);
        }
        driver.host_saw_event(id);
        driver.context(context).map(|_| ())
    }

    fn cuEventElapsedTime(milliseconds: *mut f32, start: u64, end: u64) {
        let time = lock()?.elapsed(Id::from_raw(start), Id::from_raw(end))?;
        // SAFETY: `put` checks; the rest is the caller's contract.
        unsafe { put(milliseconds, time) }
    }

    fn cuEventElapsedTime_v2(milliseconds: *mut f32, start: u64, end: u64) {
        let time = lock()?.elapsed(Id::from_raw(start), Id::from_raw(end))?;
        // SAFETY: `put` checks; the rest is the caller's contract.
        unsafe { put(milliseconds, time) }
    }
}
