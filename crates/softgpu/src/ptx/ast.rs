//! The syntax tree of a PTX module.

use crate::load_error::LoadError;

/// A fundamental type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Ty {
    Pred,
    B8,
    B16,
    B32,
    B64,
    U8,
    U16,
    U32,
    U64,
    S8,
    S16,
    S32,
    S64,
    F16,
    F16x2,
    Bf16,
    Bf16x2,
    Tf32,
    F32,
    F64,
}

impl Ty {
    pub fn parse(text: &str) -> Option<Ty> {
        Some(match text {
            "pred" => Ty::Pred,
            "b8" => Ty::B8,
            "b16" => Ty::B16,
            "b32" => Ty::B32,
            "b64" => Ty::B64,
            "u8" => Ty::U8,
            "u16" => Ty::U16,
            "u32" => Ty::U32,
            "u64" => Ty::U64,
            "s8" => Ty::S8,
            "s16" => Ty::S16,
            "s32" => Ty::S32,
            "s64" => Ty::S64,
            "f16" => Ty::F16,
            "f16x2" => Ty::F16x2,
            "bf16" => Ty::Bf16,
            "bf16x2" => Ty::Bf16x2,
            "tf32" => Ty::Tf32,
            "f32" => Ty::F32,
            "f64" => Ty::F64,
            _ => return None,
        })
    }

    /// Bytes in memory.
    pub fn size(self) -> u32 {
        match self {
            Ty::Pred | Ty::B8 | Ty::U8 | Ty::S8 => 1,
            Ty::B16 | Ty::U16 | Ty::S16 | Ty::F16 | Ty::Bf16 => 2,
            Ty::B64 | Ty::U64 | Ty::S64 | Ty::F64 => 8,
            _ => 4,
        }
    }

    pub fn signed(self) -> bool {
        matches!(self, Ty::S8 | Ty::S16 | Ty::S32 | Ty::S64)
    }
}

/// A state space.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Space {
    Generic,
    Global,
    Shared,
    Local,
    Const,
    Param,
}

/// A variable of any space but registers.
#[derive(Clone, Debug)]
pub(crate) struct Variable {
    pub name: String,
    pub space: Space,
    pub align: u64,
    /// Bytes; 0 for an array of unknown length.
    pub bytes: u64,
    /// Initial bytes, possibly fewer than `bytes`; the rest is zero.
    pub init: Vec<u8>,
    /// Initialisers that are addresses of other variables: offset here, name, whether `generic(name)`.
    pub links: Vec<(u64, String)>,
    pub external: bool,
    pub line: u32,
}

/// An operand, names resolved.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Operand {
    /// A declared register.
    Reg(u32),
    /// An immediate: bits of an integer (sign extended), of an f32 (`0f`) or an f64 (`0d` or decimal).
    Int(u64),
    F32(u32),
    F64(u64),
    /// A special register such as `%tid.x`.
    Special(String),
    /// A variable: index into the function's variables.
    Local(usize),
    /// A name that no scope of the function declares: module variable, function, or unknown.
    Name(String),
    /// `[base + offset]`.
    Memory(Box<Operand>, i64),
    Vector(Vec<Operand>),
    /// `( a, b )` of calls.
    Tuple(Vec<Operand>),
    /// `d|p`.
    Pair(Box<Operand>, Box<Operand>),
    /// `!p`.
    Not(Box<Operand>),
    /// A branch target: index of a statement.
    Label(usize),
    /// `_`.
    Sink,
}

/// One instruction.
#[derive(Clone, Debug)]
pub(crate) struct Instruction {
    /// Predicate register, and whether the instruction executes where it is false.
    pub guard: Option<(u32, bool)>,
    /// Opcode with all modifiers, as written.
    pub opcode: String,
    pub operands: Vec<Operand>,
    pub line: u32,
    /// `.loc` in force: file number and line.
    pub loc: Option<(u32, u32)>,
}

/// One register.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Register {
    pub ty: Ty,
}

/// A kernel or a function.
#[derive(Clone, Debug, Default)]
pub(crate) struct Function {
    pub name: String,
    pub entry: bool,
    pub params: Vec<Variable>,
    pub has_body: bool,
    pub instructions: Vec<Instruction>,
    pub registers: Vec<Register>,
    /// Parameters first, then the variables of the body.
    pub variables: Vec<Variable>,
    pub max_threads: Option<[u32; 3]>,
    pub required_threads: Option<[u32; 3]>,
}

/// A module.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ptx {
    pub version: (u32, u32),
    pub target: u32,
    pub files: Vec<(u32, String)>,
    pub variables: Vec<Variable>,
    pub functions: Vec<Function>,
}

pub(crate) fn syntax<T>(line: u32, message: impl Into<String>) -> Result<T, LoadError> {
    Err(LoadError::Syntax { line, message: message.into() })
}

pub(crate) fn unsupported<T>(
    line: u32,
    opcode: &str,
    reason: impl Into<String>,
) -> Result<T, LoadError> {
    Err(LoadError::Unsupported { line, opcode: opcode.into(), reason: reason.into() })
}
