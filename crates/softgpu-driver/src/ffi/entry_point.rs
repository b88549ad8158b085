//! Functions by name and CUDA version: how programs find the driver's functions that are not linked
//! against it.

use std::ffi::{c_char, c_int, c_uint, c_void};

use super::context::*;
use super::device::*;
use super::event::*;
use super::graph::*;
use super::launch::*;
use super::memory::*;
use super::module::*;
use super::occupancy::*;
use super::stream::*;
use super::{api, put, text};
use crate::error::{CuError, Result};

/// A function that is here under a name without `_v2` and the like.
struct Entry {
    name: &'static str,
    /// First CUDA version with this signature.
    since: c_int,
    /// Whether the driver has it a second time, for streams of which each thread has a default one.
    per_thread: bool,
    function: *const c_void,
}

macro_rules! entries {
    ($($since:literal: [$($function:ident)*] $(per thread [$($streamed:ident)*])?;)*) => {
        const ENTRIES: &[Entry] = &[$(
            $(Entry {
                name: unversioned(stringify!($function)),
                since: $since,
                per_thread: false,
                function: $function as *const c_void,
            },)*
            $($(Entry {
                name: unversioned(stringify!($streamed)),
                since: $since,
                per_thread: true,
                function: $streamed as *const c_void,
            },)*)?
        )*];
    };
}

/// A function's name without its version.
const fn unversioned(name: &'static str) -> &'static str {
    let bytes = name.as_bytes();
    match bytes {
        [base @ .., b'_', b'v', b'1'..=b'9'] => match std::str::from_utf8(base) {
            Ok(base) => base,
            Err(_) => name,
        },
        _ => name,
    }
}

// The CUDA version (1000 * major + 10 * minor) in which each got its signature, as NVIDIA's Python
// bindings ask for them.
entries! {
    2000: [cuInit cuDeviceGet cuDeviceGetCount cuDeviceGetName cuDeviceGetAttribute cuCtxGetDevice
        cuCtxSynchronize cuModuleLoad cuModuleLoadData cuModuleUnload cuModuleGetFunction
        cuMemFreeHost cuStreamCreate cuEventCreate cuEventQuery cuEventSynchronize
        cuEventElapsedTime] per thread [cuStreamQuery cuStreamSynchronize cuEventRecord];
    2020: [cuDriverGetVersion cuMemHostAlloc cuFuncGetAttribute];
    3000: [cuFuncSetCacheConfig];
    3010: [cuCtxGetLimit cuCtxSetLimit];
    3020: [cuDeviceTotalMem_v2 cuCtxGetCacheConfig cuCtxSetCacheConfig cuModuleGetGlobal_v2
        cuMemAlloc_v2 cuMemFree_v2 cuMemGetInfo_v2 cuMemGetAddressRange_v2
        cuMemHostGetDevicePointer_v2] per thread [cuMemcpyHtoD_v2 cuMemcpyDtoH_v2 cuMemcpyDtoD_v2
        cuMemcpyHtoDAsync_v2 cuMemcpyDtoHAsync_v2 cuMemcpyDtoDAsync_v2 cuMemsetD8_v2 cuMemsetD32_v2
        cuMemsetD8Async cuMemsetD16Async cuMemsetD32Async cuStreamWaitEvent];
    4000: [cuCtxDestroy_v2 cuCtxPushCurrent_v2 cuCtxPopCurrent_v2 cuCtxGetCurrent cuCtxSetCurrent
        cuStreamDestroy_v2 cuEventDestroy_v2 cuDeviceCanAccessPeer cuProfilerStart cuProfilerStop]
        per thread [cuLaunchKernel cuMemcpyPeerAsync];
    5050: [cuCtxGetStreamPriorityRange cuStreamCreateWithPriority] per thread [cuStreamGetPriority];
    6000: [cuGetErrorName cuGetErrorString cuMemAllocManaged] per thread [cuStreamAttachMemAsync];
    6050: [cuOccupancyMaxActiveBlocksPerMultiprocessor];
    7000: [cuDevicePrimaryCtxRetain cuDevicePrimaryCtxGetState
        cuOccupancyMaxActiveBlocksPerMultiprocessorWithFlags
        cuOccupancyMaxPotentialBlockSizeWithFlags];
    9000: [cuFuncSetAttribute] per thread [cuLaunchCooperativeKernel];
    10000: [cuGraphDestroy cuGraphExecDestroy] per thread [cuGraphLaunch cuLaunchHostFunc
        cuStreamEndCapture cuStreamIsCapturing];
    10010: [] per thread [cuStreamBeginCapture_v2];
    10020: [cuOccupancyAvailableDynamicSMemPerBlock];
    11000: [cuDevicePrimaryCtxRelease_v2 cuDevicePrimaryCtxReset_v2];
    11010: [] per thread [cuGraphUpload];
    11020: [] per thread [cuMemAllocAsync cuMemFreeAsync];
    11030: [cuGetProcAddress];
    11040: [cuDeviceGetUuid_v2 cuGraphInstantiateWithFlags];
    12000: [cuGetProcAddress_v2 cuGraphExecUpdate_v2];
    12010: [cuCtxSetFlags];
    12020: [cuMemAdvise_v2] per thread [cuMemPrefetchAsync_v2];
    12050: [cuCtxCreate_v4];
    12080: [cuEventElapsedTime_v2];
    13000: [cuCtxGetDevice_v2 cuCtxSynchronize_v2];
}

/// `CUdriverProcAddress_flags`.
const LEGACY_STREAM: u64 = 1;
const PER_THREAD_DEFAULT_STREAM: u64 = 2;

/// `CUdriverProcAddressQueryResult`.
const FOUND: c_uint = 0;
const SYMBOL_NOT_FOUND: c_uint = 1;
const VERSION_NOT_SUFFICIENT: c_uint = 2;

/// The function of this name as it was in a version of CUDA, or why there is none.
fn find(name: &str, version: c_int, flags: u64) -> Result<*const c_void, c_uint> {
    // From 12.0 on, `cuda.h` calls one function by the other's name.
    let name = match name {
        "cuGraphInstantiate" if version >= 12000 => "cuGraphInstantiateWithFlags",
        name => name,
    };
    let named = ENTRIES.iter().filter(|entry| entry.name == name);
    let newest = named.clone().filter(|entry| entry.since <= version).max_by_key(|e| e.since);
    match newest {
        // The legacy default stream in its place would wait for streams that the other does not.
        Some(entry) if entry.per_thread && flags & PER_THREAD_DEFAULT_STREAM != 0 => {
            Err(SYMBOL_NOT_FOUND)
        }
        Some(entry) => Ok(entry.function),
        None if named.count() > 0 => Err(VERSION_NOT_SUFFICIENT),
        None => Err(SYMBOL_NOT_FOUND),
    }
}

/// # Safety
/// The pointers are NULL or as the C functions want them.
unsafe fn look_up(
    symbol: *const c_char,
    function: *mut *const c_void,
    version: c_int,
    flags: u64,
    status: *mut c_uint,
) -> Result<()> {
    // SAFETY: `put` checks; the rest is the caller's contract.
    unsafe { put(function, std::ptr::null()) }?;
    // SAFETY: the caller's contract is that of `text`.
    let name = unsafe { text(symbol) }?;
    let known = LEGACY_STREAM | PER_THREAD_DEFAULT_STREAM;
    if version > driver_version()? || flags & !known != 0 || flags == known {
        return Err(CuError::INVALID_VALUE);
    }
    let found = find(name, version, flags);
    if !status.is_null() {
        // SAFETY: `put` checks; the rest is the caller's contract.
        unsafe { put(status, found.err().unwrap_or(FOUND)) }?;
    }
    // SAFETY: as above.
    unsafe { put(function, found.map_err(|_| CuError::NOT_FOUND)?) }
}

api! {
    fn cuGetProcAddress(
        symbol: *const c_char,
        function: *mut *const c_void,
        version: c_int,
        flags: u64,
    ) {
        // SAFETY: the caller's contract.
        unsafe { look_up(symbol, function, version, flags, std::ptr::null_mut()) }
    }

    fn cuGetProcAddress_v2(
        symbol: *const c_char,
        function: *mut *const c_void,
        version: c_int,
        flags: u64,
        status: *mut c_uint,
    ) {
        // SAFETY: the caller's contract.
        unsafe { look_up(symbol, function, version, flags, status) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is exported and missing in the table would be there for one kind of program alone.
    #[test]
    fn every_exported_function_has_an_entry() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/src/ffi");
        let mut functions = 0;
        for file in std::fs::read_dir(folder).unwrap() {
            let source = std::fs::read_to_string(file.unwrap().path()).unwrap();
            let names = source.lines().filter_map(|line| {
                let (_, rest) = line.split_once("fn cu")?;
                let end = rest.find('(')?;
                Some(format!("cu{}", &rest[..end]))
            });
            for name in names.filter(|name| name[2..].starts_with(char::is_uppercase)) {
                let base = name.split("_v").next().unwrap();
                assert!(ENTRIES.iter().any(|entry| entry.name == base), "{name} has no entry");
                functions += 1;
            }
        }
        assert_eq!(functions, ENTRIES.len(), "an entry twice, or a signature without its own");
    }

    #[test]
    fn what_is_not_found_leaves_no_pointer() {
        let ask = |name: &std::ffi::CStr, version| {
            let (mut function, mut status) = (std::ptr::dangling(), 9);
            // SAFETY: a string and two variables of the right types.
            let code = unsafe {
                cuGetProcAddress_v2(name.as_ptr(), &mut function, version, 0, &mut status)
            };
            (code, function, status)
        };
        let (null, not_found) = (std::ptr::null(), CuError::NOT_FOUND.code());
        assert_eq!(ask(c"cuInit", 13000), (0, cuInit as *const c_void, FOUND));
        assert_eq!(ask(c"cuTexRefCreate", 13000), (not_found, null, SYMBOL_NOT_FOUND));
        assert_eq!(ask(c"cuMemAlloc", 2000), (not_found, null, VERSION_NOT_SUFFICIENT));
        assert_eq!(ask(c"cuInit", 99000), (CuError::INVALID_VALUE.code(), null, 9));
    }

    #[test]
    fn names_are_found_by_version() {
        let new = find("cuEventElapsedTime", 13000, 0).unwrap();
        let old = find("cuEventElapsedTime", 12070, 0).unwrap();
        assert_eq!(new, cuEventElapsedTime_v2 as *const c_void);
        assert_eq!(old, cuEventElapsedTime as *const c_void);
        assert_eq!(find("cuMemAlloc", 3020, LEGACY_STREAM), Ok(cuMemAlloc_v2 as *const c_void));
        let instantiate = Ok(cuGraphInstantiateWithFlags as *const c_void);
        assert_eq!(find("cuGraphInstantiate", 12000, 0), instantiate);
        assert_eq!(find("cuGraphInstantiate", 11000, 0), Err(SYMBOL_NOT_FOUND));
        assert_eq!(find("cuMemAlloc", 2000, 0), Err(VERSION_NOT_SUFFICIENT));
        assert_eq!(find("cuMemAlloc_v2", 13000, 0), Err(SYMBOL_NOT_FOUND));
        assert_eq!(find("cuTexRefCreate", 13000, 0), Err(SYMBOL_NOT_FOUND));
        let per_thread = PER_THREAD_DEFAULT_STREAM;
        assert!(find("cuInit", 13000, per_thread).is_ok());
        assert_eq!(find("cuLaunchKernel", 13000, per_thread), Err(SYMBOL_NOT_FOUND));
    }
}
