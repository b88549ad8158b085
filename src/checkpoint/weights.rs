//! Networks in host memory.

use std::collections::BTreeMap;
use std::path::Path;

use super::refuse;
use crate::error::settings::LR;
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

/// "2 of the 9 numbers of `tensor` are NaN or infinite", or what else is wrong with them.
pub(crate) fn wrong_numbers(wrong: usize, of: usize, tensor: &str, what: &str) -> String {
    let are = if wrong == 1 { "is" } else { "are" };
    format!("{wrong} of the {of} numbers of {tensor} {are} {what}")
}

/// What is wrong with the numbers of the tensor `name` of a file: some are NaN or infinite, or those of
/// a variance (running, or Adam's second moment) are below 0. None where they are as they should be.
fn damage(name: &str, numbers: &[f32]) -> Option<String> {
    let count = |wrong: fn(&f32) -> bool| numbers.iter().filter(|v| wrong(v)).count();
    let said = |wrong, what| (wrong > 0).then(|| wrong_numbers(wrong, numbers.len(), name, what));
    let squared = name.ends_with("running_var") || name.starts_with("adam.v.");
    said(count(|v| !v.is_finite()), "NaN or infinite").or_else(|| {
        let below = if squared { count(|v| *v < 0.0) } else { 0 };
        said(below, "below 0, which no variance is")
    })
}

/// Refuses a tensor of the file `path` whose numbers no training can have left there: NaN, infinite, a
/// variance below 0.
///
/// # Errors
/// [`Error::Input`] that names the file and the tensor, and how many of its numbers are wrong.
pub(crate) fn check_numbers(path: &Path, name: &str, numbers: &[f32]) -> Result<()> {
    damage(name, numbers).map_or(Ok(()), |what| {
        let cure = format!(
            "the file is damaged, or the run that wrote it had diverged; take an earlier file, or train \
             again with a smaller {LR}"
        );
        Err(refuse(path, format!("{what}: {cure}")))
    })
}

/// The tensor `name`, which is to be saved as `shape`.
pub(super) fn tensor<'a>(tensors: &'a Tensors, name: &str, shape: Shape) -> Result<&'a HostTensor> {
    match tensors.get(name) {
        Some(tensor) if tensor.shape == shape => match damage(name, &tensor.data) {
            None => Ok(tensor),
            Some(what) => Err(Error::shape("save weights", what)),
        },
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
/// A tensor that is missing, has another shape, or holds NaN or infinity.
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
                check_numbers(path, &param.name, data)?;
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
