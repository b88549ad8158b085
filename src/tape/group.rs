//! Instructions on all parameters of a network at once: an optimiser's step, the moving average of
//! the parameters, the norm of their gradients.

use super::entry::TapeEntry;
use super::instruction::{Instruction, Need, place};
use super::plan::{Buffer, Plan};
use super::{Source, Tape, Var};
use crate::error::{Error, Result};
use crate::kernel::{Adam, Backend};
use crate::tensor::{Shape, View};

/// The parameters of one network, with their gradients and optimiser state: dense f32 vectors of
/// one length in the arena, so that an optimiser's step is one call. Parameters are aligned; the
/// gaps between them hold 0 in every vector.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// The parameters.
    pub values: View,
    /// Their gradients, at the same offsets.
    pub grads: View,
    /// What an optimiser or an average keeps from step to step, by name: "m" and "v" are Adam's
    /// first and second moment.
    pub state: Vec<(&'static str, View)>,
}

impl Group {
    /// The name of the state that holds the moving average of the values.
    pub const AVERAGE: &'static str = "ema";

    /// The part of `vector` (the gradients, or a state) that belongs to a parameter of this group;
    /// None for any other View.
    pub fn part(&self, vector: View, param: View) -> Option<View> {
        let (all, one) = (self.values.span(), param.span());
        (one.start >= all.start && one.end <= all.end)
            .then(|| View::dense(vector.at + one.start - all.start, param.shape))
    }

    /// The state of this name, None where the group has none.
    pub fn state(&self, name: &str) -> Option<View> {
        self.state.iter().find(|(n, _)| *n == name).map(|(_, view)| *view)
    }

    fn required(&self, what: &'static str, name: &str) -> Result<View> {
        self.state(name).ok_or_else(|| {
            let has: Vec<&str> = self.state.iter().map(|(name, _)| *name).collect();
            let detail = format!(
                "the parameters have no state \"{name}\" (they have: {}); name it where they are placed",
                if has.is_empty() { "none".to_string() } else { has.join(", ") }
            );
            Error::shape(what, detail)
        })
    }
}

impl Tape {
    /// Records a step of Adam on the parameters of a group, with the gradients that
    /// [`Tape::backward`] has stored. The learning rate and the step number are those of the run:
    /// [`StepState`](crate::device::StepState).
    ///
    /// # Errors
    /// [`Error::Shape`] where the group was placed without the moments "m" and "v".
    pub fn optimise(&mut self, of: &Group, adam: Adam) -> Result<()> {
        let [m, v] = Adam::STATE;
        let (m, v) = (of.required("adam", m)?, of.required("adam", v)?);
        self.entries.push(Box::new(AdamStep { adam, values: of.values, grads: of.grads, m, v }));
        Ok(())
    }

    /// Records an update of the moving average of a group's values, its state [`Group::AVERAGE`]:
    /// average = decay average + (1 - decay) values. A decay of 0.999 is usual for a generator
    /// (Yazici et al., ICLR 2019).
    ///
    /// # Errors
    /// [`Error::Shape`] where the group was placed without that state, or `decay` is not in 0..1.
    pub fn average(&mut self, of: &Group, decay: f32) -> Result<()> {
        if !(0.0..1.0).contains(&decay) {
            return Err(Error::shape("average", format!("the decay {decay} is not in 0..1")));
        }
        let mean = of.required("average", Group::AVERAGE)?;
        self.entries.push(Box::new(Average { decay, values: of.values, mean }));
        Ok(())
    }

    /// The Euclidean norm of all gradients of a group that [`Tape::backward`] has stored: one f32
    /// number, which [`Tape::output`] and [`Tape::keep`] accept.
    ///
    /// # Errors
    /// None for a group that was placed for training.
    pub fn gradient_norm(&mut self, name: &str, of: &Group) -> Result<Var> {
        let var = self.value(name, Shape::SCALAR, Source::Entry);
        self.values[var.0].keep_f32 = true;
        self.entries.push(Box::new(GradientNorm { grads: of.grads, to: var }));
        Ok(var)
    }
}

#[derive(Clone, Debug)]
struct AdamStep {
    adam: Adam,
    values: View,
    grads: View,
    m: View,
    v: View,
}

/// Touches no planned buffer: parameters are in the persistent part of the arena.
impl TapeEntry for AdamStep {
    fn touches(&self, _: &Tape) -> Vec<Buffer> {
        Vec::new()
    }

    fn place(&self, _: &Tape, _: &Plan) -> Box<dyn Instruction> {
        Box::new(self.clone())
    }
}

impl Instruction for AdamStep {
    fn name(&self) -> String {
        "adam".to_string()
    }

    fn reads(&self) -> Vec<View> {
        vec![self.values, self.grads, self.m, self.v]
    }

    fn writes(&self) -> Vec<View> {
        vec![self.values, self.m, self.v]
    }

    fn run(&self, b: &mut dyn Backend) -> Result<()> {
        b.adam(self.adam, self.values, self.grads, self.m, self.v)
    }

    fn detail(&self) -> String {
        format!("{} parameters {}", self.values.shape.count(), place(&self.values))
    }
}

#[derive(Clone, Debug)]
struct Average {
    decay: f32,
    values: View,
    mean: View,
}

impl TapeEntry for Average {
    fn touches(&self, _: &Tape) -> Vec<Buffer> {
        Vec::new()
    }

    fn place(&self, _: &Tape, _: &Plan) -> Box<dyn Instruction> {
        Box::new(self.clone())
    }
}

impl Instruction for Average {
    fn name(&self) -> String {
        "average".to_string()
    }

    fn reads(&self) -> Vec<View> {
        vec![self.values, self.mean]
    }

    fn writes(&self) -> Vec<View> {
        vec![self.mean]
    }

    fn run(&self, b: &mut dyn Backend) -> Result<()> {
        b.moving_average(self.decay, self.values, self.mean)
    }

    fn detail(&self) -> String {
        let (mean, values) = (place(&self.mean), place(&self.values));
        format!("{mean} <- {values}; decay {}", self.decay)
    }
}

#[derive(Debug)]
struct GradientNorm {
    grads: View,
    to: Var,
}

impl TapeEntry for GradientNorm {
    fn touches(&self, _: &Tape) -> Vec<Buffer> {
        vec![Buffer::Value(self.to)]
    }

    fn place(&self, tape: &Tape, plan: &Plan) -> Box<dyn Instruction> {
        Box::new(VectorNorm { grads: self.grads, to: plan.value(tape, self.to) })
    }
}

#[derive(Debug)]
struct VectorNorm {
    grads: View,
    to: View,
}

impl Instruction for VectorNorm {
    fn name(&self) -> String {
        "gradient norm".to_string()
    }

    fn reads(&self) -> Vec<View> {
        vec![self.grads]
    }

    fn writes(&self) -> Vec<View> {
        vec![self.to]
    }

    fn workspace(&self, b: &dyn Backend) -> Vec<Need> {
        vec![Need::of(b.vector_norm_workspace(self.grads.shape.count()))]
    }

    fn run(&self, b: &mut dyn Backend) -> Result<()> {
        b.vector_norm(self.grads, self.to)
    }
}
