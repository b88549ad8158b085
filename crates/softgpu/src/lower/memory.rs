//! Loads, stores, atomics and asynchronous copies.

use super::{Ins, Lower};
use crate::ir::*;
use crate::load_error::LoadError;
use crate::ptx::ast::{Operand, Space, Ty, syntax};

/// Modifiers of order, scope and caching that a sequentially consistent machine without caches ignores.
const IGNORED: [&str; 30] = [
    "weak",
    "volatile",
    "relaxed",
    "acquire",
    "release",
    "acq_rel",
    "seq_cst",
    "sc",
    "mmio",
    "cta",
    "cluster",
    "gpu",
    "sys",
    "ca",
    "cg",
    "cs",
    "lu",
    "cv",
    "wb",
    "wt",
    "nc",
    "noftz",
    "L1::evict_normal",
    "L1::evict_unchanged",
    "L1::evict_first",
    "L1::evict_last",
    "L1::no_allocate",
    "L2::64B",
    "L2::128B",
    "L2::256B",
];

impl Lower<'_> {
    pub(super) fn access_id(&mut self) -> u32 {
        self.accesses += 1;
        self.accesses - 1
    }

    /// Register, file and offset of a `[...]` operand.
    pub(super) fn address(&mut self, ins: &Ins, index: usize) -> Result<(R, File, i64), LoadError> {
        let Some(Operand::Memory(base, offset)) = ins.operands.get(index) else {
            return syntax(ins.line, format!("{}: expected an address in brackets", ins.opcode));
        };
        let (r, file) = match base.as_ref() {
            Operand::Reg(_) => self.any_register(ins, base)?,
            Operand::Int(v) => (self.constant64(*v), File::D),
            _ => {
                let address = self.address_of(ins, base)?;
                (self.constant64(address), File::D)
            }
        };
        if file == File::P {
            return syntax(ins.line, "a predicate is no address");
        }
        Ok((r, file, *offset))
    }

    /// The space of a memory operand; parameters that the body declares live in local memory.
    fn space_of(&self, ins: &mut Ins, index: usize) -> Space {
        let space = self.space(ins).unwrap_or(Space::Generic);
        if ins.has("param::func") {
            return Space::Local;
        }
        if let (Space::Param, Some(Operand::Memory(base, _))) = (space, ins.operands.get(index))
            && let Operand::Local(variable) = base.as_ref()
        {
            return self.function.variables[*variable].space;
        }
        space
    }

    fn checked(&self, ins: &Ins, space: Space, file: File) -> Result<(), LoadError> {
        match (space, file) {
            (Space::Global | Space::Generic | Space::Const, File::W) => {
                syntax(ins.line, "a 32-bit register is no global address")
            }
            _ => Ok(()),
        }
    }

    /// Registers of a vector or of a single operand, all of one file.
    fn registers(
        &mut self,
        ins: &Ins,
        index: usize,
        lanes: usize,
        ty: Ty,
        write: bool,
    ) -> Result<(Vec<R>, File), LoadError> {
        let Some(operand) = ins.operands.get(index) else {
            return syntax(ins.line, format!("{} has too few operands", ins.opcode));
        };
        let parts = match operand {
            Operand::Vector(parts) => parts.as_slice(),
            single => std::slice::from_ref(single),
        };
        if parts.len() != lanes {
            return syntax(ins.line, format!("{} needs {lanes} registers", ins.opcode));
        }
        // The register may be wider than the element.
        let mut file = file_of(ty);
        for part in parts {
            if let Operand::Reg(_) = part {
                file = self.any_register(ins, part)?.1;
            }
        }
        if file == File::P || ty == Ty::Pred || file == File::W && ty.size() == 8 {
            return syntax(ins.line, format!("{}: a register has the wrong width", ins.opcode));
        }
        let held = if file == File::D && ty.size() < 8 { Ty::B64 } else { ty };
        let mut regs = Vec::new();
        for part in parts {
            regs.push(if write {
                self.target(ins, part, held)?
            } else {
                self.value(ins, part, held)?
            });
        }
        Ok((regs, file))
    }

    fn lanes(&self, ins: &mut Ins) -> usize {
        ins.any(&[("v2", 2), ("v4", 4)]).unwrap_or(1)
    }

    pub(super) fn load(&mut self, ins: &mut Ins) -> Result<(), LoadError> {
        let space = self.space_of(ins, 1);
        ins.ignore(&IGNORED);
        let lanes = self.lanes(ins);
        let ty = ins.ty()?;
        ins.count(2)?;
        let (address, address_file, offset) = self.address(ins, 1)?;
        self.checked(ins, space, address_file)?;
        let (regs, file) = self.registers(ins, 0, lanes, ty, true)?;
        let id = self.access_id();
        let (width, signed) = (ty.size(), ty.signed());
        let access = Access { space, width, signed, regs, file, address, address_file, offset, id };
        self.emit(Op::Ld(Box::new(access)));
        Ok(())
    }

    pub(super) fn store(&mut self, ins: &mut Ins) -> Result<(), LoadError> {
        let space = self.space_of(ins, 0);
        ins.ignore(&IGNORED);
        let lanes = self.lanes(ins);
        let ty = ins.ty()?;
        ins.count(2)?;
        if matches!(space, Space::Const | Space::Param) {
            return ins.refuse("a store to read-only memory");
        }
        let (address, address_file, offset) = self.address(ins, 0)?;
        self.checked(ins, space, address_file)?;
        let (regs, file) = self.registers(ins, 1, lanes, ty, false)?;
        let id = self.access_id();
        let width = ty.size();
        let access =
            Access { space, width, signed: false, regs, file, address, address_file, offset, id };
        self.emit(Op::St(Box::new(access)));
        Ok(())
    }

    pub(super) fn atom(&mut self, ins: &mut Ins) -> Result<(), LoadError> {
        let reduction = ins.base == "red";
        let at = usize::from(!reduction);
        let space = self.space(ins).unwrap_or(Space::Generic);
        ins.ignore(&IGNORED);
        let ops = [
            ("add", AtomOp::Add),
            ("min", AtomOp::Min),
            ("max", AtomOp::Max),
            ("and", AtomOp::And),
            ("or", AtomOp::Or),
            ("xor", AtomOp::Xor),
            ("exch", AtomOp::Exch),
            ("cas", AtomOp::Cas),
            ("inc", AtomOp::Inc),
            ("dec", AtomOp::Dec),
        ];
        let Some(op) = ins.any(&ops) else {
            return ins.refuse("this operation");
        };
        let ty = ins.ty()?;
        let cas = op == AtomOp::Cas;
        ins.count(at + 2 + usize::from(cas))?;
        let float = matches!(ty, Ty::F32 | Ty::F64 | Ty::F16 | Ty::F16x2 | Ty::Bf16 | Ty::Bf16x2);
        let fits = match op {
            AtomOp::Add => ty.size() >= 4 || float,
            AtomOp::Inc | AtomOp::Dec => ty == Ty::U32,
            _ => !float && ty.size() >= 4,
        };
        if !fits || matches!(space, Space::Const | Space::Param | Space::Local) {
            return ins.refuse("an atomic of this type or space");
        }
        let (address, address_file, offset) = self.address(ins, at)?;
        self.checked(ins, space, address_file)?;
        let d = if reduction { None } else { Some(self.destination(ins, 0, ty)?) };
        let a = self.source(ins, at + 1, ty)?;
        let b = if cas { self.source(ins, at + 2, ty)? } else { a };
        let id = self.access_id();
        let file = file_of(ty);
        let atom = Atom { op, ty, space, d, a, b, file, address, address_file, offset, id };
        self.emit(Op::Atom(Box::new(atom)));
        Ok(())
    }

    /// `cp.async` in its three forms; bulk and tensor copies are refused.
    pub(super) fn cp_async(&mut self, ins: &mut Ins) -> Result<(), LoadError> {
        if !ins.has("async") {
            return ins.refuse("not an asynchronous copy");
        }
        if ins.has("commit_group") {
            ins.count(0)?;
            self.emit(Op::CpCommit);
            return Ok(());
        }
        if ins.has("wait_all") {
            ins.count(0)?;
            self.emit(Op::CpCommit);
            self.emit(Op::CpWait { pending: 0 });
            return Ok(());
        }
        if ins.has("wait_group") {
            ins.count(1)?;
            let Operand::Int(n) = ins.operands[0] else {
                return syntax(ins.line, "wait_group takes a number");
            };
            self.emit(Op::CpWait { pending: n.min(u64::from(u32::MAX)) as u32 });
            return Ok(());
        }
        if !ins.has("ca") && !ins.has("cg") {
            return ins.refuse("bulk, tensor and barrier forms");
        }
        let to_shared = ins.has("shared") || ins.has("shared::cta");
        let from_global = ins.has("global");
        ins.ignore(&["L2::64B", "L2::128B", "L2::256B"]);
        ins.done()?;
        if !to_shared || !from_global || !(3..=4).contains(&ins.operands.len()) {
            return ins.refuse("this form");
        }
        let Operand::Int(bytes @ (4 | 8 | 16)) = ins.operands[2] else {
            return ins.refuse("a size other than 4, 8 or 16");
        };
        let (to, to_file, to_offset) = self.address(ins, 0)?;
        let (from, from_file, from_offset) = self.address(ins, 1)?;
        self.checked(ins, Space::Global, from_file)?;
        let (mut source_bytes, mut ignore) = (None, None);
        if let Some(operand) = ins.operands.get(3) {
            match operand {
                Operand::Reg(id) if self.function.registers[*id as usize].ty == Ty::Pred => {
                    ignore = Some(self.value(ins, operand, Ty::Pred)?);
                }
                _ => source_bytes = Some(self.value(ins, operand, Ty::U32)?),
            }
        }
        // Two accesses: the source's, and the destination's behind it.
        let id = self.access_id();
        self.access_id();
        let bytes = bytes as u32;
        let copy =
            CpAsync { bytes, to, to_file, to_offset, from, from_offset, source_bytes, ignore, id };
        self.emit(Op::CpAsync(Box::new(copy)));
        Ok(())
    }
}
