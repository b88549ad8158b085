//! Every operation, forward and backward.

use pix2pix_engine::Result;
use pix2pix_engine::device::{Arena, Device, StepState};
use pix2pix_engine::kernel::{Activation, Adam, AdamKernels, Conv, NormScope, Pool, Statistics};
use pix2pix_engine::op::{NormUse, NormVars};
use pix2pix_engine::tape::{Tape, Var};
use pix2pix_engine::tensor::Shape;
use serde_json::Value;

use crate::common::files::{Golden, uniform, uniform_tensor, whole};
use crate::common::harness::Harness;
use crate::common::{NORM_NMSE, POINTWISE, POINTWISE_FLOOR, PRODUCT_NMSE, cpu, nmse, read};

fn assert_products(name: &str, got: &[f32], exact: &[f64]) {
    let error = nmse(got, exact);
    assert!(error < PRODUCT_NMSE, "{name}: NMSE {error:e}");
}

fn assert_pointwise(name: &str, got: &[f32], exact: &[f64]) {
    assert_eq!(got.len(), exact.len(), "{name}");
    for (i, (g, e)) in got.iter().zip(exact).enumerate() {
        let error = (f64::from(*g) - e).abs() / e.abs().max(POINTWISE_FLOOR);
        let alike = error < POINTWISE || (g.is_nan() && e.is_nan());
        assert!(alike, "{name} element {i}: {g} for {e}");
    }
}

fn cases<'a>(file: &'a Golden, kind: &str) -> &'a [Value] {
    let rows = file.facts[kind].as_array().unwrap_or_else(|| panic!("no cases of {kind}"));
    assert!(!rows.is_empty());
    rows
}

fn window(case: &Value) -> Conv {
    Conv::square(whole(case, "r"), whole(case, "stride"), whole(case, "pad"))
}

/// Both convolutions of a file; tensors that it does not hold come from the formula.
fn convolutions(file: &Golden, kind: &str) {
    for (row, case) in cases(file, kind).iter().enumerate() {
        let name = |t: &str| format!("{kind}/{row}/{t}");
        let conv = window(case);
        let [n, h, w, c, k] = ["n", "h", "w", "c", "k"].map(|key| whole(case, key));
        let transposed = kind == "conv_transpose";
        let x = Shape::new(n, h, w, c);
        let (near, far) = if transposed { (c, k) } else { (k, c) };
        let filter = Shape::new(near, conv.r, conv.s, far);
        let bias = case["bias"].as_bool().unwrap().then(|| ("b", Shape::vector(k)));
        let leaves: Vec<_> = [("x", x), ("w", filter)].into_iter().chain(bias).collect();
        let mut op = Harness::op(&leaves, &[], |tape, v| {
            let bias = v.get(2).copied();
            if transposed {
                tape.conv_transpose(conv, v[0], v[1], bias)
            } else {
                tape.conv(conv, v[0], v[1], bias)
            }
        });
        let y = op.program.view("y").unwrap().shape;
        let scale = |t: &str| match t {
            "w" => case["w_scale"].as_f64().unwrap() as f32,
            "b" => case["b_scale"].as_f64().unwrap() as f32,
            _ => 1.0,
        };
        let numbers = |t: &str, shape: Shape| {
            if file.has(&name(t)) {
                return file.get(&name(t)).1;
            }
            let stream = whole(&case["streams"], t) as u32;
            uniform_tensor(stream, shape, scale(t))
        };
        for (t, shape) in &leaves {
            op.set(t, &numbers(t, *shape));
        }
        op.run(&numbers("dy", y));
        assert_products(&name("y"), &op.y(), &file.exact(&name("y")));
        for (t, _) in &leaves {
            let t_name = name(&format!("d{t}"));
            assert_products(&t_name, &op.grad(t), &file.exact(&t_name));
        }
    }
}

#[test]
fn numbers_by_formula_are_those_of_the_files() {
    let first = [0.460_299_6, -0.987_016_3, -0.442_282_44];
    assert_eq!(uniform(8000, 3, 1.0), first);
    let file = Golden::open("ops.safetensors");
    assert_eq!(uniform(100, 3 * 64, 1.0), file.raw("conv/0/x"));
}

#[test]
fn convolutions_follow_pytorch() {
    convolutions(&Golden::open("ops.safetensors"), "conv");
}

#[test]
fn transposed_convolutions_follow_pytorch() {
    convolutions(&Golden::open("ops.safetensors"), "conv_transpose");
}

/// Sizes that minimal filtering serves.
#[test]
fn large_convolutions_follow_pytorch() {
    convolutions(&Golden::open("conv_large.safetensors"), "conv");
}

fn norms(kind: &str, scope: NormScope, statistics: Statistics) {
    let file = Golden::open("ops.safetensors");
    for row in 0..cases(&file, kind).len() {
        let name = |t: &str| format!("{kind}/{row}/{t}");
        let (shape, x) = file.get(&name("x"));
        let vector = Shape::vector(shape.c);
        let (mut trained, mut state) = (vec![("x", shape)], vec![]);
        if scope == NormScope::Batch {
            trained.extend([("gamma", vector), ("beta", vector)]);
            state.extend([("mean", vector), ("var", vector)]);
        }
        let mut op = Harness::op(&trained, &state, |tape, v| {
            let vars = match *v {
                [_, gamma, beta, mean, var] => {
                    NormVars { affine: Some([gamma, beta]), running: Some([mean, var]) }
                }
                _ => NormVars::default(),
            };
            let activation = Activation::Identity;
            tape.norm(NormUse { scope, statistics, dropout: 0.0, activation }, v[0], vars)
        });
        op.set("x", &x);
        for (leaf, t) in
            [("gamma", "gamma"), ("beta", "beta"), ("mean", "mean_before"), ("var", "var_before")]
        {
            if scope == NormScope::Batch {
                op.set(leaf, &file.get(&name(t)).1);
            }
        }
        op.run(&file.get(&name("dy")).1);
        let mut found = vec![("y", op.y()), ("dx", op.grad("x"))];
        if scope == NormScope::Batch {
            found.extend([("dgamma", op.grad("gamma")), ("dbeta", op.grad("beta"))]);
            let (mean, var) = match statistics {
                Statistics::Batch => ("mean_after", "var_after"),
                Statistics::Running => ("mean_before", "var_before"),
            };
            found.extend([(mean, op.value("mean")), (var, op.value("var"))]);
        }
        for (t, values) in found {
            let error = nmse(&values, &file.exact(&name(t)));
            assert!(error < NORM_NMSE, "{}: NMSE {error:e}", name(t));
        }
    }
}

#[test]
fn batch_norm_follows_pytorch() {
    norms("batch_norm", NormScope::Batch, Statistics::Batch);
}

#[test]
fn batch_norm_by_running_statistics_follows_pytorch() {
    norms("batch_norm_eval", NormScope::Batch, Statistics::Running);
}

#[test]
fn instance_norm_follows_pytorch() {
    norms("instance_norm", NormScope::Instance, Statistics::Batch);
}

/// An operation of one or two inputs, pointwise or a loss.
fn pointwise(
    kind: &str,
    inputs: &[&str],
    gradients: &[&str],
    record: impl Fn(&mut Tape, &[Var], &Value) -> Result<Var>,
) {
    let file = Golden::open("ops.safetensors");
    for (row, case) in cases(&file, kind).iter().enumerate() {
        let name = |t: &str| format!("{kind}/{row}/{t}");
        let shapes: Vec<_> = inputs.iter().map(|t| (*t, file.get(&name(t)).0)).collect();
        let trained: Vec<_> =
            shapes.iter().filter(|(t, _)| gradients.contains(t)).copied().collect();
        let state: Vec<_> =
            shapes.iter().filter(|(t, _)| !gradients.contains(t)).copied().collect();
        let mut op = Harness::op(&trained, &state, |tape, v| record(tape, v, case));
        for t in inputs {
            op.set(t, &file.get(&name(t)).1);
        }
        op.run(&file.get(&name("dy")).1);
        assert_pointwise(&name("y"), &op.y(), &file.exact(&name("y")));
        for t in gradients {
            let gradient = name(&format!("d{t}"));
            assert_pointwise(&gradient, &op.grad(t), &file.exact(&gradient));
        }
    }
}

#[test]
fn activations_follow_pytorch() {
    pointwise("leaky_relu", &["x"], &["x"], |tape, v, case| {
        tape.leaky_relu(case["slope"].as_f64().unwrap() as f32, v[0])
    });
    pointwise("relu", &["x"], &["x"], |tape, v, _| tape.relu(v[0]));
    pointwise("tanh", &["x"], &["x"], |tape, v, _| tape.tanh(v[0]));
}

#[test]
fn sums_and_concat_follow_pytorch() {
    pointwise("add", &["a", "b"], &["a", "b"], |tape, v, _| tape.add(v[0], v[1]));
    pointwise("concat", &["a", "b"], &["a", "b"], |tape, v, _| {
        let (a, b) = (tape.copy(v[0])?, tape.copy(v[1])?);
        tape.concat(&[a, b])
    });
}

/// Logits reach 100 either way; the losses stay finite.
#[test]
fn losses_follow_pytorch() {
    let label = |case: &Value| case["target"].as_f64().unwrap() as f32;
    pointwise("bce", &["x"], &["x"], |tape, v, case| tape.bce_with_logits(v[0], label(case)));
    pointwise("mse", &["x"], &["x"], |tape, v, case| tape.mse_label(v[0], label(case)));
    pointwise("l1", &["x", "t"], &["x"], |tape, v, _| tape.l1(v[0], v[1]));
    pointwise("l2", &["x", "t"], &["x"], |tape, v, _| tape.l2(v[0], v[1]));
}

fn pool(case: &Value) -> Pool {
    let [r, s, stride, pad] = ["r", "s", "stride", "pad"].map(|key| whole(case, key));
    Pool { r, s, stride, pad }
}

/// Maxima with equals, and with NaN.
#[test]
fn poolings_follow_pytorch() {
    for kind in ["max_pool", "max_pool_nan"] {
        pointwise(kind, &["x"], &["x"], |tape, v, case| tape.max_pool(pool(case), v[0]));
    }
    pointwise("average_pool", &["x"], &["x"], |tape, v, case| tape.average_pool(pool(case), v[0]));
}

#[test]
fn upsampling_follows_pytorch() {
    pointwise("upsample", &["x"], &["x"], |tape, v, case| {
        tape.upsample(whole(case, "factor"), v[0])
    });
}

#[test]
fn reflection_padding_follows_pytorch() {
    pointwise("reflection_pad", &["x"], &["x"], |tape, v, case| {
        tape.reflection_pad(whole(case, "pad"), v[0])
    });
}

/// Logits reach 100 either way; some pixels are ignored, in one case a class of its own.
#[test]
fn cross_entropy_follows_pytorch() {
    pointwise("cross_entropy", &["x", "labels"], &["x"], |tape, v, case| {
        let ignored = case.get("ignored").map(|_| whole(case, "ignored"));
        tape.cross_entropy(v[0], v[1], ignored)
    });
}

/// Logits reach 100 in one pixel, where the other classes are 0 in single precision.
#[test]
fn softmax_follows_pytorch() {
    pointwise("softmax", &["x"], &["x"], |tape, v, _| tape.softmax(v[0]));
}

#[test]
fn weighing_follows_pytorch() {
    pointwise("weigh", &["x", "weights"], &["x"], |tape, v, _| tape.weigh(v[0], v[1]));
}

/// Five steps on gradients from 1e-10, below Adam's eps, to 1. A weight near 0.1 cannot move by
/// less than 7e-9, so a step of 2e-4 is exact to 4e-5 of itself, and five steps to that of their
/// sum.
#[test]
fn adam_follows_pytorch() {
    let file = Golden::open("ops.safetensors");
    let case = &cases(&file, "adam")[0];
    let (count, steps) = (file.raw("adam/0/w").len(), whole(case, "steps"));
    let mut arena = Arena::default();
    let [w, g, m, v] = [(); 4].map(|()| arena.take(Shape::vector(count)));
    let mut cpu = cpu(1, &arena);
    cpu.upload(w, file.raw("adam/0/w")).unwrap();
    for step in 0..steps {
        cpu.upload(g, &file.raw("adam/0/g")[step * count..][..count]).unwrap();
        let lr = case["lr"].as_f64().unwrap() as f32;
        cpu.set_state(StepState { seed: 0, step: step as u64 + 1, lr, micro: 0 });
        cpu.adam(Adam::default(), w, g, m, v).unwrap();
        let after = &file.raw("adam/0/w_after")[step * count..][..count];
        for (i, (got, exact)) in read(&cpu, w).iter().zip(after).enumerate() {
            let error = (f64::from(*got) - f64::from(*exact)).abs();
            assert!(error < 5.0 * 7.5e-9, "step {step}, weight {i}: {got} for {exact}");
        }
    }
    // The mean gradient cancels where gradients change sign: its error is one of the largest.
    // 1 - beta2 from beta2 in f32 is 1.3e-5 less than 0.001; the bias correction is made from the
    // same number, so steps do not feel it, but the mean square does.
    let gradients = file.raw("adam/0/g");
    let (mean, square) = (read(&cpu, m), read(&cpu, v));
    for i in 0..count {
        let largest = gradients.iter().skip(i).step_by(count).fold(0.0f32, |m, g| m.max(g.abs()));
        for (got, exact, scale, bound) in [
            (mean[i], file.raw("adam/0/m")[i], largest, 1e-6),
            (square[i], file.raw("adam/0/v")[i], file.raw("adam/0/v")[i], 2e-5),
        ] {
            let error = f64::from(got) - f64::from(exact);
            assert!(error.abs() <= bound * f64::from(scale), "moment {i}: {got} for {exact}");
        }
    }
}
