//! Instructions on all parameters of a group: sums of gradients over several batches, averages,
//! norms.

use pix2pix_engine::device::{Arena, Cpu, Device, StepState};
use pix2pix_engine::kernel::{Adam, Conv, PointwiseKernels, Write};
use pix2pix_engine::nn::{Params, Placement};
use pix2pix_engine::tape::{Group, Program, Tape};
use pix2pix_engine::tensor::{Shape, View};

use crate::common::harness::leaves;
use crate::common::{POINTWISE, PRODUCT_NMSE, nmse, numbers, read};

/// Neither the filter nor its bias is a multiple of the alignment, so that there are gaps.
const FILTER: Shape = Shape::new(5, 3, 3, 2);
const CONV: Conv = Conv::square(3, 1, 1);

fn parameters(state: &[&'static str]) -> (Params, Arena) {
    let mut arena = Arena::default();
    let mut params = leaves(&[("w", FILTER), ("b", Shape::vector(FILTER.n))], &[]);
    params.place(&mut arena, Placement::Training(state));
    (params, arena)
}

/// A mean squared difference of a convolution of `batch` pictures; its gradients, set or added.
fn gradients(cpu: &Cpu, params: &Params, arena: &Arena, batch: usize, first: Write) -> Program {
    let tape = &mut Tape::new();
    let x = tape.input("x", Shape::new(batch, 6, 5, FILTER.c));
    let target = tape.input("target", Shape::new(batch, 6, 5, FILTER.n));
    let (w, b) = (params.on(tape, 0), params.on(tape, 1));
    let y = tape.conv(CONV, x, w, Some(b)).unwrap();
    let loss = tape.l2(y, target).unwrap();
    // Half of the mean over two batches, so that two of them make the mean over both.
    tape.backward(&[(1.0 / (2.0 / batch as f32), loss)], params.group(), first).unwrap();
    tape.compile(cpu, arena.len()).unwrap()
}

fn start(cpu: &mut Cpu, params: &Params, end: usize) {
    cpu.reserve(end).unwrap();
    params.clear(cpu).unwrap();
    for (i, param) in params.iter().enumerate() {
        cpu.upload(param.view(), &numbers(param.shape.count(), i as u64)).unwrap();
    }
}

/// Gradients of the parameters, without the gaps.
fn read_gradients(cpu: &Cpu, params: &Params) -> Vec<f32> {
    let group = params.group();
    let part = |view: View| read(cpu, group.part(group.grads, view).unwrap());
    params.iter().flat_map(|p| part(p.view())).collect()
}

/// Two micro-steps, the first of which sets the gradients and the second adds to them, give the
/// gradients of both batches together.
#[test]
fn gradients_of_two_batches_add_up_to_those_of_both() {
    let (params, arena) = parameters(&[]);
    let mut cpu = Cpu::new(1).unwrap();
    let [set, add] =
        [Write::Set, Write::Add].map(|first| gradients(&cpu, &params, &arena, 1, first));
    let both = gradients(&cpu, &params, &arena, 2, Write::Set);
    start(&mut cpu, &params, both.end());
    let values = |program: &Program, name: &str| {
        numbers(2 * program.view(name).unwrap().shape.count(), 7 + name.len() as u64)
    };
    let (x, target) = (values(&set, "x"), values(&set, "target"));
    for (i, program) in [&set, &add].into_iter().enumerate() {
        for (name, all) in [("x", &x), ("target", &target)] {
            let view = program.view(name).unwrap();
            let count = view.shape.count();
            cpu.upload(view, &all[i * count..][..count]).unwrap();
        }
        program.run(&mut cpu).unwrap();
    }
    let apart = read_gradients(&cpu, &params);
    cpu.upload(both.view("x").unwrap(), &x).unwrap();
    cpu.upload(both.view("target").unwrap(), &target).unwrap();
    both.run(&mut cpu).unwrap();
    let together: Vec<f64> = read_gradients(&cpu, &params).into_iter().map(f64::from).collect();
    let error = nmse(&apart, &together);
    assert!(error < PRODUCT_NMSE, "normalised error {error:.1e}");
}

/// Three steps of Adam; after each the average is that of a computation in f64. Gaps hold 0 all the
/// time.
#[test]
fn an_average_follows_the_values() {
    const DECAY: f32 = 0.75;
    let (params, arena) = parameters(&["m", "v", Group::AVERAGE]);
    let group = params.group();
    let tape = &mut Tape::new();
    let x = tape.input("x", Shape::new(1, 6, 5, FILTER.c));
    let target = tape.input("target", Shape::new(1, 6, 5, FILTER.n));
    let (w, b) = (params.on(tape, 0), params.on(tape, 1));
    let y = tape.conv(CONV, x, w, Some(b)).unwrap();
    let loss = tape.l2(y, target).unwrap();
    tape.backward(&[(1.0, loss)], group, Write::Set).unwrap();
    tape.optimise(group, Adam::default()).unwrap();
    tape.average(group, DECAY).unwrap();
    let mut cpu = Cpu::new(1).unwrap();
    let program = tape.compile(&cpu, arena.len()).unwrap();
    start(&mut cpu, &params, program.end());
    params.start_average(&mut cpu).unwrap();
    let mean = group.state(Group::AVERAGE).unwrap();
    assert_eq!(read(&cpu, mean), read(&cpu, group.values), "it begins as the values");
    for name in ["x", "target"] {
        let view = program.view(name).unwrap();
        cpu.upload(view, &numbers(view.shape.count(), 21)).unwrap();
    }
    let mut by_hand: Vec<f64> = read(&cpu, mean).into_iter().map(f64::from).collect();
    let first = by_hand.clone();
    for step in 1..=3 {
        cpu.set_state(StepState { seed: 0, step, lr: 0.1, micro: 0 });
        program.run(&mut cpu).unwrap();
        for (mean, value) in by_hand.iter_mut().zip(read(&cpu, group.values)) {
            *mean = f64::from(DECAY) * *mean + (1.0 - f64::from(DECAY)) * f64::from(value);
        }
        for (got, exact) in read(&cpu, mean).into_iter().zip(&by_hand) {
            let error = (f64::from(got) - exact).abs();
            assert!(error <= POINTWISE * exact.abs().max(1.0), "step {step}: {got} for {exact}");
        }
    }
    assert!(by_hand.iter().zip(&first).any(|(a, b)| (a - b).abs() > 0.01), "it has moved");
    let used: usize = params.iter().map(|p| p.shape.count()).sum();
    assert!(used < by_hand.len(), "there are gaps");
    let others = by_hand.iter().filter(|v| **v != 0.0).count();
    assert!(others <= used, "{others} numbers are not 0, of {used} that may be");
}

/// The norm is that of the parameters' gradients in f64; the gaps between them contribute nothing.
#[test]
fn the_norm_is_that_of_the_parameters_gradients() {
    let (params, arena) = parameters(&[]);
    let group = params.group();
    let tape = &mut Tape::new();
    let x = tape.input("x", Shape::new(1, 6, 5, FILTER.c));
    let target = tape.input("target", Shape::new(1, 6, 5, FILTER.n));
    let (w, b) = (params.on(tape, 0), params.on(tape, 1));
    let y = tape.conv(CONV, x, w, Some(b)).unwrap();
    let loss = tape.l2(y, target).unwrap();
    tape.backward(&[(1.0, loss)], group, Write::Set).unwrap();
    let norm = tape.gradient_norm("norm", group).unwrap();
    tape.output("norm", norm);
    tape.output("loss", loss);
    tape.keep(&["loss", "norm"]).unwrap();
    let mut cpu = Cpu::new(2).unwrap();
    let program = tape.compile(&cpu, arena.len()).unwrap();
    start(&mut cpu, &params, program.end());
    for name in ["x", "target"] {
        let view = program.view(name).unwrap();
        cpu.upload(view, &numbers(view.shape.count(), 31)).unwrap();
    }
    program.run(&mut cpu).unwrap();
    let squares = read_gradients(&cpu, &params).into_iter().map(|g| f64::from(g).powi(2));
    let expected = squares.sum::<f64>().sqrt();
    let got = read(&cpu, program.view("norm").unwrap())[0];
    assert!(expected > 0.0 && (f64::from(got) - expected).abs() <= POINTWISE * expected);
    assert_eq!(cpu.kept_losses(1, 2).unwrap()[0][1], got, "it can be kept like a loss");
    // A gradient that is there counts, wherever it lies.
    let bias = params.iter().nth(1).unwrap().view();
    let part = group.part(group.grads, bias).unwrap();
    cpu.fill(group.grads, 0.0).unwrap();
    cpu.upload(part, &[3.0, 0.0, 0.0, 0.0, 4.0]).unwrap();
    for instruction in program.instructions() {
        if instruction.reads() == [group.grads] {
            instruction.run(&mut cpu).unwrap();
        }
    }
    assert_eq!(read(&cpu, program.view("norm").unwrap()), [5.0]);
}

/// What a group lacks is named when the tape is recorded.
#[test]
fn a_state_that_is_not_there_is_named() {
    let (params, _) = parameters(&["m"]);
    let tape = &mut Tape::new();
    let error = tape.optimise(params.group(), Adam::default()).unwrap_err().to_string();
    assert!(error.contains("\"v\"") && error.contains("they have: m"), "{error}");
    let error = tape.average(params.group(), 0.9).unwrap_err().to_string();
    assert!(error.contains("\"ema\""), "{error}");
    for decay in [1.0, -0.1, f32::NAN] {
        assert!(tape.average(params.group(), decay).is_err(), "{decay}");
    }
}

/// A parameter cannot be a loss: its gradient would be set where another batch has left a sum.
#[test]
fn a_parameter_is_no_loss() {
    let (params, _) = parameters(&[]);
    let tape = &mut Tape::new();
    let bias = params.on(tape, 1);
    let error = tape.backward(&[(1.0, bias)], params.group(), Write::Add).unwrap_err().to_string();
    assert!(error.contains("copy"), "{error}");
}
