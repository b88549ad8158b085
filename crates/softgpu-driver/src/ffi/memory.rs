//! Memory: allocation, copies, fills.

use std::ffi::{c_int, c_uint, c_void};

use super::{api, gate, here, on_stream, put};
use crate::context::Context;
use crate::driver::Driver;
use crate::error::{CuError, Result};
use crate::handle::Id;
use crate::host::HostSpan;
use crate::memory::Kind;

/// `CU_MEM_ATTACH_GLOBAL`, `CU_MEM_ATTACH_HOST`, `CU_MEM_ATTACH_SINGLE`.
const ATTACH_GLOBAL: c_uint = 1;
const ATTACH_HOST: c_uint = 2;
const ATTACH_SINGLE: c_uint = 4;

/// `CUmemLocation`.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct Location {
    kind: c_uint,
    id: c_int,
}

impl Location {
    /// Fails unless it is a device that there is, the host, or a node of it.
    fn check(self, driver: &Driver) -> Result<()> {
        match self.kind {
            1 => driver.device(self.id).map(drop),
            2..=4 => Ok(()),
            _ => Err(CuError::INVALID_VALUE),
        }
    }
}

/// Host memory named by the caller.
///
/// # Safety
/// That of [`HostSpan::new`].
unsafe fn span(address: *const c_void, bytes: usize) -> Result<HostSpan> {
    if (address.is_null() && bytes > 0) || bytes > isize::MAX as usize {
        return Err(CuError::INVALID_VALUE);
    }
    // SAFETY: the caller's contract.
    Ok(unsafe { HostSpan::new(address.cast(), bytes) })
}

/// Waits for everything of a context, as freeing memory does.
fn quiesce(context: Id<Context>) -> Result<()> {
    let gate = gate()?;
    let driver = gate.lock();
    let targets = driver.in_flight(context);
    let mut driver = gate.wait(driver, &targets);
    driver.host_saw_context(context);
    Ok(())
}

/// Copies to the host and returns when a copy to pageable memory is done.
fn download(stream: u64, to: HostSpan, from: u64) -> Result<()> {
    let gate = gate()?;
    let (mut driver, context, stream) = on_stream(stream)?;
    let Some(op) = driver.download(stream, to, from)? else { return Ok(()) };
    let mut driver = gate.wait(driver, &[op]);
    driver.host_saw_stream(stream);
    driver.context(context).map(|_| ())
}

/// Waits for the legacy default stream, as the calls without `Async` do.
fn finish_default() -> Result<()> {
    let gate = gate()?;
    let (driver, context, stream) = on_stream(0)?;
    let last: Vec<_> = driver.streams.get(stream).map(|s| s.last).into_iter().collect();
    let mut driver = gate.wait(driver, &last);
    driver.host_saw_stream(stream);
    driver.context(context).map(|_| ())
}

fn fill(stream: u64, to: u64, pattern: &[u8], count: usize) -> Result<()> {
    let (mut driver, _, stream) = on_stream(stream)?;
    driver.fill(stream, to, pattern, count as u64)
}

api! {
    fn cuMemGetInfo_v2(free: *mut usize, total: *mut usize) {
        let (driver, context) = here()?;
        let card = &driver.devices[driver.context(context)?.device];
        // SAFETY: `put` checks; the rest is the caller's contract.
        unsafe {
            put(free, (card.preset.memory - card.used.min(card.preset.memory)) as usize)?;
            put(total, card.preset.memory as usize)
        }
    }

    fn cuMemAlloc_v2(address: *mut u64, bytes: usize) {
        let (mut driver, context) = here()?;
        driver.refuse_unsafe_call(std::thread::current().id())?;
        if bytes == 0 || address.is_null() {
            return Err(CuError::INVALID_VALUE);
        }
        let found = driver.allocate(context, bytes as u64, Kind::Device)?;
        // SAFETY: `put` checks; the rest is the caller's contract.
        unsafe { put(address, found) }
    }

    fn cuMemFree_v2(address: u64) {
        let (mut driver, context) = here()?;
        if address == 0 {
            return Ok(());
        }
        driver.refuse_unsafe_call(std::thread::current().id())?;
        driver.begin_free(address)?;
        drop(driver);
        quiesce(context)?;
        gate()?.lock().release(address);
        Ok(())
    }

    queue fn cuMemAllocAsync(address: *mut u64, bytes: usize, stream: u64) {
        let (mut driver, _, stream) = on_stream(stream)?;
        if address.is_null() {
            return Err(CuError::INVALID_VALUE);
        }
        let found = driver.allocate_async(stream, bytes as u64)?;
        // SAFETY: `put` checks; the rest is the caller's contract.
        unsafe { put(address, found) }
    }

    queue fn cuMemFreeAsync(address: u64, stream: u64) {
        let (mut driver, _, stream) = on_stream(stream)?;
        driver.free_async(stream, address)
    }

    fn cuMemHostAlloc(address: *mut *mut c_void, bytes: usize, flags: c_uint) {
        let (mut driver, context) = here()?;
        driver.refuse_unsafe_call(std::thread::current().id())?;
        if address.is_null() || flags > 7 {
            return Err(CuError::INVALID_VALUE);
        }
        let found = driver.allocate_host(context, bytes as u64, Kind::Pinned)?;
        // SAFETY: `put` checks; the rest is the caller's contract.
        unsafe { put(address, found as *mut c_void) }
    }

    fn cuMemHostGetDevicePointer_v2(address: *mut u64, host: *mut c_void, flags: c_uint) {
        let (driver, _) = here()?;
        if flags != 0 {
            return Err(CuError::INVALID_VALUE);
        }
        let found = driver.device_pointer(host as u64)?;
        // SAFETY: `put` checks; the rest is the caller's contract.
        unsafe { put(address, found) }
    }

    fn cuMemAllocManaged(address: *mut u64, bytes: usize, flags: c_uint) {
        let (mut driver, context) = here()?;
        driver.refuse_unsafe_call(std::thread::current().id())?;
        if address.is_null() || !matches!(flags, ATTACH_GLOBAL | ATTACH_HOST) {
            return Err(CuError::INVALID_VALUE);
        }
        let found = driver.allocate_host(context, bytes as u64, Kind::Managed)?;
        // SAFETY: `put` checks; the rest is the caller's contract.
        unsafe { put(address, found) }
    }

    queue fn cuMemPrefetchAsync_v2(
        address: u64,
        bytes: usize,
        location: Location,
        flags: c_uint,
        stream: u64,
    ) {
        let (mut driver, _, stream) = on_stream(stream)?;
        location.check(&driver)?;
        if flags != 0 {
            return Err(CuError::INVALID_VALUE);
        }
        driver.place_managed(stream, address, bytes as u64, "cuMemPrefetchAsync")
    }

    fn cuMemAdvise_v2(address: u64, bytes: usize, advice: c_uint, location: Location) {
        let (driver, _) = here()?;
        // Read-mostly, preferred location and accessed-by, each set and unset; the first does not
        // look at the location.
        match advice {
            1 | 2 | 4 => {}
            3 | 5 | 6 => location.check(&driver)?,
            _ => return Err(CuError::INVALID_VALUE),
        }
        if bytes == 0 {
            return Err(CuError::INVALID_VALUE);
        }
        driver.check_managed(address, bytes as u64)
    }

    queue fn cuStreamAttachMemAsync(stream: u64, address: u64, bytes: usize, flags: c_uint) {
        let default = stream <= 1;
        let (mut driver, _, stream) = on_stream(stream)?;
        let (base, length) = driver.find_block(address).map_err(|_| CuError::INVALID_VALUE)?;
        // All of an allocation or none of it; a stream of its own for one that is alone with it.
        let whole = base == address && (bytes == 0 || bytes as u64 == length);
        let known = matches!(flags, ATTACH_GLOBAL | ATTACH_HOST) || flags == ATTACH_SINGLE && !default;
        if !whole || !known {
            return Err(CuError::INVALID_VALUE);
        }
        driver.place_managed(stream, address, length, "cuStreamAttachMemAsync")
    }

    fn cuMemFreeHost(address: *mut c_void) {
        let (mut driver, context) = here()?;
        driver.refuse_unsafe_call(std::thread::current().id())?;
        driver.check_host_block(address as u64)?;
        drop(driver);
        quiesce(context)?;
        gate()?.lock().release(address as u64);
        Ok(())
    }

    fn cuMemGetAddressRange_v2(base: *mut u64, bytes: *mut usize, address: u64) {
        let (driver, _) = here()?;
        let (at, length) = driver.find_block(address)?;
        // SAFETY: `put` checks; the rest is the caller's contract. Either pointer may be NULL by
        // CUDA's.
        unsafe {
            if !base.is_null() {
                put(base, at)?;
            }
            if !bytes.is_null() {
                put(bytes, length as usize)?;
            }
        }
        Ok(())
    }

    queue fn cuMemcpyHtoDAsync_v2(to: u64, from: *const c_void, bytes: usize, stream: u64) {
        // SAFETY: CUDA asks of the caller what `span` asks.
        let from = unsafe { span(from, bytes) }?;
        let (mut driver, _, stream) = on_stream(stream)?;
        driver.upload(stream, to, from)
    }

    queue fn cuMemcpyDtoHAsync_v2(to: *mut c_void, from: u64, bytes: usize, stream: u64) {
        // SAFETY: CUDA asks of the caller what `span` asks, and that the memory is writable.
        download(stream, unsafe { span(to, bytes) }?, from)
    }

    queue fn cuMemcpyDtoDAsync_v2(to: u64, from: u64, bytes: usize, stream: u64) {
        let (mut driver, _, stream) = on_stream(stream)?;
        driver.copy(stream, to, from, bytes as u64)
    }

    queue fn cuMemcpyPeerAsync(
        to: u64,
        to_context: u64,
        from: u64,
        from_context: u64,
        bytes: usize,
        stream: u64,
    ) {
        let (mut driver, _, stream) = on_stream(stream)?;
        driver.context(Id::from_raw(to_context))?;
        driver.context(Id::from_raw(from_context))?;
        driver.copy(stream, to, from, bytes as u64)
    }

    fn cuMemcpyHtoD_v2(to: u64, from: *const c_void, bytes: usize) {
        // SAFETY: CUDA asks of the caller what `span` asks.
        let from = unsafe { span(from, bytes) }?;
        let (mut driver, _, stream) = on_stream(0)?;
        driver.upload(stream, to, from)?;
        drop(driver);
        finish_default()
    }

    fn cuMemcpyDtoH_v2(to: *mut c_void, from: u64, bytes: usize) {
        // SAFETY: CUDA asks of the caller what `span` asks, and that the memory is writable.
        download(0, unsafe { span(to, bytes) }?, from)?;
        finish_default()
    }

    queue fn cuMemcpyDtoD_v2(to: u64, from: u64, bytes: usize) {
        let (mut driver, _, stream) = on_stream(0)?;
        driver.copy(stream, to, from, bytes as u64)
    }

    queue fn cuMemsetD8Async(to: u64, value: u8, count: usize, stream: u64) {
        fill(stream, to, &[value], count)
    }

    queue fn cuMemsetD16Async(to: u64, value: u16, count: usize, stream: u64) {
        fill(stream, to, &value.to_le_bytes(), count)
    }

    queue fn cuMemsetD32Async(to: u64, value: c_uint, count: usize, stream: u64) {
        fill(stream, to, &value.to_le_bytes(), count)
    }

    queue fn cuMemsetD8_v2(to: u64, value: u8, count: usize) {
        fill(0, to, &[value], count)
    }

    queue fn cuMemsetD32_v2(to: u64, value: c_uint, count: usize) {
        fill(0, to, &value.to_le_bytes(), count)
    }

    fn cuDeviceCanAccessPeer(answer: *mut c_int, device: c_int, peer: c_int) {
        let driver = super::lock()?;
        driver.device(device)?;
        driver.device(peer)?;
        // SAFETY: `put` checks; the rest is the caller's contract.
        unsafe { put(answer, 0) }
    }
}
