//! The whole state of the driver: devices, objects by handle, operations in flight, reports.
//!
//! Everything here is plain Rust under one lock (see [`crate::gate`]); nothing knows of C. The
//! subject files add their part with `impl Driver`: contexts, memory, streams, events, modules,
//! launches, graphs.

use std::collections::BTreeMap;

use softgpu::Memory;

use crate::config::Config;
use crate::context::{Context, Device};
use crate::event::Event;
use crate::graph::{Capture, Exec, Graph};
use crate::handle::Table;
use crate::memory::Block;
use crate::module::{Function, Loaded};
use crate::ops::Operations;
use crate::report::Report;
use crate::stream::Stream;

/// The state.
pub struct Driver {
    /// The settings it was made with.
    pub config: Config,
    /// Cards by ordinal.
    pub devices: Vec<Device>,
    /// The address space of all cards; each card's share is limited in [`crate::memory`].
    pub memory: Memory,
    /// Live allocations by address.
    pub blocks: BTreeMap<u64, Block>,
    /// Contexts by handle.
    pub contexts: Table<Context>,
    /// Streams by handle, the implicit ones of each context included.
    pub streams: Table<Stream>,
    /// Events by handle.
    pub events: Table<Event>,
    /// Modules by handle.
    pub modules: Table<Loaded>,
    /// Kernels by handle.
    pub functions: Table<Function>,
    /// Captures under way.
    pub captures: Table<Capture>,
    /// Graphs by handle.
    pub graphs: Table<Graph>,
    /// Instantiated graphs by handle.
    pub execs: Table<Exec>,
    /// Operations submitted and not yet run, and what is known of their order.
    pub ops: Operations,
    /// Findings, counters, notes.
    pub report: Report,
}

impl Driver {
    /// A driver with no context, nothing allocated, nothing in flight.
    pub fn new(config: Config) -> Self {
        let devices = config.devices.iter().map(|&preset| Device::new(preset)).collect();
        let report = Report::new(config.print, config.quiet);
        Driver {
            ops: Operations::new(config.seed),
            devices,
            // Each card's own size is the limit (see `Driver::allocate`); the interpreter's is set
            // beyond all of them.
            memory: Memory::new(1 << 46),
            blocks: BTreeMap::new(),
            contexts: Table::new(1),
            streams: Table::new(2),
            events: Table::new(3),
            modules: Table::new(4),
            functions: Table::new(5),
            captures: Table::new(6),
            graphs: Table::new(7),
            execs: Table::new(8),
            report,
            config,
        }
    }
}
