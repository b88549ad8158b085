//! Finding NVIDIA's run-time compiler for tests, on machines that have none installed.
#![allow(unsafe_code)]

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use libloading::Library;

/// The names under which a system has it, newest first.
const NAMES: [&str; 4] = ["libnvrtc.so.13", "libnvrtc.so.12", "libnvrtc.so.11.2", "libnvrtc.so"];
/// Where `tools/provide-cuda` puts it, below cargo's target folder.
const PROVIDED: &str = "nvrtc/nvidia/cu13/lib/libnvrtc.so.13";
/// NVRTC 12: the last that compiles for cards before compute capability 7.5.
const TWELVE: &str = "libnvrtc.so.12";
/// Where `tools/provide-cuda nvrtc12` puts it.
const PROVIDED_TWELVE: &str = "nvrtc/nvidia/cuda_nvrtc/lib/libnvrtc.so.12";

/// Loads libnvrtc so that cudarc finds it, and says where it was: installed on the system, or
/// provided by `tools/provide-cuda` in cargo's target folder. `SOFTGPU_NVRTC` names another file.
///
/// # Errors
/// A sentence that says how to get it.
pub fn find() -> Result<&'static Path, String> {
    static FOUND: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    FOUND.get_or_init(look).as_deref().map_err(Clone::clone)
}

fn look() -> Result<PathBuf, String> {
    let mut places: Vec<PathBuf> =
        std::env::var_os("SOFTGPU_NVRTC").map(PathBuf::from).into_iter().collect();
    places.extend(NAMES.map(PathBuf::from));
    places.extend(below_target(PROVIDED));
    // Kept for good: cudarc's own `dlopen` by name then finds it by its SONAME.
    load(places).ok_or_else(|| {
        "libnvrtc is not installed and tools/provide-cuda has not provided it".into()
    })
}

/// `file` in every folder above this program: one of them is cargo's target folder.
fn below_target(file: &str) -> Vec<PathBuf> {
    let program = std::env::current_exe().unwrap_or_default();
    program.ancestors().skip(1).map(|folder| folder.join(file)).collect()
}

/// The first of `places` that loads; it stays loaded.
fn load(places: Vec<PathBuf>) -> Option<PathBuf> {
    places.into_iter().find(|place| {
        load_builtins(place);
        // SAFETY: NVRTC's initialisers are those of any NVIDIA library that the program would load
        // itself.
        unsafe { Library::new(place) }.map(std::mem::forget).is_ok()
    })
}

/// NVRTC opens its built-in functions by their bare name when it first compiles; beside a library
/// that no search path leads to, they are found only if they are loaded already.
fn load_builtins(library: &Path) {
    let Some(files) = library.parent().and_then(|folder| std::fs::read_dir(folder).ok()) else {
        return;
    };
    for file in files
        .flatten()
        .filter(|f| f.file_name().to_string_lossy().starts_with("libnvrtc-builtins.so"))
    {
        // SAFETY: as for NVRTC itself, of which it is a part.
        if let Ok(builtins) = unsafe { Library::new(file.path()) } {
            std::mem::forget(builtins);
        }
    }
}

/// Whether NVRTC is there; if not, says on stderr that `test` was not run.
///
/// # Panics
/// When it is not there and `SOFTGPU_REQUIRE_NVRTC` is set: then nothing may be left out.
pub fn or_skip(test: &str) -> bool {
    match find() {
        Ok(_) => true,
        Err(why) => {
            assert!(
                std::env::var_os("SOFTGPU_REQUIRE_NVRTC").is_none(),
                "{test} needs NVRTC: {why}"
            );
            // Not `eprintln`, which the test harness keeps to itself when a test passes.
            let _ = writeln!(std::io::stderr().lock(), "not run: {test} ({why})");
            false
        }
    }
}

/// Where NVRTC 12 is, for programs that compile for cards before compute capability 7.5; `None`, said
/// on stderr, where it is not.
///
/// # Panics
/// When it is not there and `SOFTGPU_REQUIRE_NVRTC12` is set: then nothing may be left out.
pub fn twelve_or_skip(test: &str) -> Option<&'static Path> {
    // Once: when it is loaded its bare name finds it, which is no place for another process.
    static FOUND: OnceLock<Option<PathBuf>> = OnceLock::new();
    let places = || [vec![PathBuf::from(TWELVE)], below_target(PROVIDED_TWELVE)].concat();
    let found = FOUND.get_or_init(|| load(places())).as_deref();
    if found.is_none() {
        let why =
            "libnvrtc.so.12 is not installed and tools/provide-cuda nvrtc12 has not provided it";
        assert!(std::env::var_os("SOFTGPU_REQUIRE_NVRTC12").is_none(), "{test}: {why}");
        let _ = writeln!(std::io::stderr().lock(), "not run: {test} ({why})");
    }
    found
}
