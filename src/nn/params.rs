//! The parameters of a network: an ordered list of names, shapes and initial values, contiguous in
//! the arena.

use super::PortTensor;
use crate::device::Arena;
use crate::error::Result;
use crate::kernel::{Backend, Write};
use crate::random::{self, Purpose};
use crate::tape::{Group, Tape, Var};
use crate::tensor::{Shape, View};

/// The initial values of a parameter.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Init {
    /// Normally distributed with this mean and standard deviation: N(0, 0.02) for filters, N(1,
    /// 0.02) for the scales of norms (Isola et al. 2017, appendix; the PyTorch port's
    /// `init_weights`).
    Normal(f32, f32),
    /// All equal.
    Constant(f32),
    /// Bilinear interpolation, for the filter of a transposed convolution whose windows are twice its stride, with as
    /// many channels before as behind: channel k to channel k alone, weights falling from the middle to the edge
    /// (Long et al. 2015, section 3.3).
    Bilinear,
}

/// One parameter or running statistic.
#[derive(Clone, Debug, PartialEq)]
pub struct Param {
    /// As in files: "down3.conv.weight".
    pub name: String,
    /// Filters (k,r,s,c), vectors (1,1,1,c).
    pub shape: Shape,
    /// Its initial values.
    pub init: Init,
    /// Whether it is trained; running statistics are not.
    pub trained: bool,
    /// Its tensor in files of the PyTorch port; `None` for a network that the port does not have.
    pub port: Option<PortTensor>,
    view: View,
}

impl Param {
    /// Its place in the arena, after [`Params::place`].
    pub fn view(&self) -> View {
        self.view
    }
}

/// The memory that a network's parameters get.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Placement<'a> {
    /// Their values alone.
    Values,
    /// Also their gradients, and a vector of state for each of these names: those of an optimiser
    /// ([`Adam::STATE`](crate::kernel::Adam::STATE)) and of an average ([`Group::AVERAGE`]).
    Training(&'a [&'static str]),
}

/// All parameters and running statistics of one network, in the order in which they were added,
/// which is also their order in files and in memory.
#[derive(Clone, Debug, Default)]
pub struct Params {
    list: Vec<Param>,
    /// All trained values, once placed.
    values: Option<View>,
    /// The same with gradients and state, if placed for training.
    group: Option<Group>,
}

impl Params {
    /// Adds a trained parameter and returns its index.
    pub fn add(&mut self, name: impl Into<String>, shape: Shape, init: Init) -> usize {
        self.push(name.into(), shape, init, true)
    }

    /// Adds a running statistic, which starts at `value`, and returns its index.
    pub fn add_state(&mut self, name: impl Into<String>, shape: Shape, value: f32) -> usize {
        self.push(name.into(), shape, Init::Constant(value), false)
    }

    fn push(&mut self, name: String, shape: Shape, init: Init, trained: bool) -> usize {
        let view = View::dense(0, shape);
        self.list.push(Param { name, shape, init, trained, port: None, view });
        self.list.len() - 1
    }

    /// Sets the initial values of parameter `index`.
    pub(crate) fn set_init(&mut self, index: usize, init: Init) {
        self.list[index].init = init;
    }

    /// Sets the tensor of parameter `index` in files of the PyTorch port.
    pub(crate) fn set_port(&mut self, index: usize, port: PortTensor) {
        self.list[index].port = Some(port);
    }

    /// Places every parameter: trained ones contiguously, then the running statistics.
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

    /// The trained parameters, for [`Tape::backward`] and [`Tape::optimise`].
    ///
    /// # Panics
    /// Unless [`Params::place`] was called with [`Placement::Training`].
    pub fn group(&self) -> &Group {
        self.group.as_ref().expect("parameters are placed for training before they are trained")
    }

    /// Records parameter `index` on a tape.
    ///
    /// # Panics
    /// Before [`Params::place`]: a parameter is recorded with its place in memory.
    pub fn on(&self, tape: &mut Tape, index: usize) -> Var {
        assert!(self.values.is_some(), "parameters are placed before they are recorded");
        tape.param(&self.list[index].name, self.list[index].view)
    }

    /// All of them, in order.
    pub fn iter(&self) -> impl Iterator<Item = &Param> {
        self.list.iter()
    }

    /// Number of trained values, as PyTorch counts them.
    pub fn count(&self) -> usize {
        self.list.iter().filter(|p| p.trained).map(|p| p.shape.count()).sum()
    }

    /// Uploads the initial values, a function of the seed, of `network` (so that the networks of a
    /// run differ) and of the parameter's index. Moments become 0, an average equals the values.
    ///
    /// # Errors
    /// What the device reports.
    pub fn init(&self, b: &mut dyn Backend, seed: u64, network: u32) -> Result<()> {
        self.clear(b)?;
        for (i, param) in self.list.iter().enumerate() {
            let values = match param.init {
                Init::Constant(value) => vec![value; param.shape.count()],
                Init::Bilinear => bilinear(param.shape),
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

    /// Sets the average, [`Group::AVERAGE`], to the current values; does nothing without an
    /// average.
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

    /// Sets trained parameters, gradients and state to 0, including the gaps between parameters,
    /// over which an optimiser runs as well.
    ///
    /// # Errors
    /// What the device reports.
    pub fn clear(&self, b: &mut dyn Backend) -> Result<()> {
        let state = self.group.iter().flat_map(|g| g.state.iter().map(|(_, view)| *view));
        let grads = self.group.iter().map(|g| g.grads);
        let mut all = self.values.into_iter().chain(grads).chain(state);
        all.try_for_each(|view| b.fill(view, 0.0))
    }
}

/// The filter (k,r,s,c) of [`Init::Bilinear`].
fn bilinear(shape: Shape) -> Vec<f32> {
    let Shape { n: k, h: r, w: s, c } = shape;
    let weight = |i: usize, window: usize| {
        let stride = window.div_ceil(2) as f32;
        1.0 - ((i as f32 + 0.5 - window as f32 / 2.0) / stride).abs()
    };
    let mut values = Vec::with_capacity(shape.count());
    for from in 0..k {
        for (y, x) in (0..r).flat_map(|y| (0..s).map(move |x| (y, x))) {
            let of_pixel = weight(y, r) * weight(x, s);
            values.extend((0..c).map(|to| if to == from { of_pixel } else { 0.0 }));
        }
    }
    values
}
