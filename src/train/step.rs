//! A training step of a recipe, recorded and planned.

use super::{Given, Networks, Recipe, StepInput};
use crate::error::Result;
use crate::kernel::Backend;
use crate::tape::{Program, Tape, Var};
use crate::tensor::Shape;

/// A training step, ready to run.
///
/// Its inputs are those of the recipe ("a", "b" and what it needs beside them), its outputs the generated images ("fake") and
/// the losses by name. The device also keeps the losses of each run, in the order of
/// [`Step::losses`].
#[derive(Debug)]
pub struct Step {
    /// The planned program.
    pub program: Program,
    /// The names of its losses, in the order in which they are reported.
    pub losses: Vec<String>,
}

impl Step {
    /// Records a step of `recipe` for batches of `batch` images of `height` x `width` pixels, and
    /// plans it for the device `b`; its memory follows that of the networks.
    ///
    /// # Errors
    /// Shapes that do not fit the networks or that the device cannot compute; more losses than the
    /// device keeps.
    pub fn record(
        recipe: &dyn Recipe,
        networks: &Networks,
        [batch, height, width]: [usize; 3],
        b: &dyn Backend,
    ) -> Result<Step> {
        let tape = &mut Tape::new();
        let input = |of: StepInput| match (of.given, of.given.is_f32()) {
            (Given::Share, _) => tape.input_f32(of.name, Shape::SCALAR),
            (_, true) => tape.input_f32(of.name, Shape::new(batch, height, width, of.channels)),
            (_, false) => tape.input(of.name, Shape::new(batch, height, width, of.channels)),
        };
        let inputs: Vec<Var> = recipe.inputs().into_iter().map(input).collect();
        let recorded = recipe.record(tape, networks, &inputs)?;
        for loss in &recorded.losses {
            tape.output_channel(&loss.name, loss.value, loss.channel);
        }
        tape.output("fake", recorded.output);
        let losses: Vec<String> = recorded.losses.into_iter().map(|loss| loss.name).collect();
        let names: Vec<&str> = losses.iter().map(String::as_str).collect();
        tape.keep(&names)?;
        Ok(Step { program: tape.compile(b, networks.end())?, losses })
    }
}
