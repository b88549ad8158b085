//! Branches, returns and calls of the two functions that the device library provides.

use super::{Ins, Lower};
use crate::ir::*;
use crate::load_error::LoadError;
use crate::ptx::ast::{Operand, Space, syntax};

impl Lower<'_> {
    pub(super) fn bra(&mut self, ins: &mut Ins) -> Result<(), LoadError> {
        ins.ignore(&["uni"]);
        ins.count(1)?;
        let Operand::Label(target) = ins.operands[0] else {
            return syntax(ins.line, "bra takes a label");
        };
        let target = target as u32;
        let (p, negate) = self.guard;
        if p == ALWAYS {
            self.emit(Op::Bra { target, cost: 0 });
            return Ok(());
        }
        self.guard = (ALWAYS, false);
        self.emit(Op::BraIf { target, reconverge: u32::MAX, p, negate, cost: 0 });
        Ok(())
    }

    pub(super) fn ret(&mut self, ins: &mut Ins) -> Result<(), LoadError> {
        ins.ignore(&["uni"]);
        ins.count(0)?;
        self.emit(Op::Exit);
        Ok(())
    }

    /// The end of the text is an exit.
    pub(super) fn end(&mut self) {
        self.guard = (ALWAYS, false);
        self.info.push(Info { opcode: "end of kernel".into(), ..Info::default() });
        self.emit(Op::Exit);
    }

    pub(super) fn trap(&mut self, ins: &mut Ins) -> Result<(), LoadError> {
        ins.count(0)?;
        self.emit(Op::Trap);
        Ok(())
    }

    /// Branch targets from statement numbers to instruction numbers.
    pub(super) fn branches(&mut self, starts: &[u32]) {
        for inst in &mut self.code {
            if let Op::Bra { target, .. } | Op::BraIf { target, .. } = &mut inst.op {
                *target = starts[*target as usize];
            }
        }
    }

    pub(super) fn call(&mut self, ins: &mut Ins) -> Result<(), LoadError> {
        ins.ignore(&["uni"]);
        ins.done()?;
        let (results, rest) = match ins.operands {
            [Operand::Tuple(results), rest @ ..] => (results.as_slice(), rest),
            rest => (&[][..], rest),
        };
        let [Operand::Name(name), rest @ ..] = rest else {
            return ins.refuse("an indirect call");
        };
        let args = match rest {
            [Operand::Tuple(args), ..] => args.as_slice(),
            _ => &[],
        };
        let assert = match name.as_str() {
            "vprintf" if args.len() == 2 => false,
            "__assertfail" if args.len() >= 4 => true,
            _ => {
                return ins
                    .refuse(format!("a call of {name}: only vprintf and __assertfail are known"));
            }
        };
        let mut offsets = Vec::new();
        for operand in args.iter().chain(results) {
            match operand {
                Operand::Local(v) if self.function.variables[*v].space == Space::Local => {
                    offsets.push(self.address_of(ins, operand)? as u32);
                }
                _ => return ins.refuse("an argument that is no .param variable"),
            }
        }
        let result = offsets.get(args.len()).copied();
        offsets.truncate(args.len());
        self.emit(Op::Call(Box::new(Call { assert, args: offsets, result })));
        Ok(())
    }
}
