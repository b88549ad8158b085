//! The U-Net: encoder and decoder of one depth, joined by skip connections.
//!
//! Depth 8, width 64, for 3 x 256 x 256 (Isola et al. 2017, appendix 6.1; where the paper and the
//! PyTorch port differ, the port):
//!
//! | layer | channels | out | norm | then |
//! | --- | --- | --- | --- | --- |
//! | down1 | 3 -> 64 | 128 | | LeakyReLU 0.2 |
//! | down2 .. down4 | 64 -> 128 -> 256 -> 512 | 64, 32, 16 | yes | LeakyReLU 0.2 |
//! | down5 .. down7 | 512 -> 512 | 8, 4, 2 | yes | LeakyReLU 0.2 |
//! | down8 | 512 -> 512 | 1 | | ReLU |
//! | up1 | 512 -> 512 | 2 | yes | ReLU |
//! | up2 .. up4 | 1024 -> 512 | 4, 8, 16 | yes | dropout 0.5, ReLU |
//! | up5 .. up7 | 1024 -> 256, 512 -> 128, 256 -> 64 | 32, 64, 128 | yes | ReLU |
//! | up8 | 128 -> 3 | 256 | | tanh |
//!
//! In the paper and its ports a block begins with its activation and the skip holds what comes
//! before it. Every reader of the skip applies ReLU, and relu(leaky(x)) = relu(x), so the skip can
//! hold ReLU of what the encoder hands down, and blocks here end with their activation: the
//! numbers are the same and each tensor is written once.

use super::GeneratorConfig;
use super::levels::{Levels, levels};
use super::network::{Network, check_multiple};
use crate::error::Result;
use crate::nn::{Block, Layer, Mode, Params, PortModules};
use crate::tape::{Tape, Var};
use crate::tensor::Shape;

/// Encoder and decoder with skips between blocks of one level.
#[derive(Debug)]
struct Unet {
    params: Params,
    down: Vec<Block>,
    up: Vec<Block>,
}

/// The network of a configuration within bounds.
pub(super) fn build(config: &GeneratorConfig) -> Box<dyn Network> {
    let Levels { mut down, mut up } = levels(config, true);
    let (depth, bias) = (config.depth, config.norm.port_inner_bias());
    for (spec, level) in down.iter_mut().zip(1..) {
        let at = submodule(level);
        let (conv, norm) = (format!("{at}.{}", usize::from(level > 1)), format!("{at}.2"));
        spec.port = Some(PortModules { conv, norm, bias });
    }
    for (spec, level) in up.iter_mut().zip((1..=depth).rev()) {
        let at = submodule(level);
        let index = if level == 1 || level == depth { 3 } else { 5 };
        let (conv, norm) = (format!("{at}.{index}"), format!("{at}.{}", index + 1));
        spec.port = Some(PortModules { conv, norm, bias: bias || level == 1 });
    }
    let mut params = Params::default();
    let mut blocks =
        |specs: Vec<_>| specs.into_iter().map(|spec| Block::new(&mut params, spec)).collect();
    let (down, up) = (blocks(down), blocks(up));
    Box::new(Unet { params, down, up })
}

/// The port's name of level `i`, 1 being the outermost: each submodule holds the next, the
/// outermost as its module 1 and the others as their module 3.
fn submodule(i: usize) -> String {
    let inner = if i == 1 { "" } else { ".1.model" };
    format!("model.model{inner}{}", ".3.model".repeat(i.saturating_sub(2)))
}

impl Network for Unet {
    fn params(&self) -> &Params {
        &self.params
    }

    fn params_mut(&mut self) -> &mut Params {
        &mut self.params
    }

    fn forward(&self, tape: &mut Tape, x: Var, mode: Mode) -> Result<Var> {
        check_multiple(tape.shape(x), self.multiple())?;
        let mut skips = Vec::new();
        let mut y = x;
        let (innermost, outer) = self.down.split_last().expect("the depth is at least 2");
        for block in outer {
            let (next, skip) = block.forward_and_skip(&self.params, tape, y, mode)?;
            skips.push(skip);
            y = next;
        }
        y = innermost.forward(&self.params, tape, y, mode)?;
        for (i, block) in self.up.iter().enumerate() {
            if i > 0 {
                let skip = skips.pop().expect("a skip for every block up but the innermost");
                y = tape.concat(&[skip, y])?;
            }
            y = block.forward(&self.params, tape, y, mode)?;
        }
        Ok(y)
    }

    fn layers(&self, input: Shape) -> Result<Vec<Layer>> {
        let mut layers: Vec<Layer> = Vec::new();
        let mut at = input;
        for block in &self.down {
            layers.push(block.layer(at)?);
            at = layers[layers.len() - 1].output;
        }
        for (i, block) in self.up.iter().enumerate() {
            if i > 0 {
                at.c += layers[self.down.len() - 1 - i].output.c;
            }
            layers.push(block.layer(at)?);
            at = layers[layers.len() - 1].output;
        }
        Ok(layers)
    }

    fn multiple(&self) -> usize {
        1 << self.down.len()
    }
}
