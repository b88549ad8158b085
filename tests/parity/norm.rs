//! Batch and instance norm, forward and backward, with dropout and activation.

use pix2pix_engine::device::{Device, StepState};
use pix2pix_engine::kernel::{
    Activation, Dropout, Norm, NormArgs, NormGradArgs, NormKernels, NormParams, NormScope,
    Statistics, Write,
};
use pix2pix_engine::tensor::{Shape, View};

use crate::cases::{STORED, near};
use crate::common::{NORM_NMSE, numbers};
use crate::desk::{Desk, ORDERS, Place, on_softgpu};

/// Error allowed for a mean of numbers with deviation 0.25 around 0 or 10: 1e-5 of the deviation.
const MEAN: f64 = 2.5e-6;

/// Compares one norm on both devices: y, statistics, running statistics, all gradients in both
/// modes.
fn check(desk: &mut Desk, norm: Norm, shape: Shape, with: [bool; 2], offset: f32) {
    let what = format!("{norm:?} of {shape}, offset {offset}");
    let count = shape.count();
    let values: Vec<f32> = numbers(count, 1).iter().map(|v| v + offset).collect();
    let x = desk.slice(shape, shape.c + 8, 8, &values);
    let y = desk.slice(shape, 2 * shape.c, shape.c, &vec![0.0; count]);
    let dy = desk.tensor(shape, &numbers(count, 2));
    let dx = desk.slice(shape, shape.c + 3, 1, &numbers(count, 3));
    let vector = Shape::vector(shape.c);
    let some = |seed| numbers(shape.c, seed);
    let [weight, bias, mean] = [4, 5, 6].map(|seed| desk.floats(vector, &some(seed)));
    let var: Vec<f32> = some(7).iter().map(|v| 0.5 + v.abs()).collect();
    let var = desk.floats(vector, &var);
    let kept = norm.statistics_shape(shape);
    let kept = [0, 1].map(|_| desk.floats(kept, &vec![f32::NAN; kept.count()]));
    let sums = [8, 9].map(|seed| desk.floats(vector, &some(seed)));
    let [affine, running] = with;
    let params = |view: fn(Place) -> View| NormParams {
        affine: affine.then_some([weight, bias].map(view)),
        running: running.then_some([mean, var].map(view)),
    };
    // Odd widths have a skip output as well, which is part of a wider tensor.
    let has_skip = shape.w % 2 == 1;
    let skip = desk.slice(shape, shape.c + 1, 1, &vec![0.0; count]);
    let dskip = desk.tensor(shape, &numbers(count, 12));
    let forward = |view: fn(Place) -> View| {
        let (params, kept, skip) = (params(view), kept.map(view), has_skip.then_some(view(skip)));
        NormArgs { norm, x: view(x), params, kept, y: view(y), skip }
    };
    desk.cpu.norm(&forward(|place| place.cpu)).unwrap();
    desk.cuda.norm(&forward(|place| place.gpu)).unwrap();
    near(desk, y, NORM_NMSE, &what);
    near(desk, skip, NORM_NMSE, &format!("skip of {what}"));
    for place in [kept[1], mean, var] {
        near(desk, place, NORM_NMSE, &format!("statistics of {what}"));
    }
    // A mean near 0 is compared with the deviation of what it is the mean of.
    let (got, expected) = desk.read(kept[0]);
    for (got, expected) in got.iter().zip(&expected) {
        let error = (f64::from(*got) - expected).abs();
        assert!(error <= MEAN, "mean {got}, not {expected}, of {what}");
    }
    for mode in [Write::Set, Write::Add] {
        let backward = |view: fn(Place) -> View| NormGradArgs {
            norm,
            x: view(x),
            params: params(view),
            kept: kept.map(view),
            dy: view(dy),
            dskip: has_skip.then_some(view(dskip)),
            dx: Some((view(dx), mode)),
            daffine: sums.map(|sum| affine.then_some((view(sum), mode))),
        };
        desk.cpu.norm_grad(&backward(|place| place.cpu)).unwrap();
        desk.cuda.norm_grad(&backward(|place| place.gpu)).unwrap();
        // A large mean leaves fewer digits to the differences that gradients are made of.
        let bound = if offset == 0.0 { NORM_NMSE } else { 100.0 * NORM_NMSE };
        for place in [dx, sums[0], sums[1]] {
            near(desk, place, bound, &format!("gradient of {what}, {mode:?}"));
        }
    }
}

fn norm(scope: NormScope, statistics: Statistics, activation: Activation, rate: f32) -> Norm {
    let dropout = (rate > 0.0).then_some(Dropout { rate, stream: 2 });
    Norm { scope, statistics, eps: 1e-5, momentum: 0.1, dropout, activation }
}

/// The smallest cases of each kernel: two orders, few channels, fewer and slightly more pixels than
/// one launch takes. The 1,072 pixels have 17 ranges, which would be one pixel too short if their
/// length were not rounded up.
#[test]
fn norm_at_its_edges() {
    let (own, running) = (Statistics::Batch, Statistics::Running);
    for precision in STORED {
        on_softgpu("norm_at_its_edges", precision, &ORDERS[2..], |desk| {
            let state = StepState { seed: 11, step: 5, lr: 0.0, micro: 0 };
            desk.cpu.set_state(state);
            desk.cuda.set_state(state);
            for shape in [Shape::new(2, 5, 7, 33), Shape::new(2, 16, 67, 3)] {
                let runs = norm(NormScope::Runs(2), own, Activation::LeakyRelu(0.2), 0.5);
                check(desk, runs, shape, [true, true], 0.0);
                let used = norm(NormScope::Batch, running, Activation::Tanh, 0.0);
                check(desk, used, shape, [true, true], 0.0);
                let each = norm(NormScope::Instance, own, Activation::Relu, 0.0);
                check(desk, each, shape, [false, false], 0.0);
            }
        });
    }
}

/// A picture of one number is nothing but its mean: y is 0, from which no gradient of a skip
/// connection's ReLU comes.
#[test]
fn norm_of_one_number() {
    let precision = pix2pix_engine::device::Precision::F32;
    on_softgpu("norm_of_one_number", precision, &ORDERS[..1], |desk| {
        let one = norm(NormScope::Batch, Statistics::Batch, Activation::Identity, 0.0);
        for shape in [Shape::new(1, 3, 3, 5), Shape::new(1, 33, 33, 3)] {
            let count = shape.count();
            let x = desk.tensor(shape, &vec![0.5; count]);
            let [dy, dskip] = [1, 2].map(|seed| desk.tensor(shape, &numbers(count, seed)));
            let dx = desk.tensor(shape, &vec![0.0; count]);
            let kept = [0.5, 1.0 / one.eps.sqrt()]
                .map(|v| desk.floats(Shape::vector(shape.c), &vec![v; shape.c]));
            let args = |view: fn(Place) -> View| NormGradArgs {
                norm: one,
                x: view(x),
                params: NormParams::default(),
                kept: kept.map(view),
                dy: view(dy),
                dskip: Some(view(dskip)),
                dx: Some((view(dx), Write::Set)),
                daffine: [None, None],
            };
            desk.cpu.norm_grad(&args(|place| place.cpu)).unwrap();
            desk.cuda.norm_grad(&args(|place| place.gpu)).unwrap();
            near(desk, dx, NORM_NMSE, &format!("gradient of {shape}"));
        }
    });
}

#[test]
fn norm_of_every_kind() {
    let leaky = Activation::LeakyRelu(0.2);
    let (batch, own, running) = (NormScope::Batch, Statistics::Batch, Statistics::Running);
    for precision in STORED {
        on_softgpu("norm_of_every_kind", precision, &ORDERS, |desk| {
            let state = StepState { seed: 11, step: 5, lr: 0.0, micro: 0 };
            desk.cpu.set_state(state);
            desk.cuda.set_state(state);
            // One launch, and two: more than 1,024 pixels.
            for shape in
                [Shape::new(2, 5, 7, 33), Shape::new(2, 33, 40, 5), Shape::new(1, 2, 2, 64)]
            {
                check(desk, norm(batch, own, leaky, 0.0), shape, [true, true], 0.0);
                check(desk, norm(batch, own, Activation::Relu, 0.5), shape, [true, true], 0.0);
                check(
                    desk,
                    norm(batch, own, Activation::Identity, 0.0),
                    shape,
                    [false, false],
                    0.0,
                );
                check(desk, norm(batch, running, Activation::Tanh, 0.5), shape, [true, true], 0.0);
                check(desk, norm(NormScope::Instance, own, leaky, 0.0), shape, [false, false], 0.0);
                check(desk, norm(NormScope::Instance, own, leaky, 0.5), shape, [true, false], 0.0);
                if shape.n == 2 {
                    let runs = NormScope::Runs(2);
                    check(desk, norm(runs, own, leaky, 0.0), shape, [true, true], 0.0);
                    check(desk, norm(runs, running, leaky, 0.0), shape, [true, true], 0.0);
                }
            }
        });
    }
}

/// The sizes of the networks' layers with fewer channels, which are independent of each other.
#[test]
fn norm_at_the_networks_shapes() {
    let leaky = Activation::LeakyRelu(0.2);
    for precision in STORED {
        on_softgpu("norm_at_the_networks_shapes", precision, &ORDERS[..2], |desk| {
            for side in [2, 4, 8, 16, 31, 32, 64, 128] {
                let shape = Shape::new(1, side, side, if side > 32 { 16 } else { 40 });
                let one = norm(NormScope::Batch, Statistics::Batch, leaky, 0.0);
                check(desk, one, shape, [true, true], 0.0);
            }
            let pair = Shape::new(2, 64, 64, 8);
            let runs = norm(NormScope::Runs(2), Statistics::Batch, leaky, 0.0);
            check(desk, runs, pair, [true, true], 0.0);
        });
    }
}

/// A mean of 40 deviations costs no digits of y, because sums are taken about a first value.
#[test]
fn norm_of_a_large_mean() {
    let precision = pix2pix_engine::device::Precision::F32;
    on_softgpu("norm_of_a_large_mean", precision, &ORDERS[..1], |desk| {
        let one = norm(NormScope::Batch, Statistics::Batch, Activation::Identity, 0.0);
        for shape in [Shape::new(1, 16, 16, 32), Shape::new(1, 48, 48, 32)] {
            check(desk, one, shape, [true, true], 10.0);
        }
    });
}
