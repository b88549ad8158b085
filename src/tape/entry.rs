//! The entries that a tape records. An entry tells the planner which buffers it touches, and
//! becomes an instruction once these have addresses.

use std::fmt::Debug;
use std::sync::Arc;

use super::backward::GradPlace;
use super::instruction::{Application, Instruction, Need, Phase, Work, bytes, place, places};
use super::plan::{Buffer, Plan};
use super::{Io, Op, Tape, Var};
use crate::error::Result;
use crate::kernel::{Backend, Workspace, Write};
use crate::tensor::View;

/// One entry of a tape, in the order in which it runs.
pub(super) trait TapeEntry: Debug + Send + Sync {
    /// The planned buffers that the entry reads or writes.
    fn touches(&self, tape: &Tape) -> Vec<Buffer>;

    /// The instruction, with the addresses of the plan.
    fn place(&self, tape: &Tape, plan: &Plan) -> Box<dyn Instruction>;
}

/// The forward pass of node `.0` of the tape.
#[derive(Debug)]
pub(super) struct Forward(pub usize);

/// The backward pass of a node: the gradients of its inputs.
#[derive(Debug)]
pub(super) struct Backward {
    pub node: usize,
    pub dy: GradPlace,
    pub dskip: Option<GradPlace>,
    pub dx: Vec<Option<(GradPlace, Write)>>,
}

/// Sets a gradient to a number: that of a loss to its weight, channels that nothing writes to 0.
#[derive(Debug)]
pub(super) struct Fill(pub GradPlace, pub f32);

/// Copies outputs, by their index in `Tape::outputs`, to the ring that the host reads later.
#[derive(Debug)]
pub(super) struct Keep(pub Vec<usize>);

/// Writes the numbers of a constant.
#[derive(Debug)]
pub(super) struct ConstantValue(pub Var, pub Arc<[f32]>);

fn kept(tape: &Tape, node: usize) -> impl Iterator<Item = Buffer> {
    (0..tape.nodes[node].kept.len()).map(move |i| Buffer::Kept(node, i))
}

fn gradient(place: GradPlace) -> Option<Buffer> {
    match place {
        GradPlace::Planned { buffer, .. } => Some(Buffer::Grad(buffer)),
        GradPlace::Fixed(_) => None,
    }
}

impl TapeEntry for Forward {
    fn touches(&self, tape: &Tape) -> Vec<Buffer> {
        let node = &tape.nodes[self.0];
        let values = node.inputs.iter().chain([&node.output]).chain(&node.skip);
        values.map(|&v| Buffer::Value(v)).chain(kept(tape, self.0)).collect()
    }

    fn place(&self, tape: &Tape, plan: &Plan) -> Box<dyn Instruction> {
        let node = &tape.nodes[self.0];
        let y = plan.value(tape, node.output);
        let io = Io {
            x: node.inputs.iter().map(|&v| plan.value(tape, v)).collect(),
            y,
            skip: node.skip.map(|v| plan.value(tape, v)),
            kept: plan.kept(self.0),
            dy: y,
            dskip: None,
            dx: Vec::new(),
        };
        Box::new(Applied { op: node.op.clone(), io, phase: Phase::Forward })
    }
}

impl TapeEntry for Backward {
    fn touches(&self, tape: &Tape) -> Vec<Buffer> {
        let node = &tape.nodes[self.node];
        let reads = node.op.reads_back();
        let inputs = node.inputs.iter().filter(|_| reads.inputs);
        let values = inputs.chain([&node.output].into_iter().filter(|_| reads.output));
        let gradients = self.dx.iter().flatten().map(|(place, _)| *place);
        let gradients = gradients.chain([self.dy]).chain(self.dskip).filter_map(gradient);
        values.map(|&v| Buffer::Value(v)).chain(kept(tape, self.node)).chain(gradients).collect()
    }

    fn place(&self, tape: &Tape, plan: &Plan) -> Box<dyn Instruction> {
        let node = &tape.nodes[self.node];
        let io = Io {
            x: node.inputs.iter().map(|&v| plan.value(tape, v)).collect(),
            y: plan.value(tape, node.output),
            skip: node.skip.map(|v| plan.value(tape, v)),
            kept: plan.kept(self.node),
            dy: plan.grad(self.dy),
            dskip: self.dskip.map(|place| plan.grad(place)),
            dx: self.dx.iter().map(|d| d.map(|(p, mode)| (plan.grad(p), mode))).collect(),
        };
        Box::new(Applied { op: node.op.clone(), io, phase: Phase::Backward })
    }
}

impl TapeEntry for Fill {
    fn touches(&self, _: &Tape) -> Vec<Buffer> {
        gradient(self.0).into_iter().collect()
    }

    fn place(&self, _: &Tape, plan: &Plan) -> Box<dyn Instruction> {
        Box::new(Filled { view: plan.grad(self.0), value: self.1 })
    }
}

impl TapeEntry for Keep {
    /// None: outputs are pinned, so they stay alive to the end of the program without this.
    fn touches(&self, _: &Tape) -> Vec<Buffer> {
        Vec::new()
    }

    fn place(&self, tape: &Tape, plan: &Plan) -> Box<dyn Instruction> {
        Box::new(Kept { losses: self.0.iter().map(|&i| plan.output(tape, i)).collect() })
    }
}

impl TapeEntry for ConstantValue {
    fn touches(&self, _: &Tape) -> Vec<Buffer> {
        vec![Buffer::Value(self.0)]
    }

    fn place(&self, tape: &Tape, plan: &Plan) -> Box<dyn Instruction> {
        Box::new(Copied { values: self.1.clone(), to: plan.value(tape, self.0) })
    }
}

/// An operation, forward or backward.
#[derive(Debug)]
struct Applied {
    op: Arc<dyn Op>,
    io: Io,
    phase: Phase,
}

impl Instruction for Applied {
    fn name(&self) -> String {
        match self.phase {
            Phase::Forward => format!("forward {}", self.op.name()),
            Phase::Backward => format!("backward {}", self.op.name()),
        }
    }

    fn reads(&self) -> Vec<View> {
        let io = &self.io;
        if self.phase == Phase::Forward {
            return io.x.clone();
        }
        let (reads, mut all) = (self.op.reads_back(), vec![io.dy]);
        all.extend(io.dskip);
        all.extend(io.x.iter().filter(|_| reads.inputs));
        all.extend(reads.output.then_some(io.y));
        all.extend(&io.kept);
        let added = io.dx.iter().flatten().filter(|(_, mode)| *mode == Write::Add);
        all.extend(added.map(|(view, _)| view));
        all
    }

    fn writes(&self) -> Vec<View> {
        let io = &self.io;
        match self.phase {
            Phase::Forward => {
                let moved = self.op.moves().into_iter().map(|i| &io.x[i]);
                [&io.y].into_iter().chain(&io.skip).chain(&io.kept).chain(moved).copied().collect()
            }
            Phase::Backward => io.dx.iter().flatten().map(|(view, _)| *view).collect(),
        }
    }

    fn work(&self) -> Work {
        let bytes = bytes(&self.reads()) + bytes(&self.writes());
        Work { operations: self.op.operations(&self.io, self.phase), bytes }
    }

    fn workspace(&self, b: &dyn Backend) -> Vec<Need> {
        self.op.workspace(b, &self.io, self.phase)
    }

    fn supports(&self, b: &dyn Backend) -> Result<()> {
        self.op.supports(b, &self.io, self.phase)
    }

    fn run(&self, b: &mut dyn Backend) -> Result<()> {
        match self.phase {
            Phase::Forward => self.op.forward(b, &self.io),
            Phase::Backward => self.op.backward(b, &self.io),
        }
    }

    fn detail(&self) -> String {
        let io = &self.io;
        let (to, from) = match self.phase {
            Phase::Forward => {
                let y: Vec<View> = [io.y].into_iter().chain(io.skip).collect();
                (places(&y), places(&io.x))
            }
            Phase::Backward => {
                let each = io.dx.iter().map(|d| match d {
                    Some((view, Write::Set)) => format!("set {}", place(view)),
                    Some((view, Write::Add)) => format!("add {}", place(view)),
                    None => "-".to_string(),
                });
                let dy: Vec<View> = [io.dy].into_iter().chain(io.dskip).collect();
                (each.collect::<Vec<_>>().join(", "), places(&dy))
            }
        };
        let attributes = self.op.attributes();
        let each = attributes.iter().map(|(name, value)| format!("{name} {value}"));
        let attributes = each.collect::<Vec<_>>().join(", ");
        let open = if attributes.is_empty() { "" } else { "; " };
        format!("{to} <- {from}{open}{attributes}")
    }

    fn application(&self) -> Option<Application<'_>> {
        Some(Application { op: &self.op, io: &self.io, phase: self.phase })
    }
}

/// Sets every element of a gradient to one number.
#[derive(Debug)]
struct Filled {
    view: View,
    value: f32,
}

impl Instruction for Filled {
    fn name(&self) -> String {
        "fill".to_string()
    }

    fn reads(&self) -> Vec<View> {
        Vec::new()
    }

    fn writes(&self) -> Vec<View> {
        vec![self.view]
    }

    fn run(&self, b: &mut dyn Backend) -> Result<()> {
        b.fill(self.view, self.value)
    }

    fn detail(&self) -> String {
        format!("{} <- {}", place(&self.view), self.value)
    }
}

/// Copies losses to this run's row of the ring.
#[derive(Debug)]
struct Kept {
    losses: Vec<View>,
}

impl Instruction for Kept {
    fn name(&self) -> String {
        "keep".to_string()
    }

    fn reads(&self) -> Vec<View> {
        self.losses.clone()
    }

    fn writes(&self) -> Vec<View> {
        Vec::new()
    }

    /// Each loss is read once and written once; the ring is outside the arena, so `writes` lacks
    /// it.
    fn work(&self) -> Work {
        Work { operations: 0, bytes: 2 * bytes(&self.losses) }
    }

    fn run(&self, b: &mut dyn Backend) -> Result<()> {
        b.keep_losses(&self.losses)
    }

    fn detail(&self) -> String {
        format!("{} losses", self.losses.len())
    }
}

/// Copies a constant to its place in every run: planned memory is reused within a program and
/// shared between programs, so the constant may have been overwritten.
#[derive(Debug)]
struct Copied {
    values: Arc<[f32]>,
    to: View,
}

impl Instruction for Copied {
    fn name(&self) -> String {
        "constant".to_string()
    }

    fn reads(&self) -> Vec<View> {
        Vec::new()
    }

    fn writes(&self) -> Vec<View> {
        vec![self.to]
    }

    /// Each number is read once and written once; it is read from outside the arena, so `reads`
    /// lacks it.
    fn work(&self) -> Work {
        Work { operations: 0, bytes: 2 * bytes(&[self.to]) }
    }

    /// The copy that a device with its own memory keeps outside the arena.
    fn workspace(&self, b: &dyn Backend) -> Vec<Need> {
        let kept = if b.is_host() { 0 } else { self.values.len() };
        vec![Need::of(Workspace { kept, scratch: 0 })]
    }

    fn run(&self, b: &mut dyn Backend) -> Result<()> {
        b.copy_constant(&self.values, self.to)
    }

    fn detail(&self) -> String {
        place(&self.to)
    }
}
