//! Losses on a GPU: `kernels/loss.cu`.

use super::{Merge, blocks, names, spread};
use crate::device::{
    Cuda, DoubleAddress, ElemAddress, FloatAddress, Grid, RING_WIDTH, Tensor, TicketAddress,
    device_struct,
};
use crate::error::Result;
use crate::kernel::{Loss, LossKernels, Target, Write};
use crate::tensor::{Elem, View};

device_struct! {
    /// A loss and what it compares with.
    pub struct Aim {
        /// The other tensor; null where there is a label.
        pub other: Tensor,
        /// The label.
        pub label: f32,
        /// 0 binary cross entropy, 1 squared, 2 absolute difference.
        pub kind: i32,
    }
}

device_struct! {
    /// Losses to keep: the first `count`.
    pub struct Losses {
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

fn aim(cuda: &Cuda, loss: Loss, target: Target<View>) -> Aim {
    let kind = match loss {
        Loss::Bce => 0,
        Loss::Mse => 1,
        Loss::L1 => 2,
    };
    let nothing = Tensor { data: ElemAddress(0), n: 0, h: 0, w: 0, c: 0, pitch: 0 };
    match target {
        Target::Value(label) => Aim { other: nothing, label, kind },
        Target::Tensor(view) => Aim { other: cuda.tensor(view), label: 0.0, kind },
    }
}

impl LossKernels for Cuda {
    fn loss(&mut self, loss: Loss, x: View, target: Target<View>, y: View) -> Result<()> {
        let count = x.shape.count();
        // Four elements a thread: the block that is last reads a number a block.
        let blocks = blocks(self, count.div_ceil(4 * THREADS as usize), 2);
        let parts = DoubleAddress(self.scratch(2 * blocks)?.0);
        let ticket = TicketAddress(self.tickets_address().0);
        let args = (self.tensor(x), aim(self, loss, target), self.floats(y), parts, ticket);
        self.launch(names::LOSS, x.elem, Grid::line(blocks, THREADS), &args)
    }

    fn loss_grad(
        &mut self,
        loss: Loss,
        x: View,
        target: Target<View>,
        dy: View,
        dx: View,
        mode: Write,
    ) -> Result<()> {
        let (aim, to) = (aim(self, loss, target), self.tensor(dx));
        let args = (self.tensor(x), aim, self.floats(dy), to, Merge::from(mode));
        self.launch(names::LOSS_GRAD, x.elem, spread(self, dx), &args)
    }

    fn keep_losses(&mut self, losses: &[View]) -> Result<()> {
        assert!(losses.len() <= RING_WIDTH, "the tape keeps no more than a row holds");
        let mut all = [FloatAddress::default(); RING_WIDTH];
        all.iter_mut().zip(losses).for_each(|(to, view)| *to = self.floats(*view));
        let [p0, p1, p2, p3, p4, p5, p6, p7] = all;
        let count = losses.len() as i32;
        let losses = Losses { p0, p1, p2, p3, p4, p5, p6, p7, count };
        let args = (losses, self.ring_address(), self.state_address());
        self.launch(names::KEEP_LOSSES, Elem::F32, Grid::line(1, 32), &args)
    }
}
