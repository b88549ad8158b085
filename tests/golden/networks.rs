//! Whole networks: output, gradients of every parameter and of the input, running statistics.

use pix2pix_engine::device::{Arena, Device};
use pix2pix_engine::model::{
    DiscriminatorConfig, GeneratorConfig, GeneratorKind, NormKind, Output,
};
use pix2pix_engine::nn::{Mode, Params, Placement};
use pix2pix_engine::tape::{Tape, Var};
use pix2pix_engine::tensor::Shape;

use crate::common::files::{Golden, uniform_tensor, whole};
use crate::common::harness::{Harness, leaves};
use crate::common::nmse;
use crate::names;

/// Normalised mean square error allowed for an output or a gradient of a network of up to eight
/// levels. PyTorch's own float32 has up to 2.2e-11 (`float32_nmse` in the files); the bound leaves
/// the engine a few times that.
const NETWORK_NMSE: f64 = 1e-10;
/// A bias before a norm has no effect, so its true gradient is 0; what is computed is the rounding
/// of a sum, compared with this part of the largest gradient of the same layer's filter.
const NO_EFFECT: f64 = 1e-5;

fn norm(name: &str) -> NormKind {
    match name {
        "batch" => NormKind::Batch,
        "instance" => NormKind::Instance,
        _ => panic!("norm {name}"),
    }
}

/// Compares everything under `prefix` that a pass through a network left. `rows`: which rows of y
/// and dx the file holds, 1 for all.
struct Comparison<'a> {
    file: &'a Golden,
    prefix: String,
    name: &'a dyn Fn(&str) -> String,
    worst: (f64, String),
}

impl Comparison<'_> {
    fn tensor(&mut self, at: &str, got: &[f32]) {
        let exact = self.file.exact(&format!("{}{at}", self.prefix));
        let error = nmse(got, &exact);
        if error > self.worst.0 {
            self.worst = (error, at.to_string());
        }
        assert!(error < NETWORK_NMSE, "{}{at}: NMSE {error:e}", self.prefix);
    }

    /// A picture of which the file may hold every fourth row only.
    fn picture(&mut self, at: &str, shape: Shape, got: &[f32]) {
        if self.file.has(&format!("{}{at}", self.prefix)) {
            return self.tensor(at, got);
        }
        let rows = got.chunks_exact(shape.w * shape.c).enumerate();
        let kept = rows.filter(|(i, _)| (i % shape.h).is_multiple_of(4));
        let kept: Vec<f32> = kept.flat_map(|(_, row)| row).copied().collect();
        self.tensor(&format!("{at}_rows"), &kept);
    }

    fn parameters(&mut self, params: &Params, net: &Harness) {
        let largest = |values: &[f32]| values.iter().fold(0.0f32, |m, v| m.max(v.abs()));
        for param in params.iter() {
            let theirs = (self.name)(&param.name);
            if !param.trained {
                self.tensor(&format!("after/{theirs}"), &net.value(&param.name));
                continue;
            }
            let got = net.grad(&param.name);
            let exact = self.file.exact(&format!("{}grad/{theirs}", self.prefix));
            if exact.iter().all(|v| v.abs() < 1e-9) {
                assert!(param.name.ends_with("conv.bias"), "{} has no effect", param.name);
                let filter = net.grad(&param.name.replace("bias", "weight"));
                let (noise, scale) = (largest(&got), largest(&filter));
                let part = f64::from(noise) / f64::from(scale);
                assert!(part < NO_EFFECT, "{}: {noise} beside {scale}", param.name);
                continue;
            }
            self.tensor(&format!("grad/{theirs}"), &got);
        }
    }

    fn report(&self, what: &str) {
        println!("{what}: largest NMSE {:.1e} at {}", self.worst.0, self.worst.1);
    }
}

/// Records a network on a leaf x, so that x gets a gradient too.
fn pass(
    params: &mut Params,
    x: Shape,
    forward: impl FnOnce(&Params, &mut Tape, Var) -> pix2pix_engine::Result<Var>,
) -> Harness {
    let mut arena = Arena::default();
    params.place(&mut arena, Placement::Training(&[]));
    let mut input = leaves(&[("x", x)], &[]);
    input.place(&mut arena, Placement::Training(&[]));
    let leaf = input.clone();
    let params = params.clone();
    Harness::new(&arena, vec![params.clone(), input], |tape| {
        let x = leaf.on(tape, 0);
        forward(&params, tape, x)
    })
}

fn generator(file: &str, kind: GeneratorKind) {
    let golden = &Golden::open(&format!("{file}.safetensors"));
    let facts = &golden.facts;
    let depth = whole(facts, "num_downs");
    let config = GeneratorConfig {
        kind,
        in_channels: 3,
        out_channels: 3,
        base_channels: whole(facts, "ngf"),
        depth,
        norm: norm(facts["norm"].as_str().unwrap()),
        dropout: false,
        output: Output::Tanh,
    };
    let mut g = config.build().unwrap();
    let by_formula = !golden.has("x");
    let x = if by_formula { Shape::new(1, 256, 256, 3) } else { golden.get("x").0 };
    let mut params = g.params().clone();
    let mut net = pass(&mut params, x, |placed, tape, x| {
        *g.params_mut() = placed.clone();
        g.forward(tape, x, Mode::TRAIN)
    });
    let name = |ours: &str| names::generator(depth, ours);
    if by_formula {
        load_by_recipe(&mut net, &params, golden, &name);
        net.set("x", &uniform_tensor(whole(&facts["streams"], "x") as u32, x, 1.0));
        let scale = facts["dy_scale"].as_f64().unwrap() as f32;
        net.run(&uniform_tensor(whole(&facts["streams"], "dy") as u32, x, scale));
    } else {
        names::load(&mut net.cpu, &params, golden, "weight/", name);
        net.set("x", &golden.get("x").1);
        net.run(&golden.get("dy").1);
    }
    let mut found = Comparison {
        file: golden,
        prefix: String::new(),
        name: &name,
        worst: (0.0, String::new()),
    };
    found.picture("y", x, &net.y());
    found.picture("dx", x, &net.grad("x"));
    found.parameters(&params, &net);
    found.report(file);
}

/// Weights that the file describes instead of holding: offset + scale * uniform(stream).
fn load_by_recipe(
    net: &mut Harness,
    params: &Params,
    file: &Golden,
    name: &impl Fn(&str) -> String,
) {
    let recipes = file.facts["weights"].as_object().unwrap();
    assert_eq!(recipes.len(), params.iter().filter(|p| p.trained).count());
    for param in params.iter() {
        if !param.trained {
            let start = f32::from(u8::from(param.name.ends_with("running_var")));
            net.set(&param.name, &vec![start; param.shape.count()]);
            continue;
        }
        let recipe = &recipes[&name(&param.name)];
        let number = |key: &str| recipe[key].as_f64().unwrap() as f32;
        let mut values =
            uniform_tensor(whole(recipe, "stream") as u32, param.shape, number("scale"));
        values.iter_mut().for_each(|v| *v += number("offset"));
        net.cpu.upload(param.view(), &values).unwrap();
    }
}

#[test]
fn unet_256_follows_pytorch() {
    generator("unet256_ngf4", GeneratorKind::Unet);
}

#[test]
fn a_batch_through_a_unet_follows_pytorch() {
    generator("unet_d5_ngf4_b2", GeneratorKind::Unet);
}

#[test]
fn a_unet_with_instance_norm_follows_pytorch() {
    generator("unet_d5_ngf4_b2_instance", GeneratorKind::Unet);
}

#[test]
fn an_encoder_decoder_follows_pytorch() {
    generator("encoder_decoder_d5_ngf4_b2", GeneratorKind::EncoderDecoder);
}

#[test]
fn discriminators_follow_pytorch() {
    let golden = &Golden::open("patchgan.safetensors");
    for (label, layers, norm) in [
        ("n3", 3, NormKind::Batch),
        ("n1", 1, NormKind::Batch),
        ("pixel", 0, NormKind::Batch),
        ("n3_instance", 3, NormKind::Instance),
    ] {
        let config = DiscriminatorConfig { in_channels: 6, base_channels: 4, layers, norm };
        for batch in [1, 2] {
            let case = format!("{label}/b{batch}");
            let facts = &golden.facts[&case];
            let extent = |i: usize| facts["x"][i].as_u64().unwrap() as usize;
            let x = Shape::new(extent(0), extent(2), extent(3), extent(1));
            let mut d = config.build().unwrap();
            let mut params = d.params().clone();
            let mut net = pass(&mut params, x, |placed, tape, x| {
                *d.params_mut() = placed.clone();
                d.forward(tape, x, Mode::TRAIN)
            });
            let name = |ours: &str| names::discriminator(layers, ours);
            names::load(&mut net.cpu, &params, golden, &format!("{label}/weight/"), name);
            net.set("x", &uniform_tensor(whole(facts, "x_stream") as u32, x, 1.0));
            net.run(&golden.get(&format!("{case}/dy")).1);
            let mut found = Comparison {
                file: golden,
                prefix: format!("{case}/"),
                name: &name,
                worst: (0.0, String::new()),
            };
            found.tensor("y", &net.y());
            found.picture("dx", x, &net.grad("x"));
            found.parameters(&params, &net);
            found.report(&case);
        }
    }
}
