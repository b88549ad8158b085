//! The errors of launches and modules, as a real driver gives them, and what a faulty kernel leaves
//! behind.

mod common;

use common::{card, code, compile};
use cuda::{Options, nvrtc};
use cudarc::driver::sys::{CUfunction_attribute as Attribute, CUresult};
use cudarc::driver::{CudaFunction, CudaStream, LaunchConfig, PushKernelArg};
use cudarc::nvrtc::Ptx;

/// A kernel that does nothing, so that only the launch matters; one with a declared block size; one
/// with shared memory.
const EMPTY: &str = r"
.version 7.0
.target sm_75
.address_size 64
.visible .entry empty() { ret; }
.visible .entry bounded() .maxntid 128, 1, 1 { ret; }
.visible .entry holder() { .shared .align 4 .b8 held[4096]; ret; }
.visible .entry one(.param .u64 one_param_0) { ret; }
";

fn config(grid: (u32, u32, u32), block: (u32, u32, u32), shared: u32) -> LaunchConfig {
    LaunchConfig { grid_dim: grid, block_dim: block, shared_mem_bytes: shared }
}

fn launch(stream: &CudaStream, kernel: &CudaFunction, config: LaunchConfig) -> CUresult {
    // SAFETY: the kernels launched with this take no arguments.
    code(unsafe { stream.launch_builder(kernel).launch(config) })
}

#[test]
fn limits_of_a_launch() {
    let (_gpu, context) = card(Options::new());
    let module = context.load_module(Ptx::from_src(EMPTY)).expect("a sound module");
    let stream = context.default_stream();
    let empty = module.load_function("empty").expect("it is there");
    let one = (1, 1, 1);
    let bad = CUresult::CUDA_ERROR_INVALID_VALUE;
    for (grid, block) in [
        ((0, 1, 1), one),
        (one, (0, 1, 1)),
        (one, (1025, 1, 1)),
        (one, (33, 32, 1)),
        (one, (1, 1, 65)),
        ((1, 65_536, 1), one),
        ((1, 1, 65_536), one),
        ((1 << 31, 1, 1), one),
        ((u32::MAX, u32::MAX, u32::MAX), (u32::MAX, u32::MAX, u32::MAX)),
    ] {
        assert_eq!(launch(&stream, &empty, config(grid, block, 0)), bad, "{grid:?} {block:?}");
    }
    assert_eq!(
        launch(&stream, &empty, config((1, 65_535, 1), (32, 32, 1), 0)),
        CUresult::CUDA_SUCCESS
    );
    let bounded = module.load_function("bounded").expect("it is there");
    assert_eq!(bounded.max_threads_per_block(), Ok(128));
    assert_eq!(launch(&stream, &bounded, config(one, (129, 1, 1), 0)), bad);
    assert_eq!(launch(&stream, &bounded, config(one, (128, 1, 1), 0)), CUresult::CUDA_SUCCESS);
    assert_eq!(context.synchronize(), Ok(()), "a refused launch leaves nothing behind");
    assert_eq!(code(module.load_function("absent").map(|_| ())), CUresult::CUDA_ERROR_NOT_FOUND);
}

#[test]
fn more_than_48_kib_of_shared_memory_must_be_asked_for() {
    for (device, most) in
        [("t4", 64 << 10), ("a100", 163 << 10), ("rtx3060", 99 << 10), ("h100", 227 << 10)]
    {
        let (_gpu, context) = card(Options::new().device(device));
        let module = context.load_module(Ptx::from_src(EMPTY)).expect("a sound module");
        let stream = context.default_stream();
        let kernel = module.load_function("holder").expect("it is there");
        let with = |shared| launch(&stream, &kernel, config((1, 1, 1), (32, 1, 1), shared));
        assert_eq!(kernel.shared_size_bytes(), Ok(4096));
        assert_eq!(with((48 << 10) - 4096), CUresult::CUDA_SUCCESS);
        assert_eq!(
            with((48 << 10) - 4095),
            CUresult::CUDA_ERROR_INVALID_VALUE,
            "static memory counts too"
        );
        let ask = Attribute::CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES;
        assert_eq!(
            code(kernel.set_attribute(ask, most - 4095)),
            CUresult::CUDA_ERROR_INVALID_VALUE
        );
        assert_eq!(kernel.set_attribute(ask, most - 4096), Ok(()));
        assert_eq!(with(most as u32 - 4096), CUresult::CUDA_SUCCESS, "{device}");
        assert_eq!(with(most as u32 - 4095), CUresult::CUDA_ERROR_INVALID_VALUE, "{device}");
        assert_eq!(context.synchronize(), Ok(()));
    }
}

#[test]
fn modules_that_the_driver_or_the_card_is_too_old_for() {
    let text = |version: &str, target: &str| {
        Ptx::from_src(format!(
            ".version {version}\n.target {target}\n.address_size 64\n.visible .entry k() {{ ret; }}\n"
        ))
    };
    let (gpu, context) = card(Options::new().device("a100").driver(12, 4).quiet(true));
    let load = |version, target| code(context.load_module(text(version, target)).map(|_| ()));
    assert_eq!(load("8.4", "sm_80"), CUresult::CUDA_SUCCESS);
    assert_eq!(load("7.0", "sm_75"), CUresult::CUDA_SUCCESS, "older is fine");
    assert_eq!(load("8.5", "sm_80"), CUresult::CUDA_ERROR_UNSUPPORTED_PTX_VERSION);
    assert_eq!(load("8.0", "sm_90"), CUresult::CUDA_ERROR_NO_BINARY_FOR_GPU);
    assert!(gpu.notes().iter().any(|note| note.contains("NVRTC")), "{:?}", gpu.notes());
    drop(context);
    drop(gpu);
    let (gpu, context) = card(Options::new().device("h100").driver(13, 0).quiet(true));
    assert_eq!(code(context.load_module(text("9.0", "sm_90")).map(|_| ())), CUresult::CUDA_SUCCESS);
    assert_eq!(
        code(context.load_module(text("9.1", "sm_90")).map(|_| ())),
        CUresult::CUDA_ERROR_UNSUPPORTED_PTX_VERSION
    );
    drop(context);
    drop(gpu);
    let (_gpu, context) = card(Options::new().device("p100").quiet(true));
    let load = |target| code(context.load_module(text("8.8", target)).map(|_| ()));
    assert_eq!(load("sm_60"), CUresult::CUDA_SUCCESS);
    assert_eq!(load("sm_61"), CUresult::CUDA_ERROR_NO_BINARY_FOR_GPU);
}

#[test]
fn modules_that_are_none() {
    let (gpu, context) = card(Options::new().quiet(true));
    let load = |text: &str| code(context.load_module(Ptx::from_src(text)).map(|_| ()));
    assert_eq!(load(""), CUresult::CUDA_ERROR_INVALID_IMAGE);
    assert_eq!(load("\x7fELF and so on"), CUresult::CUDA_ERROR_INVALID_IMAGE);
    assert_eq!(load("this is no PTX"), CUresult::CUDA_ERROR_INVALID_PTX);
    let beyond = EMPTY.replace("empty() { ret; }", "empty() { wgmma.fence.sync.aligned; ret; }");
    assert_eq!(load(&beyond), CUresult::CUDA_ERROR_INVALID_PTX);
    let why = gpu.notes().join("\n");
    assert!(why.contains("wgmma") && why.contains("line 5"), "opcode and line are named: {why}");
    let absent = context.load_module(Ptx::from_file("/nonexistent.ptx")).map(|_| ());
    assert_eq!(code(absent), CUresult::CUDA_ERROR_FILE_NOT_FOUND);
}

#[test]
fn a_missing_function_is_named() {
    let (_gpu, context) = card(Options::new());
    context.bind_to_thread().expect("alive");
    let panic = std::panic::catch_unwind(|| {
        // SAFETY: the function is not there to be called.
        unsafe { cudarc::driver::sys::cuArrayDestroy(std::ptr::null_mut()) }
    });
    let text = panic
        .expect_err("cudarc panics")
        .downcast::<String>()
        .map(|text| *text)
        .unwrap_or_default();
    assert!(text.contains("cuArrayDestroy"), "{text}");
}

const FAULTS: &str = r#"
#include <cassert>
extern "C" __global__ void beyond(int *x, int count) {
    x[count + threadIdx.x] = 1; // line 3 of what follows the include
}
extern "C" __global__ void crooked(char *x, int by) {
    *(int *)(x + by) = 1;
}
extern "C" __global__ void failing(int *x, int value) {
    assert(value == 0 && "the value is nought");
}
extern "C" __global__ void trapping(int *x, int value) {
    if (value != 0) __trap();
}
extern "C" __global__ void hanging(volatile int *x, int value) {
    while (*x != value) {}
}
"#;

#[test]
fn a_fault_stays_until_the_context_is_gone() {
    if !nvrtc::or_skip("a_fault_stays_until_the_context_is_gone") {
        return;
    }
    let source = FAULTS.replace("#include <cassert>\n", "");
    for (kernel, argument, expected, kind) in [
        ("beyond", 64, CUresult::CUDA_ERROR_ILLEGAL_ADDRESS, "out-of-bounds"),
        ("crooked", 2, CUresult::CUDA_ERROR_MISALIGNED_ADDRESS, "misaligned"),
        ("failing", 1, CUresult::CUDA_ERROR_ASSERT, "assert"),
        ("trapping", 1, CUresult::CUDA_ERROR_ILLEGAL_INSTRUCTION, "trap"),
        ("hanging", 1, CUresult::CUDA_ERROR_LAUNCH_TIMEOUT, "hang"),
    ] {
        let (gpu, context) = card(Options::new().budget(100_000));
        let stream = context.default_stream();
        let mut x = stream.alloc_zeros::<i32>(64).expect("there is room");
        let function = compile(&context, &source).load_function(kernel).expect("it is there");
        // SAFETY: the arguments are those of the kernel; what it does with them is the mistake
        // under test.
        let launched = unsafe {
            stream.launch_builder(&function).arg(&mut x).arg(&argument).launch(config(
                (1, 1, 1),
                (32, 1, 1),
                0,
            ))
        };
        assert!(launched.is_ok(), "{kernel}: a launch is asynchronous");
        assert_eq!(code(context.synchronize()), expected, "{kernel}");
        assert_eq!(code(stream.alloc_zeros::<u8>(1)), expected, "{kernel}: every later call");
        assert_eq!(
            code(context.new_event(None).map(|_| ())),
            expected,
            "{kernel}: every later call"
        );
        let found = gpu.findings();
        assert_eq!(found.last().map(|f| f.kind.as_str()), Some(kind), "{found:?}");
        assert_eq!(found.last().map(|f| f.kernel.as_str()), Some(kernel), "{found:?}");
        drop((function, x, stream, context));
        let fresh = cudarc::driver::CudaContext::new(0).expect("a new context is sound");
        assert_eq!(fresh.synchronize(), Ok(()), "{kernel}");
        let _ = fresh.check_err();
    }
}
