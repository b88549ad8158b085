//! Deliberate mistakes, to test the tests: each one must make some test fail.
//!
//! They exist only with the feature `mutants`; the environment variable `SOFTGPU_MUTANT` then names the one that
//! is made. Without the feature [`on`] is a constant `false` and nothing of this is left in the code. The
//! binary `mutants` runs the tests once for each and prints who noticed it.
#![cfg_attr(not(feature = "mutants"), allow(dead_code))]

macro_rules! mutants {
    ($($name:ident $text:literal,)*) => {
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(crate) enum Mutant { $($name,)* }

        /// Name and description of each mistake.
        pub const MUTANTS: &[(&str, &str)] = &[$((stringify!($name), $text),)*];
    };
}

mutants! {
    MmaARows "rows g and g + 8 of A are exchanged",
    MmaAHalves "the halves of k are exchanged in A alone",
    MmaBHalves "the halves of k are exchanged in B alone",
    MmaK "the halves of k are exchanged in A and B alike: invisible by algebra",
    MmaCColumns "columns 2t and 2t + 1 of C and D are exchanged",
    MmaGroups "lanes of A are grouped by eights instead of fours",
    MmaPair "the two 16-bit values of a register of A are exchanged",
    LdmatrixOrder "matrices 1 and 2 of ldmatrix.x4 are exchanged",
    LdmatrixTrans "ldmatrix ignores .trans",
    VectorOrder "the second and third element of a shared v4 load are exchanged",
    SharedRaceBlind "the race check forgets who read",
    BarrierClock "barriers do not order accesses for the race check",
    EpochExited "a barrier orders what exited warps did, too",
    CopyLanding "a copy that was waited for is no write of the warp that waited",
    LinesShift "patterns of touched cells begin at a line of 64",
    RunsEnd "the counts of a straight run go on past its end",
    ShflSource "shuffles down and up reach one lane too far",
    ShflClamp "shuffles ignore the end of the segment",
    ShflPredicate "the predicate of a shuffle is always true",
    VoteInactive "ballot counts lanes that do not vote",
    CopyZeros "cp.async does not fill with zeros",
    CopyHalf "cp.async of 16 bytes copies 8",
    WaitOne "wait_group leaves one group more",
    MulHi "mul.hi.s32 multiplies without sign",
    ShiftSign "shr.s32 brings in zeros",
    ShiftPast "shifts past the width wrap around",
    DivFloor "div.s32 rounds down",
    RemSign "rem.s32 takes the sign of the divisor",
    PrmtSign "prmt ignores the sign bit of its selectors",
    BfeSign "bfe.s32 does not extend the sign",
    BfiLength "bfi.b32 takes one bit too many",
    Dp4aSign "dp4a takes signed bytes as unsigned",
    Unordered "unordered comparisons are ordered",
    TiesAway "cvt.rni rounds ties away from zero",
    Saturation "float to integer wraps instead of saturating",
    NanInteger "NaN becomes the largest integer",
    Unfused "fma rounds its product first",
    FmaDirected "fma.rz rounds to nearest",
    MinNan "min gives NaN when one operand is NaN",
    ZeroSign "max takes -0 for larger than or equal to +0",
    Flush ".ftz keeps subnormal numbers",
    SatNan ".sat leaves NaN",
    Bf16Truncates "f32 to bf16 truncates",
    F16Overflow "f32 to f16 overflows to the largest number",
    F16Subnormal "subnormal f16 numbers read as zero",
    Tf32Truncates "cvt.rna.tf32 truncates",
    AtomInc "atom.inc wraps one too late",
    AtomMax "atom.max keeps the smaller value",
    BarrierPasses "bar.sync does not wait",
    NoMeeting "lanes that diverged never meet again",
    GuardSign "a negated guard is taken as plain",
    ExitAll "exit of some lanes ends the warp",
    LoadSign "narrow signed loads are not extended",
    LocalShared "all lanes share the local memory of lane 0",
    ValidBits "stores to global memory do not mark their bytes as written",
    Sectors "a sector has 64 bytes for the counters",
    Banks "there are 16 banks for the counters",
}

/// Whether the mistake is to be made.
#[cfg(feature = "mutants")]
pub(crate) fn on(mutant: Mutant) -> bool {
    use std::sync::OnceLock;
    static ACTIVE: OnceLock<usize> = OnceLock::new();
    let active = ACTIVE.get_or_init(|| {
        let name = std::env::var("SOFTGPU_MUTANT").unwrap_or_default();
        MUTANTS.iter().position(|m| m.0 == name).unwrap_or(usize::MAX)
    });
    *active == mutant as usize
}

/// Whether the mistake is to be made: never.
#[cfg(not(feature = "mutants"))]
#[inline(always)]
pub(crate) const fn on(_: Mutant) -> bool {
    false
}
