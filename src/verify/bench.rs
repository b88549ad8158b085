//! The speed of a GPU in training: first every instruction of a training step by itself, then whole
//! steps as training runs them.
//!
//! An instruction is timed by events, after the cache was emptied. Its time is reported with its
//! necessary work, as [`Instruction::work`](crate::tape::Instruction::work) counts it:
//!
//! * bytes: every tensor counts once where it is read and once where it is written, so twice where
//!   it is added to. A backward pass reads the gradient of the output, what the forward pass kept,
//!   and the inputs or the output where its formula needs them;
//! * operations, of convolutions only: 2 x pixels x taps x c x k for each pass, with the pixels of
//!   the smaller of x and y. Everything else is bound by memory.
//!
//! Rates are of necessary work, so a kernel that reads twice what it could read once shows a lower
//! one. Byte rates are compared with the device's own copy.

use std::fmt;
use std::time::Instant;

use super::{NAMES, OnDevice, SEED, pictures};
use crate::device::{self, Cuda, Device, StepState};
use crate::error::settings::{BENCH, DEVICE};
use crate::error::{Error, Result};
use crate::kernel::{ImageKernels, cuda};
use crate::tensor::{SampleRange, SampleSlice};
use crate::train::RunConfig;

/// How much is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Effort {
    /// Runs of an instruction before it is timed; the first compiles and allocates.
    pub warm: usize,
    /// Timed runs of an instruction; their median is reported.
    pub repetitions: usize,
    /// Memory written before each of these to empty the cache, in sizes of the L2 cache.
    pub caches: usize,
    /// Whole steps that are timed, after those that capture the graph.
    pub steps: usize,
    /// Bytes of the copy that byte rates are compared with.
    pub copied: usize,
}

/// Writing four caches takes 50 us or more on every GPU, longer than the host needs to submit the
/// few launches of one instruction. 256 MB are more than any cache holds.
impl Default for Effort {
    fn default() -> Self {
        Effort { warm: 3, repetitions: 15, caches: 4, steps: 50, copied: 256 << 20 }
    }
}

/// One instruction of the program.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// Its name: "forward conv".
    pub what: String,
    /// Shapes and addresses, as in a printed program.
    pub detail: String,
    /// Kernels that it launches.
    pub launches: u64,
    /// Bytes that it must move.
    pub bytes: u64,
    /// Floating-point operations that it must compute.
    pub flops: u64,
    /// Its median time, in seconds.
    pub seconds: f64,
}

/// Seconds per training step: upload of the pictures and all launches, without waiting between
/// steps.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Whole {
    /// Replayed as a graph.
    pub graph: f64,
    /// Launched kernel by kernel.
    pub launched: f64,
    /// Pairs of pictures per step.
    pub pictures: usize,
}

/// All that was measured.
#[derive(Clone, Debug, PartialEq)]
pub struct Timings {
    /// Bytes per second of the device's own copy, read plus written.
    pub copy: f64,
    /// The instructions that launch a kernel, in order.
    pub rows: Vec<Row>,
    /// Whole steps.
    pub whole: Whole,
}

/// Measures a GPU.
///
/// # Errors
/// As [`a_card`]; [`Error::Machine`] where the GPU fails or lacks memory.
pub fn bench(config: &RunConfig, choice: &cuda::Choice, effort: &Effort) -> Result<Timings> {
    a_card(choice)?;
    let (copy, rows) = kernels(config, cuda::open(choice)?, effort)?;
    let steps = |graph: bool| -> Result<f64> {
        steps(config, cuda::open(&cuda::Choice { graph, ..choice.clone() })?, effort)
    };
    let whole = Whole { graph: steps(true)?, launched: steps(false)?, pictures: config.batch_size };
    Ok(Timings { copy, rows, whole })
}

/// Checks that the GPU is a real one, whose speed can be measured.
///
/// # Errors
/// [`Error::Input`] for softgpu; [`Error::Machine`] for no driver or no such
/// GPU.
pub fn a_card(choice: &cuda::Choice) -> Result<()> {
    if device::gpu(choice.ordinal)?.emulated() {
        return Err(Error::input(format!(
            "{BENCH} measures the speed of a GPU, and softgpu has none; leave {BENCH} out, or name a \
             real GPU by {DEVICE}"
        )));
    }
    Ok(())
}

/// The rate of a copy in bytes per second, and every instruction that launches a kernel.
///
/// # Errors
/// [`Error::Machine`] where the GPU fails or lacks memory.
pub fn kernels(config: &RunConfig, gpu: Cuda, effort: &Effort) -> Result<(f64, Vec<Row>)> {
    let OnDevice { mut b, step, .. } = OnDevice::new(config, gpu)?;
    let copy = b.copy_rate(effort.copied, effort.repetitions)?;
    let mut watch = b.stopwatch(effort.caches * b.cache_bytes()?)?;
    let mut rows = Vec::new();
    let lines = step.program.to_string();
    // In order, so that each finds the results of those before it.
    for (instruction, line) in step.program.instructions().iter().zip(lines.lines()) {
        let before = b.launches();
        instruction.run(&mut b)?;
        let launches = b.launches() - before;
        if launches == 0 {
            continue;
        }
        for _ in 1..effort.warm {
            instruction.run(&mut b)?;
        }
        let mut times = Vec::new();
        for _ in 0..effort.repetitions.max(1) {
            times.push(b.time(&mut watch, |b| instruction.run(b))?);
        }
        times.sort_by(f64::total_cmp);
        let work = instruction.work();
        rows.push(Row {
            what: instruction.name(),
            detail: line.trim().to_string(),
            launches,
            bytes: work.bytes,
            flops: work.operations,
            seconds: times[times.len() / 2],
        });
    }
    Ok((copy, rows))
}

/// Mean seconds of a training step, without loading its data.
///
/// # Errors
/// [`Error::Machine`] where the GPU fails or lacks memory.
pub fn steps(config: &RunConfig, gpu: Cuda, effort: &Effort) -> Result<f64> {
    // One launched kernel by kernel, one captured, one replayed.
    const FIRST: u64 = 3;
    let mut machine = OnDevice::new(config, gpu)?;
    let program = &machine.step.program;
    let mut pairs = Vec::new();
    for (key, name) in NAMES.into_iter().enumerate() {
        let view = program.view(name)?;
        pairs.push((view, pictures(view, key as u64)));
    }
    let b = &mut machine.b;
    let mut begun = Instant::now();
    let steps = effort.steps.max(1) as u64;
    for number in 1..=FIRST + steps {
        b.set_state(StepState { seed: SEED, step: number, lr: config.lr, micro: 0 });
        for (view, bytes) in &pairs {
            b.upload_images(SampleSlice::U8(bytes), SampleRange::BYTE, *view)?;
        }
        program.run(b)?;
        if number == FIRST {
            b.finish()?;
            begun = Instant::now();
        }
    }
    b.finish()?;
    Ok(begun.elapsed().as_secs_f64() / steps as f64)
}

/// The sum of some rows.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Sum {
    times: usize,
    launches: u64,
    bytes: u64,
    flops: u64,
    seconds: f64,
}

impl Sum {
    fn of<'a>(rows: impl Iterator<Item = &'a Row>) -> Sum {
        rows.fold(Sum::default(), |sum, row| Sum {
            times: sum.times + 1,
            launches: sum.launches + row.launches,
            bytes: sum.bytes + row.bytes,
            flops: sum.flops + row.flops,
            seconds: sum.seconds + row.seconds,
        })
    }

    /// Count, launches, microseconds, MB, GB/s, percent of the copy's rate, TFLOP/s.
    fn cells(&self, copy: f64) -> String {
        let seconds = self.seconds.max(f64::MIN_POSITIVE);
        let rate = self.bytes as f64 / seconds;
        let tera = match self.flops {
            0 => format!("{:>8}", "-"),
            flops => format!("{:8.2}", flops as f64 / seconds * 1e-12),
        };
        format!(
            "{:>5} {:>8} {:>10.1} {:>8.1} {:>8.0} {:>6.0} % {tera}",
            self.times,
            self.launches,
            self.seconds * 1e6,
            self.bytes as f64 * 1e-6,
            rate * 1e-9,
            100.0 * rate / copy
        )
    }
}

/// Headings for [`Sum::cells`].
const HEAD: &str = "times launches         us       MB     GB/s  of copy  TFLOP/s";

impl Timings {
    /// A line for each kind of instruction, their sum, and the times of whole steps.
    pub fn summary(&self) -> String {
        let mut kinds: Vec<&str> = Vec::new();
        for row in &self.rows {
            if !kinds.contains(&row.what.as_str()) {
                kinds.push(&row.what);
            }
        }
        let mut lines = format!(
            "copy {:.0} GB/s, read and written, from one place of the device's memory to another\n\
             {:<26} {HEAD}\n",
            self.copy * 1e-9,
            "what"
        );
        for what in kinds {
            let sum = Sum::of(self.rows.iter().filter(|row| row.what == what));
            lines += &format!("{what:<26} {}\n", sum.cells(self.copy));
        }
        lines += &format!("{:<26} {}\n", "all", Sum::of(self.rows.iter()).cells(self.copy));
        for (how, seconds) in [("a graph", self.whole.graph), ("launches", self.whole.launched)] {
            lines += &format!(
                "a step as {how:<16} {:10.3} ms {:10.1} images/s\n",
                seconds * 1e3,
                self.whole.pictures as f64 / seconds.max(f64::MIN_POSITIVE)
            );
        }
        lines
    }
}

/// The summary, and a line for each instruction.
impl fmt::Display for Timings {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        writeln!(f, "{}\n{HEAD}", self.summary())?;
        for row in &self.rows {
            let cells = Sum::of(std::iter::once(row)).cells(self.copy);
            writeln!(f, "{cells}  {}", row.detail)?;
        }
        Ok(())
    }
}
