//! Atomics on global and shared memory, lane after lane.

use super::float16::half_op;
use super::global::Global;
use super::lanes::each;
use super::memory::{base, window};
use super::shared::narrow;
use super::state::{Fatal, Warp, Worker};
use crate::check::global::GlobalShadow;
use crate::check::shadow::Touch;
use crate::ir::{Atom, AtomOp, FloatOp, Mode};
use crate::mem::Block;
use crate::mutants::{Mutant, on};
use crate::ptx::ast::{Space, Ty};
use crate::report::FindingKind;
use std::sync::atomic::Ordering::{AcqRel, Acquire};

/// New value of the word. `Add` on floats rounds once.
pub(super) fn combine(op: AtomOp, ty: Ty, old: u64, a: u64, b: u64) -> u64 {
    let half = |bf16, single| {
        u64::from(half_op(FloatOp::Add, bf16, single, Mode::default(), old as u32, a as u32, 0))
    };
    let signed = |v: u64| if ty == Ty::S32 { i64::from(v as i32) } else { v as i64 };
    match (op, ty) {
        (AtomOp::Add, Ty::F32) => {
            (f32::from_bits(old as u32) + f32::from_bits(a as u32)).to_bits().into()
        }
        (AtomOp::Add, Ty::F64) => (f64::from_bits(old) + f64::from_bits(a)).to_bits(),
        (AtomOp::Add, Ty::F16) => half(false, true),
        (AtomOp::Add, Ty::Bf16) => half(true, true),
        (AtomOp::Add, Ty::F16x2) => half(false, false),
        (AtomOp::Add, Ty::Bf16x2) => half(true, false),
        (AtomOp::Add, _) => old.wrapping_add(a),
        (AtomOp::Min, Ty::S32 | Ty::S64) => {
            if signed(a) < signed(old) {
                a
            } else {
                old
            }
        }
        (AtomOp::Max, _) if on(Mutant::AtomMax) => a.min(old),
        (AtomOp::Max, Ty::S32 | Ty::S64) => {
            if signed(a) > signed(old) {
                a
            } else {
                old
            }
        }
        (AtomOp::Min, _) => a.min(old),
        (AtomOp::Max, _) => a.max(old),
        (AtomOp::And, _) => old & a,
        (AtomOp::Or, _) => old | a,
        (AtomOp::Xor, _) => old ^ a,
        (AtomOp::Exch, _) => a,
        (AtomOp::Cas, _) => {
            if old == a {
                b
            } else {
                old
            }
        }
        (AtomOp::Inc, _) => {
            if old >= a + u64::from(on(Mutant::AtomInc)) {
                0
            } else {
                old + 1
            }
        }
        (AtomOp::Dec, _) => {
            if old == 0 || old > a {
                a
            } else {
                old - 1
            }
        }
    }
}

/// Applies `f` atomically and returns the old value; the range is inside and aligned.
fn update(block: &Block, offset: usize, width: u32, f: impl Fn(u64) -> u64) -> u64 {
    match width {
        2 => {
            let cell = block.data.u16_at(offset);
            let new = |v: u16| Some(f(v.into()) as u16);
            cell.fetch_update(AcqRel, Acquire, new).unwrap_or_else(|v| v).into()
        }
        4 => {
            let cell = block.data.u32_at(offset);
            let new = |v: u32| Some(f(v.into()) as u32);
            cell.fetch_update(AcqRel, Acquire, new).unwrap_or_else(|v| v).into()
        }
        _ => {
            let cell = block.data.u64_at(offset);
            cell.fetch_update(AcqRel, Acquire, |v| Some(f(v))).unwrap_or_else(|v| v)
        }
    }
}

impl Worker<'_> {
    #[inline(never)]
    pub fn atomic<const CHECK: bool, const COUNT: bool>(
        &mut self,
        warp: &mut Warp,
        pc: usize,
        m: &Atom,
        exec: u32,
    ) -> Result<(), Fatal> {
        let launch = self.launch;
        let a = warp.addresses(m.address, m.address_file, m.offset);
        let width = m.ty.size();
        let bytes = u64::from(width);
        for l in each(exec) {
            let space = if m.space == Space::Generic { window(a[l]) } else { m.space };
            let at = if m.space == Space::Generic { a[l].wrapping_sub(base(space)) } else { a[l] };
            if at % bytes != 0 {
                return Err(self.misaligned(warp, pc, l, at, bytes));
            }
            let (x, y) = (warp.get(m.a, m.file, l), warp.get(m.b, m.file, l));
            let change = |old: u64| combine(m.op, m.ty, old, x, y);
            let old = match space {
                Space::Shared => {
                    let lanes = narrow(&[at; 32]);
                    self.check_shared(warp, pc, &lanes, 1 << l, width)?;
                    if CHECK {
                        self.observe::<CHECK, false>(
                            warp,
                            pc,
                            m.id,
                            &lanes,
                            1 << l,
                            width,
                            Touch::Atomic,
                        )?;
                    }
                    let old = self.shared_value(lanes[0], width);
                    self.set_shared(lanes[0], width, change(old));
                    old
                }
                Space::Global => {
                    let (index, block, offset) = self.allocation(warp, pc, m.id, l, at, bytes)?;
                    if block.read_only {
                        let message = format!("an atomic on constant memory at {at:#x}");
                        return Err(self.fatal(warp, pc, l, FindingKind::OutOfBounds, message));
                    }
                    let all_written = || block.valid.all(offset, width as usize);
                    if CHECK && m.op != AtomOp::Exch && !all_written() {
                        self.unwritten::<Global>(warp, pc, l, at, width)?;
                    }
                    if COUNT {
                        self.touched.mark(index, block.data.len(), offset, width as usize, true);
                    }
                    block.valid.set(offset, width as usize);
                    let shadow = launch.global_shadow.as_ref();
                    if let Some(shadow) = shadow.filter(|_| self.unfenced == 0) {
                        shadow.hand_on(self.linear, shadow.tick());
                    }
                    let old = update(block, offset, width, change);
                    self.drawn = shadow.map_or(0, GlobalShadow::tick);
                    old
                }
                _ => return Err(self.outside(warp, pc, l, "atomic-free", at, bytes, 0)),
            };
            if let Some(d) = m.d {
                match m.file {
                    crate::ir::File::W => warp.w[usize::from(d)][l] = old as u32,
                    _ => warp.d[usize::from(d)][l] = old,
                }
            }
        }
        if COUNT {
            let mut seen: Vec<u64> = each(exec).map(|l| a[l]).collect();
            seen.sort_unstable();
            seen.dedup();
            self.stats[pc].cost += u64::from(exec.count_ones()) - seen.len() as u64;
        }
        Ok(())
    }
}
