//! Dropout on a GPU: `kernels/dropout.cu`.

use super::{Merge, names, spread};
use crate::device::{Cuda, device_constants, device_struct};
use crate::error::Result;
use crate::kernel::{Dropout, DropoutKernels, Write};
use crate::random::{self, Purpose};
use crate::tensor::View;

device_constants! {
    /// [`Purpose::Dropout`]
    const PURPOSE_DROPOUT: u32 = Purpose::Dropout as u32;
    /// [`random::PURPOSE_BITS`]
    const PURPOSE_BITS: u32 = random::PURPOSE_BITS;
    /// [`random::PHILOX_ROUNDS`]
    const PHILOX_ROUNDS: usize = random::PHILOX_ROUNDS;
    /// The first of [`random::PHILOX_MULTIPLIERS`].
    const PHILOX_MULTIPLIER_A: u32 = random::PHILOX_MULTIPLIERS[0];
    /// The second of [`random::PHILOX_MULTIPLIERS`].
    const PHILOX_MULTIPLIER_B: u32 = random::PHILOX_MULTIPLIERS[1];
    /// The first of [`random::PHILOX_KEY_STEPS`].
    const PHILOX_KEY_STEP_A: u32 = random::PHILOX_KEY_STEPS[0];
    /// The second of [`random::PHILOX_KEY_STEPS`].
    const PHILOX_KEY_STEP_B: u32 = random::PHILOX_KEY_STEPS[1];
    /// [`random::UNIFORM_BITS`]
    const UNIFORM_BITS: u32 = random::UNIFORM_BITS;
}

device_struct! {
    /// [`Dropout`] as a kernel takes it.
    pub struct DropoutArg {
        /// Probability of an element becoming 0.
        pub rate: f32,
        /// The number of this dropout in its program.
        pub stream: u32,
    }
}

impl From<Dropout> for DropoutArg {
    fn from(dropout: Dropout) -> Self {
        DropoutArg { rate: dropout.rate, stream: dropout.stream }
    }
}

impl DropoutKernels for Cuda {
    fn dropout(&mut self, dropout: Dropout, x: View, y: View, mode: Write) -> Result<()> {
        let (x, to, state) = (self.tensor(x), self.tensor(y), self.state_address());
        let args = (x, to, DropoutArg::from(dropout), state, Merge::from(mode));
        self.launch(names::DROPOUT, y.elem, spread(self, y), &args)
    }
}
