//! Dropout: the fraction that is kept, and what the mask depends on.

mod common;

use common::harness::Harness;
use common::{numbers, read};
use pix2pix_engine::device::{Arena, Cpu, Device, StepState};
use pix2pix_engine::kernel::PointwiseKernels;
use pix2pix_engine::kernel::{Activation, Dropout, DropoutKernels, NormScope, Statistics, Write};
use pix2pix_engine::op::{NormUse, NormVars};
use pix2pix_engine::random::{Purpose, philox, uniform};
use pix2pix_engine::tensor::Shape;

const SHAPE: Shape = Shape::new(2, 37, 41, 19);

/// Dropout of ones: 0 where an element is dropped.
fn mask(threads: usize, dropout: Dropout, seed: u64, step: u64) -> Vec<f32> {
    mask_of(threads, dropout, StepState { seed, step, lr: 0.0, micro: 0 })
}

fn mask_of(threads: usize, dropout: Dropout, state: StepState) -> Vec<f32> {
    let mut arena = Arena::default();
    // A slice of a wider buffer: the mask depends on the element, not on its address.
    let wide = arena.take(Shape { c: SHAPE.c + 3, ..SHAPE });
    let (x, y) = (arena.take(SHAPE), wide.channels(2..2 + SHAPE.c).unwrap());
    let mut cpu: Cpu = common::cpu(threads, &arena);
    cpu.fill(x, 1.0).unwrap();
    cpu.set_state(state);
    cpu.dropout(dropout, x, y, Write::Set).unwrap();
    read(&cpu, y)
}

/// The number kept of n is within five deviations, sqrt(n p (1 - p)), of n (1 - p); so is the
/// number in every channel and in every picture. What is kept is scaled by 1 / (1 - p).
#[test]
fn as_much_is_kept_as_was_asked_for() {
    for rate in [0.1f32, 0.5, 0.9] {
        let values = mask(2, Dropout { rate, stream: 3 }, 11, 1);
        let scale = 1.0 / (1.0 - rate);
        assert!(values.iter().all(|v| *v == 0.0 || *v == scale));
        let (p, c) = (f64::from(rate), SHAPE.c);
        let check = |what: &str, part: &mut dyn Iterator<Item = &f32>| {
            let (mut n, mut kept) = (0.0, 0.0);
            part.for_each(|v| {
                n += 1.0;
                kept += f64::from(u8::from(*v != 0.0));
            });
            let deviation = (n * p * (1.0 - p)).sqrt();
            let off = (kept - n * (1.0 - p)).abs() / deviation;
            assert!(off < 5.0, "rate {rate}, {what}: {kept} of {n} kept, {off:.1} deviations off");
        };
        check("all", &mut values.iter());
        for channel in 0..c {
            check("a channel", &mut values.iter().skip(channel).step_by(c));
        }
        for picture in values.chunks(SHAPE.count() / SHAPE.n) {
            check("a picture", &mut picture.iter());
        }
    }
}

/// Two masks of rate 1/2 agree in half of their elements, within five deviations, if stream, step,
/// micro-step or seed differs; otherwise they are equal.
#[test]
fn masks_depend_on_stream_step_micro_step_and_seed() {
    let half = |stream: u32| Dropout { rate: 0.5, stream };
    let first = mask(1, half(0), 1, 1);
    assert!(first == mask(3, half(0), 1, 1), "the same on any number of threads");
    let high = 1 + (1 << 32);
    let micro = |micro| mask_of(1, half(0), StepState { seed: 1, step: 1, lr: 0.0, micro });
    assert!(first == micro(0), "the first micro-step is the step");
    for (what, other) in [
        ("stream", mask(1, half(1), 1, 1)),
        ("step", mask(1, half(0), 1, 2)),
        ("seed", mask(1, half(0), 2, 1)),
        ("the seed's upper half", mask(1, half(0), high, 1)),
        ("stream for step", mask(1, half(1), 1, 0)),
        ("micro-step", micro(1)),
        ("the last micro-step", micro((1 << 24) - 1)),
    ] {
        let n = first.len() as f64;
        let same = first.iter().zip(&other).filter(|(a, b)| a == b).count() as f64;
        let off = (same - n / 2.0).abs() / (n / 4.0).sqrt();
        assert!(off < 5.0, "{what}: {same} of {n} are the same, {off:.1} deviations off");
    }
}

/// The first micro-step's numbers are those of a step: Philox at (element, stream, step, purpose).
#[test]
fn the_first_micro_step_draws_the_numbers_of_a_step() {
    let (seed, step, stream) = (5, 3, 2);
    let values = mask(1, Dropout { rate: 0.5, stream }, seed, step);
    let quads = 0..SHAPE.count().div_ceil(4) as u32;
    let words = quads.flat_map(|q| philox(seed, [q, stream, step as u32, Purpose::Dropout as u32]));
    let expected: Vec<f32> =
        words.take(values.len()).map(|w| if uniform(w) >= 0.5 { 2.0 } else { 0.0 }).collect();
    assert!(values == expected);
}

/// Neighbours are independent: pairs of kept elements are a quarter of all pairs.
#[test]
fn neighbours_are_independent() {
    let values = mask(1, Dropout { rate: 0.5, stream: 0 }, 1, 1);
    for lag in [1, 2, 3, 4, SHAPE.c, SHAPE.c * SHAPE.w] {
        let pairs = values.iter().zip(&values[lag..]);
        let both = pairs.filter(|(a, b)| **a != 0.0 && **b != 0.0).count() as f64;
        let n = (values.len() - lag) as f64;
        // Overlapping pairs: the variance of the sum is 5/16 n.
        let off = (both - n / 4.0).abs() / (n * 5.0 / 16.0).sqrt();
        assert!(off < 5.0, "lag {lag}: {both} of {n}, {off:.1} deviations off");
    }
}

/// A norm with dropout and activation equals the three operations one after another, with the same
/// mask, forward and backward.
#[test]
fn dropout_inside_a_norm_draws_the_same_mask() {
    let (scope, statistics) = (NormScope::Batch, Statistics::Batch);
    let how = |dropout, activation| NormUse { scope, statistics, dropout, activation };
    let none = NormVars::default();
    let x = [("x", Shape::new(2, 5, 7, 3))];
    let (identity, leaky) = (Activation::Identity, Activation::LeakyRelu(0.2));
    let mut one = Harness::op(&x, &[], |tape, v| tape.norm(how(0.5, leaky), v[0], none));
    let mut three = Harness::op(&x, &[], |tape, v| {
        let y = tape.norm(how(0.0, identity), v[0], none)?;
        let y = tape.dropout(0.5, y)?;
        tape.activation(leaky, y)
    });
    let count = x[0].1.count();
    for op in [&mut one, &mut three] {
        op.at(17, 4);
        op.set("x", &numbers(count, 1));
        op.run(&numbers(count, 2));
    }
    assert_eq!(one.y(), three.y());
    let dropped = one.y().iter().filter(|v| **v == 0.0).count();
    assert!(dropped > count / 3, "{dropped} of {count}");
    for (a, b) in one.grad("x").iter().zip(three.grad("x")) {
        assert!((a - b).abs() < 1e-6, "{a} and {b}");
    }
}
