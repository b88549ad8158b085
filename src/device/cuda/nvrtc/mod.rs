//! NVRTC, NVIDIA's run-time compiler: finding it, and compiling kernels with it.

mod library;

use std::ffi::CString;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use self::library::Library;
use crate::error::settings::DEVICE;
use crate::error::{Error, Result};

/// The environment variable that names a libnvrtc to use.
pub const VARIABLE: &str = "PIX2PIX_NVRTC";
/// The names under which the system's loader may find it, newest first.
const NAMES: [&str; 4] = ["libnvrtc.so.13", "libnvrtc.so.12", "libnvrtc.so.11.2", "libnvrtc.so"];
/// The oldest compute capability that the kernels are written for.
const OLDEST: i32 = 60;

/// NVRTC, loaded.
#[derive(Clone, Debug)]
pub struct Nvrtc {
    /// Where it was found: a file, or a name that the system's loader found.
    pub path: PathBuf,
    /// Its version, major and minor.
    pub version: (i32, i32),
    /// The architectures that it compiles for: 75, 80, ...
    pub architectures: Vec<i32>,
    library: Library,
}

/// A compiled kernel file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Compiled {
    /// PTX, for the driver to translate.
    pub ptx: String,
    /// Machine code for the architecture that was compiled for.
    pub cubin: Vec<u8>,
    /// Messages of the compiler and its assembler; empty when it comes from the cache.
    pub log: String,
}

/// Loads the first NVRTC that is found: the file that `PIX2PIX_NVRTC` names, the system's, that of
/// a CUDA toolkit, that of a Python environment (packages `nvidia-cuda-nvrtc` and
/// `nvidia-cuda-nvrtc-cu12`).
///
/// # Errors
/// [`Error::Machine`] where there is none, with how to install it.
pub fn find() -> Result<Nvrtc> {
    static FOUND: OnceLock<std::result::Result<Nvrtc, String>> = OnceLock::new();
    FOUND.get_or_init(look).clone().map_err(Error::machine)
}

/// Loads an NVRTC that compiles for a device of compute capability `device` (80 for 8.0): the one
/// that [`find`] finds, or the next in its order that compiles for so old a device. NVRTC 13
/// compiles for 7.5 and newer, NVRTC 12 for 5.0 and newer.
///
/// # Errors
/// [`Error::Machine`] as [`find`]; where every NVRTC found compiles only for newer devices; where
/// the kernels do not support so old a device.
pub fn find_for(device: i32) -> Result<Nvrtc> {
    let first = find()?;
    let Err(why) = first.architecture(device) else { return Ok(first) };
    if device < OLDEST || std::env::var_os(VARIABLE).is_some() {
        return Err(why);
    }
    let others = places().into_iter().filter_map(|place| Nvrtc::open(&place).ok());
    others.into_iter().find(|nvrtc| nvrtc.architecture(device).is_ok()).ok_or(why)
}

fn look() -> std::result::Result<Nvrtc, String> {
    if let Some(path) = std::env::var_os(VARIABLE).map(PathBuf::from) {
        return Nvrtc::open(&path)
            .map_err(|_| format!("{VARIABLE} names {}, which is no libnvrtc", path.display()));
    }
    places().iter().find_map(|place| Nvrtc::open(place).ok()).ok_or_else(|| {
        format!(
            "there is no NVRTC, the compiler of CUDA kernels (libnvrtc.so); install the CUDA toolkit, or \
             `pip install nvidia-cuda-nvrtc`, and set {VARIABLE} to the file if it is not found by \
             itself"
        )
    })
}

/// Where it may be, in order of preference.
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

/// The entries of a folder, sorted; none where it cannot be read.
fn list(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut all: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
    all.sort();
    all
}

impl Nvrtc {
    /// Loads the library at `place`, a file or a name that the system's loader searches for.
    ///
    /// # Errors
    /// [`Error::Machine`] where there is none, or it lacks a function that is needed.
    pub fn open(place: &Path) -> Result<Self> {
        let said = |why: String| Error::machine(format!("{}: {why}", place.display()));
        let library = Library::open(place).map_err(|why| said(why.to_string()))?;
        let version = library.version().map_err(said)?;
        let architectures = library.architectures().map_err(said)?;
        Ok(Nvrtc { path: place.to_path_buf(), version, architectures, library })
    }

    /// The architecture to compile for on a device of compute capability `device` (80 for 8.0): its
    /// own, or the newest older one that NVRTC compiles for.
    ///
    /// # Errors
    /// [`Error::Machine`] where this NVRTC compiles only for newer devices, or the kernels do not
    /// support so old a device.
    pub fn architecture(&self, device: i32) -> Result<i32> {
        let dotted = |capability: i32| format!("{}.{}", capability / 10, capability % 10);
        let this = dotted(device);
        if device < OLDEST {
            return Err(Error::machine(format!(
                "this GPU is of compute capability {this}, kernels are for {} and newer; use \
                 {DEVICE} cpu",
                dotted(OLDEST)
            )));
        }
        let known = self.architectures.iter().copied().filter(|a| *a <= device).max();
        known.ok_or_else(|| {
            let (major, minor) = self.version;
            let oldest = self.architectures.iter().copied().min().unwrap_or(0);
            Error::machine(format!(
                "this GPU is of compute capability {this}, NVRTC {major}.{minor} compiles for {} and \
                 newer; install NVRTC 12 beside it (`pip install nvidia-cuda-nvrtc-cu12`), and set \
                 {VARIABLE} to its libnvrtc.so.12 if it is not found by itself",
                dotted(oldest)
            ))
        })
    }

    /// Compiles the file `name` of `files`, which are (name, text) and may include each other.
    ///
    /// # Errors
    /// [`Error::Machine`] with the compiler's messages, which name the file and the line.
    pub fn compile(
        &self,
        name: &str,
        files: &[(String, String)],
        options: &[String],
    ) -> Result<Compiled> {
        let text =
            |s: &str| CString::new(s).map_err(|_| Error::machine(format!("{name}: a zero byte")));
        let said = |what: &str| {
            let what = format!("{name}: {what}");
            move |why: String| Error::machine(format!("{what}: {why}"))
        };
        let source = files.iter().find(|(file, _)| file == name);
        let source =
            source.ok_or_else(|| Error::machine(format!("there is no kernel file {name}")))?;
        let headers = files.iter().filter(|(file, _)| file.ends_with(".cuh"));
        let headers = headers.map(|(file, body)| Ok((text(file)?, text(body)?)));
        let headers: Vec<(CString, CString)> = headers.collect::<Result<_>>()?;
        let options: Vec<CString> = options.iter().map(|o| text(o)).collect::<Result<_>>()?;
        let program = self.library.program((&text(name)?, &text(&source.1)?), &headers);
        let program = program.map_err(said("NVRTC refuses it"))?;
        let done = program.compile(&options);
        let log = program.log().unwrap_or_default();
        if let Err(why) = done {
            let log = log.trim();
            return Err(Error::machine(format!("{name} does not compile ({why}):\n{log}")));
        }
        let ptx = program.ptx().map_err(said("no PTX"))?;
        let cubin = program.cubin().map_err(said("no machine code"))?;
        Ok(Compiled { ptx, cubin, log })
    }
}
