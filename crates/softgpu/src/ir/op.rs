//! The instructions themselves, flat so that the warp loop is one match; `d` is written, `a b c e` are read.

use super::*;

#[derive(Clone, Debug)]
pub(crate) enum Op {
    Mov32 {
        d: R,
        a: R,
    },
    Add32 {
        d: R,
        a: R,
        b: R,
    },
    Mul32 {
        d: R,
        a: R,
        b: R,
    },
    And32 {
        d: R,
        a: R,
        b: R,
    },
    Shl32 {
        d: R,
        a: R,
        b: R,
    },
    Mad32 {
        d: R,
        a: R,
        b: R,
        c: R,
    },
    AddF32 {
        d: R,
        a: R,
        b: R,
    },
    SubF32 {
        d: R,
        a: R,
        b: R,
    },
    MulF32 {
        d: R,
        a: R,
        b: R,
    },
    FmaF32 {
        d: R,
        a: R,
        b: R,
        c: R,
    },
    Int32 {
        op: IntOp,
        d: R,
        a: R,
        b: R,
        c: R,
    },
    Bfi32 {
        d: R,
        a: R,
        b: R,
        c: R,
        e: R,
    },
    F32 {
        op: FloatOp,
        mode: Mode,
        d: R,
        a: R,
        b: R,
        c: R,
    },
    /// Two 16-bit floats in a register, or one in the low half when `single`.
    Half {
        op: FloatOp,
        bf16: bool,
        single: bool,
        mode: Mode,
        d: R,
        a: R,
        b: R,
        c: R,
    },
    Mov64 {
        d: R,
        a: R,
    },
    Add64 {
        d: R,
        a: R,
        b: R,
    },
    Int64 {
        op: IntOp,
        d: R,
        a: R,
        b: R,
        c: R,
    },
    /// Shifts: the amount is in `W`.
    Shift64 {
        op: Shift,
        d: R,
        a: R,
        b: R,
    },
    Bfi64 {
        d: R,
        a: R,
        b: R,
        c: R,
        e: R,
    },
    /// d = bfe(a, b, c) with position and length in `W`.
    Bfe64 {
        signed: bool,
        d: R,
        a: R,
        b: R,
        c: R,
    },
    /// popc, clz, bfind of 64 bits into `W`.
    Count64 {
        op: IntOp,
        d: R,
        a: R,
    },
    MulWide {
        signed: bool,
        d: R,
        a: R,
        b: R,
    },
    MadWide {
        signed: bool,
        d: R,
        a: R,
        b: R,
        c: R,
    },
    F64 {
        op: FloatOp,
        d: R,
        a: R,
        b: R,
        c: R,
    },
    Pack64 {
        d: R,
        a: R,
        b: R,
    },
    Unpack64 {
        d: R,
        e: R,
        a: R,
    },
    Pack16 {
        d: R,
        a: R,
        b: R,
    },
    Unpack16 {
        d: R,
        e: R,
        a: R,
    },
    /// File by the types.
    Cvt {
        cvt: Box<Cvt>,
        d: R,
        a: R,
    },
    /// cvt of two f32 into a pair of 16-bit floats; `a` is the upper half.
    CvtPack {
        bf16: bool,
        round: Round,
        relu: bool,
        d: R,
        a: R,
        b: R,
    },
    Setp {
        ty: Ty,
        cmp: Cmp,
        ftz: bool,
        d: R,
        a: R,
        b: R,
    },
    /// testp: 0 finite, 1 infinite, 2 number, 3 notanumber, 4 normal, 5 subnormal.
    Testp {
        wide: bool,
        what: u8,
        d: R,
        a: R,
    },
    Sel32 {
        d: R,
        a: R,
        b: R,
        p: R,
    },
    Sel64 {
        d: R,
        a: R,
        b: R,
        p: R,
    },
    Pred {
        op: PredOp,
        d: R,
        a: R,
        b: R,
    },
    Ld(Box<Access>),
    St(Box<Access>),
    Atom(Box<Atom>),
    Shfl(Box<Shfl>),
    /// `d` is in W for ballot, in P else.
    Vote {
        mode: VoteMode,
        d: R,
        p: R,
        negate: bool,
        mask: R,
    },
    /// match.any (or match.all with a predicate) of 32-bit values.
    Match {
        all: bool,
        wide: bool,
        d: R,
        p: R,
        a: R,
        mask: R,
    },
    Redux {
        op: AtomOp,
        signed: bool,
        d: R,
        a: R,
        mask: R,
    },
    ActiveMask {
        d: R,
    },
    Bar(Box<Bar>),
    WarpBar {
        mask: R,
    },
    Fence {
        /// Orders memory for the threads of the block alone.
        of_block: bool,
    },
    CpAsync(Box<CpAsync>),
    CpCommit,
    CpWait {
        pending: u32,
    },
    LdMatrix(Box<LdMatrix>),
    MovMatrix {
        d: R,
        a: R,
    },
    Mma(Box<Mma>),
    Call(Box<Call>),
    Clock {
        d: R,
        wide: bool,
    },
    /// isspacep: `space` of the generic address `a`.
    IsSpace {
        space: Space,
        d: R,
        a: R,
    },
    /// Unconditional when `uniform`; else lanes of `p` (or of its complement) go to `target`.
    Bra {
        target: u32,
        cost: u32,
    },
    BraIf {
        target: u32,
        reconverge: u32,
        p: R,
        negate: bool,
        cost: u32,
    },
    /// Lanes that wait here for the others meet them.
    Join,
    Exit,
    Trap,
    Track(Box<Track>),
}
