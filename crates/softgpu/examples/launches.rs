//! The fixed cost of a launch: a kernel of a few instructions, thousands of times.
//!
//! `cargo run -p softgpu --example launches`. The time is of this machine's processor and says
//! nothing about a card.

use softgpu::{Checks, LaunchConfig, LoadOptions, Memory, Module, Options, launch};
use std::time::Instant;

const PTX: &str = "
.version 8.0
.target sm_80
.address_size 64
.visible .entry add(.param .u64 to, .param .u64 from) {
    .reg .b64 %rd<5>;
    .reg .b32 %r<6>;
    ld.param.u64 %rd1, [to];
    ld.param.u64 %rd2, [from];
    mov.u32 %r1, %tid.x;
    mov.u32 %r2, %ctaid.x;
    mov.u32 %r3, %ntid.x;
    mad.lo.s32 %r1, %r2, %r3, %r1;
    mul.wide.u32 %rd3, %r1, 4;
    add.s64 %rd4, %rd2, %rd3;
    ld.global.u32 %r4, [%rd4];
    add.s64 %rd4, %rd1, %rd3;
    ld.global.u32 %r5, [%rd4];
    add.s32 %r5, %r5, %r4;
    st.global.u32 [%rd4], %r5;
    ret;
}";

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let memory = Memory::new(1 << 30);
    let module = Module::load(PTX, &LoadOptions::default(), &memory)?;
    // A training step has hundreds of allocations; the two that are used lie among them.
    let mut used = Vec::new();
    for i in 0..500 {
        let address = memory.alloc(if i == 250 || i == 251 { 64 << 20 } else { 4096 })?;
        if i == 250 || i == 251 {
            memory.fill(address, &[1], 64 << 20)?;
            used.push(address);
        }
    }
    let params: Vec<u8> = used.iter().flat_map(|a| a.to_le_bytes()).collect();
    let all = Options { checks: Checks::ALL, touches: true, ..Options::default() };
    let rows = [
        ("nothing asked", Options { checks: Checks::NONE, counters: false, ..Options::default() }),
        ("default", Options::default()),
        ("all checks, counters, touches", all),
    ];
    for (name, options) in rows {
        for blocks in [1, 2, 8] {
            let config =
                LaunchConfig { grid: [blocks, 1, 1], block: [256, 1, 1], dynamic_shared_bytes: 0 };
            let once = || launch(&module, "add", config, &params, &memory, &options);
            once()?;
            let begin = Instant::now();
            for _ in 0..2000 {
                once()?;
            }
            let each = begin.elapsed().as_secs_f64() * 1e6 / 2000.0;
            println!("{name:<32} {blocks} blocks of 256 threads: {each:6.1} us a launch");
        }
    }
    Ok(())
}
