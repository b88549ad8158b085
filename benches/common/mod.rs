//! The devices of this machine, and the default networks on one of them, ready to be timed.
#![allow(dead_code)]

use std::time::{Duration, Instant};

use pix2pix_engine::device::{Arena, Cpu, Cuda, Precision, StepState, Stopwatch, gpus};
use pix2pix_engine::error::Result;
use pix2pix_engine::kernel::{Backend, cuda};
use pix2pix_engine::nn::{Mode, Placement};
use pix2pix_engine::tape::{Program, Tape};
use pix2pix_engine::tensor::{SampleRange, SampleSlice, Shape};
use pix2pix_engine::train::{Networks, RunConfig, Step};

/// A device to be opened: the CPU, or a GPU in one precision.
#[derive(Clone, Debug)]
pub struct Place(Option<cuda::Choice>);

/// The CPU, and each real GPU in each precision that it supports. softgpu is left out: its speed
/// means nothing.
pub fn places() -> Vec<Place> {
    let mut all = vec![Place(None)];
    for gpu in gpus().unwrap_or_default().iter().filter(|gpu| !gpu.emulated()) {
        let precisions = match gpu.capability {
            (8.., _) => &[Precision::F32, Precision::Tf32, Precision::Bf16][..],
            _ => &[Precision::F32],
        };
        match gpu.nvrtc() {
            Ok(_) => all.extend(precisions.iter().map(|&precision| {
                Place(Some(cuda::Choice { ordinal: gpu.ordinal, precision, graph: true }))
            })),
            Err(why) => println!("not on cuda:{}: {why}", gpu.ordinal),
        }
    }
    all
}

impl Place {
    /// "cpu", "cuda:0/tf32".
    pub fn name(&self) -> String {
        match &self.0 {
            None => "cpu".to_string(),
            Some(choice) => format!("cuda:{}/{}", choice.ordinal, choice.precision.name()),
        }
    }

    /// Opens the device.
    pub fn open(&self) -> Machine {
        match &self.0 {
            None => Machine::Cpu(Cpu::new(0).expect("threads start")),
            Some(choice) => {
                let gpu = cuda::open(choice).expect("the GPU was listed");
                // Four times the cache, so that no timed kernel finds its operands there.
                let cache = gpu.cache_bytes().expect("the GPU says what it has");
                let watch = gpu.stopwatch(4 * cache).expect("memory is there");
                Machine::Cuda(Box::new(gpu), watch)
            }
        }
    }
}

/// An open device.
pub enum Machine {
    /// The CPU.
    Cpu(Cpu),
    /// A GPU, and the stopwatch that times it.
    Cuda(Box<Cuda>, Stopwatch),
}

impl Machine {
    /// The device as a backend.
    pub fn backend(&mut self) -> &mut dyn Backend {
        match self {
            Machine::Cpu(cpu) => cpu,
            Machine::Cuda(gpu, _) => &mut **gpu,
        }
    }

    /// Total time of `times` runs of `work`: on the CPU by its clock, one run right after the
    /// other; on a GPU by its events, each run by itself after the cache was emptied.
    pub fn time(
        &mut self,
        times: u64,
        mut work: impl FnMut(&mut dyn Backend) -> Result<()>,
    ) -> Duration {
        match self {
            Machine::Cpu(cpu) => {
                let begun = Instant::now();
                (0..times).for_each(|_| work(cpu).expect("the CPU computes"));
                begun.elapsed()
            }
            Machine::Cuda(gpu, watch) => {
                let one = |_| gpu.time(watch, |gpu| work(gpu)).expect("the GPU computes");
                Duration::from_secs_f64((0..times).map(one).sum())
            }
        }
    }
}

/// A default training step: 256 x 256, batch 1.
pub struct Training {
    pub machine: Machine,
    pub step: Step,
    pictures: Vec<u8>,
    done: u64,
}

fn size() -> Shape {
    Shape::new(1, 256, 256, 3)
}

/// Pictures of random bytes.
fn pictures() -> Vec<u8> {
    (0..size().count()).map(|i| ((i * 2_654_435_761) >> 13) as u8).collect()
}

impl Training {
    /// On the CPU.
    pub fn new() -> Self {
        Training::on(&Place(None))
    }

    pub fn on(place: &Place) -> Self {
        let mut machine = place.open();
        let b = machine.backend();
        let config = RunConfig::default();
        let recipe = config.recipe();
        let networks = Networks::new(&*recipe).expect("the default networks are possible");
        let step = Step::record(&*recipe, &networks, config.batch(), b)
            .expect("the default step is possible");
        b.reserve(step.program.end()).expect("memory is there");
        networks.init(b, 0).expect("memory is reserved");
        Training { machine, step, pictures: pictures(), done: 0 }
    }

    /// Starts one step. On the CPU it is done when this returns.
    pub fn run(&mut self) {
        self.done += 1;
        let b = self.machine.backend();
        b.set_state(StepState { seed: 0, step: self.done, lr: 2e-4, micro: 0 });
        for name in ["a", "b"] {
            let view = self.step.program.view(name).expect("a step has a and b");
            b.upload_images(SampleSlice::U8(&self.pictures), SampleRange::BYTE, view)
                .expect("sizes agree");
        }
        self.step.program.run(b).expect("the step runs");
    }

    /// Waits for all steps that were started.
    pub fn finish(&mut self) {
        self.machine.backend().kept_losses(1, 1).expect("the steps ran");
    }
}

/// The default generator, for translation: one forward pass of a 256 x 256 picture with the
/// picture's own statistics and dropout on, as the PyTorch port translates.
pub struct Model {
    machine: Machine,
    forward: Program,
    pictures: Vec<u8>,
}

impl Model {
    /// On the CPU.
    pub fn new() -> Self {
        Model::on(&Place(None))
    }

    pub fn on(place: &Place) -> Self {
        let mut machine = place.open();
        let b = machine.backend();
        let mut g = RunConfig::default().generator.build().expect("it is possible");
        let mut arena = Arena::default();
        g.params_mut().place(&mut arena, Placement::Values);
        let mut tape = Tape::new();
        let x = tape.input("x", size());
        let y = g.forward(&mut tape, x, Mode::TRAIN).expect("the size fits");
        tape.output("y", y);
        let forward = tape.compile(b, arena.len()).expect("the device can do it");
        b.reserve(forward.end()).expect("memory is there");
        g.params().init(b, 0, 0).expect("memory is reserved");
        Model { machine, forward, pictures: pictures() }
    }

    /// Starts one pass. On the CPU it is done when this returns.
    pub fn run(&mut self) {
        let view = self.forward.view("x").expect("a pass has x");
        let b = self.machine.backend();
        b.upload_images(SampleSlice::U8(&self.pictures), SampleRange::BYTE, view)
            .expect("sizes agree");
        self.forward.run(b).expect("the pass runs");
    }

    /// Waits for all passes that were started.
    pub fn finish(&mut self) {
        self.machine.backend().kept_losses(1, 1).expect("the passes ran");
    }
}
