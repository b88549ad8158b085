//! Declarations of variables and parameters, with their initialisers.

use super::ast::*;
use super::lex::Kind;
use super::parse::Parser;
use crate::load_error::LoadError;

/// Most bytes of one variable.
const MOST_BYTES: u64 = 1 << 36;
/// Most bytes that an initialiser may spell out.
const MOST_INITIAL: usize = 1 << 28;

impl Parser<'_> {
    /// The declarators after a state space, up to the semicolon.
    pub(super) fn variables(
        &mut self,
        space: Space,
        external: bool,
    ) -> Result<Vec<Variable>, LoadError> {
        let mut list = Vec::new();
        let (ty, align, lanes) = self.variable_type()?;
        loop {
            list.push(self.declarator(space, ty, align, lanes, external)?);
            if !self.take(",") {
                break;
            }
        }
        self.expect(";")?;
        Ok(list)
    }

    /// `.align 4 .v2 .b8 .ptr .global .align 1`: type, alignment (0 when not given), vector length.
    pub(super) fn variable_type(&mut self) -> Result<(Ty, u64, u64), LoadError> {
        let (mut ty, mut align, mut lanes, mut pointer) = (None, 0, 1, false);
        while self.peek().text.starts_with('.') && self.peek().kind == Kind::Word {
            let token = self.next();
            match token.text {
                ".align" => {
                    let value = self.integer()?;
                    if !value.is_power_of_two() || value > 1 << 16 {
                        return syntax(token.line, "an alignment is a power of two");
                    }
                    // After `.ptr` the alignment is that of the memory pointed at.
                    align = if pointer { align } else { value };
                }
                ".ptr" => pointer = true,
                ".global" | ".shared" | ".local" | ".const" if pointer => {}
                ".v2" => lanes = 2,
                ".v4" => lanes = 4,
                ".attribute" | ".managed" => {
                    return unsupported(token.line, token.text, "variable attributes");
                }
                name => match Ty::parse(&name[1..]) {
                    Some(t) => ty = Some(t),
                    None => return unsupported(token.line, name, "unknown type of a variable"),
                },
            }
        }
        let line = self.peek().line;
        match ty {
            Some(ty) => Ok((ty, align, lanes)),
            None => syntax(line, "a variable has no type"),
        }
    }

    fn declarator(
        &mut self,
        space: Space,
        ty: Ty,
        align: u64,
        lanes: u64,
        external: bool,
    ) -> Result<Variable, LoadError> {
        let line = self.peek().line;
        let name = self.word()?.to_string();
        let element = u64::from(ty.size()) * lanes;
        let mut bytes = element;
        let mut open = false;
        while self.take("[") {
            if self.take("]") {
                open = true;
                continue;
            }
            bytes = bytes.saturating_mul(self.integer()?);
            self.expect("]")?;
        }
        if bytes > MOST_BYTES {
            return syntax(line, format!("variable {name} has {bytes} bytes"));
        }
        let align = if align == 0 { element } else { align };
        let mut variable = Variable {
            name,
            space,
            align,
            bytes,
            init: Vec::new(),
            links: Vec::new(),
            external,
            line,
        };
        if self.take("=") {
            self.initialiser(ty, &mut variable)?;
        }
        if open {
            variable.bytes = variable.init.len() as u64;
        } else if variable.init.len() as u64 > bytes {
            return syntax(line, format!("variable {} has too many initial values", variable.name));
        }
        Ok(variable)
    }

    fn initialiser(&mut self, ty: Ty, into: &mut Variable) -> Result<(), LoadError> {
        let mut depth = 0;
        loop {
            let token = self.peek();
            if self.take("{") {
                depth += 1;
                continue;
            }
            if self.take("}") {
                depth -= 1;
            } else if token.kind == Kind::Word {
                let mut name = self.word()?;
                let generic = name == "generic" && self.take("(");
                if generic {
                    name = self.word()?;
                    self.expect(")")?;
                }
                let offset = if self.take("+") { self.integer()? } else { 0 };
                into.links.push((into.init.len() as u64, name.to_string()));
                let size = ty.size() as usize;
                into.init.extend(&offset.to_le_bytes()[..size]);
            } else {
                let bits = match (self.number()?, ty) {
                    (Operand::Int(v), _) => v,
                    (Operand::F32(v), _) => u64::from(v),
                    (Operand::F64(v), Ty::F32) => u64::from((f64::from_bits(v) as f32).to_bits()),
                    (Operand::F64(v), _) => v,
                    _ => return syntax(token.line, "expected a number"),
                };
                into.init.extend(&bits.to_le_bytes()[..ty.size() as usize]);
            }
            if into.init.len() > MOST_INITIAL {
                return syntax(token.line, "the initialiser is too long");
            }
            if depth == 0 {
                return Ok(());
            }
            if self.peek().text == "}" {
                continue;
            }
            self.expect(",")?;
        }
    }

    pub(super) fn params(&mut self) -> Result<Vec<Variable>, LoadError> {
        let mut list = Vec::new();
        if self.take("(") {
            while !self.take(")") {
                let line = self.peek().line;
                if !self.take(".param") && !self.take(".reg") {
                    return syntax(line, "expected .param");
                }
                let (ty, align, lanes) = self.variable_type()?;
                list.push(self.declarator(Space::Param, ty, align, lanes, false)?);
                if !self.take(",") && self.peek().text != ")" {
                    return syntax(line, "expected `,` or `)` after a parameter");
                }
            }
        }
        Ok(list)
    }
}
