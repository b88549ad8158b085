//! What a launch tells: findings with their place, the report of a launch, and the fault that ends one.

use crate::counters::Counters;
use crate::touched::Touches;
use std::fmt;

/// What a finding is about. The driver maps the fatal ones to CUDA error codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FindingKind {
    /// Address outside every live allocation, or outside shared, local, constant or parameter memory.
    OutOfBounds,
    /// Address inside memory that was freed.
    UseAfterFree,
    /// Address that is no multiple of the access width.
    Misaligned,
    /// Bytes read before anything wrote them (global, shared or local memory).
    UninitializedMemory,
    /// A register that was never written decides a branch, an address or a stored value.
    UninitializedRegister,
    /// Two warps touch the same shared bytes, at least one writes, and no barrier orders them.
    SharedRace,
    /// Two blocks touch the same global bytes in one launch, at least one writes without an atomic.
    GlobalRace,
    /// A barrier reached by a part of a warp, or at which warps that exited are missing.
    BarrierDivergence,
    /// Warps of one block wait at barriers that can never complete.
    BarrierMismatch,
    /// A `.sync` instruction whose mask names lanes that do not take part, or omits the caller.
    SyncMask,
    /// A destination of `cp.async` read before its group was waited for, or overwritten too early.
    AsyncCopy,
    /// The instruction budget ended: an endless loop or a deadlock.
    Hang,
    /// The kernel executed `trap`.
    Trap,
    /// A device-side `assert` failed.
    Assert,
    /// The launch itself is invalid (geometry, parameters, unknown kernel).
    InvalidLaunch,
    /// The instruction is inside the language and outside what this crate executes in this form.
    Unsupported,
}

impl FindingKind {
    /// The kind as a lower-case word with hyphens, as in reports.
    pub fn name(self) -> &'static str {
        match self {
            FindingKind::OutOfBounds => "out-of-bounds",
            FindingKind::UseAfterFree => "use-after-free",
            FindingKind::Misaligned => "misaligned",
            FindingKind::UninitializedMemory => "uninitialized-memory",
            FindingKind::UninitializedRegister => "uninitialized-register",
            FindingKind::SharedRace => "shared-race",
            FindingKind::GlobalRace => "global-race",
            FindingKind::BarrierDivergence => "barrier-divergence",
            FindingKind::BarrierMismatch => "barrier-mismatch",
            FindingKind::SyncMask => "sync-mask",
            FindingKind::AsyncCopy => "async-copy",
            FindingKind::Hang => "hang",
            FindingKind::Trap => "trap",
            FindingKind::Assert => "assert",
            FindingKind::InvalidLaunch => "invalid-launch",
            FindingKind::Unsupported => "unsupported",
        }
    }
}

/// A line of the CUDA source, known when the PTX carries `.loc` (NVRTC's `-lineinfo`).
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SourceLine {
    /// File name as the `.file` directive gives it.
    pub file: String,
    /// Line, from 1.
    pub line: u32,
}

/// Where something happened.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// Kernel name; empty for a finding that concerns no kernel.
    pub kernel: String,
    /// Block index (x, y, z).
    pub block: [u32; 3],
    /// Thread index inside the block (x, y, z) of the first lane concerned.
    pub thread: [u32; 3],
    /// Line of the PTX text, from 1; 0 when unknown.
    pub ptx_line: u32,
    /// The instruction's opcode with its modifiers.
    pub opcode: String,
    /// Line of the CUDA source.
    pub source: Option<SourceLine>,
}

/// One thing a check found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What it is about.
    pub kind: FindingKind,
    /// One sentence with the addresses, sizes and, for races, the other instruction.
    pub message: String,
    /// Where it happened.
    pub place: Place,
    /// How often the same instruction gave the same kind in this launch (the first one is described).
    pub count: u64,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let p = &self.place;
        write!(f, "{}: {}", self.kind.name(), self.message)?;
        if !p.kernel.is_empty() {
            let ([bx, by, bz], [tx, ty, tz]) = (p.block, p.thread);
            write!(
                f,
                "; kernel {}, block ({bx}, {by}, {bz}), thread ({tx}, {ty}, {tz})",
                p.kernel
            )?;
        }
        if p.ptx_line != 0 {
            write!(f, ", PTX line {} ({})", p.ptx_line, p.opcode)?;
        }
        if let Some(s) = &p.source {
            write!(f, ", {}:{}", s.file, s.line)?;
        }
        if self.count > 1 {
            write!(f, " [{} times]", self.count)?;
        }
        Ok(())
    }
}

/// The result of a launch that ran to its end.
#[derive(Clone, Debug, Default)]
pub struct LaunchReport {
    /// Counters, when `Options::counters` was set.
    pub counters: Option<Counters>,
    /// What the checks found and did not stop the launch for.
    pub findings: Vec<Finding>,
    /// What the kernel printed with `printf`, block after block.
    pub output: String,
    /// Bytes of global memory that it read and wrote, when `Options::touches` was set.
    pub touches: Option<Touches>,
}

/// A finding that ended the launch, as a device error would.
#[derive(Clone, Debug)]
pub struct Fault {
    /// The finding that ended it.
    pub finding: Finding,
    /// Findings before it that were not fatal.
    pub earlier: Vec<Finding>,
    /// What was printed before it.
    pub output: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.finding.fmt(f)
    }
}

impl std::error::Error for Fault {}
