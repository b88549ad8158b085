//! Losses, their gradients, and the ring.

use pix2pix_engine::device::{Device, StepState};
use pix2pix_engine::kernel::{Loss, LossArgs, LossGradArgs, LossKernels, Target, Write};
use pix2pix_engine::tensor::{Shape, View};

use crate::cases::{SHAPES, STORED, close};
use crate::common::numbers;
use crate::desk::{ORDERS, Place, on_softgpu};

#[test]
fn losses_and_their_gradients() {
    for precision in STORED {
        on_softgpu("losses_and_their_gradients", precision, &ORDERS, |desk| {
            for (i, shape) in SHAPES.into_iter().enumerate() {
                let wide: Vec<f32> = numbers(shape.count(), 1).iter().map(|v| 40.0 * v).collect();
                let x = desk.slice(shape, shape.c + 3, i % 3, &wide);
                let mut other = numbers(shape.count(), 2);
                // Equal in one element, where the derivative of the absolute difference is 0.
                other[0] = wide[0];
                let t = desk.tensor(shape, &other);
                let y = desk.floats(Shape::SCALAR, &[0.0]);
                let dy = desk.floats(Shape::SCALAR, &[-0.7 * shape.count() as f32]);
                let dx = desk.tensor(shape, &numbers(shape.count(), 3));
                for loss in [Loss::Bce, Loss::Mse, Loss::L1] {
                    let label = [if i % 2 == 0 { 1.0 } else { 0.0 }];
                    for other in [None, Some(t)] {
                        let target = |view: fn(Place) -> View| {
                            other.map_or(Target::Labels(&label), |t| Target::Tensor(view(t)))
                        };
                        let what = format!("{loss:?} of {shape} against {other:?}");
                        let forward = |view: fn(Place) -> View| {
                            let (x, y, target) = (view(x), view(y), target(view));
                            LossArgs { loss, x, target, weight: 2.5, y }
                        };
                        desk.cpu.loss(&forward(|place| place.cpu)).unwrap();
                        desk.cuda.loss(&forward(|place| place.gpu)).unwrap();
                        close(desk, y, &what);
                        for mode in [Write::Set, Write::Add] {
                            let backward = |view: fn(Place) -> View| {
                                let (x, target, [dy, dx]) =
                                    (view(x), target(view), [dy, dx].map(view));
                                LossGradArgs { loss, x, target, weight: 0.5, dy, dx, mode }
                            };
                            desk.cpu.loss_grad(&backward(|place| place.cpu)).unwrap();
                            desk.cuda.loss_grad(&backward(|place| place.gpu)).unwrap();
                            close(desk, dx, &format!("gradient of {what}, {mode:?}"));
                            let (_, values) = desk.read(dx);
                            let values: Vec<f32> = values.iter().map(|v| *v as f32).collect();
                            desk.set(dx, &values);
                        }
                    }
                }
            }
        });
    }
}

/// One, two and three labels: a launch takes two runs.
#[test]
fn losses_of_runs() {
    for precision in STORED {
        on_softgpu("losses_of_runs", precision, &ORDERS, |desk| {
            for shape in [Shape::new(2, 30, 30, 1), Shape::new(6, 7, 3, 5)] {
                let x = desk.slice(shape, shape.c + 1, 0, &numbers(shape.count(), 1));
                let three = Shape::vector(3);
                let y = desk.floats(three, &[0.0; 3]);
                let dy = desk.floats(three, &[100.0, -30.0, 7.0]);
                let dx = desk.tensor(shape, &numbers(shape.count(), 3));
                let each: [&[f32]; 3] = [&[1.0], &[0.0, 1.0], &[0.5, 0.0, 1.0]];
                for labels in each.into_iter().filter(|labels| shape.n % labels.len() == 0) {
                    let (loss, target, weight) = (Loss::Bce, Target::Labels(labels), 1.0);
                    let forward = |view: fn(Place) -> View| {
                        let y = view(y).channels(0..labels.len()).unwrap();
                        LossArgs { loss, x: view(x), target, weight, y }
                    };
                    desk.cpu.loss(&forward(|place| place.cpu)).unwrap();
                    desk.cuda.loss(&forward(|place| place.gpu)).unwrap();
                    close(desk, y, "losses of runs");
                    let backward = |view: fn(Place) -> View| {
                        let dy = view(dy).channels(0..labels.len()).unwrap();
                        let (x, dx, mode) = (view(x), view(dx), Write::Set);
                        LossGradArgs { loss, x, target, weight, dy, dx, mode }
                    };
                    desk.cpu.loss_grad(&backward(|place| place.cpu)).unwrap();
                    desk.cuda.loss_grad(&backward(|place| place.gpu)).unwrap();
                    close(desk, dx, "gradient of runs");
                }
            }
        });
    }
}

#[test]
fn losses_are_kept_run_by_run() {
    for precision in STORED {
        on_softgpu("losses_are_kept_run_by_run", precision, &ORDERS[..1], |desk| {
            let all = [1.0, 2.0, 3.0].map(|v| desk.floats(Shape::SCALAR, &[v]));
            // More runs than the ring has rows.
            for step in 1..=70u64 {
                let state = StepState { seed: 0, step, lr: 0.0, micro: 0 };
                desk.cpu.set_state(state);
                desk.cuda.set_state(state);
                desk.set(all[1], &[step as f32]);
                desk.cpu.keep_losses(&all.map(|p| p.cpu)).unwrap();
                desk.cuda.keep_losses(&all.map(|p| p.gpu)).unwrap();
            }
            for runs in [1, 5, 64] {
                let expected: Vec<Vec<f32>> =
                    (71 - runs..=70).map(|step| vec![1.0, step as f32, 3.0]).collect();
                assert_eq!(desk.cuda.kept_losses(runs, 3).unwrap(), expected);
                assert_eq!(desk.cpu.kept_losses(runs, 3).unwrap(), expected);
            }
        });
    }
}
