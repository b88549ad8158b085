//! Operations and networks on leaves that all get gradients, with the loss sum(y * dy).

use pix2pix_engine::Result;
use pix2pix_engine::device::{Arena, Cpu, Device, StepState};
use pix2pix_engine::kernel::PointwiseKernels;
use pix2pix_engine::kernel::{Backend, Write};
use pix2pix_engine::nn::{Init, Params, Placement};
use pix2pix_engine::tape::{Group, Io, Op, Program, Tape, Var};
use pix2pix_engine::tensor::{Shape, View};

/// loss = sum(y * dy), so that the gradient of y is dy: any operation can be asked for its
/// gradients with a chosen dy.
#[derive(Debug)]
pub struct Dot;

impl Op for Dot {
    fn name(&self) -> &'static str {
        "dot"
    }

    fn infer(&self, inputs: &[Shape]) -> Result<Shape> {
        assert_eq!(inputs[0], inputs[1], "dot of two tensors of one shape");
        Ok(Shape::SCALAR)
    }

    fn forward(&self, b: &mut dyn Backend, io: &Io) -> Result<()> {
        let [x, t] = [0, 1].map(|i| download(b, io.x[i]));
        let sum: f64 = x.iter().zip(t).map(|(x, t)| f64::from(*x) * f64::from(t)).sum();
        b.upload(io.y, &[sum as f32])
    }

    fn backward(&self, b: &mut dyn Backend, io: &Io) -> Result<()> {
        let Some((dx, mode)) = io.dx[0] else { return Ok(()) };
        let (scale, t) = (download(b, io.dy)[0], download(b, io.x[1]));
        let old = if mode == Write::Add { download(b, dx) } else { vec![0.0; t.len()] };
        let new: Vec<f32> = old.iter().zip(t).map(|(o, t)| o + scale * t).collect();
        b.upload(dx, &new)
    }
}

fn download(b: &dyn Backend, view: View) -> Vec<f32> {
    let mut values = vec![0.0; view.shape.count()];
    b.download(view, &mut values).unwrap();
    values
}

/// Where the gradient of a parameter of `group` lies.
pub fn gradient(group: &Group, param: View) -> View {
    group.part(group.grads, param).unwrap()
}

/// Leaves by name: trained ones get gradients, state is read and may be moved.
pub fn leaves(trained: &[(&str, Shape)], state: &[(&str, Shape)]) -> Params {
    let mut params = Params::default();
    for (name, shape) in trained {
        params.add(*name, *shape, Init::Constant(0.0));
    }
    for (name, shape) in state {
        params.add_state(*name, *shape, 0.0);
    }
    params
}

/// A recorded operation or network with its leaves and its gradients.
pub struct Harness {
    pub cpu: Cpu,
    pub program: Program,
    groups: Vec<Params>,
}

impl Harness {
    /// One operation: `record` gets the leaves in order, trained ones first.
    pub fn op(
        trained: &[(&str, Shape)],
        state: &[(&str, Shape)],
        record: impl FnOnce(&mut Tape, &[Var]) -> Result<Var>,
    ) -> Harness {
        let mut arena = Arena::default();
        let mut params = leaves(trained, state);
        params.place(&mut arena, Placement::Training(&[]));
        let on = params.clone();
        Harness::new(&arena, vec![params], |tape| {
            let vars: Vec<Var> = (0..on.iter().count()).map(|i| on.on(tape, i)).collect();
            record(tape, &vars)
        })
    }

    /// What `record` returns is "y"; gradients are taken for every group, one after the other.
    pub fn new(
        arena: &Arena,
        groups: Vec<Params>,
        record: impl FnOnce(&mut Tape) -> Result<Var>,
    ) -> Harness {
        let tape = &mut Tape::new();
        let y = record(tape).unwrap();
        let dy = tape.input("dy", tape.shape(y));
        let loss = tape.push(Dot, &[y, dy]).unwrap();
        tape.output("y", y);
        for params in &groups {
            tape.backward(&[(1.0, loss)], params.group(), Write::Set).unwrap();
        }
        let mut cpu = Cpu::new(1).unwrap();
        let program = tape.compile(&cpu, arena.len()).unwrap();
        cpu.reserve(program.end()).unwrap();
        Harness { cpu, program, groups }
    }

    /// Seed and step number of the runs to come.
    pub fn at(&mut self, seed: u64, step: u64) {
        self.cpu.set_state(StepState { seed, step, lr: 0.0, micro: 0 });
    }

    fn find(&self, name: &str) -> (View, &Group) {
        let all = self.groups.iter().flat_map(|g| g.iter().map(|p| (p, g.group())));
        let found = all.into_iter().find(|(p, _)| p.name == name);
        let (param, group) = found.unwrap_or_else(|| panic!("there is no leaf {name}"));
        (param.view(), group)
    }

    /// Writes a leaf.
    pub fn set(&mut self, name: &str, values: &[f32]) {
        self.cpu.upload(self.find(name).0, values).unwrap();
    }

    /// A leaf's numbers.
    pub fn value(&self, name: &str) -> Vec<f32> {
        super::read(&self.cpu, self.find(name).0)
    }

    /// A leaf's gradient, as the last run left it.
    pub fn grad(&self, name: &str) -> Vec<f32> {
        let (view, group) = self.find(name);
        super::read(&self.cpu, gradient(group, view))
    }

    /// Plays everything with this gradient of y; gradients begin as NaN, so that one that is not
    /// written cannot pass.
    pub fn run(&mut self, dy: &[f32]) {
        for params in &self.groups {
            self.cpu.fill(params.group().grads, f32::NAN).unwrap();
        }
        self.cpu.upload(self.program.view("dy").unwrap(), dy).unwrap();
        self.program.run(&mut self.cpu).unwrap();
    }

    /// The result of the last run.
    pub fn y(&self) -> Vec<f32> {
        super::read(&self.cpu, self.program.view("y").unwrap())
    }
}
