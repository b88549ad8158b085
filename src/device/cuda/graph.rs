//! Capture and replay: the second time a program is run its launches are recorded, from then on
//! the record is launched.
#![allow(unsafe_code)]

use std::collections::HashMap;

use cudarc::driver::CudaGraph;
use cudarc::driver::sys::CUgraphInstantiate_flags;
use cudarc::driver::sys::CUstreamCaptureMode::CU_STREAM_CAPTURE_MODE_THREAD_LOCAL;

use super::{Cuda, failed};
use crate::error::Result;

/// How far a program is.
enum Record {
    /// Run once: everything it launches is compiled and every buffer it needs is there.
    Warm,
    /// Recorded.
    Graph(Replay),
}

/// A recorded graph, which goes with its device from one thread to another.
struct Replay(CudaGraph);

// SAFETY: the driver lets any thread use a graph, one at a time; a graph is reached through `&mut Cuda`
// alone, whose context cudarc makes current on the thread that launches.
unsafe impl Send for Replay {}

/// Programs by number.
#[derive(Default)]
pub(super) struct Graphs {
    records: HashMap<u64, Record>,
    /// Numbers, oldest first.
    order: Vec<u64>,
}

/// Programs that are kept at a time: a training run has two, and a translation one a size of
/// picture.
const KEPT: usize = 8;

impl Graphs {
    /// Forgets all: addresses have changed.
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
    /// Runs the launches that `work` makes, which are the same each time for one `program`: the first
    /// time kernel by kernel, the second time they are captured, from then on replayed.
    ///
    /// # Errors
    /// Those of `work` and of the driver.
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
        // The capture ends also where the work failed, or the stream could not be used again.
        let graph = stream.end_capture(CUgraphInstantiate_flags(0));
        done?;
        let graph = graph.map_err(|e| failed("record a step", &e))?;
        graph
            .ok_or_else(|| crate::Error::machine("a step that launches nothing cannot be recorded"))
    }
}
