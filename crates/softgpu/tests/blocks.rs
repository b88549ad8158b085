//! Blocks that share a sum: each leaves its part, draws a ticket, and the one that drew the last adds up.
//! Without one of the fences or the barrier that order this, the last block races with the others.

mod common;

use common::{Args, Device};
use softgpu::{Checks, FindingKind, Options, Order};

/// Two warps a block; warp 1 writes the part, thread 0 draws the ticket, warp 1 adds up.
const PTX: &str = "
.version 8.0
.target sm_80
.address_size 64
.visible .entry shared_sum(.param .u64 parts, .param .u64 ticket, .param .u64 sum) {
    .shared .align 4 .b8 last[4];
    .reg .pred %p<4>;
    .reg .b32 %r<12>;
    .reg .b64 %rd<8>;
    ld.param.u64 %rd1, [parts];
    ld.param.u64 %rd2, [ticket];
    ld.param.u64 %rd3, [sum];
    mov.u32 %r1, %tid.x;
    mov.u32 %r2, %ctaid.x;
    mov.u32 %r3, %nctaid.x;
    setp.ne.u32 %p1, %r1, 32;
    @%p1 bra WRITTEN;
    mul.wide.u32 %rd4, %r2, 4;
    add.s64 %rd5, %rd1, %rd4;
    add.u32 %r4, %r2, 1;
    st.global.u32 [%rd5], %r4;
WRITTEN:
    membar.gl; // before
    bar.sync 0; // all have written
    setp.ne.u32 %p2, %r1, 0;
    @%p2 bra DRAWN;
    mov.u32 %r5, 1;
    atom.global.add.u32 %r6, [%rd2], %r5;
    st.shared.u32 [last], %r6;
DRAWN:
    bar.sync 0;
    ld.shared.u32 %r7, [last];
    add.u32 %r7, %r7, 1;
    setp.ne.u32 %p3, %r7, %r3;
    @%p3 bra END;
    membar.gl; // after
    @%p1 bra END;
    mov.u32 %r8, 0;
    mov.u32 %r9, 0;
LOOP:
    mul.wide.u32 %rd4, %r8, 4;
    add.s64 %rd5, %rd1, %rd4;
    ld.global.u32 %r10, [%rd5];
    add.u32 %r9, %r9, %r10;
    add.u32 %r8, %r8, 1;
    setp.lt.u32 %p2, %r8, %r3;
    @%p2 bra LOOP;
    st.global.u32 [%rd3], %r9;
END:
    ret;
}";

/// What is found when `blocks` blocks run the text without the line that ends in `without`.
fn found(without: &str, blocks: u32, order: Order, threads: usize) -> Vec<FindingKind> {
    let keep = |line: &&str| without.is_empty() || !line.ends_with(without);
    let text: Vec<&str> = PTX.lines().filter(keep).collect();
    assert_eq!(text.len() < PTX.lines().count(), !without.is_empty());
    let device = Device::new(&text.join("\n"));
    let [parts, ticket, sum] = [4 * blocks as usize, 4, 4].map(|n| device.zeros(n));
    let args = Args::default().u64(parts).u64(ticket).u64(sum);
    let checks = Checks::DEFAULT | Checks::GLOBAL_RACE;
    let options = Options { checks, order, threads, ..Options::default() };
    let report = device.run("shared_sum", [blocks, 1, 1], 64, 0, &args, &options).unwrap();
    report.findings.iter().map(|finding| finding.kind).collect()
}

#[test]
fn a_sum_that_is_handed_on_is_no_race() {
    for order in [Order::Forward, Order::Reverse, Order::Seeded(3)] {
        for threads in [1, 4] {
            assert_eq!(found("", 40, order, threads), [], "{order:?}, {threads} threads");
        }
    }
}

#[test]
fn a_missing_fence_or_barrier_is() {
    for without in ["// before", "// after", "// all have written"] {
        let kinds = found(without, 5, Order::Forward, 1);
        assert!(kinds.contains(&FindingKind::GlobalRace), "without {without:?}: {kinds:?}");
    }
    // One block has nothing to hand on.
    assert_eq!(found("// after", 1, Order::Forward, 1), []);
}

#[test]
fn a_fence_for_the_block_alone_hands_nothing_on() {
    let text = PTX.replace("membar.gl; // before", "membar.cta;");
    let device = Device::new(&text);
    let [parts, ticket, sum] = [20, 4, 4].map(|n| device.zeros(n));
    let args = Args::default().u64(parts).u64(ticket).u64(sum);
    let options = Options { checks: Checks::GLOBAL_RACE, threads: 1, ..Options::default() };
    let report = device.run("shared_sum", [5, 1, 1], 64, 0, &args, &options).unwrap();
    assert_eq!(report.findings[0].kind, FindingKind::GlobalRace);
    assert_eq!(device.read(sum, 1), [15]);
}
