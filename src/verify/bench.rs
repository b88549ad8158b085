//! How fast a GPU is at a training step: each step of the program by itself, then steps as training
//! takes them.
//!
//! A step of the program is timed by events, after the cache was emptied. Beside its time stands what
//! it has at least to move and to compute:
//!
//! * bytes: each tensor counts once where it is read and once where it is written, twice in all where
//!   it is added to, as many bytes as its elements have. Backward of an operation reads the gradient of
//!   the output, what forward kept, and the inputs or the output as its formula needs;
//! * operations, of convolutions: 2 x pixels x taps x c x k for each pass, pixels being those of the
//!   smaller side. Of all else none: there bytes are what takes time.
//!
//! Both are what [`Instruction::work`](crate::tape::Instruction::work) says.
//!
//! So a rate is one of necessary work, and a kernel that reads twice what it could read once shows a
//! lower one. The measure of a byte rate is the device's own copy.

use std::fmt;
use std::time::Instant;

use super::{NAMES, OnDevice, SEED, pictures};
use crate::device::{self, Cuda, Device, StepState};
use crate::error::{Error, Result};
use crate::kernel::{ImageKernels, cuda};
use crate::tensor::{SampleRange, SampleSlice};
use crate::train::RunConfig;

/// How often and how much.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Effort {
    /// Runs of a step of the program before it is timed: the first compiles and takes memory.
    pub warm: usize,
    /// Timed runs of each, of which the median counts.
    pub repetitions: usize,
    /// What is written before each, in sizes of the L2 cache.
    pub caches: usize,
    /// Whole steps that are timed, after as many as it takes to record one.
    pub steps: usize,
    /// Bytes of the copy that rates are compared with.
    pub copied: usize,
}

/// Writing four caches takes 50 us or more on every card, longer than the host needs to have the few
/// launches of one step of a program on their way. 256 MB are more than any cache holds.
impl Default for Effort {
    fn default() -> Self {
        Effort { warm: 3, repetitions: 15, caches: 4, steps: 50, copied: 256 << 20 }
    }
}

/// One step of the program.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// What it does: "forward conv".
    pub what: String,
    /// Shapes and places, as a printed program has them.
    pub detail: String,
    /// Kernels that it launches.
    pub launches: u64,
    /// Bytes that it has to move.
    pub bytes: u64,
    /// Operations of its products.
    pub flops: u64,
    /// The median of its times, in seconds.
    pub seconds: f64,
}

/// Seconds a step: a set of pictures uploaded, everything launched, nothing waited for between two.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Whole {
    /// Replayed as a graph.
    pub graph: f64,
    /// Launched kernel by kernel.
    pub launched: f64,
    /// Pairs of pictures of a step.
    pub pictures: usize,
}

/// All that was measured.
#[derive(Clone, Debug, PartialEq)]
pub struct Timings {
    /// Bytes a second of the device's own copy, read and written.
    pub copy: f64,
    /// The steps of the program that launch anything, in order.
    pub rows: Vec<Row>,
    /// Whole steps.
    pub whole: Whole,
}

/// Measures a card.
///
/// # Errors
/// As [`a_card`]; a machine that fails, or lacks the memory.
pub fn bench(config: &RunConfig, choice: &cuda::Choice, effort: &Effort) -> Result<Timings> {
    a_card(choice)?;
    let (copy, rows) = kernels(config, cuda::open(choice)?, effort)?;
    let steps = |graph: bool| -> Result<f64> {
        steps(config, cuda::open(&cuda::Choice { graph, ..choice.clone() })?, effort)
    };
    let whole = Whole { graph: steps(true)?, launched: steps(false)?, pictures: config.batch_size };
    Ok(Timings { copy, rows, whole })
}

/// Passes where the GPU is one that has a speed.
///
/// # Errors
/// [`Error::Input`] for softgpu; no driver, no such GPU.
pub fn a_card(choice: &cuda::Choice) -> Result<()> {
    if device::gpu(choice.ordinal)?.emulated() {
        return Err(Error::input(
            "`bench` measures the speed of a GPU, and softgpu has none; leave `bench` out, or name a \
             real GPU by `device`",
        ));
    }
    Ok(())
}

/// The rate of a copy, and every step of the program that launches anything.
///
/// # Errors
/// A machine that fails, or lacks the memory.
pub fn kernels(config: &RunConfig, gpu: Cuda, effort: &Effort) -> Result<(f64, Vec<Row>)> {
    let OnDevice { mut b, step, .. } = OnDevice::new(config, gpu)?;
    let copy = b.copy_rate(effort.copied, effort.repetitions)?;
    let mut watch = b.stopwatch(effort.caches * b.cache_bytes()?)?;
    let mut rows = Vec::new();
    let lines = step.program.to_string();
    // In order: each finds what those before it have computed.
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

/// Seconds of a step of training without its data, on average.
///
/// # Errors
/// A machine that fails, or lacks the memory.
pub fn steps(config: &RunConfig, gpu: Cuda, effort: &Effort) -> Result<f64> {
    // Launched once kernel by kernel, once recorded, once replayed.
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

/// Rows added up.
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

    /// Times, launches, microseconds, MB, GB/s, percent of the copy's, TFLOP/s.
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

/// Names of [`Sum::cells`].
const HEAD: &str = "times launches         us       MB     GB/s  of copy  TFLOP/s";

impl Timings {
    /// A line for each kind of step, their sum, and the times of whole steps.
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

/// The summary, and a line for each step of the program.
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
