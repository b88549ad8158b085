//! Losses: binary cross entropy with logits, mean squared difference, mean absolute difference.
//! Each is a mean over elements.

use crate::error::{Error, Result};
use crate::kernel::{Backend, Loss, LossArgs, LossGradArgs, Target};
use crate::tape::{Attribute, Io, Need, Op, Phase, Tape, Var};
use crate::tensor::Shape;

#[derive(Debug)]
struct MeanLoss {
    loss: Loss,
    /// The label of each run of pictures; empty where the second input is the target.
    labels: Vec<f32>,
    /// Factor of the mean; 1 against labels.
    weight: f32,
}

impl MeanLoss {
    /// What input `i` is compared with: labels, or the other input.
    fn target(&self, io: &Io, i: usize) -> Target<'_> {
        io.x.get(1 - i).map_or(Target::Labels(&self.labels), |&other| Target::Tensor(other))
    }

    fn forward_args(&self, io: &Io) -> LossArgs<'_> {
        let (loss, weight, target) = (self.loss, self.weight, self.target(io, 0));
        LossArgs { loss, x: io.x[0], target, weight, y: io.y }
    }

    /// The arguments for each wanted gradient. That of the target is found by exchanging the
    /// inputs: the losses between two tensors are symmetric.
    fn backward_args(&self, io: &Io) -> Vec<LossGradArgs<'_>> {
        let (loss, weight, dy) = (self.loss, self.weight, io.dy);
        let wanted = io.dx.iter().enumerate().filter_map(|(i, dx)| Some((i, (*dx)?)));
        let args = |(i, (dx, mode))| LossGradArgs {
            loss,
            x: io.x[i],
            target: self.target(io, i),
            weight,
            dy,
            dx,
            mode,
        };
        wanted.map(args).collect()
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
        match (inputs, self.labels.len()) {
            ([x], 1..) if x.n.is_multiple_of(self.labels.len()) => {
                Ok(Shape::vector(self.labels.len()))
            }
            ([x], 1..) => {
                let detail = format!(
                    "{x} cannot be divided into {} runs of equal length",
                    self.labels.len()
                );
                Err(Error::shape(self.name(), detail))
            }
            // The gradient of the second tensor is taken with both exchanged: true of differences.
            ([x, t], 0) if self.loss == Loss::Bce => {
                let detail = format!(
                    "cross entropy of {x} with {t} is not a distance; compare it with labels"
                );
                Err(Error::shape(self.name(), detail))
            }
            ([x, t], 0) if x == t => Ok(Shape::SCALAR),
            ([x, t], 0) => Err(Error::shape(self.name(), format!("cannot compare {x} with {t}"))),
            _ => Err(Error::arity(self.name(), 1, inputs.len())),
        }
    }

    fn keep_f32(&self) -> bool {
        true
    }

    fn workspace(&self, b: &dyn Backend, io: &Io, phase: Phase) -> Vec<Need> {
        match phase {
            Phase::Forward => vec![Need::of(b.loss_workspace(&self.forward_args(io)))],
            Phase::Backward => Vec::new(),
        }
    }

    /// A device that supports a loss supports its gradient where that is stored like x.
    fn supports(&self, b: &dyn Backend, io: &Io, _: Phase) -> Result<()> {
        b.loss_supports(&self.forward_args(io))?;
        io.dx.iter().flatten().try_for_each(|(dx, _)| b.scale_supports(io.x[0], *dx))
    }

    fn attributes(&self) -> Vec<(&'static str, Attribute)> {
        let mut all = vec![("weight", Attribute::Number(self.weight))];
        if !self.labels.is_empty() {
            all.push(("labels", Attribute::Numbers(self.labels.clone())));
        }
        all
    }

    fn forward(&self, b: &mut dyn Backend, io: &Io) -> Result<()> {
        b.loss(&self.forward_args(io))
    }

    fn backward(&self, b: &mut dyn Backend, io: &Io) -> Result<()> {
        self.backward_args(io).iter().try_for_each(|args| b.loss_grad(args))
    }
}

impl Tape {
    /// Mean of max(x, 0) - x t + ln(1 + exp(-|x|)): binary cross entropy of the logits x with the
    /// label t, 0 or 1 (Isola et al. 2017, equation 1, "vanilla").
    ///
    /// # Errors
    /// None for a value of this tape.
    pub fn bce_with_logits(&mut self, x: Var, label: f32) -> Result<Var> {
        self.labelled(Loss::Bce, x, &[label])
    }

    /// Mean of (x - t)^2 with a label t: LSGAN's loss (Mao et al. 2017).
    ///
    /// # Errors
    /// None for a value of this tape.
    pub fn mse_label(&mut self, x: Var, label: f32) -> Result<Var> {
        self.labelled(Loss::Mse, x, &[label])
    }

    /// Divides the batch into as many consecutive runs of equal length as there are labels, and
    /// takes the mean of a loss over each run against its label: a vector of one loss per label.
    ///
    /// # Errors
    /// [`Error::Shape`] where the batch cannot be divided so, or there is no label.
    pub fn labelled(&mut self, loss: Loss, x: Var, labels: &[f32]) -> Result<Var> {
        if labels.is_empty() {
            return Err(Error::shape("loss", "a loss against labels needs at least one label"));
        }
        self.push(MeanLoss { loss, labels: labels.to_vec(), weight: 1.0 }, &[x])
    }

    /// Mean of |x - t| (Isola et al. 2017, equation 3). Both sides get a gradient.
    ///
    /// # Errors
    /// [`Error::Shape`] where shapes differ.
    pub fn l1(&mut self, x: Var, target: Var) -> Result<Var> {
        self.distance(Loss::L1, 1.0, x, target)
    }

    /// Mean of (x - t)^2. Both sides get a gradient.
    ///
    /// # Errors
    /// [`Error::Shape`] where shapes differ.
    pub fn l2(&mut self, x: Var, target: Var) -> Result<Var> {
        self.distance(Loss::Mse, 1.0, x, target)
    }

    /// A weight times the mean of a loss, [`Loss::Mse`] or [`Loss::L1`], between two tensors of one
    /// shape. Both sides get a gradient.
    ///
    /// # Errors
    /// [`Error::Shape`] where shapes differ.
    pub fn distance(&mut self, loss: Loss, weight: f32, x: Var, target: Var) -> Result<Var> {
        self.push(MeanLoss { loss, labels: Vec::new(), weight }, &[x, target])
    }
}
