//! Losses: binary cross entropy with logits, mean squared difference, mean absolute difference. Each
//! is the mean over all elements, a scalar.

use crate::error::{Error, Result};
use crate::kernel::{Backend, Loss, LossArgs, LossGradArgs, Target};
use crate::tape::{Attribute, Io, Need, Op, Phase, Tape, Var};
use crate::tensor::Shape;

#[derive(Debug)]
struct MeanLoss {
    loss: Loss,
    /// The number that the elements of each run of pictures are compared with; none where the second
    /// input is.
    labels: Vec<f32>,
    /// Of the mean; 1 against labels.
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

    /// One a wanted gradient: a difference is the same seen from either side.
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
                let detail = format!("{x} does not part into {} runs", self.labels.len());
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

    /// The gradient reads and writes tensors stored as those of the loss.
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

    /// The mean of a loss over each run of pictures, against a label a run: a vector of as many
    /// losses as there are labels.
    ///
    /// # Errors
    /// [`Error::Shape`] where the batch does not part into as many runs, or there is no label.
    pub fn labelled(&mut self, loss: Loss, x: Var, labels: &[f32]) -> Result<Var> {
        if labels.is_empty() {
            return Err(Error::shape("loss", "a loss against labels has at least one"));
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

    /// A weight times the mean of a loss between two tensors. Both sides get a gradient.
    ///
    /// # Errors
    /// [`Error::Shape`] where shapes differ.
    pub fn distance(&mut self, loss: Loss, weight: f32, x: Var, target: Var) -> Result<Var> {
        self.push(MeanLoss { loss, labels: Vec::new(), weight }, &[x, target])
    }
}
