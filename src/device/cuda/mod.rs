//! A CUDA device: one arena in its memory, one stream that all kernels run on, kernels compiled
//! when they are first launched.
//!
//! The driver is found at run time; nothing of CUDA is needed to build. This folder is the only
//! place that names `cudarc` and the only one where the driver is touched: everything above says
//! *launch this kernel with these Views*.
#![allow(unsafe_code)]

mod args;
mod cache;
mod graph;
mod list;
mod memory;
mod nvrtc;
mod precision;
mod staging;
mod timing;

use std::collections::HashMap;
use std::sync::{Arc, Weak};

use cudarc::driver::result::DriverError;
use cudarc::driver::sys::CUdevice_attribute as Attribute;
use cudarc::driver::sys::CUresult;
use cudarc::driver::{CudaContext, CudaFunction, CudaModule, CudaSlice, CudaStream, DevicePtr};
use cudarc::driver::{DriverError as Failure, LaunchConfig};
use cudarc::nvrtc::Ptx;

#[doc(hidden)]
pub use args::{
    Arg, Args, ByteAddress, Constant, CounterAddress, DoubleAddress, ElemAddress, FloatAddress,
    Named, State, StateAddress, Tensor,
};
pub(crate) use args::{device_constants, device_enum, device_struct, plain};
pub use cache::Cache;
#[doc(hidden)]
pub use cudarc::driver::DeviceRepr;
pub use list::{Gpu, gpu, gpus};
pub use nvrtc::{Compiled, Nvrtc, find as find_nvrtc};
pub use precision::Precision;
pub use timing::Stopwatch;

use super::{Device, RING_ROWS, RING_WIDTH, StepState};
use crate::error::settings::{BASE_CHANNELS, BATCH_SIZE, DEVICE, PRECISION, SIZE};
use crate::error::{Error, Result};
use crate::tensor::{Elem, View};
use graph::Graphs;
use staging::Staging;

/// A kernel's file, name and parameters. `build.rs` generates a constant for each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Kernel {
    /// File in `kernels/`.
    pub file: &'static str,
    /// Name in that file.
    pub name: &'static str,
    /// Types of its parameters, as CUDA names them.
    pub params: &'static [&'static str],
}

/// Blocks and threads of a launch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Grid {
    /// Blocks along x, y and z.
    pub blocks: [u32; 3],
    /// Threads of a block.
    pub threads: u32,
    /// Bytes of dynamic shared memory of a block.
    pub shared: u32,
}

impl Grid {
    /// Blocks along x alone, without dynamic shared memory.
    pub const fn line(blocks: usize, threads: u32) -> Self {
        Grid { blocks: [blocks as u32, 1, 1], threads, shared: 0 }
    }
}

/// How a device is opened.
#[derive(Clone, Debug)]
pub struct CudaOptions {
    /// The number of the GPU, from 0.
    pub ordinal: usize,
    /// How it stores activations and multiplies.
    pub precision: Precision,
    /// Whether each program is captured as a graph and replayed; if not, every kernel is launched
    /// by itself.
    pub graph: bool,
    /// Where compiled kernels are kept.
    pub cache: Cache,
    /// Name and text of the kernel files, with the generated `structs.cuh`.
    pub files: Vec<(String, String)>,
}

/// The number of counters that the blocks of a launch can share.
pub(crate) const COUNTERS: usize = 1024;

/// A CUDA device.
pub struct Cuda {
    options: CudaOptions,
    context: Arc<CudaContext>,
    stream: Arc<CudaStream>,
    nvrtc: Nvrtc,
    architecture: i32,
    multiprocessors: usize,
    arena: Option<CudaSlice<u8>>,
    /// Memory that kernels take in addition to their operands; grows to the largest request.
    scratch: Option<CudaSlice<u8>>,
    constants: CudaSlice<u8>,
    /// Constants of programs: see `copy_constant`.
    held: Vec<HeldConstant>,
    state: State,
    step: StepState,
    /// Whether `state` has been copied to the device.
    told: bool,
    modules: HashMap<(&'static str, Precision), Arc<CudaModule>>,
    functions: HashMap<(Kernel, Precision), CudaFunction>,
    graphs: Graphs,
    staging: Staging,
    launches: u64,
}

/// A constant on the device, kept as long as a program that copies from it exists.
struct HeldConstant {
    values: Weak<[f32]>,
    copy: CudaSlice<u8>,
}

/// Bytes reserved for [`State`]; the ring of losses follows.
const STATE_BYTES: usize = 64;

/// The driver's error as one of ours: "the GPU could not `what`".
fn failed(what: &str, error: &Failure) -> Error {
    let cure = match error.0 {
        CUresult::CUDA_ERROR_OUT_OF_MEMORY => {
            format!("; use a smaller {BASE_CHANNELS}, {SIZE} or {BATCH_SIZE}")
        }
        CUresult::CUDA_ERROR_ILLEGAL_ADDRESS
        | CUresult::CUDA_ERROR_MISALIGNED_ADDRESS
        | CUresult::CUDA_ERROR_LAUNCH_FAILED => {
            "; this is a defect of the program, please report it with the output of \
             `pix2pix-engine verify --device cuda`"
                .to_string()
        }
        _ => String::new(),
    };
    let text = error.error_string().map(|s| s.to_string_lossy().into_owned());
    let text = text.unwrap_or_else(|_| format!("{:?}", error.0));
    Error::machine(format!("the GPU could not {what}: {text}{cure}"))
}

/// Whether a CUDA driver can be loaded.
pub fn driver_present() -> bool {
    // SAFETY: this only tries to load the library, as the first call of any other function would.
    unsafe { cudarc::driver::sys::is_culib_present() }
}

/// The number of GPUs of this machine.
///
/// # Errors
/// [`Error::Machine`] where there is no driver, or it does not start.
pub fn count() -> Result<usize> {
    if !driver_present() {
        return Err(Error::machine(format!(
            "there is no CUDA driver (libcuda.so); install NVIDIA's driver, or use {DEVICE} cpu"
        )));
    }
    let count = CudaContext::device_count().map_err(|e| failed("be counted", &e))?;
    Ok(usize::try_from(count).unwrap_or(0))
}

impl Cuda {
    /// Opens a device.
    ///
    /// # Errors
    /// [`Error::Machine`] where there is no driver, no such GPU or no NVRTC, or where the GPU is
    /// too old for the precision.
    pub fn new(options: CudaOptions) -> Result<Self> {
        let gpu = list::gpu(options.ordinal)?;
        let nvrtc = gpu.nvrtc()?;
        let opening = |e: Failure| failed("be opened", &e);
        let context = CudaContext::new(options.ordinal).map_err(opening)?;
        // SAFETY: cudarc would order streams by events, which a capture refuses. We order them
        // ourselves: kernels and copies share `stream`, except for the copies of pictures, whose
        // events `staging.rs` records and waits for.
        unsafe { context.disable_event_tracking() };
        let (major, minor) = gpu.capability;
        let architecture = nvrtc.architecture(10 * major + minor)?;
        if options.precision != Precision::F32 && gpu.capability < (8, 0) {
            return Err(Error::machine(format!(
                "{PRECISION} {} needs a GPU of compute capability 8.0 or newer, this is {major}.{minor}; \
                 use {PRECISION} f32",
                options.precision.name()
            )));
        }
        let count = context.attribute(Attribute::CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT);
        let multiprocessors = count.map_err(opening)?.max(1) as usize;
        // A stream of our own, because the default stream cannot be captured.
        let stream = context.new_stream().map_err(opening)?;
        // Behind the counters lie as many counts (`memory.rs`).
        let bytes = STATE_BYTES + 4 * (RING_ROWS * RING_WIDTH + 2 * COUNTERS);
        let constants = stream.alloc_zeros::<u8>(bytes).map_err(opening)?;
        let staging = Staging::new(&context)?;
        let step = StepState::default();
        let StepState { seed, step: number, lr, micro } = step;
        let state = State { seed, step: number, lr, row: 0, micro };
        let mut cuda = Cuda {
            options,
            context,
            stream,
            nvrtc,
            architecture,
            multiprocessors,
            arena: None,
            scratch: None,
            constants,
            held: Vec::new(),
            state,
            step,
            told: false,
            modules: HashMap::new(),
            functions: HashMap::new(),
            graphs: Graphs::default(),
            staging,
            launches: 0,
        };
        cuda.set_state(step);
        Ok(cuda)
    }

    /// How it stores activations and multiplies.
    pub fn precision(&self) -> Precision {
        self.options.precision
    }

    /// The number of multiprocessors; grids are sized in multiples of it.
    pub fn multiprocessors(&self) -> usize {
        self.multiprocessors
    }

    /// Launches so far. Those of a capture count, those of its replays do not.
    pub fn launches(&self) -> u64 {
        self.launches
    }

    /// Bytes of scratch memory and constants held in addition to the arena.
    pub fn side_bytes(&self) -> usize {
        let constants: usize = self.held.iter().map(|c| c.copy.len()).sum();
        self.scratch.as_ref().map_or(0, CudaSlice::len) + constants
    }

    /// The compiler in use.
    pub fn nvrtc(&self) -> &Nvrtc {
        &self.nvrtc
    }

    /// The state that was set last.
    pub fn step(&self) -> StepState {
        self.step
    }

    fn address_of(&self, slice: Option<&CudaSlice<u8>>) -> u64 {
        // The guard that cudarc hands out with the address records events, which are turned off.
        slice.map_or(0, |slice| slice.device_ptr(&self.stream).0)
    }

    /// The address of a View on the device.
    fn address(&self, view: View) -> u64 {
        let end = view.span().end * view.elem.size();
        let len = self.arena.as_ref().map_or(0, CudaSlice::len);
        assert!(end <= len, "a view ends at byte {end} of an arena of {len}");
        self.address_of(self.arena.as_ref()) + view.byte() as u64
    }

    /// The argument for a tensor of activations.
    pub(crate) fn tensor(&self, view: View) -> Tensor {
        let s = view.shape;
        let data = ElemAddress(self.address(view));
        let [n, h, w, c, pitch] = [s.n, s.h, s.w, s.c, view.pitch].map(|x| x as i32);
        Tensor { data, n, h, w, c, pitch }
    }

    /// The argument for dense f32 numbers: parameters, statistics, losses.
    pub(crate) fn floats(&self, view: View) -> FloatAddress {
        let together = view.is_dense() || view.shape.pixels() == 1;
        assert!(together && view.elem == Elem::F32, "parameters are dense and f32");
        FloatAddress(self.address(view))
    }

    /// [`Cuda::floats`], null where there is none.
    pub(crate) fn maybe_floats(&self, view: Option<View>) -> FloatAddress {
        view.map_or(FloatAddress::default(), |view| self.floats(view))
    }

    /// Where kernels read the step's state.
    pub(crate) fn state_address(&self) -> StateAddress {
        StateAddress(self.address_of(Some(&self.constants)))
    }

    /// The ring of losses: `RING_ROWS` rows of `RING_WIDTH` numbers.
    pub(crate) fn ring_address(&self) -> FloatAddress {
        FloatAddress(self.state_address().0 + STATE_BYTES as u64)
    }

    /// [`COUNTERS`] counters of 4 bytes that are 0 before and after every launch: the last block
    /// that uses one resets it.
    pub(crate) fn counters_address(&self) -> ByteAddress {
        ByteAddress(self.ring_address().0 + (4 * RING_ROWS * RING_WIDTH) as u64)
    }

    /// Scratch memory of at least `floats` f32 numbers, which all kernels share, one after another;
    /// its contents are undefined. Where it has to grow, captured graphs are dropped, because its
    /// address changes.
    ///
    /// # Errors
    /// [`Error::Machine`] where there is not enough memory.
    #[doc(hidden)]
    pub fn scratch(&mut self, floats: usize) -> Result<FloatAddress> {
        let have = self.scratch.as_ref().map_or(0, CudaSlice::len);
        if have < 4 * floats {
            self.graphs.clear();
            self.finish()?;
            self.scratch = None;
            self.scratch = Some(self.allocate(4 * floats)?);
        }
        Ok(FloatAddress(self.address_of(self.scratch.as_ref())))
    }

    fn allocate(&self, bytes: usize) -> Result<CudaSlice<u8>> {
        // SAFETY: the memory is uninitialised. The planner keeps a program from reading what it has
        // not written, and `Params::init` or a checkpoint writes all parameters first; the tests
        // run with softgpu's check of uninitialised reads.
        unsafe { self.stream.alloc::<u8>(bytes.max(256)) }
            .map_err(|e| failed(&format!("give {:.2} GB of memory", bytes as f64 / 1e9), &e))
    }

    /// Launches a kernel, compiled for activations stored as `elem`.
    ///
    /// # Errors
    /// [`Error::Machine`] where the kernel does not compile or the driver refuses the launch.
    pub(crate) fn launch(
        &mut self,
        kernel: Kernel,
        elem: Elem,
        grid: Grid,
        args: &impl Args,
    ) -> Result<()> {
        let args = args.list();
        assert!(
            args.iter().map(|arg| arg.name()).eq(kernel.params.iter().copied()),
            "{} takes {:?}, was given {:?}",
            kernel.name,
            kernel.params,
            args.iter().map(|arg| arg.name()).collect::<Vec<_>>()
        );
        let function = self.function(kernel, self.options.precision.of(elem))?;
        if grid.shared > 48 * 1024 {
            let attribute = cudarc::driver::sys::CUfunction_attribute::
                CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES;
            let set = function.set_attribute(attribute, grid.shared as i32);
            set.map_err(|e| failed(&format!("give {} its shared memory", kernel.name), &e))?;
        }
        self.tell()?;
        self.launches += 1;
        let mut launch = self.stream.launch_builder(&function);
        args.iter().for_each(|arg| arg.push(&mut launch));
        let [x, y, z] = grid.blocks;
        let config = LaunchConfig {
            grid_dim: (x, y, z),
            block_dim: (grid.threads, 1, 1),
            shared_mem_bytes: grid.shared,
        };
        // SAFETY: the arguments are those that the kernel declares, checked above, and have CUDA's
        // layout (`args.rs`); their addresses come from `address`, which checks that a View ends
        // inside the arena, or from buffers of this struct. That a kernel stays inside the tensors
        // it is given is its own contract, which the tests verify with softgpu's checks.
        unsafe { launch.launch(config) }
            .map(drop)
            .map_err(|e| failed(&format!("start {}", kernel.name), &e))
    }

    fn function(&mut self, kernel: Kernel, precision: Precision) -> Result<CudaFunction> {
        if let Some(function) = self.functions.get(&(kernel, precision)) {
            return Ok(function.clone());
        }
        let module = match self.modules.get(&(kernel.file, precision)) {
            Some(module) => module.clone(),
            None => {
                let module = self.load(kernel.file, precision)?;
                self.modules.insert((kernel.file, precision), module.clone());
                module
            }
        };
        let function = module
            .load_function(kernel.name)
            .map_err(|e| failed(&format!("find {} in {}", kernel.name, kernel.file), &e))?;
        self.functions.insert((kernel, precision), function.clone());
        Ok(function)
    }

    /// Loads a kernel file, compiled now or taken from the cache.
    fn load(&self, file: &'static str, precision: Precision) -> Result<Arc<CudaModule>> {
        let options = compile_options(self.architecture, precision);
        let files = &self.options.files;
        let key = cache::key(&(file, files, &options, self.nvrtc.version));
        let compiled = match self.options.cache.get(&key) {
            Some(compiled) => compiled,
            None => {
                let compiled = self.nvrtc.compile(file, files, &options)?;
                self.options.cache.store(&key, &compiled);
                compiled
            }
        };
        match self.context.load_module(Ptx::from_src(compiled.ptx)) {
            Ok(module) => Ok(module),
            // NVRTC is newer than the driver. Machine code that NVRTC has assembled itself needs no
            // translation by the driver.
            Err(DriverError(CUresult::CUDA_ERROR_UNSUPPORTED_PTX_VERSION))
                if !compiled.cubin.is_empty() =>
            {
                self.context.load_module(Ptx::from_binary(compiled.cubin)).map_err(|e| {
                    let (major, minor) = self.nvrtc.version;
                    Error::machine(format!(
                        "{}; NVRTC {major}.{minor} is newer than the driver: update the driver, or \
                         name an older NVRTC in {}",
                        failed(&format!("load {file}"), &e),
                        nvrtc::VARIABLE
                    ))
                })
            }
            Err(e) => Err(failed(&format!("load {file}"), &e)),
        }
    }

    /// Waits until everything that was launched is done.
    ///
    /// # Errors
    /// [`Error::Machine`] where a kernel failed.
    pub fn finish(&self) -> Result<()> {
        self.stream.synchronize().map_err(|e| failed("finish its work", &e))
    }

    fn read(&self, from: usize, bytes: &mut [u8]) -> Result<()> {
        let Some(arena) = &self.arena else { return Ok(()) };
        let source = arena.slice(from..from + bytes.len());
        let copied = self.stream.memcpy_dtoh(&source, bytes);
        copied.map_err(|e| failed("be read from", &e))?;
        self.finish()
    }

    fn write(&mut self, to: usize, bytes: &[u8]) -> Result<()> {
        let Some(arena) = &mut self.arena else { return Ok(()) };
        let mut target = arena.slice_mut(to..to + bytes.len());
        let copied = self.stream.memcpy_htod(bytes, &mut target);
        copied.map_err(|e| failed("be written to", &e))?;
        // The caller may free the bytes when this returns.
        self.finish()
    }

    /// Copies the step's state to the device if it has changed. Called before a capture begins,
    /// which allows no such copy.
    fn tell(&mut self) -> Result<()> {
        if std::mem::replace(&mut self.told, true) {
            return Ok(());
        }
        let mut bytes = [0; 28];
        bytes[0..8].copy_from_slice(&self.state.seed.to_le_bytes());
        bytes[8..16].copy_from_slice(&self.state.step.to_le_bytes());
        bytes[16..20].copy_from_slice(&self.state.lr.to_le_bytes());
        bytes[20..24].copy_from_slice(&self.state.row.to_le_bytes());
        bytes[24..28].copy_from_slice(&self.state.micro.to_le_bytes());
        let mut target = self.constants.slice_mut(0..28);
        // So few bytes of pageable memory have been copied by the driver when the call returns.
        let copied = self.stream.memcpy_htod(&bytes, &mut target);
        copied.map_err(|e| failed("be told the step", &e))
    }
}

/// The options of NVRTC: a real architecture (`sm_`), so that its assembler checks every
/// instruction; line numbers for tools; none that trades accuracy for speed. `architecture` is 80
/// for 8.0.
pub fn compile_options(architecture: i32, precision: Precision) -> Vec<String> {
    vec![
        format!("--gpu-architecture=sm_{architecture}"),
        "--std=c++17".to_string(),
        "-lineinfo".to_string(),
        precision.define().to_string(),
    ]
}
