//! Our own model files: safetensors with a description of the networks.

use std::collections::BTreeMap;
use std::io::{Read, Seek};
use std::path::Path;

use serde_json::{Map, Value as Json};

use super::names::{self, Slot};
use super::weights::{HostTensor, Tensors, Weights, tensor};
use super::{refuse, safetensors};
use crate::Result;
use crate::model::{DiscriminatorConfig, GeneratorConfig};

/// The value of the metadata key `format` in our files.
pub const FORMAT: &str = "pix2pix-engine";
/// The value of the metadata key `version` in our files.
pub const VERSION: &str = "1";
/// Before the name of every tensor of a generator in our files.
pub const GENERATOR: &str = "generator.";
/// Before the name of every tensor of a discriminator in our files.
pub const DISCRIMINATOR: &str = "discriminator.";

/// Reads the networks of one of our files.
pub fn read_safetensors<R: Read + Seek>(
    mut reader: safetensors::Reader<R>,
    path: &Path,
) -> Result<Weights> {
    let metadata = reader.metadata().clone();
    let config = config_of(path, &metadata)?;
    let slots = |c: &GeneratorConfig| names::generator(c);
    let generator = network(path, &mut reader, &config, GENERATOR, slots)?;
    let slots = |c: &DiscriminatorConfig| names::discriminator(c);
    let discriminator = network(path, &mut reader, &config, DISCRIMINATOR, slots)?;
    if generator.is_none() && discriminator.is_none() {
        return Err(refuse(path, "it has neither a generator nor a discriminator"));
    }
    Ok(Weights { generator, discriminator, metadata })
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
    match get("version") {
        Some(VERSION) => {}
        other => {
            let other = other.unwrap_or("missing");
            let what = format!("its version is {other}, and this program reads {VERSION}");
            return Err(refuse(path, what));
        }
    }
    serde_json::from_str(get("config").unwrap_or_default())
        .map_err(|e| refuse(path, format!("its metadata key `config` is damaged ({e})")))
}

/// One network of our file, if it is there.
fn network<R: Read + Seek, C: serde::de::DeserializeOwned>(
    path: &Path,
    reader: &mut safetensors::Reader<R>,
    config: &Map<String, Json>,
    prefix: &str,
    slots: impl Fn(&C) -> Result<Vec<Slot>>,
) -> Result<Option<(C, Tensors)>> {
    let key = prefix.trim_end_matches('.');
    let Some(first) = reader.names().iter().find(|n| n.starts_with(prefix)) else {
        return Ok(None);
    };
    let config = config.get(key).filter(|c| !c.is_null()).ok_or_else(|| {
        refuse(path, format!("it has the tensor {first}, but its `config` describes no {key}"))
    })?;
    let config: C = serde_json::from_value(config.clone())
        .map_err(|e| refuse(path, format!("its `config` describes no {key} ({e})")))?;
    let slots = slots(&config).map_err(|e| refuse(path, e))?;
    for name in reader.names().iter().filter_map(|n| n.strip_prefix(prefix)) {
        if !slots.iter().any(|s| s.name == name) {
            let what = format!("it has a tensor {prefix}{name} that its `config` does not have");
            return Err(refuse(path, what));
        }
    }
    let mut tensors = Tensors::new();
    for Slot { name, shape, .. } in slots {
        let full = format!("{prefix}{name}");
        match reader.shape(&full) {
            Some(found) if found == shape => {}
            Some(found) => {
                let what = format!("{full} is {found}, but its `config` makes it {shape}");
                return Err(refuse(path, what));
            }
            None => return Err(refuse(path, format!("there is no {full} in it"))),
        }
        tensors.insert(name, HostTensor { shape, data: reader.read(&full)? });
    }
    Ok(Some((config, tensors)))
}

/// Writes a model file that describes itself, atomically. Further keys of `weights.metadata`, and
/// of the JSON object in its `config`, are kept.
///
/// # Errors
/// [`crate::Error::File`] if the disk fails; [`crate::Error::Shape`] if tensors and configs disagree.
pub fn save_weights(path: &Path, weights: &Weights) -> Result<()> {
    let mut metadata = weights.metadata.clone();
    let mut config: Map<String, Json> =
        metadata.get("config").and_then(|c| serde_json::from_str(c).ok()).unwrap_or_default();
    let mut layout = Vec::new();
    let mut sources = Vec::new();
    let mut add = |prefix: &str, config: Json, slots: Vec<Slot>, tensors| {
        for slot in slots {
            layout.push((format!("{prefix}{}", slot.name), slot.shape));
            sources.push((tensors, slot.name));
        }
        config
    };
    config.remove("generator");
    config.remove("discriminator");
    if let Some((c, tensors)) = &weights.generator {
        let json = add(GENERATOR, json(c), names::generator(c)?, tensors);
        config.insert("generator".into(), json);
    }
    if let Some((c, tensors)) = &weights.discriminator {
        let json = add(DISCRIMINATOR, json(c), names::discriminator(c)?, tensors);
        config.insert("discriminator".into(), json);
    }
    metadata.insert("format".into(), FORMAT.into());
    metadata.insert("version".into(), VERSION.into());
    metadata.insert("config".into(), Json::Object(config).to_string());
    safetensors::write_each(path, &layout, &metadata, |i, out| {
        let (tensors, name) = &sources[i];
        out.extend_from_slice(&tensor(tensors, name, layout[i].1)?.data);
        Ok(())
    })
}

fn json(config: &impl serde::Serialize) -> Json {
    serde_json::to_value(config).expect("a config is plain data")
}
