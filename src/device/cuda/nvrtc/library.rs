//! One loaded libnvrtc, and the functions of it that we call.
//!
//! The functions are looked up in the file itself: a search by the library's name could mix two
//! versions on one machine. A function that an older version lacks is an error when it is loaded.
#![allow(unsafe_code)]

use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::path::Path;
use std::ptr::null_mut;

type Handle = *mut c_void;

/// Declares the functions by their names in `nvrtc.h`. Each returns 0 or an error code, except
/// `nvrtcGetErrorString`, which returns the text for a code.
macro_rules! functions {
    ($($name:ident($($arg:ty),*);)*) => {
        /// NVRTC, loaded for the life of the process.
        #[derive(Clone, Copy, Debug)]
        #[allow(non_snake_case)]
        pub struct Library {
            nvrtcGetErrorString: unsafe extern "C" fn(c_int) -> *const c_char,
            $($name: unsafe extern "C" fn($($arg),*) -> c_int,)*
        }

        impl Library {
            fn of(library: &libloading::Library) -> std::result::Result<Self, libloading::Error> {
                // SAFETY: the types are those of `nvrtc.h`, the same from CUDA 11.2 to 13; `open`
                // keeps the library for as long as the process lives.
                unsafe {
                    Ok(Library {
                        nvrtcGetErrorString: *library.get(c"nvrtcGetErrorString".to_bytes_with_nul())?,
                        $($name: *library.get(concat!(stringify!($name), "\0").as_bytes())?,)*
                    })
                }
            }
        }
    };
}

functions! {
    nvrtcVersion(*mut c_int, *mut c_int);
    nvrtcGetNumSupportedArchs(*mut c_int);
    nvrtcGetSupportedArchs(*mut c_int);
    nvrtcCreateProgram(
        *mut Handle, *const c_char, *const c_char, c_int, *const *const c_char, *const *const c_char
    );
    nvrtcDestroyProgram(*mut Handle);
    nvrtcCompileProgram(Handle, c_int, *const *const c_char);
    nvrtcGetProgramLogSize(Handle, *mut usize);
    nvrtcGetProgramLog(Handle, *mut c_char);
    nvrtcGetPTXSize(Handle, *mut usize);
    nvrtcGetPTX(Handle, *mut c_char);
    nvrtcGetCUBINSize(Handle, *mut usize);
    nvrtcGetCUBIN(Handle, *mut c_char);
}

type GetSize = unsafe extern "C" fn(Handle, *mut usize) -> c_int;
type Get = unsafe extern "C" fn(Handle, *mut c_char) -> c_int;

/// A program of NVRTC, destroyed at the end.
pub struct NvrtcProgram {
    library: Library,
    handle: Handle,
}

impl Drop for NvrtcProgram {
    fn drop(&mut self) {
        // SAFETY: made by `nvrtcCreateProgram` in `Library::program`, destroyed here alone.
        unsafe { (self.library.nvrtcDestroyProgram)(&mut self.handle) };
    }
}

impl Library {
    /// Loads the library at `place`, a file or a name that the system's loader searches for.
    ///
    /// # Errors
    /// The loader's reason, or a function that the library lacks.
    pub fn open(place: &Path) -> std::result::Result<Self, libloading::Error> {
        // NVRTC loads its library of built-in functions by its bare name. Where no search path
        // leads to that, it is found only if it has been loaded already.
        for file in place.parent().map(super::list).unwrap_or_default() {
            if super::file_name(&file).starts_with("libnvrtc-builtins.so") {
                // SAFETY: as for NVRTC itself, of which it is a part.
                let _ = unsafe { libloading::Library::new(&file) }.map(std::mem::forget);
            }
        }
        // SAFETY: loading runs NVRTC's own initialisers, as linking to it would.
        let library = unsafe { libloading::Library::new(place) }?;
        let functions = Library::of(&library)?;
        std::mem::forget(library);
        Ok(functions)
    }

    /// The error that a code stands for; `Ok` for 0.
    fn said(&self, code: c_int) -> Result<(), String> {
        if code == 0 {
            return Ok(());
        }
        // SAFETY: for any code it returns a C string that is part of the library.
        let text = unsafe { CStr::from_ptr((self.nvrtcGetErrorString)(code)) };
        Err(text.to_string_lossy().into_owned())
    }

    /// Its version, major and minor.
    ///
    /// # Errors
    /// What the library reports.
    pub fn version(&self) -> Result<(i32, i32), String> {
        let (mut major, mut minor) = (0, 0);
        // SAFETY: it writes one int to each.
        self.said(unsafe { (self.nvrtcVersion)(&mut major, &mut minor) })?;
        Ok((major, minor))
    }

    /// The architectures that it compiles for: 75, 80, ...
    ///
    /// # Errors
    /// What the library reports.
    pub fn architectures(&self) -> Result<Vec<i32>, String> {
        let mut count = 0;
        // SAFETY: it writes one int.
        self.said(unsafe { (self.nvrtcGetNumSupportedArchs)(&mut count) })?;
        let mut all = vec![0; usize::try_from(count).unwrap_or(0)];
        // SAFETY: it writes as many ints as it said just above.
        self.said(unsafe { (self.nvrtcGetSupportedArchs)(all.as_mut_ptr()) })?;
        Ok(all)
    }

    /// A program from a source that may include `headers`, each given as (name, text).
    ///
    /// # Errors
    /// What the library reports.
    pub fn program(
        &self,
        (name, source): (&CStr, &CStr),
        headers: &[(CString, CString)],
    ) -> Result<NvrtcProgram, String> {
        let names: Vec<*const c_char> = headers.iter().map(|(name, _)| name.as_ptr()).collect();
        let bodies: Vec<*const c_char> = headers.iter().map(|(_, body)| body.as_ptr()).collect();
        let mut handle = null_mut();
        // SAFETY: all strings end in a zero byte and live until the call has copied them; the two
        // lists have the length given.
        let code = unsafe {
            (self.nvrtcCreateProgram)(
                &mut handle,
                source.as_ptr(),
                name.as_ptr(),
                names.len() as c_int,
                bodies.as_ptr(),
                names.as_ptr(),
            )
        };
        self.said(code)?;
        Ok(NvrtcProgram { library: *self, handle })
    }
}

impl NvrtcProgram {
    /// Compiles it.
    ///
    /// # Errors
    /// The kind of error; [`NvrtcProgram::log`] has the compiler's messages.
    pub fn compile(&self, options: &[CString]) -> Result<(), String> {
        let options: Vec<*const c_char> = options.iter().map(|option| option.as_ptr()).collect();
        let compile = self.library.nvrtcCompileProgram;
        // SAFETY: the program is alive, the options end in a zero byte and live here.
        self.library.said(unsafe { compile(self.handle, options.len() as c_int, options.as_ptr()) })
    }

    fn get(&self, size: GetSize, get: Get) -> Result<Vec<u8>, String> {
        let mut len = 0;
        // SAFETY: the program is alive; it writes one number.
        self.library.said(unsafe { size(self.handle, &mut len) })?;
        let mut bytes = vec![0u8; len];
        if len == 0 {
            return Ok(bytes);
        }
        // SAFETY: it writes as many bytes as it said just above.
        self.library.said(unsafe { get(self.handle, bytes.as_mut_ptr().cast()) })?;
        Ok(bytes)
    }

    fn text(&self, size: GetSize, get: Get) -> Result<String, String> {
        let mut bytes = self.get(size, get)?;
        bytes.truncate(bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len()));
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// The messages of the compiler and its assembler.
    ///
    /// # Errors
    /// What the library reports.
    pub fn log(&self) -> Result<String, String> {
        self.text(self.library.nvrtcGetProgramLogSize, self.library.nvrtcGetProgramLog)
    }

    /// PTX of a compiled program.
    ///
    /// # Errors
    /// What the library reports.
    pub fn ptx(&self) -> Result<String, String> {
        self.text(self.library.nvrtcGetPTXSize, self.library.nvrtcGetPTX)
    }

    /// Machine code of a compiled program; empty unless its options named a real architecture.
    ///
    /// # Errors
    /// What the library reports.
    pub fn cubin(&self) -> Result<Vec<u8>, String> {
        self.get(self.library.nvrtcGetCUBINSize, self.library.nvrtcGetCUBIN)
    }
}
