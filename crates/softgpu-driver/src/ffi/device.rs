//! Initialisation, devices, error names.

use std::ffi::{c_char, c_int, c_uint};

use super::{GATE, api, control, lock, put};
use crate::driver::Driver;
use crate::error::{CuError, Result};
use crate::gate::Gate;

/// The CUDA version of the driver, which is known before `cuInit`: 1000 * major + 10 * minor.
pub(super) fn driver_version() -> Result<c_int> {
    let known = GATE.get().map(|gate| gate.lock().config.driver_version);
    let version = match known {
        Some(version) => version,
        None => control::configuration()?.driver_version,
    };
    Ok(version as c_int)
}

api! {
    fn cuInit(flags: c_uint) {
        if flags != 0 {
            return Err(CuError::INVALID_VALUE);
        }
        let config = control::configuration()?;
        GATE.get_or_init(|| Gate::new(Driver::new(config)));
        Ok(())
    }

    fn cuDriverGetVersion(version: *mut c_int) {
        let value = driver_version()?;
        // SAFETY: `put` checks; the rest is the caller's contract.
        unsafe { put(version, value) }
    }

    fn cuDeviceGetCount(count: *mut c_int) {
        let devices = lock()?.devices.len();
        // SAFETY: `put` checks; the rest is the caller's contract.
        unsafe { put(count, devices as c_int) }
    }

    fn cuDeviceGet(device: *mut c_int, ordinal: c_int) {
        lock()?.device(ordinal)?;
        // SAFETY: `put` checks; the rest is the caller's contract.
        unsafe { put(device, ordinal) }
    }

    fn cuDeviceGetName(name: *mut c_char, length: c_int, device: c_int) {
        let driver = lock()?;
        let text = driver.device(device)?.preset.name.as_bytes();
        if name.is_null() || length < 1 {
            return Err(CuError::INVALID_VALUE);
        }
        let count = text.len().min(length as usize - 1);
        // SAFETY: `name` is not NULL and holds `length` bytes by the caller's contract; `count + 1
        // <= length`.
        unsafe {
            std::ptr::copy_nonoverlapping(text.as_ptr().cast(), name, count);
            name.add(count).write(0);
        }
        Ok(())
    }

    fn cuDeviceGetUuid_v2(uuid: *mut [u8; 16], device: c_int) {
        let driver = lock()?;
        let bytes = driver.device(device)?.preset.uuid(device as usize);
        // SAFETY: `put` checks; the rest is the caller's contract.
        unsafe { put(uuid, bytes) }
    }

    fn cuDeviceTotalMem_v2(bytes: *mut usize, device: c_int) {
        let memory = lock()?.device(device)?.preset.memory;
        // SAFETY: `put` checks; the rest is the caller's contract.
        unsafe { put(bytes, memory as usize) }
    }

    fn cuDeviceGetAttribute(value: *mut c_int, attribute: c_uint, device: c_int) {
        let mut driver = lock()?;
        let answer = driver.device(device)?.preset.attribute(attribute);
        if answer.is_err() {
            driver.report.complain(format!("device attribute {attribute} is not known to softgpu"));
        }
        // SAFETY: `put` checks; the rest is the caller's contract.
        unsafe { put(value, answer?) }
    }
}

/// Answers for success too, which is no [`CuError`].
fn constant(
    code: c_uint,
    to: *mut *const c_char,
    success: &'static std::ffi::CStr,
    of: fn(CuError) -> &'static std::ffi::CStr,
) -> Result<()> {
    let found = if code == 0 { Some(success) } else { CuError::from_code(code).map(of) };
    // SAFETY: `put` checks; the rest is the caller's contract.
    unsafe { put(to, found.map_or(std::ptr::null(), |text| text.as_ptr())) }?;
    found.map(|_| ()).ok_or(CuError::INVALID_VALUE)
}

api! {
    fn cuGetErrorName(error: c_uint, name: *mut *const c_char) {
        constant(error, name, c"CUDA_SUCCESS", CuError::c_name)
    }

    fn cuGetErrorString(error: c_uint, text: *mut *const c_char) {
        constant(error, text, c"no error", CuError::c_text)
    }
}
