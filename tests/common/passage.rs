//! What is not finite passes through every operation, forward and backward: cases of all of them, played
//! on any device.
//!
//! What must become NaN needs no second implementation: a result that changes when an operand is
//! replaced by another finite number depends on it, and what depends on NaN is NaN. The few places where
//! PyTorch's definition of a gradient does not ([`Case::stops`]) are named with each case and held to
//! their values elsewhere. Infinity passes the same way, but a bounded function has a finite limit there
//! ([`Case::bounded`]): then a result must be infinite or NaN where it grows without bound as the operand
//! does.

use std::collections::BTreeSet;

use pix2pix_engine::Result;
use pix2pix_engine::device::{Arena, StepState};
use pix2pix_engine::kernel::{
    Activation, Adam, Backend, Conv, Loss, NormScope, Pool, Statistics, Write,
};
use pix2pix_engine::nn::{Params, Placement};
use pix2pix_engine::op::{NormUse, NormVars};
use pix2pix_engine::tape::{Group, Program, Tape, Var};
use pix2pix_engine::tensor::{Shape, View};

use super::harness::{Dot, gradient, leaves};
use super::numbers;

type Record = Box<dyn Fn(&mut Tape, &[Var]) -> Result<Var>>;

/// An operation on leaves.
pub struct Case {
    pub what: String,
    trained: Vec<(&'static str, Shape)>,
    state: Vec<(&'static str, Shape)>,
    record: Record,
    /// Leaves that do not begin with normal numbers.
    first: Vec<(&'static str, Vec<f32>)>,
    /// Operand and result, where the result is finite by definition whatever the operand is: gradients
    /// of functions of straight pieces, which are constants.
    stops: Vec<(&'static str, &'static str)>,
    /// Operands of bounded functions.
    bounded: Vec<&'static str>,
    /// Whether the leaves are then updated: by Adam, with an average and the norm of the gradient.
    updates: bool,
    /// Whether both devices make the same results NaN. They may make more of them NaN than depend on
    /// one: minimal filtering on the CPU a tile, the gradient of a norm of fixed statistics on a GPU a
    /// channel, whose sums it multiplies by 0.
    pub alike: bool,
}

impl Case {
    fn new(
        what: impl Into<String>,
        trained: &[(&'static str, Shape)],
        record: impl Fn(&mut Tape, &[Var]) -> Result<Var> + 'static,
    ) -> Case {
        let (what, trained) = (what.into(), trained.to_vec());
        let (state, first, stops, bounded) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        let record = Box::new(record);
        Case { what, trained, state, record, first, stops, bounded, updates: false, alike: true }
    }

    fn state(mut self, state: &[(&'static str, Shape)]) -> Case {
        self.state = state.to_vec();
        self
    }

    fn first(mut self, leaf: &'static str, values: Vec<f32>) -> Case {
        self.first.push((leaf, values));
        self
    }

    fn stops(mut self, pairs: &[(&'static str, &'static str)]) -> Case {
        self.stops = pairs.to_vec();
        self
    }

    fn bounded(mut self, leaves: &[&'static str]) -> Case {
        self.bounded = leaves.to_vec();
        self
    }
}

/// All operations, small.
pub fn cases() -> Vec<Case> {
    let x = Shape::new(2, 4, 5, 3);
    let one = |what, record: fn(&mut Tape, Var) -> Result<Var>| {
        Case::new(what, &[("x", Shape::new(2, 4, 5, 3))], move |tape, v| record(tape, v[0]))
    };
    let two = |what, record: fn(&mut Tape, Var, Var) -> Result<Var>| {
        Case::new(what, &[("x", x), ("t", x)], move |tape, v| record(tape, v[0], v[1]))
    };
    let mut all = vec![
        one("copy", |tape, x| tape.copy(x)),
        one("relu", |tape, x| tape.relu(x)).stops(&[("x", "dx")]).bounded(&["x"]),
        one("leaky_relu", |tape, x| tape.leaky_relu(0.2, x)).stops(&[("x", "dx")]),
        one("tanh", |tape, x| tape.tanh(x)).bounded(&["x"]),
        one("dropout", |tape, x| tape.dropout(0.5, x)),
        one("softmax", |tape, x| tape.softmax(x)).bounded(&["x"]),
        one("upsample", |tape, x| tape.upsample(2, x)),
        one("reflection_pad", |tape, x| tape.reflection_pad(2, x)),
        one("max_pool", |tape, x| tape.max_pool(Pool::square(3, 2, 1), x))
            .stops(&[("x", "dx")])
            .bounded(&["x"]),
        one("average_pool", |tape, x| tape.average_pool(Pool::square(2, 1, 0), x)),
        one("bce", |tape, x| tape.labelled(Loss::Bce, x, &[0.0, 1.0])).bounded(&["x"]),
        one("mse of labels", |tape, x| tape.labelled(Loss::Mse, x, &[0.0, 1.0])),
        two("l1", |tape, x, t| tape.l1(x, t)).stops(&[
            ("x", "dx"),
            ("x", "dt"),
            ("t", "dx"),
            ("t", "dt"),
        ]),
        two("l2", |tape, x, t| tape.l2(x, t)),
        two("add", |tape, x, t| tape.add(x, t)),
        two("sum", |tape, x, t| tape.weighted_sum(&[(0.5, x), (-2.0, t), (3.0, x)])),
        two("concat", |tape, x, t| {
            let (a, b) = (tape.copy(x)?, tape.copy(t)?);
            tape.concat(&[a, b])
        }),
        two("stack", |tape, x, t| tape.stack(&[(x, 0, 0), (t, 0, 3), (t, 2, 0), (x, 2, 3)])),
        Case {
            updates: true,
            ..two("updates", |tape, x, t| tape.add(x, t)).bounded(&["v x", "v t"])
        },
        Case::new("cross_entropy", &[("x", x)], |tape, v| tape.cross_entropy(v[0], v[1], Some(9)))
            .state(&[("labels", Shape { c: 1, ..x })])
            .first(
                "labels",
                (0..40).map(|i| if i % 4 == 3 { 9.0 } else { (i % 4) as f32 }).collect(),
            )
            .bounded(&["x"]),
        Case::new("weigh", &[("x", x)], |tape, v| tape.weigh(v[0], v[1]))
            .state(&[("weights", Shape { c: 1, ..x })])
            .first("weights", (0..40).map(|i| 0.5 + i as f32).collect()),
    ];
    all.extend(norms());
    all.extend(convolutions());
    all
}

fn norms() -> Vec<Case> {
    let (x, c) = (Shape::new(2, 3, 4, 3), Shape::vector(3));
    let mut all = Vec::new();
    for (scope, statistics) in [
        (NormScope::Batch, Statistics::Batch),
        (NormScope::Runs(2), Statistics::Batch),
        (NormScope::Instance, Statistics::Batch),
        (NormScope::Batch, Statistics::Running),
    ] {
        for (activation, dropout) in [
            (Activation::Identity, 0.0),
            (Activation::Tanh, 0.0),
            (Activation::Relu, 0.5),
            (Activation::LeakyRelu(0.2), 0.0),
        ] {
            let moves = scope != NormScope::Instance;
            let how = NormUse { scope, statistics, dropout, activation };
            let what = format!("norm {scope:?} {statistics:?} {activation:?} {dropout}");
            let case = Case::new(what, &[("x", x), ("w", c), ("b", c)], move |tape, v| {
                let affine = Some([v[1], v[2]]);
                let running = moves.then(|| [v[3], v[4]]);
                tape.norm(how, v[0], NormVars { affine, running })
            });
            let case = if moves { case.state(&[("mean", c), ("var", c)]) } else { case };
            let case = case.first("var", vec![0.8, 1.0, 1.3]);
            // A slope of straight pieces is a constant where y is NaN.
            let case = match activation {
                Activation::Relu | Activation::LeakyRelu(_) => case.stops(&[
                    ("x", "db"),
                    ("w", "db"),
                    ("w", "dw"),
                    ("b", "db"),
                    ("b", "dw"),
                    ("b", "dx"),
                    ("mean", "db"),
                    ("mean", "dx"),
                    ("var", "db"),
                ]),
                Activation::Identity | Activation::Tanh => case,
            };
            let straight = activation == Activation::Identity;
            let case = case.bounded(if straight { &["var"] } else { &["w", "b", "mean", "var"] });
            let case = Case { alike: statistics == Statistics::Batch, ..case };
            all.push(match (statistics, straight) {
                // Of fixed statistics x is an operand like any other; its own make all of a channel NaN.
                (Statistics::Running, false) => {
                    let case = Case { bounded: vec!["x", "w", "b", "mean", "var"], ..case };
                    let stops: Vec<_> = case.stops.iter().copied().chain([("x", "dx")]).collect();
                    if case.stops.is_empty() { case } else { case.stops(&stops) }
                }
                _ => case,
            });
        }
    }
    // Of more pixels than one launch takes.
    let wide = Shape::new(1, 33, 32, 3);
    all.push(Case::new("large norm", &[("x", wide), ("w", c), ("b", c)], |tape, v| {
        let (scope, statistics) = (NormScope::Batch, Statistics::Batch);
        let how = NormUse { scope, statistics, dropout: 0.0, activation: Activation::Identity };
        tape.norm(how, v[0], NormVars { affine: Some([v[1], v[2]]), running: None })
    }));
    all.push(Case::new("norm with a skip", &[("x", x)], |tape, v| {
        let (scope, statistics) = (NormScope::Batch, Statistics::Batch);
        let activation = Activation::LeakyRelu(0.2);
        let how = NormUse { scope, statistics, dropout: 0.0, activation };
        let (y, skip) = tape.norm_and_skip(how, v[0], NormVars::default())?;
        let y = tape.copy(y)?;
        tape.concat(&[skip, y])
    }));
    all
}

/// One for each way of computing a pass on either device.
fn convolutions() -> Vec<Case> {
    let windows = [
        (Conv::PIXEL, Shape::new(1, 5, 4, 33), 33),
        (Conv::square(3, 1, 1), Shape::new(2, 5, 6, 4), 4),
        (Conv::square(3, 2, 1), Shape::new(2, 5, 6, 2), 3),
        (Conv::HALVE, Shape::new(1, 2, 2, 64), 64),
        // Tiles of 128 and of 64 rows, the latter also where channels are no vectors.
        (Conv::HALVE, Shape::new(1, 18, 18, 32), 384),
        (Conv::HALVE, Shape::new(1, 16, 14, 32), 256),
        (Conv::square(3, 1, 1), Shape::new(1, 16, 16, 17), 65),
        (Conv::HALVE, Shape::new(2, 9, 7, 5), 33),
        (Conv::HALVE, Shape::new(1, 4, 80, 3), 16),
        (Conv::HALVE, Shape::new(1, 10, 12, 8), 2),
        (Conv::PATCH, Shape::new(1, 11, 9, 64), 1),
        (Conv::PATCH, Shape::new(1, 6, 5, 16), 9),
        // Minimal filtering, with both tiles.
        (Conv::HALVE, Shape::new(1, 28, 28, 16), 16),
        (Conv::PATCH, Shape::new(1, 17, 16, 16), 16),
    ];
    let mut all = Vec::new();
    for (conv, x, k) in windows {
        let (w, b) = (Shape::new(k, conv.r, conv.s, x.c), Shape::vector(k));
        let leaves = [("x", x), ("w", w), ("b", b)];
        let what = format!("{conv:?} of {x} to {k}");
        let case = Case::new(format!("conv {what}"), &leaves, move |tape, v| {
            tape.conv(conv, v[0], v[1], Some(v[2]))
        });
        all.push(Case { alike: false, ..case });
        let small = conv.shrink(x, k).unwrap();
        let leaves = [("x", small), ("w", w), ("b", Shape::vector(x.c))];
        let case = Case::new(format!("conv_transpose {what}"), &leaves, move |tape, v| {
            tape.conv_transpose(conv, v[0], v[1], Some(v[2]))
        });
        all.push(Case { alike: false, ..case });
    }
    all
}

/// A number in the arena that is set before, and may be read after a run.
struct Place {
    name: String,
    view: View,
    first: Vec<f32>,
}

/// A case on a device.
pub struct Player<'a> {
    b: &'a mut dyn Backend,
    case: &'a Case,
    program: Program,
    group: Group,
    /// Leaves, and what an optimiser keeps of them.
    operands: Vec<Place>,
    results: Vec<(String, View)>,
}

/// The results of a run, by name.
pub type Results = Vec<(String, Vec<f32>)>;

const STATE: [&str; 3] = ["m", "v", Group::AVERAGE];

impl<'a> Player<'a> {
    pub fn new(b: &'a mut dyn Backend, case: &'a Case) -> Player<'a> {
        let mut arena = Arena::default();
        let mut params: Params = leaves(&case.trained, &case.state);
        params.place(&mut arena, Placement::Training(if case.updates { &STATE } else { &[] }));
        let group = params.group().clone();
        let tape = &mut Tape::new();
        let vars: Vec<Var> = (0..params.iter().count()).map(|i| params.on(tape, i)).collect();
        let y = (case.record)(tape, &vars).unwrap();
        let dy = tape.input("dy", tape.shape(y));
        let loss = tape.push(Dot, &[y, dy]).unwrap();
        tape.output("y", y);
        tape.backward(&[(1.0, loss)], &group, Write::Set).unwrap();
        if case.updates {
            let norm = tape.gradient_norm("norm", &group).unwrap();
            tape.output("norm", norm);
            tape.optimise(&group, Adam::default()).unwrap();
            tape.average(&group, 0.9).unwrap();
        }
        let program = tape.compile(b, arena.len()).unwrap();
        b.reserve(program.end()).unwrap();
        params.clear(b).unwrap();
        let mut results = vec![("y".to_string(), program.view("y").unwrap())];
        if case.updates {
            results.push(("norm".to_string(), program.view("norm").unwrap()));
        }
        let mut operands = Vec::new();
        for (i, param) in params.iter().enumerate() {
            let given = case.first.iter().find(|(name, _)| *name == param.name);
            let drawn =
                || numbers(param.shape.count(), i as u64 + 1).iter().map(|v| 4.0 * v).collect();
            let first: Vec<f32> = given.map_or_else(drawn, |(_, values)| values.clone());
            if param.trained {
                results.push((format!("d{}", param.name), gradient(&group, param.view())));
                for (state, vector) in &group.state {
                    let view = group.part(*vector, param.view()).unwrap();
                    let name = format!("{state} {}", param.name);
                    results.push((name.clone(), view));
                    // A second moment is a mean of squares.
                    let first = first.iter().map(|v| 0.5 * v.abs() + 0.1).collect();
                    operands.push(Place { name, view, first });
                }
            }
            if case.updates || !param.trained {
                results.push((param.name.clone(), param.view()));
            }
            operands.push(Place { name: param.name.clone(), view: param.view(), first });
        }
        let view = program.view("dy").unwrap();
        let first = numbers(view.shape.count(), 99);
        operands.push(Place { name: "dy".to_string(), view, first });
        Player { b, case, program, group, operands, results }
    }

    /// The names of the program's instructions.
    pub fn names(&self) -> BTreeSet<String> {
        self.program.instructions().iter().map(|instruction| instruction.name()).collect()
    }

    /// Runs with element `at` of operand `which` replaced.
    fn play(&mut self, replaced: Option<(usize, usize, f32)>) -> Results {
        self.b.set_state(StepState { seed: 5, step: 3, lr: 0.1, micro: 0 });
        // A gradient that is not written is not taken for one that is finite by luck.
        self.b.fill(self.group.grads, 7.0).unwrap();
        for (i, place) in self.operands.iter().enumerate() {
            let mut values = place.first.clone();
            if let Some((_, at, value)) = replaced.filter(|(which, ..)| *which == i) {
                values[at] = value;
            }
            self.b.upload(place.view, &values).unwrap();
        }
        self.program.run(self.b).unwrap();
        let read = |(name, view): &(String, View)| {
            let mut values = vec![0.0; view.shape.count()];
            self.b.download(*view, &mut values).unwrap();
            (name.clone(), values)
        };
        self.results.iter().map(read).collect()
    }

    /// Puts NaN and both infinities at `places` places of every operand, one at a time, and asserts that
    /// all that depends on them is not finite. Returns where results were NaN for each NaN.
    ///
    /// # Panics
    /// Where a result is finite that must not be.
    pub fn check(&mut self, places: usize) -> Vec<Results> {
        let plain = self.play(None);
        for (name, values) in &plain {
            assert!(
                values.iter().all(|v| v.is_finite()),
                "{}: {name} is not finite",
                self.case.what
            );
        }
        let mut nans = Vec::new();
        for which in 0..self.operands.len() {
            let (name, count) =
                (self.operands[which].name.clone(), self.operands[which].first.len());
            // What is no class is refused, and a mean of squares is not below 0.
            if name == "labels" {
                continue;
            }
            for place in 0..places {
                let at = (7919 * (which + 1) + 104_729 * place + 13) % count;
                let others = [3.0, -3.0, 0.7].map(|value| self.play(Some((which, at, value))));
                let spoilt = self.play(Some((which, at, f32::NAN)));
                self.assert_spoilt(&name, f32::NAN, &plain, &others, &spoilt);
                nans.push(spoilt);
                for infinity in [f32::INFINITY, f32::NEG_INFINITY] {
                    let spoilt = self.play(Some((which, at, infinity)));
                    if self.case.bounded.contains(&name.as_str()) {
                        let far = self.play(Some((which, at, 1e18f32.copysign(infinity))));
                        self.assert_limit(&name, infinity, &far, &spoilt);
                    } else {
                        self.assert_spoilt(&name, infinity, &plain, &others, &spoilt);
                    }
                }
            }
        }
        nans
    }

    fn stops(&self, operand: &str, result: &str) -> bool {
        self.case.stops.contains(&(operand, result))
    }

    /// Asserts that what changes with an operand is not finite where the operand is not.
    fn assert_spoilt(
        &self,
        operand: &str,
        value: f32,
        plain: &Results,
        others: &[Results],
        spoilt: &Results,
    ) {
        for (i, (result, values)) in spoilt.iter().enumerate() {
            if self.stops(operand, result) {
                continue;
            }
            for (k, got) in values.iter().enumerate() {
                let depends =
                    others.iter().any(|other| other[i].1[k].to_bits() != plain[i].1[k].to_bits());
                assert!(
                    !depends || !got.is_finite(),
                    "{}: {result}[{k}] is {got} with {value} in {operand}, on which it depends",
                    self.case.what
                );
            }
        }
    }

    /// Asserts that what grows without bound with an operand is not finite where the operand is infinite.
    fn assert_limit(&self, operand: &str, value: f32, far: &Results, spoilt: &Results) {
        for ((result, values), (_, far)) in spoilt.iter().zip(far) {
            for (k, (got, far)) in values.iter().zip(far).enumerate() {
                let bounded = far.abs() < 1e9;
                assert!(
                    bounded || !got.is_finite(),
                    "{}: {result}[{k}] is {got} with {value} in {operand}, and {far} with 1e18",
                    self.case.what
                );
            }
        }
    }
}
