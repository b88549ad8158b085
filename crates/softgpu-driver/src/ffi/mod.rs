//! The C interface: each function checks its pointers, looks its handles up, and calls the plain
//! driver.
//!
//! Rules that every function here keeps:
//! * no panic leaves it: [`enter`] turns one into `CUDA_ERROR_UNKNOWN` and a line on stderr;
//! * handles are numbers that tables know or do not know; none is dereferenced;
//! * a pointer that the interface lets the caller choose is checked for NULL and alignment where it
//!   is written;
//! * nothing is a stub: what is not here is not exported, and `cuGetProcAddress` does not find it, so
//!   that a program names the missing function itself.
#![allow(unsafe_code)]
// The safety contract of every function here is that of the CUDA Driver API function of the same
// name.
#![allow(clippy::missing_safety_doc)]

mod context;
mod control;
mod device;
mod entry_point;
mod event;
mod graph;
mod launch;
mod memory;
mod module;
mod occupancy;
mod stream;

use std::cell::{Cell, RefCell};
use std::ffi::{CStr, c_char};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{MutexGuard, OnceLock};

use crate::context::Context;
use crate::driver::Driver;
use crate::error::{CuError, Result};
use crate::gate::Gate;
use crate::handle::Id;
use crate::report::say;
use crate::stream::Stream;

/// `CUresult` as C sees it: 0 or a [`CuError`]'s number.
pub type CuResult = u32;

/// The one driver of the process, there from `cuInit` on.
static GATE: OnceLock<Gate> = OnceLock::new();

thread_local! {
    /// The thread's current contexts, the present one last; 0 is none.
    static CURRENT: RefCell<Vec<u64>> = const { RefCell::new(Vec::new()) };
    /// Whether the thread is inside a function of `cuLaunchHostFunc`.
    static IN_CALLBACK: Cell<bool> = const { Cell::new(false) };
}

/// Runs the body of a driver function; nothing it does can unwind into C.
fn enter(name: &str, body: impl FnOnce() -> Result<()>) -> CuResult {
    if IN_CALLBACK.get() {
        say(&format!("{name} was called from a function of cuLaunchHostFunc, which CUDA forbids"));
        return CuError::NOT_PERMITTED.code();
    }
    match catch_unwind(AssertUnwindSafe(body)) {
        Ok(Ok(())) => 0,
        Ok(Err(error)) => error.code(),
        Err(_) => {
            say(&format!("{name} failed inside softgpu; please report it"));
            CuError::UNKNOWN.code()
        }
    }
}

/// As [`enter`] for functions that submit work: then the eager mode or a full queue has its turn.
fn enter_submitting(name: &str, body: impl FnOnce() -> Result<()>) -> CuResult {
    enter(name, || {
        body()?;
        gate()?.after_submission();
        Ok(())
    })
}

/// Declares exported functions: `fn name(args) { body }`, or `queue fn` for those that submit work.
macro_rules! api {
    () => {};
    ($(#[$doc:meta])* fn $name:ident($($arg:ident: $ty:ty),* $(,)?) $body:block $($rest:tt)*) => {
        $(#[$doc])*
        #[unsafe(no_mangle)]
        pub unsafe extern "C" fn $name($($arg: $ty),*) -> $crate::ffi::CuResult {
            $crate::ffi::enter(stringify!($name), || $body)
        }
        $crate::ffi::api!($($rest)*);
    };
    (
        $(#[$doc:meta])* queue fn $name:ident($($arg:ident: $ty:ty),* $(,)?) $body:block
        $($rest:tt)*
    ) => {
        $(#[$doc])*
        #[unsafe(no_mangle)]
        pub unsafe extern "C" fn $name($($arg: $ty),*) -> $crate::ffi::CuResult {
            $crate::ffi::enter_submitting(stringify!($name), || $body)
        }
        $crate::ffi::api!($($rest)*);
    };
}
use api;

fn gate() -> Result<&'static Gate> {
    GATE.get().ok_or(CuError::NOT_INITIALIZED)
}

fn lock() -> Result<MutexGuard<'static, Driver>> {
    Ok(gate()?.lock())
}

/// The thread's current context, alive and without a fault, with the driver locked.
fn here() -> Result<(MutexGuard<'static, Driver>, Id<Context>)> {
    at(0)
}

/// As [`here`] for a context, or for the current one where none is given.
fn at(context: u64) -> Result<(MutexGuard<'static, Driver>, Id<Context>)> {
    let driver = lock()?;
    let current = || CURRENT.with_borrow(|stack| stack.last().copied().unwrap_or(0));
    let raw = if context == 0 { current() } else { context };
    if raw == 0 {
        return Err(CuError::INVALID_CONTEXT);
    }
    let context = Id::from_raw(raw);
    driver.context(context)?;
    Ok((driver, context))
}

/// As [`here`], with what a stream handle means to this thread.
fn on_stream(raw: u64) -> Result<(MutexGuard<'static, Driver>, Id<Context>, Id<Stream>)> {
    let (mut driver, context) = here()?;
    let stream = driver.stream(raw, context, std::thread::current().id())?;
    Ok((driver, context, stream))
}

/// Writes a result where the caller asked for it.
///
/// # Safety
/// `to` is NULL, misaligned, or good for writing a `T`.
unsafe fn put<T>(to: *mut T, value: T) -> Result<()> {
    if to.is_null() || !to.is_aligned() {
        return Err(CuError::INVALID_VALUE);
    }
    // SAFETY: not NULL and aligned by the test above, writable by the contract, which is the
    // caller's of the C function.
    unsafe { to.write(value) };
    Ok(())
}

/// A name given by the caller.
///
/// # Safety
/// `from` is NULL or points to a NUL-terminated string that lives for `'a`.
unsafe fn text<'a>(from: *const c_char) -> Result<&'a str> {
    if from.is_null() {
        return Err(CuError::INVALID_VALUE);
    }
    // SAFETY: not NULL by the test above; NUL-terminated and alive by the contract.
    unsafe { CStr::from_ptr(from) }.to_str().map_err(|_| CuError::INVALID_VALUE)
}
