//! Time of kernels at the shapes of the default networks, on the CPU and on each GPU in each
//! precision: `cargo bench --bench kernels`.
//!
//! Criterion prints time and, as elements per second, multiply-accumulates per second by the
//! definition of the convolution. The CPU's minimal filtering needs fewer, so its rate may exceed
//! the CPU's peak. A GPU is timed by events, with its cache emptied before each pass. Two more
//! groups measure large matrix products and Adam, for comparison.

mod common;

use std::time::Duration;

use common::{Machine, Place, places};
use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, Criterion, Throughput, criterion_group, criterion_main};
use pix2pix_engine::device::StepState;
use pix2pix_engine::error::Result;
use pix2pix_engine::kernel::{Adam, Backend, Conv, ConvArgs, Pass, Write};
use pix2pix_engine::tensor::{Elem, Shape, View};

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

/// A device with memory for dense tensors of these shapes and element types, and their Views.
fn opened<const N: usize>(place: &Place, of: [(Shape, Option<Elem>); N]) -> (Machine, [View; N]) {
    let mut machine = place.open();
    let b = machine.backend();
    let mut end = 0;
    let views = of.map(|(shape, elem)| {
        let view = View::dense_of(elem.unwrap_or(b.elem()), end, shape);
        end = (end + shape.count()).next_multiple_of(64);
        view
    });
    b.reserve(end).expect("memory is there");
    for view in views {
        b.fill(view, 0.01).expect("it is there");
    }
    (machine, views)
}

/// Times `work` as one function of a group.
fn timed(
    group: &mut BenchmarkGroup<WallTime>,
    name: &str,
    place: &Place,
    machine: &mut Machine,
    mut work: impl FnMut(&mut dyn Backend) -> Result<()>,
) {
    let name = format!("{name}/{}", place.name());
    group.bench_function(name, |b| b.iter_custom(|times| machine.time(times, &mut work)));
}

/// A pass without bias that sets its result.
fn args(pass: Pass, conv: Conv, [x, w, y]: [View; 3]) -> ConvArgs {
    ConvArgs { pass, conv, x, w, y, bias: None, mode: Write::Set }
}

/// The three passes of every layer. Of a transposed layer (up*), fprop is the backward and dgrad
/// the forward pass.
fn convolutions(c: &mut Criterion) {
    for &(name, conv, size, channels, k) in LAYERS {
        let x = Shape::new(1, size, size, channels);
        let y = conv.shrink(x, k).expect("the window fits");
        let f = Shape::new(k, conv.r, conv.s, channels);
        let mut group = c.benchmark_group(name);
        group.throughput(Throughput::Elements((y.count() * conv.taps() * channels) as u64));
        group.sample_size(10).measurement_time(Duration::from_secs(1));
        for place in places() {
            // Filters are f32 in every precision.
            let of = [(x, None), (y, None), (f, Some(Elem::F32)), (f, Some(Elem::F32))];
            let (mut machine, [vx, vy, vw, vdw]) = opened(&place, of);
            let host = machine.backend().is_host();
            let filter = vec![0.01; f.count()];
            // The CPU gets a new filter each time, as in training, so that it cannot reuse the
            // transformed one. A GPU keeps none, and would only wait for the upload.
            let fresh = |b: &mut dyn Backend| if host { b.upload(vw, &filter) } else { Ok(()) };
            timed(&mut group, "fprop", &place, &mut machine, |b| {
                fresh(b)?;
                b.conv(&args(Pass::Fprop, conv, [vx, vw, vy]))
            });
            if host {
                timed(&mut group, "fprop, same filter", &place, &mut machine, |b| {
                    b.conv(&args(Pass::Fprop, conv, [vx, vw, vy]))
                });
            }
            timed(&mut group, "dgrad", &place, &mut machine, |b| {
                fresh(b)?;
                b.conv(&args(Pass::Dgrad, conv, [vx, vw, vy]))
            });
            machine.backend().fill(vx, 0.5).expect("x is there");
            timed(&mut group, "wgrad", &place, &mut machine, |b| {
                b.conv(&args(Pass::Wgrad, conv, [vx, vdw, vy]))
            });
        }
        group.finish();
    }
}

/// The device's rate for large matrix products: a 1 x 1 convolution of 1,024 pixels and channels.
fn products(c: &mut Criterion) {
    let (x, f) = (Shape::new(1, 32, 32, 1024), Shape::new(1024, 1, 1, 1024));
    let mut group = c.benchmark_group("product");
    group.throughput(Throughput::Elements(1 << 30));
    group.sample_size(10);
    for place in places() {
        let of = [(x, None), (x, None), (f, Some(Elem::F32))];
        let (mut machine, [vx, vy, vw]) = opened(&place, of);
        timed(&mut group, "1024 x 1024 x 1024", &place, &mut machine, |b| {
            b.conv(&args(Pass::Dgrad, Conv::PIXEL, [vy, vw, vx]))
        });
    }
    group.finish();
}

fn adam(c: &mut Criterion) {
    let shape = Shape::vector(57_182_660);
    let mut group = c.benchmark_group("adam");
    group.throughput(Throughput::Bytes(28 * shape.count() as u64));
    group.sample_size(10);
    for place in places() {
        let (mut machine, [w, g, m, v]) = opened(&place, [(shape, Some(Elem::F32)); 4]);
        machine.backend().set_state(StepState { seed: 0, step: 1, lr: 2e-4, micro: 0 });
        timed(&mut group, "57 M parameters", &place, &mut machine, |b| {
            b.adam(Adam::default(), w, g, m, v)
        });
    }
    group.finish();
}

criterion_group!(kernels, products, convolutions, adam);
criterion_main!(kernels);
