//! The table of operations: name, fields, and which registers each reads and writes.
//!
//! `d` is written, `a b c e` are read. A new operation is a row here, and an arm in the warp loop.

use super::operands::operations;
use super::*;

operations! {
    // Name, attributes in brackets, registers read and written with their files.
    flat {
        Mov32 [] (a: W) -> (d: W);
        Add32 [] (a: W, b: W) -> (d: W);
        Mul32 [] (a: W, b: W) -> (d: W);
        And32 [] (a: W, b: W) -> (d: W);
        Shl32 [] (a: W, b: W) -> (d: W);
        Mad32 [] (a: W, b: W, c: W) -> (d: W);
        AddF32 [] (a: W, b: W) -> (d: W);
        SubF32 [] (a: W, b: W) -> (d: W);
        MulF32 [] (a: W, b: W) -> (d: W);
        FmaF32 [] (a: W, b: W, c: W) -> (d: W);
        Int32 [op: IntOp] (a: W, b: W, c: W) -> (d: W);
        Bfi32 [] (a: W, b: W, c: W, e: W) -> (d: W);
        F32 [op: FloatOp, mode: Mode] (a: W, b: W, c: W) -> (d: W);
        /// Two 16-bit floats in a register, or one in the low half when `single`.
        Half [op: FloatOp, bf16: bool, single: bool, mode: Mode] (a: W, b: W, c: W) -> (d: W);
        Mov64 [] (a: D) -> (d: D);
        Add64 [] (a: D, b: D) -> (d: D);
        Int64 [op: IntOp] (a: D, b: D, c: D) -> (d: D);
        /// Shifts: the amount is in `W`.
        Shift64 [op: Shift] (a: D, b: W) -> (d: D);
        Bfi64 [] (a: D, b: D, c: W, e: W) -> (d: D);
        /// d = bfe(a, b, c) with position and length in `W`.
        Bfe64 [signed: bool] (a: D, b: W, c: W) -> (d: D);
        /// popc, clz, bfind of 64 bits into `W`.
        Count64 [op: IntOp] (a: D) -> (d: W);
        MulWide [signed: bool] (a: W, b: W) -> (d: D);
        MadWide [signed: bool] (a: W, b: W, c: D) -> (d: D);
        F64 [op: FloatOp] (a: D, b: D, c: D) -> (d: D);
        Pack64 [] (a: W, b: W) -> (d: D);
        Unpack64 [] (a: D) -> (d: W, e: W);
        Pack16 [] (a: W, b: W) -> (d: W);
        Unpack16 [] (a: W) -> (d: W, e: W);
        Cvt [cvt: Box<Cvt>] (a: file_of(cvt.from)) -> (d: file_of(cvt.to));
        /// cvt of two f32 into a pair of 16-bit floats; `a` is the upper half.
        CvtPack [bf16: bool, round: Round, relu: bool] (a: W, b: W) -> (d: W);
        Setp [ty: Ty, cmp: Cmp, ftz: bool] (a: file_of(*ty), b: file_of(*ty)) -> (d: P);
        /// testp: 0 finite, 1 infinite, 2 number, 3 notanumber, 4 normal, 5 subnormal.
        Testp [wide: bool, what: u8] (a: word_or_wide(*wide)) -> (d: P);
        Sel32 [] (p: P, a: W, b: W) -> (d: W);
        Sel64 [] (p: P, a: D, b: D) -> (d: D);
        Pred [op: PredOp] (a: P, b: P) -> (d: P);
        Vote [mode: VoteMode, negate: bool] (p: P, mask: W)
            -> (d: if *mode == VoteMode::Ballot { W } else { P });
        /// match.any (or match.all with a predicate) of 32-bit values.
        Match [all: bool, wide: bool] (a: word_or_wide(*wide), mask: W) -> (d: W, p: P);
        Redux [op: AtomOp, signed: bool] (a: W, mask: W) -> (d: W);
        ActiveMask [] () -> (d: W);
        WarpBar [] (mask: W) -> ();
        /// `of_block`: orders memory for the threads of the block alone.
        Fence [of_block: bool] () -> ();
        CpWait [pending: u32] () -> ();
        MovMatrix [] (a: W) -> (d: W);
        Clock [wide: bool] () -> (d: word_or_wide(*wide));
        /// isspacep: `space` of the generic address `a`.
        IsSpace [space: Space] (a: D) -> (d: P);
        Bra [target: u32, cost: u32] () -> ();
        /// Lanes of `p` (or of its complement) go to `target`.
        BraIf [target: u32, reconverge: u32, negate: bool, cost: u32] (p: P) -> ();
    }
    // What has more fields keeps them in a box.
    boxed {
        Ld(m: Access) (address: m.address_file) -> (regs: m.file);
        St(m: Access) (address: m.address_file, regs: m.file) -> ();
        Atom(m: Atom) (address: m.address_file, a: m.file, b: m.file) -> (d: m.file);
        Shfl(m: Shfl) (a: W, b: W, c: W, mask: W) -> (d: W, p: P);
        Bar(m: Bar) (id: W, count: W, p: P) -> (d: if m.red == Some(BarRed::Popc) { W } else { P });
        CpAsync(m: CpAsync) (to: m.to_file, from: D, source_bytes: W, ignore: P) -> ();
        LdMatrix(m: LdMatrix) (address: m.address_file) -> (regs: W);
        Mma(m: Mma) (a: W, b: W, c: W) -> (d: W);
        Call(m: Call) () -> ();
        Track(m: Track) () -> ();
    }
    bare {
        CpCommit;
        /// Lanes that wait here for the others meet them.
        Join;
        Exit;
        Trap;
    }
}

/// File of a value of 64 bits, or of one of 32.
fn word_or_wide(wide: bool) -> File {
    if wide { File::D } else { File::W }
}
