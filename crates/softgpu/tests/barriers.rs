//! Each barrier removed in turn from correct kernels: the load-bearing ones are found, and nothing else.

mod common;

use common::{Args, Device, Random};
use softgpu::{FindingKind, Options};

const PTX: &str = include_str!("ptx/kernels.ptx");

/// Lines of the barriers of a kernel, from 0.
fn barriers(text: &str, kernel: &str) -> Vec<usize> {
    let mut inside = false;
    let mut list = Vec::new();
    for (i, line) in text.lines().enumerate() {
        if line.contains(".entry") {
            inside = line.contains(&format!(" {kernel}("));
        }
        if inside && (line.contains("bar.sync") || line.contains("barrier.sync")) {
            list.push(i);
        }
    }
    list
}

fn without(text: &str, line: usize) -> String {
    text.lines()
        .enumerate()
        .map(|(i, l)| if i == line { "\n".into() } else { format!("{l}\n") })
        .collect()
}

/// Removes each barrier in turn; returns for each whether a race was found. The whole kernel must be clean.
fn remove_each(
    text: &str,
    kernel: &str,
    run: impl Fn(&Device, &Options) -> Vec<FindingKind>,
) -> Vec<bool> {
    let options = Options::default();
    assert_eq!(run(&Device::new(text), &options), [], "{kernel} is correct");
    let list = barriers(text, kernel);
    let mut found = Vec::new();
    for line in list {
        let kinds = run(&Device::new(&without(text, line)), &options);
        found.push(
            kinds.contains(&FindingKind::SharedRace) || kinds.contains(&FindingKind::AsyncCopy),
        );
    }
    found
}

fn kinds(
    device: &Device,
    kernel: &str,
    grid: [u32; 3],
    block: u32,
    shared: u32,
    args: Args,
) -> Vec<FindingKind> {
    let report = device.run(kernel, grid, block, shared, &args, &Options::default()).unwrap();
    report.findings.iter().map(|f| f.kind).collect()
}

fn gemm(device: &Device, kernel: &str, m: usize) -> Vec<FindingKind> {
    let mut random = Random(21);
    let k = 32;
    let (a, b) = (device.f32s(&random.floats(m * k)), device.f32s(&random.floats(k * m)));
    let args = Args::default().u64(a).u64(b).u64(device.empty(m * m * 4));
    let args = args.u32(m as u32).u32(m as u32).u32(k as u32);
    kinds(device, kernel, [1, 1, 1], 256, 0, args)
}

#[test]
fn double_buffered_product() {
    let found = remove_each(PTX, "gemm_simt", |d, _| gemm(d, "gemm_simt", 64));
    assert!(found.len() >= 2 && found.iter().all(|f| *f), "{found:?}");
}

#[test]
fn single_buffered_product() {
    let found = remove_each(PTX, "gemm_tile", |d, _| gemm(d, "gemm_tile", 128));
    assert!(found.len() >= 2 && found.iter().all(|f| *f), "{found:?}");
}

#[test]
fn sums_of_rows() {
    let found = remove_each(PTX, "row_sums", |d, _| {
        let x = d.f32s(&Random(22).floats(600));
        kinds(d, "row_sums", [2, 1, 1], 128, 0, Args::default().u64(x).u64(d.empty(16)).u32(300))
    });
    assert!(!found.is_empty() && found.iter().all(|f| *f), "{found:?}");
}

#[test]
fn tree() {
    let found = remove_each(PTX, "tree_sum", |d, _| {
        let x = d.f32s(&Random(23).floats(256));
        kinds(d, "tree_sum", [1, 1, 1], 256, 1024, Args::default().u64(x).u64(d.empty(4)).u32(256))
    });
    assert!(found.len() >= 2 && found.iter().all(|f| *f), "{found:?}");
}

/// Triton's tensor-core product: barriers around asynchronous copies and the staging of results.
#[test]
fn tensor_core_product() {
    let text = include_str!("triton/matmul_bf16_sm80.ptx");
    let found = remove_each(text, "matmul", |d, _| {
        let mut random = Random(24);
        let mut halves = |n: usize| -> u64 {
            let bits: Vec<u16> =
                random.floats(n).iter().map(|x| half::bf16::from_f32(*x).to_bits()).collect();
            d.u16s(&bits)
        };
        let (m, k) = (32usize, 160usize);
        let args = Args::default().u64(halves(m * k)).u64(halves(k * m)).u64(d.empty(m * m * 4));
        let args = args.u32(m as u32).u32(m as u32).u32(k as u32).u64(0).u64(0);
        kinds(d, "matmul", [1, 1, 1], 128, 20480, args)
    });
    println!("barriers of the tensor-core product, found when missing: {found:?}");
    assert!(found.iter().filter(|f| **f).count() >= 1, "{found:?}");
}
