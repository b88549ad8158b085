//! Decoded instructions: what the warp loop executes.
//!
//! Registers live in three files: `W` (32 lanes of 32 bits, narrower values zero-extended), `D` (32 lanes of
//! 64 bits) and `P` (one bit a lane). An operand is an index into its file. Until slots are
//! allocated the indices are virtual registers.

mod op;
mod operands;

pub(crate) use op::Op;

use crate::ptx::ast::{Space, Ty};
use crate::report::SourceLine;

/// A register: virtual before allocation, a slot after.
pub(crate) type R = u16;

/// Which register file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum File {
    W,
    D,
    P,
}

/// Integer operations; those on 32 bits take up to three operands in `W`, those on 64 bits in `D`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum IntOp {
    Sub,
    MulHiS,
    MulHiU,
    DivS,
    DivU,
    RemS,
    RemU,
    MinS,
    MinU,
    MaxS,
    MaxU,
    Or,
    Xor,
    Not,
    Cnot,
    Neg,
    Abs,
    ShrU,
    ShrS,
    Popc,
    Clz,
    Brev,
    BfindS,
    BfindU,
    BfindShiftS,
    BfindShiftU,
    BfeS,
    BfeU,
    MadHiS,
    MadHiU,
    SadS,
    SadU,
    Prmt(u8),
    Lop3(u8),
    ShfLeft,
    ShfLeftWrap,
    ShfRight,
    ShfRightWrap,
    BmskClamp,
    BmskWrap,
    /// Signedness of the first and the second operand.
    Dp4a(bool, bool),
    AddSatS,
    SubSatS,
    Mul24S,
    Mul24U,
    /// Keep the low 16 bits, sign- or zero-extended to 32.
    Sext16,
    Zext16,
    /// 64-bit forms of what has its own hot variant at 32 bits.
    And,
    Mul,
    Mad,
}

/// Rounding of a float operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub(crate) enum Round {
    #[default]
    Near,
    Zero,
    Down,
    Up,
}

/// Float operations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FloatOp {
    Add,
    Sub,
    Mul,
    Fma,
    Div,
    DivApprox,
    Rcp,
    Sqrt,
    Rsqrt,
    Ex2,
    Lg2,
    Sin,
    Cos,
    Tanh,
    Abs,
    Neg,
    Min,
    Max,
    MinNan,
    MaxNan,
    Copysign,
}

/// Modifiers of a float operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub(crate) struct Mode {
    pub round: Round,
    /// Subnormal inputs and results become zeros of their sign.
    pub ftz: bool,
    /// The result is clamped to [0, 1], NaN to 0.
    pub sat: bool,
    /// Negative results become 0 (fma.relu).
    pub relu: bool,
}

/// Comparisons; those ending in `u` are true when an operand is NaN.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cmp {
    Eq,
    Ne,
    Lt,
    Le,
    Gt,
    Ge,
    Equ,
    Neu,
    Ltu,
    Leu,
    Gtu,
    Geu,
    Num,
    Nan,
}

/// Logic on predicates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PredOp {
    And,
    Or,
    Xor,
    Not,
    Mov,
}

/// A conversion.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Cvt {
    pub to: Ty,
    pub from: Ty,
    pub round: Round,
    /// Ties away from zero (`.rna`), for tf32.
    pub away: bool,
    /// Round to an integral value (`.rni`, `.rzi`, `.rmi`, `.rpi`).
    pub integral: bool,
    pub ftz: bool,
    pub sat: bool,
    pub relu: bool,
}

/// A load or a store.
#[derive(Clone, Debug)]
pub(crate) struct Access {
    pub space: Space,
    /// Bytes of one element: 1, 2, 4, 8.
    pub width: u32,
    /// Sign extension of loads narrower than a register.
    pub signed: bool,
    /// One to four registers; file D when `width` is 8 or the register is 64 bits wide.
    pub regs: Vec<R>,
    pub file: File,
    pub address: R,
    /// File of the address register.
    pub address_file: File,
    pub offset: i64,
    /// Registers given as `_`: loads to nowhere.
    pub id: u32,
}

/// Read-modify-write operations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AtomOp {
    Add,
    Min,
    Max,
    And,
    Or,
    Xor,
    Exch,
    Cas,
    Inc,
    Dec,
}

#[derive(Clone, Debug)]
pub(crate) struct Atom {
    pub op: AtomOp,
    pub ty: Ty,
    pub space: Space,
    /// `None` for `red`.
    pub d: Option<R>,
    pub a: R,
    pub b: R,
    pub file: File,
    pub address: R,
    pub address_file: File,
    pub offset: i64,
    pub id: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ShflMode {
    Up,
    Down,
    Bfly,
    Idx,
}

#[derive(Clone, Debug)]
pub(crate) struct Shfl {
    pub mode: ShflMode,
    pub d: R,
    pub p: Option<R>,
    pub a: R,
    pub b: R,
    pub c: R,
    pub mask: R,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum VoteMode {
    All,
    Any,
    Uni,
    Ballot,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BarRed {
    Popc,
    And,
    Or,
}

#[derive(Clone, Debug)]
pub(crate) struct Bar {
    pub id: R,
    /// Threads that take part; `None` means the whole block.
    pub count: Option<R>,
    /// Whether the warp waits (`sync`, `red`) or only arrives.
    pub waits: bool,
    /// A reduction; then there are its predicate and its destination, in file W for popc, P else.
    pub red: Option<BarRed>,
    pub p: Option<R>,
    pub d: Option<R>,
}

#[derive(Clone, Debug)]
pub(crate) struct CpAsync {
    pub bytes: u32,
    pub to: R,
    pub to_file: File,
    pub to_offset: i64,
    pub from: R,
    pub from_offset: i64,
    /// Bytes really read; the rest is zero.
    pub source_bytes: Option<R>,
    /// A predicate that, where true, makes the copy write zeros only.
    pub ignore: Option<R>,
    pub id: u32,
}

impl CpAsync {
    /// The second number of the instruction among the accesses: that of its destination.
    pub fn to_id(&self) -> u32 {
        self.id + 1
    }
}

#[derive(Clone, Debug)]
pub(crate) struct LdMatrix {
    pub regs: Vec<R>,
    pub transposed: bool,
    pub address: R,
    pub address_file: File,
    pub offset: i64,
    pub id: u32,
}

/// Operand type of `mma`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MmaType {
    Tf32,
    F16,
    Bf16,
}

#[derive(Clone, Debug)]
pub(crate) struct Mma {
    pub ty: MmaType,
    pub k: u32,
    /// Accumulators and results in f16 pairs instead of f32.
    pub half: bool,
    pub d: Vec<R>,
    pub a: Vec<R>,
    pub b: Vec<R>,
    pub c: Vec<R>,
}

/// A call of one of the functions that the device library provides.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    pub assert: bool,
    /// Local-memory offsets of the parameters.
    pub args: Vec<u32>,
    /// Local-memory offset of the return value.
    pub result: Option<u32>,
}

/// Which registers an instruction that may touch undefined values defines and reads.
#[derive(Clone, Debug, Default)]
pub(crate) struct Track {
    /// Index of tracked registers (not slots).
    pub defines: Vec<u16>,
    pub reads: Vec<u16>,
    /// A read of an undefined value is an error here: address, predicate, stored value.
    pub consumes: bool,
    /// Loads and other definitions whose value does not depend on `reads`.
    pub fresh: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shift {
    Left,
    RightU,
    RightS,
}

/// No guard.
pub(crate) const ALWAYS: R = R::MAX;

#[derive(Clone, Debug)]
pub(crate) struct Inst {
    pub op: Op,
    /// Predicate, or [`ALWAYS`].
    pub guard: R,
    pub negate: bool,
    /// Index into [`Program::info`].
    pub info: u32,
}

/// What reports and counters need of an instruction.
#[derive(Clone, Debug, Default)]
pub(crate) struct Info {
    pub line: u32,
    pub opcode: String,
    pub source: Option<SourceLine>,
}

/// A special register that a warp's start fills in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Special {
    Tid(u8),
    Ntid(u8),
    Ctaid(u8),
    Nctaid(u8),
    Lane,
    Warp,
    Nwarp,
    MaskEq,
    MaskLt,
    MaskLe,
    MaskGt,
    MaskGe,
    DynamicShared,
    TotalShared,
    Zero,
}

/// A kernel ready to run.
#[derive(Clone, Debug, Default)]
pub(crate) struct Program {
    pub code: Vec<Inst>,
    pub info: Vec<Info>,
    /// Slots of the three files.
    pub slots: [usize; 3],
    pub constants32: Vec<(R, u32)>,
    pub constants64: Vec<(R, u64)>,
    pub specials: Vec<(R, Special)>,
    pub tracked: usize,
    /// Static shared bytes, and the alignment of dynamic shared memory behind them.
    pub shared_bytes: u32,
    pub shared_align: u32,
    pub local_bytes: u32,
    pub max_live: u32,
    /// Number of memory instructions (`id` fields).
    pub accesses: u32,
}

impl Program {
    /// Whether every barrier is one of the whole block that all its warps wait at.
    pub fn whole_barriers(&self) -> bool {
        self.code.iter().all(|inst| match &inst.op {
            Op::Bar(bar) => bar.count.is_none() && bar.waits,
            _ => true,
        })
    }
}

/// How an operand is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    Read,
    Write,
}

/// File that holds a value of the type.
pub(crate) fn file_of(ty: Ty) -> File {
    match ty {
        Ty::Pred => File::P,
        _ if ty.size() == 8 => File::D,
        _ => File::W,
    }
}
