//! Shuffles, votes, matches and reductions over a warp.

use super::atomic::combine;
use super::lanes::{each, put};
use super::state::{Fatal, Warp, Worker};
use crate::ir::{AtomOp, R, Shfl, ShflMode, VoteMode};
use crate::launch::Checks;
use crate::mutants::{Mutant, on};
use crate::ptx::ast::Ty;
use crate::report::FindingKind;

impl Worker<'_> {
    pub fn shuffle(
        &mut self,
        warp: &mut Warp,
        pc: usize,
        m: &Shfl,
        exec: u32,
    ) -> Result<(), Fatal> {
        self.sync_mask(warp, pc, m.mask, exec)?;
        let [a, b, c] = [m.a, m.b, m.c].map(|r| warp.w[usize::from(r)]);
        let (mut out, mut inside, mut absent) = ([0; 32], 0u32, 0u32);
        for l in 0..32u32 {
            let (value, clamp) = (b[l as usize] & 31, c[l as usize] & 31);
            let far = on(Mutant::ShflSource) && matches!(m.mode, ShflMode::Up | ShflMode::Down);
            let value = value + u32::from(far);
            let segment = c[l as usize] >> 8 & 31;
            let (low, high) = (l & segment, l & segment | clamp & !segment);
            let (source, ok) = match m.mode {
                ShflMode::Up => (l.wrapping_sub(value), l as i32 - value as i32 >= high as i32),
                ShflMode::Down => (l + value, l + value <= high),
                ShflMode::Bfly => (l ^ value, l ^ value <= high),
                ShflMode::Idx => (low | value & !segment, low | value & !segment <= high),
            };
            let source = if ok || on(Mutant::ShflClamp) { source & 31 } else { l };
            let ok = ok || on(Mutant::ShflPredicate);
            inside |= u32::from(ok) << l;
            absent |= (!exec >> source & 1 & exec >> l) << l;
            out[l as usize] = a[source as usize];
        }
        put(&mut warp.w[usize::from(m.d)], &out, exec);
        if let Some(p) = m.p {
            let p = &mut warp.p[usize::from(p)];
            *p = *p & !exec | inside & exec;
        }
        if absent != 0 && self.checks(Checks::SYNC) {
            let lane = absent.trailing_zeros() as usize;
            self.found(warp, pc, lane, FindingKind::SyncMask, |_| {
                format!("lanes {absent:#010x} read from lanes that do not take part")
            })?;
        }
        Ok(())
    }

    #[allow(clippy::too_many_arguments)]
    pub fn vote(
        &self,
        warp: &mut Warp,
        mode: VoteMode,
        d: R,
        p: R,
        negate: bool,
        mask: R,
        exec: u32,
    ) {
        let value = warp.p[usize::from(p)];
        let value = if negate { !value } else { value };
        let masks = warp.w[usize::from(mask)];
        let d = usize::from(d);
        for l in each(exec) {
            let members = if on(Mutant::VoteInactive) { u32::MAX } else { masks[l] & exec };
            let yes = value & members;
            let truth = match mode {
                VoteMode::Ballot => {
                    warp.w[d][l] = yes;
                    continue;
                }
                VoteMode::All => yes == members,
                VoteMode::Any => yes != 0,
                VoteMode::Uni => yes == members || yes == 0,
            };
            warp.p[d] = warp.p[d] & !(1 << l) | u32::from(truth) << l;
        }
    }
}

impl Warp {
    #[allow(clippy::too_many_arguments)]
    pub fn matches(&mut self, all: bool, wide: bool, d: R, p: R, a: R, mask: R, exec: u32) {
        let masks = self.w[usize::from(mask)];
        let values: [u64; 32] = std::array::from_fn(|l| match wide {
            true => self.d[usize::from(a)][l],
            false => self.w[usize::from(a)][l].into(),
        });
        for l in each(exec) {
            let members = masks[l] & exec;
            let same = each(members).filter(|k| values[*k] == values[l]).fold(0, |m, k| m | 1 << k);
            let agree = same == members;
            self.w[usize::from(d)][l] = if all && !agree { 0 } else { same };
            let bits = &mut self.p[usize::from(p)];
            *bits = *bits & !(1 << l) | u32::from(agree) << l;
        }
    }

    pub fn redux(&mut self, op: AtomOp, signed: bool, d: R, a: R, mask: R, exec: u32) {
        let masks = self.w[usize::from(mask)];
        let values = self.w[usize::from(a)];
        let ty = if signed { Ty::S32 } else { Ty::U32 };
        let mut out = [0; 32];
        for l in each(exec) {
            let members = masks[l] & exec | 1 << l;
            let first = members.trailing_zeros() as usize;
            let rest = members & (members - 1);
            out[l] = each(rest).fold(values[first], |sum, k| {
                combine(op, ty, sum.into(), values[k].into(), 0) as u32
            });
        }
        put(&mut self.w[usize::from(d)], &out, exec);
    }
}
