//! A grid: blocks handed to host threads in the chosen order, results gathered.

use super::state::{Launch, Worker};
use crate::check::global::GlobalShadow;
use crate::counters::{Counters, Stat};
use crate::launch::{Checks, LaunchConfig, Options, Order};
use crate::mem::Memory;
use crate::module::{Kernel, Module};
use crate::report::{Fault, Finding, FindingKind, LaunchReport, Place};
use crate::touched::Touched;
use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, OnceLock};
use std::time::{Duration, Instant};

/// Most shared memory that any supported device gives a block.
const MOST_SHARED: u64 = 227 << 10;

/// Time that the blocks after the first must be expected to take for host threads to be started: two
/// blocks of a few instructions took 10 us in one thread and 400 us in two (two busy cores of an EPYC).
const WORTH_A_THREAD: Duration = Duration::from_micros(500);

/// Cores that this process may use, asked for once: the answer takes several files to read.
fn cores() -> usize {
    static CORES: OnceLock<usize> = OnceLock::new();
    *CORES.get_or_init(|| std::thread::available_parallelism().map_or(1, |n| n.get()))
}

/// splitmix64: a fixed stream of random numbers from a seed.
pub(super) fn random(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *state;
    z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ z >> 31
}

fn invalid(name: &str, message: String) -> Box<Fault> {
    let place = Place { kernel: name.to_string(), ..Place::default() };
    let finding = Finding { kind: FindingKind::InvalidLaunch, message, place, count: 1 };
    Box::new(Fault { finding, earlier: Vec::new(), output: String::new() })
}

fn validate(kernel: &Kernel, config: &LaunchConfig, params: &[u8]) -> Result<(), String> {
    let info = &kernel.info;
    let product = |v: [u32; 3]| v.iter().map(|n| u128::from(*n)).product::<u128>();
    let (blocks, threads) = (product(config.grid), product(config.block));
    if blocks == 0 || threads == 0 {
        return Err(format!(
            "a dimension is zero: grid {:?}, block {:?}",
            config.grid, config.block
        ));
    }
    if blocks > u128::from(u32::MAX) {
        return Err(format!("grid {:?} has more than 2^32 blocks", config.grid));
    }
    if threads > 1024 {
        return Err(format!("block {:?} has {threads} threads, the limit is 1024", config.block));
    }
    if let Some(limit) = info.max_threads.filter(|l| threads > product(*l)) {
        return Err(format!(
            "block {:?} has {threads} threads, .maxntid is {limit:?}",
            config.block
        ));
    }
    if let Some(exact) = info.required_threads.filter(|r| *r != config.block) {
        return Err(format!("block is {:?}, .reqntid demands {exact:?}", config.block));
    }
    if params.len() < info.param_bytes as usize {
        return Err(format!(
            "{} parameter bytes given, the kernel has {}",
            params.len(),
            info.param_bytes
        ));
    }
    let shared = u64::from(info.static_shared_bytes) + u64::from(config.dynamic_shared_bytes);
    if shared > MOST_SHARED {
        return Err(format!("{shared} bytes of shared memory, the limit is {MOST_SHARED}"));
    }
    Ok(())
}

fn shuffled(n: u64, seed: u64) -> Option<Vec<u32>> {
    if n > 1 << 24 {
        return None;
    }
    let mut list: Vec<u32> = (0..n as u32).collect();
    let mut state = seed;
    for i in (1..list.len()).rev() {
        list.swap(i, (random(&mut state) % (i as u64 + 1)) as usize);
    }
    Some(list)
}

/// What the workers of a launch hand in.
#[derive(Default)]
struct Gathered {
    stats: Vec<Stat>,
    touched: Touched,
    findings: HashMap<(u32, FindingKind), Finding>,
    output: BTreeMap<u64, String>,
    fatal: Option<Box<Finding>>,
}

impl Gathered {
    fn add(&mut self, mut worker: Worker, fatal: Option<Box<Finding>>) {
        // A launch that ended early reports no counts, and its runs have not all ended.
        if fatal.is_none() {
            worker.runs.add_to(&mut worker.stats);
        }
        if self.stats.is_empty() {
            self.stats = worker.stats;
        } else {
            self.stats.iter_mut().zip(&worker.stats).for_each(|(a, b)| a.add(b));
        }
        self.touched.merge(worker.touched);
        for (key, finding) in worker.findings {
            match self.findings.get_mut(&key) {
                Some(old) => old.count += finding.count,
                None => {
                    self.findings.insert(key, finding);
                }
            }
        }
        self.output.extend(worker.output);
        self.fatal = self.fatal.take().or(fatal);
    }
}

/// Runs a launch to its end.
pub(crate) fn run(
    module: &Module,
    name: &str,
    config: LaunchConfig,
    params: &[u8],
    memory: &Memory,
    options: &Options,
) -> Result<LaunchReport, Box<Fault>> {
    let Some(kernel) = module.find(name) else {
        return Err(invalid(name, format!("the module has no kernel {name}")));
    };
    validate(kernel, &config, params).map_err(|m| invalid(name, m))?;
    let program = &kernel.program;
    let blocks = config.grid.iter().map(|n| u64::from(*n)).product();
    let statics = program.shared_bytes;
    let shared_bytes = match config.dynamic_shared_bytes {
        0 => statics,
        n => statics.next_multiple_of(program.shared_align) + n,
    };
    let table = memory.table();
    let order = match options.order {
        Order::Forward => None,
        Order::Reverse => (blocks <= 1 << 24).then(|| (0..blocks as u32).rev().collect()),
        Order::Seeded(seed) => shuffled(blocks, seed),
    };
    let global_shadow =
        options.checks.contains(Checks::GLOBAL_RACE).then(|| GlobalShadow::new(&table, blocks));
    let launch = Launch {
        program,
        name,
        config,
        params,
        memory,
        table,
        options,
        threads: config.block.iter().product(),
        shared_bytes,
        blocks,
        order,
        next: AtomicU64::new(0),
        stop: AtomicBool::new(false),
        global_shadow,
    };
    let wanted = if options.threads == 0 { cores() } else { options.threads };
    let threads = wanted.clamp(1, 256).min(blocks as usize);
    let gathered = Mutex::new(Gathered::default());
    // Runs blocks until none is left, or `most` of them.
    let some = |worker: &mut Worker, most: u64| -> Option<Box<Finding>> {
        for _ in 0..most {
            if launch.stop.load(Relaxed) {
                break;
            }
            let i = launch.next.fetch_add(1, Relaxed);
            if i >= launch.blocks {
                break;
            }
            let block = launch.order.as_ref().map_or(i, |o| u64::from(o[i as usize]));
            if let Err(finding) = worker.run_block(block) {
                launch.stop.store(true, Relaxed);
                return Some(finding);
            }
        }
        None
    };
    let hand_in = |worker: Worker, fatal| {
        let mut all = gathered.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        all.add(worker, fatal);
    };
    let mut mine = Worker::new(&launch);
    let mut fatal = None;
    let mut short = false;
    if threads > 1 && options.threads == 0 {
        let begin = Instant::now();
        fatal = some(&mut mine, 1);
        short = begin.elapsed() * u32::try_from(blocks - 1).unwrap_or(u32::MAX) < WORTH_A_THREAD;
    }
    if threads == 1 || short {
        fatal = fatal.or_else(|| some(&mut mine, u64::MAX));
    } else {
        std::thread::scope(|scope| {
            for _ in 1..threads {
                scope.spawn(|| {
                    let mut worker = Worker::new(&launch);
                    let fatal = some(&mut worker, u64::MAX);
                    hand_in(worker, fatal);
                });
            }
            fatal = fatal.take().or_else(|| some(&mut mine, u64::MAX));
        });
    }
    hand_in(mine, fatal);
    let all = gathered.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    let mut findings: Vec<Finding> = all.findings.into_values().collect();
    findings.sort_by_key(|f| (f.place.ptx_line, f.kind.name()));
    let output = all.output.into_values().collect();
    if let Some(finding) = all.fatal {
        return Err(Box::new(Fault { finding: *finding, earlier: findings, output }));
    }
    let counters =
        options.counters.then(|| Counters::new(name, program, &all.stats, &all.touched, &config));
    let touches = options.touches.then(|| all.touched.ranges(&launch.table));
    Ok(LaunchReport { counters, findings, output, touches })
}
