//! The parameters of a network: an ordered list of names, shapes and first values, laid out in one
//! piece of the arena.

use super::PortTensor;
use crate::device::Arena;
use crate::error::{Error, Result};
use crate::kernel::{Backend, Write};
use crate::random::{self, Purpose};
use crate::tape::{Group, Tape, Var};
use crate::tensor::{Shape, View};

/// How a parameter begins.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Init {
    /// Normal numbers with a mean and a deviation: N(0, 0.02) for filters, N(1, 0.02) for the
    /// scales of norms (Isola et al. 2017, appendix; the PyTorch port's `init_weights`).
    Normal(f32, f32),
    /// One number.
    Constant(f32),
}

/// Name, shape, first values of one parameter, or of one running statistic.
#[derive(Clone, Debug, PartialEq)]
pub struct Param {
    /// As in files: "down3.conv.weight".
    pub name: String,
    /// Filters (k,r,s,c), vectors (1,1,1,c).
    pub shape: Shape,
    /// How it begins.
    pub init: Init,
    /// Trained by Adam; running statistics are not.
    pub trained: bool,
    /// What it is in the PyTorch port's files; `None` for a network that the port does not have.
    pub port: Option<PortTensor>,
    view: View,
}

impl Param {
    /// Where it lies; meaningful once the list was placed.
    pub fn view(&self) -> View {
        self.view
    }
}

/// What memory parameters are given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Placement<'a> {
    /// That of their values.
    Values,
    /// Also that of their gradients, and of a vector of each of these names: what an optimiser
    /// ([`Adam::STATE`](crate::kernel::Adam::STATE)) and an average ([`Group::AVERAGE`]) keep.
    Training(&'a [&'static str]),
}

/// All parameters and running statistics of one network, in the order in which they were added:
/// that order is the order in files, in memory and for the optimizer.
#[derive(Clone, Debug, Default)]
pub struct Params {
    list: Vec<Param>,
    /// All trained values, once they have a place.
    values: Option<View>,
    /// Those with their gradients, where they are to be trained.
    group: Option<Group>,
}

impl Params {
    /// Adds a trained parameter and returns its number.
    pub fn add(&mut self, name: impl Into<String>, shape: Shape, init: Init) -> usize {
        self.push(name.into(), shape, init, true)
    }

    /// Adds a running statistic.
    pub fn add_state(&mut self, name: impl Into<String>, shape: Shape, value: f32) -> usize {
        self.push(name.into(), shape, Init::Constant(value), false)
    }

    fn push(&mut self, name: String, shape: Shape, init: Init, trained: bool) -> usize {
        let view = View::dense(0, shape);
        self.list.push(Param { name, shape, init, trained, port: None, view });
        self.list.len() - 1
    }

    /// Says what parameter number `index` is in the PyTorch port's files.
    pub fn set_port(&mut self, index: usize, port: PortTensor) {
        self.list[index].port = Some(port);
    }

    /// Gives every parameter its place: trained ones in one run, statistics behind them.
    pub fn place(&mut self, arena: &mut Arena, placement: Placement) {
        let start = arena.len();
        for param in self.list.iter_mut().filter(|p| p.trained) {
            param.view = arena.take(param.shape);
        }
        let values = View::dense(start, Shape::vector(arena.len() - start));
        self.values = Some(values);
        self.group = match placement {
            Placement::Values => None,
            Placement::Training(names) => {
                let grads = arena.take(values.shape);
                let state = names.iter().map(|&name| (name, arena.take(values.shape))).collect();
                Some(Group { values, grads, state })
            }
        };
        for param in self.list.iter_mut().filter(|p| !p.trained) {
            param.view = arena.take(param.shape);
        }
    }

    /// What [`Tape::backward`] and [`Tape::optimise`] train.
    ///
    /// # Panics
    /// Before [`Params::place`] with [`Placement::Training`].
    pub fn group(&self) -> &Group {
        self.group.as_ref().expect("parameters are placed for training before they are trained")
    }

    /// Parameter number `index` on a tape.
    pub fn on(&self, tape: &mut Tape, index: usize) -> Var {
        tape.param(&self.list[index].name, self.list[index].view)
    }

    /// All of them, in order.
    pub fn iter(&self) -> impl Iterator<Item = &Param> {
        self.list.iter()
    }

    /// Trained numbers in all, as PyTorch counts them.
    pub fn count(&self) -> usize {
        self.list.iter().filter(|p| p.trained).map(|p| p.shape.count()).sum()
    }

    /// Writes first values: a function of the seed, of `network` (so that two networks of one run
    /// differ) and of the parameter's place in the list; moments 0, an average as the values.
    ///
    /// # Errors
    /// What the device reports.
    pub fn init(&self, b: &mut dyn Backend, seed: u64, network: u32) -> Result<()> {
        self.clear(b)?;
        for (i, param) in self.list.iter().enumerate() {
            let values = match param.init {
                Init::Constant(value) => vec![value; param.shape.count()],
                Init::Normal(mean, deviation) => {
                    let layer = network << 16 | i as u32;
                    let quads = param.shape.count().div_ceil(4) as u32;
                    let draw = |quad| random::normal(seed, [quad, layer, 0, Purpose::Init as u32]);
                    let all = (0..quads).flat_map(draw).map(|v| mean + deviation * v);
                    all.take(param.shape.count()).collect()
                }
            };
            b.upload(param.view, &values)?;
        }
        self.start_average(b)
    }

    /// Sets the average of the values, [`Group::AVERAGE`], to the values as they are; nothing where no
    /// average was asked for.
    ///
    /// # Errors
    /// What the device reports.
    pub fn start_average(&self, b: &mut dyn Backend) -> Result<()> {
        let group = self.group.as_ref();
        match group.and_then(|g| g.state(Group::AVERAGE).map(|mean| (g.values, mean))) {
            Some((values, mean)) => b.scale(1.0, values, mean, Write::Set),
            None => Ok(()),
        }
    }

    /// Sets parameters, gradients and what an optimiser keeps to 0: also the gaps between parameters,
    /// which an optimiser steps like all else.
    ///
    /// # Errors
    /// What the device reports.
    pub fn clear(&self, b: &mut dyn Backend) -> Result<()> {
        let state = self.group.iter().flat_map(|g| g.state.iter().map(|(_, view)| *view));
        let grads = self.group.iter().map(|g| g.grads);
        let mut all = self.values.into_iter().chain(grads).chain(state);
        all.try_for_each(|view| b.fill(view, 0.0))
    }

    /// Writes one parameter's values by name.
    ///
    /// # Errors
    /// [`Error::Input`] where there is no such parameter or the count differs.
    pub fn load(
        &self,
        b: &mut dyn Backend,
        name: &str,
        shape: Shape,
        values: &[f32],
    ) -> Result<()> {
        let Some(param) = self.list.iter().find(|p| p.name == name) else {
            return Err(Error::input(format!("this network has no parameter {name}")));
        };
        if param.shape != shape || values.len() != shape.count() {
            return Err(Error::input(format!(
                "{name} is {shape} in the file and {} in this network",
                param.shape
            )));
        }
        b.upload(param.view, values)
    }
}
