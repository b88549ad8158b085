//! Streams: chains of operations, and the barriers that the default stream draws through them.

use std::sync::Arc;
use std::thread::ThreadId;

use crate::clock::Clock;
use crate::context::Context;
use crate::driver::Driver;
use crate::error::{CuError, Result};
use crate::graph::Membership;
use crate::handle::Id;
use crate::ops::{After, OpId};

/// `CU_STREAM_NON_BLOCKING`.
pub const NON_BLOCKING: u32 = 1;

/// One stream.
pub struct Stream {
    /// Its context.
    pub context: Id<Context>,
    /// Whether the legacy default stream waits for it and it for that one.
    pub blocking: bool,
    /// Whether it is the legacy default stream.
    pub legacy: bool,
    /// Its priority, 0 (low) to -5 (high); it changes nothing here.
    pub priority: i32,
    /// Its latest operation, 0 for none.
    pub last: OpId,
    /// All that its latest operation knows, itself included.
    pub clock: Arc<Clock>,
    /// When its latest finished operation ended, in virtual nanoseconds.
    pub end: u64,
    /// The capture it takes part in.
    pub capture: Option<Membership>,
}

impl Stream {
    fn new(context: Id<Context>, blocking: bool, priority: i32) -> Self {
        Stream {
            context,
            blocking,
            legacy: false,
            priority,
            last: 0,
            clock: Arc::default(),
            end: 0,
            capture: None,
        }
    }

    /// A default stream whose context is still to be named.
    pub fn legacy() -> Self {
        Stream { legacy: true, ..Stream::new(Id::from_raw(0), true, 0) }
    }
}

impl Driver {
    /// A new stream.
    ///
    /// # Errors
    /// `INVALID_VALUE` for flags other than 0 and [`NON_BLOCKING`].
    pub fn create_stream(
        &mut self,
        context: Id<Context>,
        flags: u32,
        priority: i32,
    ) -> Result<Id<Stream>> {
        self.context(context)?;
        if flags & !NON_BLOCKING != 0 {
            return Err(CuError::INVALID_VALUE);
        }
        let priority = priority.clamp(-5, 0);
        Ok(self.streams.insert(Stream::new(context, flags & NON_BLOCKING == 0, priority)))
    }

    /// What a stream handle means to a thread whose current context is `context`: 0 and 1 are the
    /// legacy default stream, 2 is the thread's own.
    ///
    /// # Errors
    /// `INVALID_HANDLE`, or the sticky error of the stream's context.
    pub fn stream(
        &mut self,
        raw: u64,
        context: Id<Context>,
        thread: ThreadId,
    ) -> Result<Id<Stream>> {
        match raw {
            0 | 1 => Ok(self.context(context)?.legacy),
            2 => {
                if let Some(&stream) = self.context(context)?.per_thread.get(&thread) {
                    return Ok(stream);
                }
                let stream = self.streams.insert(Stream::new(context, true, 0));
                if let Some(context) = self.contexts.get_mut(context) {
                    context.per_thread.insert(thread, stream);
                }
                Ok(stream)
            }
            _ => {
                let id = Id::from_raw(raw);
                let owner = self.streams.get(id).ok_or(CuError::INVALID_HANDLE)?.context;
                self.context(owner)?;
                Ok(id)
            }
        }
    }

    /// Drops the stream; what it holds still runs, as on a real device.
    ///
    /// # Errors
    /// `INVALID_HANDLE` for the default streams and for what is none.
    pub fn destroy_stream(&mut self, id: Id<Stream>) -> Result<()> {
        let stream = self.streams.get(id).ok_or(CuError::INVALID_HANDLE)?;
        let context = self.contexts.get(stream.context);
        if stream.legacy || context.is_some_and(|c| c.per_thread.values().any(|&s| s == id)) {
            return Err(CuError::INVALID_HANDLE);
        }
        if let Some(membership) = &stream.capture {
            let capture = membership.capture;
            self.invalidate(capture);
        }
        self.streams.remove(id);
        Ok(())
    }

    /// "After everything in this stream."
    pub fn after_stream(&self, id: Id<Stream>) -> Option<After> {
        let stream = self.streams.get(id)?;
        (stream.last != 0).then(|| After {
            op: stream.last,
            clock: Arc::clone(&stream.clock),
            time: stream.end,
        })
    }

    /// The streams that waiting for stream `id` waits for: itself, and for the legacy default
    /// stream the blocking ones too.
    pub fn awaited(&self, id: Id<Stream>) -> Vec<Id<Stream>> {
        match self.streams.get(id) {
            Some(stream) if stream.legacy => self.blocking_streams(stream.context),
            _ => vec![id],
        }
    }

    fn blocking_streams(&self, context: Id<Context>) -> Vec<Id<Stream>> {
        let blocking = |id: &Id<Stream>| {
            self.streams.get(*id).is_some_and(|s| s.blocking && s.context == context)
        };
        self.streams.ids().into_iter().filter(blocking).collect()
    }

    /// What an operation submitted to stream `id` waits for: its predecessor and, by the rules of
    /// the legacy default stream, the others that it may not overtake.
    pub fn predecessors(&self, id: Id<Stream>) -> Vec<After> {
        let Some(stream) = self.streams.get(id) else { return Vec::new() };
        let mut after: Vec<After> = self.after_stream(id).into_iter().collect();
        if stream.legacy {
            let others = self.blocking_streams(stream.context);
            after.extend(
                others.into_iter().filter(|&o| o != id).filter_map(|o| self.after_stream(o)),
            );
        } else if stream.blocking
            && let Some(context) = self.contexts.get(stream.context)
        {
            after.extend(self.after_stream(context.legacy));
        }
        after
    }
}
