//! Moves, conversions, comparisons and selections.

use super::alu::{ROUNDS, is_float};
use super::{Ins, LOCAL_BASE, Lower, PARAM_BASE, SHARED_BASE};
use crate::ir::*;
use crate::load_error::LoadError;
use crate::ptx::ast::{Operand, Space, Ty, syntax};

const CMPS: [(&str, Cmp); 14] = [
    ("eq", Cmp::Eq),
    ("ne", Cmp::Ne),
    ("lt", Cmp::Lt),
    ("le", Cmp::Le),
    ("gt", Cmp::Gt),
    ("ge", Cmp::Ge),
    ("equ", Cmp::Equ),
    ("neu", Cmp::Neu),
    ("ltu", Cmp::Ltu),
    ("leu", Cmp::Leu),
    ("gtu", Cmp::Gtu),
    ("geu", Cmp::Geu),
    ("num", Cmp::Num),
    ("nan", Cmp::Nan),
];
/// Comparisons that are unsigned whatever the type says.
const UNSIGNED: [(&str, Cmp); 4] =
    [("lo", Cmp::Lt), ("ls", Cmp::Le), ("hi", Cmp::Gt), ("hs", Cmp::Ge)];

impl Lower<'_> {
    pub(super) fn mov(&mut self, ins: &mut Ins) -> Result<(), LoadError> {
        let ty = ins.ty()?;
        ins.count(2)?;
        match (&ins.operands[0], &ins.operands[1]) {
            (Operand::Vector(parts), _) => self.unpack(ins, ty, parts),
            (_, Operand::Vector(parts)) => self.pack(ins, ty, parts),
            _ => {
                let d = self.destination(ins, 0, ty)?;
                let a = self.source(ins, 1, ty)?;
                self.emit(match file_of(ty) {
                    File::W => Op::Mov32 { d, a },
                    File::D => Op::Mov64 { d, a },
                    File::P => Op::Pred { op: PredOp::Mov, d, a, b: a },
                });
                Ok(())
            }
        }
    }

    fn pack(&mut self, ins: &Ins, ty: Ty, parts: &[Operand]) -> Result<(), LoadError> {
        let d = self.destination(ins, 0, ty)?;
        match (ty.size(), parts.len()) {
            (4, 2) => {
                let (a, b) =
                    (self.value(ins, &parts[0], Ty::B16)?, self.value(ins, &parts[1], Ty::B16)?);
                self.emit(Op::Pack16 { d, a, b });
            }
            (8, 2) => {
                let (a, b) =
                    (self.value(ins, &parts[0], Ty::B32)?, self.value(ins, &parts[1], Ty::B32)?);
                self.emit(Op::Pack64 { d, a, b });
            }
            (8, 4) => {
                let mut halves = [0; 2];
                for (i, half) in halves.iter_mut().enumerate() {
                    let a = self.value(ins, &parts[2 * i], Ty::B16)?;
                    let b = self.value(ins, &parts[2 * i + 1], Ty::B16)?;
                    *half = self.fresh(File::W);
                    self.emit(Op::Pack16 { d: *half, a, b });
                }
                self.emit(Op::Pack64 { d, a: halves[0], b: halves[1] });
            }
            _ => return ins.refuse("this packing"),
        }
        Ok(())
    }

    fn unpack(&mut self, ins: &Ins, ty: Ty, parts: &[Operand]) -> Result<(), LoadError> {
        let a = self.source(ins, 1, ty)?;
        match (ty.size(), parts.len()) {
            (4, 2) => {
                let (d, e) =
                    (self.target(ins, &parts[0], Ty::B16)?, self.target(ins, &parts[1], Ty::B16)?);
                self.emit(Op::Unpack16 { d, e, a });
            }
            (8, 2) => {
                let (d, e) =
                    (self.target(ins, &parts[0], Ty::B32)?, self.target(ins, &parts[1], Ty::B32)?);
                self.emit(Op::Unpack64 { d, e, a });
            }
            (8, 4) => {
                let halves = [self.fresh(File::W), self.fresh(File::W)];
                self.emit(Op::Unpack64 { d: halves[0], e: halves[1], a });
                for (i, half) in halves.into_iter().enumerate() {
                    let d = self.target(ins, &parts[2 * i], Ty::B16)?;
                    let e = self.target(ins, &parts[2 * i + 1], Ty::B16)?;
                    self.emit(Op::Unpack16 { d, e, a: half });
                }
            }
            _ => return ins.refuse("this unpacking"),
        }
        Ok(())
    }

    pub(super) fn cvt(&mut self, ins: &mut Ins) -> Result<(), LoadError> {
        let integral =
            [("rni", Round::Near), ("rzi", Round::Zero), ("rmi", Round::Down), ("rpi", Round::Up)];
        let whole = ins.any(&integral);
        let round = ins.any(&ROUNDS);
        let away = ins.has("rna");
        let (relu, ftz, sat) = (ins.has("relu"), ins.has("ftz"), ins.has("sat"));
        let (to, from) = (ins.ty()?, ins.ty()?);
        if matches!(to, Ty::F16x2 | Ty::Bf16x2) {
            let Some(round) =
                round.filter(|r| from == Ty::F32 && matches!(r, Round::Near | Round::Zero))
            else {
                return ins.refuse("this conversion to a pair");
            };
            ins.count(3)?;
            if ftz || sat {
                return ins.refuse("this conversion to a pair");
            }
            let d = self.destination(ins, 0, to)?;
            let (a, b) = (self.source(ins, 1, from)?, self.source(ins, 2, from)?);
            self.emit(Op::CvtPack { bf16: to == Ty::Bf16x2, round, relu, d, a, b });
            return Ok(());
        }
        ins.count(2)?;
        let pairs = |t: Ty| matches!(t, Ty::F16x2 | Ty::Bf16x2 | Ty::Pred);
        let bits = |t: Ty| matches!(t, Ty::B8 | Ty::B16 | Ty::B32 | Ty::B64);
        if pairs(to) || pairs(from) || bits(to) || bits(from) || from == Ty::Tf32 {
            return ins.refuse("this conversion");
        }
        let float = |t: Ty| is_float(t) || t == Ty::Tf32;
        let known = match (to, from) {
            (Ty::Tf32, Ty::F32) => away || round == Some(Round::Near),
            (Ty::Tf32, _) => false,
            // Narrowing needs a rounding, widening has none.
            _ if float(to) && float(from) => {
                !away && (whole.is_some() || round.is_some() || to.size() >= from.size())
            }
            _ if float(to) => round.is_some() && !away,
            _ if float(from) => whole.is_some() && !away,
            _ => whole.is_none() && round.is_none() && !away,
        };
        if !known || relu && !(to.size() == 2 && from == Ty::F32) {
            return ins.refuse("this conversion");
        }
        let d = self.destination(ins, 0, to)?;
        let a = self.narrowed(ins, from)?;
        let round = whole.or(round).unwrap_or_default();
        let cvt =
            Box::new(Cvt { to, from, round, away, integral: whole.is_some(), ftz, sat, relu });
        self.emit(Op::Cvt { cvt, d, a });
        Ok(())
    }

    /// The source of an integer conversion, whose register may be wider than the type: the low bits count.
    fn narrowed(&mut self, ins: &Ins, from: Ty) -> Result<R, LoadError> {
        let integer = !is_float(from) && file_of(from) == File::W;
        if let Some(operand @ Operand::Reg(_)) = ins.operands.get(1)
            && integer
            && self.any_register(ins, operand)?.1 == File::D
        {
            let wide = self.source(ins, 1, Ty::B64)?;
            let (low, high) = (self.fresh(File::W), self.fresh(File::W));
            self.emit(Op::Unpack64 { d: low, e: high, a: wide });
            return Ok(low);
        }
        self.source(ins, 1, from)
    }

    pub(super) fn space(&self, ins: &mut Ins) -> Option<Space> {
        let spaces = [
            ("global", Space::Global),
            ("shared", Space::Shared),
            ("shared::cta", Space::Shared),
            ("local", Space::Local),
            ("const", Space::Const),
            ("param", Space::Param),
            ("param::entry", Space::Param),
        ];
        ins.any(&spaces)
    }

    pub(super) fn cvta(&mut self, ins: &mut Ins) -> Result<(), LoadError> {
        let to = ins.has("to");
        let space = self.space(ins);
        let ty = ins.ty()?;
        ins.count(2)?;
        if ty.size() != 8 {
            return ins.refuse("32-bit generic addresses");
        }
        let base = match space {
            Some(Space::Shared) => SHARED_BASE,
            Some(Space::Local) => LOCAL_BASE,
            Some(Space::Param) => PARAM_BASE,
            Some(_) => 0,
            None => return ins.refuse("no state space"),
        };
        let d = self.destination(ins, 0, ty)?;
        let a = self.source(ins, 1, ty)?;
        if base == 0 {
            self.emit(Op::Mov64 { d, a });
        } else {
            let b = self.constant64(if to { base.wrapping_neg() } else { base });
            self.emit(Op::Add64 { d, a, b });
        }
        Ok(())
    }

    pub(super) fn isspacep(&mut self, ins: &mut Ins) -> Result<(), LoadError> {
        let Some(space) = self.space(ins) else {
            return ins.refuse("this state space");
        };
        ins.count(2)?;
        let (d, a) = (self.destination(ins, 0, Ty::Pred)?, self.source(ins, 1, Ty::B64)?);
        self.emit(Op::IsSpace { space, d, a });
        Ok(())
    }

    /// Comparison, and the type that it is made in after narrow operands were extended.
    fn comparison(&mut self, ins: &mut Ins) -> Result<(Cmp, bool), LoadError> {
        if let Some(cmp) = ins.any(&CMPS) {
            return Ok((cmp, false));
        }
        match ins.any(&UNSIGNED) {
            Some(cmp) => Ok((cmp, true)),
            None => ins.refuse("no comparison of the subset"),
        }
    }

    /// Emits the comparison of operands `at` and `at + 1` into a new predicate.
    fn compare(
        &mut self,
        ins: &Ins,
        at: usize,
        ty: Ty,
        cmp: Cmp,
        ftz: bool,
    ) -> Result<R, LoadError> {
        let (mut a, mut b) = (self.source(ins, at, ty)?, self.source(ins, at + 1, ty)?);
        let ty = match ty {
            Ty::S16 => {
                (a, b) = (self.int32(IntOp::Sext16, a), self.int32(IntOp::Sext16, b));
                Ty::S32
            }
            Ty::B16 | Ty::U16 | Ty::B32 | Ty::U32 => Ty::U32,
            Ty::B64 | Ty::U64 => Ty::U64,
            Ty::S32 | Ty::S64 | Ty::F32 | Ty::F64 | Ty::F16 | Ty::Bf16 => ty,
            _ => return ins.refuse("comparison of this type"),
        };
        if !is_float(ty)
            && !matches!(cmp, Cmp::Eq | Cmp::Ne | Cmp::Lt | Cmp::Le | Cmp::Gt | Cmp::Ge)
        {
            return ins.refuse("an unordered comparison of integers");
        }
        let d = self.fresh(File::P);
        self.emit(Op::Setp { ty, cmp, ftz, d, a, b });
        Ok(d)
    }

    pub(super) fn setp(&mut self, ins: &mut Ins) -> Result<(), LoadError> {
        let (cmp, unsigned) = self.comparison(ins)?;
        let logic = ins.any(&[("and", PredOp::And), ("or", PredOp::Or), ("xor", PredOp::Xor)]);
        let ftz = ins.has("ftz");
        let mut ty = ins.ty()?;
        if unsigned {
            ty = if ty.size() == 8 { Ty::U64 } else { Ty::U32 };
        }
        ins.count(if logic.is_some() { 4 } else { 3 })?;
        let simple = matches!(ins.operands[0], Operand::Reg(_));
        let result = self.compare(ins, 1, ty, cmp, ftz)?;
        if simple && logic.is_none() {
            // The usual case needs no copy: the comparison writes the declared register.
            let target = self.destination(ins, 0, Ty::Pred)?;
            if let Some(Inst { op: Op::Setp { d, .. }, .. }) = self.code.last_mut() {
                *d = target;
            }
            return Ok(());
        }
        let (first, second) = match &ins.operands[0] {
            Operand::Pair(p, q) => (p.as_ref(), Some(q.as_ref())),
            other => (other, None),
        };
        let inverse = self.fresh(File::P);
        self.emit(Op::Pred { op: PredOp::Not, d: inverse, a: result, b: result });
        let with = match logic {
            None => None,
            Some(op) => {
                let (c, negated) = self.predicate(ins, &ins.operands[3])?;
                let value = self.fresh(File::P);
                let not = if negated { PredOp::Not } else { PredOp::Mov };
                self.emit(Op::Pred { op: not, d: value, a: c, b: c });
                Some((op, value))
            }
        };
        for (operand, value) in [(Some(first), result), (second, inverse)] {
            let Some(operand) = operand else { continue };
            let d = self.target(ins, operand, Ty::Pred)?;
            let (op, b) = with.unwrap_or((PredOp::Mov, value));
            self.emit(Op::Pred { op, d, a: value, b });
        }
        Ok(())
    }

    pub(super) fn set(&mut self, ins: &mut Ins) -> Result<(), LoadError> {
        let (cmp, unsigned) = self.comparison(ins)?;
        let ftz = ins.has("ftz");
        let (to, mut from) = (ins.ty()?, ins.ty()?);
        if unsigned {
            from = Ty::U32;
        }
        ins.count(3)?;
        let one = match to {
            Ty::F32 => 1f32.to_bits(),
            Ty::S32 | Ty::U32 => u32::MAX,
            _ => return ins.refuse("this result type"),
        };
        let p = self.compare(ins, 1, from, cmp, ftz)?;
        let (a, b) = (self.constant32(one), self.zero());
        let d = self.destination(ins, 0, to)?;
        self.emit(Op::Sel32 { d, a, b, p });
        Ok(())
    }

    pub(super) fn selp(&mut self, ins: &mut Ins) -> Result<(), LoadError> {
        let ty = ins.ty()?;
        ins.count(4)?;
        let (p, negated) = self.predicate(ins, &ins.operands[3])?;
        let d = self.destination(ins, 0, ty)?;
        let (mut a, mut b) = (self.source(ins, 1, ty)?, self.source(ins, 2, ty)?);
        if negated {
            std::mem::swap(&mut a, &mut b);
        }
        self.emit(match file_of(ty) {
            File::W => Op::Sel32 { d, a, b, p },
            File::D => Op::Sel64 { d, a, b, p },
            File::P => return ins.refuse("selection of predicates"),
        });
        Ok(())
    }

    /// slct d, a, b, c: a where c >= 0, else b.
    pub(super) fn slct(&mut self, ins: &mut Ins) -> Result<(), LoadError> {
        let ftz = ins.has("ftz");
        let (ty, by) = (ins.ty()?, ins.ty()?);
        ins.count(4)?;
        if !matches!(by, Ty::S32 | Ty::F32) {
            return ins.refuse("this selector");
        }
        let (c, z) = (self.source(ins, 3, by)?, self.zero());
        let p = self.fresh(File::P);
        self.emit(Op::Setp { ty: by, cmp: Cmp::Ge, ftz, d: p, a: c, b: z });
        let d = self.destination(ins, 0, ty)?;
        let (a, b) = (self.source(ins, 1, ty)?, self.source(ins, 2, ty)?);
        self.emit(match file_of(ty) {
            File::W => Op::Sel32 { d, a, b, p },
            File::D => Op::Sel64 { d, a, b, p },
            File::P => return ins.refuse("selection of predicates"),
        });
        Ok(())
    }

    pub(super) fn testp(&mut self, ins: &mut Ins) -> Result<(), LoadError> {
        let kinds = [
            ("finite", 0),
            ("infinite", 1),
            ("number", 2),
            ("notanumber", 3),
            ("normal", 4),
            ("subnormal", 5),
        ];
        let Some(what) = ins.any(&kinds) else {
            return syntax(ins.line, "testp names no property");
        };
        let ty = ins.ty()?;
        ins.count(2)?;
        if !matches!(ty, Ty::F32 | Ty::F64) {
            return ins.refuse("this type");
        }
        let (d, a) = (self.destination(ins, 0, Ty::Pred)?, self.source(ins, 1, ty)?);
        self.emit(Op::Testp { wide: ty == Ty::F64, what, d, a });
        Ok(())
    }
}
