//! Dropout: the CPU's mask, bit for bit.

use pix2pix_engine::device::{Device, Precision, StepState};
use pix2pix_engine::kernel::{Dropout, DropoutKernels, Write};
use pix2pix_engine::random::{Purpose, philox, uniform};
use pix2pix_engine::tensor::Shape;

use crate::cases::{SHAPES, STORED, close, same};
use crate::common::numbers;
use crate::desk::{ORDERS, on_softgpu};

#[test]
fn dropout_masks_are_those_of_the_cpu() {
    for precision in STORED {
        on_softgpu("dropout_masks_are_those_of_the_cpu", precision, &ORDERS, |desk| {
            for (i, shape) in SHAPES.into_iter().enumerate() {
                // Powers of two, which stay exact in every precision times the factor of a rate of
                // 1/2.
                let exact: Vec<f32> =
                    numbers(shape.count(), 3).iter().map(|v| v.signum() * 0.5).collect();
                let x = desk.slice(shape, shape.c + 5, i % 5, &exact);
                let y = desk.slice(shape, shape.c + 8, i % 8, &exact);
                let cases =
                    [(0, 0, 1, 0), (3, u64::MAX, 1 << 31, 1), (1, 1 << 40, 2, (1 << 24) - 1)];
                for (stream, seed, step, micro) in cases {
                    let state = StepState { seed, step, lr: 0.0, micro };
                    desk.cpu.set_state(state);
                    desk.cuda.set_state(state);
                    let dropout = Dropout { rate: 0.5, stream };
                    for mode in [Write::Set, Write::Add] {
                        desk.cpu.dropout(dropout, x.cpu, y.cpu, mode).unwrap();
                        desk.cuda.dropout(dropout, x.gpu, y.gpu, mode).unwrap();
                        same(desk, y, &format!("dropout of {shape}, {mode:?}"));
                    }
                }
            }
        });
    }
}

/// A draw that is the rate itself keeps its element.
#[test]
fn dropout_at_the_rate_itself() {
    let (seed, step, stream) = (7, 3, 1);
    let draws = philox(seed, [0, stream, step, Purpose::Dropout as u32]);
    on_softgpu("dropout_at_the_rate_itself", Precision::F32, &ORDERS[..1], |desk| {
        let shape = Shape::new(1, 1, 1, 4);
        let x = desk.tensor(shape, &[1.0; 4]);
        let y = desk.tensor(shape, &[0.0; 4]);
        let state = StepState { seed, step: u64::from(step), lr: 0.0, micro: 0 };
        desk.cpu.set_state(state);
        desk.cuda.set_state(state);
        for draw in draws {
            let dropout = Dropout { rate: uniform(draw), stream };
            desk.cpu.dropout(dropout, x.cpu, y.cpu, Write::Set).unwrap();
            desk.cuda.dropout(dropout, x.gpu, y.gpu, Write::Set).unwrap();
            close(desk, y, &format!("dropout at {}", dropout.rate));
        }
    });
}
