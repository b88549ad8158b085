//! Which instructions may meet values that nothing defined, so that only those pay for the check.
//!
//! A register is suspect when some path from the start reads it before a write, or when it is computed from
//! a suspect one. Undefined values may be computed with (compilers do so in lanes they discard); they may
//! not decide a branch, form an address, or be stored.

use crate::ir::*;
use std::collections::HashMap;

pub(super) struct Tracks {
    /// Pseudo-instructions to put before an instruction.
    pub before: HashMap<usize, Vec<Inst>>,
    pub count: usize,
}

pub(super) fn tracks(code: &mut [Inst], roots: &[R], registers: usize) -> Tracks {
    let mut tracks = Tracks { before: HashMap::new(), count: 0 };
    if roots.is_empty() {
        return tracks;
    }
    let mut suspect = vec![false; registers];
    roots.iter().for_each(|r| suspect[usize::from(*r)] = true);
    let mut changed = true;
    while changed {
        changed = false;
        for inst in code.iter_mut() {
            if matches!(inst.op, Op::Ld(_) | Op::Atom(_)) {
                continue;
            }
            let mut any = false;
            inst.op.visit(&mut |r, _, role| match role {
                Role::Read => any |= suspect[usize::from(*r)],
                Role::Write if any && !suspect[usize::from(*r)] => {
                    suspect[usize::from(*r)] = true;
                    changed = true;
                }
                Role::Write => {}
            });
        }
    }
    let mut index = HashMap::new();
    for (r, _) in suspect.iter().enumerate().filter(|s| *s.1) {
        index.insert(r as R, index.len().min(usize::from(u16::MAX)) as u16);
    }
    tracks.count = index.len();
    for (i, inst) in code.iter_mut().enumerate() {
        let mut list = Vec::new();
        if let Some(guard) = index.get(&inst.guard).filter(|_| inst.guard != ALWAYS) {
            let track = Track { reads: vec![*guard], consumes: true, ..Track::default() };
            list.push(Inst { op: Op::Track(Box::new(track)), guard: ALWAYS, ..inst.clone() });
        }
        let mut track = Track::default();
        inst.op.visit(&mut |r, _, role| {
            if let Some(t) = index.get(r) {
                match role {
                    Role::Read => track.reads.push(*t),
                    Role::Write => track.defines.push(*t),
                }
            }
        });
        track.fresh = matches!(inst.op, Op::Ld(_) | Op::Atom(_));
        track.consumes = matches!(
            inst.op,
            Op::Ld(_)
                | Op::St(_)
                | Op::Atom(_)
                | Op::BraIf { .. }
                | Op::CpAsync(_)
                | Op::LdMatrix(_)
                | Op::Bar(_)
                | Op::WarpBar { .. }
        );
        if !track.reads.is_empty() || !track.defines.is_empty() {
            list.push(Inst { op: Op::Track(Box::new(track)), ..inst.clone() });
        }
        if !list.is_empty() {
            tracks.before.insert(i, list);
        }
    }
    tracks
}
