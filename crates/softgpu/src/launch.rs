//! The launch: geometry, options, and the call that runs a kernel's blocks over the threads.

use crate::mem::Memory;
use crate::module::Module;
use crate::report::{Fault, LaunchReport};
use std::ops::{BitAnd, BitOr, Not};

/// Geometry of a launch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LaunchConfig {
    /// Blocks along x, y, z.
    pub grid: [u32; 3],
    /// Threads of a block along x, y, z.
    pub block: [u32; 3],
    /// Bytes of dynamic shared memory a block.
    pub dynamic_shared_bytes: u32,
}

/// Order in which warps of a block and blocks of a grid are run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Order {
    /// Ascending.
    #[default]
    Forward,
    /// Descending.
    Reverse,
    /// A permutation drawn from the seed, a new one after every barrier.
    Seeded(u64),
}

/// When an asynchronous copy takes place, of the moments that PTX allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum CpAsync {
    /// At the `wait_group` that guarantees it.
    #[default]
    Latest,
    /// At the instruction itself.
    Earliest,
}

/// A set of checks. Bounds, alignment and traps are always on: they keep the host process safe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Checks(u32);

impl Checks {
    /// Only what keeps the process safe: bounds, alignment, traps, the budget.
    pub const NONE: Checks = Checks(0);
    /// Reads of global, shared and local bytes that nothing wrote.
    pub const UNINITIALIZED: Checks = Checks(1);
    /// Shared-memory races between warps, and too early use of `cp.async` destinations.
    pub const SHARED_RACE: Checks = Checks(2);
    /// Global-memory races between blocks of one launch that no fences and atomics order (costs memory and
    /// knows words, not bytes; not in [`Checks::DEFAULT`]).
    pub const GLOBAL_RACE: Checks = Checks(4);
    /// Barriers in divergent code, and masks of `.sync` instructions.
    pub const SYNC: Checks = Checks(8);
    /// Lanes of one warp that exchange shared bytes without `__syncwarp` (not in [`Checks::DEFAULT`]).
    pub const WARP_RACE: Checks = Checks(16);
    /// Everything that gives no alarm on correct programs: all but the two marked above.
    pub const DEFAULT: Checks = Checks(1 | 2 | 8);
    /// Everything.
    pub const ALL: Checks = Checks(31);

    /// Whether every check of `other` is in the set.
    pub const fn contains(self, other: Checks) -> bool {
        self.0 & other.0 == other.0
    }
}

impl BitOr for Checks {
    type Output = Checks;
    fn bitor(self, rhs: Checks) -> Checks {
        Checks(self.0 | rhs.0)
    }
}

impl BitAnd for Checks {
    type Output = Checks;
    fn bitand(self, rhs: Checks) -> Checks {
        Checks(self.0 & rhs.0)
    }
}

impl Not for Checks {
    type Output = Checks;
    fn not(self) -> Checks {
        Checks(!self.0 & Checks::ALL.0)
    }
}

/// How to run a launch.
#[derive(Clone, Debug)]
pub struct Options {
    /// Host threads to spread blocks over; 0 means one a core where the launch is long enough to gain
    /// by it, which the time of the first block tells.
    pub threads: usize,
    /// Order of warps and blocks. `Seeded` and `Reverse` expose missing synchronisation.
    pub order: Order,
    /// Checks to make.
    pub checks: Checks,
    /// Whether to count.
    pub counters: bool,
    /// Whether to report which bytes of global memory were touched
    /// ([`LaunchReport::touches`]). Costs what counting costs, and nothing more beside it.
    pub touches: bool,
    /// Warp instructions that a block may execute, all its warps together, before it is called hung.
    /// Taken off a basic block at a time, where it ends in a branch.
    pub budget: u64,
    /// When asynchronous copies land.
    pub cp_async: CpAsync,
    /// Whether a finding of a check ends the launch (`true`) or is only reported (`false`).
    pub findings_are_fatal: bool,
}

impl Options {
    /// Whether warps keep counts and marks at all.
    pub(crate) fn counting(&self) -> bool {
        self.counters || self.touches
    }
}

impl Default for Options {
    /// Threads as they pay, forward, default checks, counters on, 2^36 warp instructions a block.
    fn default() -> Options {
        Options {
            threads: 0,
            order: Order::Forward,
            checks: Checks::DEFAULT,
            counters: true,
            touches: false,
            budget: 1 << 36,
            cp_async: CpAsync::Latest,
            findings_are_fatal: false,
        }
    }
}

/// Runs `kernel` of `module` over the grid and returns when the last block has ended.
///
/// `params` holds the arguments packed as the kernel's `.param` list lays them out
/// ([`crate::KernelInfo::params`]). Bounds, misalignment, traps, hangs and failed asserts end the launch
/// with a [`Fault`]; what was written before stays written, as on a device.
pub fn launch(
    module: &Module,
    kernel: &str,
    config: LaunchConfig,
    params: &[u8],
    memory: &Memory,
    options: &Options,
) -> Result<LaunchReport, Box<Fault>> {
    crate::exec::run(module, kernel, config, params, memory, options)
}
