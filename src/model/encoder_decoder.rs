//! The encoder-decoder: the U-Net without its skips, the paper's ablation (Isola et al. 2017,
//! section 4.2 and Table 2). The PyTorch port does not have it.

use super::GeneratorConfig;
use super::levels::{Levels, levels};
use super::network::Network;
use super::sequential::Sequential;

/// The network of a configuration within bounds.
pub(super) fn build(config: &GeneratorConfig) -> Box<dyn Network> {
    let Levels { down, up } = levels(config, false);
    Box::new(Sequential::new(down.into_iter().chain(up), 1 << config.depth))
}
