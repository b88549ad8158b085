//! Running one operation: the moment when bytes move and kernels execute.

use std::ops::Range;

use softgpu::{Checks, MemError};

use crate::clock::OpId;
use crate::driver::Driver;
use crate::error::CuError;
use crate::event::Record;
use crate::hazard::{Access, Actor, Hazard};
use crate::ops::{Op, Work};

/// Bytes that a copy moves in a virtual nanosecond.
const COPY_BYTES_PER_NS: u64 = 10;
/// Virtual nanoseconds that any operation takes.
const FLOOR_NS: u64 = 1000;

/// Bytes that an operation touched.
pub type Touched = Vec<(Range<u64>, Access)>;

impl Driver {
    /// Runs an operation (not a host call) to its end and takes it out.
    pub fn run(&mut self, id: OpId) {
        let Some(op) = self.ops.pending.get(&id) else { return };
        let (work, context) = (op.work.clone(), op.context);
        // After a fault the card runs nothing more of the context; memory is still given back.
        let dead = self.contexts.get(context).is_none_or(|c| c.fault.is_some());
        let mut cost = 0;
        match (&work, dead) {
            (Work::Free { address }, true) => self.release(*address),
            (_, true) => {}
            (work, false) => {
                let mut touched = Touched::new();
                match self.perform(id, work, &mut touched) {
                    Ok(ns) => cost = ns,
                    Err(error) => {
                        if let Some(context) = self.contexts.get_mut(context) {
                            context.fault = Some(error);
                        }
                    }
                }
                if self.touches_matter() {
                    self.check_streams(id, &touched);
                }
            }
        }
        self.complete(id, cost);
    }

    /// Takes out an operation that has run for `cost` virtual nanoseconds.
    pub fn complete(&mut self, id: OpId, cost: u64) {
        let Some(op) = self.ops.pending.get(&id) else { return };
        let end = op.ready_at + cost;
        let Some(op) = self.ops.finish(id, end) else { return };
        if let Some(stream) = self.streams.get_mut(op.stream) {
            stream.end = stream.end.max(end);
        }
        if let Work::Record(event) = op.work
            && let Some(event) = self.events.get_mut(event)
            && let Some(Record::Stream { op, time, .. }) = &mut event.record
            && *op == id
        {
            *time = Some(end);
        }
    }

    fn perform(&mut self, id: OpId, work: &Work, touched: &mut Touched) -> Result<u64, CuError> {
        let moved = |bytes: u64| FLOOR_NS + bytes / COPY_BYTES_PER_NS;
        let result = match work {
            Work::Nothing | Work::Record(_) | Work::Host(_) => return Ok(0),
            Work::Begin { address, bytes } => {
                touched.push((*address..address + bytes, Access::Write));
                return Ok(0);
            }
            Work::Free { address } => {
                if let Some(block) = self.blocks.get(address) {
                    touched.push((*address..address + block.bytes, Access::Write));
                }
                self.release(*address);
                return Ok(0);
            }
            Work::Kernel(launch) => return self.run_kernel(launch, touched),
            Work::Fill { to, pattern, count } => {
                let bytes = count * pattern.len() as u64;
                touched.push((*to..to + bytes, Access::Write));
                self.memory.fill(*to, pattern, *count).map(|()| moved(bytes))
            }
            Work::Put { to, data } => {
                touched.push((*to..to + data.len() as u64, Access::Write));
                self.memory.write(*to, data).map(|()| moved(data.len() as u64))
            }
            Work::Upload { to, from } => {
                let bytes = from.bytes() as u64;
                touched.push((from.address()..from.address() + bytes, Access::Read));
                touched.push((*to..to + bytes, Access::Write));
                let memory = &self.memory;
                from.read_into(|at, piece| memory.write(to + at as u64, piece))
                    .map(|()| moved(bytes))
            }
            Work::Download { to, from } => {
                let bytes = to.bytes() as u64;
                touched.push((*from..from + bytes, Access::Read));
                touched.push((to.address()..to.address() + bytes, Access::Write));
                if self.config.checks.contains(Checks::UNINITIALIZED)
                    && self.memory.initialised(*from, bytes) == Ok(false)
                {
                    self.report.uninitialised_copy("copy device to host", *from, bytes);
                }
                let memory = &self.memory;
                to.write_from(|at, piece| memory.read(from + at as u64, piece))
                    .map(|()| moved(bytes))
            }
            Work::Copy { to, from, bytes } => {
                touched.push((*from..from + bytes, Access::Read));
                touched.push((*to..to + bytes, Access::Write));
                self.memory.copy(*to, *from, *bytes).map(|()| moved(*bytes))
            }
        };
        result.map_err(|why: MemError| {
            let label = self.ops.pending.get(&id).map_or("copy", |op| &*op.label).to_owned();
            self.report.memory_fault(&label, &why);
            CuError::ILLEGAL_ADDRESS
        })
    }

    /// Notes what an operation touched and reports what was not ordered before it.
    fn check_streams(&mut self, id: OpId, touched: &Touched) {
        let Some(op) = self.ops.pending.get(&id) else { return };
        let Op { lane, label, clock, .. } = op;
        let actor = Actor { lane: *lane, op: id, label, clock };
        let mut found: Vec<Hazard> = Vec::new();
        for (bytes, access) in touched {
            self.ops.hazards.touch(&actor, bytes.clone(), *access, &mut found);
        }
        for hazard in &found {
            self.report.hazard(hazard);
        }
    }

    /// Whether the bytes that an operation touches can matter to another stream.
    ///
    /// They cannot when one lane is in flight, nothing is remembered and the host is waiting: all
    /// later work will know of it. Nor, without a wait, while the program has but one stream of its
    /// own and never used another: noting what every launch touches would slow the commonest kind
    /// of program for nothing.
    pub fn touches_matter(&self) -> bool {
        let alone = self.ops.unknown.len() <= 1 && self.ops.hazards.is_empty();
        let one_stream =
            || !self.ops.many_lanes && self.streams.values().filter(|s| !s.legacy).count() <= 1;
        self.config.hazards && !(alone && (self.ops.waiting || one_stream()))
    }
}
