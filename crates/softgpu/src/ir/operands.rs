//! Which registers an instruction reads and writes: one place for liveness, allocation and tracking.

use super::{BarRed, File, Op, R, Role, VoteMode, file_of};

impl Op {
    /// Calls `f` with every register operand, reads before writes.
    pub fn visit(&mut self, f: &mut dyn FnMut(&mut R, File, Role)) {
        use File::{D, P, W};
        use Role::{Read, Write};
        match self {
            Op::Mov32 { d, a } | Op::MovMatrix { d, a } => {
                f(a, W, Read);
                f(d, W, Write);
            }
            Op::Add32 { d, a, b }
            | Op::Mul32 { d, a, b }
            | Op::And32 { d, a, b }
            | Op::Shl32 { d, a, b }
            | Op::AddF32 { d, a, b }
            | Op::SubF32 { d, a, b }
            | Op::MulF32 { d, a, b }
            | Op::Pack16 { d, a, b }
            | Op::CvtPack { d, a, b, .. } => {
                f(a, W, Read);
                f(b, W, Read);
                f(d, W, Write);
            }
            Op::Mad32 { d, a, b, c }
            | Op::FmaF32 { d, a, b, c }
            | Op::Int32 { d, a, b, c, .. }
            | Op::F32 { d, a, b, c, .. }
            | Op::Half { d, a, b, c, .. } => {
                f(a, W, Read);
                f(b, W, Read);
                f(c, W, Read);
                f(d, W, Write);
            }
            Op::Bfi32 { d, a, b, c, e } => {
                for r in [a, b, c, e] {
                    f(r, W, Read);
                }
                f(d, W, Write);
            }
            Op::Mov64 { d, a } => {
                f(a, D, Read);
                f(d, D, Write);
            }
            Op::Add64 { d, a, b } => {
                f(a, D, Read);
                f(b, D, Read);
                f(d, D, Write);
            }
            Op::Int64 { d, a, b, c, .. } | Op::F64 { d, a, b, c, .. } => {
                f(a, D, Read);
                f(b, D, Read);
                f(c, D, Read);
                f(d, D, Write);
            }
            Op::Shift64 { d, a, b, .. } => {
                f(a, D, Read);
                f(b, W, Read);
                f(d, D, Write);
            }
            Op::Bfi64 { d, a, b, c, e } => {
                f(a, D, Read);
                f(b, D, Read);
                f(c, W, Read);
                f(e, W, Read);
                f(d, D, Write);
            }
            Op::Bfe64 { d, a, b, c, .. } => {
                f(a, D, Read);
                f(b, W, Read);
                f(c, W, Read);
                f(d, D, Write);
            }
            Op::Count64 { d, a, .. } => {
                f(a, D, Read);
                f(d, W, Write);
            }
            Op::MulWide { d, a, b, .. } => {
                f(a, W, Read);
                f(b, W, Read);
                f(d, D, Write);
            }
            Op::MadWide { d, a, b, c, .. } => {
                f(a, W, Read);
                f(b, W, Read);
                f(c, D, Read);
                f(d, D, Write);
            }
            Op::Pack64 { d, a, b } => {
                f(a, W, Read);
                f(b, W, Read);
                f(d, D, Write);
            }
            Op::Unpack64 { d, e, a } => {
                f(a, D, Read);
                f(d, W, Write);
                f(e, W, Write);
            }
            Op::Unpack16 { d, e, a } => {
                f(a, W, Read);
                f(d, W, Write);
                f(e, W, Write);
            }
            Op::Cvt { cvt, d, a } => {
                f(a, file_of(cvt.from), Read);
                f(d, file_of(cvt.to), Write);
            }
            Op::Setp { ty, d, a, b, .. } => {
                f(a, file_of(*ty), Read);
                f(b, file_of(*ty), Read);
                f(d, P, Write);
            }
            Op::Testp { wide, d, a, .. } => {
                f(a, if *wide { D } else { W }, Read);
                f(d, P, Write);
            }
            Op::Sel32 { d, a, b, p } => {
                f(p, P, Read);
                f(a, W, Read);
                f(b, W, Read);
                f(d, W, Write);
            }
            Op::Sel64 { d, a, b, p } => {
                f(p, P, Read);
                f(a, D, Read);
                f(b, D, Read);
                f(d, D, Write);
            }
            Op::Pred { d, a, b, .. } => {
                f(a, P, Read);
                f(b, P, Read);
                f(d, P, Write);
            }
            Op::Ld(m) => {
                f(&mut m.address, m.address_file, Read);
                for r in &mut m.regs {
                    f(r, m.file, Write);
                }
            }
            Op::St(m) => {
                f(&mut m.address, m.address_file, Read);
                for r in &mut m.regs {
                    f(r, m.file, Read);
                }
            }
            Op::Atom(m) => {
                f(&mut m.address, m.address_file, Read);
                f(&mut m.a, m.file, Read);
                f(&mut m.b, m.file, Read);
                if let Some(d) = &mut m.d {
                    f(d, m.file, Write);
                }
            }
            Op::Shfl(m) => {
                for r in [&mut m.a, &mut m.b, &mut m.c, &mut m.mask] {
                    f(r, W, Read);
                }
                f(&mut m.d, W, Write);
                if let Some(p) = &mut m.p {
                    f(p, P, Write);
                }
            }
            Op::Vote { mode, d, p, mask, .. } => {
                f(p, P, Read);
                f(mask, W, Read);
                f(d, if *mode == VoteMode::Ballot { W } else { P }, Write);
            }
            Op::Match { wide, d, p, a, mask, .. } => {
                f(a, if *wide { D } else { W }, Read);
                f(mask, W, Read);
                f(d, W, Write);
                f(p, P, Write);
            }
            Op::Redux { d, a, mask, .. } => {
                f(a, W, Read);
                f(mask, W, Read);
                f(d, W, Write);
            }
            Op::ActiveMask { d } => f(d, W, Write),
            Op::Clock { d, wide } => f(d, if *wide { D } else { W }, Write),
            Op::Bar(m) => {
                f(&mut m.id, W, Read);
                if let Some(c) = &mut m.count {
                    f(c, W, Read);
                }
                if let Some((op, d, p)) = &mut m.red {
                    f(p, P, Read);
                    f(d, if *op == BarRed::Popc { W } else { P }, Write);
                }
            }
            Op::WarpBar { mask } => f(mask, W, Read),
            Op::CpAsync(m) => {
                f(&mut m.to, m.to_file, Read);
                f(&mut m.from, D, Read);
                if let Some(r) = &mut m.source_bytes {
                    f(r, W, Read);
                }
                if let Some(r) = &mut m.ignore {
                    f(r, P, Read);
                }
            }
            Op::LdMatrix(m) => {
                f(&mut m.address, m.address_file, Read);
                for r in &mut m.regs {
                    f(r, W, Write);
                }
            }
            Op::Mma(m) => {
                for r in m.a.iter_mut().chain(&mut m.b).chain(&mut m.c) {
                    f(r, W, Read);
                }
                for r in &mut m.d {
                    f(r, W, Write);
                }
            }
            Op::IsSpace { d, a, .. } => {
                f(a, D, Read);
                f(d, P, Write);
            }
            Op::BraIf { p, .. } => f(p, P, Read),
            Op::Call(_)
            | Op::Fence { .. }
            | Op::CpCommit
            | Op::CpWait { .. }
            | Op::Bra { .. }
            | Op::Join
            | Op::Exit
            | Op::Trap
            | Op::Track(_) => {}
        }
    }
}
