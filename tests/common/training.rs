//! Small training steps of every kind.

use pix2pix_engine::device::{Arena, Cpu, Device, StepState};
use pix2pix_engine::kernel::Adam;
use pix2pix_engine::model::{DiscriminatorConfig, GeneratorConfig, GeneratorKind, NormKind};
use pix2pix_engine::nn::Params;
use pix2pix_engine::tensor::{Elem, Shape};
use pix2pix_engine::train::{Distance, Gan, Objective, Step};

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
        for kind in [GeneratorKind::Unet, GeneratorKind::EncoderDecoder] {
            for norm in [NormKind::Batch, NormKind::Instance, NormKind::None] {
                for gan in [Gan::Vanilla, Gan::Lsgan, Gan::None] {
                    for conditional in [true, false] {
                        all.push(Setup { kind, norm, gan, conditional, ..Setup::SMALL });
                    }
                }
            }
        }
        all
    }

    /// The recorded step, its networks' parameters, and the end of the persistent arena.
    pub fn record(&self) -> (Step, Params, Option<Params>, usize) {
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
        };
        let mut g = generator.build().unwrap();
        let mut d = (gan != Gan::None).then(|| {
            let in_channels = objective.discriminator_channels(size.c, 3);
            let config = DiscriminatorConfig { in_channels, base_channels: base, layers, norm };
            config.build().unwrap()
        });
        let mut arena = Arena::default();
        g.params_mut().place(&mut arena, true);
        if let Some(d) = &mut d {
            d.params_mut().place(&mut arena, true);
        }
        let adam = Adam::default();
        let pictures = [size, Shape { c: 3, ..size }];
        let step =
            Step::record(&*g, d.as_deref(), objective, adam, pictures, Elem::F32, arena.len())
                .unwrap();
        (step, g.params().clone(), d.map(|d| d.params().clone()), arena.len())
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
        let (step, g, d, base) = setup.record();
        let mut cpu = Cpu::new(threads).unwrap();
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
        self.cpu.set_state(StepState { seed: 9, step: self.at, lr });
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
                for (what, vector) in [
                    ("gradient", group.grads),
                    ("mean", group.moments[0]),
                    ("square", group.moments[1]),
                ] {
                    let at = vector.at + view.at - group.values.at;
                    let same = pix2pix_engine::tensor::View { at, ..view };
                    let name = format!("{net} {what} of {}", param.name);
                    left.push((name, bits(super::read(&self.cpu, same))));
                }
            }
        }
        for name in self.step.losses.iter().copied().chain(["fake"]) {
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
