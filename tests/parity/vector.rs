//! The moving average and the norm of a vector: the CPU's formulas to rounding; counts exactly.

use pix2pix_engine::device::Precision;
use pix2pix_engine::kernel::VectorKernels;
use pix2pix_engine::tensor::{Shape, View};

use crate::cases::close;
use crate::common::numbers;
use crate::desk::{ORDERS, Place, on_softgpu};

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

/// NaN of either sign, infinities, at the first and last place and between; the largest and smallest
/// finite numbers do not count, nor do the gaps between tensors, which hold marks that are NaN.
#[test]
fn numbers_that_are_not_finite_are_counted() {
    on_softgpu("numbers_that_are_not_finite_are_counted", Precision::F32, &ORDERS, |desk| {
        let kinds = [
            f32::NAN,
            f32::INFINITY,
            f32::NEG_INFINITY,
            -f32::NAN,
            f32::from_bits(1 | 0x7f80_0000),
        ];
        let (mut places, mut expected) = (Vec::new(), Vec::new());
        for (seed, count) in COUNTS.into_iter().chain([3, 0x1_0003]).enumerate() {
            let mut values = numbers(count, 90 + seed as u64);
            values[count / 3] = f32::MAX;
            values[count / 2] = -f32::MIN_POSITIVE / 2.0;
            let bad: Vec<usize> = match seed {
                0 | 3 => Vec::new(),
                1 => vec![0],
                2 => vec![count - 1],
                _ => (0..count).step_by(1 + count / 40).collect(),
            };
            bad.iter().zip(kinds.iter().cycle()).for_each(|(at, kind)| values[*at] = *kind);
            expected.push(bad.len());
            places.push(desk.floats(Shape::vector(count), &values));
        }
        let of = |view: fn(&Place) -> View| places.iter().map(view).collect::<Vec<_>>();
        assert_eq!(desk.cpu.count_not_finite(&of(|p| p.cpu)).unwrap(), expected);
        // A second time: the counts begin at 0 again. Also of more tensors than there are counts.
        for times in [1, 1, 200] {
            let expected = expected.repeat(times);
            assert_eq!(desk.cuda.count_not_finite(&of(|p| p.gpu).repeat(times)).unwrap(), expected);
        }
        assert_eq!(desk.cuda.count_not_finite(&[]).unwrap(), [] as [usize; 0]);
    });
}
