//! Hostile text and parameters: an error, a fault or a wrong result, never a panic.

mod common;

use common::{DEVICE, Random};
use softgpu::{LaunchConfig, LoadError, LoadOptions, Memory, Module, Options, launch};

const TEXTS: [&str; 5] = [
    include_str!("ptx/kernels.ptx"),
    include_str!("ptx/broken.ptx"),
    include_str!("triton/matmul_tf32_sm80.ptx"),
    include_str!("triton/histogram_sum_sm80.ptx"),
    include_str!("triton/layernorm_sm80.ptx"),
];

/// Loads; if that works, launches every kernel with arguments of all kinds and a small budget.
fn attack(text: &str, random: &mut Random) -> bool {
    let memory = Memory::new(DEVICE);
    let Ok(module) = Module::load(text, &LoadOptions::default(), &memory) else { return false };
    let buffer = memory.alloc(1 << 16).unwrap();
    memory.fill(buffer, &[0], 1 << 16).unwrap();
    for kernel in module.kernels().cloned().collect::<Vec<_>>() {
        let mut params = vec![0u8; kernel.param_bytes as usize];
        for p in &kernel.params {
            let value = match random.next() % 4 {
                0 => random.next(),
                1 => random.next() % 64,
                _ => buffer + random.next() % 64 * 4,
            };
            let bytes = value.to_le_bytes();
            let n = (p.size as usize).min(8);
            params[p.offset as usize..p.offset as usize + n].copy_from_slice(&bytes[..n]);
        }
        let block = kernel.required_threads.unwrap_or([1 + (random.next() % 128) as u32, 1, 1]);
        let config = LaunchConfig {
            grid: [2, 1, 1],
            block,
            dynamic_shared_bytes: (random.next() % 4096) as u32,
        };
        let options = Options { budget: 2000, threads: 1, ..Options::default() };
        let _ = launch(&module, &kernel.name, config, &params, &memory, &options);
    }
    module.unload(&memory);
    true
}

#[test]
fn truncated_at_every_part() {
    let mut random = Random(31);
    for text in TEXTS {
        let text = &text[..text.len().min(20_000)];
        for _ in 0..60 {
            let mut end = (random.next() % text.len() as u64) as usize;
            while !text.is_char_boundary(end) {
                end -= 1;
            }
            attack(&text[..end], &mut random);
        }
    }
}

#[test]
fn mutated() {
    let mut random = Random(32);
    let mut loaded = 0;
    let words = [
        "%r1",
        "%rd1",
        "%f3",
        "%p1",
        "0",
        "-1",
        "0xffffffffffffffff",
        "]",
        "{",
        "v4",
        ".b64",
        "mov",
        "%tid.x",
    ];
    for round in 0..400 {
        let text = TEXTS[round % TEXTS.len()];
        let mut lines: Vec<String> = text.lines().map(String::from).collect();
        for _ in 0..1 + random.next() % 3 {
            let at = (random.next() % lines.len() as u64) as usize;
            let other = lines[(random.next() % lines.len() as u64) as usize].clone();
            match random.next() % 6 {
                0 => {
                    lines.remove(at);
                }
                1 => lines[at] = other,
                2 => lines.insert(at, other),
                3 => {
                    let mut bytes = std::mem::take(&mut lines[at]).into_bytes();
                    if !bytes.is_empty() {
                        let i = random.next() as usize % bytes.len();
                        bytes[i] = b' ' + (random.next() % 95) as u8;
                    }
                    lines[at] = String::from_utf8(bytes).unwrap();
                }
                4 => {
                    let mut parts: Vec<&str> = lines[at].split_inclusive([' ', ',']).collect();
                    if !parts.is_empty() {
                        let i = random.next() as usize % parts.len();
                        parts[i] = words[random.next() as usize % words.len()];
                    }
                    lines[at] = parts.concat();
                }
                _ => {
                    let digit = char::from(b'0' + (random.next() % 10) as u8).to_string();
                    lines[at] = lines[at].replacen(['1', '2', '4'], &digit, 1);
                }
            }
        }
        loaded += usize::from(attack(&lines.join("\n"), &mut random));
    }
    // Mutants that still load reach the interpreter; without them this test would prove little.
    assert!(loaded > 20, "{loaded} of 400 mutants loaded");
}

#[test]
fn wild_launches() {
    let memory = Memory::new(DEVICE);
    let module = Module::load(TEXTS[0], &LoadOptions::default(), &memory).unwrap();
    let extremes = [0, 1, 32, 33, 1024, 1025, 65536, u32::MAX];
    let mut random = Random(33);
    for kernel in module.kernels() {
        for _ in 0..100 {
            let mut pick = || extremes[(random.next() % 8) as usize];
            let config = LaunchConfig {
                grid: [pick().min(3), pick().min(3), pick().min(3)],
                block: [pick(), pick(), pick()],
                dynamic_shared_bytes: pick(),
            };
            let n = random.next() as usize % (kernel.param_bytes as usize + 9);
            let params: Vec<u8> = (0..n).map(|_| random.next() as u8).collect();
            let options = Options { budget: 500, threads: 1, ..Options::default() };
            let _ = launch(&module, &kernel.name, config, &params, &memory, &options);
        }
    }
    let config = LaunchConfig { grid: [u32::MAX; 3], block: [1, 1, 1], dynamic_shared_bytes: 0 };
    assert!(launch(&module, "say", config, &[0; 64], &memory, &Options::default()).is_err());
    assert!(launch(&module, "nothing", config, &[], &memory, &Options::default()).is_err());
}

fn refusal(body: &str) -> String {
    let text = format!(
        ".version 8.0\n.target sm_90\n.address_size 64\n.visible .entry k(.param .u64 p)\n{{\n\
         .reg .b32 %r<9>;\n.reg .b64 %rd<9>;\n.reg .f32 %f<9>;\n.reg .pred %p<9>;\n{body}\nret;\n}}\n"
    );
    match Module::load(&text, &LoadOptions::default(), &Memory::new(DEVICE)) {
        Ok(_) => panic!("loaded: {body}"),
        Err(error) => error.to_string(),
    }
}

#[test]
fn what_lies_outside_is_refused_by_opcode_and_line() {
    for body in [
        "wgmma.fence.sync.aligned;",
        "mbarrier.init.shared.b64 [%rd1], 1;",
        "cp.async.bulk.commit_group;",
        "tex.2d.v4.f32.f32 {%f1,%f2,%f3,%f4}, [%rd1, {%f1,%f2}];",
        "tcgen05.alloc.cta_group::1.sync.aligned.shared::cta.b32 [%r1], 32;",
        "add.cc.u32 %r1, %r2, %r3;",
        "add.frob.s32 %r1, %r2, %r3;",
        "mma.sync.aligned.m8n8k4.row.col.f32.f16.f16.f32 {%f1}, {%r1}, {%r1}, {%f1};",
        "cvt.rn.e4m3x2.f32 %r1, %f1, %f2;",
        "div.f32 %f1, %f2, %f3;",
        "call.uni somewhere, ();",
        "brx.idx %r1, table;",
        "st.const.u32 [%rd1], %r1;",
        "elect.sync %r1|%p1, -1;",
    ] {
        let message = refusal(body);
        let opcode = body.split([' ', ';']).next().unwrap();
        assert!(
            message.starts_with(&format!("PTX line 10: {opcode} is outside")),
            "{body}: {message}"
        );
    }
}

#[test]
fn what_is_wrong_is_told_with_its_line() {
    for (body, part) in [
        ("add.s32 %r1, %r2;", "takes 3 operands"),
        ("add.s32 %r1, %rd2, %r3;", "wrong width"),
        ("add.s32 %r1, %r2, %r99;", "not declared"),
        ("bra NOWHERE;", "no label NOWHERE"),
        ("@%r1 bra X;", "no predicate"),
        ("mov.u32 %r1, 09;", "expected a number"),
        ("ld.global.u32 %r1, [%r2];", "no global address"),
    ] {
        let message = refusal(body);
        assert!(message.starts_with("PTX line 10") && message.contains(part), "{body}: {message}");
    }
}

#[test]
fn newer_devices_and_drivers_are_told_apart() {
    let memory = Memory::new(DEVICE);
    let load = |capability, version| {
        let options = LoadOptions { compute_capability: capability, max_ptx_version: version };
        Module::load(TEXTS[0], &options, &memory).map(|_| ())
    };
    assert!(matches!(load((7, 5), (9, 9)), Err(LoadError::Target { target: 80, device: 75 })));
    assert!(matches!(load((8, 0), (7, 0)), Err(LoadError::Version { driver: (7, 0), .. })));
    assert_eq!(load((8, 0), (9, 0)), Ok(()));
}
