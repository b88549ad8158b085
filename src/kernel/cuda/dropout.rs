//! Dropout on a GPU: `kernels/dropout.cu`.

use super::{Merge, names, spread};
use crate::device::{Cuda, device_struct};
use crate::error::Result;
use crate::kernel::{Dropout, DropoutKernels, Write};
use crate::tensor::View;

device_struct! {
    /// [`Dropout`] as a kernel takes it.
    pub struct DropoutArg {
        /// Probability of an element becoming 0.
        pub rate: f32,
        /// Which dropout of the program this is.
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
