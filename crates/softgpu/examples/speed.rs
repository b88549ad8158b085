//! Speed of the interpreter: what an instruction costs, and products a second, with and without checks.
//!
//! `cargo run --release -p softgpu --example speed [PART OF A NAME]`. One thread: time on the processor, so
//! that other load disturbs little; two threads: time on the wall.

use softgpu::{Checks, LaunchConfig, LoadOptions, Memory, Module, Options, launch};
use std::fmt::Write;
use std::time::Instant;

const KERNELS: &str = include_str!("../tests/ptx/kernels.ptx");
const BF16: &str = include_str!("../tests/triton/matmul_bf16_sm80.ptx");
const TF32: &str = include_str!("../tests/triton/matmul_tf32_sm80.ptx");

/// Side of the matrices of the whole products.
const SIDE: usize = 512;
/// Turns of the loop around a measured piece of code, warps of a block that runs it, and blocks.
const TURNS: u64 = 100;
const WARPS: u64 = 8;
const BLOCKS: u64 = 8;

/// Least seconds of a sample.
const SAMPLE: f64 = 0.08;

/// A kernel and how much of what it does.
struct Case {
    name: &'static str,
    ptx: String,
    kernel: &'static str,
    config: LaunchConfig,
    params: fn(&Memory) -> Vec<u8>,
    /// Units of work in a launch, and their name.
    work: f64,
    unit: &'static str,
}

/// Seconds that this thread has spent on a processor (Linux), or on the wall elsewhere.
fn seconds(start: Instant, threads: usize) -> f64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    match text.split(' ').next().and_then(|n| n.parse::<f64>().ok()) {
        Some(ns) if threads == 1 => ns / 1e9,
        _ => start.elapsed().as_secs_f64(),
    }
}

/// The least of five samples, in units a second. A sample repeats the launch for as long as the
/// processor's clock, which ticks every few milliseconds, needs to tell.
fn rate(case: &Case, checks: Checks, counters: bool, threads: usize) -> f64 {
    let memory = Memory::new(1 << 30);
    let module =
        Module::load(&case.ptx, &LoadOptions::default(), &memory).expect("the kernels load");
    let params = (case.params)(&memory);
    let options = Options { checks, counters, threads, ..Options::default() };
    let mut best = f64::INFINITY;
    let start = Instant::now();
    for _ in 0..5 {
        let before = seconds(start, threads);
        let (mut count, mut took) = (0, 0.0);
        while took < SAMPLE {
            match launch(&module, case.kernel, case.config, &params, &memory, &options) {
                Ok(report) => assert!(report.findings.is_empty(), "{:?}", report.findings),
                Err(fault) => panic!("{fault}"),
            }
            count += 1;
            took = seconds(start, threads) - before;
        }
        best = best.min(took / f64::from(count));
    }
    case.work / best
}

/// Three matrices of zeros and their sides, as the products take them.
fn matrices<const ELEMENT: usize>(memory: &Memory) -> Vec<u8> {
    let mut params = Vec::new();
    for bytes in [SIDE * SIDE * ELEMENT, SIDE * SIDE * ELEMENT, SIDE * SIDE * 4] {
        let at = memory.alloc(bytes as u64).expect("there is room");
        memory.fill(at, &[0], bytes as u64).expect("the range is inside");
        params.extend(at.to_le_bytes());
    }
    for _ in 0..3 {
        params.extend((SIDE as u32).to_le_bytes());
    }
    params.resize(64, 0);
    params
}

/// One megabyte of zeros.
fn buffer(memory: &Memory) -> Vec<u8> {
    let at = memory.alloc(1 << 20).expect("there is room");
    memory.fill(at, &[0], 1 << 20).expect("the range is inside");
    at.to_le_bytes().to_vec()
}

/// A whole product of [`SIDE`]-sided matrices.
fn product(
    name: &'static str,
    ptx: &str,
    kernel: &'static str,
    tile: u32,
    block: u32,
    shared: u32,
    params: fn(&Memory) -> Vec<u8>,
) -> Case {
    let tiles = SIDE as u32 / tile;
    let config = LaunchConfig {
        grid: [tiles, tiles, 1],
        block: [block, 1, 1],
        dynamic_shared_bytes: shared,
    };
    let work = (SIDE * SIDE * SIDE) as f64;
    Case { name, ptx: ptx.to_string(), kernel, config, params, work, unit: "MAC" }
}

/// A loop around `body` in [`BLOCKS`] blocks of [`WARPS`] warps; `work` units a turn and warp.
///
/// The body may use `%f<1100>` (zeros), `%r0` (bytes of 16 a thread), `%r10` to `%r29` (zeros), `%rd1` (the
/// buffer plus 4 bytes a thread), `%rd2` (plus 1,024) and 16 KiB of shared memory, all written.
fn piece(name: &'static str, body: &str, work: u64, unit: &'static str) -> Case {
    let mut ptx = String::from(
        ".version 8.0\n.target sm_80\n.address_size 64\n.visible .entry piece(.param .u64 data) {\n\
         .reg .b32 %r<40>;\n.reg .f32 %f<1100>;\n.reg .b64 %rd<4>;\n.reg .pred %p<3>;\n\
         .shared .align 16 .b8 shared[16384];\n\
         ld.param.u64 %rd0, [data];\nmov.u32 %r1, %tid.x;\nshl.b32 %r0, %r1, 4;\n\
         mul.wide.u32 %rd1, %r1, 4;\nadd.s64 %rd1, %rd0, %rd1;\n\
         mul.wide.u32 %rd2, %r1, 1024;\nadd.s64 %rd2, %rd0, %rd2;\n\
         mov.u32 %r2, shared;\nadd.s32 %r0, %r0, %r2;\nmov.u32 %r3, 0;\n",
    );
    for i in 10..30 {
        let _ = writeln!(ptx, "mov.u32 %r{i}, 0;");
    }
    for i in 0..1100 {
        let _ = writeln!(ptx, "mov.f32 %f{i}, 0f00000000;");
    }
    for i in 0..4 {
        let _ = writeln!(ptx, "st.shared.v4.u32 [%r0+{}], {{%r10, %r11, %r12, %r13}};", i * 4096);
    }
    let _ = write!(
        ptx,
        "bar.sync 0;\nloop:\n{body}\nadd.s32 %r3, %r3, 1;\nsetp.ne.s32 %p0, %r3, {TURNS};\n\
         @%p0 bra loop;\nret;\n}}\n"
    );
    let config = LaunchConfig {
        grid: [BLOCKS as u32, 1, 1],
        block: [32 * WARPS as u32, 1, 1],
        dynamic_shared_bytes: 0,
    };
    let work = (BLOCKS * TURNS * WARPS * work) as f64;
    Case { name, ptx, kernel: "piece", config, params: buffer, work, unit }
}

fn lines(count: usize, line: impl Fn(usize) -> String) -> String {
    (0..count).map(line).collect::<Vec<_>>().join("\n")
}

fn mma_tf32(i: usize) -> String {
    let c = 4 * i;
    format!(
        "mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 {{%f{}, %f{}, %f{}, %f{}}}, \
         {{%r10, %r11, %r12, %r13}}, {{%r{}, %r{}}}, {{%f{}, %f{}, %f{}, %f{}}};",
        c,
        c + 1,
        c + 2,
        c + 3,
        14 + i % 4,
        15 + i % 4,
        c,
        c + 1,
        c + 2,
        c + 3
    )
}

fn mma_bf16(i: usize) -> String {
    mma_tf32(i).replace("m16n8k8", "m16n8k16").replace("tf32.tf32", "bf16.bf16")
}

/// What tensor-core loops are made of: 2 `ldmatrix`, 8 shared loads, 8 products, 16 integer operations.
fn step(mma: fn(usize) -> String) -> String {
    [
        lines(2, |i| {
            format!(
                "ldmatrix.sync.aligned.m8n8.x4.shared.b16 {{%r10, %r11, %r12, %r13}}, [%r0+{}];",
                4096 * i
            )
        }),
        lines(8, |i| format!("ld.shared.u32 %r{}, [%r0+{}];", 14 + i, 8192 + 4 * i)),
        lines(16, |i| format!("add.s32 %r{}, %r{}, 0;", 22 + i % 8, 22 + i % 8)),
        lines(8, mma),
    ]
    .join("\n")
}

fn cases() -> Vec<Case> {
    let fma = |n: usize| lines(n, |i| format!("fma.rn.f32 %f{i}, %f{i}, %f1090, %f1091;"));
    vec![
        piece("fma.f32, 64 accumulators", &fma(64), 64, "warp instruction"),
        piece("fma.f32, 1,024 accumulators", &fma(1024), 1024, "warp instruction"),
        piece(
            "ld.global.f32, neighbours",
            &lines(16, |i| format!("ld.global.f32 %f{i}, [%rd1+{}];", 4096 * i)),
            16,
            "warp instruction",
        ),
        piece(
            "ld.global.f32, 1,024 bytes apart",
            &lines(16, |i| format!("ld.global.f32 %f{i}, [%rd2+{}];", 4 * i)),
            16,
            "warp instruction",
        ),
        piece(
            "ld.shared.v4.f32, neighbours",
            &lines(4, |i| {
                let f = 4 * i;
                format!(
                    "ld.shared.v4.f32 {{%f{f}, %f{}, %f{}, %f{}}}, [%r0+{}];",
                    f + 1,
                    f + 2,
                    f + 3,
                    4096 * i
                )
            }),
            4,
            "warp instruction",
        ),
        piece(
            "setp, add, bra",
            &lines(8, |i| {
                format!(
                    "setp.ne.s32 %p1, %r3, -1;\nadd.s32 %r10, %r10, 1;\n@%p1 bra n{i};\n\
                     add.s32 %r10, %r10, 1;\nn{i}:"
                )
            }),
            24,
            "warp instruction",
        ),
        piece("mma m16n8k8 tf32", &lines(8, mma_tf32), 8 * 1024, "MAC"),
        piece("mma m16n8k16 bf16", &lines(8, mma_bf16), 8 * 2048, "MAC"),
        piece("tensor-core step, tf32", &step(mma_tf32), 8 * 1024, "MAC"),
        piece("tensor-core step, bf16", &step(mma_bf16), 8 * 2048, "MAC"),
        product("SIMT product, 8x8 a thread", KERNELS, "gemm_tile", 128, 256, 0, matrices::<4>),
        product("SIMT product, 4x4 a thread", KERNELS, "gemm_simt", 64, 256, 0, matrices::<4>),
        product("Triton product, tf32", TF32, "matmul", 32, 128, 32768, matrices::<4>),
        product("Triton product, bf16", BF16, "matmul", 32, 128, 32768, matrices::<2>),
    ]
}

fn main() {
    let only = std::env::args().nth(1).unwrap_or_default();
    println!(
        "{:<34} {:>8} {:>8} {:>8} {:>8} {:>8}",
        "", "bare", "count", "all", "bare x2", "all x2"
    );
    for case in cases().iter().filter(|c| c.name.contains(&only)) {
        let rates = [
            rate(case, Checks::NONE, false, 1),
            rate(case, Checks::NONE, true, 1),
            rate(case, Checks::DEFAULT, true, 1),
            rate(case, Checks::NONE, false, 2),
            rate(case, Checks::DEFAULT, true, 2),
        ];
        let (values, unit) = match case.unit {
            "MAC" => (rates.map(|r| r / 1e9), "GMAC/s"),
            _ => (rates.map(|r| 1e9 / r), "ns a warp instruction"),
        };
        let [bare, count, all, two, all_two] = values;
        println!(
            "{:<34} {bare:>8.2} {count:>8.2} {all:>8.2} {two:>8.2} {all_two:>8.2}   {unit}",
            case.name
        );
    }
}
