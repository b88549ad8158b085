//! Softmax over channels and its gradient.

use pix2pix_engine::kernel::{SoftmaxGradArgs, SoftmaxKernels, Write};
use pix2pix_engine::tensor::{Shape, View};

use crate::cases::{SHAPES, STORED, close, placed};
use crate::common::numbers;
use crate::desk::{ORDERS, Place, on_softgpu};

#[test]
fn softmax_and_its_gradient() {
    for precision in STORED {
        on_softgpu("softmax_and_its_gradient", precision, &ORDERS, |desk| {
            for (way, shape) in SHAPES.into_iter().enumerate() {
                let wide: Vec<f32> = numbers(shape.count(), 1).iter().map(|v| 8.0 * v).collect();
                let x = placed(desk, shape, way, &wide);
                let y = placed(desk, shape, way + way / 3, &vec![7.0; shape.count()]);
                desk.cpu.softmax(x.cpu, y.cpu).unwrap();
                desk.cuda.softmax(x.gpu, y.gpu).unwrap();
                close(desk, y, &format!("{shape}"));
                // Both get the same y, so that its rounding is not counted in the gradient's.
                let y = placed(desk, shape, way, &probabilities(shape));
                let dy = placed(desk, shape, way, &numbers(shape.count(), 2));
                let dx = placed(desk, shape, way + way / 3, &numbers(shape.count(), 3));
                for mode in [Write::Add, Write::Set] {
                    let backward = |view: fn(Place) -> View| SoftmaxGradArgs {
                        y: view(y),
                        dy: view(dy),
                        dx: view(dx),
                        mode,
                    };
                    desk.cpu.softmax_grad(&backward(|place| place.cpu)).unwrap();
                    desk.cuda.softmax_grad(&backward(|place| place.gpu)).unwrap();
                    close(desk, dx, &format!("gradient of {shape}, {mode:?}"));
                }
            }
        });
    }
}

/// One class is certain, whatever its logit; large logits do not overflow.
#[test]
fn softmax_at_its_edges() {
    for precision in STORED {
        on_softgpu("softmax_at_its_edges", precision, &ORDERS[..1], |desk| {
            for (shape, values, expected) in [
                (Shape::new(1, 1, 2, 1), vec![-300.0, 7.0], vec![1.0, 1.0]),
                (Shape::new(1, 1, 1, 2), vec![2e4, -2e4], vec![1.0, 0.0]),
                (Shape::new(1, 1, 1, 4), vec![1e4; 4], vec![0.25; 4]),
            ] {
                let (x, y) = (placed(desk, shape, 0, &values), placed(desk, shape, 0, &values));
                desk.cuda.softmax(x.gpu, y.gpu).unwrap();
                assert_eq!(desk.read(y).0, expected);
            }
        });
    }
}

/// Positive numbers whose sum over the channels of a pixel is 1.
fn probabilities(shape: Shape) -> Vec<f32> {
    let mut all: Vec<f32> = numbers(shape.count(), 5).iter().map(|v| v.abs() + 0.01).collect();
    for pixel in all.chunks_mut(shape.c) {
        let sum: f32 = pixel.iter().sum();
        pixel.iter_mut().for_each(|v| *v /= sum);
    }
    all
}
