//! Putting softgpu in the place of the CUDA driver, from inside a program.
#![allow(unsafe_code)]

use std::collections::BTreeMap;
use std::ffi::{CStr, CString, c_char};
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use libloading::Library;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::report::{Counted, Found, KernelTotal};

/// The file's name, which is also its SONAME.
pub const LIBRARY: &str = "libcuda.so";

/// Why softgpu was not installed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InstallError(String);

impl std::fmt::Display for InstallError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for InstallError {}

/// What to install: which card, which schedule, which checks.
///
/// Every setting can also come from the environment (`SOFTGPU_DEVICE`, `SOFTGPU_SEED`, ...); what
/// is set here wins.
#[derive(Clone, Debug, Default)]
pub struct Options(Vec<(&'static str, String)>);

impl Options {
    /// The environment's settings, else one A100 under CUDA 13.0 with lazy streams and the default
    /// checks.
    pub fn new() -> Self {
        Options::default()
    }

    fn with(mut self, key: &'static str, value: impl ToString) -> Self {
        self.0.push((key, value.to_string()));
        self
    }

    /// The card by name: `t4`, `a100`, `rtx3060`, `rtx4090`, `h100`; several with commas.
    pub fn device(self, names: &str) -> Self {
        self.with("device", names)
    }

    /// The CUDA version of the driver, e.g. `(13, 0)`; it decides which PTX versions load.
    pub fn driver(self, major: u32, minor: u32) -> Self {
        self.with("driver", format!("{major}.{minor}"))
    }

    /// Whether work runs at once instead of when something waits for it.
    pub fn eager(self, eager: bool) -> Self {
        self.with("eager", u8::from(eager))
    }

    /// Draws from this seed among the orders that streams and events allow.
    pub fn seed(self, seed: u64) -> Self {
        self.with("seed", seed)
    }

    /// Order of warps and blocks: `forward`, `reverse`, or a seed.
    pub fn order(self, order: &str) -> Self {
        self.with("order", order)
    }

    /// The checks: `none`, `default`, `all`, or names with commas (see the README).
    pub fn checks(self, names: &str) -> Self {
        self.with("checks", names)
    }

    /// Whether launches are counted.
    pub fn counters(self, count: bool) -> Self {
        self.with("counters", u8::from(count))
    }

    /// Host threads a launch may use; 0 means one a core.
    pub fn threads(self, threads: usize) -> Self {
        self.with("threads", threads)
    }

    /// Warp instructions a block may execute before it counts as hung.
    pub fn budget(self, instructions: u64) -> Self {
        self.with("budget", instructions)
    }

    /// Keeps reasons of errors that have only a number, such as why a module was not loaded, from
    /// stderr; [`Gpu::notes`] has them in any case.
    pub fn quiet(self, quiet: bool) -> Self {
        self.with("quiet", u8::from(quiet))
    }

    fn text(&self) -> String {
        self.0.iter().map(|(key, value)| format!("{key}={value}\n")).collect()
    }

    /// Installs softgpu with these settings. Settings of an earlier call stay if a context is alive
    /// and these are the same.
    ///
    /// # Errors
    /// As [`install`]; when a context is alive and the settings differ from those it was made with.
    pub fn install(&self) -> Result<Gpu, InstallError> {
        let gpu = Gpu { library: library()? };
        let mut present = CONFIGURED.lock().unwrap_or_else(PoisonError::into_inner);
        let wanted = self.text();
        if present.as_ref() != Some(&wanted) {
            gpu.configure(&wanted)?;
            *present = Some(wanted);
        }
        Ok(gpu)
    }

    /// Installs softgpu for one user of this process at a time, with empty reports: others who call
    /// this wait until the answer is dropped. For tests that look at findings or counters, which
    /// belong to the process.
    ///
    /// # Errors
    /// As [`Options::install`].
    pub fn alone(&self) -> Result<Alone, InstallError> {
        let guard = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
        let gpu = self.install()?;
        gpu.reset();
        Ok(Alone { gpu, _guard: guard })
    }
}

/// Installs softgpu in this process with the environment's settings, else the defaults: from now on
/// a `dlopen` of `libcuda.so`, such as cudarc makes at its first call, finds softgpu. Call it
/// before anything touches CUDA.
///
/// The library is looked for in `SOFTGPU_LIBRARY`, then where cargo puts it beside the running
/// program. It stays loaded. On a machine with a real card nothing changes unless this is called.
///
/// # Errors
/// When the library is not there, or another `libcuda.so` was loaded before.
pub fn install() -> Result<Gpu, InstallError> {
    Options::new().install()
}

static CONFIGURED: Mutex<Option<String>> = Mutex::new(None);
static ALONE: Mutex<()> = Mutex::new(());

/// The installed softgpu.
#[derive(Clone, Copy, Debug)]
pub struct Gpu {
    library: &'static Library,
}

/// An installed softgpu that is this user's alone until dropped.
pub struct Alone {
    gpu: Gpu,
    _guard: MutexGuard<'static, ()>,
}

impl Deref for Alone {
    type Target = Gpu;
    fn deref(&self) -> &Gpu {
        &self.gpu
    }
}

/// Counters so far.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct CountersReport {
    /// The first 4,096 launches in order.
    pub launches: Vec<Counted>,
    /// Launches after those.
    pub not_listed: u64,
    /// Sums by kernel, over all launches.
    pub kernels: BTreeMap<String, KernelTotal>,
}

type Text = unsafe extern "C" fn() -> *mut c_char;

impl Gpu {
    /// A function of the library; all of them are there, [`library`] looked.
    fn ask<T: DeserializeOwned + Default>(&self, name: &CStr) -> T {
        // SAFETY: the functions of this name are declared in `ffi/control.rs` with this type.
        let answer = unsafe {
            match self.library.get::<Text>(name) {
                Ok(function) => function(),
                Err(_) => return T::default(),
            }
        };
        self.take(answer).and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default()
    }

    /// Makes a string of the library ours.
    fn take(&self, answer: *mut c_char) -> Option<String> {
        if answer.is_null() {
            return None;
        }
        // SAFETY: not NULL, and the library gives NUL-terminated strings that live until they are
        // freed below.
        let text = unsafe { CStr::from_ptr(answer) }.to_string_lossy().into_owned();
        // SAFETY: `softgpu_free` has this type and takes strings of the library, once each.
        unsafe {
            if let Ok(free) = self.library.get::<unsafe extern "C" fn(*mut c_char)>(c"softgpu_free")
            {
                free(answer);
            }
        }
        Some(text)
    }

    fn configure(&self, settings: &str) -> Result<(), InstallError> {
        type Configure = unsafe extern "C" fn(*const c_char) -> *mut c_char;
        let settings =
            CString::new(settings).map_err(|_| InstallError("a setting holds a NUL".to_owned()))?;
        // SAFETY: `softgpu_configure` has this type; the string is alive during the call.
        let answer = unsafe {
            let function = self.library.get::<Configure>(c"softgpu_configure");
            function.map(|configure| configure(settings.as_ptr()))
        };
        match answer.map(|answer| self.take(answer)) {
            Ok(None) => Ok(()),
            Ok(Some(why)) => Err(InstallError(format!("softgpu: {why}"))),
            Err(why) => Err(InstallError(format!("softgpu: {why}"))),
        }
    }

    /// What the checks found since the last reset.
    pub fn findings(&self) -> Vec<Found> {
        self.ask(c"softgpu_findings")
    }

    /// What was counted since the last reset.
    pub fn counters(&self) -> CountersReport {
        self.ask(c"softgpu_counters")
    }

    /// Reasons of errors that have only a number, such as why a module was not loaded.
    pub fn notes(&self) -> Vec<String> {
        self.ask(c"softgpu_notes")
    }

    /// Forgets findings, counters and notes.
    pub fn reset(&self) {
        // SAFETY: `softgpu_reset` has this type.
        unsafe {
            if let Ok(reset) = self.library.get::<unsafe extern "C" fn()>(c"softgpu_reset") {
                reset();
            }
        }
    }
}

/// Loads the library once.
fn library() -> Result<&'static Library, InstallError> {
    static LOADED: OnceLock<Result<Library, InstallError>> = OnceLock::new();
    LOADED.get_or_init(load).as_ref().map_err(Clone::clone)
}

fn load() -> Result<Library, InstallError> {
    let path = find()?;
    // SAFETY: the file is softgpu's own library, whose initialisers do nothing.
    let library = unsafe { Library::new(&path) }
        .map_err(|why| InstallError(format!("{} does not load: {why}", path.display())))?;
    // SAFETY: the symbol is only looked for.
    if unsafe { library.get::<Text>(c"softgpu_findings") }.is_err() {
        return Err(InstallError(format!("{} is not softgpu", path.display())));
    }
    // SAFETY: by the SONAME this is the library just loaded, or one that was loaded before it.
    let named = unsafe { Library::new(LIBRARY) };
    // SAFETY: the symbol is only looked for.
    if !named.is_ok_and(|named| unsafe { named.get::<Text>(c"softgpu_findings") }.is_ok()) {
        return Err(InstallError(format!(
            "another {LIBRARY} was loaded before softgpu; install it before the first use of CUDA"
        )));
    }
    Ok(library)
}

/// Where the library is: `SOFTGPU_LIBRARY`, else beside the running program as cargo lays files
/// out.
///
/// # Errors
/// When it is in none of these places.
pub fn find() -> Result<PathBuf, InstallError> {
    if let Some(path) = std::env::var_os("SOFTGPU_LIBRARY") {
        return Ok(PathBuf::from(path));
    }
    let program = std::env::current_exe()
        .map_err(|why| InstallError(format!("the running program's path is not known: {why}")))?;
    let folder = program.parent().unwrap_or(Path::new("/"));
    let places = ["deps/libcuda.so", "libcuda.so", "../deps/libcuda.so", "../libcuda.so"];
    places.iter().map(|place| folder.join(place)).find(|path| path.is_file()).ok_or_else(|| {
        InstallError(format!(
            "{LIBRARY} of softgpu is not beside {}; build the package softgpu-driver (cargo does \
             for a dev-dependency) or name the file in SOFTGPU_LIBRARY",
            program.display()
        ))
    })
}
