//! Events: points in a stream that other streams and the host wait for.

use std::sync::Arc;

use crate::clock::Clock;
use crate::context::Context;
use crate::driver::Driver;
use crate::error::{CuError, Result};
use crate::graph::Point;
use crate::handle::Id;
use crate::ops::{After, OpId, Work};
use crate::stream::Stream;

/// `CU_EVENT_DISABLE_TIMING`.
pub const DISABLE_TIMING: u32 = 2;
/// `CU_EVENT_BLOCKING_SYNC | CU_EVENT_DISABLE_TIMING`; interprocess events (4) are outside the
/// subset.
const KNOWN_FLAGS: u32 = 3;

/// What was last recorded.
#[derive(Clone, Debug)]
pub enum Record {
    /// A point in a stream.
    Stream {
        /// The recording operation.
        op: OpId,
        /// Its stream.
        lane: u64,
        /// All it knows, itself included.
        clock: Arc<Clock>,
        /// When it ran, in virtual nanoseconds.
        time: Option<u64>,
    },
    /// A point in a capture.
    Capture(Point),
}

/// One event.
pub struct Event {
    /// Its context.
    pub context: Id<Context>,
    /// Whether it keeps no time.
    pub untimed: bool,
    /// What was last recorded, if anything.
    pub record: Option<Record>,
}

impl Driver {
    /// A new event with nothing recorded.
    ///
    /// # Errors
    /// `INVALID_VALUE` for unknown flags.
    pub fn create_event(&mut self, context: Id<Context>, flags: u32) -> Result<Id<Event>> {
        self.context(context)?;
        if flags & !KNOWN_FLAGS != 0 {
            return Err(CuError::INVALID_VALUE);
        }
        Ok(self.events.insert(Event {
            context,
            untimed: flags & DISABLE_TIMING != 0,
            record: None,
        }))
    }

    /// Looks an event up.
    ///
    /// # Errors
    /// `INVALID_HANDLE`, or the sticky error of its context.
    pub fn event(&self, id: Id<Event>) -> Result<&Event> {
        let event = self.events.get(id).ok_or(CuError::INVALID_HANDLE)?;
        self.context(event.context)?;
        Ok(event)
    }

    /// Drops the event; waits that were submitted keep their meaning.
    ///
    /// # Errors
    /// `INVALID_HANDLE`.
    pub fn destroy_event(&mut self, id: Id<Event>) -> Result<()> {
        self.events.remove(id).map(|_| ()).ok_or(CuError::INVALID_HANDLE)
    }

    /// Records the stream's present end in the event.
    ///
    /// # Errors
    /// `INVALID_HANDLE` when the two are of different contexts.
    pub fn record_event(&mut self, id: Id<Event>, stream: Id<Stream>) -> Result<()> {
        let context = self.event(id)?.context;
        let owner = self.streams.get(stream).ok_or(CuError::INVALID_HANDLE)?.context;
        if owner != context {
            return Err(CuError::INVALID_HANDLE);
        }
        let record = if let Some(point) = self.capture_point(stream)? {
            Record::Capture(point)
        } else {
            let op = self.submit(stream, Work::Record(id), "cuEventRecord", Vec::new())?;
            let clock = self.streams.get(stream).map(|s| Arc::clone(&s.clock)).unwrap_or_default();
            Record::Stream { op, lane: stream.raw(), clock, time: None }
        };
        if let Some(event) = self.events.get_mut(id) {
            event.record = Some(record);
        }
        Ok(())
    }

    /// Makes later work of the stream wait for what the event holds now.
    ///
    /// # Errors
    /// `STREAM_CAPTURE_ISOLATION` when a capturing stream is to wait for work outside the capture,
    /// `STREAM_CAPTURE_MERGE` when it is to wait for another capture.
    pub fn wait_event(&mut self, stream: Id<Stream>, id: Id<Event>) -> Result<()> {
        match self.event(id)?.record.clone() {
            None => Ok(()),
            Some(Record::Capture(point)) => self.join_capture(stream, &point),
            Some(Record::Stream { op, clock, time, .. }) => {
                if let Some(capture) = self.streams.get(stream).and_then(|s| s.capture.as_ref()) {
                    let capture = capture.capture;
                    self.invalidate(capture);
                    return Err(CuError::STREAM_CAPTURE_ISOLATION);
                }
                let after = After { op, clock, time: time.unwrap_or(0) };
                self.submit(stream, Work::Nothing, "cuStreamWaitEvent", vec![after])?;
                Ok(())
            }
        }
    }

    /// The operation to wait for until the event is complete; `None` when it is.
    ///
    /// # Errors
    /// `CAPTURED_EVENT` when it was last recorded in a capture, which the question invalidates.
    pub fn event_target(&mut self, id: Id<Event>) -> Result<Option<OpId>> {
        match &self.event(id)?.record {
            None => Ok(None),
            Some(Record::Capture(point)) => {
                let capture = point.capture;
                self.invalidate(capture);
                Err(CuError::CAPTURED_EVENT)
            }
            Some(Record::Stream { op, .. }) => Ok(self.ops.pending.contains_key(op).then_some(*op)),
        }
    }

    /// Notes that the host knows the event to be complete.
    pub fn host_saw_event(&mut self, id: Id<Event>) {
        if let Some(Event { record: Some(Record::Stream { op, lane, clock, time }), .. }) =
            self.events.get(id)
        {
            let (op, lane, clock, time) = (*op, *lane, Arc::clone(clock), time.unwrap_or(0));
            self.host_knows(lane, op, &clock, time);
        }
    }

    /// Milliseconds of virtual time between two complete events (see [`crate::ops`] for what that
    /// time is).
    ///
    /// # Errors
    /// `INVALID_HANDLE` when one is untimed or holds nothing, `NOT_READY` when one is not complete,
    /// `CAPTURED_EVENT`.
    pub fn elapsed(&self, start: Id<Event>, end: Id<Event>) -> Result<f32> {
        let time = |id| {
            let event = self.event(id)?;
            match &event.record {
                _ if event.untimed => Err(CuError::INVALID_HANDLE),
                None => Err(CuError::INVALID_HANDLE),
                Some(Record::Capture(_)) => Err(CuError::CAPTURED_EVENT),
                Some(Record::Stream { time: None, .. }) => Err(CuError::NOT_READY),
                Some(Record::Stream { time: Some(time), .. }) => Ok(*time as f64),
            }
        };
        Ok(((time(end)? - time(start)?) / 1e6) as f32)
    }
}
