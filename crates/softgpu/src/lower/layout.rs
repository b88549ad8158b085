//! Offsets of parameters, shared and local variables, and addresses of names.

use super::{Ins, Lower};
use crate::load_error::LoadError;
use crate::module::ParamInfo;
use crate::ptx::ast::*;
use std::collections::{HashMap, HashSet};

/// Generic addresses of shared memory start here; far outside the addresses of device memory.
pub(crate) const SHARED_BASE: u64 = 1 << 56;
/// Generic addresses of local memory.
pub(crate) const LOCAL_BASE: u64 = 2 << 56;
/// Generic addresses of kernel parameters.
pub(crate) const PARAM_BASE: u64 = 3 << 56;

/// Most bytes of shared or local memory that a kernel may declare.
const MOST: u64 = 1 << 24;

#[derive(Default)]
pub(super) struct Layout {
    /// Offset of each variable of the function.
    pub variables: Vec<u64>,
    /// Offset of each module-scope shared variable that the function names.
    pub shared: HashMap<String, u64>,
    pub shared_bytes: u64,
    pub shared_align: u64,
    pub local_bytes: u64,
}

/// Offsets of a kernel's parameters and the length of the packed buffer.
pub(crate) fn param_layout(params: &[Variable]) -> (Vec<ParamInfo>, u64) {
    let mut end = 0u64;
    let mut list = Vec::new();
    for p in params {
        let offset = end.next_multiple_of(p.align.max(1));
        end = offset.saturating_add(p.bytes);
        list.push(ParamInfo { offset: offset as u32, size: p.bytes as u32, align: p.align as u32 });
    }
    (list, end)
}

fn names(operand: &Operand, into: &mut HashSet<String>) {
    match operand {
        Operand::Name(n) => {
            into.insert(n.clone());
        }
        Operand::Memory(base, _) => names(base, into),
        Operand::Vector(list) | Operand::Tuple(list) => list.iter().for_each(|o| names(o, into)),
        _ => {}
    }
}

pub(super) fn place(ptx: &Ptx, function: &Function) -> Result<Layout, LoadError> {
    let mut layout = Layout { shared_align: 16, ..Layout::default() };
    let (params, bytes) = param_layout(&function.params);
    if bytes > 1 << 15 {
        return unsupported(0, &function.name, "more than 32 kB of parameters");
    }
    let put = |end: &mut u64, v: &Variable| {
        let offset = end.next_multiple_of(v.align.max(1));
        *end = offset.saturating_add(v.bytes);
        if *end > MOST { unsupported(v.line, &v.name, "too much memory") } else { Ok(offset) }
    };
    for (index, variable) in function.variables.iter().enumerate() {
        let offset = match variable.space {
            Space::Param => u64::from(params[index].offset),
            Space::Shared => {
                layout.shared_align = layout.shared_align.max(variable.align);
                put(&mut layout.shared_bytes, variable)?
            }
            _ => put(&mut layout.local_bytes, variable)?,
        };
        layout.variables.push(offset);
    }
    let mut used = HashSet::new();
    for instruction in &function.instructions {
        instruction.operands.iter().for_each(|o| names(o, &mut used));
    }
    let shared =
        || ptx.variables.iter().filter(|v| v.space == Space::Shared && used.contains(&v.name));
    for variable in shared().filter(|v| v.bytes > 0) {
        layout.shared_align = layout.shared_align.max(variable.align);
        let offset = put(&mut layout.shared_bytes, variable)?;
        layout.shared.insert(variable.name.clone(), offset);
    }
    // Arrays without a length are dynamic shared memory and all start behind the static part.
    for variable in shared().filter(|v| v.bytes == 0) {
        layout.shared_align = layout.shared_align.max(variable.align);
    }
    let dynamic = layout.shared_bytes.next_multiple_of(layout.shared_align);
    for variable in shared().filter(|v| v.bytes == 0) {
        layout.shared.insert(variable.name.clone(), dynamic);
    }
    Ok(layout)
}

impl Lower<'_> {
    /// Address of a variable in its own space.
    pub(super) fn address_of(&self, ins: &Ins, operand: &Operand) -> Result<u64, LoadError> {
        match operand {
            Operand::Local(index) => Ok(self.layout.variables[*index]),
            Operand::Name(name) => {
                if let Some(offset) = self.layout.shared.get(name) {
                    return Ok(*offset);
                }
                match self.globals.get(name) {
                    Some(global) => Ok(global.address),
                    None => syntax(ins.line, format!("{name} is not declared")),
                }
            }
            _ => syntax(ins.line, format!("{}: expected a variable", ins.opcode)),
        }
    }
}
