//! The block that every network here consists of: a convolution or its transpose, then norm,
//! dropout and activation.

use super::{Init, Layer, Params, PortModules, PortTensor};
use crate::error::Result;
use crate::kernel::{Activation, Conv, NormScope, Statistics};
use crate::op::{NormUse, NormVars};
use crate::tape::{Tape, Var};
use crate::tensor::Shape;

/// Standard deviation of initial filters around 0, and of initial norm scales around 1.
const DEVIATION: f32 = 0.02;

/// How a forward pass is recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mode {
    /// The statistics that norms use.
    pub statistics: Statistics,
    /// Whether dropout drops.
    pub dropout: bool,
    /// What happens to the running statistics when the batch's own are used.
    pub running: Running,
    /// Number of equal parts of the batch that batch norm treats as batches of their own.
    pub runs: usize,
}

/// What a forward pass does to the running statistics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Running {
    /// Moves them towards the batch's, as a training step does.
    Move,
    /// Leaves them unchanged, as an evaluation must.
    Keep,
    /// Leaves them unchanged and takes inputs of the tape in their place, named by [`shared_statistics`]:
    /// they are set to the statistics of the batch, or used under [`Statistics::Running`]. Norms over single
    /// pictures have such inputs too, and must be given one picture.
    Shared,
}

/// The names of a block's mean and variance where they are inputs of the tape.
pub fn shared_statistics(block: &str) -> [String; 2] {
    ["mean", "var"].map(|which| format!("{block}.norm.{which}"))
}

impl Mode {
    /// Training: statistics of the batch, running statistics updated, dropout on.
    pub const TRAIN: Mode =
        Mode { statistics: Statistics::Batch, dropout: true, running: Running::Move, runs: 1 };
    /// Translation: statistics of the batch, running statistics unchanged, dropout off.
    pub const TRANSLATE: Mode =
        Mode { statistics: Statistics::Batch, dropout: false, running: Running::Keep, runs: 1 };
}

/// The description of a block.
#[derive(Clone, Debug)]
pub struct BlockSpec {
    /// "down3", "up1", "layer2": the prefix of its parameters' names.
    pub name: String,
    /// Window of the convolution.
    pub conv: Conv,
    /// The convolution's transpose: the output grows instead of shrinking.
    pub transposed: bool,
    /// Channels of input and output.
    pub channels: [usize; 2],
    /// Whether the convolution has a bias.
    pub bias: bool,
    /// Scope of the norm, if there is one.
    pub norm: Option<NormScope>,
    /// Rate of the dropout behind the norm, 0 for none.
    pub dropout: f32,
    /// Activation at the end.
    pub activation: Activation,
    /// Its modules in the PyTorch port, if the port has such a network.
    pub port: Option<PortModules>,
}

/// Parameters of a norm, as indices in [`Params`].
#[derive(Clone, Copy, Debug)]
enum NormIndices {
    /// Batch norm: scale, shift, running mean, running variance.
    Batch([usize; 4]),
    /// Instance norm without parameters.
    Instance,
}

/// A convolution, or its transpose, then a norm, dropout, activation.
#[derive(Clone, Debug)]
pub struct Block {
    spec: BlockSpec,
    /// Index of the filter in [`Params`].
    weight: usize,
    bias: Option<usize>,
    norm: Option<NormIndices>,
}

impl Block {
    /// A block whose parameters are added to `params`: filter, bias, then the norm's.
    pub fn new(params: &mut Params, spec: BlockSpec) -> Self {
        let BlockSpec { conv, channels: [from, to], ref name, ref port, .. } = spec;
        let (k, c) = if spec.transposed { (from, to) } else { (to, from) };
        let filter = Shape::new(k, conv.r, conv.s, c);
        let vector = Shape::vector(to);
        let zero = Init::Constant(0.0);
        let weight =
            params.add(format!("{name}.conv.weight"), filter, Init::Normal(0.0, DEVIATION));
        if let Some(port) = port {
            let theirs = format!("{}.weight", port.conv);
            params.set_port(weight, PortTensor::filter(theirs, filter));
        }
        let bias = spec.bias.then(|| {
            let bias = params.add(format!("{name}.conv.bias"), vector, zero);
            if let Some(port) = port {
                let theirs = PortTensor::vector(format!("{}.bias", port.conv), to);
                params.set_port(bias, PortTensor { implied: !port.bias, ..theirs });
            }
            bias
        });
        let norm = spec.norm.map(|scope| match scope {
            NormScope::Instance => NormIndices::Instance,
            NormScope::Batch | NormScope::Runs(_) => {
                let all = [
                    params.add(format!("{name}.norm.weight"), vector, Init::Normal(1.0, DEVIATION)),
                    params.add(format!("{name}.norm.bias"), vector, zero),
                    params.add_state(format!("{name}.norm.running_mean"), vector, 0.0),
                    params.add_state(format!("{name}.norm.running_var"), vector, 1.0),
                ];
                if let Some(port) = port {
                    // PyTorch's `BatchNorm2d` bears the same four names.
                    let theirs = ["weight", "bias", "running_mean", "running_var"];
                    for (index, theirs) in all.into_iter().zip(theirs) {
                        let theirs = format!("{}.{theirs}", port.norm);
                        params.set_port(index, PortTensor::vector(theirs, to));
                    }
                }
                NormIndices::Batch(all)
            }
        });
        Block { spec, weight, bias, norm }
    }

    /// As [`Block::new`], for a transposed convolution that begins as bilinear interpolation.
    pub fn bilinear(params: &mut Params, spec: BlockSpec) -> Self {
        let block = Block::new(params, spec);
        params.set_init(block.weight, Init::Bilinear);
        block
    }

    /// Records the block.
    ///
    /// # Errors
    /// [`Error::Shape`](crate::Error::Shape) for an input that does not fit.
    pub fn forward(&self, params: &Params, tape: &mut Tape, x: Var, mode: Mode) -> Result<Var> {
        let y = self.convolve(params, tape, x)?;
        match self.norm_of(params, tape, mode) {
            Some((how, vars)) => tape.norm(how, y, vars),
            None => self.end(tape, y, mode),
        }
    }

    /// Records the block, and ReLU of its output for a skip connection.
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
        let weight = params.on(tape, self.weight);
        let bias = self.bias.map(|b| params.on(tape, b));
        if self.spec.transposed {
            tape.conv_transpose(self.spec.conv, x, weight, bias)
        } else {
            tape.conv(self.spec.conv, x, weight, bias)
        }
    }

    /// The norm with its dropout and activation, where the block has one.
    fn norm_of(&self, params: &Params, tape: &mut Tape, mode: Mode) -> Option<(NormUse, NormVars)> {
        let dropout = self.dropout(mode);
        let activation = self.spec.activation;
        let norm = self.norm?;
        let shared = (mode.running == Running::Shared).then(|| {
            let vector = Shape::vector(self.spec.channels[1]);
            shared_statistics(&self.spec.name).map(|name| tape.input_f32(&name, vector))
        });
        let how =
            NormUse { scope: NormScope::Batch, statistics: mode.statistics, dropout, activation };
        Some(match norm {
            NormIndices::Batch(all) => {
                let [weight, bias, mean, var] = all.map(|i| params.on(tape, i));
                let untouched =
                    mode.statistics == Statistics::Batch && mode.running == Running::Keep;
                let own = if untouched { None } else { Some([mean, var]) };
                let vars = NormVars { affine: Some([weight, bias]), running: shared.or(own) };
                let scope = match mode.runs {
                    1 => NormScope::Batch,
                    runs => NormScope::Runs(runs),
                };
                (NormUse { scope, ..how }, vars)
            }
            // The statistics of one picture are those of its batch.
            NormIndices::Instance if shared.is_some() => {
                (how, NormVars { affine: None, running: shared })
            }
            NormIndices::Instance => {
                let (scope, statistics) = (NormScope::Instance, Statistics::Batch);
                (NormUse { scope, statistics, ..how }, NormVars::default())
            }
        })
    }

    /// Dropout and activation where there is no norm.
    fn end(&self, tape: &mut Tape, y: Var, mode: Mode) -> Result<Var> {
        let dropout = self.dropout(mode);
        let y = if dropout > 0.0 { tape.dropout(dropout, y)? } else { y };
        match self.spec.activation {
            Activation::Identity => Ok(y),
            activation => tape.activation(activation, y),
        }
    }

    /// Rate of the dropout in a mode.
    fn dropout(&self, mode: Mode) -> f32 {
        if mode.dropout { self.spec.dropout } else { 0.0 }
    }

    /// Describes the block for an input of shape `x`.
    ///
    /// # Errors
    /// [`Error::Shape`](crate::Error::Shape) if the window does not fit the input.
    pub fn layer(&self, x: Shape) -> Result<Layer> {
        let BlockSpec { conv, transposed, channels: [_, to], .. } = self.spec;
        let output = if transposed { conv.grow(x, to)? } else { conv.shrink(x, to)? };
        let pixels = if transposed { x.pixels() } else { output.pixels() };
        let norm = if matches!(self.norm, Some(NormIndices::Batch(_))) { 2 * to } else { 0 };
        let bias = if self.bias.is_some() { to } else { 0 };
        let kind = if transposed { "transposed " } else { "" };
        Ok(Layer {
            name: self.spec.name.clone(),
            window: format!("{kind}{}x{}/{}/{}", conv.r, conv.s, conv.stride, conv.pad),
            input: x,
            output,
            parameters: conv.taps() * x.c * to + bias + norm,
            multiplications: pixels * conv.taps() * x.c * to,
            then: self.then(),
        })
    }

    /// The names of norm, dropout and activation.
    fn then(&self) -> String {
        let mut words = Vec::new();
        match self.norm {
            Some(NormIndices::Batch(_)) => words.push("batch norm".to_string()),
            Some(NormIndices::Instance) => words.push("instance norm".to_string()),
            None => {}
        }
        if self.spec.dropout > 0.0 {
            words.push(format!("dropout {}", self.spec.dropout));
        }
        match self.spec.activation {
            Activation::Identity => {}
            Activation::Relu => words.push("ReLU".to_string()),
            Activation::LeakyRelu(slope) => words.push(format!("LeakyReLU {slope}")),
            Activation::Tanh => words.push("tanh".to_string()),
        }
        words.join(", ")
    }
}
