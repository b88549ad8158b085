//! Adam: one call updates all parameters of a network.

use rayon::prelude::*;

use crate::device::Cpu;
use crate::error::Result;
use crate::tensor::View;

/// The settings of Adam that do not change during a run. The learning rate lr and the step number
/// t, from 1, are in the device's [`StepState`](crate::device::StepState).
///
/// ```text
/// m = beta1 m + (1 - beta1) g        v = beta2 v + (1 - beta2) g^2
/// w = w - lr / (1 - beta1^t) * m / (sqrt(v) / sqrt(1 - beta2^t) + eps)
/// ```
///
/// Source: Kingma and Ba, ICLR 2015; eps is added after the bias correction, as PyTorch does.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Adam {
    /// Decay of the first moment, in 0..1; by default 0.5, as in pix2pix.
    pub beta1: f32,
    /// Decay of the second moment, in 0..1; by default 0.999.
    pub beta2: f32,
    /// Added to the square root; by default 1e-8.
    pub eps: f32,
}

impl Adam {
    /// Names of the state that it keeps for each parameter: the first and the second moment.
    pub const STATE: [&'static str; 2] = ["m", "v"];
}

impl Default for Adam {
    fn default() -> Self {
        Adam { beta1: 0.5, beta2: 0.999, eps: 1e-8 }
    }
}

/// Adam on a device.
pub trait AdamKernels {
    /// Updates `values` and their moments `m` and `v` by one step, from their gradients. All four
    /// are dense f32 vectors of one length.
    ///
    /// # Errors
    /// What the device reports.
    fn adam(&mut self, adam: Adam, values: View, grads: View, m: View, v: View) -> Result<()>;
}

/// Elements per task.
const CHUNK: usize = 65_536;

impl AdamKernels for Cpu {
    fn adam(&mut self, adam: Adam, values: View, grads: View, m: View, v: View) -> Result<()> {
        let ([values, m, v], rest, work) = self.split([values, m, v]);
        let (grads, state, arch) = (rest.get(grads), work.state, work.arch);
        let Adam { beta1, beta2, eps } = adam;
        let t = state.step as f64;
        let rate = (f64::from(state.lr) / (1.0 - f64::from(beta1).powf(t))) as f32;
        let root = (1.0 - f64::from(beta2).powf(t)).sqrt() as f32;
        work.pool.install(|| {
            let moments = m.par_chunks_mut(CHUNK).zip(v.par_chunks_mut(CHUNK));
            let all = values.par_chunks_mut(CHUNK).zip(moments).zip(grads.par_chunks(CHUNK));
            all.for_each(|((w, (m, v)), g)| {
                arch.dispatch(|| {
                    for (((w, m), v), g) in w.iter_mut().zip(&mut *m).zip(&mut *v).zip(g) {
                        *m += (1.0 - beta1) * (g - *m);
                        *v = beta2 * *v + (1.0 - beta2) * g * g;
                        *w -= rate * (*m / (v.sqrt() / root + eps));
                    }
                });
            });
        });
        Ok(())
    }
}
