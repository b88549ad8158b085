//! Pointwise functions on a GPU: `kernels/pointwise.cu`, `kernels/stack.cu`.

use super::{MAP_THREADS, Merge, NOTHING, names, spread, stored_alike};
use crate::device::{
    COUNTERS, CounterAddress, Cuda, Grid, Tensor, device_constants, device_enum, device_struct,
};
use crate::error::settings::{BASE_CHANNELS, DEVICE};
use crate::error::{Error, Result};
use crate::kernel::{Activation, ActivationGradArgs, PointwiseKernels, Workspace, Write};
use crate::tensor::View;

device_enum! {
    /// The kind of an [`Activation`], without its slope.
    pub enum ActivationKind {
        /// y = x
        Identity,
        /// y = max(x, 0)
        Relu,
        /// y = x where x > 0, slope * x elsewhere
        LeakyRelu,
        /// y = tanh(x)
        Tanh,
    }
}

device_struct! {
    /// [`Activation`] as a kernel takes it.
    pub struct Rule {
        /// The kind.
        pub kind: ActivationKind,
        /// The slope of LeakyReLU.
        pub slope: f32,
    }
}

impl From<Activation> for Rule {
    fn from(activation: Activation) -> Self {
        match activation {
            Activation::Identity => Rule { kind: ActivationKind::Identity, slope: 1.0 },
            Activation::Relu => Rule { kind: ActivationKind::Relu, slope: 0.0 },
            Activation::LeakyRelu(slope) => Rule { kind: ActivationKind::LeakyRelu, slope },
            Activation::Tanh => Rule { kind: ActivationKind::Tanh, slope: 0.0 },
        }
    }
}

device_struct! {
    /// Up to four copies of one launch.
    pub struct Copies {
        /// From.
        pub x0: Tensor,
        /// To.
        pub y0: Tensor,
        /// From.
        pub x1: Tensor,
        /// To.
        pub y1: Tensor,
        /// From.
        pub x2: Tensor,
        /// To.
        pub y2: Tensor,
        /// From.
        pub x3: Tensor,
        /// To.
        pub y3: Tensor,
    }
}

/// Most copies per launch.
const COPIES: usize = 4;
device_constants! {
    /// Threads of a block of `channel_sum`, which are also the most channels that it sums.
    const SUM_THREADS: usize = 256;
}
/// Pixels per block of `channel_sum`, at least: the last block reads one number of every block.
const PIXELS: usize = 256;

impl PointwiseKernels for Cuda {
    fn activation(&mut self, activation: Activation, x: View, y: View) -> Result<()> {
        let args = (self.tensor(x), self.tensor(y), Rule::from(activation));
        self.launch(names::ACTIVATION, y.elem, spread(self, y), &args)
    }

    fn activation_grad(&mut self, args: &ActivationGradArgs) -> Result<()> {
        let ActivationGradArgs { activation, y, dy, dx, mode } = *args;
        let [y, dy, to] = [y, dy, dx].map(|view| self.tensor(view));
        let args = (y, dy, to, Rule::from(activation), Merge::from(mode));
        self.launch(names::ACTIVATION_GRAD, dx.elem, spread(self, dx), &args)
    }

    fn stack(&mut self, parts: &[(View, View)]) -> Result<()> {
        for parts in parts.chunks(COPIES) {
            let mut all = [[NOTHING; 2]; COPIES];
            let mut grid = Grid::line(1, MAP_THREADS as u32);
            for (both, &(x, y)) in all.iter_mut().zip(parts) {
                *both = [self.tensor(x), self.tensor(y)];
                grid.blocks[0] = grid.blocks[0].max(spread(self, y).blocks[0]);
            }
            grid.blocks[1] = parts.len() as u32;
            let [[x0, y0], [x1, y1], [x2, y2], [x3, y3]] = all;
            let pairs = Copies { x0, y0, x1, y1, x2, y2, x3, y3 };
            self.launch(names::STACK, parts[0].1.elem, grid, &(pairs,))?;
        }
        Ok(())
    }

    fn fill(&mut self, to: View, value: f32) -> Result<()> {
        let args = (self.tensor(to), value);
        self.launch(names::FILL, to.elem, spread(self, to), &args)
    }

    fn scale(&mut self, scale: f32, x: View, y: View, mode: Write) -> Result<()> {
        let args = (scale, self.tensor(x), self.tensor(y), Merge::from(mode));
        self.launch(names::SCALE, y.elem, spread(self, y), &args)
    }

    fn scale_supports(&self, x: View, y: View) -> Result<()> {
        stored_alike("scale", x, y)
    }

    fn channel_sum(&mut self, dy: View, db: View, mode: Write) -> Result<()> {
        debug_assert!(self.channel_sum_supports(dy).is_ok(), "asked before a program runs");
        let [blocks, rows] = sum_blocks(self, dy);
        let parts = self.scratch(self.channel_sum_workspace(dy).scratch)?;
        let counters = CounterAddress(self.counters_address().0);
        let args = (self.tensor(dy), self.floats(db), parts, counters, Merge::from(mode));
        let grid =
            Grid { blocks: [blocks as u32, rows as u32, 1], ..Grid::line(1, SUM_THREADS as u32) };
        self.launch(names::CHANNEL_SUM, dy.elem, grid, &args)
    }

    fn channel_sum_workspace(&self, dy: View) -> Workspace {
        let [blocks, _] = sum_blocks(self, dy);
        Workspace::scratch(blocks * dy.shape.c)
    }

    fn channel_sum_supports(&self, dy: View) -> Result<()> {
        // One counter serves SUM_THREADS channels.
        let most = COUNTERS * SUM_THREADS;
        if dy.shape.c <= most {
            return Ok(());
        }
        Err(Error::machine(format!(
            "channel_sum: {} has more than the {most} channels that a GPU sums; use a smaller \
             {BASE_CHANNELS} or {DEVICE} cpu",
            dy.shape
        )))
    }
}

/// Blocks of `channel_sum` along pixels and along channels.
fn sum_blocks(cuda: &Cuda, dy: View) -> [usize; 2] {
    let most = 2 * cuda.multiprocessors();
    [dy.shape.pixels().div_ceil(PIXELS).clamp(1, most), dy.shape.c.div_ceil(SUM_THREADS)]
}
