//! Our parameter names against the nested ones of PyTorch's modules. Written from the structure of
//! the port's networks alone, apart from what the engine itself knows of foreign names.

use pix2pix_engine::device::{Cpu, Device};
use pix2pix_engine::nn::Params;

use crate::common::files::Golden;

/// "down3.conv.weight" as PyTorch names it in a U-Net of `depth` levels.
///
/// The block of a level holds the next one: at index 1 in the outermost, at 3 in all others, so
/// level 3 is `model.model.1.model.3.model`. Inside: outermost conv 0, up 3; middle conv 1, norm 2,
/// up 5, norm 6; innermost conv 1, up 3, norm 4.
pub fn generator(depth: usize, ours: &str) -> String {
    let (layer, part, what) = split(ours);
    let down = layer.strip_prefix("down").map(|n| n.parse::<usize>().unwrap());
    let up = layer.strip_prefix("up").map(|n| depth + 1 - n.parse::<usize>().unwrap());
    let level = down.or(up).unwrap();
    let path = match level {
        1 => "model.model".to_string(),
        _ => format!("model.model.1.model{}", ".3.model".repeat(level - 2)),
    };
    let index = match (level, down.is_some(), part) {
        (1, true, "conv") => 0,
        (1, false, "conv") => 3,
        (l, false, "conv") if l == depth => 3,
        (l, false, "norm") if l == depth => 4,
        (_, true, "conv") => 1,
        (_, true, "norm") => 2,
        (_, false, "conv") => 5,
        (_, false, "norm") => 6,
        _ => panic!("no such layer: {ours}"),
    };
    format!("{path}.{index}.{what}")
}

/// "layer2.norm.weight" in a PatchGAN of `layers`: convolutions at 0, 2, 5, 8, ..., each norm one
/// behind its convolution. The pixel network (0 layers) is called `net`, with convolutions at 0, 2
/// and 5.
pub fn discriminator(layers: usize, ours: &str) -> String {
    let (layer, part, what) = split(ours);
    let number: usize = layer.strip_prefix("layer").unwrap().parse().unwrap();
    let at = if number == 1 { 0 } else { 3 * (number - 1) - 1 };
    let root = if layers == 0 { "net" } else { "model" };
    format!("{root}.{}.{what}", at + usize::from(part == "norm"))
}

fn split(ours: &str) -> (&str, &str, &str) {
    let parts: Vec<&str> = ours.split('.').collect();
    let [layer, part, what] = *parts else { panic!("{ours} has not three parts") };
    (layer, part, what)
}

/// Fills trained parameters from `prefix`, statistics with mean 0 and variance 1, and asserts that
/// the file holds no weight besides.
pub fn load(
    cpu: &mut Cpu,
    params: &Params,
    file: &Golden,
    prefix: &str,
    name: impl Fn(&str) -> String,
) {
    let mut used = Vec::new();
    for param in params.iter() {
        if param.trained {
            let (shape, values) = file.get(&format!("{prefix}{}", name(&param.name)));
            assert_eq!(shape, param.shape, "{}", param.name);
            cpu.upload(param.view(), &values).unwrap();
            used.push(name(&param.name));
        } else {
            let start = f32::from(u8::from(param.name.ends_with("running_var")));
            cpu.upload(param.view(), &vec![start; param.shape.count()]).unwrap();
        }
    }
    used.sort();
    assert_eq!(used, file.under(prefix), "parameters of the file and of the network");
}
