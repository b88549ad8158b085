//! State dicts of the PyTorch port, as networks of ours and back.

use std::io::{Read, Seek};
use std::path::Path;

use super::names::{self, Network, Slot};
use super::weights::{HostTensor, Tensors, Weights, tensor};
use super::{pth, refuse};
use crate::model::GeneratorKind;
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
        .filter_map(|(i, t)| Some((i, names::plain(&t.name)?.to_string())))
        .collect();
    let list: Vec<_> = kept.iter().map(|(i, n)| (n.as_str(), stored[*i].size.as_slice())).collect();
    let (network, slots) = names::infer(&list).map_err(|what| refuse(path, what))?;
    let mut tensors = Tensors::new();
    for Slot { name, port, shape, filter, implied } in slots {
        let data = if implied {
            vec![0.0; shape.count()]
        } else {
            let (index, _) = kept.iter().find(|k| k.1 == port).expect("infer found every slot");
            state.read(*index, if filter { &[0, 2, 3, 1] } else { &[0] })?
        };
        tensors.insert(name, HostTensor { shape, data });
    }
    Ok(match network {
        Network::Generator(c) => Weights { generator: Some((c, tensors)), ..Weights::default() },
        Network::Discriminator(c) => {
            Weights { discriminator: Some((c, tensors)), ..Weights::default() }
        }
    })
}

/// Writes one network as a state dict that the PyTorch port loads: the generator, or where there is
/// none the discriminator.
///
/// # Errors
/// [`Error::Input`] for a network that the port does not have: the encoder-decoder, and a network
/// without norm whose inner convolutions have a bias. [`Error::File`] if the disk fails.
pub fn save_pth(path: &Path, weights: &Weights) -> Result<()> {
    let (slots, tensors) = match weights {
        Weights { generator: Some((config, tensors)), .. } => {
            if config.kind == GeneratorKind::EncoderDecoder {
                return Err(Error::input(format!(
                    "{}: the PyTorch port has no encoder-decoder, so there is no .pth of it; \
                     write a .safetensors file",
                    path.display()
                )));
            }
            (names::generator(config)?, tensors)
        }
        Weights { discriminator: Some((config, tensors)), .. } => {
            (names::discriminator(config)?, tensors)
        }
        _ => return Err(Error::input(format!("{}: there is no network to write", path.display()))),
    };
    for slot in slots.iter().filter(|s| s.implied) {
        if tensor(tensors, &slot.name, slot.shape)?.data.iter().any(|&b| b != 0.0) {
            return Err(Error::input(format!(
                "{}: {} is not zero, but in the PyTorch port a network without norm has no such \
                 bias; write a .safetensors file",
                path.display(),
                slot.name
            )));
        }
    }
    let slots: Vec<Slot> = slots.into_iter().filter(|s| !s.implied).collect();
    let layout: Vec<_> = slots.iter().map(|s| (s.port.clone(), s.port_size())).collect();
    pth::write(path, &layout, |i, out| {
        let Slot { name, shape, filter, .. } = &slots[i];
        let data = &tensor(tensors, name, *shape)?.data;
        if !filter {
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
