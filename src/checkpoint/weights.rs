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

/// The tensors of one network, by the names of its parameters
/// ([`Param::name`](crate::nn::Param::name)).
pub type Tensors = BTreeMap<String, HostTensor>;

/// The networks of a file. Tensors are complete: exactly those of [`GeneratorConfig::params`] and
/// [`DiscriminatorConfig::params`], with their shapes.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Weights {
    /// The generator, if the file has one.
    pub generator: Option<(GeneratorConfig, Tensors)>,
    /// The discriminators of the file, in its order.
    pub discriminators: Vec<(DiscriminatorConfig, Tensors)>,
    /// The file's free text; empty for a `.pth`.
    pub metadata: BTreeMap<String, String>,
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

/// Uploads tensors to a network that is placed on a device; `path` only names them in errors.
///
/// # Errors
/// A tensor that is missing or has another shape.
pub(crate) fn upload(
    b: &mut dyn Backend,
    params: &Params,
    tensors: &Tensors,
    path: &Path,
) -> Result<()> {
    for param in params.iter() {
        let name = path.display();
        match tensors.get(&param.name) {
            None => return Err(Error::input(format!("{name}: there is no {}", param.name))),
            Some(HostTensor { shape, data })
                if *shape == param.shape && data.len() == shape.count() =>
            {
                b.upload(param.view(), data)?;
            }
            Some(HostTensor { shape, .. }) => {
                return Err(Error::input(format!(
                    "{name}: {} is {shape} in the file and {} in this network",
                    param.name, param.shape
                )));
            }
        }
    }
    Ok(())
}
