//! Matrix instructions.

use super::{Ins, Lower};
use crate::ir::*;
use crate::load_error::LoadError;
use crate::ptx::ast::{Operand, Ty, syntax};

impl Lower<'_> {
    fn vector(
        &mut self,
        ins: &Ins,
        index: usize,
        n: usize,
        write: bool,
    ) -> Result<Vec<R>, LoadError> {
        let Some(Operand::Vector(parts)) = ins.operands.get(index) else {
            return syntax(ins.line, format!("{}: operand {} is no vector", ins.opcode, index + 1));
        };
        if parts.len() != n {
            return syntax(
                ins.line,
                format!("{}: operand {} needs {n} registers", ins.opcode, index + 1),
            );
        }
        let mut list = Vec::new();
        for part in parts {
            let write = if write {
                self.target(ins, part, Ty::B32)
            } else {
                self.value(ins, part, Ty::B32)
            };
            list.push(write?);
        }
        Ok(list)
    }

    pub(super) fn mma(&mut self, ins: &mut Ins) -> Result<(), LoadError> {
        if !ins.has("sync") {
            return ins.refuse("a form without .sync");
        }
        ins.ignore(&["aligned"]);
        let shape = ins.any(&[("m16n8k4", 4u32), ("m16n8k8", 8), ("m16n8k16", 16)]);
        let (row, col) = (ins.has("row"), ins.has("col"));
        let (Some(k), true, true) = (shape, row, col) else {
            return ins.refuse("this shape");
        };
        let types = [ins.ty()?, ins.ty()?, ins.ty()?, ins.ty()?];
        let (ty, half) = match (types, k) {
            ([Ty::F32, Ty::Tf32, Ty::Tf32, Ty::F32], 4 | 8) => (MmaType::Tf32, false),
            ([Ty::F32, Ty::Bf16, Ty::Bf16, Ty::F32], 8 | 16) => (MmaType::Bf16, false),
            ([Ty::F32, Ty::F16, Ty::F16, Ty::F32], 8 | 16) => (MmaType::F16, false),
            ([Ty::F16, Ty::F16, Ty::F16, Ty::F16], 8 | 16) => (MmaType::F16, true),
            _ => return ins.refuse("these operand types"),
        };
        ins.count(4)?;
        let per = if ty == MmaType::Tf32 { 4 } else { 8 };
        let (n_a, n_b, n_c) =
            ((k / per * 2) as usize, (k / per) as usize, if half { 2 } else { 4 });
        let a = self.vector(ins, 1, n_a, false)?;
        let b = self.vector(ins, 2, n_b, false)?;
        let c = self.vector(ins, 3, n_c, false)?;
        let d = self.vector(ins, 0, n_c, true)?;
        self.emit(Op::Mma(Box::new(Mma { ty, k, half, d, a, b, c })));
        Ok(())
    }

    pub(super) fn ldmatrix(&mut self, ins: &mut Ins) -> Result<(), LoadError> {
        let (sync, shape) = (ins.has("sync"), ins.has("m8n8"));
        ins.ignore(&["aligned"]);
        let n = ins.any(&[("x1", 1usize), ("x2", 2), ("x4", 4)]);
        let transposed = ins.has("trans");
        let shared = ins.has("shared") || ins.has("shared::cta");
        let (Some(n), true, true) = (n, sync && shape, shared && ins.has("b16")) else {
            return ins.refuse("this form");
        };
        ins.count(2)?;
        let (address, address_file, offset) = self.address(ins, 1)?;
        let regs = self.vector(ins, 0, n, true)?;
        let id = self.access_id();
        self.emit(Op::LdMatrix(Box::new(LdMatrix {
            regs,
            transposed,
            address,
            address_file,
            offset,
            id,
        })));
        Ok(())
    }

    pub(super) fn movmatrix(&mut self, ins: &mut Ins) -> Result<(), LoadError> {
        ins.ignore(&["sync", "aligned", "m8n8", "trans", "b16"]);
        ins.count(2)?;
        let (d, a) = (self.destination(ins, 0, Ty::B32)?, self.source(ins, 1, Ty::B32)?);
        self.emit(Op::MovMatrix { d, a });
        Ok(())
    }
}
