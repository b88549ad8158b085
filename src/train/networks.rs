//! Generator and discriminator of a run in one arena: first values, values from files, values to
//! files.

use std::collections::BTreeMap;
use std::path::Path;

use super::{RunConfig, Step, differences};
use crate::checkpoint::{self, DISCRIMINATOR, GENERATOR, NamedView, Tensors, safetensors};
use crate::device::Arena;
use crate::error::{Error, Result};
use crate::kernel::Backend;
use crate::model::{DiscriminatorConfig, GeneratorConfig, Network};
use crate::nn::Params;
use crate::tensor::{Elem, Shape, View};

/// The networks of a run, placed.
#[derive(Debug)]
pub struct Networks {
    /// The generator.
    pub generator: Box<dyn Network>,
    /// The discriminator, where the objective has one.
    pub discriminator: Option<Box<dyn Network>>,
    /// The persistent memory they take.
    pub arena: Arena,
    /// What they are made of.
    config: (GeneratorConfig, Option<DiscriminatorConfig>),
}

impl Networks {
    /// Networks of a configuration, with room for gradients and moments.
    ///
    /// # Errors
    /// Networks that cannot be built.
    pub fn new(config: &RunConfig) -> Result<Self> {
        let mut arena = Arena::default();
        let mut generator = config.generator.build()?;
        generator.params_mut().place(&mut arena, true);
        let mut discriminator =
            config.discriminator.as_ref().map(DiscriminatorConfig::build).transpose()?;
        if let Some(d) = &mut discriminator {
            d.params_mut().place(&mut arena, true);
        }
        let config = (config.generator.clone(), config.discriminator.clone());
        Ok(Networks { generator, discriminator, arena, config })
    }

    /// The training step of a configuration on these networks, with activations stored as `elem`.
    ///
    /// # Errors
    /// ImageBatch of a size that the networks cannot take.
    pub fn step(&self, config: &RunConfig, elem: Elem) -> Result<Step> {
        let GeneratorConfig { in_channels, out_channels, .. } = config.generator;
        let pictures = |channels| Shape::new(config.batch_size, config.size, config.size, channels);
        Step::record(
            &*self.generator,
            self.discriminator.as_deref(),
            config.objective,
            config.adam(),
            [in_channels, out_channels].map(pictures),
            elem,
            self.arena.len(),
        )
    }

    /// First values, from the seed.
    ///
    /// # Errors
    /// What the device reports.
    pub fn init(&self, b: &mut dyn Backend, seed: u64) -> Result<()> {
        self.generator.params().init(b, seed, 0)?;
        self.discriminator.as_ref().map_or(Ok(()), |d| d.params().init(b, seed, 1))
    }

    /// Takes the generator's values from a model file or a PyTorch state dict.
    ///
    /// # Errors
    /// A file without a generator, or with another one than this.
    pub fn init_generator(&self, b: &mut dyn Backend, path: &Path) -> Result<()> {
        let weights = checkpoint::load_weights(path)?;
        let Some((config, tensors)) = weights.generator else {
            return Err(Error::input(format!(
                "{} holds no generator; a discriminator goes to --init-discriminator",
                path.display()
            )));
        };
        let mine = &self.config.0;
        let same = GeneratorConfig { dropout: mine.dropout, ..config.clone() };
        if same != *mine {
            return Err(differs(path, "generator", &same, mine));
        }
        load(b, self.generator.params(), &tensors, path)
    }

    /// Takes the discriminator's values from a model file or a PyTorch state dict.
    ///
    /// # Errors
    /// A file without a discriminator, or with another one than this; no discriminator here.
    pub fn init_discriminator(&self, b: &mut dyn Backend, path: &Path) -> Result<()> {
        let weights = checkpoint::load_weights(path)?;
        let Some((config, tensors)) = weights.discriminator else {
            return Err(Error::input(format!(
                "{} holds no discriminator; give a checkpoint of a run or a latest_net_D.pth",
                path.display()
            )));
        };
        let (Some(mine), Some(network)) = (&self.config.1, &self.discriminator) else {
            return Err(Error::input(
                "--init-discriminator has no use with --gan none, leave one of them out",
            ));
        };
        if config != *mine {
            return Err(differs(path, "discriminator", &config, mine));
        }
        load(b, network.params(), &tensors, path)
    }

    /// Every tensor of a checkpoint: values, running statistics, and Adam's moments.
    fn tensors(&self) -> Vec<NamedView> {
        let mut all = Vec::new();
        let mut add = |prefix: &str, params: &Params| {
            all.extend(checkpoint::named_views(prefix, params));
            let group = params.group();
            for (moment, home) in [("m", group.moments[0]), ("v", group.moments[1])] {
                for p in params.iter().filter(|p| p.trained) {
                    let at = home.at + p.view().at - group.values.at;
                    all.push((
                        format!("adam.{moment}.{prefix}{}", p.name),
                        View { at, ..p.view() },
                    ));
                }
            }
        };
        add(GENERATOR, self.generator.params());
        if let Some(d) = &self.discriminator {
            add(DISCRIMINATOR, d.params());
        }
        all
    }

    /// Writes a checkpoint, atomically: everything [`Networks::load`] needs, and `metadata`.
    ///
    /// # Errors
    /// [`Error::File`] if the disk fails; the file that was there stays.
    pub fn save(
        &self,
        b: &dyn Backend,
        path: &Path,
        metadata: &BTreeMap<String, String>,
    ) -> Result<()> {
        checkpoint::save_views(path, b, &self.tensors(), metadata)
    }

    /// Writes the generator alone, atomically: a model file.
    ///
    /// # Errors
    /// As [`Networks::save`].
    pub fn save_generator(
        &self,
        b: &dyn Backend,
        path: &Path,
        metadata: &BTreeMap<String, String>,
    ) -> Result<()> {
        let tensors = checkpoint::named_views(GENERATOR, self.generator.params());
        checkpoint::save_views(path, b, &tensors, metadata)
    }

    /// Reads what [`Networks::save`] wrote.
    ///
    /// # Errors
    /// [`Error::Input`] where a tensor is missing or has another shape.
    pub fn load(
        &self,
        b: &mut dyn Backend,
        reader: &mut safetensors::Reader,
        path: &Path,
    ) -> Result<()> {
        self.generator.params().clear(b)?;
        self.discriminator.as_ref().map_or(Ok(()), |d| d.params().clear(b))?;
        let mut values = Vec::new();
        for (name, view) in self.tensors() {
            if reader.shape(&name) != Some(view.shape) {
                let found = reader.shape(&name).map_or("missing".into(), |s: Shape| s.to_string());
                return Err(Error::input(format!(
                    "{}: {name} is {found}, this run needs {}",
                    path.display(),
                    view.shape
                )));
            }
            values.resize(view.shape.count(), 0.0);
            reader.read_into(&name, &mut values)?;
            b.upload(view, &values)?;
        }
        Ok(())
    }
}

/// Copies the tensors of a file into a network; all of them are there, by what the reader checked.
pub(crate) fn load(
    b: &mut dyn Backend,
    params: &Params,
    tensors: &Tensors,
    path: &Path,
) -> Result<()> {
    for param in params.iter() {
        let Some(tensor) = tensors.get(&param.name) else {
            return Err(Error::input(format!("{}: there is no {}", path.display(), param.name)));
        };
        params.load(b, &param.name, tensor.shape, &tensor.data)?;
    }
    Ok(())
}

fn differs<C: serde::Serialize>(path: &Path, what: &str, found: &C, wanted: &C) -> Error {
    Error::input(format!(
        "{} does not fit this run: of the {what}, {}; change the flags to match",
        path.display(),
        differences(found, wanted)
    ))
}
