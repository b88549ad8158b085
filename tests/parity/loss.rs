//! Losses, their gradients, and the ring.

use pix2pix_engine::device::{Device, StepState};
use pix2pix_engine::kernel::{Loss, LossKernels, Target, Write};
use pix2pix_engine::tensor::Shape;

use crate::cases::{SHAPES, STORED, close};
use crate::common::numbers;
use crate::desk::{ORDERS, on_softgpu};

#[test]
fn losses_and_their_gradients() {
    for precision in STORED {
        on_softgpu("losses_and_their_gradients", precision, &ORDERS, |desk| {
            for (i, shape) in SHAPES.into_iter().enumerate() {
                let wide: Vec<f32> = numbers(shape.count(), 1).iter().map(|v| 40.0 * v).collect();
                let x = desk.slice(shape, shape.c + 3, i % 3, &wide);
                let mut other = numbers(shape.count(), 2);
                // Both alike somewhere: the slope of an absolute value is 0 there.
                other[0] = wide[0];
                let t = desk.tensor(shape, &other);
                let y = desk.floats(Shape::SCALAR, &[0.0]);
                let dy = desk.floats(Shape::SCALAR, &[-0.7 * shape.count() as f32]);
                let dx = desk.tensor(shape, &numbers(shape.count(), 3));
                for loss in [Loss::Bce, Loss::Mse, Loss::L1] {
                    let label = Target::Value(if i % 2 == 0 { 1.0 } else { 0.0 });
                    let targets = [(label, label), (Target::Tensor(t.cpu), Target::Tensor(t.gpu))];
                    for (on_cpu, on_gpu) in targets {
                        let what = format!("{loss:?} of {shape} against {on_cpu:?}");
                        desk.cpu.loss(loss, x.cpu, on_cpu, 2.5, y.cpu).unwrap();
                        desk.cuda.loss(loss, x.gpu, on_gpu, 2.5, y.gpu).unwrap();
                        close(desk, y, &what);
                        for mode in [Write::Set, Write::Add] {
                            desk.cpu
                                .loss_grad(loss, x.cpu, on_cpu, 0.5, dy.cpu, dx.cpu, mode)
                                .unwrap();
                            desk.cuda
                                .loss_grad(loss, x.gpu, on_gpu, 0.5, dy.gpu, dx.gpu, mode)
                                .unwrap();
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

#[test]
fn losses_of_two_runs() {
    for precision in STORED {
        on_softgpu("losses_of_two_runs", precision, &ORDERS, |desk| {
            for shape in [Shape::new(2, 30, 30, 1), Shape::new(6, 7, 3, 5)] {
                let x = desk.slice(shape, shape.c + 1, 0, &numbers(shape.count(), 1));
                let two = Shape::vector(2);
                let (y, dy) = (desk.floats(two, &[0.0; 2]), desk.floats(two, &[100.0, -30.0]));
                let dx = desk.tensor(shape, &numbers(shape.count(), 3));
                for labels in [&[0.0, 1.0][..], &[1.0]] {
                    let cut = |view: pix2pix_engine::tensor::View| {
                        view.channels(0..labels.len()).unwrap()
                    };
                    desk.cpu.labelled(Loss::Bce, x.cpu, labels, cut(y.cpu)).unwrap();
                    desk.cuda.labelled(Loss::Bce, x.gpu, labels, cut(y.gpu)).unwrap();
                    close(desk, y, "losses of runs");
                    let (on_cpu, on_gpu) = (cut(dy.cpu), cut(dy.gpu));
                    desk.cpu
                        .labelled_grad(Loss::Bce, x.cpu, labels, on_cpu, dx.cpu, Write::Set)
                        .unwrap();
                    desk.cuda
                        .labelled_grad(Loss::Bce, x.gpu, labels, on_gpu, dx.gpu, Write::Set)
                        .unwrap();
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
