//! Control flow: basic blocks, where divergent lanes meet again, and the final order of the code.

use super::Lower;
use crate::ir::*;
use crate::load_error::LoadError;
use crate::ptx::ast::unsupported;

/// Basic blocks of the code, in its order.
pub(super) struct Blocks {
    /// First instruction of each block, and the end of the last.
    pub starts: Vec<usize>,
    pub successors: Vec<Vec<usize>>,
    /// Block of each instruction.
    pub of: Vec<usize>,
}

pub(super) const NOWHERE: usize = usize::MAX;

impl Blocks {
    pub fn new(code: &[Inst]) -> Blocks {
        let mut leader = vec![false; code.len() + 1];
        leader[0] = true;
        for (i, inst) in code.iter().enumerate() {
            match inst.op {
                Op::Bra { target, .. } | Op::BraIf { target, .. } => {
                    leader[target as usize] = true;
                    leader[i + 1] = true;
                }
                Op::Exit | Op::Trap => leader[i + 1] = true,
                _ => {}
            }
        }
        let mut starts: Vec<usize> = (0..code.len()).filter(|i| leader[*i]).collect();
        starts.push(code.len());
        let mut of = vec![0; code.len()];
        for b in 0..starts.len() - 1 {
            of[starts[b]..starts[b + 1]].fill(b);
        }
        let mut successors = Vec::new();
        for b in 0..starts.len() - 1 {
            let last = &code[starts[b + 1] - 1];
            let next = (b + 2 < starts.len()).then_some(b + 1);
            successors.push(match last.op {
                Op::Bra { target, .. } => vec![of[target as usize]],
                Op::BraIf { target, .. } => {
                    let mut list = vec![of[target as usize]];
                    list.extend(next);
                    list
                }
                Op::Exit | Op::Trap if last.guard == ALWAYS => Vec::new(),
                _ => next.into_iter().collect(),
            });
        }
        Blocks { starts, successors, of }
    }

    pub fn len(&self) -> usize {
        self.successors.len()
    }

    /// Immediate post-dominator of each block, [`NOWHERE`] for the end of the kernel.
    ///
    /// Blocks that end in a trap, or never end, count for nothing: no lane comes back from them.
    pub fn post_dominators(&self, code: &[Inst]) -> Vec<usize> {
        let n = self.len();
        let mut predecessors = vec![Vec::new(); n + 1];
        for b in 0..n {
            for s in &self.successors[b] {
                predecessors[*s].push(b);
            }
            let last = &code[self.starts[b + 1] - 1];
            if matches!(last.op, Op::Exit) && last.guard == ALWAYS {
                predecessors[n].push(b);
            }
        }
        // Post-order of the reversed graph from the end, without recursion.
        let (mut order, mut number) = (Vec::new(), vec![usize::MAX; n + 1]);
        let mut seen = vec![false; n + 1];
        let mut stack = vec![(n, 0)];
        seen[n] = true;
        while let Some((b, i)) = stack.pop() {
            if let Some(p) = predecessors[b].get(i) {
                stack.push((b, i + 1));
                if !seen[*p] {
                    seen[*p] = true;
                    stack.push((*p, 0));
                }
            } else {
                number[b] = order.len();
                order.push(b);
            }
        }
        let mut idom = vec![usize::MAX; n + 1];
        idom[n] = n;
        let mut changed = true;
        while changed {
            changed = false;
            for &b in order.iter().rev().filter(|b| **b != n) {
                let ends = self.successors[b].is_empty();
                let mut new = if ends { n } else { usize::MAX };
                for &s in self.successors[b].iter().filter(|s| idom[**s] != usize::MAX) {
                    new = match new {
                        usize::MAX => s,
                        _ => {
                            let (mut x, mut y) = (new, s);
                            while x != y {
                                while number[x] < number[y] {
                                    x = idom[x];
                                }
                                while number[y] < number[x] {
                                    y = idom[y];
                                }
                            }
                            x
                        }
                    };
                }
                if new != usize::MAX && idom[b] != new {
                    idom[b] = new;
                    changed = true;
                }
            }
        }
        (0..n).map(|b| if idom[b] == n { NOWHERE } else { idom[b] }).collect()
    }
}

impl Lower<'_> {
    /// Allocates slots, inserts meeting points and tracking, and hands the program over.
    pub(super) fn finish(mut self) -> Result<Program, LoadError> {
        let blocks = Blocks::new(&self.code);
        if blocks.len().saturating_mul(self.files.len() / 64 + 1) > 1 << 26 {
            return unsupported(0, &self.function.name, "the kernel has too many branches");
        }
        let meets = blocks.post_dominators(&self.code);
        let live = super::allocate::Liveness::new(&mut self.code, &blocks, &self.files);
        let fixed = self.fixed();
        let mut tracks =
            super::track::tracks(&mut self.code, &live.at_entry(&fixed), self.files.len());
        let tracked = tracks.count;
        let allocation =
            super::allocate::allocate(&mut self.code, &blocks, &live, &self.files, &fixed);
        let Some(allocation) = allocation else {
            return unsupported(0, &self.function.name, "the kernel needs too many registers");
        };
        let slot = |r: R| allocation.slots[usize::from(r)];
        let mut joins = vec![false; blocks.len()];
        for b in 0..blocks.len() {
            let last = &self.code[blocks.starts[b + 1] - 1];
            if matches!(last.op, Op::BraIf { .. }) && meets[b] != NOWHERE {
                joins[meets[b]] = true;
            }
        }
        let mut code = Vec::with_capacity(self.code.len() + 64);
        let mut starts = vec![0u32; blocks.len()];
        for b in 0..blocks.len() {
            starts[b] = code.len() as u32;
            let range = blocks.starts[b]..blocks.starts[b + 1];
            let cost = range.len() as u32;
            if joins[b] {
                let info = self.code[range.start].info;
                code.push(Inst { op: Op::Join, guard: ALWAYS, negate: false, info });
            }
            for i in range {
                for track in tracks.before.remove(&i).into_iter().flatten() {
                    let mut inst = track;
                    inst.guard = if inst.guard == ALWAYS { ALWAYS } else { slot(inst.guard) };
                    code.push(inst);
                }
                let mut inst = self.code[i].clone();
                if inst.guard != ALWAYS {
                    inst.guard = slot(inst.guard);
                }
                inst.op.visit(&mut |r, _, _| *r = slot(*r));
                match &mut inst.op {
                    Op::Bra { target, cost: c } => {
                        (*target, *c) = (blocks.of[*target as usize] as u32, cost);
                    }
                    Op::BraIf { target, cost: c, reconverge, .. } => {
                        (*target, *c) = (blocks.of[*target as usize] as u32, cost);
                        *reconverge = if meets[b] == NOWHERE { u32::MAX } else { meets[b] as u32 };
                    }
                    _ => {}
                }
                code.push(inst);
            }
        }
        for inst in &mut code {
            match &mut inst.op {
                Op::Bra { target, .. } => *target = starts[*target as usize],
                Op::BraIf { target, reconverge, .. } => {
                    *target = starts[*target as usize];
                    if *reconverge != u32::MAX {
                        *reconverge = starts[*reconverge as usize];
                    }
                }
                _ => {}
            }
        }
        Ok(Program {
            code,
            info: self.info,
            slots: allocation.counts,
            constants32: self.constants32.iter().map(|(bits, r)| (slot(*r), *bits)).collect(),
            constants64: self.constants64.iter().map(|(bits, r)| (slot(*r), *bits)).collect(),
            specials: self.specials.iter().map(|(s, r)| (slot(*r), *s)).collect(),
            tracked,
            shared_bytes: self.layout.shared_bytes as u32,
            shared_align: self.layout.shared_align as u32,
            local_bytes: self.layout.local_bytes.next_multiple_of(4) as u32,
            max_live: allocation.max_live,
            accesses: self.accesses,
        })
    }

    /// Registers whose slot is written before the warp starts.
    fn fixed(&self) -> Vec<bool> {
        let mut fixed = vec![false; self.files.len()];
        let all = self.constants32.values().chain(self.constants64.values());
        for r in all.chain(self.specials.iter().map(|(_, r)| r)) {
            fixed[usize::from(*r)] = true;
        }
        fixed
    }
}
