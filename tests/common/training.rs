//! Small training steps of every kind.

use pix2pix_engine::OneOf;
use pix2pix_engine::device::{Cpu, Device, StepState};
use pix2pix_engine::kernel::Backend;
use pix2pix_engine::model::{
    DiscriminatorConfig, GeneratorConfig, GeneratorKind, NormKind, Output,
};
use pix2pix_engine::nn::Params;
use pix2pix_engine::tensor::Shape;
use pix2pix_engine::train::{Distance, Gan, Networks, Objective, Pix2Pix, Step};

/// What a step is made of.
#[derive(Clone, Copy, Debug)]
pub struct Setup {
    pub kind: GeneratorKind,
    pub norm: NormKind,
    pub gan: Gan,
    pub conditional: bool,
    pub depth: usize,
    pub base: usize,
    pub layers: usize,
    pub dropout: bool,
    /// Extents of the input pictures.
    pub size: Shape,
}

impl Setup {
    /// Depth 6 on 64 x 64, 4 channels wide, with dropout.
    pub const SMALL: Setup = Setup {
        kind: GeneratorKind::Unet,
        norm: NormKind::Batch,
        gan: Gan::Vanilla,
        conditional: true,
        depth: 6,
        base: 4,
        layers: 3,
        dropout: true,
        size: Shape::new(1, 64, 64, 3),
    };

    /// The networks of the paper and the port's defaults.
    pub const DEFAULT: Setup =
        Setup { depth: 8, base: 64, size: Shape::new(1, 256, 256, 3), ..Setup::SMALL };

    /// Every combination of adversarial loss, condition, generator and norm, small.
    pub fn all() -> Vec<Setup> {
        let mut all = Vec::new();
        for (kind, ..) in GeneratorKind::ALL {
            let (kind, depth) = (*kind, kind.only_depth().unwrap_or(Setup::SMALL.depth));
            for norm in [NormKind::Batch, NormKind::Instance, NormKind::None] {
                for gan in [Gan::Vanilla, Gan::Lsgan, Gan::None] {
                    for conditional in [true, false] {
                        all.push(Setup { kind, norm, gan, conditional, depth, ..Setup::SMALL });
                    }
                }
            }
        }
        all
    }

    /// The recipe.
    pub fn recipe(&self) -> Pix2Pix {
        let Setup { kind, norm, gan, conditional, depth, base, layers, dropout, size } = *self;
        let objective = Objective { gan, distance: Distance::L1, lambda: 100.0, conditional };
        let generator = GeneratorConfig {
            kind,
            in_channels: size.c,
            out_channels: 3,
            base_channels: base,
            depth,
            norm,
            dropout,
            output: Output::Tanh,
        };
        let in_channels = objective.discriminator_channels(size.c, 3);
        let d = DiscriminatorConfig { in_channels, base_channels: base, layers, norm };
        let discriminators = if gan == Gan::None { Vec::new() } else { vec![d] };
        Pix2Pix { generator, discriminators, objective, ..Pix2Pix::default() }
    }

    /// The step recorded for a device, its networks' parameters, and the end of the persistent arena.
    pub fn record(&self, b: &dyn Backend) -> (Step, Params, Option<Params>, usize) {
        let (recipe, Shape { n, h, w, .. }) = (self.recipe(), self.size);
        let networks = Networks::new(&recipe).unwrap();
        let step = Step::record(&recipe, &networks, [n, h, w], b).unwrap();
        let mut params = networks.iter().map(|(_, network)| network.params().clone());
        let g = params.next().unwrap();
        (step, g, params.next(), networks.end())
    }
}

/// A step with its device, from first values.
pub struct Training {
    pub cpu: Cpu,
    pub step: Step,
    pub g: Params,
    pub d: Option<Params>,
    pub base: usize,
    at: u64,
}

impl Training {
    pub fn new(setup: &Setup, threads: usize) -> Training {
        let mut cpu = Cpu::new(threads).unwrap();
        let (step, g, d, base) = setup.record(&cpu);
        cpu.reserve(step.program.end()).unwrap();
        let mut training = Training { cpu, step, g, d, base, at: 0 };
        training.init(3);
        training
    }

    /// First values by this seed; the next step is the first again.
    pub fn init(&mut self, seed: u64) {
        self.at = 0;
        self.g.init(&mut self.cpu, seed, 0).unwrap();
        if let Some(d) = &self.d {
            d.init(&mut self.cpu, seed, 1).unwrap();
        }
    }

    /// Writes a pair and the state of the next step.
    pub fn prepare(&mut self, a: &[f32], b: &[f32], lr: f32) {
        for (name, values) in [("a", a), ("b", b)] {
            self.cpu.upload(self.step.program.view(name).unwrap(), values).unwrap();
        }
        self.at += 1;
        self.cpu.set_state(StepState { seed: 9, step: self.at, lr, micro: 0 });
    }

    /// One step on a pair.
    pub fn run(&mut self, a: &[f32], b: &[f32], lr: f32) {
        self.prepare(a, b, lr);
        self.step.program.run(&mut self.cpu).unwrap();
    }

    /// An output's numbers.
    pub fn output(&self, name: &str) -> Vec<f32> {
        super::read(&self.cpu, self.step.program.view(name).unwrap())
    }

    /// All that a step leaves, as bits: parameters, statistics, gradients, moments, losses, picture.
    pub fn left(&self) -> Vec<(String, Vec<u32>)> {
        let bits =
            |values: Vec<f32>| -> Vec<u32> { values.into_iter().map(f32::to_bits).collect() };
        let mut left = Vec::new();
        for (net, params) in [("g", Some(&self.g)), ("d", self.d.as_ref())] {
            let Some(params) = params else { continue };
            let group = params.group();
            for param in params.iter() {
                let view = param.view();
                left.push((format!("{net} {}", param.name), bits(super::read(&self.cpu, view))));
                if !param.trained {
                    continue;
                }
                let gradient = [("gradient", group.grads)];
                for (what, vector) in gradient.iter().chain(&group.state) {
                    let part = group.part(*vector, view).unwrap();
                    let name = format!("{net} {what} of {}", param.name);
                    left.push((name, bits(super::read(&self.cpu, part))));
                }
            }
        }
        for name in self.step.losses.iter().map(String::as_str).chain(["fake"]) {
            left.push((name.to_string(), bits(self.output(name))));
        }
        left
    }
}

/// Fails at the first tensor that differs, by name.
pub fn assert_same(what: &str, got: &[(String, Vec<u32>)], expected: &[(String, Vec<u32>)]) {
    assert_eq!(got.len(), expected.len());
    for ((name, got), (_, expected)) in got.iter().zip(expected) {
        assert!(got == expected, "{what}: {name} differs");
    }
}
