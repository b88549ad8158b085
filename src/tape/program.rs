//! A planned tape: what runs, where everything lies.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::plan::Plan;
use super::{Entry, Group, Io, Op, Tape, Var};
use crate::error::{Error, Result};
use crate::kernel::{Adam, Backend};
use crate::tensor::{Elem, View};

/// One step of a program, with every address in it.
#[derive(Debug)]
pub enum Step {
    /// An operation's output from its inputs.
    Forward(Arc<dyn Op>, Io),
    /// The gradients of its inputs from that of its output.
    Backward(Arc<dyn Op>, Io),
    /// Sets every element of a gradient.
    Fill(View, f32),
    /// Steps the parameters of a network.
    Adam(Group, Adam),
    /// Keeps losses for the host to read some runs later.
    Keep(Vec<View>),
}

/// A training step, or a translation, ready to run. Printed, it is its own documentation.
#[derive(Debug)]
pub struct Program {
    /// No two programs of a process have the same.
    number: u64,
    steps: Vec<Step>,
    views: HashMap<String, View>,
    base: usize,
    end: usize,
}

impl Tape {
    /// Places everything behind `base`, the end of the persistent arena, as f32.
    pub fn compile(&self, base: usize) -> Program {
        self.compile_as(Elem::F32, base)
    }

    /// [`Tape::compile`] with values and gradients stored as `elem`; losses and what operations
    /// keep are f32.
    pub fn compile_as(&self, elem: Elem, base: usize) -> Program {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let plan = Plan::new(self, base, elem);
        let value = |v: Var| plan.value(self, v);
        let output = |(_, v, channel): &(String, Var, Option<usize>)| {
            let all = value(*v);
            let one = |c: usize| all.channels(c..c + 1).expect("an output names a channel it has");
            channel.map_or(all, one)
        };
        let io = |node: usize, [dy, dskip]: [Option<View>; 2], dx| {
            let n = &self.nodes[node];
            let (y, skip) = (value(n.output), n.skip.map(value));
            let x = n.inputs.iter().map(|&v| value(v)).collect();
            Io { x, y, skip, kept: plan.kept(node), dy: dy.unwrap_or(y), dskip, dx }
        };
        let steps = self
            .entries
            .iter()
            .map(|entry| match entry {
                Entry::Forward(n) => {
                    Step::Forward(self.nodes[*n].op.clone(), io(*n, [None; 2], Vec::new()))
                }
                Entry::Backward(call) => {
                    let dx = call.dx.iter().map(|d| d.map(|(p, mode)| (plan.grad(p), mode)));
                    let dskip = call.dskip.map(|place| plan.grad(place));
                    let io = io(call.node, [Some(plan.grad(call.dy)), dskip], dx.collect());
                    Step::Backward(self.nodes[call.node].op.clone(), io)
                }
                Entry::Fill(place, value) => Step::Fill(plan.grad(*place), *value),
                Entry::Adam(group, adam) => Step::Adam(*group, *adam),
                Entry::Keep(all) => {
                    Step::Keep(all.iter().map(|&i| output(&self.outputs[i])).collect())
                }
            })
            .collect();
        let inputs = self.inputs.iter().map(|&v| (self.values[v.0].name.clone(), value(v)));
        let outputs = self.outputs.iter().map(|o| (o.0.clone(), output(o)));
        let views = inputs.chain(outputs).collect();
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        Program { number, steps, views, base, end: plan.end }
    }
}

impl Step {
    /// Does this step.
    ///
    /// # Errors
    /// What the device reports.
    pub fn run(&self, b: &mut dyn Backend) -> Result<()> {
        match self {
            Step::Forward(op, io) => op.forward(b, io),
            Step::Backward(op, io) => op.backward(b, io),
            Step::Fill(view, value) => b.fill(*view, *value),
            Step::Keep(losses) => b.keep_losses(losses),
            Step::Adam(group, adam) => {
                let [m, v] = group.moments;
                b.adam(*adam, group.values, group.grads, m, v)
            }
        }
    }
}

impl Program {
    /// Runs the program once. The device must have [`Program::end`] elements reserved and its step
    /// state set.
    ///
    /// # Errors
    /// What the device reports.
    pub fn run(&self, b: &mut dyn Backend) -> Result<()> {
        b.run_program(self.number, &mut |b| self.steps.iter().try_for_each(|step| step.run(b)))
    }

    /// What a run does, in order.
    pub fn steps(&self) -> &[Step] {
        &self.steps
    }

    /// An input or an output, by the name it was recorded under.
    ///
    /// # Errors
    /// [`Error::Shape`] where there is none of that name.
    pub fn view(&self, name: &str) -> Result<View> {
        self.views
            .get(name)
            .copied()
            .ok_or_else(|| Error::shape("program", format!("no input or output \"{name}\"")))
    }

    /// One past the last unit of the arena, 4 bytes each, that it touches.
    pub fn end(&self) -> usize {
        self.end
    }

    /// Units of 4 bytes planned for values, gradients and what operations keep.
    pub fn planned(&self) -> usize {
        self.end - self.base
    }

    /// Elements that the device takes beside the arena.
    pub fn workspace(&self, b: &dyn Backend) -> usize {
        let (mut kept, mut scratch) = (HashMap::new(), 0);
        for step in &self.steps {
            let needs = match step {
                Step::Forward(op, io) => op.workspace(b, io, false),
                Step::Backward(op, io) => op.workspace(b, io, true),
                Step::Fill(..) | Step::Adam(..) | Step::Keep(_) => Vec::new(),
            };
            for (filter, product, need) in needs {
                let most: &mut usize = kept.entry((filter.at, product)).or_default();
                *most = need.kept.max(*most);
                scratch = scratch.max(need.scratch);
            }
        }
        kept.values().sum::<usize>() + scratch
    }

    /// Steps a run takes.
    pub fn len(&self) -> usize {
        self.steps.len()
    }

    /// True where nothing was recorded.
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }
}

/// One line a step: number, direction, operation, shapes, places.
impl fmt::Display for Program {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let place = |v: &View| {
            let pitch = if v.is_dense() { String::new() } else { format!("/{}", v.pitch) };
            format!("{}@{}{pitch}", v.shape, v.at)
        };
        let list = |views: &[View]| views.iter().map(place).collect::<Vec<_>>().join(", ");
        for (i, step) in self.steps.iter().enumerate() {
            match step {
                Step::Forward(op, io) => {
                    let y: Vec<View> = [io.y].into_iter().chain(io.skip).collect();
                    writeln!(f, "{i:4} forward  {:16} {} <- {}", op.name(), list(&y), list(&io.x))?;
                }
                Step::Backward(op, io) => {
                    let dx: Vec<String> = io
                        .dx
                        .iter()
                        .map(|d| match d {
                            Some((v, mode)) => format!("{mode:?} {}", place(v)).to_lowercase(),
                            None => "-".to_string(),
                        })
                        .collect();
                    let dy: Vec<View> = [io.dy].into_iter().chain(io.dskip).collect();
                    let (dx, dy) = (dx.join(", "), list(&dy));
                    writeln!(f, "{i:4} backward {:16} {dx} <- {dy}", op.name())?;
                }
                Step::Fill(view, value) => {
                    writeln!(f, "{i:4} fill     {value:<16} {}", place(view))?
                }
                Step::Keep(losses) => writeln!(f, "{i:4} keep     {} losses", losses.len())?,
                Step::Adam(group, _) => {
                    let what = format!("{} parameters", group.values.shape.count());
                    writeln!(f, "{i:4} adam     {what:16} {}", place(&group.values))?;
                }
            }
        }
        write!(f, "{} steps, {:.1} MB planned", self.len(), self.planned() as f64 * 4e-6)
    }
}
