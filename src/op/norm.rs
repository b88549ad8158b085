//! Batch norm and instance norm, with the dropout and the activation that follow them in one pass.

use super::stored_alike;
use crate::error::{Error, Result};
use crate::kernel::{
    Activation, Backend, Dropout, Norm, NormArgs, NormGradArgs, NormParams, NormScope, Statistics,
};
use crate::tape::{Attribute, Io, Need, Op, Phase, Tape, Var};
use crate::tensor::{Shape, View};

/// Added to the variance; the default of PyTorch and of Torch.
const EPS: f32 = 1e-5;
/// How far running statistics move in a step, as a fraction; PyTorch's default.
const MOMENTUM: f32 = 0.1;

#[derive(Debug)]
struct Normalise {
    norm: Norm,
    affine: bool,
    running: bool,
}

impl Normalise {
    /// The inputs after x: weight and bias, then running mean and variance.
    fn params(&self, io: &Io) -> NormParams {
        let at = 1 + 2 * usize::from(self.affine);
        NormParams {
            affine: self.affine.then(|| [io.x[1], io.x[2]]),
            running: self.running.then(|| [io.x[at], io.x[at + 1]]),
        }
    }

    fn forward_args(&self, io: &Io) -> NormArgs {
        let (norm, params, kept) = (self.norm, self.params(io), [io.kept[0], io.kept[1]]);
        NormArgs { norm, x: io.x[0], params, kept, y: io.y, skip: io.skip }
    }

    fn backward_args(&self, io: &Io) -> NormGradArgs {
        NormGradArgs {
            norm: self.norm,
            x: io.x[0],
            params: self.params(io),
            kept: [io.kept[0], io.kept[1]],
            dy: io.dy,
            dskip: io.dskip,
            dx: io.dx[0],
            daffine: if self.affine { [io.dx[1], io.dx[2]] } else { [None, None] },
        }
    }
}

impl Op for Normalise {
    fn name(&self) -> &'static str {
        match self.norm.scope {
            NormScope::Batch | NormScope::Runs(_) => "batch_norm",
            NormScope::Instance => "instance_norm",
        }
    }

    fn infer(&self, inputs: &[Shape]) -> Result<Shape> {
        let expected = 1 + 2 * (usize::from(self.affine) + usize::from(self.running));
        if inputs.len() != expected {
            return Err(Error::arity(self.name(), expected, inputs.len()));
        }
        let x = inputs[0];
        if let NormScope::Runs(runs) = self.norm.scope
            && (runs == 0 || !x.n.is_multiple_of(runs))
        {
            let detail = format!("{x} cannot be divided into {runs} runs of equal length");
            return Err(Error::shape(self.name(), detail));
        }
        if let Some(other) = inputs[1..].iter().find(|s| **s != Shape::vector(x.c)) {
            return Err(Error::shape(self.name(), format!("{other} for {} channels", x.c)));
        }
        let values = x.pixels() / self.norm.statistics_shape(x).n;
        if self.norm.statistics == Statistics::Batch && values < 2 {
            let detail = format!(
                "one value per channel in {x} has no deviation; use a larger picture, a larger batch \
                 or one layer less"
            );
            return Err(Error::shape(self.name(), detail));
        }
        Ok(x)
    }

    fn forward(&self, b: &mut dyn Backend, io: &Io) -> Result<()> {
        b.norm(&self.forward_args(io))
    }

    fn backward(&self, b: &mut dyn Backend, io: &Io) -> Result<()> {
        b.norm_grad(&self.backward_args(io))
    }

    fn workspace(&self, b: &dyn Backend, io: &Io, phase: Phase) -> Vec<Need> {
        vec![Need::of(match phase {
            Phase::Forward => b.norm_workspace(&self.forward_args(io)),
            Phase::Backward => b.norm_grad_workspace(&self.backward_args(io)),
        })]
    }

    /// A device that supports a norm supports its gradient where all tensors are stored alike.
    fn supports(&self, b: &dyn Backend, io: &Io, phase: Phase) -> Result<()> {
        b.norm_supports(&self.forward_args(io))?;
        match phase {
            Phase::Forward => {
                let all: Vec<View> = [io.x[0], io.y].into_iter().chain(io.skip).collect();
                stored_alike(b, &all)
            }
            Phase::Backward => {
                let dx = io.dx[0].map(|(view, _)| view);
                let all = [io.x[0], io.dy].into_iter().chain(io.dskip).chain(dx);
                stored_alike(b, &all.collect::<Vec<View>>())
            }
        }
    }

    fn moves(&self) -> Vec<usize> {
        let moved = self.running
            && self.norm.statistics == Statistics::Batch
            && self.norm.scope != NormScope::Instance;
        let at = 1 + 2 * usize::from(self.affine);
        if moved { vec![at, at + 1] } else { Vec::new() }
    }

    fn attributes(&self) -> Vec<(&'static str, Attribute)> {
        let Norm { scope, statistics, eps, momentum, dropout, activation } = self.norm;
        let scope = match scope {
            NormScope::Batch => ("scope", Attribute::Choice("batch")),
            NormScope::Runs(runs) => ("runs", Attribute::Count(runs)),
            NormScope::Instance => ("scope", Attribute::Choice("picture")),
        };
        let statistics = match statistics {
            Statistics::Batch => Attribute::Choice("own"),
            Statistics::Running => Attribute::Choice("running"),
        };
        let mut all = vec![scope, ("statistics", statistics), ("eps", Attribute::Number(eps))];
        if !self.moves().is_empty() {
            all.push(("momentum", Attribute::Number(momentum)));
        }
        if let Some(Dropout { rate, stream }) = dropout {
            all.push(("dropout", Attribute::Number(rate)));
            all.push(("stream", Attribute::Count(stream as usize)));
        }
        match activation {
            Activation::Identity => {}
            Activation::Relu => all.push(("activation", Attribute::Choice("relu"))),
            Activation::Tanh => all.push(("activation", Attribute::Choice("tanh"))),
            Activation::LeakyRelu(slope) => {
                all.push(("activation", Attribute::Choice("leaky_relu")));
                all.push(("slope", Attribute::Number(slope)));
            }
        }
        all
    }

    fn keeps(&self, inputs: &[Shape]) -> Vec<Shape> {
        vec![self.norm.statistics_shape(inputs[0]); 2]
    }
}

/// Parameters and state of a norm on a tape, each (1,1,1,c).
#[derive(Clone, Copy, Debug, Default)]
pub struct NormVars {
    /// Scale and shift.
    pub affine: Option<[Var; 2]>,
    /// Running mean and variance: updated under [`Statistics::Batch`], used under
    /// [`Statistics::Running`]. Those that are inputs of the tape have no past, and are set to the statistics of the
    /// pass.
    pub running: Option<[Var; 2]>,
}

/// The settings of a norm on a tape.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct NormUse {
    /// The pixels that each mean and variance is taken over.
    pub scope: NormScope,
    /// Which mean and variance normalise x.
    pub statistics: Statistics,
    /// Rate of the dropout that follows, in 0..1; 0 for none.
    pub dropout: f32,
    /// Applied last.
    pub activation: Activation,
}

impl Tape {
    /// y = activation(dropout(weight (x - mean) / sqrt(var + 1e-5) + bias)). Without
    /// [`NormVars::affine`], weight is 1 and bias 0.
    ///
    /// # Errors
    /// [`Error::Shape`] where parameters do not have one number per channel of x, a mean would be
    /// taken over a single value, running statistics are asked for but missing, or the rate is not
    /// in 0..1.
    pub fn norm(&mut self, how: NormUse, x: Var, vars: NormVars) -> Result<Var> {
        let (op, inputs) = self.normalise(how, x, vars)?;
        self.push(op, &inputs)
    }

    /// [`Tape::norm`], and max(y, 0) in separate memory: the skip output, for a skip connection,
    /// which the same kernel writes.
    ///
    /// # Errors
    /// As [`Tape::norm`].
    pub fn norm_and_skip(&mut self, how: NormUse, x: Var, vars: NormVars) -> Result<(Var, Var)> {
        let (op, inputs) = self.normalise(how, x, vars)?;
        self.push_pair(op, &inputs)
    }

    fn normalise(&mut self, how: NormUse, x: Var, vars: NormVars) -> Result<(Normalise, Vec<Var>)> {
        let NormUse { scope, statistics, dropout, activation } = how;
        if statistics == Statistics::Running && vars.running.is_none() {
            return Err(Error::shape("norm", "this norm has no running statistics"));
        }
        let dropout = if dropout > 0.0 { Some(self.next_dropout(dropout)?) } else { None };
        let given = vars.running.is_some_and(|[mean, _]| self.is_input(mean));
        let momentum = if given { 1.0 } else { MOMENTUM };
        let norm = Norm { scope, statistics, eps: EPS, momentum, dropout, activation };
        let op = Normalise { norm, affine: vars.affine.is_some(), running: vars.running.is_some() };
        let params = vars.affine.into_iter().chain(vars.running).flatten();
        Ok((op, std::iter::once(x).chain(params).collect()))
    }
}
