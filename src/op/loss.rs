//! Losses: binary cross entropy with logits, mean squared difference, mean absolute difference. Each
//! is the mean over all elements, a scalar.

use crate::error::{Error, Result};
use crate::kernel::{Backend, Loss, Target};
use crate::tape::{Io, Op, Tape, Var};
use crate::tensor::{Shape, View};

#[derive(Debug)]
struct MeanLoss {
    loss: Loss,
    /// The number every element is compared with; None where the second input is.
    target: Option<f32>,
}

impl MeanLoss {
    fn target(&self, io: &Io) -> Target<View> {
        match self.target {
            Some(value) => Target::Value(value),
            None => Target::Tensor(io.x[1]),
        }
    }
}

impl Op for MeanLoss {
    fn name(&self) -> &'static str {
        match self.loss {
            Loss::Bce => "bce_with_logits",
            Loss::Mse => "mse",
            Loss::L1 => "l1",
        }
    }

    fn infer(&self, inputs: &[Shape]) -> Result<Shape> {
        match (inputs, self.target) {
            ([_], Some(_)) => Ok(Shape::SCALAR),
            ([x, t], None) if x == t => Ok(Shape::SCALAR),
            ([x, t], None) => {
                Err(Error::shape(self.name(), format!("cannot compare {x} with {t}")))
            }
            _ => Err(Error::arity(self.name(), 1, inputs.len())),
        }
    }

    fn forward(&self, b: &mut dyn Backend, io: &Io) -> Result<()> {
        b.loss(self.loss, io.x[0], self.target(io), io.y)
    }

    fn backward(&self, b: &mut dyn Backend, io: &Io) -> Result<()> {
        if let Some((dx, mode)) = io.dx[0] {
            b.loss_grad(self.loss, io.x[0], self.target(io), io.dy, dx, mode)?;
        }
        // Both differences are the same seen from either side.
        if let Some(&Some((dt, mode))) = io.dx.get(1) {
            b.loss_grad(self.loss, io.x[1], Target::Tensor(io.x[0]), io.dy, dt, mode)?;
        }
        Ok(())
    }
}

impl Tape {
    /// Mean of max(x, 0) - x t + ln(1 + exp(-|x|)): binary cross entropy of the logits x with the
    /// label t, 0 or 1 (Isola et al. 2017, equation 1, "vanilla").
    ///
    /// # Errors
    /// None for a value of this tape.
    pub fn bce_with_logits(&mut self, x: Var, label: f32) -> Result<Var> {
        self.push(MeanLoss { loss: Loss::Bce, target: Some(label) }, &[x])
    }

    /// Mean of (x - t)^2 with a label t: LSGAN's loss (Mao et al. 2017).
    ///
    /// # Errors
    /// None for a value of this tape.
    pub fn mse_label(&mut self, x: Var, label: f32) -> Result<Var> {
        self.push(MeanLoss { loss: Loss::Mse, target: Some(label) }, &[x])
    }

    /// Mean of |x - t| (Isola et al. 2017, equation 3). Both sides get a gradient.
    ///
    /// # Errors
    /// [`Error::Shape`] where shapes differ.
    pub fn l1(&mut self, x: Var, target: Var) -> Result<Var> {
        self.push(MeanLoss { loss: Loss::L1, target: None }, &[x, target])
    }

    /// Mean of (x - t)^2. Both sides get a gradient.
    ///
    /// # Errors
    /// [`Error::Shape`] where shapes differ.
    pub fn l2(&mut self, x: Var, target: Var) -> Result<Var> {
        self.push(MeanLoss { loss: Loss::Mse, target: None }, &[x, target])
    }
}
