//! NaN and infinity pass through every kernel, where they pass on the CPU.

use std::collections::BTreeSet;

use pix2pix_engine::device::{Cpu, Cuda, CudaOptions, Precision};
use pix2pix_engine::kernel::cuda::sources;
use pix2pix_engine::kernel::{
    Activation, Conv, ConvArgs, ConvKernels, Norm, NormArgs, NormKernels, NormParams, NormScope,
    Pass, PointwiseKernels, Statistics, Write,
};
use pix2pix_engine::tensor::{Shape, View};

use crate::common::numbers;
use crate::common::passage::{Player, cases};
use crate::desk::{Desk, ORDERS, Place, is_real, on_softgpu, options};

/// Kernels that no case launches, and why.
const OTHERS: [(&str, &str); 4] = [
    ("image_unpack", "pictures with NaN are refused before they are sent: tests/data"),
    ("image_pack", "refuses what is not finite: parity rows image"),
    ("keep_losses", "copies; a run stops at losses that are not finite: tests/cli"),
    ("count_not_finite", "parity rows vector"),
];

fn kernels_in_the_code() -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for (_, text) in sources().unwrap().iter().filter(|(name, _)| name.ends_with(".cu")) {
        for part in text.split("extern \"C\" __global__").skip(1) {
            let head = &part[..part.find('{').unwrap()];
            let name = head[..head.rfind('(').unwrap()].split_whitespace().next_back().unwrap();
            names.insert(name.to_string());
        }
    }
    names
}

/// A kernel that is added to the code without a case fails here. Leaves are f32, so that bf16 has a test
/// of its own.
#[test]
fn what_is_not_finite_passes_through_every_kernel() {
    const TEST: &str = "what_is_not_finite_passes_through_every_kernel";
    if !cuda::nvrtc::or_skip(TEST) {
        return;
    }
    let mut launched = BTreeSet::new();
    for precision in [Precision::F32, Precision::Tf32] {
        // Few multiprocessors, so that small cases get the large tiles. On the machine's own GPU no
        // launches are counted.
        let softgpu = (!is_real())
            .then(|| cuda::Options::new().device("rtx3060").counters(true).alone().unwrap());
        // A case uploads and downloads between kernels, which no graph holds.
        let options = CudaOptions { graph: false, ..options(precision) };
        for case in &cases() {
            // In tf32 only products differ from f32.
            if precision == Precision::Tf32 && !case.what.starts_with("conv") {
                continue;
            }
            let mut device = Cuda::new(options.clone()).unwrap();
            let on_gpu = Player::new(&mut device, case).check(1);
            if case.alike {
                let mut cpu = Cpu::new(1).unwrap();
                let on_cpu = Player::new(&mut cpu, case).check(1);
                for (gpu, cpu) in on_gpu.iter().flatten().zip(on_cpu.iter().flatten()) {
                    let nan =
                        |values: &[f32]| values.iter().map(|v| v.is_nan()).collect::<Vec<_>>();
                    assert_eq!(nan(&gpu.1), nan(&cpu.1), "{} in {}", gpu.0, case.what);
                }
            }
        }
        if let Some(gpu) = softgpu {
            assert_eq!(gpu.findings(), [], "{TEST}, {precision:?}");
            launched.extend(gpu.counters().kernels.into_keys());
        }
    }
    if is_real() {
        return;
    }
    for name in kernels_in_the_code() {
        let other = OTHERS.iter().any(|(other, _)| *other == name);
        assert!(launched.contains(&name) != other, "{name}: a case for it, or a reason for none");
    }
}

/// Asserts that the same numbers are NaN, and the same infinite, on both devices.
fn alike(desk: &Desk, place: Place, what: &str) {
    let (got, expected) = desk.read(place);
    for (i, (got, expected)) in got.iter().zip(&expected).enumerate() {
        let same = got.is_nan() == expected.is_nan() && got.is_infinite() == expected.is_infinite();
        assert!(same, "{what} at {i}: {got}, not {expected}");
    }
}

/// In bf16: activations, a norm with its skip output, the passes of convolutions in each kind of kernel.
#[test]
fn what_is_not_finite_passes_in_bf16() {
    on_softgpu("what_is_not_finite_passes_in_bf16", Precision::Bf16, &ORDERS[..1], |desk| {
        for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            let spoilt = |shape: Shape, seed| {
                let mut values = numbers(shape.count(), seed);
                values[shape.count() / 2] = bad;
                values
            };
            let x = Shape::new(1, 4, 5, 16);
            let [from, to, skip] = [1, 2, 3].map(|seed| desk.tensor(x, &spoilt(x, seed)));
            for kind in [Activation::Relu, Activation::LeakyRelu(0.2), Activation::Tanh] {
                desk.cpu.activation(kind, from.cpu, to.cpu).unwrap();
                desk.cuda.activation(kind, from.gpu, to.gpu).unwrap();
                alike(desk, to, &format!("{kind:?} of {bad}"));
            }
            let kept = [5, 6].map(|seed| desk.floats(Shape::vector(x.c), &numbers(x.c, seed)));
            let (scope, statistics) = (NormScope::Batch, Statistics::Batch);
            let (eps, momentum, activation) = (1e-5, 0.1, Activation::LeakyRelu(0.2));
            let norm = Norm { scope, statistics, eps, momentum, dropout: None, activation };
            let args = |on: fn(Place) -> View| {
                let (kept, skip) = (kept.map(on), Some(on(skip)));
                NormArgs { norm, x: on(from), params: NormParams::default(), kept, y: on(to), skip }
            };
            desk.cpu.norm(&args(|place| place.cpu)).unwrap();
            desk.cuda.norm(&args(|place| place.gpu)).unwrap();
            alike(desk, to, &format!("norm of {bad}"));
            alike(desk, skip, &format!("skip of a norm of {bad}"));
            for (conv, x, k) in [
                (Conv::PIXEL, Shape::new(1, 5, 4, 33), 33),
                (Conv::HALVE, Shape::new(1, 4, 4, 64), 64),
                (Conv::HALVE, Shape::new(1, 10, 12, 8), 2),
                (Conv::square(3, 1, 1), Shape::new(1, 3, 64, 2), 8),
            ] {
                let (y, w) = (conv.shrink(x, k).unwrap(), Shape::new(k, conv.r, conv.s, x.c));
                let vx = desk.tensor(x, &spoilt(x, 7));
                let vdy = desk.tensor(y, &spoilt(y, 8));
                let vw = desk.floats(w, &numbers(w.count(), 9));
                let [vy, vdx] = [y, x].map(|shape| desk.tensor(shape, &numbers(shape.count(), 10)));
                let vdw = desk.floats(w, &numbers(w.count(), 11));
                for (pass, x, w, y, result) in [
                    (Pass::Fprop, vx, vw, vy, vy),
                    (Pass::Dgrad, vdx, vw, vdy, vdx),
                    (Pass::Wgrad, vx, vdw, vdy, vdw),
                ] {
                    let args = |on: fn(Place) -> View| {
                        let (x, w, y, mode) = (on(x), on(w), on(y), Write::Set);
                        ConvArgs { pass, conv, x, w, y, bias: None, mode }
                    };
                    desk.cpu.conv(&args(|place| place.cpu)).unwrap();
                    desk.cuda.conv(&args(|place| place.gpu)).unwrap();
                    alike(desk, result, &format!("{pass:?} of {conv:?} with {bad}"));
                }
            }
        }
    });
}
