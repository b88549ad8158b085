//! Adam: the CPU's formula to rounding, over several steps.

use pix2pix_engine::device::{Device, Precision, StepState};
use pix2pix_engine::kernel::{Adam, AdamKernels};
use pix2pix_engine::tensor::Shape;

use crate::common::{POINTWISE, numbers};
use crate::desk::{ORDERS, on_softgpu};

#[test]
fn adam_is_that_of_the_cpu() {
    on_softgpu("adam_is_that_of_the_cpu", Precision::F32, &ORDERS, |desk| {
        // One thread too few and too many for a block, and more than one iteration.
        for (seed, count) in [(1, 4), (2, 1020), (3, 1024), (4, 1028), (5, 40_000)] {
            let shape = Shape::vector(count);
            let [w, g, m, v] = [0, 1, 2, 3].map(|i| {
                let mut values = numbers(count, 10 * seed + i);
                if i == 3 {
                    values.iter_mut().for_each(|v| *v = *v * *v);
                }
                desk.floats(shape, &values)
            });
            for step in [1, 2, 1000] {
                let state = StepState { seed: 0, step, lr: 1e-2, micro: 0 };
                desk.cpu.set_state(state);
                desk.cuda.set_state(state);
                let adam = Adam::default();
                desk.cpu.adam(adam, w.cpu, g.cpu, m.cpu, v.cpu).unwrap();
                desk.cuda.adam(adam, w.gpu, g.gpu, m.gpu, v.gpu).unwrap();
                for place in [w, m, v] {
                    let (got, expected) = desk.read(place);
                    for (i, (got, expected)) in got.iter().zip(&expected).enumerate() {
                        let error = (f64::from(*got) - expected).abs();
                        let bound = POINTWISE * expected.abs().max(1.0);
                        assert!(error <= bound, "{count} at {i}: {got}, not {expected}");
                    }
                }
            }
        }
    });
}
