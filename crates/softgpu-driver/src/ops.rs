//! Operations in flight: what was submitted, what each waits for, and which may run next.
//!
//! Nothing runs when it is submitted. An operation may run once all that it waits for has; a wait
//! of the host runs what it needs, oldest first, or, with a seed, a random choice of all that may
//! run until the wait is over. The order of events in a program that lacks an edge therefore
//! differs from seed to seed, as it may from run to run on a card.
//!
//! Each operation also has a place in *virtual time*: it begins when all it waits for has ended, in
//! its own stream and elsewhere, and lasts one nanosecond for each warp instruction or each ten
//! bytes moved. `cuEventElapsedTime` reports it. It is the same on every machine and says nothing
//! about the speed of any.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::Arc;

use crate::clock::Clock;
pub use crate::clock::{Lane, OpId};
use crate::context::Context;
use crate::driver::Driver;
use crate::error::{CuError, Result};
use crate::event::Event;
use crate::handle::Id;
use crate::hazard::Hazards;
use crate::host::HostSpan;
use crate::launch::Launch;
use crate::stream::Stream;

/// A function of the program that runs in stream order.
pub type HostCall = Arc<dyn Fn() + Send + Sync>;

/// What an operation does.
#[derive(Clone)]
pub enum Work {
    /// Nothing: it only waits.
    Nothing,
    /// Fills `count` elements at `to` with `pattern` (1, 2 or 4 bytes).
    Fill { to: u64, pattern: Vec<u8>, count: u64 },
    /// Writes bytes taken at the call (pageable memory) to the device.
    Put { to: u64, data: Arc<[u8]> },
    /// Writes host memory, read when the operation runs, to the device.
    Upload { to: u64, from: HostSpan },
    /// Writes device memory to the host.
    Download { to: HostSpan, from: u64 },
    /// Copies inside device memory.
    Copy { to: u64, from: u64, bytes: u64 },
    /// Marks where an allocation becomes usable in stream order.
    Begin { address: u64, bytes: u64 },
    /// Frees an allocation.
    Free { address: u64 },
    /// Runs a kernel.
    Kernel(Arc<Launch>),
    /// Completes an event.
    Record(Id<Event>),
    /// Calls the program.
    Host(HostCall),
}

/// Something to wait for.
#[derive(Clone, Debug)]
pub struct After {
    /// The operation.
    pub op: OpId,
    /// All that it knows, itself included.
    pub clock: Arc<Clock>,
    /// When it ended in virtual time, if it has.
    pub time: u64,
}

/// One operation in flight.
pub struct Op {
    /// The context whose fault it shares.
    pub context: Id<Context>,
    /// The lane whose order it keeps: a stream, or a branch of a graph.
    pub lane: Lane,
    /// The stream it was submitted to.
    pub stream: Id<Stream>,
    /// What it does.
    pub work: Work,
    /// What reports call it.
    pub label: Arc<str>,
    /// What is ordered before it.
    pub clock: Arc<Clock>,
    /// Operations in flight that it waits for.
    waits: BTreeSet<OpId>,
    /// Operations in flight that wait for it.
    blocks: Vec<OpId>,
    /// Earliest start in virtual time.
    pub ready_at: u64,
    /// Whether a host thread is inside it now.
    pub running: bool,
}

/// What to do next for a wait.
pub enum Next {
    /// Nothing: what was waited for is complete.
    Done,
    /// Run this operation.
    Run(OpId),
    /// Another thread is inside the operation that is needed.
    Busy,
}

/// All operations in flight.
pub struct Operations {
    /// By number.
    pub pending: BTreeMap<OpId, Op>,
    ready: BTreeSet<OpId>,
    last: OpId,
    /// What the host knows to be complete.
    pub host: Clock,
    /// The host's place in virtual time.
    pub host_time: u64,
    /// Latest operation, with its context, of each lane that the host does not know to be complete.
    pub unknown: HashMap<Lane, (OpId, Id<Context>)>,
    /// Whether a wait of the host is being served.
    pub waiting: bool,
    /// Whether operations of more than one lane were ever in flight together with nothing waited
    /// for.
    pub many_lanes: bool,
    /// Touches of device memory.
    pub hazards: Hazards,
    random: Option<u64>,
}

/// Operations in flight at which submitting first completes the oldest, as a card's full queue
/// makes a program wait.
pub const QUEUE: usize = 1024;

impl Operations {
    /// None, with a seed for the choice among what may run.
    pub fn new(seed: Option<u64>) -> Self {
        Operations {
            pending: BTreeMap::new(),
            ready: BTreeSet::new(),
            last: 0,
            host: Clock::default(),
            host_time: 0,
            unknown: HashMap::new(),
            waiting: false,
            many_lanes: false,
            hazards: Hazards::default(),
            random: seed,
        }
    }

    /// Adds an operation that waits for `after`; returns its number and what those behind it know.
    pub fn push(
        &mut self,
        context: Id<Context>,
        stream: Id<Stream>,
        lane: Lane,
        work: Work,
        label: Arc<str>,
        after: &[After],
    ) -> (OpId, Arc<Clock>) {
        self.last += 1;
        let id = self.last;
        let mut clock = self.host.clone();
        let mut waits = BTreeSet::new();
        let mut ready_at = self.host_time;
        for after in after {
            clock.join(&after.clock);
            if let Some(earlier) = self.pending.get_mut(&after.op) {
                if waits.insert(after.op) {
                    earlier.blocks.push(id);
                }
            } else {
                ready_at = ready_at.max(after.time);
            }
        }
        let mut behind = clock.clone();
        behind.learn(lane, id);
        if waits.is_empty() {
            self.ready.insert(id);
        }
        self.unknown.insert(lane, (id, context));
        self.many_lanes |= self.unknown.len() > 1;
        let op = Op {
            context,
            lane,
            stream,
            work,
            label,
            clock: Arc::new(clock),
            waits,
            blocks: Vec::new(),
            ready_at,
            running: false,
        };
        self.pending.insert(id, op);
        (id, Arc::new(behind))
    }

    /// All that must run before `targets` are complete, those included, in an order that may be
    /// run.
    pub fn needed(&self, targets: &[OpId]) -> VecDeque<OpId> {
        let mut found = BTreeSet::new();
        let mut open: Vec<OpId> = targets.to_vec();
        while let Some(id) = open.pop() {
            if let Some(op) = self.pending.get(&id)
                && found.insert(id)
            {
                open.extend(&op.waits);
            }
        }
        // Operations wait only for such with smaller numbers.
        found.into_iter().collect()
    }

    /// What a wait needs next, of the list that [`Operations::needed`] made for it; what has run
    /// leaves the list.
    pub fn next(&mut self, needed: &mut VecDeque<OpId>) -> Next {
        while needed.front().is_some_and(|id| !self.pending.contains_key(id)) {
            needed.pop_front();
        }
        let Some(&first) = needed.front() else { return Next::Done };
        if self.random.is_some() && !self.ready.is_empty() {
            let at = (self.draw() % self.ready.len() as u64) as usize;
            return self.ready.iter().nth(at).map_or(Next::Done, |&id| Next::Run(id));
        }
        if self.pending[&first].running { Next::Busy } else { Next::Run(first) }
    }

    /// SplitMix64 of the seed.
    fn draw(&mut self) -> u64 {
        let state = self.random.unwrap_or(0).wrapping_add(0x9e37_79b9_7f4a_7c15);
        self.random = Some(state);
        let mut z = state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Marks an operation as being run by a thread that let go of the lock.
    pub fn start(&mut self, id: OpId) {
        self.ready.remove(&id);
        if let Some(op) = self.pending.get_mut(&id) {
            op.running = true;
        }
    }

    /// Takes out an operation that has run until `end`; those behind it may be ready now.
    pub fn finish(&mut self, id: OpId, end: u64) -> Option<Op> {
        self.ready.remove(&id);
        let op = self.pending.remove(&id)?;
        for behind in &op.blocks {
            if let Some(next) = self.pending.get_mut(behind) {
                next.waits.remove(&id);
                next.ready_at = next.ready_at.max(end);
                if next.waits.is_empty() {
                    self.ready.insert(*behind);
                }
            }
        }
        Some(op)
    }

    /// Forgets what the host knows of: with nothing unknown and nothing in flight, no later
    /// operation can clash.
    fn settle(&mut self) {
        let host = &self.host;
        self.unknown.retain(|&lane, &mut (op, _)| !host.knows(lane, op));
        if self.unknown.is_empty() && self.pending.is_empty() {
            self.host.raise(self.last);
            self.hazards.clear();
        }
    }
}

impl Driver {
    /// Submits work to a stream, or adds it to the capture that the stream is in.
    ///
    /// The number returned is 0 in a capture, where nothing will ever complete.
    ///
    /// # Errors
    /// Those of captures; `INVALID_HANDLE`.
    pub fn submit(
        &mut self,
        stream: Id<Stream>,
        work: Work,
        label: impl Into<Arc<str>>,
        mut after: Vec<After>,
    ) -> Result<OpId> {
        let label = label.into();
        if self.capture_work(stream, &work, &label)? {
            return Ok(0);
        }
        after.extend(self.predecessors(stream));
        let context = self.streams.get(stream).ok_or(CuError::INVALID_HANDLE)?.context;
        let (op, clock) = self.ops.push(context, stream, stream.raw(), work, label, &after);
        if let Some(stream) = self.streams.get_mut(stream) {
            (stream.last, stream.clock) = (op, clock);
        }
        Ok(op)
    }

    /// The host has seen operation `op` complete, and with it all in `clock`.
    pub fn host_knows(&mut self, lane: Lane, op: OpId, clock: &Clock, time: u64) {
        self.ops.host.join(clock);
        self.ops.host.learn(lane, op);
        self.ops.host_time = self.ops.host_time.max(time);
        self.ops.settle();
    }

    /// The host has waited for all of a stream.
    pub fn host_saw_stream(&mut self, id: Id<Stream>) {
        if let Some(stream) = self.streams.get(id) {
            let (last, clock, end) = (stream.last, Arc::clone(&stream.clock), stream.end);
            self.host_knows(id.raw(), last, &clock, end);
        }
    }

    /// The host has waited for all of a context.
    pub fn host_saw_context(&mut self, id: Id<Context>) {
        for stream in self.streams.ids() {
            if self.streams.get(stream).is_some_and(|s| s.context == id) {
                self.host_saw_stream(stream);
            }
        }
        // Streams that are gone leave lanes that no one can name; what is not in flight of them is
        // complete too.
        let Operations { unknown, pending, host, .. } = &mut self.ops;
        for (&lane, &(op, _)) in unknown.iter().filter(|(_, (_, context))| *context == id) {
            if !pending.contains_key(&op) {
                host.learn(lane, op);
            }
        }
        self.ops.settle();
    }
}
