//! Our own model files: safetensors with a description of the networks.

use std::collections::BTreeMap;
use std::io::{Read, Seek};
use std::path::Path;

use serde::de::DeserializeOwned;
use serde_json::{Map, Value as Json};

use super::weights::{HostTensor, Tensors, Weights, check_numbers, tensor};
use super::{refuse, safetensors};
use crate::kernel::Backend;
use crate::model::{DiscriminatorConfig, GeneratorConfig, Network};
use crate::nn::Params;
use crate::tensor::{Shape, View};
use crate::{Error, Result};

/// The value of the metadata key `format` in our files.
pub const FORMAT: &str = "pix2pix-engine";
/// The value of the metadata key `version` in our files.
const VERSION: &str = "1";
/// The generator's name in our files: its key in `config`, and the prefix of its tensors' names.
pub const GENERATOR: &str = "generator";
/// The name of the discriminator, or of the first of several; the others are "discriminator2" and
/// so on.
pub const DISCRIMINATOR: &str = "discriminator";

/// How the names of the optimiser's tensors begin.
pub(crate) const OPTIMISER: &str = "adam.";

/// The name of number `i`, from 0, of several: `name`, then `name` with 2, 3, ... behind it.
pub(crate) fn numbered(name: &str, i: usize) -> String {
    if i == 0 { name.to_string() } else { format!("{name}{}", i + 1) }
}

/// A list in `config`: null for none, the element itself for one, an array for several.
pub(crate) fn none_one_or_many<T: serde::Serialize>(list: &[T]) -> Json {
    match list {
        [] => Json::Null,
        [one] => json(one),
        several => json(&several),
    }
}

/// The elements of what [`none_one_or_many`] gives.
pub(crate) fn each_of(value: &Json) -> &[Json] {
    match value {
        Json::Null => &[],
        Json::Array(several) => several,
        one => std::slice::from_ref(one),
    }
}

/// Reads the networks of one of our files.
pub fn read_safetensors<R: Read + Seek>(
    mut reader: safetensors::Reader<R>,
    path: &Path,
) -> Result<Weights> {
    let metadata = reader.metadata().clone();
    let config = config_of(path, &metadata)?;
    let described = config.get(GENERATOR);
    let generator = network(path, &mut reader, GENERATOR, described, GeneratorConfig::params)?;
    let described = each_of(config.get(DISCRIMINATOR).unwrap_or(&Json::Null));
    let mut discriminators = Vec::new();
    loop {
        let i = discriminators.len();
        let (name, config) = (numbered(DISCRIMINATOR, i), described.get(i));
        match network(path, &mut reader, &name, config, DiscriminatorConfig::params)? {
            Some(found) => discriminators.push(found),
            None => break,
        }
    }
    // Also what is not needed here, such as the optimiser's: a file that is damaged anywhere may be
    // anything.
    reader.verify()?;
    if generator.is_none() && discriminators.is_empty() {
        return Err(refuse(path, "it has neither a generator nor a discriminator"));
    }
    Ok(Weights { generator, discriminators, metadata })
}

/// The JSON object in the metadata key `config`, once format and version are ours.
fn config_of(path: &Path, metadata: &BTreeMap<String, String>) -> Result<Map<String, Json>> {
    let get = |key: &str| metadata.get(key).map(String::as_str);
    if get("format") != Some(FORMAT) {
        return Err(refuse(
            path,
            "it is a safetensors file without the metadata of our model files; convert the \
             network's .pth instead",
        ));
    }
    check_version(path, metadata)?;
    serde_json::from_str(get("config").unwrap_or_default())
        .map_err(|e| refuse(path, format!("its metadata key `config` is damaged ({e})")))
}

/// Refuses a file of a version of the format that this program does not read.
pub(crate) fn check_version(path: &Path, metadata: &BTreeMap<String, String>) -> Result<()> {
    match metadata.get("version").map(String::as_str) {
        Some(VERSION) => Ok(()),
        None => Err(refuse(path, "it does not state the version of its format")),
        Some(other) => {
            let newer = other.parse::<u64>().ok() > VERSION.parse().ok();
            let cure = if newer { ": use a newer one" } else { "" };
            let what = format!("its version is {other}, and this program reads {VERSION}{cure}");
            Err(refuse(path, what))
        }
    }
}

/// The network whose tensors' names begin with `key`, if there are any; `config` describes it.
fn network<R: Read + Seek, C: DeserializeOwned>(
    path: &Path,
    reader: &mut safetensors::Reader<R>,
    key: &str,
    config: Option<&Json>,
    params: impl Fn(&C) -> Result<Params>,
) -> Result<Option<(C, Tensors)>> {
    let prefix = &format!("{key}.");
    let Some(first) = reader.names().iter().find(|n| n.starts_with(prefix)) else {
        return Ok(None);
    };
    let config = config.filter(|c| !c.is_null()).ok_or_else(|| {
        refuse(path, format!("it has the tensor {first}, but its `config` describes no {key}"))
    })?;
    let config = C::deserialize(config)
        .map_err(|e| refuse(path, format!("its `config` describes no {key} ({e})")))?;
    let params = params(&config).map_err(|e| refuse(path, e))?;
    for name in reader.names().iter().filter_map(|n| n.strip_prefix(prefix)) {
        if !params.iter().any(|p| p.name == name) {
            let what = format!("it has a tensor {prefix}{name} that its `config` does not have");
            return Err(refuse(path, what));
        }
    }
    let mut tensors = Tensors::new();
    for param in params.iter() {
        let (name, shape) = (&param.name, param.shape);
        let full = format!("{prefix}{name}");
        match reader.shape(&full) {
            Some(found) if found == shape => {}
            Some(found) => {
                let what = format!("{full} is {found}, but its `config` makes it {shape}");
                return Err(refuse(path, what));
            }
            None => return Err(refuse(path, format!("there is no {full} in it"))),
        }
        let data = reader.read(&full)?;
        check_numbers(path, &full, &data)?;
        tensors.insert(name.clone(), HostTensor { shape, data });
    }
    Ok(Some((config, tensors)))
}

/// Writes a model file that describes itself, atomically. Further keys of `weights.metadata`, and
/// of the JSON object in its `config`, are kept.
///
/// # Errors
/// [`Error::File`] if the disk fails; [`Error::Shape`] if tensors and configurations disagree.
pub fn save_weights(path: &Path, weights: &Weights) -> Result<()> {
    let mut config: Map<String, Json> = (weights.metadata.get("config"))
        .and_then(|c| serde_json::from_str(c).ok())
        .unwrap_or_default();
    let mut layout = Vec::new();
    let mut sources = Vec::new();
    let mut add = |network: &str, params: Params, tensors| {
        for param in params.iter() {
            layout.push((format!("{network}.{}", param.name), param.shape));
            sources.push((tensors, param.name.clone()));
        }
    };
    config.remove(GENERATOR);
    config.remove(DISCRIMINATOR);
    if let Some((c, tensors)) = &weights.generator {
        add(GENERATOR, c.params()?, tensors);
        config.insert(GENERATOR.into(), json(c));
    }
    for (i, (c, tensors)) in weights.discriminators.iter().enumerate() {
        add(&numbered(DISCRIMINATOR, i), c.params()?, tensors);
    }
    if !weights.discriminators.is_empty() {
        let all: Vec<_> = weights.discriminators.iter().map(|(c, _)| c).collect();
        config.insert(DISCRIMINATOR.into(), none_one_or_many(&all));
    }
    let mut all = weights.metadata.clone();
    all.extend(metadata(&Json::Object(config)));
    safetensors::write(path, &layout, &all, |i, out| {
        let (tensors, name) = &sources[i];
        out.extend_from_slice(&tensor(tensors, name, layout[i].1)?.data);
        Ok(())
    })
}

/// Writes a generator that lies on a device as a model file that describes itself, atomically;
/// [`load_weights`](super::load_weights) and
/// [`Translator::open`](crate::translate::Translator::open) read it.
///
/// # Errors
/// [`Error::Shape`] if `network` is not what `config` describes; [`Error::File`] if the disk fails;
/// an older file at `path` then stays.
pub fn save_model(
    path: &Path,
    config: &GeneratorConfig,
    network: &dyn Network,
    b: &dyn Backend,
) -> Result<()> {
    let extents = |params: &Params| -> Vec<(String, Shape)> {
        params.iter().map(|p| (p.name.clone(), p.shape)).collect()
    };
    if extents(&config.params()?) != extents(network.params()) {
        let detail = format!("the network does not have the parameters of {config:?}");
        return Err(Error::shape("save model", detail));
    }
    let described = Json::Object(Map::from_iter([(GENERATOR.to_string(), json(config))]));
    save_views(path, b, &named_views(GENERATOR, network.params()), &metadata(&described))
}

/// The metadata of one of our files: its format, its version, and `config`.
pub(crate) fn metadata(config: &Json) -> BTreeMap<String, String> {
    BTreeMap::from([
        ("format".to_string(), FORMAT.to_string()),
        ("version".to_string(), VERSION.to_string()),
        ("config".to_string(), config.to_string()),
    ])
}

/// A tensor's name in a file and its place on the device.
pub(crate) type NamedView = (String, View);

/// The placed parameters of a network, with their names in our files.
pub(crate) fn named_views(network: &str, params: &Params) -> Vec<NamedView> {
    params.iter().map(|p| (format!("{network}.{}", p.name), p.view())).collect()
}

/// Writes tensors that lie on a device, atomically; one at a time is held in host memory.
///
/// # Errors
/// [`Error::File`] if the disk fails; [`Error::Input`] for numbers that are NaN or infinite, and an
/// older file at `path` then stays; what the device reports.
pub(crate) fn save_views(
    path: &Path,
    b: &dyn Backend,
    tensors: &[NamedView],
    metadata: &BTreeMap<String, String>,
) -> Result<()> {
    let layout: Vec<(&str, Shape)> = tensors.iter().map(|(n, v)| (n.as_str(), v.shape)).collect();
    safetensors::write(path, &layout, metadata, |i, out| {
        let view = tensors[i].1;
        let start = out.len();
        out.resize(start + view.shape.count(), 0.0);
        b.download(view, &mut out[start..])?;
        // The last gate: what is not finite replaces no file.
        check_numbers(path, &tensors[i].0, &out[start..])
    })
}

fn json(config: &impl serde::Serialize) -> Json {
    serde_json::to_value(config).expect("a config is plain data")
}
