//! Whole networks: output, gradients of every parameter and of the input, running statistics.

use pix2pix_engine::checkpoint::GENERATOR;
use pix2pix_engine::device::{Arena, Cpu, Device, StepState};
use pix2pix_engine::model::{
    DiscriminatorConfig, GeneratorConfig, GeneratorKind, NormKind, Output,
};
use pix2pix_engine::nn::{Mode, Param, Params, Placement};
use pix2pix_engine::tape::{Tape, Var};
use pix2pix_engine::tensor::Shape;
use pix2pix_engine::train::{Gan, Networks, Objective, Pix2Pix, Segmentation, Step};

use crate::common::files::{Golden, uniform_tensor, whole};
use crate::common::harness::{Harness, gradient, leaves};
use crate::common::{nmse, read};
use crate::names;

/// Normalised mean square error allowed for an output or a gradient of a network of up to eight
/// levels. PyTorch's own float32 has up to 2.2e-11 (`float32_nmse` in the files); the bound leaves
/// the engine a few times that.
const NETWORK_NMSE: f64 = 1e-10;
/// The same of an FCN-8s, whose 15 norms over few pixels lose more: PyTorch's own float32 has up to 8.4e-10 in a pass
/// and 2.2e-9 in a step.
const FCN_NMSE: f64 = 1e-8;
/// Of what Adam's first step added to a parameter, as in `steps.rs`.
const UPDATE_NMSE: f64 = 1e-6;
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
    bound: f64,
    worst: (f64, String),
}

impl Comparison<'_> {
    fn tensor(&mut self, at: &str, got: &[f32]) {
        let exact = self.file.exact(&format!("{}{at}", self.prefix));
        let error = nmse(got, &exact);
        if error > self.worst.0 {
            self.worst = (error, at.to_string());
        }
        assert!(error < self.bound, "{}{at}: NMSE {error:e}", self.prefix);
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
        bound: NETWORK_NMSE,
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
        net.cpu.upload(param.view(), &by_recipe(file, param, &name(&param.name))).unwrap();
    }
}

fn by_recipe(file: &Golden, param: &Param, name: &str) -> Vec<f32> {
    if !param.trained {
        let start = f32::from(u8::from(param.name.ends_with("running_var")));
        return vec![start; param.shape.count()];
    }
    let recipe = &file.facts["weights"][name];
    let number = |key: &str| recipe[key].as_f64().unwrap() as f32;
    let mut values = uniform_tensor(whole(recipe, "stream") as u32, param.shape, number("scale"));
    values.iter_mut().for_each(|v| *v += number("offset"));
    values
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

fn fcn8s(golden: &Golden, dropout: bool) -> GeneratorConfig {
    GeneratorConfig {
        kind: GeneratorKind::Fcn8s,
        in_channels: 3,
        out_channels: whole(&golden.facts, "classes"),
        base_channels: whole(&golden.facts, "base"),
        depth: 5,
        norm: NormKind::Batch,
        dropout,
        output: Output::Logits,
    }
}

/// The extents and the values of the picture that the file describes.
fn fcn8s_input(golden: &Golden) -> (Shape, Vec<f32>) {
    let extent = |i: usize| golden.facts["x"][i].as_u64().unwrap() as usize;
    let x = Shape::new(extent(0), extent(2), extent(3), extent(1));
    (x, uniform_tensor(whole(&golden.facts["streams"], "x") as u32, x, 1.0))
}

#[test]
fn an_fcn8s_follows_pytorch() {
    let golden = &Golden::open("fcn8s.safetensors");
    let mut g = fcn8s(golden, false).build().unwrap();
    let (x, values) = fcn8s_input(golden);
    let mut params = g.params().clone();
    let mut net = pass(&mut params, x, |placed, tape, x| {
        *g.params_mut() = placed.clone();
        g.forward(tape, x, Mode::TRAIN)
    });
    let name = |ours: &str| ours.to_string();
    load_by_recipe(&mut net, &params, golden, &name);
    net.set("x", &values);
    let dy = Shape { c: whole(&golden.facts, "classes"), ..x };
    let scale = golden.facts["dy_scale"].as_f64().unwrap() as f32;
    net.run(&uniform_tensor(whole(&golden.facts["streams"], "dy") as u32, dy, scale));
    let worst = (0.0, String::new());
    let mut found =
        Comparison { file: golden, prefix: String::new(), name: &name, bound: FCN_NMSE, worst };
    found.tensor("y", &net.y());
    found.tensor("dx", &net.grad("x"));
    found.parameters(&params, &net);
    found.report("fcn8s");
}

/// A step of cross entropy with Adam: gradients, what was added to each parameter, statistics.
#[test]
fn a_step_of_an_fcn8s_follows_pytorch() {
    let golden = &Golden::open("fcn8s.safetensors");
    let (x, values) = fcn8s_input(golden);
    let base = Pix2Pix {
        generator: fcn8s(golden, false),
        discriminators: Vec::new(),
        objective: Objective { gan: Gan::None, lambda: 1.0, ..Pix2Pix::default().objective },
        ..Pix2Pix::default()
    };
    let recipe = Segmentation { base, no_class: 255 };
    let networks = Networks::new(&recipe).unwrap();
    let params = networks.named(GENERATOR).unwrap().params().clone();
    let mut cpu = Cpu::new(2).unwrap();
    let step = Step::record(&recipe, &networks, [x.n, x.h, x.w], &cpu).unwrap();
    cpu.reserve(step.program.end()).unwrap();
    params.clear(&mut cpu).unwrap();
    let mut before = Vec::new();
    for param in params.iter() {
        let values = by_recipe(golden, param, &param.name);
        cpu.upload(param.view(), &values).unwrap();
        before.push(values);
    }
    cpu.upload(step.program.view("a").unwrap(), &values).unwrap();
    cpu.upload(step.program.view("classes").unwrap(), &golden.get("labels").1).unwrap();
    cpu.set_state(StepState { seed: 0, step: 1, lr: 2e-4, micro: 0 });
    step.program.run(&mut cpu).unwrap();

    let loss = f64::from(read(&cpu, step.program.view("g_cross_entropy").unwrap())[0]);
    let want = golden.facts["loss"].as_f64().unwrap();
    // PyTorch's float32 is 1.3e-7 away.
    assert!((loss - want).abs() < 1e-6 * want, "{loss}, not {want}");
    let mut worst = (0.0, String::new());
    for (param, before) in params.iter().zip(&before) {
        let values = read(&cpu, param.view());
        let mut compare = |at: &str, got: &[f32], exact: &[f64], bound: f64| {
            let error = nmse(got, exact);
            assert!(error < bound, "{at}{}: NMSE {error:e}", param.name);
            if error > worst.0 && bound == FCN_NMSE {
                worst = (error, param.name.clone());
            }
        };
        let after = golden.exact(&format!("step/after/{}", param.name));
        if !param.trained {
            compare("after/", &values, &after, FCN_NMSE);
            continue;
        }
        let grad = read(&cpu, gradient(params.group(), param.view()));
        compare("grad/", &grad, &golden.exact(&format!("step/grad/{}", param.name)), FCN_NMSE);
        let added = |v: f64, before: f32| v - f64::from(before);
        let got: Vec<f32> = values.iter().zip(before).map(|(v, b)| v - b).collect();
        let exact: Vec<f64> = after.iter().zip(before).map(|(v, b)| added(*v, *b)).collect();
        compare("update/", &got, &exact, UPDATE_NMSE);
    }
    println!("a step of fcn8s: largest NMSE {:.1e} at {}", worst.0, worst.1);
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
                bound: NETWORK_NMSE,
                worst: (0.0, String::new()),
            };
            found.tensor("y", &net.y());
            found.picture("dx", x, &net.grad("x"));
            found.parameters(&params, &net);
            found.report(&case);
        }
    }
}
