//! Names inside a function: registers, variables and labels in nested scopes.

use super::ast::{Operand, Register, Ty, syntax};
use crate::load_error::LoadError;
use std::collections::HashMap;

/// Registers a function may declare; hostile text asks for more.
const MOST_REGISTERS: usize = 1 << 20;

enum Symbol {
    Register(u32),
    /// `%r<n>`: first id and count.
    Family(u32, u32),
    Variable(usize),
}

/// A branch whose target is not known yet: instruction, operand, scope and name.
struct Pending {
    instruction: usize,
    operand: usize,
    scope: usize,
    name: String,
    line: u32,
}

/// All scopes of one function.
#[derive(Default)]
pub(super) struct Scopes {
    names: Vec<HashMap<String, Symbol>>,
    labels: HashMap<(usize, String), usize>,
    parents: Vec<usize>,
    open: Vec<usize>,
    pending: Vec<Pending>,
}

impl Scopes {
    pub fn enter(&mut self) {
        let id = self.names.len();
        self.parents.push(self.open.last().copied().unwrap_or(id));
        self.names.push(HashMap::new());
        self.open.push(id);
    }

    pub fn leave(&mut self) {
        self.open.pop();
    }

    pub fn depth(&self) -> usize {
        self.open.len()
    }

    fn here(&self) -> usize {
        *self.open.last().expect("a function body opens a scope")
    }

    /// Declares `name`, or `name0..` when a count is given.
    pub fn register(
        &mut self,
        registers: &mut Vec<Register>,
        ty: Ty,
        name: &str,
        count: Option<u32>,
        line: u32,
    ) -> Result<(), LoadError> {
        let first = registers.len();
        let total = count.unwrap_or(1) as usize;
        if first + total > MOST_REGISTERS {
            return syntax(line, format!("a function may declare {MOST_REGISTERS} registers"));
        }
        registers.resize(first + total, Register { ty });
        let symbol = match count {
            Some(n) => Symbol::Family(first as u32, n),
            None => Symbol::Register(first as u32),
        };
        let here = self.here();
        self.names[here].insert(name.to_string(), symbol);
        Ok(())
    }

    pub fn variable(&mut self, name: &str, index: usize) {
        let here = self.here();
        self.names[here].insert(name.to_string(), Symbol::Variable(index));
    }

    pub fn label(&mut self, name: &str, instruction: usize, line: u32) -> Result<(), LoadError> {
        let here = self.here();
        match self.labels.insert((here, name.to_string()), instruction) {
            Some(_) => syntax(line, format!("label {name} is declared twice")),
            None => Ok(()),
        }
    }

    /// The register or variable of that name, innermost scope first.
    pub fn find(&self, name: &str) -> Option<Operand> {
        let stem = name.trim_end_matches(|c: char| c.is_ascii_digit());
        let number = name[stem.len()..].parse::<u32>().ok();
        for scope in self.open.iter().rev() {
            match self.names[*scope].get(name) {
                Some(Symbol::Register(id)) => return Some(Operand::Reg(*id)),
                Some(Symbol::Variable(index)) => return Some(Operand::Local(*index)),
                _ => {}
            }
            if let (Some(n), Some(Symbol::Family(first, count))) =
                (number, self.names[*scope].get(stem))
                && n < *count
            {
                return Some(Operand::Reg(first + n));
            }
        }
        None
    }

    /// Notes that an operand is a label, to be found at the end of the function.
    pub fn branch(&mut self, instruction: usize, operand: usize, name: &str, line: u32) {
        let scope = self.here();
        self.pending.push(Pending { instruction, operand, scope, name: name.to_string(), line });
    }

    /// Calls `set` with instruction, operand and target of every branch.
    pub fn resolve(self, mut set: impl FnMut(usize, usize, usize)) -> Result<(), LoadError> {
        for p in self.pending {
            let mut scope = p.scope;
            let target = loop {
                if let Some(t) = self.labels.get(&(scope, p.name.clone())) {
                    break *t;
                }
                if self.parents[scope] == scope {
                    return syntax(p.line, format!("no label {} here", p.name));
                }
                scope = self.parents[scope];
            };
            set(p.instruction, p.operand, target);
        }
        Ok(())
    }
}
