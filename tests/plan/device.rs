//! Before a program runs, the device is asked whether it supports every instruction, and how much
//! memory it takes in addition to the arena.

use pix2pix_engine::Result;
use pix2pix_engine::device::{Arena, Cpu, Device, Precision, StepState};
use pix2pix_engine::kernel::{Activation, Backend, Conv, Loss, NormScope, Pool, Statistics, Write};
use pix2pix_engine::model::NormKind;
use pix2pix_engine::nn::Placement;
use pix2pix_engine::op::{NormUse, NormVars};
use pix2pix_engine::tape::{Program, Tape};
use pix2pix_engine::tensor::Shape;

use crate::common::harness::leaves;
use crate::common::training::Setup;
use crate::common::{PRODUCT_NMSE, nmse, numbers};
use crate::desk::{ORDERS, on_softgpu};

/// A convolution of a tensor that is f32 in every precision to one that is not.
fn stored_differently(b: &dyn Backend) -> Result<Program> {
    let tape = &mut Tape::new();
    let x = tape.constant("x", Shape::new(1, 4, 4, 1), vec![0.0; 16])?;
    let w = tape.input("w", Shape::new(1, 1, 1, 1));
    let y = tape.conv(Conv::PIXEL, x, w, None)?;
    tape.output("y", y);
    tape.compile(b, 0)
}

/// A norm of more channels than a GPU has counters for, which serve 32 each.
fn wide_norm(b: &dyn Backend) -> Result<Program> {
    let tape = &mut Tape::new();
    let x = tape.input("x", Shape::new(1, 2, 1, 32_769));
    let (scope, statistics) = (NormScope::Batch, Statistics::Batch);
    let how = NormUse { scope, statistics, dropout: 0.0, activation: Activation::Relu };
    tape.norm(how, x, NormVars::default())?;
    tape.compile(b, 0)
}

/// The gradient of a bias of more channels than a GPU has counters for, which serve 256 each.
fn wide_bias(b: &dyn Backend) -> Result<Program> {
    const CHANNELS: usize = 262_145;
    let mut arena = Arena::default();
    let filter = Shape::new(CHANNELS, 1, 1, 1);
    let mut params = leaves(&[("w", filter), ("b", Shape::vector(CHANNELS))], &[]);
    params.place(&mut arena, Placement::Training(&[]));
    let tape = &mut Tape::new();
    let x = tape.input("x", Shape::SCALAR);
    let (w, bias) = (params.on(tape, 0), params.on(tape, 1));
    let y = tape.conv(Conv::PIXEL, x, w, Some(bias))?;
    let loss = tape.bce_with_logits(y, 1.0)?;
    tape.backward(&[(1.0, loss)], params.group(), Write::Set)?;
    tape.compile(b, arena.len())
}

/// A sum of a constant, which is f32 in every precision, and a tensor that is not.
fn mixed_sum(b: &dyn Backend) -> Result<Program> {
    let tape = &mut Tape::new();
    let x = tape.input("x", Shape::new(1, 4, 4, 1));
    let y = tape.constant("y", Shape::new(1, 4, 4, 1), vec![0.0; 16])?;
    tape.add(x, y)?;
    tape.compile(b, 0)
}

/// A loss against three labels, one more than a launch on a GPU has room for.
fn three_labels(b: &dyn Backend) -> Result<Program> {
    let tape = &mut Tape::new();
    let x = tape.input("x", Shape::new(3, 4, 4, 1));
    tape.labelled(Loss::Mse, x, &[0.0, 0.5, 1.0])?;
    tape.compile(b, 0)
}

/// Labels that are stored as the precision has it.
fn rounded_labels(b: &dyn Backend) -> Result<Program> {
    let tape = &mut Tape::new();
    let x = tape.input("x", Shape::new(1, 4, 4, 2));
    let labels = tape.input("labels", Shape::new(1, 4, 4, 1));
    tape.cross_entropy(x, labels, None)?;
    tape.compile(b, 0)
}

type Case = (fn(&dyn Backend) -> Result<Program>, Precision, &'static str, &'static str);

/// What a GPU does not support, in which precision, and the shape and the remedy that the error
/// names.
const REFUSED: [Case; 5] = [
    (stored_differently, Precision::Bf16, "1x4x4x1", "`precision` f32"),
    (mixed_sum, Precision::Bf16, "1x4x4x1", "`precision` f32"),
    (wide_norm, Precision::F32, "1x2x1x32769", "`device` cpu"),
    (wide_bias, Precision::F32, "1x1x1x262145", "`device` cpu"),
    (rounded_labels, Precision::Bf16, "1x4x4x1", "an input of f32"),
];

#[test]
fn what_a_gpu_cannot_do_is_refused_before_it_runs() {
    for (record, precision, shape, remedy) in REFUSED {
        record(&Cpu::new(1).unwrap()).unwrap();
        let test = "what_a_gpu_cannot_do_is_refused_before_it_runs";
        on_softgpu(test, precision, &ORDERS[..1], |desk| {
            let error = record(&desk.cuda).unwrap_err().to_string();
            assert!(error.contains(shape) && error.contains(remedy), "{error}");
        });
    }
}

#[test]
fn both_devices_take_any_number_of_labels() {
    three_labels(&Cpu::new(1).unwrap()).unwrap();
    let test = "both_devices_take_any_number_of_labels";
    on_softgpu(test, Precision::F32, &ORDERS[..1], |desk| {
        three_labels(&desk.cuda).unwrap();
    });
}

/// What a GPU holds in addition to the arena after a step is what was announced, to the byte.
#[test]
fn the_workspace_of_a_gpu_is_announced() {
    let test = "the_workspace_of_a_gpu_is_announced";
    let norms = [NormKind::Batch, NormKind::Instance, NormKind::None];
    for (precision, norm) in
        [Precision::F32, Precision::Tf32, Precision::Bf16].into_iter().zip(norms)
    {
        let size = Shape::new(1, 32, 32, 3);
        let setup = Setup { norm, size, depth: 5, layers: 1, ..Setup::SMALL };
        on_softgpu(test, precision, &ORDERS[..1], |desk| {
            let b = &mut desk.cuda;
            let (step, g, d, _) = setup.record(b);
            b.reserve(step.program.end()).unwrap();
            g.init(b, 3, 0).unwrap();
            d.unwrap().init(b, 3, 1).unwrap();
            b.set_state(StepState { seed: 9, step: 1, lr: 1e-4, micro: 0 });
            for name in ["a", "b"] {
                let view = step.program.view(name).unwrap();
                b.upload(view, &numbers(view.shape.count(), 81)).unwrap();
            }
            let announced = 4 * step.program.workspace(b);
            step.program.run(b).unwrap();
            assert_eq!(b.side_bytes(), announced, "{norm:?} in {}", precision.name());
        });
    }
}

/// Norms of more pixels than one launch takes, which no step above has, write sums to memory.
#[test]
fn the_workspace_of_large_norms_is_announced() {
    let test = "the_workspace_of_large_norms_is_announced";
    for scope in [NormScope::Batch, NormScope::Instance] {
        on_softgpu(test, Precision::F32, &ORDERS[..1], |desk| {
            let b = &mut desk.cuda;
            let shape = Shape::new(2, 40, 40, 24);
            let mut arena = Arena::default();
            let mut params = leaves(&[("x", shape)], &[]);
            params.place(&mut arena, Placement::Training(&[]));
            let tape = &mut Tape::new();
            let (x, target) = (params.on(tape, 0), tape.input("target", shape));
            let (statistics, activation) = (Statistics::Batch, Activation::Relu);
            let how = NormUse { scope, statistics, dropout: 0.0, activation };
            let y = tape.norm(how, x, NormVars::default()).unwrap();
            let loss = tape.l2(y, target).unwrap();
            tape.backward(&[(1.0, loss)], params.group(), Write::Set).unwrap();
            let program = tape.compile(b, arena.len()).unwrap();
            b.reserve(program.end()).unwrap();
            params.clear(b).unwrap();
            b.upload(program.view("target").unwrap(), &numbers(shape.count(), 3)).unwrap();
            let announced = 4 * program.workspace(b);
            program.run(b).unwrap();
            assert_eq!(b.side_bytes(), announced, "{scope:?}");
        });
    }
}

/// The norm of gradients and a constant take memory of a GPU too.
#[test]
fn norms_of_gradients_and_constants_are_announced() {
    let test = "norms_of_gradients_and_constants_are_announced";
    on_softgpu(test, Precision::F32, &ORDERS[..1], |desk| {
        let b = &mut desk.cuda;
        // Larger than the smallest allocation, 256 bytes.
        let shape = Shape::new(1, 1, 100, 700);
        let mut arena = Arena::default();
        let mut params = leaves(&[("x", shape)], &[]);
        params.place(&mut arena, Placement::Training(&[]));
        let tape = &mut Tape::new();
        let x = params.on(tape, 0);
        let target = tape.constant("target", shape, numbers(shape.count(), 3)).unwrap();
        let loss = tape.l2(x, target).unwrap();
        tape.backward(&[(1.0, loss)], params.group(), Write::Set).unwrap();
        let norm = tape.gradient_norm("norm", params.group()).unwrap();
        tape.output("norm", norm);
        let program = tape.compile(b, arena.len()).unwrap();
        b.reserve(program.end()).unwrap();
        params.clear(b).unwrap();
        let announced = 4 * program.workspace(b);
        (0..3).for_each(|_| program.run(b).unwrap());
        assert_eq!(b.side_bytes(), announced);
        // x is 0: the gradient is -2 target / count.
        let mut got = [0.0];
        b.download(program.view("norm").unwrap(), &mut got).unwrap();
        let squares = numbers(shape.count(), 3).into_iter().map(|t| f64::from(t).powi(2));
        let expected = 2.0 * squares.sum::<f64>().sqrt() / shape.count() as f64;
        let error = (f64::from(got[0]) - expected).abs();
        assert!(error < crate::common::POINTWISE * expected, "{} for {expected}", got[0]);
    });
}

/// A small network for segmentation with its gradients, from pictures to a loss of their classes: on a
/// GPU as on the CPU, within what the precision stores.
#[test]
fn segmentation_is_the_same_on_both_devices() {
    let test = "segmentation_is_the_same_on_both_devices";
    let (size, classes) = (Shape::new(2, 10, 12, 3), 5);
    let record = |b: &mut dyn Backend| {
        let mut arena = Arena::default();
        let (first, last) = (Shape::new(8, 3, 3, 3), Shape::new(classes, 1, 1, 8));
        let mut params = leaves(&[("first", first), ("last", last)], &[]);
        params.place(&mut arena, Placement::Training(&[]));
        let tape = &mut Tape::new();
        let x = tape.input("x", size);
        let labels = tape.input_f32("labels", Shape { c: 1, ..size });
        let [first, last] = [0, 1].map(|i| params.on(tape, i));
        let y = tape.reflection_pad(1, x)?;
        let y = tape.conv(Conv::square(3, 1, 0), y, first, None)?;
        let pool = Pool::square(2, 2, 0);
        let (most, mean) = (tape.max_pool(pool, y)?, tape.average_pool(pool, y)?);
        let y = tape.add(most, mean)?;
        let y = tape.upsample(2, y)?;
        let y = tape.conv(Conv::PIXEL, y, last, None)?;
        let loss = tape.cross_entropy(y, labels, Some(255))?;
        tape.output("loss", loss);
        tape.backward(&[(1.0, loss)], params.group(), Write::Set)?;
        let program = tape.compile(b, arena.len())?;
        b.reserve(program.end())?;
        for (i, param) in params.iter().enumerate() {
            b.upload(param.view(), &numbers(param.shape.count(), i as u64))?;
        }
        b.set_state(StepState { seed: 0, step: 1, lr: 0.0, micro: 0 });
        b.upload(program.view("x")?, &numbers(size.count(), 3))?;
        let label = |i: usize| if i.is_multiple_of(7) { 255.0 } else { (i % classes) as f32 };
        let labels: Vec<f32> = (0..size.pixels()).map(label).collect();
        b.upload(program.view("labels")?, &labels)?;
        program.run(b)?;
        let mut all = vec![0.0];
        b.download(program.view("loss")?, &mut all)?;
        for param in params.iter() {
            let group = params.group();
            let view = group.part(group.grads, param.view()).expect("it is of the group");
            let mut values = vec![0.0; view.shape.count()];
            b.download(view, &mut values)?;
            all.extend(values);
        }
        Ok::<_, pix2pix_engine::Error>((all, 4 * program.workspace(b)))
    };
    let (expected, _) = record(&mut Cpu::new(1).unwrap()).unwrap();
    let expected: Vec<f64> = expected.into_iter().map(f64::from).collect();
    // A rounding to bf16 is 2^-9 of a number; some follow each other.
    for (precision, bound) in [(Precision::F32, PRODUCT_NMSE), (Precision::Bf16, 2e-4)] {
        on_softgpu(test, precision, &ORDERS[..1], |desk| {
            let (got, announced) = record(&mut desk.cuda).unwrap();
            assert_eq!(desk.cuda.side_bytes(), announced, "{precision:?}");
            let error = nmse(&got, &expected);
            assert!(error <= bound, "{precision:?}: normalised error {error:.1e}");
        });
    }
}
