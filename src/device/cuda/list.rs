//! The GPUs of a machine, as they are listed to users.
#![allow(unsafe_code)]

use cudarc::driver::{CudaContext, sys};

use super::{Nvrtc, Precision, count, failed, nvrtc};
use crate::error::{Error, Result};

/// One GPU.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gpu {
    /// Its number, from 0.
    pub ordinal: usize,
    /// Its name, as the driver reports it.
    pub name: String,
    /// Compute capability, major and minor.
    pub capability: (i32, i32),
    /// Bytes of memory, free and total.
    pub memory: (u64, u64),
    /// The newest CUDA version that the driver supports, major and minor.
    pub driver: (i32, i32),
}

impl Gpu {
    /// The default precision: tf32 where the GPU has tensor cores for it, as PyTorch chooses for
    /// convolutions (`torch.backends.cudnn.allow_tf32`), f32 otherwise.
    pub fn precision(&self) -> Precision {
        if self.capability >= (8, 0) { Precision::Tf32 } else { Precision::F32 }
    }

    /// The first NVRTC found that compiles for this GPU.
    ///
    /// # Errors
    /// [`Error::Machine`] where there is none, with how to install it.
    pub fn nvrtc(&self) -> Result<Nvrtc> {
        let (major, minor) = self.capability;
        nvrtc::find_for(10 * major + minor)
    }

    /// Whether it is softgpu, an emulator that checks kernels and is slower than the CPU backend.
    pub fn emulated(&self) -> bool {
        self.name.ends_with("(softgpu)")
    }

    /// Name, memory, compute capability and precisions in one line.
    pub fn line(&self) -> String {
        let gb = |bytes: u64| bytes as f64 / 1e9;
        let precisions = if self.capability >= (8, 0) { "f32, tf32, bf16" } else { "f32" };
        let ((major, minor), (free, total)) = (self.capability, self.memory);
        format!(
            "{}, {:.1} of {:.1} GB free, compute capability {major}.{minor}, {precisions}",
            self.name,
            gb(free),
            gb(total)
        )
    }
}

/// One GPU by its number.
///
/// # Errors
/// [`Error::Machine`] where there is no driver or no such GPU.
pub fn gpu(ordinal: usize) -> Result<Gpu> {
    let devices = count()?;
    if ordinal >= devices {
        return Err(Error::machine(format!(
            "there is no GPU {ordinal}: the driver lists {devices}, from 0; see `pix2pix-engine devices`"
        )));
    }
    let asked = |e| failed("be asked what it is", &e);
    let context = CudaContext::new(ordinal).map_err(asked)?;
    let (free, total) = context.mem_get_info().map_err(asked)?;
    let mut version = 0;
    // SAFETY: it writes one int to `version`; the driver is loaded, because `count` has called it.
    unsafe { sys::cuDriverGetVersion(&mut version).result() }.map_err(asked)?;
    Ok(Gpu {
        ordinal,
        name: context.name().map_err(asked)?,
        capability: context.compute_capability().map_err(asked)?,
        memory: (free as u64, total as u64),
        driver: (version / 1000, version % 1000 / 10),
    })
}

/// All GPUs.
///
/// # Errors
/// [`Error::Machine`] where there is no driver.
pub fn gpus() -> Result<Vec<Gpu>> {
    (0..count()?).map(gpu).collect()
}
