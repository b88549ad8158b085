//! Capturing streams into graphs, and playing graphs.
//!
//! A captured stream keeps the nodes that its next node depends on. A graph is a list of nodes in
//! the order they were captured; launching one submits all of them as ordinary operations, branch
//! by branch on lanes of their own, so that schedules, hazards, faults and virtual time treat them
//! like any others.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::thread::ThreadId;

use crate::clock::Lane;
use crate::context::Context;
use crate::driver::Driver;
use crate::error::{CuError, Result};
use crate::handle::Id;
use crate::ops::{After, Work};
use crate::stream::Stream;

/// `CU_STREAM_CAPTURE_MODE_GLOBAL`.
pub const GLOBAL: u32 = 0;
/// `CU_STREAM_CAPTURE_MODE_RELAXED`.
pub const RELAXED: u32 = 2;
/// `AUTO_FREE_ON_LAUNCH`, `UPLOAD`, `DEVICE_LAUNCH`, `USE_NODE_PRIORITY`.
const INSTANTIATE_FLAGS: u64 = 15;
const AUTO_FREE: u64 = 1;
const DEVICE_LAUNCH: u64 = 4;

/// One node.
#[derive(Clone)]
pub struct Node {
    /// What it does.
    pub work: Work,
    /// What reports call it.
    pub label: Arc<str>,
    /// Earlier nodes that it waits for.
    pub after: Vec<usize>,
}

/// A stream's part in a capture.
#[derive(Clone, Debug)]
pub struct Membership {
    /// The capture.
    pub capture: Id<Capture>,
    /// The nodes that the stream's next node depends on.
    pub front: Vec<usize>,
}

/// A point in a capture, as an event holds it.
pub type Point = Membership;

/// A capture under way.
pub struct Capture {
    /// Its context.
    pub context: Id<Context>,
    origin: Id<Stream>,
    mode: u32,
    thread: ThreadId,
    nodes: Vec<Node>,
    invalid: bool,
}

/// A graph.
pub struct Graph {
    /// Its context.
    pub context: Id<Context>,
    nodes: Arc<[Node]>,
}

/// An instantiated graph.
pub struct Exec {
    /// Its context.
    pub context: Id<Context>,
    nodes: Arc<[Node]>,
    /// For each node the lane it runs on: `None` is the launching stream's own.
    lanes: Vec<Option<Lane>>,
    last: Option<After>,
}

impl Driver {
    /// Begins to capture a stream.
    ///
    /// # Errors
    /// `STREAM_CAPTURE_UNSUPPORTED` for the legacy default stream, `INVALID_VALUE` for an unknown
    /// mode, `ILLEGAL_STATE` when the stream captures already.
    pub fn begin_capture(&mut self, id: Id<Stream>, mode: u32, thread: ThreadId) -> Result<()> {
        let stream = self.streams.get_mut(id).ok_or(CuError::INVALID_HANDLE)?;
        if mode > RELAXED {
            return Err(CuError::INVALID_VALUE);
        }
        if stream.legacy {
            return Err(CuError::STREAM_CAPTURE_UNSUPPORTED);
        }
        if stream.capture.is_some() {
            return Err(CuError::ILLEGAL_STATE);
        }
        let context = stream.context;
        let capture =
            Capture { context, origin: id, mode, thread, nodes: Vec::new(), invalid: false };
        let capture = self.captures.insert(capture);
        stream.capture = Some(Membership { capture, front: Vec::new() });
        Ok(())
    }

    /// Ends a capture; the graph.
    ///
    /// # Errors
    /// `ILLEGAL_STATE` when the stream does not capture; `STREAM_CAPTURE_UNMATCHED` on another
    /// stream than it began on; `STREAM_CAPTURE_WRONG_THREAD`; `STREAM_CAPTURE_INVALIDATED`;
    /// `STREAM_CAPTURE_UNJOINED` when another stream's work was not waited for. The capture is over
    /// in every case but the first three.
    pub fn end_capture(&mut self, id: Id<Stream>, thread: ThreadId) -> Result<Id<Graph>> {
        let stream = self.streams.get(id).ok_or(CuError::INVALID_HANDLE)?;
        let Membership { capture: capture_id, front } =
            stream.capture.clone().ok_or(CuError::ILLEGAL_STATE)?;
        let capture = self.captures.get(capture_id).ok_or(CuError::STREAM_CAPTURE_INVALIDATED)?;
        if capture.origin != id {
            return Err(CuError::STREAM_CAPTURE_UNMATCHED);
        }
        if capture.mode != RELAXED && capture.thread != thread {
            return Err(CuError::STREAM_CAPTURE_WRONG_THREAD);
        }
        for stream in self.streams.ids() {
            if let Some(stream) = self.streams.get_mut(stream)
                && stream.capture.as_ref().is_some_and(|m| m.capture == capture_id)
            {
                stream.capture = None;
            }
        }
        let Some(capture) = self.captures.remove(capture_id) else {
            return Err(CuError::STREAM_CAPTURE_INVALIDATED);
        };
        if capture.invalid {
            return Err(CuError::STREAM_CAPTURE_INVALIDATED);
        }
        let mut open: BTreeSet<usize> = (0..capture.nodes.len()).collect();
        for node in &capture.nodes {
            for before in &node.after {
                open.remove(before);
            }
        }
        if open.iter().any(|leaf| !front.contains(leaf)) {
            return Err(CuError::STREAM_CAPTURE_UNJOINED);
        }
        Ok(self.graphs.insert(Graph { context: capture.context, nodes: capture.nodes.into() }))
    }

    /// 0 for no capture, 1 for one under way, 2 for one that was invalidated.
    ///
    /// # Errors
    /// `INVALID_HANDLE`.
    pub fn capture_status(&self, id: Id<Stream>) -> Result<u32> {
        let stream = self.streams.get(id).ok_or(CuError::INVALID_HANDLE)?;
        Ok(stream.capture.as_ref().map_or(0, |m| {
            if self.captures.get(m.capture).is_none_or(|c| c.invalid) { 2 } else { 1 }
        }))
    }

    /// Whether the stream is in a capture.
    pub fn is_capturing(&self, id: Id<Stream>) -> bool {
        self.streams.get(id).is_some_and(|s| s.capture.is_some())
    }

    /// Spoils a capture: it can only be ended.
    pub fn invalidate(&mut self, id: Id<Capture>) {
        if let Some(capture) = self.captures.get_mut(id) {
            capture.invalid = true;
        }
    }

    /// Where a capturing stream stands; `None` when it does not capture.
    ///
    /// # Errors
    /// `STREAM_CAPTURE_INVALIDATED`.
    pub fn capture_point(&self, id: Id<Stream>) -> Result<Option<Point>> {
        let Some(membership) = self.streams.get(id).and_then(|s| s.capture.clone()) else {
            return Ok(None);
        };
        match self.captures.get(membership.capture) {
            Some(capture) if !capture.invalid => Ok(Some(membership)),
            _ => Err(CuError::STREAM_CAPTURE_INVALIDATED),
        }
    }

    /// Makes a stream's later work follow a point of a capture, and thereby part of it.
    ///
    /// # Errors
    /// `STREAM_CAPTURE_MERGE` when the stream is in another capture, `STREAM_CAPTURE_INVALIDATED`,
    /// `STREAM_CAPTURE_IMPLICIT` for the legacy default stream.
    pub fn join_capture(&mut self, id: Id<Stream>, point: &Point) -> Result<()> {
        if self.captures.get(point.capture).is_none_or(|c| c.invalid) {
            return Err(CuError::STREAM_CAPTURE_INVALIDATED);
        }
        let stream = self.streams.get_mut(id).ok_or(CuError::INVALID_HANDLE)?;
        if stream.legacy {
            self.invalidate(point.capture);
            return Err(CuError::STREAM_CAPTURE_IMPLICIT);
        }
        match &mut stream.capture {
            None => stream.capture = Some(point.clone()),
            Some(mine) if mine.capture == point.capture => {
                for node in &point.front {
                    if !mine.front.contains(node) {
                        mine.front.push(*node);
                    }
                }
            }
            Some(mine) => {
                let mine = mine.capture;
                self.invalidate(mine);
                self.invalidate(point.capture);
                return Err(CuError::STREAM_CAPTURE_MERGE);
            }
        }
        Ok(())
    }

    /// Adds work to the capture that the stream is in, if it is in one.
    ///
    /// # Errors
    /// `STREAM_CAPTURE_INVALIDATED`; `STREAM_CAPTURE_IMPLICIT` when the legacy default stream would
    /// have to wait for a blocking stream that captures, which spoils that capture.
    pub fn capture_work(&mut self, id: Id<Stream>, work: &Work, label: &Arc<str>) -> Result<bool> {
        let Some(membership) = self.capture_point(id)? else {
            self.refuse_implicit(id)?;
            return Ok(false);
        };
        if let Some(capture) = self.captures.get_mut(membership.capture) {
            let at = capture.nodes.len();
            let node =
                Node { work: work.clone(), label: Arc::clone(label), after: membership.front };
            capture.nodes.push(node);
            if let Some(stream) = self.streams.get_mut(id) {
                stream.capture = Some(Membership { capture: membership.capture, front: vec![at] });
            }
        }
        Ok(true)
    }

    fn refuse_implicit(&mut self, id: Id<Stream>) -> Result<()> {
        let Some(stream) = self.streams.get(id).filter(|s| s.legacy) else { return Ok(()) };
        let context = stream.context;
        let spoiled = self.streams.ids().into_iter().find_map(|other| {
            let other = self.streams.get(other)?;
            let capture = other.capture.as_ref()?.capture;
            (other.blocking && other.context == context).then_some(capture)
        });
        match spoiled {
            Some(capture) => {
                self.invalidate(capture);
                Err(CuError::STREAM_CAPTURE_IMPLICIT)
            }
            None => Ok(()),
        }
    }

    /// Fails for a call that cannot be captured when the stream is in a capture, and spoils that.
    ///
    /// # Errors
    /// `STREAM_CAPTURE_UNSUPPORTED`.
    pub fn refuse_capture(&mut self, id: Id<Stream>, call: &str) -> Result<()> {
        let Some(capture) =
            self.streams.get(id).and_then(|s| s.capture.as_ref()).map(|m| m.capture)
        else {
            return self.refuse_implicit(id);
        };
        if call.starts_with("cuMem") {
            self.report.complain(format!("{call} cannot be captured by softgpu"));
        }
        self.invalidate(capture);
        Err(CuError::STREAM_CAPTURE_UNSUPPORTED)
    }

    /// Fails for waiting for a whole context while one of its streams captures, and spoils that
    /// capture.
    ///
    /// # Errors
    /// `STREAM_CAPTURE_UNSUPPORTED`.
    pub fn refuse_capture_in(&mut self, context: Id<Context>) -> Result<()> {
        for capture in self.captures.ids() {
            if self.captures.get(capture).is_some_and(|c| c.context == context) {
                self.invalidate(capture);
                return Err(CuError::STREAM_CAPTURE_UNSUPPORTED);
            }
        }
        Ok(())
    }

    /// Fails for a call that may wait on the device (allocating, freeing) while a capture forbids
    /// such calls to this thread: one of this thread that is not relaxed, or a global one of any.
    ///
    /// # Errors
    /// `STREAM_CAPTURE_UNSUPPORTED`.
    pub fn refuse_unsafe_call(&mut self, thread: ThreadId) -> Result<()> {
        for id in self.captures.ids() {
            let Some(capture) = self.captures.get_mut(id) else { continue };
            if capture.mode == GLOBAL || (capture.mode != RELAXED && capture.thread == thread) {
                capture.invalid = true;
                return Err(CuError::STREAM_CAPTURE_UNSUPPORTED);
            }
        }
        Ok(())
    }

    /// Makes a graph ready to launch.
    ///
    /// # Errors
    /// `INVALID_VALUE` for unknown flags and for device launch with automatic free; `NOT_SUPPORTED`
    /// for device launch.
    pub fn instantiate(&mut self, id: Id<Graph>, flags: u64) -> Result<Id<Exec>> {
        let graph = self.graphs.get(id).ok_or(CuError::INVALID_VALUE)?;
        self.context(graph.context)?;
        if flags & !INSTANTIATE_FLAGS != 0
            || flags & (AUTO_FREE | DEVICE_LAUNCH) == AUTO_FREE | DEVICE_LAUNCH
        {
            return Err(CuError::INVALID_VALUE);
        }
        if flags & DEVICE_LAUNCH != 0 {
            self.report
                .complain("graphs launched by the device are outside softgpu's subset".into());
            return Err(CuError::NOT_SUPPORTED);
        }
        let (context, nodes) = (graph.context, Arc::clone(&graph.nodes));
        let exec = self.execs.insert(Exec {
            context,
            nodes: Arc::clone(&nodes),
            lanes: Vec::new(),
            last: None,
        });
        let lanes = lanes(&nodes, exec.raw() << 8);
        if let Some(exec) = self.execs.get_mut(exec) {
            exec.lanes = lanes;
        }
        Ok(exec)
    }

    /// Submits all nodes of a graph to a stream.
    ///
    /// # Errors
    /// `INVALID_VALUE` for no such graph; `STREAM_CAPTURE_UNSUPPORTED` in a capture: softgpu has no
    /// child graphs.
    pub fn launch_graph(&mut self, id: Id<Exec>, stream: Id<Stream>) -> Result<()> {
        let exec = self.execs.get(id).ok_or(CuError::INVALID_VALUE)?;
        let (context, nodes, lanes) = (exec.context, Arc::clone(&exec.nodes), exec.lanes.clone());
        let previous = exec.last.clone();
        self.context(context)?;
        self.refuse_capture(stream, "cuGraphLaunch")?;
        let before: Vec<After> = self.predecessors(stream).into_iter().chain(previous).collect();
        let mut submitted: Vec<After> = Vec::with_capacity(nodes.len());
        for (node, lane) in nodes.iter().zip(lanes) {
            let lane = lane.unwrap_or(stream.raw());
            let mut after: Vec<After> = node.after.iter().map(|&n| submitted[n].clone()).collect();
            if after.is_empty() {
                after.clone_from(&before);
            }
            let label = Arc::clone(&node.label);
            let (op, clock) =
                self.ops.push(context, stream, lane, node.work.clone(), label, &after);
            submitted.push(After { op, clock, time: 0 });
        }
        submitted.extend(before);
        let label: Arc<str> = "cuGraphLaunch".into();
        let (op, clock) =
            self.ops.push(context, stream, stream.raw(), Work::Nothing, label, &submitted);
        if let Some(stream) = self.streams.get_mut(stream) {
            (stream.last, stream.clock) = (op, Arc::clone(&clock));
        }
        if let Some(exec) = self.execs.get_mut(id) {
            exec.last = Some(After { op, clock, time: 0 });
        }
        Ok(())
    }
}

/// A lane for each node such that nodes of one lane follow one another: the first chain from the
/// root takes the launching stream's, each further branch one counted from `base`.
fn lanes(nodes: &[Node], base: Lane) -> Vec<Option<Lane>> {
    let mut lanes: Vec<Option<Lane>> = Vec::with_capacity(nodes.len());
    let mut taken = vec![false; nodes.len()];
    let mut next = base;
    let mut root_taken = false;
    for node in nodes {
        let lane = match node.after.iter().find(|&&before| !taken[before]) {
            Some(&before) => {
                taken[before] = true;
                lanes[before]
            }
            None if node.after.is_empty() && !root_taken => {
                root_taken = true;
                None
            }
            None => {
                next += 1;
                Some(next)
            }
        };
        lanes.push(lane);
    }
    lanes
}
