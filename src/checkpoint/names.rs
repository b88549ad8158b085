//! What every tensor of a network is called: by us, and by the PyTorch port of pix2pix.
//!
//! | | ours | the port's |
//! | --- | --- | --- |
//! | i-th convolution down | `down1.conv` ... `downN.conv` | `model.model.0`, then `.1` inside each submodule |
//! | i-th convolution up, innermost first | `up1.conv` ... `upN.conv` | `.3` of the innermost and outermost, `.5` between |
//! | their norms | `down2.norm` ... , `up1.norm` ... | `.2`, and `.4` or `.6` |
//! | discriminator | `layer1.conv`, `layer2.norm`, ... | `model.0`, `model.3`, ...; `net.` for the PixelGAN |
//!
//! Filters: PyTorch's (dim0, dim1, r, s) is our (dim0, r, s, dim1), for both kinds of convolution.
//!
//! Source: `models/networks.py` of junyanz/pytorch-CycleGAN-and-pix2pix. There `--norm none` leaves
//! the inner convolutions without bias, where ours have one: such a bias is zero when it comes from
//! a port's file ([`Slot::implied`]).

use crate::model::{DiscriminatorConfig, GeneratorConfig, GeneratorKind, NormKind};
use crate::tensor::Shape;
use crate::{Error, Result};

/// One tensor of a network under both of its names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Slot {
    /// Our name, without the network's prefix: `down2.conv.weight`.
    pub name: String,
    /// The port's name: `model.model.1.model.1.weight`.
    pub port: String,
    /// Our extents: (k, r, s, c) or a vector.
    pub shape: Shape,
    /// Has four extents in PyTorch.
    pub filter: bool,
    /// The port has no such tensor; its value is zero.
    pub implied: bool,
}

impl Slot {
    /// Extents in PyTorch's order: (dim0, dim1, r, s) or (c).
    pub fn port_size(&self) -> Vec<usize> {
        let Shape { n, h, w, c } = self.shape;
        if self.filter { vec![n, c, h, w] } else { vec![c] }
    }
}

/// More levels than any picture has halvings, and layers than any patch needs.
const DEEPEST: usize = 16;
/// Wider than any network that fits a machine; keeps every product far from overflow.
const WIDEST: usize = 1 << 20;

/// Channels after `i` convolutions: they double to 8 times the base, then stay.
fn width(base: usize, i: usize) -> usize {
    base << (i - 1).min(3)
}

/// Collects slots; knows what comes with a convolution under each kind of norm.
struct Slots {
    slots: Vec<Slot>,
    norm: NormKind,
}

impl Slots {
    fn push(&mut self, ours: &str, port: &str, tensor: &str, shape: Shape, filter: bool) {
        let name = format!("{ours}.{tensor}");
        let port = format!("{port}.{tensor}");
        self.slots.push(Slot { name, port, shape, filter, implied: false });
    }

    /// `inner`: the port gives it no bias but under instance norm.
    fn conv(&mut self, ours: &str, port: &str, filter: Shape, outputs: usize, inner: bool) {
        let ours = format!("{ours}.conv");
        self.push(&ours, port, "weight", filter, true);
        if !inner || self.norm != NormKind::Batch {
            self.push(&ours, port, "bias", Shape::vector(outputs), false);
            let last = self.slots.last_mut().expect("just pushed");
            last.implied = inner && self.norm == NormKind::None;
        }
    }

    fn norm(&mut self, ours: &str, port: &str, channels: usize) {
        if self.norm == NormKind::Batch {
            let ours = format!("{ours}.norm");
            for tensor in ["weight", "bias", "running_mean", "running_var"] {
                self.push(&ours, port, tensor, Shape::vector(channels), false);
            }
        }
    }
}

/// The port's name of level `i`, 1 being the outermost, with its final dot.
fn level(i: usize) -> String {
    let inner = ["1.model.", &"3.model.".repeat(i.saturating_sub(2))].concat();
    format!("model.model.{}", if i == 1 { "" } else { &inner })
}

/// Every tensor of a generator, in the order the picture meets them.
///
/// # Errors
/// [`Error::Input`] if an extent is zero or beyond reason.
pub fn generator(config: &GeneratorConfig) -> Result<Vec<Slot>> {
    let &GeneratorConfig { kind, in_channels, out_channels, base_channels, depth, norm, .. } =
        config;
    bounded("the generator's depth", depth, 2, DEEPEST)?;
    for (what, channels) in [
        ("in_channels", in_channels),
        ("out_channels", out_channels),
        ("base_channels", base_channels),
    ] {
        bounded(&format!("the generator's {what}"), channels, 1, WIDEST)?;
    }
    let mut slots = Slots { slots: Vec::new(), norm };
    for i in 1..=depth {
        let (ours, at) = (format!("down{i}"), level(i));
        let inputs = if i == 1 { in_channels } else { width(base_channels, i - 1) };
        let outputs = width(base_channels, i);
        let filter = Shape::new(outputs, 4, 4, inputs);
        slots.conv(&ours, &format!("{at}{}", usize::from(i > 1)), filter, outputs, true);
        if i > 1 && i < depth {
            slots.norm(&ours, &format!("{at}2"), outputs);
        }
    }
    for i in (1..=depth).rev() {
        let (ours, at) = (format!("up{}", depth + 1 - i), level(i));
        let joined = if i < depth && kind == GeneratorKind::Unet { 2 } else { 1 };
        let inputs = joined * width(base_channels, i);
        let outputs = if i == 1 { out_channels } else { width(base_channels, i - 1) };
        let conv = if i == 1 || i == depth { 3 } else { 5 };
        let filter = Shape::new(inputs, 4, 4, outputs);
        slots.conv(&ours, &format!("{at}{conv}"), filter, outputs, i > 1);
        if i > 1 {
            slots.norm(&ours, &format!("{at}{}", conv + 1), outputs);
        }
    }
    Ok(slots.slots)
}

/// Every tensor of a discriminator, in the order the picture meets them.
///
/// # Errors
/// [`Error::Input`] if an extent is zero or beyond reason.
pub fn discriminator(config: &DiscriminatorConfig) -> Result<Vec<Slot>> {
    let &DiscriminatorConfig { in_channels, base_channels, layers, norm } = config;
    bounded("the discriminator's layers", layers, 0, DEEPEST)?;
    bounded("the discriminator's in_channels", in_channels, 1, WIDEST)?;
    bounded("the discriminator's base_channels", base_channels, 1, WIDEST)?;
    let pixel = layers == 0;
    // The PixelGAN is three convolutions of one pixel, the middle one normalised.
    let (root, side, last) = if pixel { ("net", 1, 3) } else { ("model", 4, layers + 2) };
    let mut slots = Slots { slots: Vec::new(), norm };
    for i in 1..=last {
        let ours = format!("layer{i}");
        // In the port each inner layer is three modules: convolution, norm, leaky relu.
        let index = if i == 1 { 0 } else { 3 * i - 4 };
        let inputs = if i == 1 { in_channels } else { width(base_channels, i - 1) };
        let outputs = if i == last { 1 } else { width(base_channels, i) };
        let filter = Shape::new(outputs, side, side, inputs);
        let inner = i > 1 && (i < last || pixel);
        slots.conv(&ours, &format!("{root}.{index}"), filter, outputs, inner);
        if i > 1 && i < last {
            slots.norm(&ours, &format!("{root}.{}", index + 1), outputs);
        }
    }
    Ok(slots.slots)
}

fn bounded(what: &str, value: usize, least: usize, most: usize) -> Result<()> {
    if (least..=most).contains(&value) {
        return Ok(());
    }
    Err(Error::input(format!("{what} is {value}; it must lie between {least} and {most}")))
}

/// A network, as read from the names and extents of a port's file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Network {
    /// A U-Net. Dropout leaves no trace in weights and is taken to be on, the port's default.
    Generator(GeneratorConfig),
    /// A PatchGAN or PixelGAN.
    Discriminator(DiscriminatorConfig),
}

/// One tensor of a port's file: its name, without `module.`, and PyTorch's extents.
pub type PortTensor<'a> = (&'a str, &'a [usize]);

/// Which network a port's file holds. `num_batches_tracked` may be among the names or not.
///
/// # Errors
/// A sentence that names the first tensor that does not fit, without the file's name.
pub fn infer(tensors: &[PortTensor]) -> std::result::Result<(Network, Vec<Slot>), String> {
    let size = |name: &str| tensors.iter().find(|t| t.0 == name).map(|t| t.1);
    let has = |name: &str| size(name).is_some();
    let norm = |weight: &str, bias: &str| match (has(weight), has(bias)) {
        (true, _) => NormKind::Batch,
        (false, true) => NormKind::Instance,
        (false, false) => NormKind::None,
    };
    let filter = |name: &str| match size(name) {
        Some(&[k, c, _, _]) => Ok((k, c)),
        Some(other) => Err(format!("{name} has the extents {other:?}; a filter has four")),
        None => Err(format!("there is no {name} in it, so it is not a complete network")),
    };
    let root = ["model.model.0.weight", "net.0.weight", "model.0.weight"]
        .into_iter()
        .find(|name| has(name));
    let fits = |slots: Result<Vec<Slot>>| {
        let slots = slots.map_err(|e| e.to_string())?;
        compare(tensors, &slots)?;
        Ok::<_, String>(slots)
    };
    match root {
        Some(root @ "model.model.0.weight") => {
            let deeper = |i: &usize| has(&format!("{}1.weight", level(*i)));
            let depth = 1 + (2..=DEEPEST).take_while(deeper).count();
            let (base_channels, in_channels) = filter(root)?;
            let (_, out_channels) = filter("model.model.3.weight")?;
            let inner = level(depth);
            let config = GeneratorConfig {
                kind: GeneratorKind::Unet,
                in_channels,
                out_channels,
                base_channels,
                depth,
                norm: norm(&format!("{inner}4.weight"), &format!("{inner}1.bias")),
                dropout: true,
            };
            Ok((Network::Generator(config.clone()), fits(generator(&config))?))
        }
        Some(root) => {
            let (layers, prefix) = if root == "net.0.weight" {
                (0, "net")
            } else {
                let longer = |i: &usize| has(&format!("model.{}.weight", 3 * i - 4));
                ((2..=DEEPEST + 2).take_while(longer).count().saturating_sub(1), "model")
            };
            if layers == 0 && prefix == "model" {
                return Err(not_ours(tensors));
            }
            let (base_channels, in_channels) = filter(root)?;
            let config = DiscriminatorConfig {
                in_channels,
                base_channels,
                layers,
                norm: norm(&format!("{prefix}.3.weight"), &format!("{prefix}.2.bias")),
            };
            Ok((Network::Discriminator(config.clone()), fits(discriminator(&config))?))
        }
        None => Err(not_ours(tensors)),
    }
}

fn not_ours(tensors: &[PortTensor]) -> String {
    match tensors.first() {
        None => "it holds no tensors; save `network.state_dict()` with torch.save".into(),
        Some((name, _)) => format!(
            "its first tensor, {name}, belongs neither to a pix2pix U-Net generator nor to a \
             PatchGAN discriminator, the two networks that can be converted"
        ),
    }
}

/// Every slot is there with its extents, and nothing else but what PyTorch keeps beside weights.
fn compare(tensors: &[PortTensor], slots: &[Slot]) -> std::result::Result<(), String> {
    for (i, (name, size)) in tensors.iter().enumerate() {
        // With `module.` taken off, two names can become one.
        if tensors[..i].iter().any(|t| t.0 == *name) {
            return Err(format!("it has two tensors {name}"));
        }
        let Some(slot) = slots.iter().find(|s| s.port == *name && !s.implied) else {
            return Err(format!("it has a tensor {name} that no pix2pix network has there"));
        };
        if slot.port_size() != *size {
            let want = slot.port_size();
            return Err(format!("{name} has the extents {size:?}, but {want:?} were expected"));
        }
    }
    let absent = |s: &&Slot| !s.implied && !tensors.iter().any(|t| t.0 == s.port);
    match slots.iter().find(absent) {
        Some(slot) => Err(format!("there is no {} in it, which the network needs", slot.port)),
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

    fn unet(depth: usize, norm: NormKind) -> GeneratorConfig {
        GeneratorConfig {
            kind: GeneratorKind::Unet,
            in_channels: 3,
            out_channels: 3,
            base_channels: 64,
            depth,
            norm,
            dropout: true,
        }
    }

    fn patch(layers: usize) -> DiscriminatorConfig {
        DiscriminatorConfig { in_channels: 6, base_channels: 64, layers, norm: NormKind::Batch }
    }

    /// What PyTorch trains; it counts running statistics as buffers.
    fn parameters(slots: &[Slot]) -> usize {
        let learnt = |s: &&Slot| !s.name.contains("running") && !s.implied;
        slots.iter().filter(learnt).map(|s| s.shape.count()).sum()
    }

    /// The counts that the port prints ("54.414 M", "2.769 M") and those of its other networks.
    #[test]
    fn networks_have_the_ports_numbers_of_parameters() {
        let generator = |c: &GeneratorConfig| parameters(&generator(c).unwrap());
        assert_eq!(generator(&unet(8, NormKind::Batch)), 54_413_955);
        assert_eq!(generator(&unet(7, NormKind::Batch)), 41_828_995);
        // Fifteen biases more, and 13 norms of scale and shift fewer.
        let (biases, norms) = (2 * (64 + 128 + 256 + 512 * 4) + 512, 2 * 4_928);
        assert_eq!(generator(&unet(8, NormKind::Instance)), 54_413_955 + biases - norms);
        let counts = [9_024, 139_585, 666_433, 2_768_705, 6_964_033, 11_159_361, 15_354_689];
        for (layers, count) in counts.into_iter().enumerate() {
            assert_eq!(parameters(&discriminator(&patch(layers)).unwrap()), count, "{layers}");
        }
    }

    #[test]
    fn names_are_those_of_the_port() {
        let slots = generator(&unet(8, NormKind::Batch)).unwrap();
        let port = |ours: &str| &slots.iter().find(|s| s.name == ours).unwrap().port;
        assert_eq!(port("down1.conv.weight"), "model.model.0.weight");
        assert_eq!(port("down2.conv.weight"), "model.model.1.model.1.weight");
        assert_eq!(port("down3.norm.bias"), "model.model.1.model.3.model.2.bias");
        assert_eq!(port("up8.conv.bias"), "model.model.3.bias");
        assert_eq!(port("up7.conv.weight"), "model.model.1.model.5.weight");
        let inner = format!("model.model.1.model.{}", "3.model.".repeat(6));
        assert_eq!(*port("down8.conv.weight"), format!("{inner}1.weight"));
        assert_eq!(*port("up1.conv.weight"), format!("{inner}3.weight"));
        assert_eq!(*port("up1.norm.running_var"), format!("{inner}4.running_var"));
        assert!(
            !slots.iter().any(|s| s.name == "down1.conv.bias" || s.name == "down8.norm.weight")
        );
        let slots = discriminator(&patch(3)).unwrap();
        let last = slots.last().unwrap();
        assert_eq!((last.name.as_str(), last.port.as_str()), ("layer5.conv.bias", "model.11.bias"));
        let slots = discriminator(&patch(0)).unwrap();
        let last = slots.last().unwrap();
        assert_eq!(
            (last.name.as_str(), last.port.as_str()),
            ("layer3.conv.weight", "net.5.weight")
        );
    }

    #[test]
    fn the_first_tensor_that_does_not_fit_is_named() {
        let slots = discriminator(&patch(1)).unwrap();
        let sizes: Vec<_> = slots.iter().map(|s| (s.port.clone(), s.port_size())).collect();
        type Sizes = Vec<(String, Vec<usize>)>;
        let says = |change: &dyn Fn(&mut Sizes)| {
            let mut sizes = sizes.clone();
            change(&mut sizes);
            let list: Vec<_> = sizes.iter().map(|(n, s)| (n.as_str(), s.as_slice())).collect();
            infer(&list).map(|(network, _)| network)
        };
        assert_eq!(says(&|_| {}), Ok(Network::Discriminator(patch(1))));
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
    fn extents_beyond_reason_are_refused() {
        assert!(generator(&unet(1, NormKind::Batch)).is_err());
        assert!(generator(&unet(17, NormKind::Batch)).is_err());
        assert!(discriminator(&patch(17)).is_err());
        let wide = GeneratorConfig { base_channels: usize::MAX, ..unet(8, NormKind::None) };
        assert!(generator(&wide).unwrap_err().to_string().contains("base_channels is"));
    }

    #[test]
    fn data_parallels_prefix_goes_and_counters_are_dropped() {
        assert_eq!(plain("module.model.0.weight"), Some("model.0.weight"));
        assert_eq!(plain("model.0.weight"), Some("model.0.weight"));
        assert_eq!(plain("model.3.num_batches_tracked"), None);
    }
}
