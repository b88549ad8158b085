//! The default networks on the CPU, ready to be timed.
#![allow(dead_code)]

use pix2pix_engine::device::{Arena, Cpu, Device, StepState};
use pix2pix_engine::kernel::PictureKernels;
use pix2pix_engine::model::Generator;
use pix2pix_engine::nn::Mode;
use pix2pix_engine::tape::{Program, Tape};
use pix2pix_engine::tensor::{Elem, Shape};
use pix2pix_engine::train::{Networks, RunConfig, Step};

/// A default training step: 256 x 256, batch 1.
pub struct Training {
    pub cpu: Cpu,
    pub step: Step,
    pictures: Vec<u8>,
    done: u64,
}

fn size() -> Shape {
    Shape::new(1, 256, 256, 3)
}

/// Bytes that look like no picture.
fn pictures() -> Vec<u8> {
    (0..size().count()).map(|i| ((i * 2_654_435_761) >> 13) as u8).collect()
}

impl Training {
    pub fn new() -> Self {
        let config = RunConfig::default();
        let networks = Networks::new(&config).expect("the default networks are possible");
        let (g, d) = (&networks.generator, networks.discriminator.as_ref());
        let base = networks.arena.len();
        let step = Step::record(g, d, config.objective, config.adam(), size(), Elem::F32, base)
            .expect("the default step is possible");
        let mut cpu = Cpu::new(0).expect("threads start");
        cpu.reserve(step.program.end()).expect("memory is there");
        networks.init(&mut cpu, 0).expect("memory is reserved");
        Training { cpu, step, pictures: pictures(), done: 0 }
    }

    /// One step.
    pub fn run(&mut self) {
        self.done += 1;
        self.cpu.set_state(StepState { seed: 0, step: self.done, lr: 2e-4 });
        for name in ["a", "b"] {
            let view = self.step.program.view(name).expect("a step has a and b");
            self.cpu.upload_pictures(&self.pictures, view).expect("sizes agree");
        }
        self.step.program.run(&mut self.cpu).expect("the step runs");
    }
}

/// The default generator as a loaded model: one forward pass of a 256 x 256 picture, with its own
/// statistics and dropout on, as the PyTorch port tests.
pub struct Model {
    cpu: Cpu,
    forward: Program,
    pictures: Vec<u8>,
}

impl Model {
    pub fn new() -> Self {
        let mut g = Generator::new(&RunConfig::default().generator).expect("it is possible");
        let mut arena = Arena::default();
        g.params.place(&mut arena, false);
        let mut tape = Tape::new();
        let x = tape.input("x", size());
        let y = g.forward(&mut tape, x, Mode::TRAIN).expect("the size fits");
        tape.output("y", y);
        let forward = tape.compile(arena.len());
        let mut cpu = Cpu::new(0).expect("threads start");
        cpu.reserve(forward.end()).expect("memory is there");
        g.params.init(&mut cpu, 0, 0).expect("memory is reserved");
        Model { cpu, forward, pictures: pictures() }
    }

    /// One pass.
    pub fn run(&mut self) {
        let view = self.forward.view("x").expect("a pass has x");
        self.cpu.upload_pictures(&self.pictures, view).expect("sizes agree");
        self.forward.run(&mut self.cpu).expect("the pass runs");
    }
}
