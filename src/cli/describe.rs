//! `describe`: prints the layers of the networks.

use std::process::ExitCode;

use super::args::DescribeArgs;
use super::{say, words};
use crate::checkpoint;
use crate::error::Result;
use crate::model::{DiscriminatorConfig, GeneratorConfig};
use crate::nn::Layer;
use crate::tensor::{Shape, Size};
use crate::train::{RunConfig, Trained};

pub fn run(args: &DescribeArgs) -> Result<ExitCode> {
    let mut config = RunConfig::default();
    args.network.apply(&mut config)?;
    config.check()?;
    let (mut size, mut g, mut ds) = (config.size, Some(config.generator), config.discriminators);
    let mut remembered = Vec::new();
    if let Some(path) = &args.model {
        let weights = checkpoint::load_weights(path)?;
        let trained = Trained::of(&weights.metadata, path)?;
        // Beyond what a run may have, the products in the table could overflow.
        size = trained.size.filter(|size| size.most() <= RunConfig::LARGEST).unwrap_or(size);
        remembered = words::trained(&trained);
        g = weights.generator.map(|(config, _)| config);
        ds = weights.discriminators.into_iter().map(|(config, _)| config).collect();
    }
    remembered.iter().for_each(say);
    if let Some(g) = &g {
        generator(g, size)?;
    }
    ds.iter().try_for_each(|d| discriminator(d, size))?;
    Ok(ExitCode::SUCCESS)
}

fn generator(config: &GeneratorConfig, size: Size) -> Result<()> {
    let network = config.build()?;
    let size = size.map(|side| side.max(network.multiple()));
    let input = Shape::new(1, size.height, size.width, config.in_channels);
    say(format!("generator: {:?}, norm {:?}", config.kind, config.norm));
    table(&network.layers(input)?);
    say(format!("{} parameters", network.params().count()));
    say("");
    Ok(())
}

fn discriminator(config: &DiscriminatorConfig, size: Size) -> Result<()> {
    let network = config.build()?;
    let input = Shape::new(1, size.height, size.width, config.in_channels);
    let field = config.receptive_field();
    say(format!("discriminator: patches of {field} x {field}, norm {:?}", config.norm));
    table(&network.layers(input)?);
    say(format!("{} parameters", network.params().count()));
    Ok(())
}

fn table(layers: &[Layer]) {
    let extents = |s: &Shape| format!("{} x {} x {}", s.h, s.w, s.c);
    say(format!(
        "{:8} {:>16} {:>16}  {:22} {:>10} {:>9}  then",
        "layer", "in (h x w x c)", "out", "convolution", "parameters", "MMAC"
    ));
    let mut sum = 0;
    for layer in layers {
        sum += layer.multiplications;
        say(format!(
            "{:8} {:>16} {:>16}  {:22} {:>10} {:>9.1}  {}",
            layer.name,
            extents(&layer.input),
            extents(&layer.output),
            layer.window,
            layer.parameters,
            layer.multiplications as f64 / 1e6,
            layer.then
        ));
    }
    say(format!(
        "{:.3} GMAC a picture; convolutions as rows x columns / stride / pad",
        sum as f64 / 1e9
    ));
}
