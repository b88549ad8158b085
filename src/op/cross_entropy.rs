//! Softmax cross entropy of logits with a class for each pixel: a scalar from x (n,h,w,c) and labels
//! (n,h,w,1).

use super::stored_alike;
use crate::error::{Error, Result};
use crate::kernel::{Backend, CrossEntropyArgs, CrossEntropyGradArgs, Write};
use crate::tape::{Attribute, Io, Need, Op, Phase, Tape, Var};
use crate::tensor::Shape;

#[derive(Debug)]
struct CrossEntropy {
    ignored: Option<usize>,
}

impl CrossEntropy {
    fn forward_args(&self, io: &Io) -> CrossEntropyArgs {
        let (x, labels, y, count) = (io.x[0], io.x[1], io.y, io.kept[0]);
        CrossEntropyArgs { x, labels, ignored: self.ignored, y, count }
    }
}

impl Op for CrossEntropy {
    fn name(&self) -> &'static str {
        "cross_entropy"
    }

    fn infer(&self, inputs: &[Shape]) -> Result<Shape> {
        match inputs {
            [x, labels] if *labels == (Shape { c: 1, ..*x }) => Ok(Shape::SCALAR),
            [x, labels] => {
                let expected = Shape { c: 1, ..*x };
                let detail =
                    format!("labels {labels} for {x}; give one label a pixel, which is {expected}");
                Err(Error::shape(self.name(), detail))
            }
            _ => Err(Error::arity(self.name(), 2, inputs.len())),
        }
    }

    fn forward(&self, b: &mut dyn Backend, io: &Io) -> Result<()> {
        b.cross_entropy(&self.forward_args(io))
    }

    /// A label has no gradient: it is 0 where one is asked for.
    fn backward(&self, b: &mut dyn Backend, io: &Io) -> Result<()> {
        if let Some((dx, mode)) = io.dx[0] {
            let (x, labels, count, dy) = (io.x[0], io.x[1], io.kept[0], io.dy);
            let ignored = self.ignored;
            let args = CrossEntropyGradArgs { x, labels, ignored, count, dy, dx, mode };
            b.cross_entropy_grad(&args)?;
        }
        match io.dx[1] {
            Some((labels, Write::Set)) => b.fill(labels, 0.0),
            _ => Ok(()),
        }
    }

    fn keep_f32(&self) -> bool {
        true
    }

    /// The number of pixels that count.
    fn keeps(&self, _: &[Shape]) -> Vec<Shape> {
        vec![Shape::SCALAR]
    }

    fn workspace(&self, b: &dyn Backend, io: &Io, phase: Phase) -> Vec<Need> {
        match phase {
            Phase::Forward => vec![Need::of(b.cross_entropy_workspace(&self.forward_args(io)))],
            Phase::Backward => Vec::new(),
        }
    }

    fn supports(&self, b: &dyn Backend, io: &Io, phase: Phase) -> Result<()> {
        match (phase, io.dx.first()) {
            (Phase::Forward, _) => b.cross_entropy_supports(&self.forward_args(io)),
            (Phase::Backward, Some(Some((dx, _)))) => stored_alike(b, &[io.x[0], *dx]),
            (Phase::Backward, _) => Ok(()),
        }
    }

    fn attributes(&self) -> Vec<(&'static str, Attribute)> {
        self.ignored.map(|label| ("ignored", Attribute::Count(label))).into_iter().collect()
    }
}

impl Tape {
    /// Mean over the pixels of `ln(sum over k of exp(x[k])) - x[label]`: softmax cross entropy of the
    /// logits x with the classes that `labels` names, whole numbers in 0..c, one a pixel. Pixels with
    /// the label `ignored` do not count; where all have it, the loss and its gradient are 0. Labels
    /// are f32 on every device: [`Tape::input_f32`].
    ///
    /// # Errors
    /// [`Error::Shape`] where there is not one label a pixel. A label that is neither a class nor
    /// ignored is an error of the run on the CPU, and makes the loss NaN on a GPU.
    pub fn cross_entropy(&mut self, x: Var, labels: Var, ignored: Option<usize>) -> Result<Var> {
        self.push(CrossEntropy { ignored }, &[x, labels])
    }
}
