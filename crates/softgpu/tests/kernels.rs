//! Our own kernels, compiled by NVRTC, against references: every group of instructions, every warp order.

mod common;

use common::{Args, Device, Random, nmse, worst};
use softgpu::{Checks, LaunchConfig, Options, Order, launch};

const PTX: &str = include_str!("ptx/kernels.ptx");

fn product(a: &[f32], b: &[f32], [m, n, k]: [usize; 3]) -> Vec<f64> {
    let mut c = vec![0f64; m * n];
    for i in 0..m {
        for x in 0..k {
            for j in 0..n {
                c[i * n + j] += f64::from(a[i * k + x]) * f64::from(b[x * n + j]);
            }
        }
    }
    c
}

fn gemm(kernel: &str, [m, n, k]: [usize; 3], tile: usize) {
    let device = Device::new(PTX);
    let mut random = Random(1);
    let (a, b) = (random.floats(m * k), random.floats(k * n));
    let c = device.empty(m * n * 4);
    let args = Args::default().u64(device.f32s(&a)).u64(device.f32s(&b)).u64(c);
    let args = args.u32(m as u32).u32(n as u32).u32(k as u32);
    let grid = [n.div_ceil(tile) as u32, m.div_ceil(tile) as u32, 1];
    let report = device.clean(kernel, grid, 256, 0, &args);
    // Sums of up to 64 f32 terms: NMSE near 64 2^-48 / 12.
    let error = nmse(&device.read_f32(c, m * n), &product(&a, &b, [m, n, k]));
    assert!(error < 1e-12, "{error:e}");
    let counters = report.counters.unwrap();
    let macs = (m * n * k) as u64;
    assert!(counters.get("flop_count") >= 2 * macs, "{}", counters.to_table());
}

#[test]
fn simt_product_with_ragged_edges() {
    gemm("gemm_simt", [100, 70, 37], 64);
}

#[test]
fn simt_product_tile() {
    gemm("gemm_tile", [128, 256, 64], 128);
}

#[test]
fn sums_of_rows_by_shuffles() {
    let device = Device::new(PTX);
    let (rows, columns) = (6, 777);
    let x = Random(2).floats(rows * columns);
    let out = device.empty(rows * 8);
    let args = Args::default().u64(device.f32s(&x)).u64(out).u32(columns as u32);
    device.clean("row_sums", [rows as u32, 1, 1], 256, 0, &args);
    let mut want = Vec::new();
    for row in x.chunks(columns) {
        want.push(row.iter().map(|v| f64::from(*v)).sum());
        want.push(row.iter().map(|v| f64::from(*v).powi(2)).sum());
    }
    assert!(worst(&device.read_f32(out, rows * 2), &want) < 1e-6);
}

#[test]
fn tree_in_dynamic_shared_memory() {
    let device = Device::new(PTX);
    let x = Random(3).floats(200);
    let out = device.empty(4);
    let args = Args::default().u64(device.f32s(&x)).u64(out).u32(200);
    device.clean("tree_sum", [1, 1, 1], 256, 1024, &args);
    let want: f64 = x.iter().map(|v| f64::from(*v)).sum();
    assert!((f64::from(device.read_f32(out, 1)[0]) - want).abs() < 1e-5);
}

/// The padded tile has no bank conflict; the other one has 32 lanes in one bank. Both read whole sectors.
#[test]
fn counters_tell_conflicts_and_coalescing() {
    let device = Device::new(PTX);
    let n = 64;
    let x = Random(4).floats(n * n);
    let source = device.f32s(&x);
    for (kernel, factor) in [("transpose", 1.0), ("transpose_conflicts", 32.0)] {
        let y = device.empty(n * n * 4);
        let args = Args::default().u64(source).u64(y).u32(n as u32);
        let config = LaunchConfig { grid: [2, 2, 1], block: [32, 8, 1], dynamic_shared_bytes: 0 };
        let report =
            launch(&device.module, kernel, config, &args.0, &device.memory, &Options::default());
        let report = report.unwrap();
        assert!(report.findings.is_empty(), "{:?}", report.findings);
        let got = device.read_f32(y, n * n);
        assert!((0..n * n).all(|i| got[i] == x[i % n * n + i / n]));
        let c = report.counters.unwrap();
        let ratios = c.ratios();
        let ratio = |name: &str| ratios.iter().find(|r| r.0 == name).unwrap().1;
        assert_eq!(ratio("shared_conflict_factor_ld"), factor, "{kernel}");
        assert_eq!(ratio("sectors_per_request_global_ld"), 4.0);
        assert_eq!(c.get("l1tex__t_sectors_pipe_lsu_mem_global_op_st.sum"), (n * n / 8) as u64);
        assert_eq!(c.get("unique_sectors_read"), (n * n / 8) as u64);
        assert_eq!(c.get("dram_bytes_lower_bound"), (2 * n * n * 4) as u64);
        assert_eq!(c.get("barriers"), 4 * 8);
        assert!(c.to_json().starts_with("{\"kernel\":\"transpose"));
    }
}

#[test]
fn library_functions() {
    let device = Device::new(PTX);
    let n = 200;
    let x: Vec<f32> = Random(5).floats(n).iter().map(|v| v * 3.0).collect();
    let y = device.empty(n * 48);
    let args = Args::default().u64(device.f32s(&x)).u64(y).u32(n as u32);
    device.clean("functions", [2, 1, 1], 128, 0, &args);
    let got = device.read_f32(y, n * 12);
    for (i, v) in x.iter().enumerate() {
        let v = f64::from(*v);
        let a = v.abs();
        let erf = {
            // Maclaurin series; |v| < 3 keeps its cancellation below 1e-10.
            let (mut sum, mut term) = (0.0, v);
            for k in 0..80 {
                sum += term / (2 * k + 1) as f64;
                term *= -v * v / (k + 1) as f64;
            }
            sum * 2.0 / std::f64::consts::PI.sqrt()
        };
        let big = f64::from(x[i] * 1e5f32);
        let want = [
            v.tanh(),
            v.exp(),
            a.ln(),
            big.sin(),
            v.cos(),
            a.sqrt(),
            1.0 / a.sqrt(),
            a.powf(f64::from(1.7f32)),
            v / f64::from(3.7f32),
            erf,
            f64::from((x[i] * 10.0).floor()),
            f64::from((x[i] * 10.0).round_ties_even()),
        ];
        // CUDA states at most 4 units in the last place for these functions, 2^-22 relative; absolute near zeros.
        for (f, want) in want.iter().enumerate() {
            let got = f64::from(got[i * 12 + f]);
            let bound = 5e-7 * want.abs().max(0.5);
            assert!((got - want).abs() <= bound, "function {f} of {v}: {got} is not {want}");
        }
    }
}

#[test]
fn integers_of_all_widths() {
    let device = Device::new(PTX);
    let mut random = Random(6);
    let n = 256;
    let mut a: Vec<u32> = (0..n).map(|_| random.next() as u32).collect();
    let mut b: Vec<u32> =
        (0..n).map(|_| (random.next() >> (random.next() % 31 + 33)) as u32 | 1).collect();
    (a[0], b[0]) = (i32::MIN as u32, 7);
    (a[1], b[1]) = (-7i32 as u32, 2);
    (a[2], b[2]) = (7, -2i32 as u32);
    let y = device.empty(n * 96);
    let args = Args::default().u64(device.u32s(&a)).u64(device.u32s(&b)).u64(y).u32(n as u32);
    device.clean("integers", [2, 1, 1], 128, 0, &args);
    let words = device.read(y, n * 24);
    for i in 0..n {
        let (u, w) = (a[i], b[i]);
        let (p, q) = (u as i32, w as i32);
        let (lp, lq) = (i64::from(p), i64::from(q));
        let ffs = if p == 0 { 0 } else { p.trailing_zeros() as i64 + 1 };
        let want = [
            i64::from(p.wrapping_div(q)),
            i64::from(p.wrapping_rem(q)),
            i64::from(u / w),
            i64::from(u % w),
            lp * lq / 7,
            (lp * lq) >> 32,
            ((u64::from(u) * u64::from(w)) >> 32) as i64,
            i64::from(u.count_ones()) + 100 * i64::from(u.leading_zeros()) + 10000 * ffs,
            i64::from(u.reverse_bits()),
            i64::from(p as i16) * i64::from(q as i16),
            i64::from(p >> (q & 31) ^ (u << (w & 31)) as i32),
            (lp << 20) % (lq | 1),
        ];
        for (f, want) in want.into_iter().enumerate() {
            let at = (i * 12 + f) * 2;
            let got = (u64::from(words[at]) | u64::from(words[at + 1]) << 32) as i64;
            assert_eq!(got, want, "value {f} of {p} and {q}");
        }
    }
}

#[test]
fn a_struct_of_pointers() {
    let device = Device::new(PTX);
    let lengths = [5u32, 300, 1, 64, 0, 7, 33, 128];
    let data: Vec<Vec<f32>> = lengths.iter().map(|n| Random(8).floats(*n as usize)).collect();
    let at: Vec<u64> = data.iter().map(|v| device.f32s(v)).collect();
    let mut args = Args::default();
    args = at.iter().fold(args, |a, p| a.u64(*p));
    args = lengths.iter().fold(args, |a, n| a.u32(*n));
    args = args.f32(2.5).u32(0);
    device.clean("scale_all", [2, 8, 1], 64, 0, &args);
    for (v, p) in data.iter().zip(at) {
        let want: Vec<f32> = v.iter().map(|x| x * 2.5).collect();
        assert_eq!(device.read_f32(p, v.len()), want);
    }
}

#[test]
fn the_last_block_adds_up() {
    let device = Device::new(PTX);
    let n = 5000;
    let x = Random(10).floats(n);
    let want: f64 = x.iter().enumerate().map(|(i, v)| f64::from(v * (i % 9 + 1) as f32)).sum();
    let blocks = 7;
    for order in [Order::Forward, Order::Reverse, Order::Seeded(3)] {
        let (parts, out) = (device.empty(blocks * 4), device.zeros(16));
        let args = Args::default().u64(device.f32s(&x)).u64(parts).u64(out).u32(n as u32);
        let options = Options { order, ..Options::default() };
        let report =
            device.run("last_block", [blocks as u32, 1, 1], 64, 0, &args, &options).unwrap();
        assert!(report.findings.is_empty(), "{:?}", report.findings);
        let words = device.read(out, 4);
        let total = f64::from_bits(u64::from(words[2]) | u64::from(words[3]) << 32);
        assert!((total - want).abs() < 1e-4, "{total} is not {want}");
        let first: f64 = device.read_f32(parts, blocks).iter().map(|v| f64::from(*v)).sum();
        let last = f64::from_bits(u64::from(words[0]) | u64::from(words[1]) << 32);
        assert!((first - last).abs() < 1e-12);
    }
}

#[test]
fn printing() {
    let device = Device::new(PTX);
    let report = device.clean("say", [1, 1, 1], 32, 0, &Args::default().u32(3));
    let line = |i: usize, f: &str| format!("{i} of 3: {f} [ab  ] 1099511627776\n");
    assert_eq!(report.output, line(0, " 0.00") + &line(1, " 0.50") + &line(2, " 1.00"));
}

#[test]
fn arrays_in_local_memory() {
    let device = Device::new(PTX);
    let index: Vec<u32> = (0..64).map(|i| i * 7 % 16).collect();
    let y = device.empty(128);
    let args = Args::default().u64(device.u32s(&index)).u64(y);
    device.clean("local_array", [1, 1, 1], 32, 0, &args);
    let got = device.read_f32(y, 32);
    assert!((0..32).all(|t| got[t] == ((index[t] + index[t + 32]) as usize * t) as f32));
}

/// The same bits whatever the order, the number of threads, and the checks.
#[test]
fn results_do_not_depend_on_how_they_are_run() {
    let device = Device::new(PTX);
    let mut random = Random(12);
    let (m, n, k) = (96, 80, 24);
    let (a, b) = (device.f32s(&random.floats(m * k)), device.f32s(&random.floats(k * n)));
    let mut first = None;
    for order in [Order::Forward, Order::Reverse, Order::Seeded(5)] {
        for (threads, checks, counters) in [(1, Checks::ALL, true), (3, Checks::NONE, false)] {
            let c = device.empty(m * n * 4);
            let args =
                Args::default().u64(a).u64(b).u64(c).u32(m as u32).u32(n as u32).u32(k as u32);
            let options = Options { order, threads, checks, counters, ..Options::default() };
            device.run("gemm_simt", [2, 2, 1], 256, 0, &args, &options).unwrap();
            let got = device.read(c, m * n);
            assert_eq!(first.get_or_insert(got.clone()), &got);
        }
    }
}
