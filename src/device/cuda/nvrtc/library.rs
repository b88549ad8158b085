//! One libnvrtc and the functions of it that we call.
//!
//! They are taken from the very file: a search by name would mix two that a machine has, and a
//! function that an older one lacks is an error here.
#![allow(unsafe_code)]

use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::path::Path;
use std::ptr::null_mut;

type Handle = *mut c_void;

/// The functions by their names in `nvrtc.h`; each answers 0 or the number of an error, but for the
/// one that tells what such a number means.
macro_rules! functions {
    ($($name:ident($($arg:ty),*);)*) => {
        /// NVRTC, loaded for good.
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
    /// Loads the library at `place`, a file or a name that the system knows.
    ///
    /// # Errors
    /// The loader's reason; a function that is not in it.
    pub fn open(place: &Path) -> std::result::Result<Self, libloading::Error> {
        // NVRTC opens its built-in functions by their bare name; beside a library that no search
        // path leads to, they are found only if they are loaded already.
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

    /// What an error's number means; `None` where it is none.
    fn said(&self, code: c_int) -> Result<(), String> {
        if code == 0 {
            return Ok(());
        }
        // SAFETY: it answers a text that is part of the library for any number.
        let text = unsafe { CStr::from_ptr((self.nvrtcGetErrorString)(code)) };
        Err(text.to_string_lossy().into_owned())
    }

    /// Its version.
    ///
    /// # Errors
    /// What it says.
    pub fn version(&self) -> Result<(i32, i32), String> {
        let (mut major, mut minor) = (0, 0);
        // SAFETY: it writes one int to each.
        self.said(unsafe { (self.nvrtcVersion)(&mut major, &mut minor) })?;
        Ok((major, minor))
    }

    /// What it compiles for: 75, 80, ...
    ///
    /// # Errors
    /// What it says.
    pub fn architectures(&self) -> Result<Vec<i32>, String> {
        let mut count = 0;
        // SAFETY: it writes one int.
        self.said(unsafe { (self.nvrtcGetNumSupportedArchs)(&mut count) })?;
        let mut all = vec![0; usize::try_from(count).unwrap_or(0)];
        // SAFETY: it writes as many ints as it said just above.
        self.said(unsafe { (self.nvrtcGetSupportedArchs)(all.as_mut_ptr()) })?;
        Ok(all)
    }

    /// A program of a source that may include `headers`, each with its name first.
    ///
    /// # Errors
    /// What it says.
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
    /// What kind of error it is; [`NvrtcProgram::log`] has the lines.
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

    /// What the compiler and its assembler say.
    ///
    /// # Errors
    /// What the library says.
    pub fn log(&self) -> Result<String, String> {
        self.text(self.library.nvrtcGetProgramLogSize, self.library.nvrtcGetProgramLog)
    }

    /// PTX of a compiled program.
    ///
    /// # Errors
    /// What the library says.
    pub fn ptx(&self) -> Result<String, String> {
        self.text(self.library.nvrtcGetPTXSize, self.library.nvrtcGetPTX)
    }

    /// Machine code of a compiled program, where its options named a real architecture.
    ///
    /// # Errors
    /// What the library says.
    pub fn cubin(&self) -> Result<Vec<u8>, String> {
        self.get(self.library.nvrtcGetCUBINSize, self.library.nvrtcGetCUBIN)
    }
}
