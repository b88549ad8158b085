//! A block: its warps run one after the other, each to its next barrier.

use super::cpasync::Queue;
use super::grid::random;
use super::lanes::FULL;
use super::shared::shared;
use super::simd::Simd;
use super::state::{Fatal, Launch, Pause, State, Warp, Worker};
use super::sync::Barrier;
use crate::check::shadow::Shadow;
use crate::counters::{Runs, Stat};
use crate::ir::Special;
use crate::launch::{Checks, Order};
use crate::report::FindingKind;
use crate::touched::Touched;
use std::collections::{BTreeMap, HashMap};

/// Content of shared and local memory and of registers before anything is written: NaN as a float.
const POISON: u32 = 0xffff_ffff;

impl<'a> Worker<'a> {
    pub fn new(launch: &'a Launch<'a>) -> Worker<'a> {
        let program = launch.program;
        let count = (launch.threads as usize).div_ceil(32);
        let words = (launch.shared_bytes as usize).div_ceil(4);
        let warps = (0..count).map(|id| Warp::new(launch, id)).collect();
        Worker {
            launch,
            block: [0; 3],
            warps,
            shared: shared(),
            shadow: Shadow::new(words, count, program.whole_barriers()),
            lane_writes: vec![
                (0, 0, 0);
                if launch.options.checks.contains(Checks::WARP_RACE) {
                    words
                } else {
                    0
                }
            ],
            barriers: std::array::from_fn(|_| Barrier::default()),
            stats: vec![Stat::default(); program.code.len()],
            runs: Runs::new(program.code.len()),
            touched: Touched::new(&launch.table),
            memos: (0..program.accesses as usize * count).map(|_| None).collect(),
            patterns: HashMap::new(),
            cache: vec![0; program.accesses as usize],
            findings: HashMap::new(),
            output: BTreeMap::new(),
            linear: 0,
            unfenced: 0,
            drawn: 0,
            budget: 0,
            random: 0,
            clock: 0,
            simd: Simd::detect(),
        }
    }

    /// Runs one block to its end.
    pub fn run_block(&mut self, linear: u64) -> Result<(), Fatal> {
        let [gx, gy, _] = self.launch.config.grid.map(u64::from);
        self.linear = linear;
        (self.unfenced, self.drawn) = (0, 0);
        self.budget = self.launch.options.budget;
        self.block = [(linear % gx) as u32, (linear / gx % gy) as u32, (linear / gx / gy) as u32];
        self.shared[..self.launch.shared_bytes.div_ceil(4) as usize].fill(POISON);
        self.shadow.reset();
        self.lane_writes.fill((0, 0, 0));
        self.barriers = std::array::from_fn(|_| Barrier::default());
        if let Order::Seeded(seed) = self.launch.options.order {
            self.random = seed ^ linear.wrapping_mul(0x9e37_79b9);
        }
        let block = self.block;
        for warp in &mut self.warps {
            warp.start(self.launch, block);
        }
        let mut order: Vec<usize> = (0..self.warps.len()).collect();
        if self.launch.options.order == Order::Reverse {
            order.reverse();
        }
        loop {
            if let Order::Seeded(_) = self.launch.options.order {
                for i in (1..order.len()).rev() {
                    order.swap(i, (random(&mut self.random) % (i as u64 + 1)) as usize);
                }
            }
            let mut ran = false;
            for &w in &order {
                if self.warps[w].state != State::Ready {
                    continue;
                }
                ran = true;
                let mut warp = std::mem::replace(&mut self.warps[w], Warp::empty());
                let pause = self.run_warp(&mut warp);
                if let Ok(Pause::Done) = pause {
                    warp.state = State::Done;
                }
                self.warps[w] = warp;
                pause?;
                self.release()?;
            }
            if self.warps.iter().all(|w| w.state == State::Done) {
                return Ok(());
            }
            if !ran {
                return Err(self.deadlock());
            }
        }
    }

    /// Warps wait and none can go on.
    fn deadlock(&self) -> Fatal {
        let waiting: Vec<String> = (self.warps.iter())
            .filter_map(|w| match w.state {
                State::Waiting(b) => Some(format!("warp {} at barrier {b}", w.id)),
                _ => None,
            })
            .collect();
        let warp = self.warps.iter().find(|w| w.state != State::Done);
        let warp = warp.unwrap_or(&self.warps[0]);
        let lane = warp.live.trailing_zeros().min(31) as usize;
        let message = format!("no warp can go on: {}", waiting.join(", "));
        self.fatal(warp, warp.pc.saturating_sub(1), lane, FindingKind::BarrierMismatch, message)
    }
}

impl Warp {
    pub fn empty() -> Warp {
        Warp {
            id: 0,
            w: Vec::new(),
            d: Vec::new(),
            p: Vec::new(),
            local: Vec::new(),
            local_valid: Vec::new(),
            tracked: Vec::new(),
            pc: 0,
            mask: 0,
            reconverge: u32::MAX,
            stack: Vec::new(),
            exist: 0,
            live: 0,
            state: State::Done,
            queue: Queue::default(),
            syncs: 1,
            taken: 0,
        }
    }

    fn new(launch: &Launch, id: usize) -> Warp {
        let program = launch.program;
        let [w, d, p] = program.slots;
        let rest = launch.threads as usize - id * 32;
        let exist = if rest >= 32 { FULL } else { (1 << rest) - 1 };
        let locals = program.local_bytes as usize / 4;
        let mut warp = Warp {
            id,
            w: vec![[0; 32]; w],
            d: vec![[0; 32]; d],
            p: vec![0; p],
            local: vec![[POISON; 32]; locals],
            local_valid: vec![[0; 32]; locals],
            tracked: vec![0; program.tracked],
            exist,
            ..Warp::empty()
        };
        for (slot, bits) in &program.constants32 {
            warp.w[usize::from(*slot)] = [*bits; 32];
        }
        for (slot, bits) in &program.constants64 {
            warp.d[usize::from(*slot)] = [*bits; 32];
        }
        warp
    }

    /// Ready for a block.
    fn start(&mut self, launch: &Launch, block: [u32; 3]) {
        self.pc = 0;
        self.mask = self.exist;
        self.live = self.exist;
        self.reconverge = u32::MAX;
        self.stack.clear();
        self.state = State::Ready;
        self.queue.clear();
        self.syncs = 1;
        self.taken = 0;
        self.tracked.fill(0);
        self.local_valid.iter_mut().for_each(|v| *v = [0; 32]);
        let [x, y, _] = launch.config.block;
        for (slot, special) in &launch.program.specials {
            let lanes = &mut self.w[usize::from(*slot)];
            for (l, lane) in lanes.iter_mut().enumerate() {
                let t = (self.id * 32 + l) as u32;
                *lane = match special {
                    Special::Tid(0) => t % x,
                    Special::Tid(1) => t / x % y,
                    Special::Tid(_) => t / x / y,
                    Special::Ntid(i) => launch.config.block[usize::from(*i)],
                    Special::Ctaid(i) => block[usize::from(*i)],
                    Special::Nctaid(i) => launch.config.grid[usize::from(*i)],
                    Special::Lane => l as u32,
                    Special::Warp => self.id as u32,
                    Special::Nwarp => launch.threads.div_ceil(32),
                    Special::MaskEq => 1 << l,
                    Special::MaskLt => (1 << l) - 1,
                    Special::MaskLe => (2u64 << l).wrapping_sub(1) as u32,
                    Special::MaskGt => !((2u64 << l).wrapping_sub(1) as u32),
                    Special::MaskGe => !((1u32 << l) - 1),
                    Special::DynamicShared => launch.config.dynamic_shared_bytes,
                    Special::TotalShared => launch.shared_bytes,
                    Special::Zero => 0,
                };
            }
        }
    }
}
