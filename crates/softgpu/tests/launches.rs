//! What a launch is given and tells beside its result: the bytes it touched, and the budget of a block.

use softgpu::{FindingKind, LaunchConfig, LoadOptions, Memory, Module, Options, launch};

const PTX: &str = "
.version 8.0
.target sm_80
.address_size 64

// Each of 2 x 64 threads: an atomic on a word of `sums`, a byte of `bytes` copied two places on, and 16
// bytes of `words` copied to shared memory by the first lane of a block.
.visible .entry touch(.param .u64 sums, .param .u64 bytes, .param .u64 words) {
    .shared .align 16 .b8 tile[16];
    .reg .pred %p<2>;
    .reg .b16 %h<2>;
    .reg .b32 %r<8>;
    .reg .b64 %rd<9>;
    ld.param.u64 %rd1, [sums];
    ld.param.u64 %rd2, [bytes];
    ld.param.u64 %rd3, [words];
    mov.u32 %r1, %tid.x;
    mov.u32 %r2, %ctaid.x;
    mul.wide.u32 %rd4, %r2, 8;
    add.s64 %rd5, %rd1, %rd4;
    mov.u32 %r3, 1;
    atom.global.add.u32 %r4, [%rd5], %r3;
    mad.lo.u32 %r5, %r2, 64, %r1;
    mul.wide.u32 %rd6, %r5, 4;
    add.s64 %rd7, %rd2, %rd6;
    ld.global.u8 %h1, [%rd7];
    st.global.u8 [%rd7+2], %h1;
    setp.ne.u32 %p1, %r1, 0;
    @%p1 bra END;
    mul.wide.u32 %rd6, %r2, 32;
    add.s64 %rd8, %rd3, %rd6;
    mov.u32 %r6, tile;
    cp.async.ca.shared.global [%r6], [%rd8], 16;
    cp.async.commit_group;
    cp.async.wait_group 0;
END:
    ret;
}

.visible .entry count(.param .u32 turns) {
    .reg .pred %p<2>;
    .reg .b32 %r<3>;
    ld.param.u32 %r1, [turns];
    mov.u32 %r2, 0;
LOOP:
    add.u32 %r2, %r2, 1;
    setp.lt.u32 %p1, %r2, %r1;
    @%p1 bra LOOP;
    ret;
}";

fn config(blocks: u32, threads: u32) -> LaunchConfig {
    LaunchConfig { grid: [blocks, 1, 1], block: [threads, 1, 1], dynamic_shared_bytes: 0 }
}

#[test]
fn a_launch_tells_the_bytes_it_touched() {
    let memory = Memory::new(1 << 20);
    let module = Module::load(PTX, &LoadOptions::default(), &memory).unwrap();
    let arguments: Vec<u64> = (0..3).map(|_| memory.alloc(512).unwrap()).collect();
    for &address in &arguments {
        memory.fill(address, &[1], 512).unwrap();
    }
    let params: Vec<u8> = arguments.iter().flat_map(|a| a.to_le_bytes()).collect();
    let [sums, bytes, words] = arguments[..] else { unreachable!("three were made") };
    for (counters, threads) in [(true, 1), (false, 1), (false, 2)] {
        let options = Options { touches: true, counters, threads, ..Options::default() };
        let report = launch(&module, "touch", config(2, 64), &params, &memory, &options).unwrap();
        assert_eq!(report.counters.is_some(), counters);
        let touches = report.touches.expect("they were asked for");
        let mut reads: Vec<_> = (0..128).map(|i| bytes + 4 * i..bytes + 4 * i + 1).collect();
        reads.extend([words..words + 16, words + 32..words + 48]);
        assert_eq!(touches.reads, reads);
        let mut writes = Vec::from([sums..sums + 4, sums + 8..sums + 12]);
        writes.extend((0..128).map(|i| bytes + 4 * i + 2..bytes + 4 * i + 3));
        assert_eq!(touches.writes, writes);
    }
    let report =
        launch(&module, "touch", config(2, 64), &params, &memory, &Options::default()).unwrap();
    assert_eq!(report.touches, None, "they were not asked for");
}

#[test]
fn the_budget_is_of_a_block_with_all_its_warps() {
    let memory = Memory::new(1 << 20);
    let module = Module::load(PTX, &LoadOptions::default(), &memory).unwrap();
    // 100 turns of three instructions, and two before them.
    let run = |blocks, threads, budget| {
        let options = Options { budget, ..Options::default() };
        let result = launch(
            &module,
            "count",
            config(blocks, threads),
            &100u32.to_le_bytes(),
            &memory,
            &options,
        );
        result.map(|_| ()).map_err(|fault| fault.finding.kind)
    };
    assert_eq!(run(1, 32, 310), Ok(()));
    assert_eq!(run(1, 64, 310), Err(FindingKind::Hang), "two warps need twice as much");
    assert_eq!(run(1, 64, 620), Ok(()));
    assert_eq!(run(5, 64, 620), Ok(()), "each block has its own");
    assert_eq!(run(1, 32, 290), Err(FindingKind::Hang));
}
