//! Networks whose blocks run one after the other: the encoder-decoder and the discriminators.

use super::network::{Network, check_multiple};
use crate::error::Result;
use crate::nn::{Block, BlockSpec, Layer, Mode, Params};
use crate::tape::{Tape, Var};
use crate::tensor::Shape;

/// A chain of blocks.
#[derive(Debug)]
pub(super) struct Sequential {
    params: Params,
    blocks: Vec<Block>,
    multiple: usize,
}

impl Sequential {
    /// The chain of `specs` on pictures of multiples of `multiple` pixels.
    pub(super) fn new(specs: impl IntoIterator<Item = BlockSpec>, multiple: usize) -> Self {
        let mut params = Params::default();
        let blocks = specs.into_iter().map(|spec| Block::new(&mut params, spec)).collect();
        Sequential { params, blocks, multiple }
    }
}

impl Network for Sequential {
    fn params(&self) -> &Params {
        &self.params
    }

    fn params_mut(&mut self) -> &mut Params {
        &mut self.params
    }

    fn forward(&self, tape: &mut Tape, x: Var, mode: Mode) -> Result<Var> {
        check_multiple(tape.shape(x), self.multiple)?;
        self.blocks.iter().try_fold(x, |y, block| block.forward(&self.params, tape, y, mode))
    }

    fn layers(&self, input: Shape) -> Result<Vec<Layer>> {
        let mut at = input;
        let step = |block: &Block| {
            let layer = block.layer(at)?;
            at = layer.output;
            Ok(layer)
        };
        self.blocks.iter().map(step).collect()
    }

    fn multiple(&self) -> usize {
        self.multiple
    }
}
