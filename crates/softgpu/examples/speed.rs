//! Speed of the interpreter: warp instructions and products a second, with and without checks.
//!
//! `cargo run --release -p softgpu --example speed`. One thread: time on the processor, so that other load
//! disturbs little; two threads: time on the wall.

use softgpu::{Checks, LaunchConfig, LoadOptions, Memory, Module, Options, launch};
use std::time::Instant;

/// Seconds that this thread has spent on a processor (Linux), or on the wall elsewhere.
fn seconds(start: Instant, threads: usize) -> f64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    match text.split(' ').next().and_then(|n| n.parse::<f64>().ok()) {
        Some(ns) if threads == 1 => ns / 1e9,
        _ => start.elapsed().as_secs_f64(),
    }
}

const KERNELS: &str = include_str!("../tests/ptx/kernels.ptx");
const BF16: &str = include_str!("../tests/triton/matmul_bf16_sm80.ptx");
const TF32: &str = include_str!("../tests/triton/matmul_tf32_sm80.ptx");

struct Case {
    name: &'static str,
    ptx: &'static str,
    kernel: &'static str,
    size: usize,
    tile: u32,
    block: u32,
    shared: u32,
    element: usize,
}

fn time(case: &Case, checks: Checks, counters: bool, threads: usize) -> f64 {
    let memory = Memory::new(1 << 30);
    let module =
        Module::load(case.ptx, &LoadOptions::default(), &memory).expect("the test data loads");
    let n = case.size;
    let buffer = |bytes: usize| {
        let at = memory.alloc(bytes as u64).expect("there is room");
        memory.fill(at, &[0], bytes as u64).expect("the range is inside");
        at
    };
    let mut params = Vec::new();
    for bytes in [n * n * case.element, n * n * case.element, n * n * 4] {
        params.extend(buffer(bytes).to_le_bytes());
    }
    for _ in 0..3 {
        params.extend((n as u32).to_le_bytes());
    }
    params.resize(64, 0);
    let tiles = n as u32 / case.tile;
    let config = LaunchConfig {
        grid: [tiles, tiles, 1],
        block: [case.block, 1, 1],
        dynamic_shared_bytes: case.shared,
    };
    let options = Options { checks, counters, threads, ..Options::default() };
    let mut best = f64::INFINITY;
    let start = Instant::now();
    for _ in 0..5 {
        let before = seconds(start, threads);
        let report = launch(&module, case.kernel, config, &params, &memory, &options);
        best = best.min(seconds(start, threads) - before);
        if let Err(fault) = report {
            println!("{fault}");
        }
    }
    (n * n * n) as f64 / best / 1e9
}

fn main() {
    let simt = |name, kernel, tile| Case {
        name,
        ptx: KERNELS,
        kernel,
        size: 256,
        tile,
        block: 256,
        shared: 0,
        element: 4,
    };
    let tensor = |name, ptx, element| Case {
        name,
        ptx,
        kernel: "matmul",
        size: 256,
        tile: 32,
        block: 128,
        shared: 32768,
        element,
    };
    let cases = [
        simt("SIMT 64x64 tile, 4x4 a thread", "gemm_simt", 64),
        simt("SIMT 128x128 tile, 8x8 a thread", "gemm_tile", 128),
        tensor("tf32 tensor cores, 32x32 tile", TF32, 4),
        tensor("bf16 tensor cores, 32x32 tile", BF16, 2),
    ];
    println!("{:<34} {:>8} {:>8} {:>8} {:>8}   GMAC/s", "", "bare", "count", "all", "bare x2");
    let only = std::env::args().nth(1).unwrap_or_default();
    for case in cases.iter().filter(|c| c.name.contains(&only)) {
        let bare = time(case, Checks::NONE, false, 1);
        let count = time(case, Checks::NONE, true, 1);
        let all = time(case, Checks::DEFAULT, true, 1);
        let two = time(case, Checks::NONE, false, 2);
        println!("{:<34} {bare:>8.2} {count:>8.2} {all:>8.2} {two:>8.2}", case.name);
    }
}
