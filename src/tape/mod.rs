//! The tape: a training step is recorded once, as a straight line of operations, and then planned
//! into one piece of memory and run many times.
//!
//! ```text
//! Tape::push      appends an operation; shapes are checked here, before anything runs
//! Tape::backward  walks back from losses to the parameters of one network
//! Tape::optimise  updates them by a step of an optimiser
//! Tape::compile   places every value and asks the device: a Program of Instructions
//! ```
//!
//! The first operation to write a gradient sets it, later ones add to it. This is tracked per
//! channel of the buffer that owns the memory, not per value: the inputs of a concat are stored
//! inside its output, so several values may share channels of one buffer.

mod backward;
mod describe;
mod entry;
mod group;
mod instruction;
mod op;
mod plan;
mod program;

use std::collections::HashMap;
use std::sync::Arc;

pub use describe::{Attribute, Describe};
pub use group::Group;
pub use instruction::{Application, Instruction, Need, Phase, Work};
pub use op::{Io, Op, Reads};
pub use program::Program;

use entry::TapeEntry;

use crate::device::RING_WIDTH;
use crate::error::{Error, Result};
use crate::tensor::{Shape, View};

/// A value on a tape.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Var(usize);

/// Where a value comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Source {
    /// The host writes it before a run.
    Input,
    /// It is stored in the persistent part of the arena.
    Param(View),
    /// The tape holds its numbers.
    Constant,
    /// An entry without a backward pass computes it.
    Entry,
    /// An operation computes it.
    Node(usize),
    /// It shares the memory of another value, but no gradient flows back to that.
    Detached(Var),
}

#[derive(Debug)]
struct Value {
    name: String,
    shape: Shape,
    source: Source,
    /// The value inside which this one is stored, and the channel at which it begins there.
    alias: Option<(Var, usize)>,
    /// Alive to the end of the program, for the host to read.
    pinned: bool,
    /// Stored as f32 in every precision.
    keep_f32: bool,
}

#[derive(Debug)]
struct Node {
    op: Arc<dyn Op>,
    inputs: Vec<Var>,
    output: Var,
    /// A second output of the same shape.
    skip: Option<Var>,
    /// Shapes of what the forward pass keeps for the backward pass.
    kept: Vec<Shape>,
}

/// A recording. See the [module's page](self).
#[derive(Debug, Default)]
pub struct Tape {
    values: Vec<Value>,
    nodes: Vec<Node>,
    entries: Vec<Box<dyn TapeEntry>>,
    /// The owner of each gradient buffer; every [`Tape::backward`] has buffers of its own.
    grads: Vec<Var>,
    inputs: Vec<Var>,
    /// Names under which the host reads values, and the channel where it reads only one.
    outputs: Vec<(String, Var, Option<usize>)>,
    params: HashMap<usize, Var>,
    streams: u32,
}

impl Tape {
    /// An empty tape.
    pub fn new() -> Self {
        Tape::default()
    }

    fn value(&mut self, name: &str, shape: Shape, source: Source) -> Var {
        let name = name.to_string();
        let value = Value { name, shape, source, alias: None, pinned: false, keep_f32: false };
        self.values.push(value);
        Var(self.values.len() - 1)
    }

    /// A value that the host writes before every run.
    pub fn input(&mut self, name: &str, shape: Shape) -> Var {
        let var = self.value(name, shape, Source::Input);
        self.values[var.0].pinned = true;
        self.inputs.push(var);
        var
    }

    /// Whether the host writes a value before every run.
    pub(crate) fn is_input(&self, v: Var) -> bool {
        self.inputs.contains(&v)
    }

    /// [`Tape::input`] of numbers that are f32 on every device: labels, say, of which bf16 would
    /// round those above 256.
    pub fn input_f32(&mut self, name: &str, shape: Shape) -> Var {
        let var = self.input(name, shape);
        self.values[var.0].keep_f32 = true;
        var
    }

    /// A value of the persistent part of the arena: a parameter or a running statistic. A second
    /// call for the same memory returns the same value.
    pub fn param(&mut self, name: &str, view: View) -> Var {
        if let Some(&var) = self.params.get(&view.at) {
            return var;
        }
        let var = self.value(name, view.shape, Source::Param(view));
        self.params.insert(view.at, var);
        var
    }

    /// Numbers that never change, such as a fixed filter; f32 in every precision. They belong to
    /// the program: they are not parameters, and no checkpoint holds them.
    ///
    /// # Errors
    /// [`Error::Shape`] where the number of `values` is not that of the shape's elements.
    pub fn constant(&mut self, name: &str, shape: Shape, values: Vec<f32>) -> Result<Var> {
        if values.len() != shape.count() {
            let detail =
                format!("{} numbers for {shape}, which has {}", values.len(), shape.count());
            return Err(Error::shape("constant", detail));
        }
        let var = self.value(name, shape, Source::Constant);
        self.values[var.0].keep_f32 = true;
        self.entries.push(Box::new(entry::ConstantValue(var, values.into())));
        Ok(var)
    }

    /// The same value in the same memory, but no gradient flows back through it.
    pub fn detach(&mut self, v: Var) -> Var {
        let name = format!("{} detached", self.values[v.0].name);
        self.value(&name, self.shape(v), Source::Detached(v))
    }

    /// Pixels along each edge of `v` that are other numbers where the tape's inputs are parts of larger
    /// pictures: how far the windows of all operations up to `v` take in what lies beyond an edge. Pixels
    /// farther inside are those of the larger picture, as long as norms do not take their statistics from it.
    ///
    /// Inputs must begin at pixels of the larger picture that all strides divide.
    pub fn margin(&self, v: Var) -> usize {
        let mut margins = vec![0; self.values.len()];
        for node in &self.nodes {
            let of_inputs: Vec<usize> = node.inputs.iter().map(|v| margins[v.0]).collect();
            let margin = node.op.margin(&of_inputs);
            for output in [Some(node.output), node.skip].into_iter().flatten() {
                margins[output.0] = margin;
            }
        }
        margins[v.0]
    }

    /// Keeps a value alive until the program ends, so that the host can read it by `name`.
    pub fn output(&mut self, name: &str, v: Var) {
        self.values[v.0].name = name.to_string();
        self.values[v.0].pinned = true;
        self.outputs.push((name.to_string(), v, None));
    }

    /// [`Tape::output`] of one channel of a value.
    pub fn output_channel(&mut self, name: &str, v: Var, channel: usize) {
        self.values[v.0].pinned = true;
        self.outputs.push((name.to_string(), v, Some(channel)));
    }

    /// Copies single f32 numbers, such as losses, to the device's ring in every run, given the
    /// names of their outputs: the host reads them later with
    /// [`Device::kept_losses`](crate::device::Device::kept_losses), without waiting for every run.
    ///
    /// # Errors
    /// [`Error::Shape`] for a name that is not an output of one f32 number, or for more than
    /// [`RING_WIDTH`] names.
    pub fn keep(&mut self, names: &[&str]) -> Result<()> {
        let find = |name: &&str| {
            let single = |(n, v, channel): &(String, Var, Option<usize>)| {
                let count = channel.map_or(self.shape(*v).count(), |_| 1);
                n == name && self.values[v.0].keep_f32 && count == 1
            };
            let found = self.outputs.iter().position(single);
            found.ok_or_else(|| Error::shape("keep", format!("\"{name}\" is not a loss")))
        };
        let found: Vec<usize> = names.iter().map(find).collect::<Result<_>>()?;
        if found.len() > RING_WIDTH {
            let count = found.len();
            let detail = format!("{count} losses are too many: at most {RING_WIDTH} can be kept");
            return Err(Error::shape("keep", detail));
        }
        self.entries.push(Box::new(entry::Keep(found)));
        Ok(())
    }

    /// The shape of a value.
    pub fn shape(&self, v: Var) -> Shape {
        self.values[v.0].shape
    }

    /// The stream of random numbers of a new dropout, different from all others of this tape.
    pub fn next_stream(&mut self) -> u32 {
        self.streams += 1;
        self.streams - 1
    }

    /// Appends an operation.
    ///
    /// # Errors
    /// The error of [`Op::infer`] for the inputs' shapes; [`Error::Shape`] for an input of a concat
    /// that is already stored inside another one, or is computed from another part of the same one.
    pub fn push(&mut self, op: impl Op + 'static, inputs: &[Var]) -> Result<Var> {
        self.record(Arc::new(op), inputs, false).map(|(output, _)| output)
    }

    /// [`Tape::push`] of an operation that writes two tensors of the shape that [`Op::infer`]
    /// gives, the second one to [`Io::skip`].
    ///
    /// # Errors
    /// As [`Tape::push`].
    pub fn push_pair(&mut self, op: impl Op + 'static, inputs: &[Var]) -> Result<(Var, Var)> {
        let (output, skip) = self.record(Arc::new(op), inputs, true)?;
        Ok((output, skip.expect("a pair was asked for")))
    }

    fn record(
        &mut self,
        op: Arc<dyn Op>,
        inputs: &[Var],
        pair: bool,
    ) -> Result<(Var, Option<Var>)> {
        let shapes: Vec<Shape> = inputs.iter().map(|&v| self.shape(v)).collect();
        let shape = op.infer(&shapes)?;
        let node = self.nodes.len();
        let output = self.value(op.name(), shape, Source::Node(node));
        let skip = pair.then(|| self.value(op.name(), shape, Source::Node(node)));
        let keep_f32 = inputs.iter().all(|&v| self.values[v.0].keep_f32) && !inputs.is_empty();
        self.values[output.0].keep_f32 = keep_f32 || op.keep_f32();
        for (i, &input) in inputs.iter().enumerate() {
            let Some(channel) = op.alias(&shapes, i) else { continue };
            let value = &mut self.values[input.0];
            if value.alias.is_some() || !matches!(value.source, Source::Node(_)) {
                let detail = format!(
                    "input {i} ({}) already has a place of its own; `copy` it first",
                    value.name
                );
                return Err(Error::shape(op.name(), detail));
            }
            value.alias = Some((output, channel));
        }
        if inputs.iter().any(|v| self.values[v.0].alias.is_some_and(|(alias, _)| alias == output)) {
            self.check_apart(op.name())?;
        }
        let kept = op.keeps(&shapes);
        self.nodes.push(Node { op, inputs: inputs.to_vec(), output, skip, kept });
        self.entries.push(Box::new(entry::Forward(node)));
        Ok((output, skip))
    }

    /// No operation may read channels of the buffer that it writes to: the CPU's kernels borrow the
    /// whole span of a View.
    fn check_apart(&self, concat: &'static str) -> Result<()> {
        for node in &self.nodes {
            for output in [Some(node.output), node.skip].into_iter().flatten() {
                let (owner, _) = self.owner(output);
                // A concat's own inputs are part of its output.
                let lives_inside = |v: &Var| self.values[v.0].alias.is_some_and(|h| h.0 == output);
                let reads = |v: &&Var| !lives_inside(v) && self.owner(**v).0 == owner;
                if let Some(&read) = node.inputs.iter().find(reads) {
                    let detail = format!(
                        "{} would be computed from {} inside one buffer; `copy` it first",
                        self.values[output.0].name, self.values[read.0].name
                    );
                    return Err(Error::shape(concat, detail));
                }
            }
        }
        Ok(())
    }

    /// The value whose buffer holds `v`, and the channel at which it begins there.
    fn owner(&self, v: Var) -> (Var, usize) {
        let (mut var, mut channel) = (v, 0);
        loop {
            let value = &self.values[var.0];
            match (value.source, value.alias) {
                (Source::Detached(of), _) => var = of,
                (_, Some((alias, at))) => (var, channel) = (alias, channel + at),
                _ => return (var, channel),
            }
        }
    }
}
