//! What every test file here starts from: a softgpu of its own and the way to ask for a driver
//! error.
#![allow(dead_code)]

use std::sync::Arc;

use cuda::{Alone, Options};
use cudarc::driver::sys::CUresult;
use cudarc::driver::{CudaContext, CudaModule, DriverError};
use cudarc::nvrtc::{CompileOptions, compile_ptx_with_opts};

/// A softgpu with these settings for this test alone, and its first card.
pub fn card(options: Options) -> (Alone, Arc<CudaContext>) {
    let gpu = options.alone().expect("softgpu is built beside the tests");
    let context = CudaContext::new(0).expect("the first card is there");
    (gpu, context)
}

/// The error code of a call that must fail.
pub fn code<T>(result: Result<T, DriverError>) -> CUresult {
    match result {
        Ok(_) => CUresult::CUDA_SUCCESS,
        Err(DriverError(code)) => code,
    }
}

/// Compiles CUDA source with line information and loads it.
pub fn compile(context: &Arc<CudaContext>, source: &str) -> Arc<CudaModule> {
    let options = CompileOptions {
        arch: Some("compute_80"),
        options: vec!["-lineinfo".to_owned()],
        name: Some("kernels.cu".to_owned()),
        ..Default::default()
    };
    let options = CompileOptions {
        arch: if capability(context) < 80 { Some("compute_75") } else { options.arch },
        ..options
    };
    let ptx = compile_ptx_with_opts(source, options).expect("the source compiles");
    context.load_module(ptx).expect("the module loads")
}

fn capability(context: &Arc<CudaContext>) -> i32 {
    let (major, minor) = context.compute_capability().expect("the card says");
    10 * major + minor
}
