//! The two blocks everything is made of: a convolution with its parameters, and the norm, dropout
//! and activation behind it.

use super::{Init, Params};
use crate::error::Result;
use crate::kernel::{Activation, Conv, NormScope, Statistics};
use crate::op::{NormUse, NormVars};
use crate::tape::{Tape, Var};
use crate::tensor::Shape;

/// Deviation of first filters and of first scales around 1.
const DEVIATION: f32 = 0.02;

/// How a network is run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mode {
    /// Statistics of norms.
    pub statistics: Statistics,
    /// Whether dropout drops.
    pub dropout: bool,
    /// What happens to the running statistics where the batch's own are used.
    pub running: Running,
    /// Batches that come as one: so many runs of pictures, with statistics of their own.
    pub runs: usize,
}

/// What a pass does to running statistics that it does not use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Running {
    /// Moves them towards the batch's, as a training step does.
    Move,
    /// Leaves them as they are: a network that is only looked at must not change.
    Keep,
}

impl Mode {
    /// As in training: statistics of the batch, dropout as the network has it.
    pub const TRAIN: Mode =
        Mode { statistics: Statistics::Batch, dropout: true, running: Running::Move, runs: 1 };
}

/// Filter and, perhaps, bias of a convolution, as numbers in [`Params`].
#[derive(Clone, Copy, Debug)]
pub struct ConvParams {
    weight: usize,
    bias: Option<usize>,
}

/// Kind and parameters of a norm.
#[derive(Clone, Copy, Debug)]
pub enum NormOf {
    /// Batch norm: scale, shift, running mean, running variance.
    Batch([usize; 4]),
    /// Instance norm without parameters.
    Instance,
}

/// A convolution, or its transpose, then a norm, dropout, activation.
#[derive(Clone, Debug)]
pub struct Block {
    /// Window.
    pub conv: Conv,
    /// Grows instead of shrinking.
    pub transposed: bool,
    params: ConvParams,
    norm: Option<NormOf>,
    /// Rate of the dropout, 0 for none.
    pub dropout: f32,
    /// Last.
    pub activation: Activation,
    /// "down3", "up1", "layer2".
    pub name: String,
    channels: usize,
}

impl Block {
    /// A block from `from` to `to` channels; its parameters are added to `params` under `name`.
    /// `norm` is the scope of the norm, if there is one.
    pub fn new(
        params: &mut Params,
        name: &str,
        conv: Conv,
        transposed: bool,
        [from, to]: [usize; 2],
        bias: bool,
        norm: Option<NormScope>,
    ) -> Self {
        let (k, c) = if transposed { (from, to) } else { (to, from) };
        let filter = Shape::new(k, conv.r, conv.s, c);
        let normal = Init::Normal(0.0, DEVIATION);
        let weight = params.add(format!("{name}.conv.weight"), filter, normal);
        let vector = Shape::vector(to);
        let zero = Init::Constant(0.0);
        let bias = bias.then(|| params.add(format!("{name}.conv.bias"), vector, zero));
        let norm = norm.map(|scope| match scope {
            NormScope::Instance => NormOf::Instance,
            NormScope::Batch | NormScope::Runs(_) => NormOf::Batch([
                params.add(format!("{name}.norm.weight"), vector, Init::Normal(1.0, DEVIATION)),
                params.add(format!("{name}.norm.bias"), vector, zero),
                params.add_state(format!("{name}.norm.running_mean"), vector, 0.0),
                params.add_state(format!("{name}.norm.running_var"), vector, 1.0),
            ]),
        });
        Block {
            conv,
            transposed,
            params: ConvParams { weight, bias },
            norm,
            dropout: 0.0,
            activation: Activation::Identity,
            name: name.to_string(),
            channels: to,
        }
    }

    /// With this activation at its end.
    pub fn then(self, activation: Activation) -> Self {
        Block { activation, ..self }
    }

    /// With dropout before its activation.
    pub fn dropping(self, rate: f32) -> Self {
        Block { dropout: rate, ..self }
    }

    /// Records the block.
    ///
    /// # Errors
    /// Shapes that do not fit.
    pub fn forward(&self, params: &Params, tape: &mut Tape, x: Var, mode: Mode) -> Result<Var> {
        let y = self.convolve(params, tape, x)?;
        match self.norm_of(params, tape, mode) {
            Some((how, vars)) => tape.norm(how, y, vars),
            None => self.end(tape, y, mode),
        }
    }

    /// Records the block, and ReLU of its result for a skip connection.
    ///
    /// # Errors
    /// As [`Block::forward`].
    pub fn forward_and_skip(
        &self,
        params: &Params,
        tape: &mut Tape,
        x: Var,
        mode: Mode,
    ) -> Result<(Var, Var)> {
        let y = self.convolve(params, tape, x)?;
        if let Some((how, vars)) = self.norm_of(params, tape, mode) {
            return tape.norm_and_skip(how, y, vars);
        }
        let y = self.end(tape, y, mode)?;
        Ok((y, tape.relu(y)?))
    }

    fn convolve(&self, params: &Params, tape: &mut Tape, x: Var) -> Result<Var> {
        let weight = params.on(tape, self.params.weight);
        let bias = self.params.bias.map(|b| params.on(tape, b));
        if self.transposed {
            tape.conv_transpose(self.conv, x, weight, bias)
        } else {
            tape.conv(self.conv, x, weight, bias)
        }
    }

    /// The norm with its dropout and activation, where the block has one.
    fn norm_of(&self, params: &Params, tape: &mut Tape, mode: Mode) -> Option<(NormUse, NormVars)> {
        let dropout = if mode.dropout { self.dropout } else { 0.0 };
        let activation = self.activation;
        Some(match self.norm? {
            NormOf::Batch(all) => {
                let [weight, bias, mean, var] = all.map(|i| params.on(tape, i));
                let untouched =
                    mode.statistics == Statistics::Batch && mode.running == Running::Keep;
                let running = if untouched { None } else { Some([mean, var]) };
                let vars = NormVars { affine: Some([weight, bias]), running };
                let scope = match mode.runs {
                    1 => NormScope::Batch,
                    runs => NormScope::Runs(runs),
                };
                (NormUse { scope, statistics: mode.statistics, dropout, activation }, vars)
            }
            NormOf::Instance => {
                let (scope, statistics) = (NormScope::Instance, Statistics::Batch);
                (NormUse { scope, statistics, dropout, activation }, NormVars::default())
            }
        })
    }

    /// Dropout and activation where there is no norm.
    fn end(&self, tape: &mut Tape, y: Var, mode: Mode) -> Result<Var> {
        let dropout = if mode.dropout { self.dropout } else { 0.0 };
        let y = if dropout > 0.0 { tape.dropout(dropout, y)? } else { y };
        match self.activation {
            Activation::Identity => Ok(y),
            activation => tape.activation(activation, y),
        }
    }

    /// Extents of the result for an input of `x`.
    ///
    /// # Errors
    /// Where the window does not fit.
    pub fn shape(&self, x: Shape) -> Result<Shape> {
        if self.transposed {
            self.conv.grow(x, self.channels)
        } else {
            self.conv.shrink(x, self.channels)
        }
    }

    /// Multiplications of one forward pass over an input of `x`.
    ///
    /// # Errors
    /// Where the window does not fit.
    pub fn multiplications(&self, x: Shape) -> Result<usize> {
        let y = self.shape(x)?;
        let pixels = if self.transposed { x.pixels() } else { y.pixels() };
        Ok(pixels * self.conv.taps() * x.c * y.c)
    }

    /// Norm, dropout and activation in words, for tables.
    pub fn tail(&self) -> String {
        let mut words = Vec::new();
        match self.norm {
            Some(NormOf::Batch(_)) => words.push("batch norm".to_string()),
            Some(NormOf::Instance) => words.push("instance norm".to_string()),
            None => {}
        }
        if self.dropout > 0.0 {
            words.push(format!("dropout {}", self.dropout));
        }
        match self.activation {
            Activation::Identity => {}
            Activation::Relu => words.push("ReLU".to_string()),
            Activation::LeakyRelu(slope) => words.push(format!("LeakyReLU {slope}")),
            Activation::Tanh => words.push("tanh".to_string()),
        }
        words.join(", ")
    }

    /// Trained numbers, for an input of `channels` channels.
    pub fn parameters(&self, channels: usize) -> usize {
        let norm = if matches!(self.norm, Some(NormOf::Batch(_))) { 2 * self.channels } else { 0 };
        let bias = if self.params.bias.is_some() { self.channels } else { 0 };
        self.conv.taps() * channels * self.channels + bias + norm
    }
}
