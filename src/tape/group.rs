//! What is done with all parameters of a network at once: an optimiser's step, their average, the
//! norm of their gradients.

use super::Tape;
use super::entry::Entry;
use super::instruction::{Instruction, place};
use super::plan::{Buffer, Plan};
use crate::error::{Error, Result};
use crate::kernel::{Adam, Backend};
use crate::tensor::View;

/// The parameters of one network in the arena: vectors of one length, so that an optimiser's step is
/// one call. Between parameters lie gaps that hold 0 in all of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// The parameters.
    pub values: View,
    /// Their gradients, at the same places.
    pub grads: View,
    /// What an optimiser or an average keeps from step to step, by name: "m" and "v" are Adam's
    /// moments.
    pub state: Vec<(&'static str, View)>,
}

impl Group {
    /// The name of the average of the values.
    pub const AVERAGE: &'static str = "ema";

    /// The part of `vector` (the gradients, or a state) that belongs to a parameter of this group;
    /// None for any other View.
    pub fn part(&self, vector: View, param: View) -> Option<View> {
        let (all, one) = (self.values.span(), param.span());
        (one.start >= all.start && one.end <= all.end)
            .then(|| View::dense(vector.at + one.start - all.start, param.shape))
    }

    /// A state by name.
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
    /// Adam's step of the parameters of a group, from the gradients that [`Tape::backward`] has left.
    ///
    /// # Errors
    /// [`Error::Shape`] where the group was placed without the moments "m" and "v".
    pub fn optimise(&mut self, of: &Group, adam: Adam) -> Result<()> {
        let [m, v] = Adam::STATE;
        let (m, v) = (of.required("adam", m)?, of.required("adam", v)?);
        self.entries.push(Box::new(AdamStep { adam, values: of.values, grads: of.grads, m, v }));
        Ok(())
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

/// Parameters lie in the persistent arena.
impl Entry for AdamStep {
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
