//! Training learns: a small U-Net with its discriminator learns to reproduce one pair.

mod common;

use common::training::{Setup, Training};
use pix2pix_engine::tensor::Shape;
use pix2pix_engine::train::Gan;

const STEPS: usize = 120;
/// Least mean distance, times 100, of an untrained network.
const START: f32 = 20.0;
/// Largest mean of it over the last ten steps: an eighth of `START`; 1.5 was measured.
const LEARNT: f32 = 2.5;
const LEARNING_RATE: f32 = 2e-3;

/// A pair that a network can learn: the target has the input's stripes turned by 90 degrees, in
/// other colours.
fn pair(size: Shape) -> [Vec<f32>; 2] {
    let picture = |f: &dyn Fn(f32, f32, usize) -> f32| -> Vec<f32> {
        (0..size.h * size.w * 3)
            .map(|i| {
                let (y, x, c) = (i / (3 * size.w), i / 3 % size.w, i % 3);
                f(y as f32 / size.h as f32, x as f32 / size.w as f32, c)
            })
            .collect()
    };
    let wave =
        |at: f32, c: usize| 0.8 * (std::f32::consts::TAU * (2.0 * at + c as f32 / 3.0)).sin();
    [picture(&|y, x, c| wave(y, c) * x), picture(&|y, x, c| wave(x, 2 - c) * (1.0 - y))]
}

/// The distance g_l1 (times 100) of every step.
fn distances(setup: &Setup, steps: usize) -> Vec<f32> {
    let mut training = Training::new(setup, 2);
    let [a, b] = pair(setup.size);
    let step = |_| {
        training.run(&a, &b, LEARNING_RATE);
        training.output("g_l1")[0]
    };
    (0..steps).map(step).collect()
}

#[test]
fn one_pair_is_learnt() {
    for gan in [Gan::Vanilla, Gan::Lsgan, Gan::None] {
        let setup = Setup { gan, base: 8, dropout: false, ..Setup::SMALL };
        let found = distances(&setup, STEPS);
        let last = found[STEPS - 10..].iter().sum::<f32>() / 10.0;
        println!("{gan:?}: distance {:.1} at first, {last:.1} after {STEPS} steps", found[0]);
        assert!(found[0] > START, "{gan:?}: {}", found[0]);
        assert!(last < LEARNT, "{gan:?}: {last}");
    }
}

#[test]
fn learning_is_the_same_every_time() {
    let setup = Setup { base: 8, ..Setup::SMALL };
    let few = || distances(&setup, 20);
    assert!(few() == few());
}
