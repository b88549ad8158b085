//! What a launch shares, what a host thread owns, and the state of one warp.

use super::cpasync::Queue;
use super::lanes::{D, W};
use super::shared::SharedWords;
use super::simd::Simd;
use super::sync::Barrier;
use crate::check::lines::Lines;
use crate::check::shadow::Shadow;
use crate::counters::{Runs, Stat};
use crate::ir::Program;
use crate::launch::{Checks, LaunchConfig, Options};
use crate::mem::{Memory, Table};
use crate::report::{Finding, FindingKind, Place};
use crate::touched::Touched;
use std::collections::{BTreeMap, HashMap};
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, AtomicU64};

pub(super) type Fatal = Box<Finding>;

/// Common to all host threads of a launch.
pub(super) struct Launch<'a> {
    pub program: &'a Program,
    pub name: &'a str,
    pub config: LaunchConfig,
    pub params: &'a [u8],
    pub memory: &'a Memory,
    pub table: Table,
    pub options: &'a Options,
    /// Threads of a block.
    pub threads: u32,
    pub shared_bytes: u32,
    pub blocks: u64,
    /// Blocks in the order they start, when it is no simple one.
    pub order: Option<Vec<u32>>,
    pub next: AtomicU64,
    pub stop: AtomicBool,
    pub global_shadow: Option<crate::check::global::GlobalShadow>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    Ready,
    /// At this barrier.
    Waiting(usize),
    Done,
}

/// Lanes that run later: the other side of a branch, or all of them where they meet.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry {
    pub pc: u32,
    pub mask: u32,
    pub reconverge: u32,
}

pub(super) struct Warp {
    pub id: usize,
    pub w: Vec<W>,
    pub d: Vec<D>,
    pub p: Vec<u32>,
    pub local: Vec<W>,
    /// Written bytes of each local word, one nibble a lane.
    pub local_valid: Vec<[u8; 32]>,
    /// Lanes in which a suspect register holds a defined value.
    pub tracked: Vec<u32>,
    pub pc: usize,
    pub mask: u32,
    pub reconverge: u32,
    pub stack: Vec<Entry>,
    /// Lanes that stand for threads of the block, and those that have not exited.
    pub exist: u32,
    pub live: u32,
    pub state: State,
    pub queue: Queue,
    /// Warp-wide synchronisations so far, from 1.
    pub syncs: u32,
    /// Time of the block's last atomic before this warp's last fence; only for races between blocks.
    pub taken: u64,
}

/// Why a warp stopped running.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pause {
    Barrier,
    Done,
}

/// A pattern of addresses and what was computed for it.
pub(super) struct Memo {
    pub key: Pattern,
    pub cost: u32,
    pub ideal: u32,
    /// Lanes that are the first with their address.
    pub unique: u32,
    /// The lowest address less the first lane's.
    pub low: u32,
    /// The words (shared) or bytes (global) that are touched, from the lowest address on.
    pub lines: Rc<Lines>,
}

/// Addresses of a warp's access, wherever the pattern is laid.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(super) struct Pattern {
    /// Bytes a lane, in shared memory or in global.
    pub bytes: u32,
    pub shared: bool,
    /// No lanes: a pattern that is not known again.
    pub mask: u32,
    /// The first lane's address modulo what the counts depend on.
    pub phase: u32,
    /// Addresses less the first lane's, 0 of lanes outside the mask.
    pub deltas: W,
}

/// Patterns that a host thread keeps at most: a kernel has some dozens.
const MOST_PATTERNS: usize = 4096;

impl Worker<'_> {
    /// Makes the memo of a pattern, or takes one that an instruction or warp had before, to stand at `id`: loops
    /// over swizzled memory meet a few patterns in turn.
    pub fn remember(&mut self, id: usize, key: Pattern, make: impl FnOnce(Pattern) -> Memo) {
        let memo = match self.patterns.get(&key) {
            Some(known) => Rc::clone(known),
            None => {
                let memo = Rc::new(make(key.clone()));
                if self.patterns.len() >= MOST_PATTERNS {
                    self.patterns.clear();
                }
                self.patterns.insert(key, Rc::clone(&memo));
                memo
            }
        };
        self.memos[id] = Some(memo);
    }
}

/// One host thread: runs one block at a time.
pub(super) struct Worker<'a> {
    pub launch: &'a Launch<'a>,
    pub block: [u32; 3],
    pub warps: Vec<Warp>,
    pub shared: SharedWords,
    pub shadow: Shadow,
    /// Last write of each shared word, as warp, synchronisations and lane; empty unless lanes are checked.
    pub lane_writes: Vec<(u8, u8, u32)>,
    pub barriers: [Barrier; 16],
    pub stats: Vec<Stat>,
    pub runs: Runs,
    pub touched: Touched,
    /// The last pattern of each memory instruction and warp.
    pub memos: Vec<Option<Rc<Memo>>>,
    pub patterns: HashMap<Pattern, Rc<Memo>>,
    /// Allocation that each memory instruction touched last.
    pub cache: Vec<u32>,
    pub findings: HashMap<(u32, FindingKind), Finding>,
    /// What each block printed.
    pub output: BTreeMap<u64, String>,
    pub linear: u64,
    /// Warps that have written to global memory since their last fence, one bit each, and the time of the
    /// block's last atomic; only for races between blocks.
    pub unfenced: u32,
    pub drawn: u64,
    /// Warp instructions that the block may still execute.
    pub budget: u64,
    pub random: u64,
    pub clock: u64,
    pub simd: Option<Simd>,
}

impl Worker<'_> {
    pub fn checks(&self, check: Checks) -> bool {
        self.launch.options.checks.contains(check)
    }

    pub fn place(&self, warp: &Warp, pc: usize, lane: usize) -> Place {
        let program = self.launch.program;
        let info = &program.info[program.code[pc].info as usize];
        let [x, y, _] = self.launch.config.block;
        let t = (warp.id * 32 + lane) as u32;
        Place {
            kernel: self.launch.name.to_string(),
            block: self.block,
            thread: [t % x, t / x % y, t / x / y],
            ptx_line: info.line,
            opcode: info.opcode.clone(),
            source: info.source.clone(),
        }
    }

    /// PTX line of an instruction, for messages that name a second one.
    pub fn line_of(&self, pc: usize) -> String {
        let program = self.launch.program;
        let info = &program.info[program.code[pc].info as usize];
        match &info.source {
            Some(s) => format!("{} at PTX line {} ({}:{})", info.opcode, info.line, s.file, s.line),
            None => format!("{} at PTX line {}", info.opcode, info.line),
        }
    }

    /// What ends the launch.
    #[cold]
    pub fn fatal(
        &self,
        warp: &Warp,
        pc: usize,
        lane: usize,
        kind: FindingKind,
        message: String,
    ) -> Fatal {
        Box::new(Finding { kind, message, place: self.place(warp, pc, lane), count: 1 })
    }

    /// What a check found: noted once an instruction, and fatal if the options say so.
    #[cold]
    pub fn found(
        &mut self,
        warp: &Warp,
        pc: usize,
        lane: usize,
        kind: FindingKind,
        message: impl FnOnce(&Self) -> String,
    ) -> Result<(), Fatal> {
        let key = (self.launch.program.code[pc].info, kind);
        if let Some(old) = self.findings.get_mut(&key) {
            old.count += 1;
            return Ok(());
        }
        let finding =
            Finding { kind, message: message(self), place: self.place(warp, pc, lane), count: 1 };
        if self.launch.options.findings_are_fatal {
            return Err(Box::new(finding));
        }
        self.findings.insert(key, finding);
        Ok(())
    }
}
