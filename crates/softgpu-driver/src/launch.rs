//! Launching a kernel: the checks that a real driver makes at the call, and the run itself.

use std::sync::Arc;

use softgpu::{FindingKind, LaunchConfig, Options};

use crate::device::{MAX_BLOCK, MAX_GRID};
use crate::driver::Driver;
use crate::error::{CuError, Result};
use crate::handle::Id;
use crate::hazard::Access;
use crate::module::Function;
use crate::ops::Work;
use crate::run::Touched;
use crate::stream::Stream;

/// A kernel with everything it needs; the arguments were copied at the call.
pub struct Launch {
    /// The code, kept alive.
    pub module: Arc<softgpu::Module>,
    /// The kernel's name.
    pub kernel: Arc<str>,
    /// Ordinal of the device.
    pub device: usize,
    /// Grid, block and dynamic shared memory.
    pub config: LaunchConfig,
    /// Arguments, packed as the kernel declares them.
    pub params: Vec<u8>,
}

impl Driver {
    /// Fails where `cuLaunchKernel` would fail at the call.
    ///
    /// # Errors
    /// `INVALID_VALUE` for extents out of range, more threads than the kernel declares, or more
    /// dynamic shared memory than it was allowed. Registers are not checked: their number is an
    /// estimate that may be twice too high.
    pub fn check_launch(&self, id: Id<Function>, config: &LaunchConfig) -> Result<()> {
        let (function, _) = self.function(id)?;
        let info = &function.info;
        let in_range = |extents: [u32; 3], limits: [u32; 3]| {
            extents.iter().zip(limits).all(|(&extent, limit)| (1..=limit).contains(&extent))
        };
        if !in_range(config.grid, MAX_GRID) || !in_range(config.block, MAX_BLOCK) {
            return Err(CuError::INVALID_VALUE);
        }
        let threads: u64 = config.block.iter().map(|&n| u64::from(n)).product();
        if threads > u64::from(Self::max_threads(info)) {
            return Err(CuError::INVALID_VALUE);
        }
        if info.required_threads.is_some_and(|required| required != config.block) {
            return Err(CuError::INVALID_VALUE);
        }
        if config.dynamic_shared_bytes > function.max_dynamic {
            return Err(CuError::INVALID_VALUE);
        }
        Ok(())
    }

    /// Submits a launch with packed arguments.
    ///
    /// # Errors
    /// Those of [`Driver::check_launch`]; `INVALID_VALUE` when the arguments have another length
    /// than the kernel's; `COOPERATIVE_LAUNCH_TOO_LARGE` when `cooperative` and the blocks cannot
    /// all be resident; `INVALID_HANDLE` when stream and kernel are of different contexts.
    pub fn launch(
        &mut self,
        id: Id<Function>,
        stream: Id<Stream>,
        config: LaunchConfig,
        params: Vec<u8>,
        cooperative: bool,
    ) -> Result<()> {
        self.check_launch(id, &config)?;
        let (function, loaded) = self.function(id)?;
        let context = self.streams.get(stream).ok_or(CuError::INVALID_HANDLE)?.context;
        if context != loaded.context {
            return Err(CuError::INVALID_HANDLE);
        }
        if params.len() != function.info.param_bytes as usize {
            return Err(CuError::INVALID_VALUE);
        }
        if cooperative {
            let threads = config.block.iter().product();
            let resident =
                self.resident_blocks(id, threads, u64::from(config.dynamic_shared_bytes))?;
            let multiprocessors = self.preset(context)?.multiprocessors;
            let blocks: u64 = config.grid.iter().map(|&n| u64::from(n)).product();
            if blocks > u64::from(resident) * u64::from(multiprocessors) {
                return Err(CuError::COOPERATIVE_LAUNCH_TOO_LARGE);
            }
        }
        let kernel: Arc<str> = Arc::from(function.info.name.as_str());
        let launch = Launch {
            module: Arc::clone(&loaded.module),
            kernel: Arc::clone(&kernel),
            device: self.context(context)?.device,
            config,
            params,
        };
        self.submit(stream, Work::Kernel(Arc::new(launch)), kernel, Vec::new())?;
        Ok(())
    }

    /// Runs a kernel now; its virtual duration.
    ///
    /// # Errors
    /// The sticky error of what stopped it.
    pub fn run_kernel(&mut self, launch: &Launch, touched: &mut Touched) -> Result<u64> {
        let options = Options {
            threads: self.config.threads,
            order: self.config.order,
            checks: self.config.checks,
            counters: self.config.counters,
            touches: self.touches_matter(),
            budget: self.config.budget,
            cp_async: self.config.cp_async,
            findings_are_fatal: false,
        };
        let result = softgpu::launch(
            &launch.module,
            &launch.kernel,
            launch.config,
            &launch.params,
            &self.memory,
            &options,
        );
        match result {
            Ok(done) => {
                if let Some(touches) = done.touches {
                    let kernel = launch.module.kernel(&launch.kernel);
                    let writes = match kernel.is_some_and(|kernel| kernel.writes_by_atomics) {
                        true => Access::Atomic,
                        false => Access::Write,
                    };
                    touched.extend(touches.reads.into_iter().map(|bytes| (bytes, Access::Read)));
                    touched.extend(touches.writes.into_iter().map(|bytes| (bytes, writes)));
                }
                self.report.printf(&done.output);
                let instructions = done
                    .counters
                    .as_ref()
                    .map_or(0, |counters| counters.get("smsp__inst_executed.sum"));
                self.report.launch(launch, done.counters);
                for finding in done.findings {
                    self.report.finding(finding);
                }
                Ok(1000 + instructions)
            }
            Err(fault) => {
                self.report.printf(&fault.output);
                for finding in fault.earlier {
                    self.report.finding(finding);
                }
                let error = sticky(fault.finding.kind);
                self.report.finding(fault.finding);
                Err(error)
            }
        }
    }
}

/// The error that a context keeps after such a fault.
fn sticky(kind: FindingKind) -> CuError {
    match kind {
        FindingKind::OutOfBounds | FindingKind::UseAfterFree => CuError::ILLEGAL_ADDRESS,
        FindingKind::Misaligned => CuError::MISALIGNED_ADDRESS,
        FindingKind::Assert => CuError::ASSERT,
        FindingKind::Trap => CuError::ILLEGAL_INSTRUCTION,
        FindingKind::Hang | FindingKind::BarrierMismatch => CuError::LAUNCH_TIMEOUT,
        _ => CuError::LAUNCH_FAILED,
    }
}
