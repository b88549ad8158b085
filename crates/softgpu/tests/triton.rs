//! Triton's own PTX, known to be right on hardware, against references in f64.
//!
//! These kernels were compiled by someone else's compiler from sources in `triton/make.py`. They are evidence
//! about the interpreter in a way that our own kernels cannot be.

mod common;

use common::{Args, Device, Random, nmse, worst};
use softgpu::{CpAsync, Options, Order};

struct Kernel {
    device: Device,
    name: String,
    threads: u32,
    shared: u32,
}

fn load(file: &str) -> Kernel {
    let path = format!("{}/tests/triton/{file}.ptx", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(&path).unwrap();
    let head: Vec<&str> = text.lines().next().unwrap().split(' ').collect();
    let ["//", "kernel", name, "threads", threads, "shared", shared] = head[..] else {
        panic!("{path}: no header");
    };
    let (name, threads, shared) =
        (name.to_string(), threads.parse().unwrap(), shared.parse().unwrap());
    Kernel { device: Device::new(&text), name, threads, shared }
}

impl Kernel {
    /// Runs forward, reverse and shuffled, with both timings of asynchronous copies; nothing may be found.
    fn run(&self, grid: [u32; 3], args: Args) {
        // Two hidden pointers to scratch memory that these kernels do not use.
        let args = args.u64(0).u64(0);
        let orders = [Order::Forward, Order::Reverse, Order::Seeded(1), Order::Seeded(2)];
        for (i, order) in orders.into_iter().enumerate() {
            let cp_async = if i % 2 == 0 { CpAsync::Latest } else { CpAsync::Earliest };
            let options = Options { order, cp_async, threads: 2, ..Options::default() };
            let report =
                self.device.run(&self.name, grid, self.threads, self.shared, &args, &options);
            let report = report.unwrap_or_else(|e| panic!("{e}"));
            assert!(report.findings.is_empty(), "{}", report.findings[0]);
        }
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Type {
    F32,
    F16,
    Bf16,
}

/// c = a b in f64 from the rounded inputs, against the kernel; `bound` is an NMSE.
fn matmul(file: &str, ty: Type, [m, n, k]: [usize; 3], bound: f64) {
    let kernel = load(file);
    let device = &kernel.device;
    let mut random = Random(7);
    let (a, b) = (random.floats(m * k), random.floats(k * n));
    let round = |v: &[f32]| -> (u64, Vec<f64>) {
        match ty {
            Type::F32 => (device.f32s(v), v.iter().map(|x| f64::from(*x)).collect()),
            Type::F16 => {
                let h: Vec<half::f16> = v.iter().map(|x| half::f16::from_f32(*x)).collect();
                let bits: Vec<u16> = h.iter().map(|x| x.to_bits()).collect();
                (device.u16s(&bits), h.iter().map(|x| x.to_f64()).collect())
            }
            Type::Bf16 => {
                let h: Vec<half::bf16> = v.iter().map(|x| half::bf16::from_f32(*x)).collect();
                let bits: Vec<u16> = h.iter().map(|x| x.to_bits()).collect();
                (device.u16s(&bits), h.iter().map(|x| x.to_f64()).collect())
            }
        }
    };
    let ((at, a), (bt, b)) = (round(&a), round(&b));
    let c = device.empty(m * n * 4);
    let grid = [m.div_ceil(32) as u32, n.div_ceil(32) as u32, 1];
    kernel.run(
        grid,
        Args::default().u64(at).u64(bt).u64(c).u32(m as u32).u32(n as u32).u32(k as u32),
    );
    let mut want = vec![0f64; m * n];
    for i in 0..m {
        for j in 0..n {
            want[i * n + j] = (0..k).map(|x| a[i * k + x] * b[x * n + j]).sum();
        }
    }
    let error = nmse(&device.read_f32(c, m * n), &want);
    assert!(error < bound, "{file}: NMSE {error:e}, bound {bound:e}");
}

/// f32 sums of k terms lose about sqrt(k) half-units: NMSE near k 2^-48 / 12; the bound leaves a factor of 100.
const F32: f64 = 1e-12;
/// tf32 keeps 11 bits of each factor: NMSE near 2 (2^-11)^2 / 12 = 4e-8 when rounded, four times when truncated.
const TF32: f64 = 5e-7;

#[test]
fn matmul_fp32_sm75() {
    matmul("matmul_fp32_sm75", Type::F32, [61, 45, 37], F32);
}

#[test]
fn matmul_tf32_sm80() {
    matmul("matmul_tf32_sm80", Type::F32, [64, 48, 80], TF32);
}

#[test]
fn matmul_tf32x3_sm80() {
    matmul("matmul_tf32x3_sm80", Type::F32, [61, 45, 37], F32);
}

#[test]
fn matmul_bf16_sm80() {
    matmul("matmul_bf16_sm80", Type::Bf16, [64, 48, 112], F32);
}

#[test]
fn matmul_fp16_sm80() {
    matmul("matmul_fp16_sm80", Type::F16, [80, 48, 112], F32);
}

#[test]
fn matmul_fp16_sm75() {
    matmul("matmul_fp16_sm75", Type::F16, [64, 48, 80], F32);
}

#[test]
fn softmax() {
    for file in ["softmax_sm75", "softmax_sm80"] {
        let kernel = load(file);
        let (rows, columns) = (5, 333);
        let x: Vec<f32> = Random(3).floats(rows * columns).iter().map(|v| v * 8.0).collect();
        let y = kernel.device.empty(x.len() * 4);
        let args = Args::default().u64(kernel.device.f32s(&x)).u64(y).u32(columns as u32);
        kernel.run([rows as u32, 1, 1], args);
        let mut want = Vec::new();
        for row in x.chunks(columns) {
            let e: Vec<f64> = row.iter().map(|v| f64::from(*v).exp()).collect();
            let sum: f64 = e.iter().sum();
            want.extend(e.iter().map(|v| v / sum));
        }
        // exp of differences up to 16 through ex2: 16 log2(e) 2^-24 relative, and the sum's rounding.
        let error = worst(&kernel.device.read_f32(y, x.len()), &want);
        assert!(error < 4e-6, "{file}: {error:e}");
    }
}

#[test]
fn layernorm_sm80() {
    let kernel = load("layernorm_sm80");
    let device = &kernel.device;
    let (rows, n) = (4, 391);
    let mut random = Random(5);
    let (x, w, b) = (random.floats(rows * n), random.floats(n), random.floats(n));
    let y = device.empty(x.len() * 4);
    let args =
        Args::default().u64(device.f32s(&x)).u64(device.f32s(&w)).u64(device.f32s(&b)).u64(y);
    kernel.run([rows as u32, 1, 1], args.u32(n as u32).f32(1e-5));
    let mut want = Vec::new();
    for row in x.chunks(n) {
        let mean = row.iter().map(|v| f64::from(*v)).sum::<f64>() / n as f64;
        let variance = row.iter().map(|v| (f64::from(*v) - mean).powi(2)).sum::<f64>() / n as f64;
        let rstd = 1.0 / (variance + 1e-5).sqrt();
        for i in 0..n {
            want.push((f64::from(row[i]) - mean) * rstd * f64::from(w[i]) + f64::from(b[i]));
        }
    }
    let error = worst(&device.read_f32(y, x.len()), &want);
    assert!(error < 2e-6, "{error:e}");
}

/// Philox 4x32-10 as in Salmon et al., "Parallel random numbers: as easy as 1, 2, 3" (2011).
fn philox(key: [u32; 2], counter: [u32; 4]) -> [u32; 4] {
    let ([mut k0, mut k1], mut c) = (key, counter);
    for _ in 0..10 {
        let p = u64::from(c[0]) * 0xd251_1f53;
        let q = u64::from(c[2]) * 0xcd9e_8d57;
        c = [(q >> 32) as u32 ^ c[1] ^ k0, q as u32, (p >> 32) as u32 ^ c[3] ^ k1, p as u32];
        k0 = k0.wrapping_add(0x9e37_79b9);
        k1 = k1.wrapping_add(0xbb67_ae85);
    }
    c
}

#[test]
fn dropout_sm75() {
    let kernel = load("dropout_sm75");
    let (n, p, seed) = (1300usize, 0.4f32, 123u32);
    let x = Random(9).floats(n);
    let y = kernel.device.empty(n * 4);
    let args = Args::default().u64(kernel.device.f32s(&x)).u64(y).u32(n as u32).f32(p).u32(seed);
    kernel.run([n.div_ceil(512) as u32, 1, 1], args);
    let got = kernel.device.read_f32(y, n);
    for i in 0..n {
        let bits = philox([seed, 0], [i as u32, 0, 0, 0])[0] as i32;
        let magnitude = if bits < 0 { -bits - 1 } else { bits };
        let uniform = magnitude as f32 * 4.656_612_7e-10;
        let want = if uniform > p { x[i] / (1.0 - p) } else { 0.0 };
        assert!((got[i] - want).abs() <= want.abs() * 3e-7, "{i}: {} is not {want}", got[i]);
    }
}

#[test]
fn atomics() {
    for file in ["histogram_sum_sm75", "histogram_sum_sm80"] {
        let kernel = load(file);
        let n = 3001usize;
        let x: Vec<f32> = Random(11).floats(n).iter().map(|v| v.abs() * 0.99).collect();
        let (total, bins) = (kernel.device.zeros(4), kernel.device.zeros(64));
        let args = Args::default().u64(kernel.device.f32s(&x)).u64(total).u64(bins).u32(n as u32);
        kernel.run([n.div_ceil(256) as u32, 1, 1], args);
        // Four runs accumulate.
        let sum: f64 = 4.0 * x.iter().map(|v| f64::from(*v)).sum::<f64>();
        let got = f64::from(kernel.device.read_f32(total, 1)[0]);
        assert!((got - sum).abs() < 1e-5 * sum, "{file}: {got} is not {sum}");
        let mut want = [0u32; 16];
        for (i, v) in x.iter().enumerate() {
            let bin = (v * 8.0) as usize;
            want[bin] += 4;
            want[8 + bin] = want[8 + bin].max(i as u32);
        }
        assert_eq!(kernel.device.read(bins, 16), want);
    }
}

#[test]
fn cumulative_sm80() {
    let kernel = load("cumulative_sm80");
    let (rows, n) = (3, 450);
    let x = Random(13).floats(rows * n);
    let y = kernel.device.empty(x.len() * 4);
    let args = Args::default().u64(kernel.device.f32s(&x)).u64(y).u32(n as u32);
    kernel.run([rows as u32, 1, 1], args);
    let mut want = Vec::new();
    for row in x.chunks(n) {
        let mut sum = 0f64;
        for v in row {
            sum += f64::from(*v);
            want.push(sum);
        }
    }
    let error = worst(&kernel.device.read_f32(y, x.len()), &want);
    assert!(error < 2e-6, "{error:e}");
}
