//! Dropout: the CPU's mask, bit for bit.

use pix2pix_engine::device::{Device, StepState};
use pix2pix_engine::kernel::{Dropout, DropoutKernels, Write};

use crate::cases::{SHAPES, STORED, same};
use crate::common::numbers;
use crate::desk::{ORDERS, on_softgpu};

#[test]
fn dropout_masks_are_those_of_the_cpu() {
    for precision in STORED {
        on_softgpu("dropout_masks_are_those_of_the_cpu", precision, &ORDERS, |desk| {
            for (i, shape) in SHAPES.into_iter().enumerate() {
                // Powers of two, which the factor of a rate of a half leaves exact in every precision.
                let exact: Vec<f32> =
                    numbers(shape.count(), 3).iter().map(|v| v.signum() * 0.5).collect();
                let x = desk.slice(shape, shape.c + 5, i % 5, &exact);
                let y = desk.slice(shape, shape.c + 8, i % 8, &exact);
                for (stream, seed, step) in [(0, 0, 1), (3, u64::MAX, 1 << 31), (1, 1 << 40, 2)] {
                    let state = StepState { seed, step, lr: 0.0 };
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
