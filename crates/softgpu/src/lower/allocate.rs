//! Liveness of virtual registers and their slots.

use super::flow::Blocks;
use crate::ir::*;

struct Bits(Vec<u64>);

impl Bits {
    fn new(n: usize) -> Bits {
        Bits(vec![0; n.div_ceil(64)])
    }

    fn set(&mut self, i: R) {
        self.0[usize::from(i) / 64] |= 1 << (i % 64);
    }

    fn has(&self, i: R) -> bool {
        self.0[usize::from(i) / 64] >> (i % 64) & 1 != 0
    }

    fn each(&self, mut f: impl FnMut(usize)) {
        for (w, word) in self.0.iter().enumerate() {
            let mut rest = *word;
            while rest != 0 {
                f(w * 64 + rest.trailing_zeros() as usize);
                rest &= rest - 1;
            }
        }
    }
}

/// Registers live at the start and the end of each block.
pub(super) struct Liveness {
    into: Vec<Bits>,
    out: Vec<Bits>,
}

impl Liveness {
    pub fn new(code: &mut [Inst], blocks: &Blocks, files: &[File]) -> Liveness {
        let n = blocks.len();
        let make = || (0..n).map(|_| Bits::new(files.len())).collect::<Vec<_>>();
        let (mut uses, mut kills) = (make(), make());
        for b in 0..n {
            for inst in &mut code[blocks.starts[b]..blocks.starts[b + 1]] {
                let (u, k) = (&mut uses[b], &mut kills[b]);
                if inst.guard != ALWAYS && !k.has(inst.guard) {
                    u.set(inst.guard);
                }
                let guarded = inst.guard != ALWAYS;
                inst.op.visit(&mut |r, _, role| match role {
                    Role::Read if !k.has(*r) => u.set(*r),
                    // A guarded write leaves the other lanes as they were.
                    Role::Write if guarded => {}
                    Role::Write => k.set(*r),
                    Role::Read => {}
                });
            }
        }
        let (mut into, mut out) = (make(), make());
        let mut work: Vec<usize> = (0..n).collect();
        let mut predecessors = vec![Vec::new(); n];
        for b in 0..n {
            blocks.successors[b].iter().for_each(|s| predecessors[*s].push(b));
        }
        let mut queued = vec![true; n];
        while let Some(b) = work.pop() {
            queued[b] = false;
            for s in &blocks.successors[b] {
                for (o, i) in out[b].0.iter_mut().zip(&into[*s].0) {
                    *o |= i;
                }
            }
            let mut changed = false;
            for w in 0..into[b].0.len() {
                let new = uses[b].0[w] | out[b].0[w] & !kills[b].0[w];
                changed |= new != into[b].0[w];
                into[b].0[w] = new;
            }
            for p in predecessors[b].iter().filter(|_| changed) {
                if !queued[*p] {
                    queued[*p] = true;
                    work.push(*p);
                }
            }
        }
        Liveness { into, out }
    }

    /// Registers that some path reads before any write, constants left out.
    pub fn at_entry(&self, fixed: &[bool]) -> Vec<R> {
        let mut list = Vec::new();
        self.into[0].each(|r| {
            if !fixed[r] {
                list.push(r as R);
            }
        });
        list
    }
}

pub(super) struct Allocation {
    pub slots: Vec<R>,
    pub counts: [usize; 3],
    /// Most 32-bit registers live at once, as an estimate of what ptxas would use.
    pub max_live: u32,
}

/// Linear scan over the intervals. `None` when a file would need more than 2^16 slots.
pub(super) fn allocate(
    code: &mut [Inst],
    blocks: &Blocks,
    live: &Liveness,
    files: &[File],
    fixed: &[bool],
) -> Option<Allocation> {
    // Positions: reads of instruction i at 2i, its writes at 2i + 1.
    let mut spans = vec![(usize::MAX, 0usize); files.len()];
    let touch = |spans: &mut Vec<(usize, usize)>, r: usize, at: usize| {
        spans[r] = (spans[r].0.min(at), spans[r].1.max(at));
    };
    for b in 0..blocks.len() {
        live.into[b].each(|r| touch(&mut spans, r, 2 * blocks.starts[b]));
        live.out[b].each(|r| touch(&mut spans, r, 2 * blocks.starts[b + 1]));
    }
    for (i, inst) in code.iter_mut().enumerate() {
        if inst.guard != ALWAYS {
            touch(&mut spans, usize::from(inst.guard), 2 * i);
        }
        inst.op.visit(&mut |r, _, role| {
            touch(&mut spans, usize::from(*r), 2 * i + usize::from(role == Role::Write));
        });
    }
    let mut slots = vec![0; files.len()];
    let mut counts = [0usize; 3];
    for (r, file) in files.iter().enumerate().filter(|(r, _)| fixed[*r]) {
        slots[r] = R::try_from(counts[*file as usize]).ok()?;
        counts[*file as usize] += 1;
    }
    let mut order: Vec<usize> =
        (0..files.len()).filter(|r| !fixed[*r] && spans[*r].0 != usize::MAX).collect();
    order.sort_by_key(|r| spans[*r].0);
    let mut active: [std::collections::BinaryHeap<std::cmp::Reverse<(usize, R)>>; 3] =
        Default::default();
    for r in order {
        let file = files[r] as usize;
        let reused = match active[file].peek() {
            Some(std::cmp::Reverse((end, _))) if *end < spans[r].0 => {
                active[file].pop().map(|std::cmp::Reverse((_, slot))| slot)
            }
            _ => None,
        };
        slots[r] = match reused {
            Some(slot) => slot,
            None => {
                counts[file] += 1;
                R::try_from(counts[file] - 1).ok()?
            }
        };
        active[file].push(std::cmp::Reverse((spans[r].1, slots[r])));
    }
    let mut events = Vec::new();
    for (r, file) in
        files.iter().enumerate().filter(|(r, _)| !fixed[*r] && spans[*r].0 != usize::MAX)
    {
        let weight = [1i64, 2, 0][*file as usize];
        events.push((spans[r].0, weight));
        events.push((spans[r].1 + 1, -weight));
    }
    events.sort_unstable();
    let (mut now, mut max_live) = (0, 0);
    for (_, change) in events {
        now += change;
        max_live = max_live.max(now);
    }
    Some(Allocation { slots, counts: counts.map(|c| c.max(1)), max_live: max_live as u32 })
}
