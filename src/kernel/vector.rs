//! Functions of dense vectors, such as all parameters of a network: their moving average, the norm
//! of their gradients.

use rayon::prelude::*;

use super::Workspace;
use crate::device::Cpu;
use crate::error::Result;
use crate::tensor::View;

/// Functions of dense f32 vectors on a device. Errors are what the device reports.
pub trait VectorKernels {
    /// `mean = decay mean + (1 - decay) x`, computed as `mean + (1 - decay)(x - mean)`, so that the
    /// mean of a constant is exactly that constant. Two vectors of one length.
    fn moving_average(&mut self, decay: f32, x: View, mean: View) -> Result<()>;

    /// `y[0] = sqrt(sum of x^2)`, summed in f64 in a fixed order.
    fn vector_norm(&mut self, x: View, y: View) -> Result<()>;

    /// Memory that the norm of a vector of `count` numbers takes in addition to its operands.
    fn vector_norm_workspace(&self, count: usize) -> Workspace;

    /// How many numbers of each tensor are NaN or infinite. The tensors are dense f32; waits for
    /// everything that was launched before.
    fn count_not_finite(&mut self, tensors: &[View]) -> Result<Vec<usize>>;
}

/// Elements per task.
const CHUNK: usize = 65_536;

impl VectorKernels for Cpu {
    fn moving_average(&mut self, decay: f32, x: View, mean: View) -> Result<()> {
        let ([mean], rest, work) = self.split([mean]);
        let (x, arch) = (rest.get(x), work.arch);
        work.pool.install(|| {
            mean.par_chunks_mut(CHUNK).zip(x.par_chunks(CHUNK)).for_each(|(mean, x)| {
                arch.dispatch(|| {
                    mean.iter_mut().zip(x).for_each(|(m, x)| *m += (1.0 - decay) * (x - *m));
                });
            });
        });
        Ok(())
    }

    fn vector_norm(&mut self, x: View, y: View) -> Result<()> {
        let ([out], rest, work) = self.split([y]);
        let square = |x: &f32| f64::from(*x) * f64::from(*x);
        let parts: Vec<f64> = work.pool.install(|| {
            rest.get(x).par_chunks(CHUNK).map(|part| part.iter().map(square).sum()).collect()
        });
        out[0] = parts.iter().sum::<f64>().sqrt() as f32;
        Ok(())
    }

    fn vector_norm_workspace(&self, _count: usize) -> Workspace {
        Workspace::default()
    }

    fn count_not_finite(&mut self, tensors: &[View]) -> Result<Vec<usize>> {
        let ([], rest, work) = self.split([]);
        let arch = work.arch;
        // Lanes of u32, as wide as the numbers, so that the compiler vectorises the count.
        let part = |part: &[f32]| -> usize {
            arch.dispatch(|| part.iter().map(|v| u32::from(!v.is_finite())).sum::<u32>() as usize)
        };
        let count = |view: &View| rest.get(*view).par_chunks(CHUNK).map(part).sum();
        Ok(work.pool.install(|| tensors.par_iter().map(count).collect()))
    }
}
