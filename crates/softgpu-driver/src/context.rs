//! Devices and contexts: who owns what, and the error that a faulty kernel leaves behind.

use std::collections::HashMap;
use std::thread::ThreadId;

use crate::device::Preset;
use crate::driver::Driver;
use crate::error::{CuError, Result};
use crate::handle::Id;
use crate::ops::OpId;
use crate::stream::Stream;

/// One card.
pub struct Device {
    /// What it is.
    pub preset: &'static Preset,
    /// Bytes allocated on it.
    pub used: u64,
    /// Its primary context and how often it is retained.
    pub primary: Option<(Id<Context>, u32)>,
}

impl Device {
    /// An idle card.
    pub fn new(preset: &'static Preset) -> Self {
        Device { preset, used: 0, primary: None }
    }
}

/// One context.
pub struct Context {
    /// Ordinal of its device.
    pub device: usize,
    /// Whether it is the device's primary context.
    pub primary: bool,
    /// Flags of `cuCtxSetFlags`; they change nothing here but are given back.
    pub flags: u32,
    /// The error that a kernel left; every later call in the context answers it.
    pub fault: Option<CuError>,
    /// The legacy default stream (handles 0 and 1).
    pub legacy: Id<Stream>,
    /// The default stream of each thread that asked for one (handle 2).
    pub per_thread: HashMap<ThreadId, Id<Stream>>,
    /// `CUlimit` values by number.
    pub limits: HashMap<u32, usize>,
    /// `CUfunc_cache` preference.
    pub cache_config: u32,
}

/// `CUlimit` values softgpu keeps: stack size, printf buffer, malloc heap, device runtime depth and
/// pending launches, L2 fetch granularity, persisting L2 size.
const LIMITS: [(u32, usize); 7] =
    [(0, 1024), (1, 1 << 20), (2, 8 << 20), (3, 2), (4, 2048), (5, 128), (6, 0)];

impl Driver {
    /// The device with this ordinal.
    ///
    /// # Errors
    /// `INVALID_DEVICE`.
    pub fn device(&self, ordinal: i32) -> Result<&Device> {
        usize::try_from(ordinal)
            .ok()
            .and_then(|at| self.devices.get(at))
            .ok_or(CuError::INVALID_DEVICE)
    }

    /// A new context on device `ordinal`.
    ///
    /// # Errors
    /// `INVALID_DEVICE`.
    pub fn create_context(
        &mut self,
        ordinal: i32,
        flags: u32,
        primary: bool,
    ) -> Result<Id<Context>> {
        self.device(ordinal)?;
        // The stream needs the context's handle and the context the stream's: the handle is filled
        // in below.
        let legacy = self.streams.insert(Stream::legacy());
        let context = self.contexts.insert(Context {
            device: ordinal as usize,
            primary,
            flags,
            fault: None,
            legacy,
            per_thread: HashMap::new(),
            limits: LIMITS.into(),
            cache_config: 0,
        });
        if let Some(stream) = self.streams.get_mut(legacy) {
            stream.context = context;
        }
        Ok(context)
    }

    /// The device's primary context, made when it is not there, retained once more.
    ///
    /// # Errors
    /// `INVALID_DEVICE`.
    pub fn retain_primary(&mut self, ordinal: i32) -> Result<Id<Context>> {
        if let Some((context, count)) = self.device(ordinal)?.primary {
            self.devices[ordinal as usize].primary = Some((context, count + 1));
            return Ok(context);
        }
        let context = self.create_context(ordinal, 0, true)?;
        self.devices[ordinal as usize].primary = Some((context, 1));
        Ok(context)
    }

    /// Releases the primary context once; the context to destroy when that was the last time.
    ///
    /// # Errors
    /// `INVALID_DEVICE`; `INVALID_CONTEXT` when it is not retained.
    pub fn release_primary(&mut self, ordinal: i32) -> Result<Option<Id<Context>>> {
        let (context, count) = self.device(ordinal)?.primary.ok_or(CuError::INVALID_CONTEXT)?;
        let left = count - 1;
        self.devices[ordinal as usize].primary = (left > 0).then_some((context, left));
        Ok((left == 0).then_some(context))
    }

    /// The context, alive and without a fault.
    ///
    /// # Errors
    /// `CONTEXT_IS_DESTROYED`, or the sticky error.
    pub fn context(&self, id: Id<Context>) -> Result<&Context> {
        let context = self.contexts.get(id).ok_or(CuError::CONTEXT_IS_DESTROYED)?;
        match context.fault {
            Some(fault) => Err(fault),
            None => Ok(context),
        }
    }

    /// What the device of a context is.
    ///
    /// # Errors
    /// As [`Driver::context`].
    pub fn preset(&self, id: Id<Context>) -> Result<&'static Preset> {
        Ok(self.devices[self.context(id)?.device].preset)
    }

    /// The operations in flight in a context; wait for them before it is destroyed.
    pub fn in_flight(&self, id: Id<Context>) -> Vec<OpId> {
        self.ops.pending.iter().filter(|(_, op)| op.context == id).map(|(&op, _)| op).collect()
    }

    /// Ends a context with all it owns. Nothing of it may be in flight.
    pub fn destroy_context(&mut self, id: Id<Context>) {
        let owned: Vec<u64> =
            self.blocks.iter().filter(|(_, b)| b.context == id).map(|(&at, _)| at).collect();
        for address in owned {
            self.release(address);
        }
        self.events.retain(|_, event| event.context != id);
        self.captures.retain(|_, capture| capture.context != id);
        self.graphs.retain(|_, graph| graph.context != id);
        self.execs.retain(|_, exec| exec.context != id);
        let dead: Vec<_> = self
            .modules
            .ids()
            .into_iter()
            .filter(|&m| self.modules.get(m).is_some_and(|m| m.context == id))
            .collect();
        for module in dead {
            self.unload(module);
        }
        self.streams.retain(|_, stream| stream.context != id);
        if let Some(context) = self.contexts.remove(id)
            && self.devices[context.device].primary.is_some_and(|(primary, _)| primary == id)
        {
            self.devices[context.device].primary = None;
        }
    }
}
