//! Whole training steps: losses, pictures, gradients, updated weights, running statistics; and ten
//! steps in a row.

use pix2pix_engine::checkpoint::{DISCRIMINATOR, GENERATOR};
use pix2pix_engine::device::{Cpu, Device, StepState};
use pix2pix_engine::model::{
    DiscriminatorConfig, GeneratorConfig, GeneratorKind, NormKind, Output,
};
use pix2pix_engine::nn::Params;
use pix2pix_engine::tensor::Shape;
use pix2pix_engine::train::{Distance, Gan, Networks, Objective, Pix2Pix, Step};
use serde_json::Value;

use crate::common::files::{Golden, json, uniform_tensor};
use crate::common::harness::gradient;
use crate::common::{nmse, read};
use crate::names;

const LEARNING_RATE: f32 = 2e-4;
const DEPTH: usize = 6;
const LAYERS: usize = 3;
const LOSSES: [&str; 4] = ["d_real", "d_fake", "g_gan", "g_l1"];
/// As for networks: PyTorch's own float32 has up to 2.3e-12 in this step.
const STEP_NMSE: f64 = 1e-10;
/// Normalised mean square error allowed for what Adam's step added to a parameter: the sum of a
/// scale near 1 and a step of 2e-4 is rounded to 6e-8, which is 3e-4 of the step.
const UPDATE_NMSE: f64 = 1e-6;

/// Relative difference allowed for a loss of the first step. Measured: 6.3e-8 here and 7.9e-8 in
/// PyTorch's float32 (vanilla), 2.6e-7 in both (lsgan); in steps 2 to 10 below 1e-7 in both.
const FIRST: f64 = 1e-6;
/// And of any other step up to the tenth: rounding has begun to feed on itself.
const LATER: f64 = 1e-5;

/// The step that every case starts from: depth 6, 64 x 64 pixels, the weights of
/// `step.safetensors`.
struct Run {
    cpu: Cpu,
    step: Step,
    g: Params,
    d: Params,
    size: Shape,
    at: u64,
}

impl Run {
    fn start(file: &Golden, gan: Gan, batch: usize, conditional: bool) -> Run {
        let config = GeneratorConfig {
            kind: GeneratorKind::Unet,
            in_channels: 3,
            out_channels: 3,
            base_channels: 4,
            depth: DEPTH,
            norm: NormKind::Batch,
            dropout: false,
            output: Output::Tanh,
        };
        let objective = Objective { gan, distance: Distance::L1, lambda: 100.0, conditional };
        let in_channels = objective.discriminator_channels(3, 3);
        let norm = NormKind::Batch;
        let d = DiscriminatorConfig { in_channels, base_channels: 8, layers: LAYERS, norm };
        let (generator, discriminators) = (config, vec![d]);
        let recipe = Pix2Pix { generator, discriminators, objective, ..Pix2Pix::default() };
        let networks = Networks::new(&recipe).unwrap();
        let [g, d] =
            [GENERATOR, DISCRIMINATOR].map(|name| networks.named(name).unwrap().params().clone());
        let size = Shape::new(batch, 64, 64, 3);
        let mut cpu = Cpu::new(2).unwrap();
        let step = Step::record(&recipe, &networks, [batch, 64, 64], &cpu).unwrap();
        cpu.reserve(step.program.end()).unwrap();
        names::load(&mut cpu, &g, file, "weight/g/", |n| names::generator(DEPTH, n));
        let d_file = if conditional { file } else { &alone(file) };
        names::load(&mut cpu, &d, d_file, "weight/d/", |n| names::discriminator(LAYERS, n));
        Run { cpu, step, g, d, size, at: 0 }
    }

    /// Plays one step on the pictures of `make.py` and returns the losses.
    fn run(&mut self) -> [f64; 4] {
        for (i, input) in ["a", "b"].into_iter().enumerate() {
            let stream = 8000 + 2 * self.at as u32 + i as u32;
            let view = self.step.program.view(input).unwrap();
            self.cpu.upload(view, &uniform_tensor(stream, self.size, 1.0)).unwrap();
        }
        self.at += 1;
        self.cpu.set_state(StepState { seed: 0, step: self.at, lr: LEARNING_RATE, micro: 0 });
        self.step.program.run(&mut self.cpu).unwrap();
        LOSSES.map(|name| f64::from(self.output(name)[0]))
    }

    fn output(&self, name: &str) -> Vec<f32> {
        read(&self.cpu, self.step.program.view(name).unwrap())
    }
}

/// The file for a discriminator of the target alone: its first filter is input channels 3 to 5 of
/// the conditional one's.
fn alone(file: &Golden) -> Golden {
    let mut file = file.clone();
    file.keep_channels("weight/d/model.0.weight", 3..6);
    file
}

fn losses(row: &Value) -> [f64; 4] {
    LOSSES.map(|name| row[name].as_f64().unwrap())
}

/// Largest relative difference of two rows of losses.
fn drift(got: [f64; 4], exact: [f64; 4]) -> f64 {
    got.iter().zip(exact).map(|(g, e)| (g - e).abs() / e.abs()).fold(0.0, f64::max)
}

#[test]
fn one_step_follows_pytorch() {
    let file = &Golden::open("step.safetensors");
    let mut run = Run::start(file, Gan::Vanilla, 1, true);
    let size = run.size;
    for (i, name) in ["a", "b"].into_iter().enumerate() {
        assert_eq!(file.get(name), (size, uniform_tensor(8000 + i as u32, size, 1.0)));
    }
    let found = drift(run.run(), losses(&file.facts["losses"]));
    println!("losses of the first step: relative difference {found:.1e}");
    assert!(found < FIRST, "{found:e}");
    let mut worst = [(0.0, String::new()), (0.0, String::new()), (0.0, String::new())];
    let mut compare = |kind: usize, name: String, got: &[f32]| {
        let (mut got, mut exact, mut bound) = (got.to_vec(), file.exact(&name), STEP_NMSE);
        if kind == 1 {
            bound = UPDATE_NMSE;
            let before = file.get(&name.replace("after", "weight")).1;
            got.iter_mut().zip(&before).for_each(|(g, b)| *g -= b);
            exact.iter_mut().zip(&before).for_each(|(e, b)| *e -= f64::from(*b));
        }
        let error = nmse(&got, &exact);
        assert!(error < bound, "{name}: NMSE {error:e}");
        if error > worst[kind].0 {
            worst[kind] = (error, name);
        }
    };
    compare(0, "fake".to_string(), &run.output("fake"));
    for (net, params) in [("g", &run.g), ("d", &run.d)] {
        for param in params.iter() {
            let theirs = match net {
                "g" => names::generator(DEPTH, &param.name),
                _ => names::discriminator(LAYERS, &param.name),
            };
            let values = read(&run.cpu, param.view());
            if param.trained {
                let grad = read(&run.cpu, gradient(params.group(), param.view()));
                compare(0, format!("grad/{net}/{theirs}"), &grad);
                compare(1, format!("after/{net}/{theirs}"), &values);
            } else {
                compare(2, format!("after/{net}/{theirs}"), &values);
            }
        }
    }
    for (what, (error, name)) in ["gradients", "updates", "statistics"].iter().zip(&worst) {
        println!("{what}: largest NMSE {error:.1e} at {name}");
    }
}

fn steps(name: &str, gan: Gan, batch: usize, conditional: bool) {
    let runs = json("steps10.json");
    let rows = |kind: &str| -> Vec<[f64; 4]> {
        runs[name][kind].as_array().unwrap().iter().map(losses).collect()
    };
    let (exact, theirs) = (rows("float64"), rows("float32"));
    let mut run = Run::start(&Golden::open("step.safetensors"), gan, batch, conditional);
    let mut found = Vec::new();
    for (exact, theirs) in exact.iter().zip(&theirs) {
        found.push((drift(run.run(), *exact), drift(*theirs, *exact)));
    }
    for (i, (ours, theirs)) in found.iter().enumerate() {
        println!("{name} step {}: ours {ours:.1e}, PyTorch in float32 {theirs:.1e}", i + 1);
    }
    assert!(found[0].0 < FIRST, "first step: {:e}", found[0].0);
    assert!(found.iter().all(|(ours, _)| *ours < LATER), "{found:?}");
}

#[test]
fn ten_steps_follow_pytorch() {
    steps("vanilla", Gan::Vanilla, 1, true);
}

#[test]
fn steps_of_lsgan_follow_pytorch() {
    steps("lsgan", Gan::Lsgan, 1, true);
}

#[test]
fn steps_of_a_batch_follow_pytorch() {
    steps("batch2", Gan::Vanilla, 2, true);
}

#[test]
fn unconditional_steps_follow_pytorch() {
    steps("unconditional", Gan::Vanilla, 1, false);
}
