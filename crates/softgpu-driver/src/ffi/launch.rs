//! Launching kernels.

use std::ffi::{c_uint, c_void};

use softgpu::{LaunchConfig, ParamInfo};

use super::{api, on_stream};
use crate::error::{CuError, Result};
use crate::handle::Id;

/// Copies each argument to its place in the parameter buffer.
///
/// # Safety
/// `arguments` points to `params.len()` pointers, each NULL or good for reading as many bytes as
/// its parameter has. This is what CUDA asks: only the kernel knows number and sizes.
unsafe fn pack(
    params: &[ParamInfo],
    bytes: usize,
    arguments: *const *const c_void,
) -> Result<Vec<u8>> {
    let mut packed = vec![0; bytes];
    if params.is_empty() {
        return Ok(packed);
    }
    if arguments.is_null() || !arguments.is_aligned() {
        return Err(CuError::INVALID_VALUE);
    }
    for (index, param) in params.iter().enumerate() {
        // SAFETY: `index < params.len()`, and the array has that many by the contract.
        let argument = unsafe { arguments.add(index).read() }.cast::<u8>();
        let (from, to) = (param.offset as usize, (param.offset + param.size) as usize);
        let place = packed.get_mut(from..to).ok_or(CuError::INVALID_VALUE)?;
        if argument.is_null() {
            return Err(CuError::INVALID_VALUE);
        }
        // SAFETY: `argument` is not NULL and holds `param.size` bytes by the contract; `place` is
        // ours and as long.
        unsafe { std::ptr::copy_nonoverlapping(argument, place.as_mut_ptr(), place.len()) };
    }
    Ok(packed)
}

/// The buffer that `extra` describes: pairs of a tag and a value up to the end tag.
///
/// # Safety
/// `extra` points to such a list; its buffer is readable for its stated length.
unsafe fn packed(extra: *const *const c_void) -> Result<Vec<u8>> {
    const END: usize = 0;
    const POINTER: usize = 1;
    const SIZE: usize = 2;
    let (mut buffer, mut size) = (std::ptr::null::<u8>(), 0usize);
    for pair in 0..2 {
        // SAFETY: the list has not ended, so it has a tag here and, unless it is END, a value after
        // it.
        let tag = unsafe { extra.add(2 * pair).read() } as usize;
        if tag == END {
            break;
        }
        // SAFETY: as above.
        let value = unsafe { extra.add(2 * pair + 1).read() };
        match tag {
            POINTER => buffer = value.cast(),
            SIZE if !value.is_null() => {
                // SAFETY: the value of SIZE is a pointer to a `size_t`, by the contract.
                size = unsafe { value.cast::<usize>().read_unaligned() };
            }
            _ => return Err(CuError::INVALID_VALUE),
        }
    }
    if buffer.is_null() || size > 32 << 10 {
        return Err(CuError::INVALID_VALUE);
    }
    let mut bytes = vec![0; size];
    // SAFETY: the buffer holds `size` bytes by the contract; `bytes` is ours and as long.
    unsafe { std::ptr::copy_nonoverlapping(buffer, bytes.as_mut_ptr(), size) };
    Ok(bytes)
}

/// # Safety
/// As [`pack`] and [`packed`].
unsafe fn launch(
    function: u64,
    config: LaunchConfig,
    stream: u64,
    arguments: *const *const c_void,
    extra: *const *const c_void,
    cooperative: bool,
) -> Result<()> {
    let (mut driver, _, stream) = on_stream(stream)?;
    let id = Id::from_raw(function);
    driver.check_launch(id, &config)?;
    let info = &driver.function(id)?.0.info;
    let params = if extra.is_null() {
        // SAFETY: the caller's contract.
        unsafe { pack(&info.params, info.param_bytes as usize, arguments) }?
    } else if arguments.is_null() {
        // SAFETY: the caller's contract.
        let mut bytes = unsafe { packed(extra) }?;
        // The buffer may end before trailing padding or after it.
        let used = info.params.last().map_or(0, |p| (p.offset + p.size) as usize);
        if bytes.len() < used {
            return Err(CuError::INVALID_VALUE);
        }
        bytes.resize(info.param_bytes as usize, 0);
        bytes
    } else {
        return Err(CuError::INVALID_VALUE);
    };
    driver.launch(id, stream, config, params, cooperative)
}

api! {
    queue fn cuLaunchKernel(
        function: u64,
        grid_x: c_uint,
        grid_y: c_uint,
        grid_z: c_uint,
        block_x: c_uint,
        block_y: c_uint,
        block_z: c_uint,
        shared: c_uint,
        stream: u64,
        arguments: *const *const c_void,
        extra: *const *const c_void,
    ) {
        let config = LaunchConfig {
            grid: [grid_x, grid_y, grid_z],
            block: [block_x, block_y, block_z],
            dynamic_shared_bytes: shared,
        };
        // SAFETY: the caller's contract.
        unsafe { launch(function, config, stream, arguments, extra, false) }
    }

    queue fn cuLaunchCooperativeKernel(
        function: u64,
        grid_x: c_uint,
        grid_y: c_uint,
        grid_z: c_uint,
        block_x: c_uint,
        block_y: c_uint,
        block_z: c_uint,
        shared: c_uint,
        stream: u64,
        arguments: *const *const c_void,
    ) {
        let config = LaunchConfig {
            grid: [grid_x, grid_y, grid_z],
            block: [block_x, block_y, block_z],
            dynamic_shared_bytes: shared,
        };
        // SAFETY: the caller's contract.
        unsafe { launch(function, config, stream, arguments, std::ptr::null(), true) }
    }
}
