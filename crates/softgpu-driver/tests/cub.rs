//! NVIDIA's CUB, compiled by NVRTC: reductions, scans and sorts that were written by others and are
//! known to be right on cards, against the same done on the host, under every check.
//!
//! The headers are those of the system or of `tools/provide-cuda cccl`. Where there are none the test
//! says what was not run; with `SOFTGPU_REQUIRE_CUB` set it fails.

mod common;

use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;

use common::card;
use cuda::{Options, nvrtc};
use cudarc::driver::{CudaModule, CudaStream, LaunchConfig, PushKernelArg};
use cudarc::nvrtc::{CompileOptions, Ptx, compile_ptx_with_opts};

const SOURCE: &str = r#"
#include <cub/block/block_reduce.cuh>
#include <cub/block/block_scan.cuh>
#include <cub/block/block_radix_sort.cuh>
#include <cub/warp/warp_reduce.cuh>

constexpr int THREADS = 128, ITEMS = 4;

template <cub::BlockReduceAlgorithm A>
__device__ void sum_of_block(const int *x, int *y) {
    using Reduce = cub::BlockReduce<int, THREADS, A>;
    __shared__ typename Reduce::TempStorage storage;
    int sum = Reduce(storage).Sum(x[blockIdx.x * THREADS + threadIdx.x]);
    if (threadIdx.x == 0) y[blockIdx.x] = sum;
}
extern "C" __global__ void reduce_warps(const int *x, int *y) {
    sum_of_block<cub::BLOCK_REDUCE_WARP_REDUCTIONS>(x, y);
}
extern "C" __global__ void reduce_raking(const int *x, int *y) {
    sum_of_block<cub::BLOCK_REDUCE_RAKING>(x, y);
}

extern "C" __global__ void warp_sums(const int *x, int *y) {
    using Reduce = cub::WarpReduce<int>;
    __shared__ typename Reduce::TempStorage storage[THREADS / 32];
    int warp = threadIdx.x / 32, i = blockIdx.x * THREADS + threadIdx.x;
    int sum = Reduce(storage[warp]).Sum(x[i]);
    if (threadIdx.x % 32 == 0) y[i / 32] = sum;
}

template <cub::BlockScanAlgorithm A>
__device__ void sums_before(const int *x, int *y) {
    using Scan = cub::BlockScan<int, THREADS, A>;
    __shared__ typename Scan::TempStorage storage;
    int first = (blockIdx.x * THREADS + threadIdx.x) * ITEMS, items[ITEMS];
    for (int i = 0; i < ITEMS; i++) items[i] = x[first + i];
    Scan(storage).ExclusiveSum(items, items);
    for (int i = 0; i < ITEMS; i++) y[first + i] = items[i];
}
extern "C" __global__ void scan_warps(const int *x, int *y) {
    sums_before<cub::BLOCK_SCAN_WARP_SCANS>(x, y);
}
extern "C" __global__ void scan_raking(const int *x, int *y) {
    sums_before<cub::BLOCK_SCAN_RAKING>(x, y);
}

extern "C" __global__ void sort(const int *x, int *y) {
    using Sort = cub::BlockRadixSort<int, THREADS, ITEMS>;
    __shared__ typename Sort::TempStorage storage;
    int first = (blockIdx.x * THREADS + threadIdx.x) * ITEMS, items[ITEMS];
    for (int i = 0; i < ITEMS; i++) items[i] = x[first + i];
    Sort(storage).Sort(items);
    for (int i = 0; i < ITEMS; i++) y[first + i] = items[i];
}
"#;

const THREADS: usize = 128;
const BLOCKS: usize = 3;

/// The folder that holds `cub/cub.cuh`.
fn headers() -> Option<PathBuf> {
    let mut places = vec![PathBuf::from("/usr/local/cuda/include/cccl")];
    if let Ok(program) = std::env::current_exe() {
        let provided = "nvrtc/nvidia/cu13/include/cccl";
        places.extend(program.ancestors().skip(1).map(|folder| folder.join(provided)));
    }
    places.into_iter().find(|place| place.join("cub/cub.cuh").exists())
}

fn compiled(headers: &str) -> Ptx {
    let options = CompileOptions {
        arch: Some("compute_80"),
        include_paths: vec![headers.to_owned()],
        options: vec!["-lineinfo".to_owned(), "-std=c++17".to_owned()],
        name: Some("cub.cu".to_owned()),
        ..Default::default()
    };
    compile_ptx_with_opts(SOURCE, options).expect("CUB compiles with NVRTC")
}

/// What `kernel` makes of `x`, in `count` numbers.
fn run(
    stream: &Arc<CudaStream>,
    module: &Arc<CudaModule>,
    kernel: &str,
    x: &[i32],
    count: usize,
) -> Vec<i32> {
    let function = module.load_function(kernel).expect("it is there");
    let there = stream.clone_htod(x).expect("there is room");
    let mut out = stream.alloc_zeros::<i32>(count).expect("there is room");
    let config = LaunchConfig {
        grid_dim: (BLOCKS as u32, 1, 1),
        block_dim: (THREADS as u32, 1, 1),
        shared_mem_bytes: 0,
    };
    // SAFETY: the arguments are those of the kernel, of the lengths that its geometry asks for.
    unsafe { stream.launch_builder(&function).arg(&there).arg(&mut out).launch(config) }
        .expect("launched");
    stream.clone_dtoh(&out).expect("nothing failed")
}

#[test]
fn reductions_scans_and_sorts_of_cub() {
    const NAME: &str = "reductions_scans_and_sorts_of_cub";
    if !nvrtc::or_skip(NAME) {
        return;
    }
    let Some(headers) = headers() else {
        assert!(
            std::env::var_os("SOFTGPU_REQUIRE_CUB").is_none(),
            "{NAME} needs CUB's headers: run tools/provide-cuda cccl"
        );
        // Not `eprintln`, which the test harness keeps to itself when a test passes.
        let why = "CUB's headers are not here; tools/provide-cuda cccl brings them";
        let _ = writeln!(std::io::stderr().lock(), "not run: {NAME} ({why})");
        return;
    };
    let headers = headers.to_str().expect("cargo's folders are text");
    // Signed numbers of 20 bits: no sum overflows. Every 7th repeats, so that sorting meets equals.
    let x: Vec<i32> = (0..(BLOCKS * THREADS * 4) as u32)
        .map(|i| ((i - i % 7 / 6).wrapping_mul(2_654_435_761) >> 12) as i32 - (1 << 19))
        .collect();
    let short = &x[..BLOCKS * THREADS];
    let sums = |size: usize| -> Vec<i32> { short.chunks(size).map(|c| c.iter().sum()).collect() };
    let blocks = || x.chunks(THREADS * 4);
    let before = blocks().flat_map(|block| {
        block.iter().scan(0, |sum, v| Some(std::mem::replace(sum, *sum + v))).collect::<Vec<_>>()
    });
    let before: Vec<i32> = before.collect();
    let sorted: Vec<i32> = blocks()
        .flat_map(|block| {
            let mut block = block.to_vec();
            block.sort_unstable();
            block
        })
        .collect();
    let ptx = compiled(headers);
    for order in ["forward", "reverse", "3"] {
        let (gpu, context) = card(Options::new().checks("all").order(order));
        let module = context.load_module(ptx.clone()).expect("the module loads");
        let stream = context.default_stream();
        let of_blocks = sums(THREADS);
        for (kernel, x, expected) in [
            ("reduce_warps", short, &of_blocks),
            ("reduce_raking", short, &of_blocks),
            ("warp_sums", short, &sums(32)),
            ("scan_warps", &x[..], &before),
            ("scan_raking", &x[..], &before),
            ("sort", &x[..], &sorted),
        ] {
            let got = run(&stream, &module, kernel, x, expected.len());
            assert_eq!(&got, expected, "{kernel}, {order}");
            assert_eq!(gpu.findings(), [], "{kernel}, {order}");
        }
    }
}
