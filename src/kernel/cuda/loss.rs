//! LossPointers on a GPU: `kernels/loss.cu`.

use super::{Merge, NOTHING, blocks, names, spread};
use crate::device::{
    CounterAddress, Cuda, DoubleAddress, FloatAddress, Grid, RING_WIDTH, Tensor, device_struct,
};
use crate::error::{Error, Result};
use crate::kernel::{Loss, LossKernels, Target, Write};
use crate::tensor::{Elem, View};

device_struct! {
    /// A loss and what it compares with.
    pub struct Aim {
        /// The other tensor; null where there is a label.
        pub other: Tensor,
        /// The label of the first run of pictures.
        pub label: f32,
        /// The label of the second.
        pub second: f32,
        /// Of the mean.
        pub weight: f32,
        /// Runs: 1 or 2.
        pub runs: i32,
        /// 0 binary cross entropy, 1 squared, 2 absolute difference.
        pub kind: i32,
    }
}

device_struct! {
    /// LossPointers to keep: the first `count`.
    pub struct LossPointers {
        /// Where a loss is.
        pub p0: FloatAddress,
        /// Where a loss is.
        pub p1: FloatAddress,
        /// Where a loss is.
        pub p2: FloatAddress,
        /// Where a loss is.
        pub p3: FloatAddress,
        /// Where a loss is.
        pub p4: FloatAddress,
        /// Where a loss is.
        pub p5: FloatAddress,
        /// Where a loss is.
        pub p6: FloatAddress,
        /// Where a loss is.
        pub p7: FloatAddress,
        /// How many there are.
        pub count: i32,
    }
}

/// Threads of a block of `loss`, one element each a turn.
const THREADS: u32 = 256;

fn kind(loss: Loss) -> i32 {
    match loss {
        Loss::Bce => 0,
        Loss::Mse => 1,
        Loss::L1 => 2,
    }
}

fn aim(cuda: &Cuda, loss: Loss, target: Target<View>, weight: f32) -> Aim {
    let kind = kind(loss);
    match target {
        Target::Value(label) => Aim { other: NOTHING, label, second: label, weight, runs: 1, kind },
        Target::Tensor(view) => {
            Aim { other: cuda.tensor(view), label: 0.0, second: 0.0, weight, runs: 1, kind }
        }
    }
}

fn labels(loss: Loss, first: f32, second: f32) -> Aim {
    Aim { other: NOTHING, label: first, second, weight: 1.0, runs: 2, kind: kind(loss) }
}

impl Cuda {
    fn mean_loss(&mut self, aim: Aim, x: View, y: FloatAddress) -> Result<()> {
        let (count, runs) = (x.shape.count(), aim.runs as usize);
        // Four elements a thread: the block that is last reads a number a block.
        let blocks = blocks(self, count.div_ceil(4 * THREADS as usize * runs), 2);
        let parts = DoubleAddress(self.scratch(2 * blocks * runs)?.0);
        let args = (self.tensor(x), aim, y, parts, CounterAddress(self.counters_address().0));
        let grid = Grid { blocks: [blocks as u32, runs as u32, 1], ..Grid::line(1, THREADS) };
        self.launch(names::LOSS, x.elem, grid, &args)
    }

    fn mean_loss_grad(
        &mut self,
        aim: Aim,
        x: View,
        dy: FloatAddress,
        dx: View,
        mode: Write,
    ) -> Result<()> {
        let args = (self.tensor(x), aim, dy, self.tensor(dx), Merge::from(mode));
        self.launch(names::LOSS_GRAD, x.elem, spread(self, dx), &args)
    }
}

impl LossKernels for Cuda {
    fn loss(
        &mut self,
        loss: Loss,
        x: View,
        target: Target<View>,
        weight: f32,
        y: View,
    ) -> Result<()> {
        let aim = aim(self, loss, target, weight);
        self.mean_loss(aim, x, self.floats(y))
    }

    fn loss_grad(
        &mut self,
        loss: Loss,
        x: View,
        target: Target<View>,
        weight: f32,
        dy: View,
        dx: View,
        mode: Write,
    ) -> Result<()> {
        let aim = aim(self, loss, target, weight);
        self.mean_loss_grad(aim, x, self.floats(dy), dx, mode)
    }

    fn labelled(&mut self, loss: Loss, x: View, all: &[f32], y: View) -> Result<()> {
        match *all {
            [label] => self.loss(loss, x, Target::Value(label), 1.0, y),
            [first, second] => self.mean_loss(labels(loss, first, second), x, self.floats(y)),
            _ => Err(Error::machine("a GPU compares with one or two labels")),
        }
    }

    fn labelled_grad(
        &mut self,
        loss: Loss,
        x: View,
        all: &[f32],
        dy: View,
        dx: View,
        mode: Write,
    ) -> Result<()> {
        match *all {
            [label] => self.loss_grad(loss, x, Target::Value(label), 1.0, dy, dx, mode),
            [first, second] => {
                self.mean_loss_grad(labels(loss, first, second), x, self.floats(dy), dx, mode)
            }
            _ => Err(Error::machine("a GPU compares with one or two labels")),
        }
    }

    fn keep_losses(&mut self, losses: &[View]) -> Result<()> {
        assert!(losses.len() <= RING_WIDTH, "the tape keeps no more than a row holds");
        let mut all = [FloatAddress::default(); RING_WIDTH];
        all.iter_mut().zip(losses).for_each(|(to, view)| *to = self.floats(*view));
        let [p0, p1, p2, p3, p4, p5, p6, p7] = all;
        let count = losses.len() as i32;
        let losses = LossPointers { p0, p1, p2, p3, p4, p5, p6, p7, count };
        let args = (losses, self.ring_address(), self.state_address());
        self.launch(names::KEEP_LOSSES, Elem::F32, Grid::line(1, 32), &args)
    }
}
