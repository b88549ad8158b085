//! Every operation's gradients against difference quotients, and the backward pass of values with
//! several readers, detached values and groups of parameters.

mod common;
#[path = "gradients/not_finite.rs"]
mod not_finite;

use common::harness::{Dot, Harness, gradient, leaves};
use common::{KINKED, SMOOTH, numbers, read};
use pix2pix_engine::Result;
use pix2pix_engine::device::{Arena, Cpu, Device, StepState};
use pix2pix_engine::kernel::PointwiseKernels;
use pix2pix_engine::kernel::{Activation, Adam, Conv, Loss, NormScope, Pool, Statistics, Write};
use pix2pix_engine::nn::Placement;
use pix2pix_engine::op::{NormUse, NormVars};
use pix2pix_engine::tape::{Tape, Var};
use pix2pix_engine::tensor::{Shape, View};

/// The distance h by which an element of a leaf is moved: smaller where there are kinks, so that
/// few elements cross one.
fn distance(tolerance: f64) -> f32 {
    if tolerance == KINKED { 1e-3 } else { 1e-2 }
}

/// Elements of a leaf that are probed, evenly spread.
const PROBES: usize = 40;

/// Compares the gradients of all `leaves` with (loss(x + h) - loss(x - h)) / 2h, where the loss is
/// sum(y * dy) in f64. Errors are relative to the leaf's largest gradient.
fn probe(what: &str, op: &mut Harness, leaves: &[&str], tolerance: f64) {
    let dy = numbers(op.program.view("y").unwrap().shape.count(), 99);
    op.at(5, 3);
    op.run(&dy);
    let h = distance(tolerance);
    let grads: Vec<Vec<f32>> = leaves.iter().map(|leaf| op.grad(leaf)).collect();
    for (leaf, grad) in leaves.iter().zip(grads) {
        let values = op.value(leaf);
        let largest = f64::from(grad.iter().fold(0.0f32, |m, v| m.max(v.abs())));
        assert!(largest > 1e-3, "{what}: {leaf} has a gradient of {largest}");
        for i in (0..values.len()).step_by(values.len().div_ceil(PROBES)) {
            let mut loss = |h: f32| -> f64 {
                let mut moved = values.clone();
                moved[i] += h;
                op.set(leaf, &moved);
                op.run(&dy);
                op.y().iter().zip(&dy).map(|(y, d)| f64::from(*y) * f64::from(*d)).sum()
            };
            let quotient = (loss(h) - loss(-h)) / (2.0 * f64::from(h));
            let error = (f64::from(grad[i]) - quotient).abs();
            assert!(
                error <= tolerance * largest,
                "{what}: d{leaf}[{i}] is {} and {quotient} by differences",
                grad[i]
            );
        }
        op.set(leaf, &values);
    }
}

/// Numbers near 0.25 that no probe moves across 0.
fn off_zero(count: usize, seed: u64) -> Vec<f32> {
    numbers(count, seed).into_iter().map(|v| v + 0.1f32.copysign(v)).collect()
}

const WINDOWS: &[(Conv, Shape, usize)] = &[
    (Conv::HALVE, Shape::new(2, 6, 4, 3), 5),
    (Conv::HALVE, Shape::new(1, 7, 5, 2), 3),
    (Conv::HALVE, Shape::new(1, 2, 2, 8), 8),
    (Conv::PATCH, Shape::new(1, 5, 6, 4), 1),
    (Conv::PIXEL, Shape::new(2, 3, 4, 5), 6),
    (Conv::square(3, 1, 1), Shape::new(1, 5, 4, 3), 4),
    (Conv::square(3, 2, 1), Shape::new(2, 5, 6, 2), 3),
    (Conv::square(7, 1, 3), Shape::new(1, 6, 6, 2), 2),
    (Conv { r: 2, s: 3, stride: 2, pad: 0 }, Shape::new(1, 6, 7, 2), 3),
    // Minimal filtering, with both tiles.
    (Conv::HALVE, Shape::new(1, 28, 28, 16), 16),
    (Conv::PATCH, Shape::new(1, 17, 16, 16), 16),
];

#[test]
fn convolution() {
    for &(conv, x, k) in WINDOWS {
        for biased in [true, false] {
            let filter = Shape::new(k, conv.r, conv.s, x.c);
            let bias = biased.then_some(("b", Shape::vector(k)));
            let all: Vec<_> = [("x", x), ("w", filter)].into_iter().chain(bias).collect();
            let mut op =
                Harness::op(&all, &[], |tape, v| tape.conv(conv, v[0], v[1], v.get(2).copied()));
            check_convolution(&format!("conv {conv:?} of {x}"), &mut op, &all);
        }
    }
}

#[test]
fn transposed_convolution() {
    for &(conv, y, k) in WINDOWS {
        // The shape that the window shrinks `y` to, which the transposed convolution grows back.
        let x = conv.shrink(y, k).unwrap();
        let filter = Shape::new(k, conv.r, conv.s, y.c);
        let all = [("x", x), ("w", filter), ("b", Shape::vector(y.c))];
        let mut op =
            Harness::op(&all, &[], |tape, v| tape.conv_transpose(conv, v[0], v[1], Some(v[2])));
        check_convolution(&format!("conv_transpose {conv:?} of {x}"), &mut op, &all);
    }
}

/// A convolution is linear in every leaf, so that gradient and quotient differ only by rounding.
fn check_convolution(what: &str, op: &mut Harness, all: &[(&str, Shape)]) {
    for (i, (leaf, shape)) in all.iter().enumerate() {
        op.set(leaf, &numbers(shape.count(), i as u64));
    }
    let names: Vec<&str> = all.iter().map(|(name, _)| *name).collect();
    probe(what, op, &names, SMOOTH);
}

#[test]
fn norms_with_dropout_and_activation() {
    let (batch, instance) = (NormScope::Batch, NormScope::Instance);
    let own = Statistics::Batch;
    let x = Shape::new(2, 4, 5, 3);
    let vector = Shape::vector(x.c);
    for (scope, statistics, affine) in [
        (batch, own, true),
        (batch, own, false),
        (batch, Statistics::Running, true),
        (instance, own, false),
        (instance, own, true),
        (NormScope::Runs(2), own, true),
        (NormScope::Runs(2), Statistics::Running, true),
    ] {
        for (activation, tolerance) in [
            (Activation::Identity, SMOOTH),
            (Activation::Tanh, SMOOTH),
            (Activation::LeakyRelu(0.2), KINKED),
            (Activation::Relu, KINKED),
        ] {
            for dropout in [0.0, 0.5] {
                let mut trained = vec![("x", x)];
                if affine {
                    trained.extend([("weight", vector), ("bias", vector)]);
                }
                let moves = scope != instance;
                let state = if moves { vec![("mean", vector), ("var", vector)] } else { vec![] };
                let mut op = Harness::op(&trained, &state, |tape, v| {
                    let at = trained.len();
                    let vars = NormVars {
                        affine: affine.then(|| [v[1], v[2]]),
                        running: moves.then(|| [v[at], v[at + 1]]),
                    };
                    tape.norm(NormUse { scope, statistics, dropout, activation }, v[0], vars)
                });
                // Deviation 1, so that a move of h is h of the deviation; a seed with which no
                // element comes within a move of a kink.
                let wide: Vec<f32> = numbers(x.count(), 22).iter().map(|v| 4.0 * v).collect();
                op.set("x", &wide);
                if affine {
                    op.set("weight", &[1.1, -0.8, 0.9]);
                    op.set("bias", &[0.2, -0.1, 0.3]);
                }
                if moves {
                    op.set("mean", &[0.1, -0.2, 0.3]);
                    op.set("var", &[0.8, 1.0, 1.3]);
                }
                let names: Vec<&str> = trained.iter().map(|(name, _)| *name).collect();
                let what = format!("{scope:?} {statistics:?} {activation:?} dropout {dropout}");
                probe(&what, &mut op, &names, tolerance);
            }
        }
    }
}

/// The second output, read beside the first, in a concat, or alone.
#[test]
fn norms_with_a_skip() {
    let x = Shape::new(2, 4, 5, 3);
    for way in 0..3 {
        let mut op = Harness::op(&[("x", x)], &[], |tape, v| {
            let (scope, statistics) = (NormScope::Batch, Statistics::Batch);
            let how =
                NormUse { scope, statistics, dropout: 0.0, activation: Activation::LeakyRelu(0.2) };
            let (y, skip) = tape.norm_and_skip(how, v[0], NormVars::default())?;
            let y = tape.tanh(y)?;
            match way {
                0 => tape.weighted_sum(&[(1.0, y), (2.0, skip)]),
                1 => tape.concat(&[skip, y]),
                _ => tape.tanh(skip),
            }
        });
        let wide: Vec<f32> = numbers(x.count(), 22).iter().map(|v| 4.0 * v).collect();
        op.set("x", &wide);
        probe(&format!("a norm with a skip, way {way}"), &mut op, &["x"], KINKED);
    }
}

fn one_input(what: &str, record: impl FnOnce(&mut Tape, Var) -> Result<Var>) {
    let x = Shape::new(1, 2, 3, 4);
    let mut op = Harness::op(&[("x", x)], &[], |tape, v| record(tape, v[0]));
    op.set("x", &off_zero(x.count(), 31));
    probe(what, &mut op, &["x"], SMOOTH);
}

#[test]
fn activations_and_dropout() {
    one_input("relu", |tape, x| tape.relu(x));
    one_input("leaky_relu", |tape, x| tape.leaky_relu(0.2, x));
    one_input("tanh", |tape, x| tape.tanh(x));
    one_input("copy", |tape, x| tape.copy(x));
    one_input("dropout", |tape, x| tape.dropout(0.5, x));
    one_input("dropout of 0.1", |tape, x| tape.dropout(0.1, x));
}

#[test]
fn losses_against_a_label() {
    for label in [0.0, 1.0] {
        one_input("bce_with_logits", |tape, x| tape.bce_with_logits(x, label));
        one_input("mse_label", |tape, x| tape.mse_label(x, label));
    }
}

/// Two labels: each run of pictures against its own, like two separate losses.
#[test]
fn losses_of_two_runs() {
    let x = Shape::new(4, 2, 3, 1);
    for loss in [Loss::Bce, Loss::Mse] {
        let mut op =
            Harness::op(&[("x", x)], &[], |tape, v| tape.labelled(loss, v[0], &[0.0, 1.0]));
        op.set("x", &numbers(x.count(), 71));
        probe("labelled", &mut op, &["x"], SMOOTH);
    }
    let tape = &mut Tape::new();
    let x = tape.input("x", Shape::new(3, 2, 2, 1));
    assert!(tape.labelled(Loss::Bce, x, &[0.0, 1.0]).is_err(), "three pictures in two runs");
    assert!(tape.labelled(Loss::Bce, x, &[]).is_err());
}

#[test]
fn stacks() {
    let (a, b) = (Shape::new(1, 3, 2, 3), Shape::new(1, 3, 2, 2));
    let mut op = Harness::op(&[("a", a), ("b", b)], &[], |tape, v| {
        let all = tape.stack(&[(v[0], 0, 0), (v[1], 0, 3), (v[0], 1, 2), (v[1], 1, 0)])?;
        tape.tanh(all)
    });
    op.set("a", &numbers(a.count(), 72));
    op.set("b", &numbers(b.count(), 73));
    probe("stack", &mut op, &["a", "b"], SMOOTH);
    let tape = &mut Tape::new();
    let (a, b) = (tape.input("a", a), tape.input("b", b));
    assert!(tape.stack(&[(a, 0, 0), (b, 1, 0)]).is_err(), "a hole");
    assert!(tape.stack(&[]).is_err());
}

/// Numbers in an order of no pattern, of which no two are closer than 0.05: no probe changes which
/// of them is the largest.
fn apart(count: usize) -> Vec<f32> {
    (0..count).map(|i| 0.05 * ((37 * i % count) as f32 - count as f32 / 2.0)).collect()
}

const POOLS: [(Pool, Shape); 5] = [
    (Pool::square(2, 2, 0), Shape::new(2, 4, 6, 2)),
    (Pool::square(3, 2, 1), Shape::new(1, 7, 5, 3)),
    (Pool::square(3, 1, 1), Shape::new(1, 4, 5, 2)),
    (Pool { r: 2, s: 3, stride: 1, pad: 1 }, Shape::new(1, 4, 6, 3)),
    (Pool::square(2, 3, 0), Shape::new(1, 7, 6, 2)),
];

/// x read by one, and by both: the second gradient is added.
#[test]
fn poolings() {
    for (pool, x) in POOLS {
        for way in 0..3 {
            let mut op = Harness::op(&[("x", x)], &[], |tape, v| match way {
                0 => tape.max_pool(pool, v[0]),
                1 => tape.average_pool(pool, v[0]),
                _ => {
                    let (a, b) = (tape.max_pool(pool, v[0])?, tape.average_pool(pool, v[0])?);
                    tape.concat(&[a, b])
                }
            });
            op.set("x", &apart(x.count()));
            probe(&format!("{pool:?} of {x}, way {way}"), &mut op, &["x"], SMOOTH);
        }
    }
}

/// Alone, and of a slice of what it also reads as a whole, so that gradients are added to one.
fn read_twice(what: &str, record: impl Fn(&mut Tape, Var) -> Result<Var>) {
    let x = Shape::new(2, 3, 4, 3);
    let mut alone = Harness::op(&[("x", x)], &[], |tape, v| record(tape, v[0]));
    let mut twice = Harness::op(&[("x", x)], &[], |tape, v| {
        let (a, b) = (tape.copy(v[0])?, tape.tanh(v[0])?);
        let both = tape.concat(&[a, b])?;
        let (a, both) = (record(tape, a)?, record(tape, both)?);
        tape.concat(&[a, both])
    });
    for op in [&mut alone, &mut twice] {
        op.set("x", &numbers(x.count(), 74));
        probe(what, op, &["x"], SMOOTH);
    }
}

#[test]
fn upsampling() {
    read_twice("upsample", |tape, x| tape.upsample(3, x));
}

#[test]
fn reflection_padding() {
    read_twice("reflection_pad", |tape, x| tape.reflection_pad(2, x));
}

#[test]
fn softmax() {
    read_twice("softmax", |tape, x| tape.softmax(x));
}

/// Pixels of weight 0 have a gradient of exactly 0.
#[test]
fn weigh() {
    let x = Shape::new(2, 3, 4, 5);
    let pixels = Shape { c: 1, ..x };
    let mut op = Harness::op(&[("x", x)], &[("weights", pixels)], |tape, v| {
        let (product, wide) = (tape.weigh(v[0], v[1])?, tape.tanh(v[0])?);
        let wide = tape.weigh(wide, v[1])?;
        tape.concat(&[product, wide])
    });
    let weights: Vec<f32> =
        (0..24).map(|i| if i % 3 == 0 { 0.0 } else { 0.4 + i as f32 / 9.0 }).collect();
    op.set("weights", &weights);
    op.set("x", &numbers(x.count(), 77));
    probe("weigh", &mut op, &["x"], SMOOTH);
    op.run(&numbers(2 * x.count(), 78));
    let gradient = op.grad("x");
    for (pixel, weight) in gradient.chunks(x.c).zip(weights) {
        assert_eq!(pixel.iter().all(|g| *g == 0.0), weight == 0.0);
    }
}

#[test]
fn cross_entropy() {
    let x = Shape::new(2, 3, 4, 5);
    let pixels = Shape { c: 1, ..x };
    let labels: Vec<f32> =
        (0..pixels.count()).map(|i| if i % 5 == 0 { 9.0 } else { (i % 5) as f32 }).collect();
    for ignored in [Some(9), Some(2)] {
        let mut op = Harness::op(&[("x", x)], &[("labels", pixels)], |tape, v| {
            tape.cross_entropy(v[0], v[1], ignored)
        });
        let classes = labels.iter().map(|l| if *l == 9.0 && ignored != Some(9) { 2.0 } else { *l });
        op.set("labels", &classes.collect::<Vec<_>>());
        op.set("x", &numbers(x.count(), 75));
        probe("cross_entropy", &mut op, &["x"], SMOOTH);
    }
}

/// All pixels ignored: the loss is 0, not NaN, and so is the gradient. A label has none.
#[test]
fn cross_entropy_of_ignored_pixels_alone() {
    let x = Shape::new(1, 2, 2, 3);
    let leaves = [("x", x), ("labels", Shape { c: 1, ..x })];
    let mut op = Harness::op(&leaves, &[], |tape, v| tape.cross_entropy(v[0], v[1], Some(255)));
    op.set("x", &numbers(x.count(), 76));
    op.set("labels", &[255.0; 4]);
    op.run(&[1.0]);
    assert_eq!((op.y(), op.grad("x"), op.grad("labels")), (vec![0.0], vec![0.0; 12], vec![0.0; 4]));
}

/// What does not fit is said when it is recorded, with both shapes and what to do.
#[test]
fn shapes_that_do_not_fit_are_refused() {
    let tape = &mut Tape::new();
    let x = tape.input("x", Shape::new(1, 4, 6, 3));
    let labels = tape.input_f32("labels", Shape::new(1, 4, 5, 1));
    let wide = Pool::square(3, 1, 2);
    let large = Pool { r: 7, s: 2, stride: 1, pad: 1 };
    for (result, parts) in [
        (tape.max_pool(wide, x), ["max_pool", "padding of 2", "3 x 3", "1 or less"]),
        (tape.average_pool(large, x), ["average_pool", "7 x 2", "1x4x6x3", "larger"]),
        (tape.max_pool(Pool::square(2, 0, 0), x), ["max_pool", "2 x 2", "stride 0", "1 or more"]),
        (tape.upsample(0, x), ["upsample", "1x4x6x3", "times 0", "1 or more"]),
        (tape.reflection_pad(4, x), ["reflection_pad", "1x4x6x3", "1x12x14x3", "below 4"]),
        (tape.cross_entropy(x, labels, None), ["cross_entropy", "1x4x5x1", "1x4x6x3", "1x4x6x1"]),
        (tape.weigh(x, labels), ["weigh", "1x4x5x1", "1x4x6x3", "1x4x6x1"]),
        (
            tape.distance(Loss::Bce, 1.0, x, x),
            ["bce_with_logits", "1x4x6x3", "not a distance", "labels"],
        ),
    ] {
        let error = result.unwrap_err().to_string();
        for part in parts {
            assert!(error.contains(part), "no {part:?} in {error}");
        }
    }
}

/// Both sides get their gradient where both depend on the parameters.
#[test]
fn losses_between_tensors() {
    type Loss = fn(&mut Tape, Var, Var) -> Result<Var>;
    let x = Shape::new(1, 2, 3, 4);
    let all: [(&str, Loss); 2] = [("l1", Tape::l1), ("l2", Tape::l2)];
    for (what, loss) in all {
        let mut op = Harness::op(&[("x", x), ("t", x)], &[], |tape, v| loss(tape, v[0], v[1]));
        let difference = off_zero(x.count(), 41);
        let t = numbers(x.count(), 42);
        op.set("x", &t.iter().zip(difference).map(|(t, d)| t + d).collect::<Vec<_>>());
        op.set("t", &t);
        probe(what, &mut op, &["x", "t"], SMOOTH);
    }
}

#[test]
fn sums() {
    let x = Shape::new(1, 3, 4, 3);
    let three = [("a", x), ("b", x), ("c", x)];
    let mut op = Harness::op(&three, &[], |tape, v| {
        tape.weighted_sum(&[(0.5, v[0]), (-2.0, v[1]), (3.0, v[2]), (1.5, v[0])])
    });
    for (i, (leaf, _)) in three.iter().enumerate() {
        op.set(leaf, &numbers(x.count(), 51 + i as u64));
    }
    probe("weighted_sum", &mut op, &["a", "b", "c"], SMOOTH);
    let mut op = Harness::op(&three[..2], &[], |tape, v| tape.add(v[0], v[1]));
    op.set("a", &numbers(x.count(), 54));
    probe("add", &mut op, &["a", "b"], SMOOTH);
}

/// Every way of reading a concat: its inputs, its result, and the result inside another concat.
#[test]
fn concat() {
    let (a, b) = (Shape::new(2, 3, 2, 3), Shape::new(2, 3, 2, 2));
    let mut op = Harness::op(&[("a", a), ("b", b)], &[], |tape, v| {
        let (a, b) = (tape.tanh(v[0])?, tape.tanh(v[1])?);
        let inner = tape.concat(&[a, b])?;
        let more = tape.tanh(a)?;
        let more = tape.copy(more)?;
        let outer = tape.concat(&[more, inner])?;
        tape.tanh(outer)
    });
    op.set("a", &numbers(a.count(), 61));
    op.set("b", &numbers(b.count(), 62));
    probe("concat in a concat", &mut op, &["a", "b"], SMOOTH);
}

/// What is computed from a part of a concat cannot be written into the same buffer: refused when it
/// is recorded.
#[test]
fn a_concat_of_what_is_computed_from_it_is_refused() {
    let x = Shape::new(1, 2, 2, 2);
    let tape = &mut Tape::new();
    let x = tape.input("x", x);
    let a = tape.tanh(x).unwrap();
    let b = tape.tanh(a).unwrap();
    let error = tape.concat(&[a, b]).unwrap_err().to_string();
    assert!(error.contains("copy"), "{error}");
}

/// With dy = 1 everywhere the gradient of a leaf is the number of its readers, whether the others
/// are recorded before the concat's reader, after it, or both.
#[test]
fn a_value_inside_a_concat_may_have_other_readers() {
    let x = Shape::new(1, 2, 2, 2);
    for (before, behind) in [(0, 0), (1, 0), (0, 1), (1, 1), (2, 2)] {
        let mut op = Harness::op(&[("a", x), ("b", x)], &[], |tape, v| {
            let (a, b) = (tape.copy(v[0])?, tape.copy(v[1])?);
            let mut readers = Vec::new();
            for _ in 0..before {
                readers.push(tape.copy(a)?);
            }
            let joined = tape.concat(&[a, b])?;
            readers.push(tape.copy(joined)?);
            for _ in 0..behind {
                readers.push(tape.copy(a)?);
            }
            tape.concat(&readers)
        });
        op.run(&vec![1.0; op.program.view("y").unwrap().shape.count()]);
        let readers = (1 + before + behind) as f32;
        assert_eq!(op.grad("a"), [readers; 8], "{before} readers before, {behind} behind");
        assert_eq!(op.grad("b"), [1.0; 8]);
    }
}

/// Channels of a concat that nothing reads have a gradient of 0, not what memory held before.
#[test]
fn channels_that_nobody_reads_have_no_gradient() {
    let x = Shape::new(1, 2, 2, 2);
    let mut op = Harness::op(&[("a", x), ("b", x)], &[], |tape, v| {
        let (a, b) = (tape.copy(v[0])?, tape.copy(v[1])?);
        let joined = tape.concat(&[a, b])?;
        let still = tape.detach(joined);
        let other = tape.copy(a)?;
        let b = tape.copy(b)?;
        let still = tape.copy(still)?;
        tape.concat(&[other, b, still])
    });
    for _ in 0..2 {
        op.run(&[1.0; 32]);
        assert_eq!(op.grad("a"), [1.0; 8]);
        assert_eq!(op.grad("b"), [1.0; 8]);
    }
}

#[test]
fn a_parameter_read_twice_gets_the_sum() {
    let (x, w) = (Shape::new(1, 6, 6, 2), Shape::new(2, 3, 3, 2));
    let conv = Conv::square(3, 1, 1);
    let mut op = Harness::op(&[("x", x), ("w", w), ("b", Shape::vector(2))], &[], |tape, v| {
        let y = tape.conv(conv, v[0], v[1], Some(v[2]))?;
        let y = tape.tanh(y)?;
        tape.conv(conv, y, v[1], Some(v[2]))
    });
    op.set("x", &numbers(x.count(), 71));
    op.set("w", &numbers(w.count(), 72));
    probe("shared filter", &mut op, &["x", "w", "b"], SMOOTH);
}

#[test]
fn nothing_flows_through_a_detached_value() {
    let x = Shape::new(1, 2, 2, 2);
    let mut op = Harness::op(&[("x", x)], &[], |tape, v| {
        let y = tape.copy(v[0])?;
        let still = tape.detach(y);
        tape.weighted_sum(&[(1.0, y), (5.0, still)])
    });
    op.set("x", &[2.0; 8]);
    op.run(&[1.0; 8]);
    assert_eq!(op.y(), [12.0; 8]);
    assert_eq!(op.grad("x"), [1.0; 8]);
}

/// A loss that does not depend on all parameters of a group is refused when it is recorded, with
/// the name of one that is missing.
#[test]
fn a_loss_without_a_path_is_refused() {
    let mut arena = Arena::default();
    let mut params = leaves(&[("seen", Shape::SCALAR), ("unseen", Shape::SCALAR)], &[]);
    params.place(&mut arena, Placement::Training(&[]));
    let tape = &mut Tape::new();
    let (seen, unseen) = (params.on(tape, 0), params.on(tape, 1));
    let seen = tape.copy(seen).unwrap();
    let unseen = tape.copy(unseen).unwrap();
    let unseen = tape.detach(unseen);
    let loss = tape.add(seen, unseen).unwrap();
    let error = tape.backward(&[(1.0, loss)], params.group(), Write::Set).unwrap_err().to_string();
    assert!(error.contains("unseen"), "{error}");
    let picture = tape.input("picture", Shape::new(1, 2, 2, 1));
    let wide = tape.backward(&[(1.0, picture)], params.group(), Write::Set);
    assert!(wide.is_err(), "a loss is a vector");
}

/// Only one group is updated: the other's values, gradients and moments do not change, although the
/// loss depends on both.
#[test]
fn an_update_touches_its_group_alone() {
    let shape = Shape::new(1, 2, 2, 2);
    let mut arena = Arena::default();
    let mut groups = [leaves(&[("mine", shape)], &[]), leaves(&[("other", shape)], &[])];
    groups.iter_mut().for_each(|g| g.place(&mut arena, Placement::Training(&Adam::STATE)));
    let tape = &mut Tape::new();
    let (mine, other) = (groups[0].on(tape, 0), groups[1].on(tape, 0));
    let y = tape.add(mine, other).unwrap();
    let target = tape.input("target", shape);
    let loss = tape.push(Dot, &[y, target]).unwrap();
    tape.backward(&[(1.0, loss)], groups[0].group(), Write::Set).unwrap();
    tape.optimise(groups[0].group(), Adam::default()).unwrap();
    let mut cpu = Cpu::new(1).unwrap();
    let program = tape.compile(&cpu, arena.len()).unwrap();
    cpu.reserve(program.end()).unwrap();
    cpu.set_state(StepState { seed: 0, step: 1, lr: 0.125, micro: 0 });
    let [mine, other] = [0, 1].map(|i| groups[i].group());
    let state = other.state.iter().map(|(_, view)| *view);
    let all: Vec<View> = [other.values, other.grads].into_iter().chain(state).collect();
    for &view in &all {
        cpu.fill(view, 7.0).unwrap();
    }
    cpu.upload(program.view("target").unwrap(), &[3.0; 8]).unwrap();
    program.run(&mut cpu).unwrap();
    for view in all {
        assert!(read(&cpu, view).iter().all(|v| *v == 7.0));
    }
    let param = groups[0].iter().next().unwrap().view();
    assert_eq!(read(&cpu, gradient(mine, param)), [3.0; 8]);
    // Adam's first step is lr * g / (|g| + eps).
    for value in read(&cpu, param) {
        assert!((value + 0.125).abs() < 1e-6, "{value}");
    }
}
