//! What softgpu adds to the driver's functions: settings before `cuInit`, reports after.

use std::ffi::{CString, c_char};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Mutex, PoisonError};

use super::{GATE, text};
use crate::config::Config;
use crate::driver::Driver;
use crate::error::{CuError, Result};
use crate::report::say;

/// Settings that came by [`softgpu_configure`], one `key=value` a line.
static SETTINGS: Mutex<String> = Mutex::new(String::new());

/// The environment's settings with those of [`softgpu_configure`] over them.
pub fn configuration() -> Result<Config> {
    let settings = SETTINGS.lock().unwrap_or_else(PoisonError::into_inner).clone();
    read(&settings).map_err(|why| {
        say(&why);
        CuError::INVALID_VALUE
    })
}

fn read(settings: &str) -> Result<Config, String> {
    let mut config = Config::from_env(|name| std::env::var(name).ok())?;
    for line in settings.lines() {
        let (key, value) =
            line.split_once('=').ok_or_else(|| format!("{line:?} is no key=value"))?;
        config.set(key.trim(), value)?;
    }
    Ok(config)
}

/// A C string that the caller gives back with [`softgpu_free`]; NULL when there is nothing to tell.
fn give(answer: impl FnOnce() -> Option<String>) -> *mut c_char {
    let answer = catch_unwind(AssertUnwindSafe(answer)).unwrap_or(None);
    answer.and_then(|text| CString::new(text).ok()).map_or(std::ptr::null_mut(), CString::into_raw)
}

fn with_driver(of: impl FnOnce(&mut Driver) -> String) -> *mut c_char {
    give(|| GATE.get().map(|gate| of(&mut gate.lock())))
}

/// Changes the settings to the given lines (`key=value`); NULL when done, else a sentence.
///
/// Before `cuInit` they are kept for it. After it they need a driver without contexts, which is
/// then made anew.
///
/// # Safety
/// `settings` is NULL or a NUL-terminated string.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn softgpu_configure(settings: *const c_char) -> *mut c_char {
    give(|| {
        // SAFETY: the caller's contract is that of `text`.
        let Ok(settings) = (unsafe { text(settings) }) else {
            return Some("the settings are no text".to_owned());
        };
        let config = match read(settings) {
            Ok(config) => config,
            Err(why) => return Some(why),
        };
        if let Some(gate) = GATE.get() {
            let mut driver = gate.lock();
            if driver.contexts.values().next().is_some() {
                return Some("the settings cannot change while a context is alive".to_owned());
            }
            *driver = Driver::new(config);
        }
        settings.clone_into(&mut SETTINGS.lock().unwrap_or_else(PoisonError::into_inner));
        None
    })
}

/// Findings so far as JSON.
#[unsafe(no_mangle)]
pub extern "C" fn softgpu_findings() -> *mut c_char {
    with_driver(|driver| driver.report.findings_json())
}

/// Counters so far as JSON.
#[unsafe(no_mangle)]
pub extern "C" fn softgpu_counters() -> *mut c_char {
    with_driver(|driver| driver.report.counters_json())
}

/// Notes so far as JSON: reasons of errors that have only a number.
#[unsafe(no_mangle)]
pub extern "C" fn softgpu_notes() -> *mut c_char {
    with_driver(|driver| driver.report.notes_json())
}

/// Number of different findings so far.
#[unsafe(no_mangle)]
pub extern "C" fn softgpu_finding_count() -> usize {
    GATE.get().map_or(0, |gate| gate.lock().report.count())
}

/// Forgets findings, counters and notes.
#[unsafe(no_mangle)]
pub extern "C" fn softgpu_reset() {
    if let Some(gate) = GATE.get() {
        let mut driver = gate.lock();
        driver.report.reset();
        driver.ops.hazards.reset();
    }
}

/// Gives back a string of this library.
///
/// # Safety
/// `string` is NULL or came from a function of this file and was not given back before.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn softgpu_free(string: *mut c_char) {
    if !string.is_null() {
        // SAFETY: made by `CString::into_raw` in `give`, by the contract.
        drop(unsafe { CString::from_raw(string) });
    }
}
