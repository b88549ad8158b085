//! One mistake a kernel: each is found, at its line of the CUDA source.

mod common;

use common::{card, compile};
use cuda::{Found, Options, nvrtc};
use cudarc::driver::{LaunchConfig, PushKernelArg};

/// The line that carries the mistake ends in `// here`.
fn line_of(source: &str) -> u32 {
    let at = source.lines().position(|line| line.trim_end().ends_with("// here"));
    at.expect("the mistake is marked") as u32 + 1
}

/// Runs `kernel` of one pointer and one number with 64 threads over 64 zeroed integers.
fn run(source: &str, options: Options, written: bool) -> Vec<Found> {
    let (gpu, context) = card(options);
    let kernel = compile(&context, source).load_function("kernel").expect("it is there");
    let stream = context.default_stream();
    // SAFETY: reading it unwritten is a mistake under test.
    let mut x = unsafe { stream.alloc::<i32>(64) }.expect("there is room");
    if written {
        stream.memset_zeros(&mut x).expect("in range");
    }
    let number = 64i32;
    let config = LaunchConfig { grid_dim: (1, 1, 1), block_dim: (64, 1, 1), shared_mem_bytes: 0 };
    // SAFETY: the arguments are those of the kernel; what it does with them is the mistake under
    // test.
    unsafe { stream.launch_builder(&kernel).arg(&mut x).arg(&number).launch(config) }
        .expect("launched");
    // The error, if any, is looked at in `errors.rs`.
    let _ = context.synchronize();
    let found = gpu.findings();
    drop((kernel, x, stream));
    let _ = context.check_err();
    found
}

fn expect(kind: &str, source: &str, written: bool) {
    let found = run(source, Options::new(), written);
    let hit = found.iter().find(|f| f.kind == kind);
    let Some(hit) = hit else { panic!("{kind} was not found: {found:?}") };
    assert!(hit.file.ends_with("kernels.cu") && hit.line > 0, "{hit:?}");
    // A race has two places: the one that came second in this schedule stands first.
    assert!(hit.text.contains(&format!("kernels.cu:{}", line_of(source))), "{hit:?}");
    assert_eq!(hit.kernel, "kernel");
    assert!(hit.ptx_line > 0, "{hit:?}");
}

#[test]
fn each_mistake_is_found_at_its_line() {
    if !nvrtc::or_skip("each_mistake_is_found_at_its_line") {
        return;
    }
    expect(
        "out-of-bounds",
        r#"extern "C" __global__ void kernel(int *x, int n) {
    int i = threadIdx.x + 1;
    x[i] = n; // here
}"#,
        true,
    );
    expect(
        "uninitialized-memory",
        r#"extern "C" __global__ void kernel(int *x, int n) {
    int v = x[threadIdx.x]; // here
    x[threadIdx.x] = v + n;
}"#,
        false,
    );
    expect(
        "shared-race",
        r#"extern "C" __global__ void kernel(int *x, int n) {
    __shared__ int s[64];
    s[threadIdx.x] = threadIdx.x;
    // __syncthreads() is missing
    x[threadIdx.x] = s[63 - threadIdx.x] + n; // here
}"#,
        true,
    );
    expect(
        "misaligned",
        r#"extern "C" __global__ void kernel(char *x, int n) {
    *(int *)(x + n - 63) = n; // here
}"#,
        true,
    );
}

#[test]
fn correct_kernels_raise_no_alarm() {
    if !nvrtc::or_skip("correct_kernels_raise_no_alarm") {
        return;
    }
    let source = r#"extern "C" __global__ void kernel(int *x, int n) {
    __shared__ int s[64];
    s[threadIdx.x] = threadIdx.x;
    __syncthreads();
    x[threadIdx.x] = s[63 - threadIdx.x] + n;
}"#;
    for order in ["forward", "reverse", "5"] {
        assert_eq!(run(source, Options::new().checks("all").order(order), true), []);
    }
}

#[test]
fn checks_can_be_switched_off() {
    if !nvrtc::or_skip("checks_can_be_switched_off") {
        return;
    }
    let source = r#"extern "C" __global__ void kernel(int *x, int n) {
    int v = x[threadIdx.x]; // here
    x[threadIdx.x] = v + n;
}"#;
    assert_eq!(run(source, Options::new().checks("none"), false), []);
}
