//! Syntax tree to decoded instructions: one kernel at a time, refusing whatever is not known in full.

mod allocate;
mod alu;
mod collective;
mod control;
mod convert;
mod flow;
mod layout;
mod memory;
mod tensor;
mod track;

use crate::ir::{ALWAYS, File, Info, Inst, Op, Program, R, Special, file_of};
use crate::load_error::LoadError;
use crate::module::Global;
use crate::ptx::ast::*;
use crate::report::SourceLine;
use std::collections::HashMap;

pub(crate) use layout::{LOCAL_BASE, PARAM_BASE, SHARED_BASE, param_layout};

/// Addresses of the module's variables in device memory.
pub(crate) type Globals = HashMap<String, Global>;

/// Most instructions of a kernel.
const MOST_CODE: usize = 1 << 20;

/// Lowers one kernel.
pub(crate) fn lower(
    ptx: &Ptx,
    function: &Function,
    globals: &Globals,
) -> Result<Program, LoadError> {
    let layout = layout::place(ptx, function)?;
    let mut lower = Lower {
        ptx,
        function,
        globals,
        layout,
        files: Vec::new(),
        map: vec![None; function.registers.len()],
        constants32: HashMap::new(),
        constants64: HashMap::new(),
        specials: Vec::new(),
        code: Vec::new(),
        info: Vec::new(),
        accesses: 0,
        guard: (ALWAYS, false),
    };
    let mut starts = Vec::with_capacity(function.instructions.len() + 1);
    for instruction in &function.instructions {
        starts.push(lower.code.len() as u32);
        lower.instruction(instruction)?;
    }
    starts.push(lower.code.len() as u32);
    lower.end();
    lower.branches(&starts);
    lower.finish()
}

pub(super) struct Lower<'a> {
    ptx: &'a Ptx,
    function: &'a Function,
    globals: &'a Globals,
    layout: layout::Layout,
    /// File of each virtual register.
    files: Vec<File>,
    /// Virtual register of each declared register, made at its first use.
    map: Vec<Option<R>>,
    constants32: HashMap<u32, R>,
    constants64: HashMap<u64, R>,
    specials: Vec<(Special, R)>,
    code: Vec<Inst>,
    info: Vec<Info>,
    accesses: u32,
    guard: (R, bool),
}

/// One instruction while it is lowered: its modifiers are ticked off one by one.
pub(super) struct Ins<'a> {
    pub opcode: &'a str,
    pub base: &'a str,
    mods: Vec<(&'a str, bool)>,
    pub operands: &'a [Operand],
    pub line: u32,
}

impl<'a> Ins<'a> {
    fn new(instruction: &'a Instruction) -> Ins<'a> {
        let mut parts = instruction.opcode.split('.');
        let base = parts.next().unwrap_or("");
        Ins {
            opcode: &instruction.opcode,
            base,
            mods: parts.map(|m| (m, false)).collect(),
            operands: &instruction.operands,
            line: instruction.line,
        }
    }

    /// Whether the modifier is there; ticks it off.
    pub fn has(&mut self, name: &str) -> bool {
        let found = self.mods.iter_mut().find(|(m, used)| !used && *m == name);
        found.map(|m| m.1 = true).is_some()
    }

    /// The first of `names` that is there.
    pub fn any<T: Copy>(&mut self, names: &[(&str, T)]) -> Option<T> {
        names.iter().find(|(name, _)| self.has(name)).map(|(_, value)| *value)
    }

    /// Ticks off modifiers that change nothing here.
    pub fn ignore(&mut self, names: &[&str]) {
        for (m, used) in &mut self.mods {
            *used |= names.contains(m);
        }
    }

    /// The next type, in the order written.
    pub fn ty(&mut self) -> Result<Ty, LoadError> {
        for (m, used) in &mut self.mods {
            if let (false, Some(ty)) = (*used, Ty::parse(m)) {
                *used = true;
                return Ok(ty);
            }
        }
        self.refuse("it names no type of the subset")
    }

    pub fn refuse<T>(&self, reason: impl Into<String>) -> Result<T, LoadError> {
        unsupported(self.line, self.opcode, reason)
    }

    /// Every modifier must have been understood.
    pub fn done(&self) -> Result<(), LoadError> {
        match self.mods.iter().find(|m| !m.1) {
            Some((name, _)) => self.refuse(format!("modifier .{name}")),
            None => Ok(()),
        }
    }

    /// Checks the number of operands, and that all modifiers were understood.
    pub fn count(&self, n: usize) -> Result<(), LoadError> {
        self.done()?;
        if self.operands.len() != n {
            return syntax(
                self.line,
                format!("{} takes {n} operands, here are {}", self.opcode, self.operands.len()),
            );
        }
        Ok(())
    }
}

impl Lower<'_> {
    fn instruction(&mut self, instruction: &Instruction) -> Result<(), LoadError> {
        let source =
            instruction.loc.map(|(file, line)| SourceLine { file: self.file_name(file), line });
        self.info.push(Info { line: instruction.line, opcode: instruction.opcode.clone(), source });
        if self.code.len() > MOST_CODE || self.files.len() > usize::from(R::MAX) - 1024 {
            return unsupported(instruction.line, &instruction.opcode, "the kernel is too long");
        }
        let mut ins = Ins::new(instruction);
        self.guard = match instruction.guard {
            Some((id, negate)) => (self.declared(id, instruction.line)?.0, negate),
            None => (ALWAYS, false),
        };
        self.dispatch(&mut ins)
    }

    fn file_name(&self, id: u32) -> String {
        let found = self.ptx.files.iter().find(|f| f.0 == id);
        found.map_or_else(|| format!("file {id}"), |f| f.1.clone())
    }

    fn dispatch(&mut self, ins: &mut Ins) -> Result<(), LoadError> {
        match ins.base {
            "mov" => self.mov(ins),
            "cvt" => self.cvt(ins),
            "cvta" => self.cvta(ins),
            "isspacep" => self.isspacep(ins),
            "setp" => self.setp(ins),
            "set" => self.set(ins),
            "selp" => self.selp(ins),
            "slct" => self.slct(ins),
            "testp" => self.testp(ins),
            "ld" | "ldu" => self.load(ins),
            "st" => self.store(ins),
            "atom" | "red" => self.atom(ins),
            "cp" => self.cp_async(ins),
            "prefetch" | "prefetchu" | "nanosleep" | "pmevent" | "discard" | "applypriority" => {
                Ok(())
            }
            "shfl" => self.shfl(ins),
            "vote" => self.vote(ins),
            "match" => self.matches(ins),
            "redux" => self.redux(ins),
            "activemask" => self.activemask(ins),
            "bar" | "barrier" => self.bar(ins),
            "membar" | "fence" => self.fence(ins),
            "ldmatrix" => self.ldmatrix(ins),
            "movmatrix" => self.movmatrix(ins),
            "mma" => self.mma(ins),
            "bra" => self.bra(ins),
            "ret" | "exit" => self.ret(ins),
            "trap" => self.trap(ins),
            "brkpt" => self.trap(ins),
            "call" => self.call(ins),
            _ => self.arithmetic(ins),
        }
    }

    pub(super) fn emit(&mut self, op: Op) {
        let info = self.info.len() as u32 - 1;
        self.code.push(Inst { op, guard: self.guard.0, negate: self.guard.1, info });
    }

    /// A new virtual register.
    pub(super) fn fresh(&mut self, file: File) -> R {
        self.files.push(file);
        (self.files.len() - 1) as R
    }

    fn declared(&mut self, id: u32, line: u32) -> Result<(R, File), LoadError> {
        let file = file_of(self.function.registers[id as usize].ty);
        if let Some(r) = self.map[id as usize] {
            return Ok((r, file));
        }
        if self.files.len() >= usize::from(R::MAX) - 1024 {
            return unsupported(line, "kernel", "more than 64 thousand registers in use");
        }
        let r = self.fresh(file);
        self.map[id as usize] = Some(r);
        Ok((r, file))
    }

    pub(super) fn constant32(&mut self, bits: u32) -> R {
        if let Some(r) = self.constants32.get(&bits) {
            return *r;
        }
        let r = self.fresh(File::W);
        self.constants32.insert(bits, r);
        r
    }

    pub(super) fn constant64(&mut self, bits: u64) -> R {
        if let Some(r) = self.constants64.get(&bits) {
            return *r;
        }
        let r = self.fresh(File::D);
        self.constants64.insert(bits, r);
        r
    }

    pub(super) fn special(&mut self, special: Special) -> R {
        if let Some((_, r)) = self.specials.iter().find(|s| s.0 == special) {
            return *r;
        }
        let r = self.fresh(File::W);
        self.specials.push((special, r));
        r
    }

    pub(super) fn zero(&mut self) -> R {
        self.constant32(0)
    }

    /// A source operand of the type: register, immediate, special register or address of a variable.
    pub(super) fn source(&mut self, ins: &Ins, index: usize, ty: Ty) -> Result<R, LoadError> {
        let Some(operand) = ins.operands.get(index) else {
            return syntax(ins.line, format!("{} has too few operands", ins.opcode));
        };
        self.value(ins, operand, ty)
    }

    pub(super) fn value(&mut self, ins: &Ins, operand: &Operand, ty: Ty) -> Result<R, LoadError> {
        let file = file_of(ty);
        match operand {
            Operand::Reg(id) => {
                let (r, found) = self.declared(*id, ins.line)?;
                if found != file {
                    return syntax(
                        ins.line,
                        format!("{}: a register has the wrong width", ins.opcode),
                    );
                }
                Ok(r)
            }
            Operand::Special(name) => self.special_named(ins, name, file),
            Operand::Local(_) | Operand::Name(_) => {
                let address = self.address_of(ins, operand)?;
                Ok(match file {
                    File::D => self.constant64(address),
                    File::W => self.constant32(address as u32),
                    File::P => return ins.refuse("a variable as predicate"),
                })
            }
            _ => match immediate(operand, ty) {
                Some(bits) if file == File::D => Ok(self.constant64(bits)),
                Some(bits) if file == File::W => Ok(self.constant32(bits as u32)),
                Some(bits) => Ok(self.constant_predicate(bits & 1 != 0)),
                None => syntax(ins.line, format!("{}: operand of an unexpected kind", ins.opcode)),
            },
        }
    }

    /// A predicate register that always holds the value.
    fn constant_predicate(&mut self, value: bool) -> R {
        let d = self.fresh(File::P);
        let (a, b) = (self.zero(), self.constant32(u32::from(!value)));
        let guard = std::mem::replace(&mut self.guard, (ALWAYS, false));
        self.emit(Op::Setp { ty: Ty::U32, cmp: crate::ir::Cmp::Eq, ftz: false, d, a, b });
        self.guard = guard;
        d
    }

    /// A destination of the type; `_` gives a register that nobody reads.
    pub(super) fn destination(&mut self, ins: &Ins, index: usize, ty: Ty) -> Result<R, LoadError> {
        match ins.operands.get(index) {
            Some(operand) => self.target(ins, operand, ty),
            None => syntax(ins.line, format!("{} has too few operands", ins.opcode)),
        }
    }

    pub(super) fn target(&mut self, ins: &Ins, operand: &Operand, ty: Ty) -> Result<R, LoadError> {
        match operand {
            Operand::Reg(id) => {
                let (r, file) = self.declared(*id, ins.line)?;
                if file != file_of(ty) {
                    return syntax(
                        ins.line,
                        format!("{}: a register has the wrong width", ins.opcode),
                    );
                }
                Ok(r)
            }
            Operand::Sink => Ok(self.fresh(file_of(ty))),
            _ => syntax(ins.line, format!("{}: the destination is no register", ins.opcode)),
        }
    }

    /// Register and file of a register operand, whatever its width.
    pub(super) fn any_register(
        &mut self,
        ins: &Ins,
        operand: &Operand,
    ) -> Result<(R, File), LoadError> {
        match operand {
            Operand::Reg(id) => self.declared(*id, ins.line),
            _ => syntax(ins.line, format!("{}: expected a register", ins.opcode)),
        }
    }

    /// A predicate source, possibly negated by `!`.
    pub(super) fn predicate(
        &mut self,
        ins: &Ins,
        operand: &Operand,
    ) -> Result<(R, bool), LoadError> {
        match operand {
            Operand::Not(inner) => Ok((self.value(ins, inner, Ty::Pred)?, true)),
            other => Ok((self.value(ins, other, Ty::Pred)?, false)),
        }
    }

    fn special_named(&mut self, ins: &Ins, name: &str, file: File) -> Result<R, LoadError> {
        let axis = match name.rsplit('.').next() {
            Some("y") => 1,
            Some("z") => 2,
            _ => 0,
        };
        let special = match name {
            "%tid.x" | "%tid.y" | "%tid.z" => Special::Tid(axis),
            "%ntid.x" | "%ntid.y" | "%ntid.z" => Special::Ntid(axis),
            "%ctaid.x" | "%ctaid.y" | "%ctaid.z" => Special::Ctaid(axis),
            "%nctaid.x" | "%nctaid.y" | "%nctaid.z" => Special::Nctaid(axis),
            "%laneid" => Special::Lane,
            "%warpid" => Special::Warp,
            "%nwarpid" => Special::Nwarp,
            "%lanemask_eq" => Special::MaskEq,
            "%lanemask_lt" => Special::MaskLt,
            "%lanemask_le" => Special::MaskLe,
            "%lanemask_gt" => Special::MaskGt,
            "%lanemask_ge" => Special::MaskGe,
            "%dynamic_smem_size" => Special::DynamicShared,
            "%total_smem_size" => Special::TotalShared,
            "%smid" | "%gridid" => Special::Zero,
            "%clock" | "%clock_hi" | "%globaltimer_lo" | "%clock64" | "%globaltimer" => {
                let wide = file == File::D;
                let d = self.fresh(if wide { File::D } else { File::W });
                self.emit(Op::Clock { d, wide });
                return Ok(d);
            }
            _ if name.starts_with("%tid") || !is_special(name) => {
                return syntax(ins.line, format!("{name} is not declared"));
            }
            _ => return ins.refuse(format!("special register {name}")),
        };
        if file != File::W {
            return syntax(ins.line, format!("{name} has 32 bits"));
        }
        Ok(self.special(special))
    }
}

/// Names that PTX knows as special registers and this crate does not provide.
fn is_special(name: &str) -> bool {
    let stem = name.trim_start_matches('%');
    ["pm", "envreg", "cluster", "nsmid", "reserved", "aggr", "is_explicit", "current", "nclusterid"]
        .iter()
        .any(|s| stem.starts_with(s))
}

/// Bits of an immediate as a value of the type.
fn immediate(operand: &Operand, ty: Ty) -> Option<u64> {
    let float = matches!(ty, Ty::F32 | Ty::F64);
    Some(match operand {
        Operand::Int(v) if ty == Ty::F32 => u64::from((*v as i64 as f32).to_bits()),
        Operand::Int(v) if ty == Ty::F64 => (*v as i64 as f64).to_bits(),
        Operand::Int(v) => match ty.size() {
            1 if ty != Ty::Pred => v & 0xff,
            2 => v & 0xffff,
            _ => *v,
        },
        Operand::F32(v) if ty == Ty::F64 => f64::from(f32::from_bits(*v)).to_bits(),
        Operand::F32(v) => u64::from(*v),
        Operand::F64(v) if ty.size() == 4 && (float || ty == Ty::B32) => {
            u64::from((f64::from_bits(*v) as f32).to_bits())
        }
        Operand::F64(v) => *v,
        _ => return None,
    })
}
