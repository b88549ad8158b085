//! Blocks that share a sum: what they write is fenced before the ticket is drawn, and what the last one
//! reads is fenced after. softgpu's memory is sequentially consistent and shows no missing fence, so
//! the text of the compiled kernels is looked at.

use pix2pix_engine::device::{Precision, compile_options, find_nvrtc};
use pix2pix_engine::kernel::cuda as kernels;

/// The opcodes of a kernel that order global memory or touch it, in order.
fn memory_of(kernel: &str) -> Vec<&str> {
    kernel
        .lines()
        .filter_map(|line| line.split_whitespace().find(|word| !word.starts_with('@')))
        .filter(|word| {
            ["atom.global", "membar.gl", "bar.sync", "st.global", "ld.global"]
                .iter()
                .any(|name| word.starts_with(name))
        })
        .collect()
}

#[test]
fn fences_stand_around_every_ticket() {
    if !cuda::nvrtc::or_skip("fences_stand_around_every_ticket") {
        return;
    }
    let nvrtc = find_nvrtc().unwrap();
    let files = kernels::sources().unwrap();
    let mut tickets = 0;
    for (name, _) in files.iter().filter(|(name, _)| name.ends_with(".cu")) {
        let options = compile_options(80, Precision::F32);
        let compiled = nvrtc.compile(name, &files, &options).unwrap();
        for kernel in compiled.ptx.split(".entry ").skip(1) {
            let entry = kernel.split('(').next().unwrap_or_default();
            let all = memory_of(kernel);
            for (at, _) in all.iter().enumerate().filter(|(_, op)| op.starts_with("atom.global")) {
                tickets += 1;
                let before = &all[at.saturating_sub(2)..at];
                assert_eq!(before, ["membar.gl;", "bar.sync"], "{name}, {entry}");
                // The last block leaves the ticket at 0.
                let after = &all[at + 1..(at + 4).min(all.len())];
                assert_eq!(after, ["st.global.u32", "bar.sync", "membar.gl;"], "{name}, {entry}");
            }
        }
    }
    assert!(tickets >= 15, "only {tickets} kernels share sums");
}
