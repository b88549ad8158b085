//! Follows every instruction of a program through memory, element by element: each write leaves a
//! tag that says what was written, each read must find the tags that it expects. No kernel runs.
//!
//! The planner places a gradient by the identity of its value; here the tag of a gradient comes
//! from what the forward pass found in memory. The two agree only if no value was overwritten while
//! something still had to read it.

use std::collections::HashMap;
use std::sync::Arc;

use pix2pix_engine::device::Cpu;
use pix2pix_engine::kernel::Write;
use pix2pix_engine::nn::Params;
use pix2pix_engine::tape::{Application, Group, Io, Op, Phase, Program};
use pix2pix_engine::tensor::{Shape, View};

use crate::common::training::Setup;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Tag {
    Nothing,
    /// An input of the program.
    Host,
    /// A parameter or statistic after this many updates.
    Persistent(usize),
    /// The output of the forward instruction of this number.
    Value(usize),
    /// What the forward instruction of this number keeps.
    Kept(usize),
    /// In the backward pass of this number, the gradient of a forward instruction's output.
    Gradient(usize, usize),
    /// The gradient of a parameter.
    ParamGradient(usize),
    /// A constant.
    Filled(usize),
}

/// What the forward instruction of an operation found, and its number.
struct Seen {
    step: usize,
    inputs: Vec<Vec<Tag>>,
}

struct Flow {
    tags: Vec<Tag>,
    seen: HashMap<*const (), Seen>,
    /// Number of the backward pass, from 0; it is also the number of updates so far.
    walk: usize,
    step: usize,
}

fn elements(view: View) -> impl Iterator<Item = usize> {
    (0..view.shape.pixels())
        .flat_map(move |p| (0..view.shape.c).map(move |c| view.at + p * view.pitch + c))
}

fn key(op: &Arc<dyn Op>) -> *const () {
    Arc::as_ptr(op).cast()
}

fn shapes(views: &[View]) -> Vec<Shape> {
    views.iter().map(|v| v.shape).collect()
}

impl Flow {
    fn new(program: &Program, base: usize) -> Flow {
        let mut tags = vec![Tag::Nothing; program.end()];
        tags[..base].fill(Tag::Persistent(0));
        for name in ["a", "b"] {
            elements(program.view(name).unwrap()).for_each(|e| tags[e] = Tag::Host);
        }
        Flow { tags, seen: HashMap::new(), walk: 0, step: 0 }
    }

    fn found(&self, view: View) -> Vec<Tag> {
        elements(view).map(|e| self.tags[e]).collect()
    }

    fn mark(&mut self, view: View, tag: Tag) {
        elements(view).for_each(|e| self.tags[e] = tag);
    }

    fn forward(&mut self, op: &Arc<dyn Op>, io: &Io) {
        let what = format!("step {} forward {}", self.step, op.name());
        let inputs: Vec<Vec<Tag>> = io.x.iter().map(|&x| self.found(x)).collect();
        for (i, found) in inputs.iter().enumerate() {
            let value = |t: &Tag| matches!(t, Tag::Host | Tag::Persistent(_) | Tag::Value(_));
            let wrong = found.iter().find(|t| !value(t));
            assert_eq!(wrong, None, "{what}: input {i} is not there");
        }
        // The inputs of a concat are part of its output.
        if op.alias(&shapes(&io.x), 0).is_none() {
            let written = io.kept.iter().chain([&io.y]).chain(&io.skip);
            let meets = |w: &View| io.x.iter().any(|x| x.overlaps(*w));
            assert!(!written.into_iter().any(meets), "{what}: it writes to its input");
            self.mark(io.y, Tag::Value(self.step));
            io.skip.iter().for_each(|&skip| self.mark(skip, Tag::Value(self.step)));
            io.kept.iter().for_each(|&k| self.mark(k, Tag::Kept(self.step)));
        }
        self.seen.insert(key(op), Seen { step: self.step, inputs });
    }

    fn backward(&mut self, op: &Arc<dyn Op>, io: &Io) {
        let what = format!("step {} backward {}", self.step, op.name());
        let seen = &self.seen[&key(op)];
        let (walk, reads) = (self.walk, op.reads_back());
        let dy = [Tag::Gradient(walk, seen.step), Tag::Filled(walk)];
        let wrong = elements(io.dy).find(|&e| !dy.contains(&self.tags[e]));
        assert_eq!(wrong.map(|e| self.tags[e]), None, "{what}: its gradient is {dy:?}");
        let skip =
            io.dskip.iter().flat_map(|&v| elements(v)).find(|&e| !dy.contains(&self.tags[e]));
        assert_eq!(skip.map(|e| self.tags[e]), None, "{what}: its second gradient is {dy:?}");
        for (i, &x) in io.x.iter().enumerate().filter(|_| reads.inputs) {
            assert!(self.found(x) == seen.inputs[i], "{what}: input {i} was overwritten");
        }
        let holds = |v: View, tag: Tag| elements(v).all(|e| self.tags[e] == tag);
        assert!(!reads.output || holds(io.y, Tag::Value(seen.step)), "{what}: output overwritten");
        for &kept in &io.kept {
            assert!(holds(kept, Tag::Kept(seen.step)), "{what}: what it kept was overwritten");
        }
        let mut read = vec![io.dy];
        read.extend(io.dskip);
        read.extend(io.x.iter().filter(|_| reads.inputs).chain(&io.kept));
        read.extend(reads.output.then_some(io.y));
        let meets = |w: View| read.iter().any(|r| r.overlaps(w));
        let dx = io.dx.iter().flatten();
        assert!(!dx.into_iter().any(|(dx, _)| meets(*dx)), "{what}: it writes to what it reads");
        let mut writes = Vec::new();
        for (i, dx) in io.dx.iter().enumerate() {
            let Some((dx, mode)) = *dx else { continue };
            for (e, of) in elements(dx).zip(&seen.inputs[i]) {
                let tag = match of {
                    Tag::Value(step) => Tag::Gradient(walk, *step),
                    Tag::Persistent(_) => Tag::ParamGradient(walk),
                    other => panic!("{what}: a gradient of {other:?} is wanted"),
                };
                let there = self.tags[e];
                assert!(
                    mode == Write::Set || there == tag || there == Tag::Filled(walk),
                    "{what}: {tag:?} of input {i} is added to {there:?}"
                );
                writes.push((e, tag));
            }
        }
        writes.into_iter().for_each(|(e, tag)| self.tags[e] = tag);
    }

    /// `groups` are the networks that the program trains.
    fn run(&mut self, program: &Program, groups: &[&Group]) {
        for (i, instruction) in program.instructions().iter().enumerate() {
            self.step = i;
            match instruction.application() {
                Some(Application { op, io, phase: Phase::Forward }) => self.forward(op, io),
                Some(Application { op, io, phase: Phase::Backward }) => self.backward(op, io),
                None => {
                    let (reads, writes) = (instruction.reads(), instruction.writes());
                    match groups.iter().find(|group| writes.contains(&group.values)) {
                        Some(group) => self.optimise(group, &reads),
                        None => self.other(&reads, &writes),
                    }
                }
            }
        }
    }

    /// An update of the parameters from their gradients.
    fn optimise(&mut self, group: &Group, reads: &[View]) {
        let step = self.step;
        assert!(reads.contains(&group.grads), "step {step}: parameters move without gradients");
        // Between parameters there are gaps that nobody writes.
        let gradients = self.found(group.grads);
        let old = |t: &Tag| matches!(t, Tag::ParamGradient(w) if *w != self.walk);
        assert!(!gradients.iter().any(old), "step {step}: a gradient of another update");
        assert!(gradients.contains(&Tag::ParamGradient(self.walk)));
        self.walk += 1;
        self.mark(group.values, Tag::Persistent(self.walk));
    }

    /// Losses that are kept, and fills.
    fn other(&mut self, reads: &[View], writes: &[View]) {
        let value = |t: &Tag| matches!(t, Tag::Value(_));
        let there = reads.iter().all(|&v| self.found(v).iter().all(value));
        assert!(there, "step {}: a loss that is kept is gone", self.step);
        writes.iter().for_each(|&view| self.mark(view, Tag::Filled(self.walk)));
    }
}

#[test]
fn every_read_finds_what_it_means() {
    let cpu = Cpu::new(1).unwrap();
    for setup in Setup::all() {
        for batch in [1, 2] {
            let size = Shape { n: batch, ..setup.size };
            let (step, g, d, base) = Setup { size, ..setup }.record(&cpu);
            let mut flow = Flow::new(&step.program, base);
            let groups = [Some(&g), d.as_ref()].into_iter().flatten();
            flow.run(&step.program, &groups.map(Params::group).collect::<Vec<_>>());
            for name in step.losses.iter().map(String::as_str).chain(["fake"]) {
                let found = flow.found(step.program.view(name).unwrap());
                let one = matches!(found[0], Tag::Value(_)) && found.iter().all(|t| *t == found[0]);
                assert!(one, "{setup:?}: output {name} is gone");
            }
        }
    }
}
