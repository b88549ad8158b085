//! The CPU: the arena is a vector, of which a kernel borrows disjoint parts.

use std::ops::Range;
use std::sync::Arc;
#[cfg(feature = "cli")]
use std::sync::OnceLock;

use rayon::ThreadPool;

use super::memo::Memo;
use super::{Device, FreeMemory, RING_ROWS, RING_WIDTH, StepState};
use crate::error::settings::{BASE_CHANNELS, BATCH_SIZE, SIZE};
use crate::error::{Error, Result};
use crate::limits;
use crate::tensor::View;

/// The CPU backend's memory, threads and step state.
pub struct Cpu {
    data: Vec<f32>,
    work: Resources,
}

/// Starts the threads that decode pictures while a folder is scanned: as many as [`Cpu::new`] starts.
/// Later calls do nothing.
///
/// # Errors
/// As [`Cpu::new`].
#[cfg(feature = "cli")]
pub(crate) fn start_shared_threads(threads: usize) -> Result<()> {
    limits::open_files(wanted(threads))?;
    static STARTED: OnceLock<Result<(), String>> = OnceLock::new();
    let start = || {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads);
        pool.thread_name(|i| format!("shared-{i}")).build_global().map_err(|e| e.to_string())
    };
    STARTED.get_or_init(start).clone().map_err(|e| limits::no_threads(wanted(threads), e))
}

/// The number of threads that `threads` stands for: 0 is one for each core that this process may use
/// by its affinity and its control groups.
fn wanted(threads: usize) -> usize {
    if threads > 0 { threads } else { std::thread::available_parallelism().map_or(1, usize::from) }
}

/// What a kernel needs beside the arena: threads, instruction set, scratch memory, step state.
pub(crate) struct Resources {
    pub pool: Arc<ThreadPool>,
    pub arch: pulp::Arch,
    pub state: StepState,
    /// The ring of losses, and the row that the current run writes.
    pub ring: Vec<[f32; RING_WIDTH]>,
    pub row: usize,
    /// Reused between kernels; grows to the largest request.
    pub scratch: Vec<f32>,
    /// Numbers that kernels have derived from the arena.
    pub memo: Memo,
}

impl Cpu {
    /// A CPU device that runs on `threads` threads, or on one per core that this process may use if
    /// that is 0.
    ///
    /// # Errors
    /// [`Error::Machine`] where the threads cannot be started, or may not open the files that they
    /// need.
    pub fn new(threads: usize) -> Result<Self> {
        limits::open_files(wanted(threads))?;
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .thread_name(|i| format!("cpu-{i}"))
            .build()
            .map_err(|e| limits::no_threads(wanted(threads), e))?;
        let work = Resources {
            pool: Arc::new(pool),
            arch: pulp::Arch::new(),
            state: StepState::default(),
            ring: vec![[0.0; RING_WIDTH]; RING_ROWS],
            row: 0,
            scratch: Vec::new(),
            memo: Memo::default(),
        };
        Ok(Cpu { data: Vec::new(), work })
    }

    /// The number of threads that it computes with.
    pub fn threads(&self) -> usize {
        self.work.pool.current_num_threads()
    }

    /// The elements of a View, without a copy.
    ///
    /// # Panics
    /// Where the View is not dense or ends outside the arena.
    pub fn slice(&self, view: View) -> &[f32] {
        assert!(view.is_dense(), "only a dense view is one slice");
        &self.data[view.span()]
    }

    /// Bytes of scratch memory and derived numbers held in addition to the arena.
    pub fn side_bytes(&self) -> usize {
        4 * (self.work.scratch.capacity() + self.work.memo.capacity())
    }

    /// Threads, scratch memory and state, for a kernel that needs no part of the arena.
    pub(crate) fn work_mut(&mut self) -> &mut Resources {
        &mut self.work
    }

    /// Borrows the spans of `writes` mutably, and the rest of the arena for reading.
    ///
    /// Spans of `writes` must not overlap each other, nor any View that is read: the planner keeps
    /// values that are alive at the same time apart, so an overlap is a bug of ours and panics.
    pub(crate) fn split<const W: usize>(
        &mut self,
        writes: [View; W],
    ) -> ([&mut [f32]; W], Rest<'_>, &mut Resources) {
        writes.iter().for_each(|view| self.work.memo.forget(&view.span()));
        let mut order: Vec<usize> = (0..W).collect();
        order.sort_by_key(|&i| writes[i].span().start);
        let mut out: [Option<&mut [f32]>; W] = [const { None }; W];
        let mut gaps = Vec::with_capacity(W + 1);
        let (mut left, mut at) = (self.data.as_mut_slice(), 0);
        for i in order {
            let span = writes[i].span();
            assert!(span.start >= at, "two views written by one kernel overlap");
            let (gap, tail) = left.split_at_mut(span.start - at);
            let (mine, tail) = tail.split_at_mut(span.len());
            gaps.push((at, &*gap));
            out[i] = Some(mine);
            (left, at) = (tail, span.end);
        }
        gaps.push((at, &*left));
        let out = out.map(|o| o.expect("every view was given its span"));
        (out, Rest { gaps }, &mut self.work)
    }
}

/// Everything in the arena that the running kernel does not write.
pub(crate) struct Rest<'a> {
    gaps: Vec<(usize, &'a [f32])>,
}

impl<'a> Rest<'a> {
    /// The span of `view`: element (n, h, w, c) at `((n * H + h) * W + w) * pitch + c`.
    pub fn get(&self, view: View) -> &'a [f32] {
        self.range(view.span())
    }

    fn range(&self, span: Range<usize>) -> &'a [f32] {
        let found = self.gaps.iter().rfind(|(at, _)| *at <= span.start);
        let (at, gap) = found.expect("the first gap starts at 0");
        gap.get(span.start - at..span.end - at)
            .expect("a kernel reads what it does not write: the planner keeps live values apart")
    }
}

/// The first `len` elements of `scratch`, which grows to hold them and never shrinks. They still
/// hold the numbers of other kernels.
pub(crate) fn grown(scratch: &mut Vec<f32>, len: usize) -> &mut [f32] {
    if scratch.len() < len {
        // `resize` alone would grow the vector to up to twice what is asked for.
        scratch.reserve_exact(len - scratch.len());
        scratch.resize(len, 0.0);
    }
    &mut scratch[..len]
}

impl Device for Cpu {
    fn reserve(&mut self, elements: usize) -> Result<()> {
        let more = elements.saturating_sub(self.data.len());
        let bytes = 4 * more as u64;
        let free = if more > 0 { self.free_memory() } else { None };
        // A limit may allow addresses without memory behind them, whose first use ends the process.
        let enough = free.as_ref().is_none_or(|free| bytes <= free.bytes);
        if !enough || self.data.try_reserve_exact(more).is_err() {
            let free = free.map_or(String::new(), |free| format!(" and {free}"));
            return Err(Error::machine(format!(
                "not enough memory: {} are needed for this network and picture size{free}; use a \
                 smaller {SIZE}, {BATCH_SIZE} or {BASE_CHANNELS}",
                limits::bytes(bytes)
            )));
        }
        self.data.resize(self.data.len() + more, 0.0);
        Ok(())
    }

    fn upload(&mut self, to: View, from: &[f32]) -> Result<()> {
        if from.len() != to.shape.count() {
            return Err(Error::shape("upload", format!("{} numbers for {}", from.len(), to.shape)));
        }
        self.work.memo.forget(&to.span());
        let rows = self.data[to.span()].chunks_mut(to.pitch);
        for (row, values) in rows.zip(from.chunks_exact(to.shape.c)) {
            row[..to.shape.c].copy_from_slice(values);
        }
        Ok(())
    }

    fn copy_constant(&mut self, values: &Arc<[f32]>, to: View) -> Result<()> {
        self.upload(to, values)
    }

    fn download(&self, from: View, to: &mut [f32]) -> Result<()> {
        if to.len() != from.shape.count() {
            let detail = format!("{} numbers from {}", to.len(), from.shape);
            return Err(Error::shape("download", detail));
        }
        let rows = self.data[from.span()].chunks(from.pitch);
        for (row, values) in rows.zip(to.chunks_exact_mut(from.shape.c)) {
            values.copy_from_slice(&row[..from.shape.c]);
        }
        Ok(())
    }

    fn set_state(&mut self, state: StepState) {
        self.work.state = state;
        self.work.row = (self.work.row + 1) % RING_ROWS;
    }

    fn kept_losses(&self, runs: usize, count: usize) -> Result<Vec<Vec<f32>>> {
        let row = |back: usize| (self.work.row + RING_ROWS - back) % RING_ROWS;
        let rows = (0..runs.min(RING_ROWS)).rev().map(|back| &self.work.ring[row(back)][..count]);
        Ok(rows.map(<[f32]>::to_vec).collect())
    }

    /// On Linux the available memory, within the limits of the process and of its control groups.
    /// None on other systems.
    fn free_memory(&self) -> Option<FreeMemory> {
        limits::memory()
    }

    fn describe(&self) -> String {
        let arch = match format!("{:?}", self.work.arch) {
            a if a.starts_with("V4") => "AVX-512",
            a if a.starts_with("V3") => "AVX2",
            a if a.starts_with("Neon") => "NEON",
            _ => "no vector extension that is used",
        };
        let threads = self.threads();
        format!("CPU, {threads} thread{}, {arch}", if threads == 1 { "" } else { "s" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tensor::Shape;

    #[test]
    fn a_kernel_reads_around_what_it_writes() {
        let mut cpu = Cpu::new(1).unwrap();
        cpu.reserve(100).unwrap();
        let at = |at| View::dense(at, Shape::vector(10));
        cpu.upload(at(30), &[3.0; 10]).unwrap();
        let ([b, a], rest, _) = cpu.split([at(50), at(10)]);
        a[0] = rest.get(at(30))[9];
        b[9] = rest.get(at(60))[0] + 1.0;
        assert_eq!((cpu.data[10], cpu.data[59]), (3.0, 1.0));
    }

    #[test]
    #[should_panic(expected = "live values apart")]
    fn reading_what_is_written_is_a_bug() {
        let mut cpu = Cpu::new(1).unwrap();
        cpu.reserve(100).unwrap();
        let view = View::dense(10, Shape::vector(10));
        let (_, rest, _) = cpu.split([view]);
        rest.get(View::dense(5, Shape::vector(10)));
    }
}
