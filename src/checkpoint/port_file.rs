//! Converts state dicts of the PyTorch port to networks of ours, and back.

use std::io::{Read, Seek};
use std::path::Path;

use super::infer::{NetworkConfig, infer, plain};
use super::weights::{HostTensor, Tensors, Weights, check_numbers, tensor};
use super::{pth, refuse};
use crate::model::Output;
use crate::nn::Param;
use crate::{Error, Result};

/// Reads the network of a PyTorch file.
pub fn read_pth<R: Read + Seek>(mut state: pth::StateDict<R>, path: &Path) -> Result<Weights> {
    let stored = state.tensors();
    // Instance norm of 2018 kept running statistics that nothing ever used.
    let scaled = |name: &str, tail: &str| {
        let weight = format!("{}weight", name.trim_end_matches(tail));
        stored.iter().any(|t| t.name == weight)
    };
    let unused = |name: &str| {
        ["running_mean", "running_var"].iter().any(|t| name.ends_with(t) && !scaled(name, t))
    };
    let kept: Vec<(usize, String)> = stored
        .iter()
        .enumerate()
        .filter(|(_, t)| !unused(&t.name))
        .filter_map(|(i, t)| Some((i, plain(&t.name)?.to_string())))
        .collect();
    let list: Vec<_> = kept.iter().map(|(i, n)| (n.as_str(), stored[*i].size.as_slice())).collect();
    let (config, params) = infer(&list).map_err(|what| refuse(path, what))?;
    let mut tensors = Tensors::new();
    for param in params.iter() {
        let port = param.port.as_ref().expect("networks of the port have all their names there");
        let data = if port.implied {
            vec![0.0; param.shape.count()]
        } else {
            let (index, _) = kept.iter().find(|k| k.1 == port.name).expect("infer found them all");
            let order: &[usize] = if port.size.len() == 4 { &[0, 2, 3, 1] } else { &[0] };
            let data = state.read(*index, order)?;
            check_numbers(path, &port.name, &data)?;
            data
        };
        tensors.insert(param.name.clone(), HostTensor { shape: param.shape, data });
    }
    Ok(match config {
        NetworkConfig::Generator(c) => {
            Weights { generator: Some((c, tensors)), ..Weights::default() }
        }
        NetworkConfig::Discriminator(c) => {
            Weights { discriminators: vec![(c, tensors)], ..Weights::default() }
        }
    })
}

/// Writes one network as a state dict that the PyTorch port loads: the generator, or where there is
/// none the first discriminator.
///
/// # Errors
/// [`Error::Input`] for a network that the port does not have: the encoder-decoder, and a network
/// without norm whose inner convolutions have a bias, one that gives logits. [`Error::File`] if the disk fails.
pub fn save_pth(path: &Path, weights: &Weights) -> Result<()> {
    let (params, tensors, kind) = match (&weights.generator, weights.discriminators.first()) {
        (Some((config, tensors)), _) => {
            (config.params()?, tensors, serde_json::to_value(config.kind).ok())
        }
        (None, Some((config, tensors))) => (config.params()?, tensors, None),
        (None, None) => {
            return Err(Error::input(format!("{}: there is no network to write", path.display())));
        }
    };
    // Weights do not tell what the last layer's numbers are: read back, they would go through tanh.
    if matches!(&weights.generator, Some((config, _)) if config.output == Output::Logits) {
        return Err(Error::input(format!(
            "{}: the generators of the PyTorch port end in tanh, and this one gives logits of classes; write a \
             .safetensors file",
            path.display()
        )));
    }
    let mut stored = Vec::new();
    for param in params.iter() {
        let Some(port) = &param.port else {
            let kind = kind.as_ref().and_then(|k| k.as_str()).unwrap_or("such network");
            return Err(Error::input(format!(
                "{}: the PyTorch port has no {kind}, so there is no .pth of it; write a \
                 .safetensors file",
                path.display()
            )));
        };
        if !port.implied {
            stored.push((param, port));
        } else if tensor(tensors, &param.name, param.shape)?.data.iter().any(|&b| b != 0.0) {
            return Err(Error::input(format!(
                "{}: {} is not zero, but in the PyTorch port a network without norm has no such \
                 bias; write a .safetensors file",
                path.display(),
                param.name
            )));
        }
    }
    let layout: Vec<_> = stored.iter().map(|(_, p)| (p.name.clone(), p.size.clone())).collect();
    pth::write(path, &layout, |i, out| {
        let (Param { name, shape, .. }, port) = stored[i];
        let data = &tensor(tensors, name, *shape)?.data;
        if port.size.len() != 4 {
            out.extend_from_slice(data);
            return Ok(());
        }
        out.reserve(data.len());
        let pixels = shape.h * shape.w;
        for block in data.chunks_exact(pixels * shape.c) {
            for c in 0..shape.c {
                out.extend((0..pixels).map(|p| block[p * shape.c + c]));
            }
        }
        Ok(())
    })
}
