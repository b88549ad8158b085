//! Modules and function attributes.

use std::ffi::{CStr, c_char, c_int, c_uint, c_void};

use super::{api, gate, here, put, text};
use crate::error::{CuError, Result};
use crate::handle::Id;

/// The bytes of an image before its end, which for PTX text is a NUL.
///
/// # Safety
/// `image` is NULL, or points to NUL-terminated text, or to a binary of at least four bytes, alive
/// for `'a`.
unsafe fn image_bytes<'a>(image: *const c_void) -> Result<&'a [u8]> {
    if image.is_null() {
        return Err(CuError::INVALID_VALUE);
    }
    // SAFETY: not NULL; by the contract the bytes end in NUL. A cubin or fatbin has NULs of its own
    // in its header: reading stops at the first, after the magic number by which it is refused.
    Ok(unsafe { CStr::from_ptr(image.cast()) }.to_bytes())
}

fn load(image: &[u8], module: *mut u64) -> Result<()> {
    let (mut driver, context) = here()?;
    if module.is_null() {
        return Err(CuError::INVALID_VALUE);
    }
    let id = driver.load(context, image)?;
    // SAFETY: `put` checks; the rest is the caller's contract.
    unsafe { put(module, id.raw()) }
}

api! {
    fn cuModuleLoadData(module: *mut u64, image: *const c_void) {
        // SAFETY: the caller's contract is that of `image_bytes`.
        load(unsafe { image_bytes(image) }?, module)
    }

    fn cuModuleLoad(module: *mut u64, path: *const c_char) {
        // SAFETY: the caller's contract is that of `text`.
        let path = unsafe { text(path) }?;
        let bytes = std::fs::read(path).map_err(|_| CuError::FILE_NOT_FOUND)?;
        let end = bytes.iter().position(|&byte| byte == 0).unwrap_or(bytes.len());
        load(&bytes[..end.max(4.min(bytes.len()))], module)
    }

    fn cuModuleUnload(module: u64) {
        let gate = gate()?;
        let (driver, _) = here()?;
        let id = Id::from_raw(module);
        let context = driver.module(id)?.context;
        let targets = driver.in_flight(context);
        let mut driver = gate.wait(driver, &targets);
        driver.unload(id);
        Ok(())
    }

    fn cuModuleGetFunction(function: *mut u64, module: u64, name: *const c_char) {
        let (mut driver, _) = here()?;
        // SAFETY: the caller's contract is that of `text`.
        let id = driver.get_function(Id::from_raw(module), unsafe { text(name) }?)?;
        // SAFETY: `put` checks; the rest is the caller's contract.
        unsafe { put(function, id.raw()) }
    }

    fn cuModuleGetGlobal_v2(
        address: *mut u64,
        bytes: *mut usize,
        module: u64,
        name: *const c_char,
    ) {
        let (driver, _) = here()?;
        // SAFETY: the caller's contract is that of `text`.
        let (at, length) = driver.get_global(Id::from_raw(module), unsafe { text(name) }?)?;
        // SAFETY: `put` checks; the rest is the caller's contract. Either pointer may be NULL by
        // CUDA's.
        unsafe {
            if !address.is_null() {
                put(address, at)?;
            }
            if !bytes.is_null() {
                put(bytes, length as usize)?;
            }
        }
        Ok(())
    }

    fn cuFuncGetAttribute(value: *mut c_int, attribute: c_uint, function: u64) {
        let (driver, _) = here()?;
        let answer = driver.function_attribute(Id::from_raw(function), attribute)?;
        // SAFETY: `put` checks; the rest is the caller's contract.
        unsafe { put(value, answer) }
    }

    fn cuFuncSetAttribute(function: u64, attribute: c_uint, value: c_int) {
        let (mut driver, _) = here()?;
        driver.set_function_attribute(Id::from_raw(function), attribute, value)
    }

    fn cuFuncSetCacheConfig(function: u64, config: c_uint) {
        let (driver, _) = here()?;
        driver.function(Id::from_raw(function))?;
        // A preference without effect here.
        if config > 3 { Err(CuError::INVALID_VALUE) } else { Ok(()) }
    }
}
