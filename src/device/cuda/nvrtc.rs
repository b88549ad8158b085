//! NVIDIA's run-time compiler: where it is, and what it makes of our kernels.
#![allow(unsafe_code)]

use std::ffi::{CStr, CString, c_char};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use cudarc::nvrtc::{result, sys};
use libloading::Library;

use crate::error::{Error, Result};

/// The variable that names a libnvrtc to use.
pub const VARIABLE: &str = "PIX2PIX_NVRTC";
/// The names under which a system has it, newest first.
const NAMES: [&str; 4] = ["libnvrtc.so.13", "libnvrtc.so.12", "libnvrtc.so.11.2", "libnvrtc.so"];

/// NVRTC, loaded.
#[derive(Clone, Debug)]
pub struct Nvrtc {
    /// Where it was found: a file, or a name that the system knows.
    pub path: PathBuf,
    /// Its version.
    pub version: (i32, i32),
    /// What it compiles for: 75, 80, ...
    pub architectures: Vec<i32>,
}

/// What a file of kernels became.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Compiled {
    /// For the driver to translate.
    pub ptx: String,
    /// For the very architecture; empty where NVRTC does not know it.
    pub cubin: Vec<u8>,
    /// What the compiler and its assembler say; empty where the cache had the rest.
    pub log: String,
}

/// Loads NVRTC, the first that is there of: the file that `PIX2PIX_NVRTC` names, the system's, that
/// of a CUDA toolkit, that of a Python environment (the package `nvidia-cuda-nvrtc`).
///
/// # Errors
/// [`Error::Machine`] with what was looked for and how to get it.
pub fn find() -> Result<Nvrtc> {
    static FOUND: OnceLock<std::result::Result<Nvrtc, String>> = OnceLock::new();
    FOUND.get_or_init(look).clone().map_err(Error::machine)
}

fn look() -> std::result::Result<Nvrtc, String> {
    if let Some(path) = std::env::var_os(VARIABLE).map(PathBuf::from) {
        return open(&path)
            .ok_or_else(|| format!("{VARIABLE} names {}, which is no libnvrtc", path.display()));
    }
    places().iter().find_map(|place| open(place)).ok_or_else(|| {
        format!(
            "there is no NVRTC, the compiler of CUDA kernels (libnvrtc.so); install the CUDA toolkit, or \
             `pip install nvidia-cuda-nvrtc`, and set {VARIABLE} to the file if it is not found by \
             itself"
        )
    })
}

/// Where it may be, best first.
fn places() -> Vec<PathBuf> {
    let mut places: Vec<PathBuf> = NAMES.map(PathBuf::from).into();
    let var = |name: &str| std::env::var_os(name).map(PathBuf::from);
    let mut folders: Vec<PathBuf> = Vec::new();
    for toolkit in ["CUDA_HOME", "CUDA_PATH", "CUDA_ROOT"].iter().filter_map(|name| var(name)) {
        folders.push(toolkit.join("lib64"));
    }
    let toolkits = list(Path::new("/usr/local")).into_iter().rev();
    folders.extend(toolkits.filter(|p| file_name(p).starts_with("cuda")).map(|p| p.join("lib64")));
    let environments = ["VIRTUAL_ENV", "CONDA_PREFIX"].iter().filter_map(|name| var(name));
    let users = var("HOME").map(|home| home.join(".local"));
    let roots = ["/usr/local", "/usr", "/opt/conda"].map(PathBuf::from);
    for root in environments.chain(users).chain(roots) {
        for python in list(&root.join("lib")).iter().filter(|p| file_name(p).starts_with("python"))
        {
            for packages in ["site-packages", "dist-packages"] {
                let nvidia = list(&python.join(packages).join("nvidia"));
                folders.extend(nvidia.into_iter().map(|p| p.join("lib")));
            }
        }
    }
    for folder in folders {
        let mut here = list(&folder);
        here.retain(|p| file_name(p).starts_with("libnvrtc.so"));
        // The newest major version.
        places.extend(here.into_iter().rev());
    }
    places
}

fn file_name(path: &Path) -> &str {
    path.file_name().and_then(|name| name.to_str()).unwrap_or_default()
}

/// What a folder holds, in order; nothing where it cannot be read.
fn list(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut all: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
    all.sort();
    all
}

fn open(place: &Path) -> Option<Nvrtc> {
    // NVRTC opens its built-in functions by their bare name; beside a library that no search path
    // leads to, they are found only if they are loaded already.
    for file in place.parent().map(list).unwrap_or_default() {
        if file_name(&file).starts_with("libnvrtc-builtins.so") {
            // SAFETY: as for NVRTC itself, of which it is a part.
            let _ = unsafe { Library::new(&file) }.map(std::mem::forget);
        }
    }
    // SAFETY: loading runs NVRTC's own initialisers, as linking to it would.
    let library = unsafe { Library::new(place) }.ok()?;
    // Kept for good: cudarc's own search by name then finds it by the name it calls itself.
    std::mem::forget(library);
    // SAFETY: it only asks whether the search by name succeeds; cudarc would panic at the first call
    // where it does not.
    if !unsafe { sys::is_culib_present() } {
        return None;
    }
    let (mut major, mut minor, mut count) = (0, 0, 0);
    // SAFETY: both write one int each to where they are told, and the library is there.
    unsafe {
        sys::nvrtcVersion(&mut major, &mut minor).result().ok()?;
        sys::nvrtcGetNumSupportedArchs(&mut count).result().ok()?;
    }
    let mut architectures = vec![0; usize::try_from(count).ok()?];
    // SAFETY: it writes as many ints as it said just above.
    unsafe { sys::nvrtcGetSupportedArchs(architectures.as_mut_ptr()).result().ok()? };
    Some(Nvrtc { path: place.to_path_buf(), version: (major, minor), architectures })
}

/// A program of NVRTC, destroyed at the end.
struct Program(sys::nvrtcProgram);

impl Drop for Program {
    fn drop(&mut self) {
        // SAFETY: made by `nvrtcCreateProgram` in `compile`, used nowhere else, destroyed once.
        let _ = unsafe { result::destroy_program(self.0) };
    }
}

impl Nvrtc {
    /// The architecture to compile for on a device of compute capability `device` (80 for 8.0): its
    /// own, or the newest that NVRTC knows below it.
    ///
    /// # Errors
    /// [`Error::Machine`] where this NVRTC compiles for newer devices alone.
    pub fn architecture(&self, device: i32) -> Result<i32> {
        let known = self.architectures.iter().copied().filter(|a| *a <= device).max();
        known.ok_or_else(|| {
            let oldest = self.architectures.iter().copied().min().unwrap_or(0);
            Error::machine(format!(
                "this GPU is of compute capability {}.{}, NVRTC {}.{} compiles for {}.{} and newer; \
                 install an older NVRTC and name it in {VARIABLE}",
                device / 10,
                device % 10,
                self.version.0,
                self.version.1,
                oldest / 10,
                oldest % 10
            ))
        })
    }

    /// Compiles the file `name` of `files`, which may include the others.
    ///
    /// # Errors
    /// [`Error::Machine`] with what the compiler says, which names the file and the line.
    pub fn compile(
        &self,
        name: &str,
        files: &[(String, String)],
        options: &[String],
    ) -> Result<Compiled> {
        let text =
            |s: &str| CString::new(s).map_err(|_| Error::machine(format!("{name}: a zero byte")));
        let source = files.iter().find(|(file, _)| file == name);
        let source =
            source.ok_or_else(|| Error::machine(format!("there is no kernel file {name}")))?;
        let (source, file) = (text(&source.1)?, text(name)?);
        let headers: Vec<(CString, CString)> = files
            .iter()
            .filter(|(file, _)| file.ends_with(".cuh"))
            .map(|(file, body)| Ok((text(file)?, text(body)?)))
            .collect::<Result<_>>()?;
        let names: Vec<*const c_char> = headers.iter().map(|(name, _)| name.as_ptr()).collect();
        let bodies: Vec<*const c_char> = headers.iter().map(|(_, body)| body.as_ptr()).collect();
        let mut program = std::ptr::null_mut();
        let said =
            |what: &str, e: result::NvrtcError| Error::machine(format!("{name}: {what}: {e:?}"));
        // SAFETY: all strings live until the end of this function and end in a zero byte; the two
        // lists have the length given.
        let created = unsafe {
            sys::nvrtcCreateProgram(
                &mut program,
                source.as_ptr(),
                file.as_ptr(),
                names.len() as i32,
                bodies.as_ptr(),
                names.as_ptr(),
            )
        };
        created.result().map_err(|e| said("NVRTC refuses it", e))?;
        let program = Program(program);
        // SAFETY: the program was created just above.
        let done = unsafe { result::compile_program(program.0, options) };
        // SAFETY: as above; the log ends in a zero byte.
        let log = unsafe { result::get_program_log(program.0) }.unwrap_or_default();
        let log: Vec<u8> = log.iter().map(|&c| c as u8).collect();
        let log = CStr::from_bytes_until_nul(&log).map(CStr::to_string_lossy);
        let log = log.unwrap_or_default().into_owned();
        if let Err(e) = done {
            return Err(Error::machine(format!(
                "{name} does not compile ({e:?}):\n{}",
                log.trim()
            )));
        }
        // SAFETY: the program was compiled; NVRTC says how long what it writes is.
        let ptx = unsafe { result::get_ptx(program.0) }.map_err(|e| said("no PTX", e))?;
        let ptx: Vec<u8> = ptx.iter().map(|&c| c as u8).take_while(|&c| c != 0).collect();
        let ptx = String::from_utf8(ptx)
            .map_err(|_| Error::machine(format!("{name}: PTX is no text")))?;
        let mut len = 0;
        let mut cubin = Vec::new();
        // SAFETY: the size is asked for first, and that many bytes are there to be written.
        unsafe {
            if sys::nvrtcGetCUBINSize(program.0, &mut len).result().is_ok() && len > 0 {
                cubin = vec![0u8; len];
                let got = sys::nvrtcGetCUBIN(program.0, cubin.as_mut_ptr().cast()).result();
                got.map_err(|e| said("no machine code", e))?;
            }
        }
        Ok(Compiled { ptx, cubin, log })
    }
}
