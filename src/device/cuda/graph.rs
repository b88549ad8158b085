//! Capture and replay: the second run of a program is captured as a graph, which later runs replay.
#![allow(unsafe_code)]

use std::collections::HashMap;

use cudarc::driver::CudaGraph;
use cudarc::driver::sys::CUgraphInstantiate_flags;
use cudarc::driver::sys::CUstreamCaptureMode::CU_STREAM_CAPTURE_MODE_THREAD_LOCAL;

use super::{Cuda, failed};
use crate::error::Result;

/// The state of a program on the way to its graph.
enum Record {
    /// Run once: all its kernels are compiled and all buffers it needs are allocated.
    Warm,
    /// Captured.
    Graph(Replay),
}

/// A captured graph, which moves with its device from thread to thread.
struct Replay(CudaGraph);

// SAFETY: the driver allows any thread to use a graph, one at a time. A graph is reached only
// through `&mut Cuda`, whose context cudarc makes current on the thread that launches.
unsafe impl Send for Replay {}

/// Programs by number, and the order in which they came.
#[derive(Default)]
pub(super) struct Graphs {
    records: HashMap<u64, Record>,
    /// Numbers, oldest first.
    order: Vec<u64>,
}

/// Most programs that are kept: a training run has two, a translation one per size of picture.
const KEPT: usize = 8;

impl Graphs {
    /// Drops all graphs, because addresses have changed.
    pub fn clear(&mut self) {
        self.records.clear();
        self.order.clear();
    }

    fn store(&mut self, program: u64, record: Record) {
        if self.records.insert(program, record).is_none() {
            self.order.push(program);
            if self.order.len() > KEPT {
                let oldest = self.order.remove(0);
                self.records.remove(&oldest);
            }
        }
    }
}

impl Cuda {
    /// Runs the launches of `work`, which are the same each time for one `program` number: the
    /// first time kernel by kernel; the second time they are captured, from then on replayed.
    ///
    /// # Errors
    /// Those of `work` and of the driver.
    #[doc(hidden)]
    pub fn run_with<W>(&mut self, program: u64, work: W) -> Result<()>
    where
        W: FnOnce(&mut Cuda) -> Result<()>,
    {
        self.tell()?;
        if !self.options.graph {
            return work(self);
        }
        match self.graphs.records.get(&program) {
            None => {
                work(self)?;
                self.graphs.store(program, Record::Warm);
                Ok(())
            }
            Some(Record::Warm) => {
                let graph = self.capture(work)?;
                let launched = graph.launch().map_err(|e| failed("launch a step", &e));
                self.graphs.store(program, Record::Graph(Replay(graph)));
                launched
            }
            Some(Record::Graph(Replay(graph))) => {
                graph.launch().map_err(|e| failed("launch a step", &e))
            }
        }
    }

    fn capture(&mut self, work: impl FnOnce(&mut Cuda) -> Result<()>) -> Result<CudaGraph> {
        let stream = self.stream.clone();
        stream
            .begin_capture(CU_STREAM_CAPTURE_MODE_THREAD_LOCAL)
            .map_err(|e| failed("record a step", &e))?;
        let done = work(self);
        // The capture must end even where the work failed: the stream is unusable until then.
        let graph = stream.end_capture(CUgraphInstantiate_flags(0));
        done?;
        let graph = graph.map_err(|e| failed("record a step", &e))?;
        graph
            .ok_or_else(|| crate::Error::machine("a step that launches nothing cannot be recorded"))
    }
}
