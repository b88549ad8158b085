//! The results of a step depend only on its inputs and its parameters: not on what planned memory
//! held before, not on what an operation says it does not read, not on the number of threads.

use pix2pix_engine::device::{Cpu, Device};
use pix2pix_engine::kernel::PointwiseKernels;
use pix2pix_engine::tape::{Application, Phase};
use pix2pix_engine::tensor::{Shape, View};

use crate::common::numbers;
use crate::common::training::{Setup, Training, assert_same};

const LEARNING_RATE: f32 = 2e-4;

fn pair(size: Shape) -> [Vec<f32>; 2] {
    [numbers(size.count(), 81), numbers(size.n * size.h * size.w * 3, 82)]
}

/// Two steps from first values, with `before` done to the device before each.
fn two_steps(
    training: &mut Training,
    size: Shape,
    before: impl Fn(&mut Training),
) -> Vec<(String, Vec<u32>)> {
    let [a, b] = pair(size);
    training.init(3);
    for _ in 0..2 {
        before(training);
        training.run(&a, &b, LEARNING_RATE);
    }
    training.left()
}

fn poison(training: &mut Training) {
    let program = &training.step.program;
    let planned = View::dense(training.base, Shape::vector(program.planned()));
    training.cpu.fill(planned, f32::NAN).unwrap();
    for params in [Some(&training.g), training.d.as_ref()].into_iter().flatten() {
        training.cpu.fill(params.group().grads, f32::NAN).unwrap();
    }
}

/// Planned memory and gradients hold NaN before every step: nothing is read before it is written.
/// The clean run is repeated, so that a run does not depend on the one before either.
#[test]
fn a_step_reads_nothing_that_it_did_not_write() {
    for setup in Setup::all() {
        let mut training = Training::new(&setup, 1);
        let clean = two_steps(&mut training, setup.size, |_| {});
        let finite = |bits: &[u32]| bits.iter().all(|b| f32::from_bits(*b).is_finite());
        for (name, bits) in &clean {
            assert!(finite(bits), "{setup:?}: {name} is not finite");
        }
        let again = two_steps(&mut training, setup.size, |_| {});
        assert_same(&format!("{setup:?} again"), &again, &clean);
        let poisoned = two_steps(&mut training, setup.size, poison);
        assert_same(&format!("{setup:?} poisoned"), &poisoned, &clean);
    }
}

/// The backward pass of an operation finds NaN in what it says it does not read.
#[test]
fn operations_read_back_only_what_they_say() {
    for setup in Setup::all() {
        let mut training = Training::new(&setup, 1);
        let [a, b] = pair(setup.size);
        training.run(&a, &b, LEARNING_RATE);
        let clean = training.left();
        training.init(3);
        training.prepare(&a, &b, LEARNING_RATE);
        let (program, cpu) = (&training.step.program, &mut training.cpu);
        let end = program.end();
        cpu.reserve(2 * end).unwrap();
        cpu.fill(View::dense(end, Shape::vector(end)), f32::NAN).unwrap();
        let hidden = |view: &mut View| *view = View::dense(end, view.shape);
        for instruction in program.instructions() {
            let applied = instruction.application();
            let Some(Application { op, io, phase: Phase::Backward }) = applied else {
                instruction.run(cpu).unwrap();
                continue;
            };
            let (mut io, reads) = (io.clone(), op.reads_back());
            if !reads.inputs {
                io.x.iter_mut().for_each(hidden);
            }
            if !reads.output {
                hidden(&mut io.y);
            }
            op.backward(cpu, &io).unwrap();
        }
        assert_same(&format!("{setup:?}"), &training.left(), &clean);
    }
}

#[test]
fn threads_do_not_change_a_bit() {
    let wide = Setup { base: 16, size: Shape::new(2, 64, 64, 3), ..Setup::SMALL };
    for setup in [Setup::SMALL, wide] {
        let [one, three] = [1, 3].map(|threads| {
            let mut training = Training::new(&setup, threads);
            two_steps(&mut training, setup.size, |_| {})
        });
        assert_same(&format!("{setup:?}"), &three, &one);
    }
}

/// What the device holds in addition to the arena is no more than was announced.
#[test]
fn workspace_is_announced() {
    for setup in [Setup::SMALL, Setup { base: 16, ..Setup::SMALL }] {
        let mut training = Training::new(&setup, 2);
        let [a, b] = pair(setup.size);
        training.run(&a, &b, LEARNING_RATE);
        let announced = 4 * training.step.program.workspace(&training.cpu);
        let held = training.cpu.side_bytes();
        assert!(held <= announced, "{held} bytes held, {announced} announced: {setup:?}");
    }
}

/// The default step, depth 8 and 64 channels at 256 x 256, batch 1: 75.6 MB when it was measured.
/// Its peak is the discriminator's update, with 36 MB that the generator's backward pass will read
/// (each level's convolution results, activations and skips), 29 MB of the pass of two pairs
/// through the discriminator, and the largest gradients.
#[test]
fn the_default_step_is_small() {
    let (step, ..) = Setup::DEFAULT.record(&Cpu::new(1).unwrap());
    let planned = 4 * step.program.planned();
    println!("{:.1} MB planned, {} instructions", planned as f64 * 1e-6, step.program.len());
    assert!(planned < 77_000_000, "{planned} bytes");
}
