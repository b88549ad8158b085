//! The moving average and the norm of a vector: the CPU's formulas to rounding.

use pix2pix_engine::device::Precision;
use pix2pix_engine::kernel::VectorKernels;
use pix2pix_engine::tensor::Shape;

use crate::cases::close;
use crate::common::numbers;
use crate::desk::{ORDERS, on_softgpu};

/// One number, too few and too many for a block, several blocks, more than one iteration.
const COUNTS: [usize; 6] = [1, 255, 1024, 1028, 40_000, 1_000_003];

#[test]
fn moving_averages_are_those_of_the_cpu() {
    on_softgpu("moving_averages_are_those_of_the_cpu", Precision::F32, &ORDERS, |desk| {
        for (seed, count) in COUNTS.into_iter().enumerate() {
            let shape = Shape::vector(count);
            let [x, mean] = [0, 1].map(|i| {
                let values = numbers(count, 2 * seed as u64 + i);
                desk.floats(shape, &values)
            });
            for decay in [0.0, 0.5, 0.999] {
                desk.cpu.moving_average(decay, x.cpu, mean.cpu).unwrap();
                desk.cuda.moving_average(decay, x.gpu, mean.gpu).unwrap();
                close(desk, mean, &format!("an average of {count}, decay {decay}"));
            }
        }
    });
}

/// Sums in f64 differ by far less than the one rounding to f32 at the end.
#[test]
fn norms_of_vectors_are_those_of_the_cpu() {
    on_softgpu("norms_of_vectors_are_those_of_the_cpu", Precision::F32, &ORDERS, |desk| {
        for (seed, count) in COUNTS.into_iter().enumerate() {
            let x = desk.floats(Shape::vector(count), &numbers(count, 50 + seed as u64));
            let y = desk.floats(Shape::SCALAR, &[f32::NAN]);
            desk.cpu.vector_norm(x.cpu, y.cpu).unwrap();
            desk.cuda.vector_norm(x.gpu, y.gpu).unwrap();
            close(desk, y, &format!("the norm of {count}"));
        }
    });
}
