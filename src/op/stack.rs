//! Stacking: copies of several tensors in one, next to each other in the batch or in the channels.

use super::{gradients, stored_alike};
use crate::error::{Error, Result};
use crate::kernel::Backend;
use crate::tape::{Attribute, Io, Op, Phase, Reads, Tape, Var};
use crate::tensor::{Shape, View};

/// Where an input begins inside the output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Corner {
    picture: usize,
    channel: usize,
}

#[derive(Debug)]
struct Stack {
    corners: Vec<Corner>,
}

impl Stack {
    /// The part of `whole` that holds an input of `shape`.
    fn part(whole: View, corner: Corner, shape: Shape) -> Result<View> {
        let pictures = whole.pictures(corner.picture..corner.picture + shape.n)?;
        pictures.channels(corner.channel..corner.channel + shape.c)
    }

    fn parts(&self, whole: View, inputs: &[View]) -> Result<Vec<View>> {
        let each = self.corners.iter().zip(inputs);
        each.map(|(corner, x)| Stack::part(whole, *corner, x.shape)).collect()
    }
}

impl Op for Stack {
    fn name(&self) -> &'static str {
        "stack"
    }

    fn infer(&self, inputs: &[Shape]) -> Result<Shape> {
        let [first, ..] = inputs else { return Err(Error::arity(self.name(), 1, 0)) };
        let mut whole = Shape { n: 0, c: 0, ..*first };
        let mut count = 0;
        for (corner, x) in self.corners.iter().zip(inputs) {
            if (x.h, x.w) != (first.h, first.w) {
                let detail = format!("pictures differ in size: {first} and {x}");
                return Err(Error::shape(self.name(), detail));
            }
            whole.n = whole.n.max(corner.picture + x.n);
            whole.c = whole.c.max(corner.channel + x.c);
            count += x.count();
        }
        if count != whole.count() {
            let detail = format!("{count} elements do not fill {whole} once");
            return Err(Error::shape(self.name(), detail));
        }
        Ok(whole)
    }

    fn forward(&self, b: &mut dyn Backend, io: &Io) -> Result<()> {
        let parts = self.parts(io.y, &io.x)?;
        b.stack(&io.x.iter().copied().zip(parts).collect::<Vec<_>>())
    }

    fn backward(&self, b: &mut dyn Backend, io: &Io) -> Result<()> {
        let parts = self.parts(io.dy, &io.x)?;
        for (part, dx) in parts.into_iter().zip(&io.dx) {
            if let Some((dx, mode)) = dx {
                b.scale(1.0, part, *dx, *mode)?;
            }
        }
        Ok(())
    }

    fn reads_back(&self) -> Reads {
        Reads::NOTHING
    }

    fn supports(&self, b: &dyn Backend, io: &Io, phase: Phase) -> Result<()> {
        match phase {
            Phase::Forward => stored_alike(b, &[&io.x[..], &[io.y]].concat()),
            Phase::Backward => stored_alike(b, &gradients(&[io.dy], io)),
        }
    }

    fn attributes(&self) -> Vec<(&'static str, Attribute)> {
        let each =
            |f: fn(&Corner) -> usize| Attribute::Counts(self.corners.iter().map(f).collect());
        vec![("pictures", each(|c| c.picture)), ("channels", each(|c| c.channel))]
    }
}

impl Tape {
    /// Copies each value (n,h,w,c) into one tensor, at the picture and the channel given with it:
    /// (value, first picture, first channel). The parts must fill the tensor without gap or
    /// overlap.
    ///
    /// # Errors
    /// [`Error::Shape`] where there is no value, pictures differ in size, or the values do not have
    /// as many elements as the smallest tensor that holds them all.
    pub fn stack(&mut self, values: &[(Var, usize, usize)]) -> Result<Var> {
        let corners =
            values.iter().map(|&(_, picture, channel)| Corner { picture, channel }).collect();
        let inputs: Vec<Var> = values.iter().map(|&(v, ..)| v).collect();
        self.push(Stack { corners }, &inputs)
    }
}
