//! The driver's result codes, with the names and sentences that `cuGetErrorName` and
//! `cuGetErrorString` give.

use std::ffi::CStr;

/// Declares the codes once: constant, number, sentence.
macro_rules! results {
    ($($name:ident = $code:literal, $text:literal;)*) => {
        /// A failed driver call, by the names of `cuda.h` without their prefix.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(u32)]
        #[allow(clippy::upper_case_acronyms, non_camel_case_types, missing_docs)]
        pub enum CuError { $($name = $code),* }

        impl CuError {
            /// The error with this number, if softgpu knows it.
            pub fn from_code(code: u32) -> Option<CuError> {
                match code { $($code => Some(CuError::$name),)* _ => None }
            }

            /// The constant of `cuda.h`, NUL-terminated for C.
            pub fn c_name(self) -> &'static CStr {
                match self { $(CuError::$name => {
                    const NAME: &str = concat!("CUDA_ERROR_", stringify!($name), "\0");
                    cstr(NAME)
                })* }
            }

            /// What it means, in one sentence, NUL-terminated for C.
            pub fn c_text(self) -> &'static CStr {
                match self { $(CuError::$name => cstr(concat!($text, "\0")),)* }
            }
        }
    };
}

const fn cstr(text: &'static str) -> &'static CStr {
    match CStr::from_bytes_with_nul(text.as_bytes()) {
        Ok(text) => text,
        Err(_) => c"?",
    }
}

results! {
    INVALID_VALUE = 1, "an argument is out of range";
    OUT_OF_MEMORY = 2, "out of memory";
    NOT_INITIALIZED = 3, "cuInit was not called";
    DEINITIALIZED = 4, "the driver is shutting down";
    NO_DEVICE = 100, "there is no CUDA device";
    INVALID_DEVICE = 101, "there is no device of this number";
    INVALID_IMAGE = 200, "the module image cannot be read";
    INVALID_CONTEXT = 201, "no context is current, or not this one";
    NO_BINARY_FOR_GPU = 209, "the code is for another architecture than the device";
    UNSUPPORTED_LIMIT = 215, "the device has no such limit";
    INVALID_PTX = 218, "the PTX was refused";
    UNSUPPORTED_PTX_VERSION = 222, "the PTX is newer than the driver";
    FILE_NOT_FOUND = 301, "file not found";
    OPERATING_SYSTEM = 304, "the operating system refused a call";
    INVALID_HANDLE = 400, "the handle names no living object";
    ILLEGAL_STATE = 401, "not possible in the present state";
    NOT_FOUND = 500, "no symbol of this name";
    NOT_READY = 600, "the work is not complete yet";
    ILLEGAL_ADDRESS = 700, "a kernel or copy touched memory outside its allocations";
    LAUNCH_OUT_OF_RESOURCES = 701, "the launch needs more resources than the device has";
    LAUNCH_TIMEOUT = 702, "the kernel ran too long and was stopped";
    PRIMARY_CONTEXT_ACTIVE = 708, "the primary context is in use";
    CONTEXT_IS_DESTROYED = 709, "the context was destroyed";
    ASSERT = 710, "an assert in a kernel failed";
    ILLEGAL_INSTRUCTION = 715, "a kernel executed an illegal instruction or a trap";
    MISALIGNED_ADDRESS = 716, "a kernel used an address that is not aligned for its access";
    INVALID_ADDRESS_SPACE = 717, "a kernel used an address in the wrong state space";
    LAUNCH_FAILED = 719, "the kernel failed";
    COOPERATIVE_LAUNCH_TOO_LARGE = 720, "the blocks of a cooperative launch cannot all be resident";
    NOT_PERMITTED = 800, "the call is not permitted here";
    NOT_SUPPORTED = 801, "the call is not supported";
    STREAM_CAPTURE_UNSUPPORTED = 900, "the call cannot be made while a stream captures";
    STREAM_CAPTURE_INVALIDATED = 901, "an earlier error spoiled the capture";
    STREAM_CAPTURE_MERGE = 902, "two captures would become one";
    STREAM_CAPTURE_UNMATCHED = 903, "the capture began on another stream";
    STREAM_CAPTURE_UNJOINED = 904, "a captured stream was not joined to the one that the capture began on";
    STREAM_CAPTURE_ISOLATION = 905, "captured work would wait for work outside the capture";
    STREAM_CAPTURE_IMPLICIT = 906, "the legacy default stream would wait for a capturing stream";
    CAPTURED_EVENT = 907, "the event was last recorded in a capture";
    STREAM_CAPTURE_WRONG_THREAD = 908, "the capture was begun by another thread";
    GRAPH_EXEC_UPDATE_FAILURE = 910, "the graph cannot be updated in this way";
    UNKNOWN = 999, "unknown error";
}

impl CuError {
    /// The number a C caller sees.
    pub fn code(self) -> u32 {
        self as u32
    }
}

/// What driver functions return inside the crate.
pub type Result<T, E = CuError> = std::result::Result<T, E>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_numbers_are_those_of_cuda_h() {
        assert_eq!(CuError::INVALID_VALUE.code(), 1);
        assert_eq!(CuError::ILLEGAL_ADDRESS.c_name(), c"CUDA_ERROR_ILLEGAL_ADDRESS");
        assert_eq!(CuError::from_code(907), Some(CuError::CAPTURED_EVENT));
        assert_eq!(CuError::from_code(12345), None);
    }
}
