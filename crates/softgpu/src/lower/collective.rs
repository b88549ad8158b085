//! Shuffles, votes, barriers and fences.

use super::{Ins, Lower};
use crate::ir::*;
use crate::load_error::LoadError;
use crate::ptx::ast::{Operand, Ty, syntax};

impl Lower<'_> {
    pub(super) fn shfl(&mut self, ins: &mut Ins) -> Result<(), LoadError> {
        let sync = ins.has("sync");
        let modes = [
            ("up", ShflMode::Up),
            ("down", ShflMode::Down),
            ("bfly", ShflMode::Bfly),
            ("idx", ShflMode::Idx),
        ];
        let mode = ins.any(&modes);
        let (Some(mode), true, true) = (mode, sync, ins.has("b32")) else {
            return ins.refuse("this shuffle");
        };
        ins.count(5)?;
        let (d, p) = match &ins.operands[0] {
            Operand::Pair(d, p) => {
                (self.target(ins, d, Ty::B32)?, Some(self.target(ins, p, Ty::Pred)?))
            }
            d => (self.target(ins, d, Ty::B32)?, None),
        };
        let (a, b) = (self.source(ins, 1, Ty::B32)?, self.source(ins, 2, Ty::U32)?);
        let (c, mask) = (self.source(ins, 3, Ty::U32)?, self.source(ins, 4, Ty::U32)?);
        self.emit(Op::Shfl(Box::new(Shfl { mode, d, p, a, b, c, mask })));
        Ok(())
    }

    pub(super) fn vote(&mut self, ins: &mut Ins) -> Result<(), LoadError> {
        let sync = ins.has("sync");
        let modes = [
            ("all", VoteMode::All),
            ("any", VoteMode::Any),
            ("uni", VoteMode::Uni),
            ("ballot", VoteMode::Ballot),
        ];
        let (Some(mode), true) = (ins.any(&modes), sync) else {
            return ins.refuse("this vote");
        };
        let ty = ins.ty()?;
        ins.count(3)?;
        if ty.size() != if mode == VoteMode::Ballot { 4 } else { 1 } {
            return ins.refuse("this type");
        }
        let d = self.destination(ins, 0, ty)?;
        let (p, negate) = self.predicate(ins, &ins.operands[1])?;
        let mask = self.source(ins, 2, Ty::U32)?;
        self.emit(Op::Vote { mode, d, p, negate, mask });
        Ok(())
    }

    pub(super) fn matches(&mut self, ins: &mut Ins) -> Result<(), LoadError> {
        let (any, all, sync) = (ins.has("any"), ins.has("all"), ins.has("sync"));
        let ty = ins.ty()?;
        if !sync || any == all {
            return ins.refuse("this form");
        }
        ins.count(3)?;
        let (d, p) = match &ins.operands[0] {
            Operand::Pair(d, p) => (self.target(ins, d, Ty::B32)?, self.target(ins, p, Ty::Pred)?),
            d => (self.target(ins, d, Ty::B32)?, self.fresh(File::P)),
        };
        let (a, mask) = (self.source(ins, 1, ty)?, self.source(ins, 2, Ty::U32)?);
        self.emit(Op::Match { all, wide: ty.size() == 8, d, p, a, mask });
        Ok(())
    }

    pub(super) fn redux(&mut self, ins: &mut Ins) -> Result<(), LoadError> {
        let ops = [
            ("add", AtomOp::Add),
            ("min", AtomOp::Min),
            ("max", AtomOp::Max),
            ("and", AtomOp::And),
            ("or", AtomOp::Or),
            ("xor", AtomOp::Xor),
        ];
        let (true, Some(op)) = (ins.has("sync"), ins.any(&ops)) else {
            return ins.refuse("this form");
        };
        let ty = ins.ty()?;
        ins.count(3)?;
        if !matches!(ty, Ty::U32 | Ty::S32 | Ty::B32) {
            return ins.refuse("this type");
        }
        let (d, a) = (self.destination(ins, 0, ty)?, self.source(ins, 1, ty)?);
        let mask = self.source(ins, 2, Ty::U32)?;
        self.emit(Op::Redux { op, signed: ty.signed(), d, a, mask });
        Ok(())
    }

    pub(super) fn activemask(&mut self, ins: &mut Ins) -> Result<(), LoadError> {
        ins.has("b32");
        ins.count(1)?;
        let d = self.destination(ins, 0, Ty::B32)?;
        self.emit(Op::ActiveMask { d });
        Ok(())
    }

    pub(super) fn bar(&mut self, ins: &mut Ins) -> Result<(), LoadError> {
        if ins.has("warp") {
            ins.has("sync");
            ins.count(1)?;
            let mask = self.source(ins, 0, Ty::U32)?;
            self.emit(Op::WarpBar { mask });
            return Ok(());
        }
        ins.ignore(&["cta", "aligned"]);
        if ins.has("red") {
            return self.bar_red(ins);
        }
        let arrive = ins.has("arrive");
        if !arrive && !ins.has("sync") {
            return ins.refuse("this form");
        }
        ins.done()?;
        if ins.operands.is_empty() || ins.operands.len() > 2 || arrive && ins.operands.len() == 1 {
            return syntax(ins.line, format!("{}: wrong number of operands", ins.opcode));
        }
        let id = self.source(ins, 0, Ty::U32)?;
        let count =
            if ins.operands.len() == 2 { Some(self.source(ins, 1, Ty::U32)?) } else { None };
        let bar = Bar { id, count, waits: !arrive, red: None, p: None, d: None };
        self.emit(Op::Bar(Box::new(bar)));
        Ok(())
    }

    fn bar_red(&mut self, ins: &mut Ins) -> Result<(), LoadError> {
        let ops = [("popc", BarRed::Popc), ("and", BarRed::And), ("or", BarRed::Or)];
        let Some(op) = ins.any(&ops) else {
            return ins.refuse("this reduction");
        };
        let ty = ins.ty()?;
        ins.done()?;
        let n = ins.operands.len();
        if !(3..=4).contains(&n) || (op == BarRed::Popc) != (ty == Ty::U32) {
            return syntax(ins.line, format!("{}: wrong operands", ins.opcode));
        }
        let d = self.destination(ins, 0, ty)?;
        let id = self.source(ins, 1, Ty::U32)?;
        let count = if n == 4 { Some(self.source(ins, 2, Ty::U32)?) } else { None };
        let (mut p, negated) = self.predicate(ins, &ins.operands[n - 1])?;
        if negated {
            let not = self.fresh(File::P);
            self.emit(Op::Pred { op: PredOp::Not, d: not, a: p, b: p });
            p = not;
        }
        let bar = Bar { id, count, waits: true, red: Some(op), p: Some(p), d: Some(d) };
        self.emit(Op::Bar(Box::new(bar)));
        Ok(())
    }

    pub(super) fn fence(&mut self, ins: &mut Ins) -> Result<(), LoadError> {
        let of_block = ins.has("cta");
        ins.ignore(&["gl", "sys", "gpu", "cluster", "sc", "acq_rel", "acquire", "release"]);
        ins.count(0)?;
        self.emit(Op::Fence { of_block });
        Ok(())
    }
}
