//! Integer and float arithmetic, logic, comparison and selection.

use super::{Ins, Lower};
use crate::ir::*;
use crate::load_error::LoadError;
use crate::ptx::ast::{Operand, Ty, syntax};

/// The unsigned or signed operation by the type.
fn pick(ty: Ty, signed: IntOp, unsigned: IntOp) -> IntOp {
    if ty.signed() { signed } else { unsigned }
}

fn narrow(ty: Ty) -> bool {
    ty.size() == 2
}

pub(super) fn is_float(ty: Ty) -> bool {
    matches!(ty, Ty::F16 | Ty::F16x2 | Ty::Bf16 | Ty::Bf16x2 | Ty::F32 | Ty::F64)
}

pub(super) const ROUNDS: [(&str, Round); 4] =
    [("rn", Round::Near), ("rz", Round::Zero), ("rm", Round::Down), ("rp", Round::Up)];

impl Lower<'_> {
    /// Everything that is not memory, control or a special case.
    pub(super) fn arithmetic(&mut self, ins: &mut Ins) -> Result<(), LoadError> {
        match ins.base {
            "prmt" => return self.prmt(ins),
            "lop3" => return self.lop3(ins),
            "shf" => return self.shf(ins),
            "bmsk" => return self.bmsk(ins),
            "dp4a" => return self.dp4a(ins),
            "szext" | "bfind" | "popc" | "clz" | "brev" | "bfe" | "bfi" => return self.bits(ins),
            "mul24" | "mad24" => return self.mul24(ins),
            _ => {}
        }
        let known = [
            "add", "sub", "mul", "mad", "fma", "div", "rem", "min", "max", "abs", "neg", "and",
            "or", "xor", "not", "cnot", "shl", "shr", "sad", "rcp", "sqrt", "rsqrt", "ex2", "lg2",
            "sin", "cos", "tanh", "copysign",
        ];
        if !known.contains(&ins.base) {
            return ins.refuse("unknown opcode");
        }
        let ty = ins.ty()?;
        match ty {
            Ty::Pred => self.logic(ins),
            _ if is_float(ty) => self.float(ins, ty),
            _ if ty.size() == 8 => self.integer64(ins, ty),
            _ => self.integer32(ins, ty),
        }
    }

    fn logic(&mut self, ins: &mut Ins) -> Result<(), LoadError> {
        let op = match ins.base {
            "and" => PredOp::And,
            "or" => PredOp::Or,
            "xor" => PredOp::Xor,
            "not" => PredOp::Not,
            _ => return ins.refuse("predicates"),
        };
        let unary = op == PredOp::Not;
        ins.count(if unary { 2 } else { 3 })?;
        let d = self.destination(ins, 0, Ty::Pred)?;
        let a = self.source(ins, 1, Ty::Pred)?;
        let b = if unary { a } else { self.source(ins, 2, Ty::Pred)? };
        self.emit(Op::Pred { op, d, a, b });
        Ok(())
    }

    /// A 16-bit operand extended to 32 bits; other widths as they are.
    fn extended(&mut self, ins: &Ins, index: usize, ty: Ty) -> Result<R, LoadError> {
        let r = self.source(ins, index, ty)?;
        if !narrow(ty) || !ty.signed() {
            return Ok(r);
        }
        Ok(self.int32(IntOp::Sext16, r))
    }

    /// One-operand integer operation into a new register.
    pub(super) fn int32(&mut self, op: IntOp, a: R) -> R {
        let (d, z) = (self.fresh(File::W), self.zero());
        self.emit(Op::Int32 { op, d, a, b: z, c: z });
        d
    }

    fn integer32(&mut self, ins: &mut Ins, ty: Ty) -> Result<(), LoadError> {
        if ty.size() == 1 {
            return ins.refuse("8-bit arithmetic");
        }
        let (wide, hi, lo, sat) = (ins.has("wide"), ins.has("hi"), ins.has("lo"), ins.has("sat"));
        let unary = matches!(ins.base, "abs" | "neg" | "not" | "cnot");
        let three = matches!(ins.base, "mad" | "sad");
        ins.count(if unary {
            2
        } else if three {
            4
        } else {
            3
        })?;
        let z = self.zero();
        let shift = matches!(ins.base, "shl" | "shr");
        // shr on .b types is unsigned; sign-extended inputs give the right bits for every other operation.
        let a = self.extended(ins, 1, ty)?;
        let b = match (unary, shift) {
            (true, _) => z,
            (_, true) => self.source(ins, 2, Ty::U32)?,
            _ => self.extended(ins, 2, ty)?,
        };
        if wide {
            return self.wide(ins, ty, a, b);
        }
        let c = if three {
            self.extended(ins, 3, if ins.base == "sad" { Ty::U32 } else { ty })?
        } else {
            z
        };
        if hi && narrow(ty) {
            return self.high16(ins, ty, a, b, c);
        }
        let target = self.destination(ins, 0, ty)?;
        let d = if narrow(ty) { self.fresh(File::W) } else { target };
        let int = |op| Op::Int32 { op, d, a, b, c };
        let op = match ins.base {
            "add" if sat => int(IntOp::AddSatS),
            "sub" if sat => int(IntOp::SubSatS),
            _ if sat => return ins.refuse("modifier .sat"),
            "add" => Op::Add32 { d, a, b },
            "sub" => int(IntOp::Sub),
            "mul" if hi => int(pick(ty, IntOp::MulHiS, IntOp::MulHiU)),
            "mul" if lo => Op::Mul32 { d, a, b },
            "mad" if hi => int(pick(ty, IntOp::MadHiS, IntOp::MadHiU)),
            "mad" if lo => Op::Mad32 { d, a, b, c },
            "div" => int(pick(ty, IntOp::DivS, IntOp::DivU)),
            "rem" => int(pick(ty, IntOp::RemS, IntOp::RemU)),
            "min" => int(pick(ty, IntOp::MinS, IntOp::MinU)),
            "max" => int(pick(ty, IntOp::MaxS, IntOp::MaxU)),
            "sad" => int(pick(ty, IntOp::SadS, IntOp::SadU)),
            "and" => Op::And32 { d, a, b },
            "or" => int(IntOp::Or),
            "xor" => int(IntOp::Xor),
            "not" => int(IntOp::Not),
            "cnot" => int(IntOp::Cnot),
            "neg" => int(IntOp::Neg),
            "abs" => int(IntOp::Abs),
            "shl" => Op::Shl32 { d, a, b },
            "shr" => int(pick(ty, IntOp::ShrS, IntOp::ShrU)),
            _ => return ins.refuse("this form on integers"),
        };
        if sat && ty != Ty::S32 {
            return ins.refuse("modifier .sat");
        }
        self.emit(op);
        if narrow(ty) {
            self.emit(Op::Int32 { op: IntOp::Zext16, d: target, a: d, b: z, c: z });
        }
        Ok(())
    }

    fn wide(&mut self, ins: &Ins, ty: Ty, a: R, b: R) -> Result<(), LoadError> {
        let signed = ty.signed();
        let mad = ins.base == "mad";
        if narrow(ty) {
            let d = self.destination(ins, 0, Ty::B32)?;
            let op = if mad {
                Op::Mad32 { d, a, b, c: self.source(ins, 3, Ty::B32)? }
            } else {
                Op::Mul32 { d, a, b }
            };
            self.emit(op);
            return Ok(());
        }
        let d = self.destination(ins, 0, Ty::B64)?;
        let op = match ins.base {
            "mul" => Op::MulWide { signed, d, a, b },
            "mad" => Op::MadWide { signed, d, a, b, c: self.source(ins, 3, Ty::B64)? },
            _ => return ins.refuse("modifier .wide"),
        };
        self.emit(op);
        Ok(())
    }

    /// The high half of a 16-bit product: shift the 32-bit one.
    fn high16(&mut self, ins: &Ins, ty: Ty, a: R, b: R, c: R) -> Result<(), LoadError> {
        let (product, high, sum) = (self.fresh(File::W), self.fresh(File::W), self.fresh(File::W));
        let (z, sixteen) = (self.zero(), self.constant32(16));
        self.emit(Op::Mul32 { d: product, a, b });
        let op = pick(ty, IntOp::ShrS, IntOp::ShrU);
        self.emit(Op::Int32 { op, d: high, a: product, b: sixteen, c: z });
        self.emit(Op::Add32 { d: sum, a: high, b: c });
        let d = self.destination(ins, 0, ty)?;
        self.emit(Op::Int32 { op: IntOp::Zext16, d, a: sum, b: z, c: z });
        Ok(())
    }

    fn integer64(&mut self, ins: &mut Ins, ty: Ty) -> Result<(), LoadError> {
        let (hi, lo) = (ins.has("hi"), ins.has("lo"));
        let unary = matches!(ins.base, "abs" | "neg" | "not" | "cnot");
        let three = matches!(ins.base, "mad" | "sad");
        ins.count(if unary {
            2
        } else if three {
            4
        } else {
            3
        })?;
        let d = self.destination(ins, 0, ty)?;
        let a = self.source(ins, 1, ty)?;
        if matches!(ins.base, "shl" | "shr") {
            let op = match (ins.base, ty.signed()) {
                ("shl", _) => Shift::Left,
                (_, true) => Shift::RightS,
                _ => Shift::RightU,
            };
            let b = self.source(ins, 2, Ty::U32)?;
            self.emit(Op::Shift64 { op, d, a, b });
            return Ok(());
        }
        let b = if unary { a } else { self.source(ins, 2, ty)? };
        let c = if three { self.source(ins, 3, ty)? } else { a };
        let op = match ins.base {
            "add" => {
                self.emit(Op::Add64 { d, a, b });
                return Ok(());
            }
            "sub" => IntOp::Sub,
            "mul" if hi => pick(ty, IntOp::MulHiS, IntOp::MulHiU),
            "mul" if lo => IntOp::Mul,
            "mad" if hi => pick(ty, IntOp::MadHiS, IntOp::MadHiU),
            "mad" if lo => IntOp::Mad,
            "div" => pick(ty, IntOp::DivS, IntOp::DivU),
            "rem" => pick(ty, IntOp::RemS, IntOp::RemU),
            "min" => pick(ty, IntOp::MinS, IntOp::MinU),
            "max" => pick(ty, IntOp::MaxS, IntOp::MaxU),
            "sad" => pick(ty, IntOp::SadS, IntOp::SadU),
            "and" => IntOp::And,
            "or" => IntOp::Or,
            "xor" => IntOp::Xor,
            "not" => IntOp::Not,
            "cnot" => IntOp::Cnot,
            "neg" => IntOp::Neg,
            "abs" => IntOp::Abs,
            _ => return ins.refuse("this form on 64-bit integers"),
        };
        self.emit(Op::Int64 { op, d, a, b, c });
        Ok(())
    }

    fn float(&mut self, ins: &mut Ins, ty: Ty) -> Result<(), LoadError> {
        let round = ins.any(&ROUNDS);
        let mode = Mode {
            round: round.unwrap_or_default(),
            ftz: ins.has("ftz"),
            sat: ins.has("sat"),
            relu: ins.has("relu"),
        };
        let (approx, full, nan) = (ins.has("approx"), ins.has("full"), ins.has("NaN"));
        let op = match ins.base {
            "add" => FloatOp::Add,
            "sub" => FloatOp::Sub,
            "mul" => FloatOp::Mul,
            "fma" | "mad" => FloatOp::Fma,
            "div" if approx => FloatOp::DivApprox,
            "div" => FloatOp::Div,
            "rcp" => FloatOp::Rcp,
            "sqrt" => FloatOp::Sqrt,
            "rsqrt" => FloatOp::Rsqrt,
            "ex2" => FloatOp::Ex2,
            "lg2" => FloatOp::Lg2,
            "sin" => FloatOp::Sin,
            "cos" => FloatOp::Cos,
            "tanh" => FloatOp::Tanh,
            "abs" => FloatOp::Abs,
            "neg" => FloatOp::Neg,
            "min" if nan => FloatOp::MinNan,
            "max" if nan => FloatOp::MaxNan,
            "min" => FloatOp::Min,
            "max" => FloatOp::Max,
            "copysign" => FloatOp::Copysign,
            _ => return ins.refuse("this form on floats"),
        };
        let division = matches!(op, FloatOp::Div | FloatOp::Rcp | FloatOp::Sqrt);
        if full && (op != FloatOp::Div || round.is_some()) || (approx && round.is_some()) {
            return ins.refuse("this mix of modifiers");
        }
        if division && !full && !approx && round.is_none() {
            return ins.refuse("a division without .rn, .approx or .full");
        }
        let leaf = matches!(
            op,
            FloatOp::Rsqrt
                | FloatOp::Ex2
                | FloatOp::Lg2
                | FloatOp::Sin
                | FloatOp::Cos
                | FloatOp::Tanh
        );
        let half = ty.size() == 2 || matches!(ty, Ty::F16x2 | Ty::Bf16x2);
        if leaf && !approx && !(half && op == FloatOp::Ex2) {
            return ins.refuse("a function without .approx");
        }
        let operands = match op {
            FloatOp::Fma => 4,
            FloatOp::Add | FloatOp::Sub | FloatOp::Mul | FloatOp::Div | FloatOp::DivApprox => 3,
            FloatOp::Min | FloatOp::Max | FloatOp::MinNan | FloatOp::MaxNan | FloatOp::Copysign => {
                3
            }
            _ => 2,
        };
        ins.count(operands)?;
        let d = self.destination(ins, 0, ty)?;
        let mut a = self.source(ins, 1, ty)?;
        let mut b = if operands > 2 { self.source(ins, 2, ty)? } else { a };
        let c = if operands > 3 { self.source(ins, 3, ty)? } else { a };
        if op == FloatOp::Copysign {
            // copysign d, a, b: magnitude of b, sign of a.
            std::mem::swap(&mut a, &mut b);
        }
        let rounds = mode.round != Round::Near;
        if half {
            if rounds || division && !matches!(op, FloatOp::Abs) || op == FloatOp::Copysign {
                return ins.refuse("this form on 16-bit floats");
            }
            let bf16 = matches!(ty, Ty::Bf16 | Ty::Bf16x2);
            self.emit(Op::Half { op, bf16, single: ty.size() == 2, mode, d, a, b, c });
            return Ok(());
        }
        if mode.relu {
            return ins.refuse("modifier .relu");
        }
        if ty == Ty::F64 {
            let loose = approx && !matches!(op, FloatOp::Rcp | FloatOp::Rsqrt);
            if rounds || mode.sat || loose || leaf && op != FloatOp::Rsqrt {
                return ins.refuse("this form on f64");
            }
            self.emit(Op::F64 { op, d, a, b, c });
            return Ok(());
        }
        let plain = mode == Mode::default();
        self.emit(match op {
            FloatOp::Add if plain => Op::AddF32 { d, a, b },
            FloatOp::Sub if plain => Op::SubF32 { d, a, b },
            FloatOp::Mul if plain => Op::MulF32 { d, a, b },
            FloatOp::Fma if plain => Op::FmaF32 { d, a, b, c },
            _ => Op::F32 { op, mode, d, a, b, c },
        });
        Ok(())
    }

    fn prmt(&mut self, ins: &mut Ins) -> Result<(), LoadError> {
        ins.has("b32");
        let modes = [("f4e", 1), ("b4e", 2), ("rc8", 3), ("ecl", 4), ("ecr", 5), ("rc16", 6)];
        let mode = ins.any(&modes).unwrap_or(0);
        ins.count(4)?;
        let d = self.destination(ins, 0, Ty::B32)?;
        let (a, b) = (self.source(ins, 1, Ty::B32)?, self.source(ins, 2, Ty::B32)?);
        let c = self.source(ins, 3, Ty::B32)?;
        self.emit(Op::Int32 { op: IntOp::Prmt(mode), d, a, b, c });
        Ok(())
    }

    fn lop3(&mut self, ins: &mut Ins) -> Result<(), LoadError> {
        ins.has("b32");
        ins.count(5)?;
        let Operand::Int(table) = ins.operands[4] else {
            return syntax(ins.line, "lop3 needs its table as a number");
        };
        let d = self.destination(ins, 0, Ty::B32)?;
        let (a, b) = (self.source(ins, 1, Ty::B32)?, self.source(ins, 2, Ty::B32)?);
        let c = self.source(ins, 3, Ty::B32)?;
        self.emit(Op::Int32 { op: IntOp::Lop3(table as u8), d, a, b, c });
        Ok(())
    }

    fn shf(&mut self, ins: &mut Ins) -> Result<(), LoadError> {
        ins.has("b32");
        let (left, wrap) = (ins.has("l"), ins.has("wrap"));
        if !left && !ins.has("r") || !wrap && !ins.has("clamp") {
            return ins.refuse("a funnel shift without direction or mode");
        }
        ins.count(4)?;
        let op = match (left, wrap) {
            (true, false) => IntOp::ShfLeft,
            (true, true) => IntOp::ShfLeftWrap,
            (false, false) => IntOp::ShfRight,
            (false, true) => IntOp::ShfRightWrap,
        };
        let d = self.destination(ins, 0, Ty::B32)?;
        let (a, b) = (self.source(ins, 1, Ty::B32)?, self.source(ins, 2, Ty::B32)?);
        let c = self.source(ins, 3, Ty::U32)?;
        self.emit(Op::Int32 { op, d, a, b, c });
        Ok(())
    }

    fn bmsk(&mut self, ins: &mut Ins) -> Result<(), LoadError> {
        ins.has("b32");
        let wrap = ins.has("wrap");
        ins.ignore(&["clamp"]);
        ins.count(3)?;
        let op = if wrap { IntOp::BmskWrap } else { IntOp::BmskClamp };
        let d = self.destination(ins, 0, Ty::B32)?;
        let (a, b) = (self.source(ins, 1, Ty::U32)?, self.source(ins, 2, Ty::U32)?);
        self.emit(Op::Int32 { op, d, a, b, c: a });
        Ok(())
    }

    fn dp4a(&mut self, ins: &mut Ins) -> Result<(), LoadError> {
        let (first, second) = (ins.ty()?, ins.ty()?);
        ins.count(4)?;
        let d = self.destination(ins, 0, Ty::B32)?;
        let (a, b) = (self.source(ins, 1, Ty::B32)?, self.source(ins, 2, Ty::B32)?);
        let c = self.source(ins, 3, Ty::B32)?;
        self.emit(Op::Int32 { op: IntOp::Dp4a(first.signed(), second.signed()), d, a, b, c });
        Ok(())
    }

    fn mul24(&mut self, ins: &mut Ins) -> Result<(), LoadError> {
        let ty = ins.ty()?;
        if ins.base != "mul24" || !ins.has("lo") {
            return ins.refuse("this 24-bit form");
        }
        ins.count(3)?;
        let d = self.destination(ins, 0, ty)?;
        let (a, b) = (self.source(ins, 1, ty)?, self.source(ins, 2, ty)?);
        self.emit(Op::Int32 { op: pick(ty, IntOp::Mul24S, IntOp::Mul24U), d, a, b, c: a });
        Ok(())
    }

    /// Bit counts and bit fields.
    fn bits(&mut self, ins: &mut Ins) -> Result<(), LoadError> {
        let amount = ins.has("shiftamt");
        let ty = ins.ty()?;
        let z = self.zero();
        let wide = ty.size() == 8;
        if ty.size() < 4 {
            return ins.refuse("bit operations on narrow integers");
        }
        match ins.base {
            "bfe" => {
                ins.count(4)?;
                let d = self.destination(ins, 0, ty)?;
                let a = self.source(ins, 1, ty)?;
                let (b, c) = (self.source(ins, 2, Ty::U32)?, self.source(ins, 3, Ty::U32)?);
                self.emit(match wide {
                    true => Op::Bfe64 { signed: ty.signed(), d, a, b, c },
                    false => Op::Int32 { op: pick(ty, IntOp::BfeS, IntOp::BfeU), d, a, b, c },
                });
            }
            "bfi" => {
                ins.count(5)?;
                let d = self.destination(ins, 0, ty)?;
                let (a, b) = (self.source(ins, 1, ty)?, self.source(ins, 2, ty)?);
                let (c, e) = (self.source(ins, 3, Ty::U32)?, self.source(ins, 4, Ty::U32)?);
                self.emit(match wide {
                    true => Op::Bfi64 { d, a, b, c, e },
                    false => Op::Bfi32 { d, a, b, c, e },
                });
            }
            "brev" if wide => {
                ins.count(2)?;
                let (d, a) = (self.destination(ins, 0, ty)?, self.source(ins, 1, ty)?);
                self.emit(Op::Int64 { op: IntOp::Brev, d, a, b: a, c: a });
            }
            _ => {
                let op = match (ins.base, amount, ty.signed()) {
                    ("popc", ..) => IntOp::Popc,
                    ("clz", ..) => IntOp::Clz,
                    ("brev", ..) => IntOp::Brev,
                    ("bfind", true, true) => IntOp::BfindShiftS,
                    ("bfind", true, false) => IntOp::BfindShiftU,
                    ("bfind", false, true) => IntOp::BfindS,
                    ("bfind", false, false) => IntOp::BfindU,
                    _ => return ins.refuse("this form"),
                };
                ins.count(2)?;
                let (d, a) = (self.destination(ins, 0, Ty::B32)?, self.source(ins, 1, ty)?);
                self.emit(match wide {
                    true => Op::Count64 { op, d, a },
                    false => Op::Int32 { op, d, a, b: z, c: z },
                });
            }
        }
        Ok(())
    }
}
