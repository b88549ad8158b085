//! A CUDA program that knows nothing of softgpu: it names its card and adds two vectors. Try
//! `softgpu run --device t4 -- target/debug/examples/hello`.
//!
//! With the argument `beyond` its kernel is launched over more elements than there are.

use cudarc::driver::{CudaContext, DriverError, LaunchConfig, PushKernelArg};
use cudarc::nvrtc::Ptx;

/// `y[i] += x[i]` with no look at the length.
const ADD: &str = r"
.version 7.0
.target sm_75
.address_size 64
.visible .entry add(.param .u64 x, .param .u64 y) {
    .reg .b32 %r<4>;
    .reg .b64 %rd<6>;
    .reg .f32 %f<4>;
    mov.u32 %r1, %tid.x;
    mul.wide.u32 %rd1, %r1, 4;
    ld.param.u64 %rd2, [x];
    ld.param.u64 %rd3, [y];
    add.s64 %rd4, %rd2, %rd1;
    add.s64 %rd5, %rd3, %rd1;
    ld.global.f32 %f1, [%rd4];
    ld.global.f32 %f2, [%rd5];
    add.rn.f32 %f3, %f1, %f2;
    st.global.f32 [%rd5], %f3;
    ret;
}
";

fn main() -> Result<(), DriverError> {
    let beyond = std::env::args().nth(1).is_some_and(|argument| argument == "beyond");
    let context = CudaContext::new(0)?;
    println!("card: {}", context.name()?);
    let stream = context.default_stream();
    let add = context.load_module(Ptx::from_src(ADD))?.load_function("add")?;
    let x = stream.clone_htod(&[1.0f32; 64])?;
    let mut y = stream.clone_htod(&[2.0f32; 64])?;
    let threads = if beyond { 65 } else { 64 };
    let config =
        LaunchConfig { grid_dim: (1, 1, 1), block_dim: (threads, 1, 1), shared_mem_bytes: 0 };
    // SAFETY: two vectors of 64, one element a thread; `beyond` breaks this to show what happens.
    unsafe { stream.launch_builder(&add).arg(&x).arg(&mut y).launch(config) }?;
    println!("sum: {}", stream.clone_dtoh(&y)?.iter().sum::<f32>());
    Ok(())
}
