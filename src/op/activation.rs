//! Activations that do not follow a norm: LeakyReLU, ReLU, tanh, and the copy.

use super::{gradients, stored_alike};
use crate::error::{Error, Result};
use crate::kernel::{Activation, ActivationGradArgs, Backend};
use crate::tape::{Attribute, Io, Op, Phase, Reads, Tape, Var};
use crate::tensor::Shape;

#[derive(Debug)]
struct Activate {
    activation: Activation,
}

impl Op for Activate {
    fn name(&self) -> &'static str {
        match self.activation {
            Activation::Identity => "copy",
            Activation::Relu => "relu",
            Activation::LeakyRelu(_) => "leaky_relu",
            Activation::Tanh => "tanh",
        }
    }

    fn infer(&self, inputs: &[Shape]) -> Result<Shape> {
        match inputs {
            [x] => Ok(*x),
            _ => Err(Error::arity(self.name(), 1, inputs.len())),
        }
    }

    fn forward(&self, b: &mut dyn Backend, io: &Io) -> Result<()> {
        b.activation(self.activation, io.x[0], io.y)
    }

    fn backward(&self, b: &mut dyn Backend, io: &Io) -> Result<()> {
        let Some((dx, mode)) = io.dx[0] else { return Ok(()) };
        let (activation, y, dy) = (self.activation, io.y, io.dy);
        b.activation_grad(&ActivationGradArgs { activation, y, dy, dx, mode })
    }

    fn reads_back(&self) -> Reads {
        Reads::OUTPUT
    }

    fn supports(&self, b: &dyn Backend, io: &Io, phase: Phase) -> Result<()> {
        match phase {
            Phase::Forward => stored_alike(b, &[io.x[0], io.y]),
            Phase::Backward => stored_alike(b, &gradients(&[io.y, io.dy], io)),
        }
    }

    fn attributes(&self) -> Vec<(&'static str, Attribute)> {
        match self.activation {
            Activation::LeakyRelu(slope) => vec![("slope", Attribute::Number(slope))],
            Activation::Identity | Activation::Relu | Activation::Tanh => Vec::new(),
        }
    }
}

impl Tape {
    /// y = activation(x); [`Activation::Identity`] is a copy.
    ///
    /// # Errors
    /// None for a value of this tape.
    pub fn activation(&mut self, activation: Activation, x: Var) -> Result<Var> {
        self.push(Activate { activation }, &[x])
    }

    /// y = max(x, 0)
    ///
    /// # Errors
    /// None for a value of this tape.
    pub fn relu(&mut self, x: Var) -> Result<Var> {
        self.activation(Activation::Relu, x)
    }

    /// y = x where x > 0, slope * x elsewhere
    ///
    /// # Errors
    /// None for a value of this tape.
    pub fn leaky_relu(&mut self, slope: f32, x: Var) -> Result<Var> {
        self.activation(Activation::LeakyRelu(slope), x)
    }

    /// y = tanh(x)
    ///
    /// # Errors
    /// None for a value of this tape.
    pub fn tanh(&mut self, x: Var) -> Result<Var> {
        self.activation(Activation::Tanh, x)
    }
}
