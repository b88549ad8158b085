//! Networks in host memory.

use std::collections::BTreeMap;
use std::path::Path;

use crate::kernel::Backend;
use crate::model::{DiscriminatorConfig, GeneratorConfig};
use crate::nn::Params;
use crate::tensor::Shape;
use crate::{Error, Result};

/// A tensor in host memory.
#[derive(Clone, Debug, PartialEq)]
pub struct HostTensor {
    /// Its extents.
    pub shape: Shape,
    /// `shape.count()` numbers, channels fastest.
    pub data: Vec<f32>,
}

/// The tensors of one network, by our names without the network's prefix.
pub type Tensors = BTreeMap<String, HostTensor>;

/// The networks of a file. Tensors are complete: exactly those of [`GeneratorConfig::params`] and
/// [`DiscriminatorConfig::params`], with their shapes.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Weights {
    /// The generator, if the file has one.
    pub generator: Option<(GeneratorConfig, Tensors)>,
    /// The discriminator, if the file has one.
    pub discriminator: Option<(DiscriminatorConfig, Tensors)>,
    /// The file's free text; empty for a `.pth`.
    pub metadata: BTreeMap<String, String>,
}

/// What a file holds, without the numbers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contents {
    /// The generator's description.
    pub generator: Option<GeneratorConfig>,
    /// The discriminator's description.
    pub discriminator: Option<DiscriminatorConfig>,
}

impl Weights {
    /// What is in it.
    pub fn contents(&self) -> Contents {
        Contents {
            generator: self.generator.as_ref().map(|g| g.0.clone()),
            discriminator: self.discriminator.as_ref().map(|d| d.0.clone()),
        }
    }
}

/// What one network is made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum NetworkConfig {
    Generator(GeneratorConfig),
    Discriminator(DiscriminatorConfig),
}

impl NetworkConfig {
    /// Its parameters.
    ///
    /// # Errors
    /// Extents beyond reason.
    pub(super) fn params(&self) -> Result<Params> {
        match self {
            NetworkConfig::Generator(config) => config.params(),
            NetworkConfig::Discriminator(config) => config.params(),
        }
    }
}

/// The tensor `name`, which is to be saved as `shape`.
pub(super) fn tensor<'a>(tensors: &'a Tensors, name: &str, shape: Shape) -> Result<&'a HostTensor> {
    match tensors.get(name) {
        Some(tensor) if tensor.shape == shape => Ok(tensor),
        Some(other) => Err(Error::shape(
            "save weights",
            format!("{name} is {}, expected {shape}", other.shape),
        )),
        None => Err(Error::shape("save weights", format!("{name} ({shape}) is missing"))),
    }
}

/// Copies the tensors of a file into a network that has its place on a device; all of them are there,
/// by what the reader checked.
///
/// # Errors
/// A tensor that is missing or has other extents, with the file's name.
pub(crate) fn upload(
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
