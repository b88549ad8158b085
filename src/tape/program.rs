//! Programs: planned tapes, ready to run.

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

use super::plan::Plan;
use super::{Instruction, Tape};
use crate::error::{Error, Result};
use crate::kernel::Backend;
use crate::tensor::View;

/// A recorded training step or translation, with every address in it. `Display` prints one line per
/// instruction.
#[derive(Debug)]
pub struct Program {
    /// Unique among all programs of the process.
    number: u64,
    instructions: Vec<Box<dyn Instruction>>,
    views: HashMap<String, View>,
    base: usize,
    end: usize,
}

impl Tape {
    /// Plans the memory of all buffers after `base`, the end of the persistent part of the arena.
    /// Values and gradients are stored as the device stores activations; losses and what operations
    /// keep are f32.
    ///
    /// # Errors
    /// [`Error::Machine`] for an instruction that the device cannot run, as
    /// [`Instruction::supports`] says.
    pub fn compile(&self, b: &dyn Backend, base: usize) -> Result<Program> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let plan = Plan::new(self, base, b.elem());
        let instructions: Vec<_> = self.entries.iter().map(|e| e.place(self, &plan)).collect();
        instructions.iter().try_for_each(|instruction| instruction.supports(b))?;
        let input = |&v: &super::Var| (self.values[v.0].name.clone(), plan.value(self, v));
        let outputs = self.outputs.iter().enumerate();
        let outputs = outputs.map(|(i, o)| (o.0.clone(), plan.output(self, i)));
        let views = self.inputs.iter().map(input).chain(outputs).collect();
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        Ok(Program { number, instructions, views, base, end: plan.end })
    }
}

impl Program {
    /// Runs the program once. The device must have [`Program::end`] elements reserved and its step
    /// state set.
    ///
    /// # Errors
    /// What the device reports.
    pub fn run(&self, b: &mut dyn Backend) -> Result<()> {
        b.run_program(self.number, &mut |b| {
            self.instructions.iter().try_for_each(|instruction| instruction.run(b))
        })
    }

    /// The instructions of a run, in order.
    pub fn instructions(&self) -> &[Box<dyn Instruction>] {
        &self.instructions
    }

    /// The View of an input or output, by the name under which it was recorded.
    ///
    /// # Errors
    /// [`Error::Shape`] where nothing has that name.
    pub fn view(&self, name: &str) -> Result<View> {
        self.views
            .get(name)
            .copied()
            .ok_or_else(|| Error::shape("program", format!("no input or output \"{name}\"")))
    }

    /// One past the last unit (4 bytes) of the arena that the program touches: what
    /// [`Device::reserve`](crate::device::Device::reserve) must be called with.
    pub fn end(&self) -> usize {
        self.end
    }

    /// Units of 4 bytes planned for values, gradients and what operations keep.
    pub fn planned(&self) -> usize {
        self.end - self.base
    }

    /// Memory that the device takes in addition to the arena, in units of 4 bytes.
    pub fn workspace(&self, b: &dyn Backend) -> usize {
        let (mut filters, mut kept, mut scratch) = (HashMap::new(), 0, 0);
        for need in self.instructions.iter().flat_map(|instruction| instruction.workspace(b)) {
            match need.filter {
                Some((filter, pass)) => {
                    let most: &mut usize = filters.entry((filter.at, pass)).or_default();
                    *most = need.workspace.kept.max(*most);
                }
                None => kept += need.workspace.kept,
            }
            scratch = scratch.max(need.workspace.scratch);
        }
        filters.values().sum::<usize>() + kept + scratch
    }

    /// The number of instructions.
    pub fn len(&self) -> usize {
        self.instructions.len()
    }

    /// Whether nothing was recorded.
    pub fn is_empty(&self) -> bool {
        self.instructions.is_empty()
    }
}

/// One line per instruction: number, name, shapes, addresses, attributes.
impl fmt::Display for Program {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        for (i, instruction) in self.instructions.iter().enumerate() {
            writeln!(f, "{i:4} {:24} {}", instruction.name(), instruction.detail())?;
        }
        write!(f, "{} instructions, {:.1} MB planned", self.len(), self.planned() as f64 * 4e-6)
    }
}
