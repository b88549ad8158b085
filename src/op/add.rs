//! Weighted sums of tensors or losses of one shape: y = sum of weight_i x_i.

use super::{gradients, stored_alike};
use crate::error::{Error, Result};
use crate::kernel::{Backend, Write};
use crate::tape::{Attribute, Io, Op, Phase, Reads, Tape, Var};
use crate::tensor::Shape;

#[derive(Debug)]
struct Weighted {
    weights: Vec<f32>,
}

impl Op for Weighted {
    fn name(&self) -> &'static str {
        "weighted_sum"
    }

    fn infer(&self, inputs: &[Shape]) -> Result<Shape> {
        let [first, ..] = inputs else { return Err(Error::arity(self.name(), 1, 0)) };
        match inputs.iter().find(|s| *s != first) {
            Some(other) => {
                Err(Error::shape(self.name(), format!("shapes differ: {first} and {other}")))
            }
            None => Ok(*first),
        }
    }

    fn forward(&self, b: &mut dyn Backend, io: &Io) -> Result<()> {
        for (i, (weight, x)) in self.weights.iter().zip(&io.x).enumerate() {
            b.scale(*weight, *x, io.y, if i == 0 { Write::Set } else { Write::Add })?;
        }
        Ok(())
    }

    fn backward(&self, b: &mut dyn Backend, io: &Io) -> Result<()> {
        for (weight, dx) in self.weights.iter().zip(&io.dx) {
            if let Some((dx, mode)) = dx {
                b.scale(*weight, io.dy, *dx, *mode)?;
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
        vec![("weights", Attribute::Numbers(self.weights.clone()))]
    }
}

impl Tape {
    /// y = sum of weight * x over all terms (weight, x), which have one shape.
    ///
    /// # Errors
    /// [`Error::Shape`] where shapes differ or `terms` is empty.
    pub fn weighted_sum(&mut self, terms: &[(f32, Var)]) -> Result<Var> {
        let (weights, inputs): (Vec<f32>, Vec<Var>) = terms.iter().copied().unzip();
        self.push(Weighted { weights }, &inputs)
    }

    /// y = a + b
    ///
    /// # Errors
    /// [`Error::Shape`] where shapes differ.
    pub fn add(&mut self, a: Var, b: Var) -> Result<Var> {
        self.weighted_sum(&[(1.0, a), (1.0, b)])
    }
}
