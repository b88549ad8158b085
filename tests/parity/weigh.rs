//! Products of pixels with weights.

use pix2pix_engine::device::{Device, Precision};
use pix2pix_engine::kernel::{WeighArgs, WeighKernels, Write};
use pix2pix_engine::tensor::{Elem, Shape, View};

use crate::cases::{SHAPES, STORED, close, placed};
use crate::common::numbers;
use crate::desk::{Desk, ORDERS, Place, on_softgpu};

/// Weights of f32, of which every third is 0.
fn weights(desk: &mut Desk, shape: Shape, way: usize) -> Place {
    let pixels = Shape { c: 1, ..shape };
    let values: Vec<f32> =
        (0..pixels.count()).map(|i| if i % 3 == 1 { 0.0 } else { 0.3 + i as f32 / 97.0 }).collect();
    match desk.cuda.elem() {
        Elem::F32 => placed(desk, pixels, way, &values),
        Elem::Bf16 => desk.floats(pixels, &values),
    }
}

#[test]
fn weigh() {
    for precision in STORED {
        on_softgpu("weigh", precision, &ORDERS, |desk| {
            for (way, shape) in SHAPES.into_iter().enumerate() {
                let x = placed(desk, shape, way, &numbers(shape.count(), 1));
                let weights = weights(desk, shape, way);
                let y = placed(desk, shape, way + way / 3, &numbers(shape.count(), 2));
                for mode in [Write::Add, Write::Set] {
                    let args = |view: fn(Place) -> View| WeighArgs {
                        x: view(x),
                        weights: view(weights),
                        y: view(y),
                        mode,
                    };
                    desk.cpu.weigh(&args(|place| place.cpu)).unwrap();
                    desk.cuda.weigh(&args(|place| place.gpu)).unwrap();
                    close(desk, y, &format!("{shape} weighed, {mode:?}"));
                }
                // A pixel of weight 0 is exactly 0.
                let (got, _) = desk.read(y);
                assert!(got.chunks(shape.c).skip(1).step_by(3).flatten().all(|v| *v == 0.0));
            }
        });
    }
}

#[test]
fn weights_of_bf16_are_refused() {
    on_softgpu("weights_of_bf16_are_refused", Precision::Bf16, &ORDERS[..1], |desk| {
        let shape = Shape::new(1, 2, 2, 8);
        let x = placed(desk, shape, 0, &numbers(shape.count(), 1)).gpu;
        let weights = View { shape: Shape { c: 1, ..shape }, ..x };
        let refused = desk.cuda.weigh_supports(&WeighArgs { x, weights, y: x, mode: Write::Set });
        assert!(refused.unwrap_err().to_string().contains("stored in bf16"));
    });
}
