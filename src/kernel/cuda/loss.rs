//! Losses on a GPU: `kernels/loss.cu`.

use std::ops::Range;

use super::{Merge, NOTHING, blocks, names, spread, stored_alike};
use crate::device::{
    self, CounterAddress, Cuda, DoubleAddress, FloatAddress, Grid, Tensor, device_constants,
    device_struct,
};
use crate::error::Result;
use crate::kernel::{Loss, LossArgs, LossGradArgs, LossKernels, Target, Workspace};
use crate::tensor::{Elem, View};

device_struct! {
    /// A loss and its target.
    pub struct Aim {
        /// The other tensor; its address is null where there are labels.
        pub other: Tensor,
        /// The label of the first run of pictures.
        pub label: f32,
        /// The label of the second run.
        pub second: f32,
        /// Factor of the mean.
        pub weight: f32,
        /// Runs of pictures: 1 or 2.
        pub runs: i32,
        /// The loss of an element.
        pub loss: Loss,
    }
}

device_struct! {
    /// The losses to keep; the first `count` addresses are used.
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

device_constants! {
    /// Threads of a block of `loss`, each of which takes one element per iteration.
    const LOSS_THREADS: usize = 256;
    /// [`device::RING_WIDTH`]
    const RING_WIDTH: usize = device::RING_WIDTH;
}

/// Most runs of pictures per launch: an [`Aim`] has two labels, real and fake for a discriminator.
/// More runs take more launches.
const RUNS: usize = 2;

/// The [`Aim`] of one launch, whose target has at most [`RUNS`] labels.
fn aim(cuda: &Cuda, loss: Loss, target: Target, weight: f32) -> Aim {
    let runs = target.runs() as i32;
    let (other, label, second) = match target {
        Target::Labels(labels) => (NOTHING, labels[0], labels[labels.len() - 1]),
        Target::Tensor(view) => (cuda.tensor(view), 0.0, 0.0),
    };
    Aim { other, label, second, weight, runs, loss }
}

/// The target of each launch, and the runs of pictures that it is for.
fn launches<'a>(target: Target<'a>) -> Vec<(Target<'a>, Range<usize>)> {
    match target {
        Target::Labels(labels) => {
            let from = (0..).step_by(RUNS);
            let each = labels.chunks(RUNS).zip(from);
            each.map(|(part, from)| (Target::Labels(part), from..from + part.len())).collect()
        }
        Target::Tensor(_) => vec![(target, 0..1)],
    }
}

/// The pictures of the runs `runs`, where the whole batch has `of` runs.
fn pictures(view: View, runs: &Range<usize>, of: usize) -> Result<View> {
    let each = view.shape.n / of;
    view.pictures(runs.start * each..runs.end * each)
}

/// Blocks per run, where `runs` runs have `count` elements together. At least four elements per
/// thread, because the last block reads one number of every block.
fn loss_blocks(cuda: &Cuda, count: usize, runs: usize) -> usize {
    blocks(cuda, count.div_ceil(4 * LOSS_THREADS * runs), 2)
}

impl LossKernels for Cuda {
    fn loss(&mut self, args: &LossArgs) -> Result<()> {
        debug_assert!(self.loss_supports(args).is_ok(), "asked before a program runs");
        let LossArgs { loss, x, target, weight, y } = *args;
        for (part, runs) in launches(target) {
            let x = pictures(x, &runs, target.runs())?;
            let blocks = loss_blocks(self, x.shape.count(), runs.len());
            let parts = DoubleAddress(self.scratch(2 * blocks * runs.len())?.0);
            let grid = Grid {
                blocks: [blocks as u32, runs.len() as u32, 1],
                ..Grid::line(1, LOSS_THREADS as u32)
            };
            let (aim, y) = (aim(self, loss, part, weight), self.floats(y.channels(runs)?));
            let args = (self.tensor(x), aim, y, parts, CounterAddress(self.counters_address().0));
            self.launch(names::LOSS, x.elem, grid, &args)?;
        }
        Ok(())
    }

    fn loss_workspace(&self, args: &LossArgs) -> Workspace {
        let each = args.x.shape.count() / args.target.runs();
        let runs = args.target.runs().min(RUNS);
        Workspace::scratch(2 * loss_blocks(self, each * runs, runs) * runs)
    }

    fn loss_supports(&self, args: &LossArgs) -> Result<()> {
        match args.target {
            Target::Labels(_) => Ok(()),
            Target::Tensor(other) => stored_alike("loss", args.x, other),
        }
    }

    fn loss_grad(&mut self, args: &LossGradArgs) -> Result<()> {
        let LossGradArgs { loss, x, target, weight, dy, dx, mode } = *args;
        for (part, runs) in launches(target) {
            let (x, dx) = (pictures(x, &runs, target.runs())?, pictures(dx, &runs, target.runs())?);
            let (aim, dy) = (aim(self, loss, part, weight), self.floats(dy.channels(runs)?));
            let args = (self.tensor(x), aim, dy, self.tensor(dx), Merge::from(mode));
            self.launch(names::LOSS_GRAD, x.elem, spread(self, dx), &args)?;
        }
        Ok(())
    }

    fn keep_losses(&mut self, losses: &[View]) -> Result<()> {
        assert!(
            losses.len() <= RING_WIDTH,
            "the tape keeps at most as many losses as a row of the ring holds"
        );
        let mut all = [FloatAddress::default(); RING_WIDTH];
        all.iter_mut().zip(losses).for_each(|(to, view)| *to = self.floats(*view));
        let [p0, p1, p2, p3, p4, p5, p6, p7] = all;
        let count = losses.len() as i32;
        let losses = LossPointers { p0, p1, p2, p3, p4, p5, p6, p7, count };
        let args = (losses, self.ring_address(), self.state_address());
        self.launch(names::KEEP_LOSSES, Elem::F32, Grid::line(1, 32), &args)
    }
}
