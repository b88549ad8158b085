//! The parser: directives, declarations with initialisers, instructions.

use super::ast::*;
use super::lex::{Kind, Token, lex};
use super::scope::Scopes;
use crate::load_error::LoadError;

pub(super) struct Parser<'a> {
    tokens: Vec<Token<'a>>,
    at: usize,
    ptx: Ptx,
}

/// Parses a module. Every error names its line.
pub(crate) fn parse(text: &str) -> Result<Ptx, LoadError> {
    let mut parser = Parser { tokens: lex(text)?, at: 0, ptx: Ptx::default() };
    parser.module()?;
    Ok(parser.ptx)
}

impl<'a> Parser<'a> {
    pub(super) fn peek(&self) -> Token<'a> {
        self.tokens[self.at]
    }

    pub(super) fn next(&mut self) -> Token<'a> {
        let token = self.tokens[self.at];
        if token.kind != Kind::End {
            self.at += 1;
        }
        token
    }

    /// Takes the token if it reads `text` (strings never match).
    pub(super) fn take(&mut self, text: &str) -> bool {
        let token = self.peek();
        let found = token.text == text && !matches!(token.kind, Kind::Text | Kind::End);
        self.at += usize::from(found);
        found
    }

    pub(super) fn expect(&mut self, text: &str) -> Result<(), LoadError> {
        if self.take(text) {
            return Ok(());
        }
        let token = self.peek();
        syntax(token.line, format!("expected `{text}`, found `{}`", token.text))
    }

    pub(super) fn word(&mut self) -> Result<&'a str, LoadError> {
        let token = self.next();
        match token.kind {
            Kind::Word => Ok(token.text),
            _ => syntax(token.line, format!("expected a name, found `{}`", token.text)),
        }
    }

    pub(super) fn integer(&mut self) -> Result<u64, LoadError> {
        let line = self.peek().line;
        match self.number()? {
            Operand::Int(v) => Ok(v),
            _ => syntax(line, "expected an integer"),
        }
    }

    fn small(&mut self) -> Result<u32, LoadError> {
        let line = self.peek().line;
        match u32::try_from(self.integer()?) {
            Ok(v) => Ok(v),
            Err(_) => syntax(line, "the number is too large"),
        }
    }

    /// A number with an optional sign.
    pub(super) fn number(&mut self) -> Result<Operand, LoadError> {
        let negative = self.take("-");
        let token = self.next();
        let value = (token.kind == Kind::Number).then(|| literal(token.text)).flatten();
        Ok(match value {
            Some(Operand::Int(v)) if negative => Operand::Int(v.wrapping_neg()),
            Some(Operand::F32(v)) if negative => Operand::F32(v ^ 1 << 31),
            Some(Operand::F64(v)) if negative => Operand::F64(v ^ 1 << 63),
            Some(v) => v,
            None => {
                return syntax(token.line, format!("expected a number, found `{}`", token.text));
            }
        })
    }

    fn module(&mut self) -> Result<(), LoadError> {
        let (mut external, mut weak) = (false, false);
        loop {
            let token = self.next();
            if token.kind == Kind::End {
                break;
            }
            match token.text {
                ".version" => {
                    let number = self.next();
                    let parts = number.text.split_once('.');
                    let version = parts.and_then(|(a, b)| Some((a.parse().ok()?, b.parse().ok()?)));
                    let Some(version) = version else {
                        return syntax(number.line, "expected a version such as 8.0");
                    };
                    self.ptx.version = version;
                }
                ".target" => {
                    let name = self.word()?;
                    let digits = name.strip_prefix("sm_").map(|n| n.trim_end_matches(['a', 'f']));
                    let Some(target) = digits.and_then(|n| n.parse().ok()) else {
                        return syntax(token.line, format!("unknown target {name}"));
                    };
                    self.ptx.target = target;
                    while self.take(",") {
                        self.word()?;
                    }
                }
                ".address_size" => {
                    if self.integer()? != 64 {
                        return unsupported(token.line, ".address_size", "only 64-bit addresses");
                    }
                }
                ".file" => {
                    let id = self.small()?;
                    let name = self.next();
                    self.ptx.files.push((id, name.text.to_string()));
                    while self.take(",") {
                        self.number()?;
                    }
                }
                ".section" => self.section()?,
                ".pragma" => self.until_semicolon(),
                ".extern" => external = true,
                ".visible" => {}
                ".weak" | ".common" => weak = true,
                ".entry" | ".func" => {
                    self.function(token.text == ".entry")?;
                    (external, weak) = (false, false);
                }
                ".global" | ".const" | ".shared" => {
                    let space = match token.text {
                        ".global" => Space::Global,
                        ".const" => Space::Const,
                        _ => Space::Shared,
                    };
                    let variables = self.variables(space, external)?;
                    self.ptx.variables.extend(variables);
                    (external, weak) = (false, false);
                }
                ";" => {}
                _ if token.text.starts_with('.') => {
                    return unsupported(token.line, token.text, "unknown directive");
                }
                _ => {
                    return syntax(
                        token.line,
                        format!("expected a directive, found `{}`", token.text),
                    );
                }
            }
        }
        let _ = weak;
        if self.ptx.version == (0, 0) || self.ptx.target == 0 {
            return syntax(1, "the text has no .version and .target: it is not PTX");
        }
        Ok(())
    }

    fn until_semicolon(&mut self) {
        while self.peek().kind != Kind::End && !self.take(";") {
            self.next();
        }
    }

    /// Skips debug sections: `.section name { ... }`.
    fn section(&mut self) -> Result<(), LoadError> {
        self.word()?;
        self.expect("{")?;
        let mut depth = 1;
        while depth > 0 {
            let token = self.next();
            match token.text {
                _ if token.kind == Kind::End => return syntax(token.line, "a section has no end"),
                "{" => depth += 1,
                "}" => depth -= 1,
                _ => {}
            }
        }
        Ok(())
    }

    fn three(&mut self) -> Result<[u32; 3], LoadError> {
        let mut sizes = [1; 3];
        for (i, size) in sizes.iter_mut().enumerate() {
            if i == 0 || self.take(",") {
                *size = self.small()?;
            }
        }
        Ok(sizes)
    }

    fn function(&mut self, entry: bool) -> Result<(), LoadError> {
        let mut function = Function { entry, ..Function::default() };
        if !entry {
            self.params()?;
        }
        function.name = self.word()?.to_string();
        function.params = self.params()?;
        function.variables = function.params.clone();
        loop {
            let token = self.next();
            match token.text {
                ".maxntid" => function.max_threads = Some(self.three()?),
                ".reqntid" => function.required_threads = Some(self.three()?),
                ".minnctapersm" | ".maxnreg" | ".maxnctapersm" => {
                    self.small()?;
                }
                ".noreturn" => {}
                ".pragma" => self.until_semicolon(),
                ";" => break,
                "{" => {
                    function.has_body = true;
                    self.body(&mut function)?;
                    break;
                }
                text if text.starts_with('.') && token.kind == Kind::Word => {
                    return unsupported(token.line, text, "unknown directive of a function");
                }
                text => return syntax(token.line, format!("expected `{{`, found `{text}`")),
            }
        }
        self.ptx.functions.push(function);
        Ok(())
    }

    fn body(&mut self, function: &mut Function) -> Result<(), LoadError> {
        let mut scopes = Scopes::default();
        scopes.enter();
        for (index, param) in function.params.iter().enumerate() {
            scopes.variable(&param.name, index);
        }
        let mut loc = None;
        while scopes.depth() > 0 {
            let token = self.next();
            match token.text {
                _ if token.kind == Kind::End => return syntax(token.line, "a function has no end"),
                "{" => scopes.enter(),
                "}" => scopes.leave(),
                ";" => {}
                ".reg" => self.registers(&mut scopes, function)?,
                ".local" | ".shared" | ".param" => {
                    let space = match token.text {
                        ".local" => Space::Local,
                        ".shared" => Space::Shared,
                        _ => Space::Local,
                    };
                    for variable in self.variables(space, false)? {
                        scopes.variable(&variable.name, function.variables.len());
                        function.variables.push(variable);
                    }
                }
                ".loc" => {
                    let place = (self.small()?, self.small()?);
                    self.integer()?;
                    while self.take(",") {
                        // function_name label [+ n], inlined_at file line column
                        if self.word()? == "inlined_at" {
                            self.integer()?;
                            self.integer()?;
                            self.integer()?;
                        } else {
                            self.word()?;
                            if self.take("+") {
                                self.integer()?;
                            }
                        }
                    }
                    loc = Some(place);
                }
                ".pragma" => self.until_semicolon(),
                text if text.starts_with('.') && token.kind == Kind::Word => {
                    return unsupported(token.line, text, "unknown directive inside a function");
                }
                name if token.kind == Kind::Word && self.peek().text == ":" => {
                    self.next();
                    scopes.label(name, function.instructions.len(), token.line)?;
                }
                _ => {
                    self.at -= 1;
                    self.instruction(&mut scopes, function, loc)?;
                }
            }
        }
        scopes.resolve(|i, o, target| function.instructions[i].operands[o] = Operand::Label(target))
    }

    fn registers(&mut self, scopes: &mut Scopes, function: &mut Function) -> Result<(), LoadError> {
        let (ty, _, lanes) = self.variable_type()?;
        if lanes != 1 {
            return unsupported(self.peek().line, ".reg .v", "vector registers");
        }
        loop {
            let line = self.peek().line;
            let name = self.word()?;
            let count = if self.take("<") { Some(self.small()?) } else { None };
            if count.is_some() {
                self.expect(">")?;
            }
            scopes.register(&mut function.registers, ty, name, count, line)?;
            if !self.take(",") {
                return self.expect(";");
            }
        }
    }

    fn instruction(
        &mut self,
        scopes: &mut Scopes,
        function: &mut Function,
        loc: Option<(u32, u32)>,
    ) -> Result<(), LoadError> {
        let line = self.peek().line;
        let mut guard = None;
        if self.take("@") {
            let negated = self.take("!");
            let name = self.word()?;
            match scopes.find(name) {
                Some(Operand::Reg(id)) if function.registers[id as usize].ty == Ty::Pred => {
                    guard = Some((id, negated));
                }
                _ => return syntax(line, format!("{name} is no predicate register")),
            }
        }
        let opcode = self.word()?.to_string();
        let index = function.instructions.len();
        let mut operands = Vec::new();
        while !self.take(";") {
            if !operands.is_empty() {
                self.expect(",")?;
            }
            let token = self.peek();
            let branch = opcode == "bra" || opcode.starts_with("bra.");
            if branch && token.kind == Kind::Word {
                self.next();
                scopes.branch(index, operands.len(), token.text, token.line);
                operands.push(Operand::Sink);
            } else {
                operands.push(self.operand(scopes, 0)?);
            }
        }
        function.instructions.push(Instruction { guard, opcode, operands, line, loc });
        Ok(())
    }

    fn operand(&mut self, scopes: &Scopes, depth: u32) -> Result<Operand, LoadError> {
        let token = self.peek();
        if depth > 3 {
            return syntax(token.line, "operands are nested too deep");
        }
        let list = |parser: &mut Parser<'a>, end: &str| {
            let mut items = Vec::new();
            while !parser.take(end) {
                items.push(parser.operand(scopes, depth + 1)?);
                if !parser.take(",") && parser.peek().text != end {
                    return syntax(parser.peek().line, format!("expected `,` or `{end}`"));
                }
            }
            Ok(items)
        };
        if self.take("{") {
            return Ok(Operand::Vector(list(self, "}")?));
        }
        if self.take("(") {
            return Ok(Operand::Tuple(list(self, ")")?));
        }
        if self.take("!") {
            return Ok(Operand::Not(Box::new(self.operand(scopes, depth + 1)?)));
        }
        if self.take("[") {
            let base = self.operand(scopes, depth + 1)?;
            if self.take(",") {
                // Textures and tensor copies address by lists; their opcodes are refused later, by name.
                let mut items = vec![base];
                items.extend(list(self, "]")?);
                return Ok(Operand::Tuple(items));
            }
            let mut offset = 0;
            if self.take("+") || self.peek().text == "-" {
                offset = self.integer()? as i64;
            }
            self.expect("]")?;
            return Ok(Operand::Memory(Box::new(base), offset));
        }
        if token.kind == Kind::Number || token.text == "-" {
            return self.number();
        }
        let name = self.word()?;
        let value = match scopes.find(name) {
            Some(found) => found,
            None if name == "_" => Operand::Sink,
            None if name.starts_with('%') => Operand::Special(name.to_string()),
            None if name == "WARP_SZ" => Operand::Int(32),
            None => Operand::Name(name.to_string()),
        };
        if self.take("|") {
            let second = self.operand(scopes, depth + 1)?;
            return Ok(Operand::Pair(Box::new(value), Box::new(second)));
        }
        Ok(value)
    }
}

/// The value of a literal, if it is one.
fn literal(text: &str) -> Option<Operand> {
    let lower = text.to_ascii_lowercase();
    if let Some(hex) = lower.strip_prefix("0f").filter(|h| h.len() == 8) {
        return Some(Operand::F32(u32::from_str_radix(hex, 16).ok()?));
    }
    if let Some(hex) = lower.strip_prefix("0d").filter(|h| h.len() == 16) {
        return Some(Operand::F64(u64::from_str_radix(hex, 16).ok()?));
    }
    if let Some(hex) = lower.strip_prefix("0x") {
        return Some(Operand::Int(u64::from_str_radix(hex.trim_end_matches('u'), 16).ok()?));
    }
    if let Some(bits) = lower.strip_prefix("0b") {
        return Some(Operand::Int(u64::from_str_radix(bits.trim_end_matches('u'), 2).ok()?));
    }
    if lower.contains('.') {
        return Some(Operand::F64(lower.parse::<f64>().ok()?.to_bits()));
    }
    let digits = lower.trim_end_matches('u');
    let radix = if digits.len() > 1 && digits.starts_with('0') { 8 } else { 10 };
    Some(Operand::Int(u64::from_str_radix(digits, radix).ok()?))
}
