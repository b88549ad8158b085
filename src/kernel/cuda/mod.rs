//! The kernel families on a CUDA device: arguments and grid of every launch. The kernels themselves
//! are in `kernels/`.
//!
//! The contracts, with their formulas, are in the same files as the CPU's loops.

mod adam;
mod conv;
mod cross_entropy;
mod dropout;
mod image;
mod loss;
mod norm;
mod pad;
mod pointwise;
mod pool;
mod softmax;
mod upsample;
mod vector;
mod weigh;

use crate::device::{
    Cache, Cuda, CudaOptions, ElemAddress, Grid, Precision, State, Tensor, device_constants,
    device_struct,
};
use crate::error::settings::PRECISION;
use crate::error::{Error, Result};
use crate::kernel::{Backend, Loss, Write};
use crate::tensor::View;

include!(concat!(env!("OUT_DIR"), "/kernels.rs"));

device_constants! {
    /// Bytes that a thread reads or writes at once, where channels and addresses are multiples.
    const VECTOR_BYTES: usize = 16;
    /// Threads of a block of the pointwise kernels: see [`spread`].
    const MAP_THREADS: usize = 256;
}

device_struct! {
    /// [`Write`] as a kernel takes it.
    pub struct Merge {
        /// 1 to add to what is there, 0 to replace it.
        pub add: i32,
    }
}

/// Stands for a tensor that is not used: its address is null.
const NOTHING: Tensor = Tensor { data: ElemAddress(0), n: 0, h: 0, w: 0, c: 1, pitch: 1 };

impl From<Write> for Merge {
    fn from(mode: Write) -> Self {
        Merge { add: i32::from(mode == Write::Add) }
    }
}

/// The GPU that a user chooses, and how it is used.
#[derive(Clone, Debug)]
pub struct Choice {
    /// The number of the GPU, from 0.
    pub ordinal: usize,
    /// How it stores activations and multiplies.
    pub precision: Precision,
    /// Whether a program is captured as one graph and replayed; if not, every kernel is launched by
    /// itself.
    pub graph: bool,
}

/// Opens a GPU with the kernels of this program, or those of the folder named by
/// `PIX2PIX_KERNELS`.
///
/// # Errors
/// As [`Cuda::new`], and [`Error::File`] where that folder cannot be read.
pub fn open(choice: &Choice) -> Result<Cuda> {
    open_with(choice, sources()?)
}

/// [`open`] with kernels from other source text, given as file names and contents.
///
/// # Errors
/// As [`Cuda::new`].
pub fn open_with(choice: &Choice, files: Vec<(String, String)>) -> Result<Cuda> {
    let Choice { ordinal, precision, graph } = *choice;
    Cuda::new(CudaOptions { ordinal, precision, graph, cache: Cache::of_user(), files })
}

/// The environment variable that names a folder of kernels to use in place of the built-in ones.
pub const VARIABLE: &str = "PIX2PIX_KERNELS";

/// Name and text of every kernel file, and of the generated `structs.cuh` with the constants, enums
/// and structs that kernels share with Rust.
///
/// # Errors
/// [`Error::File`] where a file of the folder that `PIX2PIX_KERNELS` names cannot be read.
pub fn sources() -> Result<Vec<(String, String)>> {
    let folder = std::env::var_os(VARIABLE).map(std::path::PathBuf::from);
    let mut files = Vec::new();
    for (name, text) in FILES {
        let text = match &folder {
            None => (*text).to_string(),
            Some(folder) => {
                let path = folder.join(name);
                std::fs::read_to_string(&path).map_err(|e| crate::Error::file("read", &path, e))?
            }
        };
        files.push(((*name).to_string(), text));
    }
    // In order of use: a declaration follows those that it refers to.
    let declarations = [
        constants(),
        conv::constants(),
        norm::constants(),
        pointwise::constants(),
        dropout::constants(),
        loss::constants(),
        cross_entropy::constants(),
        vector::constants(),
        Loss::declaration(),
        pointwise::ActivationKind::declaration(),
        State::declaration(),
        Tensor::declaration(),
        Merge::declaration(),
        adam::AdamRule::declaration(),
        conv::Window::declaration(),
        conv::Split::declaration(),
        pointwise::Rule::declaration(),
        pointwise::Copies::declaration(),
        dropout::DropoutArg::declaration(),
        loss::Aim::declaration(),
        loss::LossPointers::declaration(),
        cross_entropy::Labels::declaration(),
        norm::NormRule::declaration(),
        norm::Stats::declaration(),
        norm::Grads::declaration(),
        image::Uncropped::declaration(),
        image::SampleArg::declaration(),
        image::CropArg::declaration(),
    ];
    let text = declarations.into_iter().collect();
    files.push(("structs.cuh".to_string(), text));
    Ok(files)
}

impl Backend for Cuda {
    fn run_program(
        &mut self,
        program: u64,
        work: &mut (dyn FnMut(&mut dyn Backend) -> Result<()> + Send),
    ) -> Result<()> {
        self.run_with(program, |cuda| work(cuda))
    }
}

/// Checks that one kernel can read both tensors: it is compiled for one element type.
fn stored_alike(family: &str, a: View, b: View) -> Result<()> {
    if a.elem == b.elem {
        return Ok(());
    }
    Err(Error::machine(format!(
        "{family}: {} and {} are stored differently, as a single number is in bf16; use larger \
         pictures or {PRECISION} f32",
        a.shape, b.shape
    )))
}

/// One block per task, at most `waves` per multiprocessor: kernels loop over the rest.
fn blocks(cuda: &Cuda, tasks: usize, waves: usize) -> usize {
    tasks.clamp(1, waves * cuda.multiprocessors())
}

/// The grid of a pointwise kernel on `view`: one vector per thread, up to eight blocks per
/// multiprocessor.
fn spread(cuda: &Cuda, view: View) -> Grid {
    let vectors = (view.shape.count() * view.elem.size()).div_ceil(VECTOR_BYTES);
    Grid::line(blocks(cuda, vectors.div_ceil(MAP_THREADS), 8), MAP_THREADS as u32)
}
