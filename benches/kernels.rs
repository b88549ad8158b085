//! Time of the CPU's kernels at the shapes of the default networks: `cargo bench --bench kernels`.
//!
//! Criterion prints time and, as elements a second, multiply-accumulates a second by the definition
//! of the convolution. Minimal filtering needs fewer, so the rate may pass the machine's own. The
//! last groups are yardsticks: the rate of plain products, and of Adam.

use std::hint::black_box;
use std::time::Duration;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use pix2pix_engine::device::{Arena, Cpu, Device, StepState};
use pix2pix_engine::kernel::{Adam, AdamKernels, Conv, ConvKernels, PointwiseKernels, Write};
use pix2pix_engine::tensor::{Shape, View};

/// Name, window, size of x, channels of x and of y.
const LAYERS: &[(&str, Conv, usize, usize, usize)] = &[
    ("down1", Conv::HALVE, 256, 3, 64),
    ("down2", Conv::HALVE, 128, 64, 128),
    ("down3", Conv::HALVE, 64, 128, 256),
    ("down4", Conv::HALVE, 32, 256, 512),
    ("down5", Conv::HALVE, 16, 512, 512),
    ("down6", Conv::HALVE, 8, 512, 512),
    ("up4", Conv::HALVE, 16, 512, 1024),
    ("up5", Conv::HALVE, 32, 256, 1024),
    ("up6", Conv::HALVE, 64, 128, 512),
    ("up7", Conv::HALVE, 128, 64, 256),
    ("up8", Conv::HALVE, 256, 3, 128),
    ("layer4", Conv::PATCH, 32, 256, 512),
    ("layer5", Conv::PATCH, 31, 512, 1),
];

fn cpu(arena: &Arena) -> Cpu {
    let mut cpu = Cpu::new(0).expect("threads start");
    cpu.reserve(arena.len()).expect("memory is there");
    cpu
}

/// The three products of every layer. For a transposed layer (up*), fprop is its backward and dgrad
/// its forward pass.
fn convolutions(c: &mut Criterion) {
    for &(name, conv, size, channels, k) in LAYERS {
        let x = Shape::new(1, size, size, channels);
        let y = conv.shrink(x, k).expect("the window fits");
        let f = Shape::new(k, conv.r, conv.s, channels);
        let mut arena = Arena::default();
        let [vx, vy, vw, vdw] = [x, y, f, f].map(|s| arena.take(s));
        let mut cpu = cpu(&arena);
        let filter = vec![0.01; f.count()];
        cpu.fill(vx, 0.5).expect("x is there");
        let mut group = c.benchmark_group(name);
        group.throughput(Throughput::Elements((y.count() * conv.taps() * channels) as u64));
        group.sample_size(10).measurement_time(Duration::from_secs(1));
        // A new filter each time, as in training: what is kept of it must be made anew.
        group.bench_function("fprop", |b| {
            b.iter(|| {
                cpu.upload(vw, &filter).expect("w is there");
                cpu.conv_fprop(conv, vx, vw, None, vy, Write::Set)
            });
        });
        group.bench_function("fprop, same filter", |b| {
            b.iter(|| cpu.conv_fprop(conv, vx, vw, None, vy, Write::Set));
        });
        group.bench_function("dgrad", |b| {
            b.iter(|| {
                cpu.upload(vw, &filter).expect("w is there");
                cpu.conv_dgrad(conv, vy, vw, None, vx, Write::Set)
            });
        });
        cpu.fill(vx, 0.5).expect("x is there");
        group.bench_function("wgrad", |b| {
            b.iter(|| cpu.conv_wgrad(conv, vx, vy, vdw, Write::Set));
        });
        group.finish();
    }
}

/// The machine's rate for large products: one 1 x 1 convolution of 1,024 pixels and channels.
fn products(c: &mut Criterion) {
    let (x, f) = (Shape::new(1, 32, 32, 1024), Shape::new(1024, 1, 1, 1024));
    let mut arena = Arena::default();
    let [vx, vy, vw] = [x, x, f].map(|s| arena.take(s));
    let mut cpu = cpu(&arena);
    let mut group = c.benchmark_group("product");
    group.throughput(Throughput::Elements(1 << 30));
    group.sample_size(10);
    group.bench_function("1024 x 1024 x 1024", |b| {
        b.iter(|| cpu.conv_dgrad(Conv::PIXEL, vx, vw, None, vy, Write::Set));
    });
    group.finish();
}

fn adam(c: &mut Criterion) {
    let shape = Shape::vector(57_182_660);
    let mut arena = Arena::default();
    let [w, g, m, v]: [View; 4] = std::array::from_fn(|_| arena.take(shape));
    let mut cpu = cpu(&arena);
    cpu.set_state(StepState { seed: 0, step: 1, lr: 2e-4 });
    let mut group = c.benchmark_group("adam");
    group.throughput(Throughput::Bytes(28 * shape.count() as u64));
    group.sample_size(10);
    group.bench_function("57 M parameters", |b| {
        b.iter(|| black_box(cpu.adam(Adam::default(), w, g, m, v)));
    });
    group.finish();
}

criterion_group!(kernels, products, convolutions, adam);
criterion_main!(kernels);
