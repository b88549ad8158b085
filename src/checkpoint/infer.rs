//! Which network a state dict of the PyTorch port holds, from the names and extents of its tensors.
//!
//! The names are those of [`crate::nn::Param::port`]. A network is recognised by the few tensors
//! that distinguish it from others, then every tensor is compared.

use super::foreign::{self, NamedSize};
use crate::Result;
use crate::model::{DiscriminatorConfig, GeneratorConfig, GeneratorKind, NormKind, Output};
use crate::nn::{Params, PortTensor};

/// A network that was recognised.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NetworkConfig {
    /// A generator.
    Generator(GeneratorConfig),
    /// A discriminator.
    Discriminator(DiscriminatorConfig),
}

/// What is found in a file, or what is wrong with it in a sentence without the file's name.
type Inferred<T> = std::result::Result<T, String>;

/// Which network a port's file holds, and its parameters. Dropout leaves no trace in weights and is
/// taken to be on, the port's default.
///
/// # Errors
/// A sentence that names the first tensor that does not fit.
pub fn infer(tensors: &[NamedSize]) -> Inferred<(NetworkConfig, Params)> {
    ours(tensors)?.ok_or_else(|| not_ours(tensors))
}

/// As [`infer`], but `None` where no tensor tells a network of ours.
fn ours(tensors: &[NamedSize]) -> Inferred<Option<(NetworkConfig, Params)>> {
    let (config, params) = if let Some(config) = generator(tensors)? {
        let params = config.params();
        (NetworkConfig::Generator(config), params)
    } else if let Some(config) = discriminator(tensors)? {
        let params = config.params();
        (NetworkConfig::Discriminator(config), params)
    } else {
        return Ok(None);
    };
    let params = within_bounds(params)?;
    compare(tensors, &params)?;
    Ok(Some((config, params)))
}

/// What tensors are that cannot be read as they lie in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Recognised {
    /// A network of ours, with this before the names of its tensors.
    Ours(&'static str, &'static str),
    /// A network of another program.
    Foreign(String),
}

impl Recognised {
    /// What it is, in a few words.
    pub fn what(&self) -> String {
        match self {
            Recognised::Ours(what, "") => what.to_string(),
            Recognised::Ours(what, prefix) => {
                format!("{what} with `{prefix}` before the names of its tensors")
            }
            Recognised::Foreign(what) => {
                format!("{what}, which this program does not have yet")
            }
        }
    }

    /// A line of Python that saves it as it can be read, from the dictionary that `source` gives;
    /// `None` if nothing does.
    pub fn cure(&self, source: &str) -> Option<String> {
        let dictionary = match self {
            Recognised::Foreign(_) => return None,
            Recognised::Ours(_, "") => source.to_string(),
            Recognised::Ours(_, prefix) => format!(
                "{{k.removeprefix(\"{prefix}\"): v for k, v in {source}.items() if \
                 k.startswith(\"{prefix}\")}}"
            ),
        };
        Some(format!("torch.save({dictionary}, \"network.pth\")"))
    }
}

/// What these tensors are, ours or another program's.
pub fn recognised(tensors: &[NamedSize]) -> Option<Recognised> {
    let ours = foreign::PREFIXES.iter().find_map(|prefix| {
        let inside = foreign::under(prefix, tensors);
        let inside: Vec<_> =
            inside.iter().filter_map(|&(n, size)| Some((plain(n)?, size))).collect();
        let what = match ours(&inside).ok()??.0 {
            NetworkConfig::Generator(_) => "a U-Net generator of the PyTorch port",
            NetworkConfig::Discriminator(_) => "a PatchGAN discriminator of the PyTorch port",
        };
        Some(Recognised::Ours(what, prefix))
    });
    ours.or_else(|| foreign::network(tensors).map(Recognised::Foreign))
}

/// The configuration of a file that has the first filter of a U-Net.
fn generator(tensors: &[NamedSize]) -> Inferred<Option<GeneratorConfig>> {
    let unet = |depth, norm| GeneratorConfig {
        kind: GeneratorKind::Unet,
        in_channels: 1,
        out_channels: 1,
        base_channels: 1,
        depth,
        norm,
        dropout: true,
        output: Output::Tanh,
    };
    // The encoder's filters have the same names at every depth, and so has the last filter.
    let deepest = GeneratorConfig::DEEPEST;
    let any = within_bounds(unet(deepest, NormKind::Batch).params())?;
    let down = |i: usize| port_name(&any, &format!("down{i}.conv.weight"));
    if !has(tensors, down(1)) {
        return Ok(None);
    }
    let depth = 1 + (2..=deepest).take_while(|&i| has(tensors, down(i))).count();
    let (base_channels, in_channels) = filter(tensors, down(1))?;
    let (_, out_channels) = filter(tensors, port_name(&any, &format!("up{deepest}.conv.weight")))?;
    let [batch, instance] = [NormKind::Batch, NormKind::Instance].map(|n| unet(depth, n).params());
    let scale = has(tensors, port_name(&within_bounds(batch)?, "up1.norm.weight"));
    let innermost = format!("down{depth}.conv.bias");
    let bias = has(tensors, port_name(&within_bounds(instance)?, &innermost));
    let norm = norm(scale, bias);
    Ok(Some(GeneratorConfig { in_channels, out_channels, base_channels, ..unet(depth, norm) }))
}

/// The configuration of a file that has the first filter of a PixelGAN or PatchGAN.
fn discriminator(tensors: &[NamedSize]) -> Inferred<Option<DiscriminatorConfig>> {
    let patch =
        |layers, norm| DiscriminatorConfig { in_channels: 1, base_channels: 1, layers, norm };
    let pixel = within_bounds(patch(0, NormKind::Batch).params())?;
    let layers = if has(tensors, port_name(&pixel, "layer1.conv.weight")) {
        0
    } else {
        // The first layers have the same names in networks of any number of them.
        let deepest = DiscriminatorConfig::DEEPEST;
        let any = within_bounds(patch(deepest, NormKind::Batch).params())?;
        let conv = |i: usize| port_name(&any, &format!("layer{i}.conv.weight"));
        // A PatchGAN of n layers has n + 2 convolutions, the first of them `model.0`.
        let further = (2..=deepest + 2).take_while(|&i| has(tensors, conv(i))).count();
        if !has(tensors, conv(1)) || further < 2 {
            return Ok(None);
        }
        further - 1
    };
    let [batch, instance] =
        [NormKind::Batch, NormKind::Instance].map(|n| patch(layers, n).params());
    let (batch, instance) = (within_bounds(batch)?, within_bounds(instance)?);
    let (base_channels, in_channels) = filter(tensors, port_name(&batch, "layer1.conv.weight"))?;
    let scale = has(tensors, port_name(&batch, "layer2.norm.weight"));
    let bias = has(tensors, port_name(&instance, "layer2.conv.bias"));
    let norm = norm(scale, bias);
    Ok(Some(DiscriminatorConfig { in_channels, base_channels, ..patch(layers, norm) }))
}

/// The norm of a network, by whether the inner blocks have scales and the inner convolutions
/// biases.
fn norm(scale: bool, bias: bool) -> NormKind {
    match (scale, bias) {
        (true, _) => NormKind::Batch,
        (false, true) => NormKind::Instance,
        (false, false) => NormKind::None,
    }
}

fn within_bounds(params: Result<Params>) -> Inferred<Params> {
    params.map_err(|e| e.to_string())
}

/// What our parameter `ours` is called in the port's files.
fn port_name<'a>(params: &'a Params, ours: &str) -> &'a str {
    let port = params.iter().find(|p| p.name == ours).and_then(|p| p.port.as_ref());
    &port.expect("networks of the port have these parameters").name
}

fn size<'a>(tensors: &[NamedSize<'a>], name: &str) -> Option<&'a [usize]> {
    tensors.iter().find(|t| t.0 == name).map(|t| t.1)
}

fn has(tensors: &[NamedSize], name: &str) -> bool {
    size(tensors, name).is_some()
}

/// The first two extents of a filter.
fn filter(tensors: &[NamedSize], name: &str) -> Inferred<(usize, usize)> {
    match size(tensors, name) {
        Some(&[k, c, _, _]) => Ok((k, c)),
        Some(other) => Err(format!("{name} has the extents {other:?}; a filter has four")),
        None => Err(format!("there is no {name} in it, so it is not a complete network")),
    }
}

fn not_ours(tensors: &[NamedSize]) -> String {
    let Some((first, _)) = tensors.first() else {
        return "it holds no tensors; save `network.state_dict()` with torch.save".into();
    };
    match recognised(tensors) {
        Some(found) => match found.cure("torch.load(FILE)") {
            Some(cure) => format!("it holds {}; take that away: {cure}", found.what()),
            None => format!(
                "it holds {}; it has pix2pix's U-Net generator and PatchGAN discriminator",
                found.what()
            ),
        },
        None => format!(
            "its first tensor, {first}, belongs neither to a pix2pix U-Net generator nor to a \
             PatchGAN discriminator, the two networks that can be converted"
        ),
    }
}

/// Every parameter is there with its extents, and nothing else but what PyTorch keeps beside
/// weights.
fn compare(tensors: &[NamedSize], params: &Params) -> Inferred<()> {
    let stored = || params.iter().filter_map(|p| p.port.as_ref()).filter(|p| !p.implied);
    for (i, (name, size)) in tensors.iter().enumerate() {
        // With `module.` taken off, two names can become one.
        if tensors[..i].iter().any(|t| t.0 == *name) {
            return Err(format!("it has two tensors {name}"));
        }
        let Some(PortTensor { size: want, .. }) = stored().find(|p| p.name == *name) else {
            return Err(format!("it has a tensor {name} that no pix2pix network has there"));
        };
        if want != size {
            return Err(format!("{name} has the extents {size:?}, but {want:?} were expected"));
        }
    }
    match stored().find(|p| !has(tensors, &p.name)) {
        Some(port) => Err(format!("there is no {} in it, which the network needs", port.name)),
        None => Ok(()),
    }
}

/// The name without DataParallel's `module.`, or `None` for what carries no weights: the counter
/// `num_batches_tracked`.
pub fn plain(name: &str) -> Option<&str> {
    let name = name.strip_prefix("module.").unwrap_or(name);
    (!name.ends_with("num_batches_tracked")).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_tensor_that_does_not_fit_is_named() {
        let config = DiscriminatorConfig {
            in_channels: 6,
            base_channels: 64,
            layers: 1,
            norm: NormKind::Batch,
        };
        let params = config.params().unwrap();
        let stored = params.iter().filter_map(|p| p.port.as_ref());
        let sizes: Vec<_> = stored.map(|p| (p.name.clone(), p.size.clone())).collect();
        type Sizes = Vec<(String, Vec<usize>)>;
        let says = |change: &dyn Fn(&mut Sizes)| {
            let mut sizes = sizes.clone();
            change(&mut sizes);
            let list: Vec<_> = sizes.iter().map(|(n, s)| (n.as_str(), s.as_slice())).collect();
            infer(&list).map(|(config, _)| config)
        };
        assert_eq!(says(&|_| {}), Ok(NetworkConfig::Discriminator(config.clone())));
        let error = |change| says(change).unwrap_err();
        assert!(
            error(&|s| s[2].1[1] = 63).contains("model.2.weight has the extents [128, 63, 4, 4]")
        );
        assert!(error(&|s| drop(s.remove(5))).contains("there is no model.3.running_mean"));
        assert!(error(&|s| s.push(s[0].clone())).contains("two tensors model.0.weight"));
        assert!(error(&|s| s.push(("x.y".into(), vec![1]))).contains("a tensor x.y"));
        assert!(error(&|s| s.truncate(2)).contains("its first tensor, model.0.weight, belongs"));
        assert!(error(&|s| s[0].0 = "model.1.weight".into()).contains("model.1.weight, belongs"));
        assert!(error(&|s| s.clear()).contains("no tensors"));
    }

    #[test]
    fn data_parallels_prefix_goes_and_counters_are_dropped() {
        assert_eq!(plain("module.model.0.weight"), Some("model.0.weight"));
        assert_eq!(plain("model.0.weight"), Some("model.0.weight"));
        assert_eq!(plain("model.3.num_batches_tracked"), None);
    }
}
