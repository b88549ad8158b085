//! What a `.pth` holds that is no network of ours: networks of other programs by the names of their
//! tensors, and what else `torch.save` writes, so that an error can say what was given.
//!
//! The names are those of the programs' module trees: `models/networks.py` of the PyTorch port and of
//! pix2pixHD, `models/networks/generator.py` of SPADE, and the U-Nets that people train beside them.

/// One tensor of a state dict: its name and PyTorch's extents.
pub type NamedSize<'a> = (&'a str, &'a [usize]);

/// A network that the names of its tensors tell.
struct Known {
    /// Each begins the name of some tensor.
    all: &'static [&'static str],
    is: &'static str,
}

/// Networks that a few names tell, the more particular before the more general.
const KNOWN: &[Known] = &[
    Known { all: &["model1_1.", "model1_2.", "model."], is: "a local enhancer of pix2pixHD" },
    Known { all: &["scale0_layer0.", "scale0_layer1."], is: MULTISCALE },
    Known { all: &["layer0.0.", "layer0.2."], is: MULTISCALE },
    Known { all: &["up_0.norm_0.mlp_shared.", "head_0."], is: "a SPADE (GauGAN) generator" },
    Known { all: &["inc.double_conv.", "outc."], is: "a U-Net of Pytorch-UNet (milesial)" },
    Known { all: &["inc.conv.", "outc."], is: "a U-Net of Pytorch-UNet (milesial)" },
    Known {
        all: &["encoder.", "decoder.", "segmentation_head."],
        is: "a network of segmentation_models.pytorch",
    },
    Known { all: &["down1.model.", "up1.model.", "final."], is: "a U-Net of PyTorch-GAN" },
    Known {
        all: &["initial_down.", "bottleneck.", "final_up."],
        is: "a U-Net with the names `initial_down` to `final_up`",
    },
    Known {
        all: &["encoder1.", "bottleneck.", "upconv1."],
        is: "a U-Net with the names `encoder1` to `upconv1`",
    },
    Known { all: &["conv_in.", "down_blocks.", "up_blocks."], is: "a U-Net of a diffusion model" },
    Known { all: &["input_blocks.", "middle_block."], is: "a U-Net of a diffusion model" },
    Known { all: &["features.", "classifier."], is: CLASSIFIER },
    Known { all: &["layer1.0.", "layer4.0.", "fc."], is: CLASSIFIER },
    Known { all: &["patch_embed.", "blocks.0."], is: "a vision transformer" },
    Known { all: &["encoder", "decoder"], is: "an encoder with a decoder of another program" },
    Known { all: &["down", "up"], is: "a U-Net of another program" },
];
const MULTISCALE: &str = "a multiscale discriminator of pix2pixHD";
const CLASSIFIER: &str = "a network that classifies pictures";

/// Prefixes that training programs put before the names of a network.
pub const PREFIXES: [&str; 8] =
    ["", "module.", "generator.", "netG.", "net_G.", "model.", "_orig_mod.", "G."];

/// Which network of another program has these tensors, as in "a ResNet generator ... with 9
/// blocks".
pub fn network(tensors: &[NamedSize]) -> Option<String> {
    PREFIXES.iter().find_map(|prefix| recognised(&under(prefix, tensors)))
}

/// The tensors whose names begin with `prefix`, without it.
pub fn under<'a>(prefix: &str, tensors: &[NamedSize<'a>]) -> Vec<NamedSize<'a>> {
    let inside =
        tensors.iter().filter_map(|&(name, size)| Some((name.strip_prefix(prefix)?, size)));
    inside.collect()
}

fn recognised(tensors: &[NamedSize]) -> Option<String> {
    if let Some(line) = known(tensors, &KNOWN[..1]).or_else(|| resnet(tensors)) {
        return Some(line);
    }
    if let Some(line) = known(tensors, &KNOWN[1..]) {
        return Some(line);
    }
    let spectral = |&(name, _): &NamedSize| {
        name.ends_with(".weight_orig") || name.contains(".parametrizations.weight.")
    };
    tensors.iter().any(spectral).then(|| "a network with spectral norm".to_string())
}

fn known(tensors: &[NamedSize], list: &[Known]) -> Option<String> {
    let has = |start: &str| tensors.iter().any(|(name, _)| name.starts_with(start));
    let found = list.iter().find(|known| known.all.iter().all(|start| has(start)))?;
    Some(found.is.to_string())
}

/// The ResNet generators of the port and of pix2pixHD: a filter of 7 x 7, filters that halve the
/// picture, blocks of two filters.
fn resnet(tensors: &[NamedSize]) -> Option<String> {
    let index = |name: &str| name.strip_prefix("model.")?.split('.').next()?.parse::<usize>().ok();
    let mut blocks: Vec<usize> = tensors
        .iter()
        .filter(|(name, _)| name.contains(".conv_block."))
        .filter_map(|(name, _)| index(name))
        .collect();
    blocks.dedup();
    let first = *blocks.first()?;
    let stem = tensors.iter().find(|(name, _)| *name == "model.1.weight")?.1;
    if !matches!(stem, [_, _, 7, 7]) {
        return None;
    }
    let halvings = tensors
        .iter()
        .filter(|(name, size)| size.len() == 4 && name.ends_with(".weight"))
        .filter(|(name, _)| index(name).is_some_and(|i| i > 1 && i < first))
        .count();
    let blocks = blocks.len();
    Some(match halvings {
        2 => format!(
            "a ResNet generator of the PyTorch port (pix2pix or CycleGAN) with {blocks} blocks"
        ),
        4 => format!("a global generator of pix2pixHD with {blocks} blocks"),
        n => format!("a ResNet generator with {blocks} blocks and {n} halvings"),
    })
}

/// What a zip archive is that has these members and none of PyTorch's.
pub fn archive(members: &[String]) -> Option<&'static str> {
    let ends = |end: &str| members.iter().any(|name| name.ends_with(end));
    if ends("model.weights.h5") {
        return Some("a model of Keras");
    }
    ends(".npy").then_some("an archive of NumPy arrays")
}

/// What a file is whose dictionary has these keys and holds something other than tensors.
pub fn container(keys: &[&str]) -> Option<&'static str> {
    let has = |key: &str| keys.contains(&key);
    if has("pytorch-lightning_version") {
        return Some("a checkpoint of Lightning");
    }
    (has("state") && has("param_groups")).then_some("the state of an optimiser")
}

/// What a file is whose pickle loads the name `module.name`.
pub fn object(module: &str, name: &str) -> Option<&'static str> {
    let under = |root: &str| module == root || module.starts_with(&format!("{root}."));
    if under("__torch__") || under("torch.jit") {
        return Some("TorchScript (torch.jit.save)");
    }
    if under("pytorch_lightning") || under("lightning") || under("lightning_fabric") {
        return Some("a checkpoint of Lightning");
    }
    if under("torch.optim") {
        return Some("an optimiser with its Python object");
    }
    let network = |part: &&str| {
        ["net", "network", "generator", "discriminator", "model"]
            .iter()
            .any(|word| part.to_ascii_lowercase().contains(word))
    };
    let of_network = under("torch.nn") || module.split('.').chain([name]).any(|p| network(&p));
    (of_network || under("__main__")).then_some("a whole network with its Python object")
}

/// What a file is that begins with `head` and that `torch.save` did not write.
pub fn file(head: &[u8]) -> Option<&'static str> {
    // Torch7 writes a table (3) or an object (4), its number, and for an object the text "V 1".
    let torch7 =
        head.starts_with(&[4, 0, 0, 0, 1, 0, 0, 0, 3, 0, 0, 0]) && head[12..].starts_with(b"V 1");
    let known: [(bool, &str); 5] = [
        (torch7, "a model of Torch7, as the pix2pix of 2017 writes it"),
        (head.starts_with(b"\x89HDF\r\n\x1a\n"), "HDF5, as Keras writes it"),
        (head.starts_with(b"GGUF"), "GGUF"),
        (head.starts_with(b"\x93NUMPY"), "a NumPy array"),
        (
            head.starts_with(b"\x08") && head.windows(4).any(|w| w == b"onnx" || w == b"ONNX"),
            "ONNX",
        ),
    ];
    known.iter().find(|(is, _)| *is).map(|(_, what)| *what)
}
