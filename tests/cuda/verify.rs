//! `verify` passes with our kernels, and finds a wrong one.

use crate::on_gpu::{ended, kernels, ok, on_gpu};
use crate::program::bench;

const SMALL: &str = "verify --device cuda --size 64 --base-channels 16 --patch 34";

#[test]
fn our_kernels_pass() {
    if !cuda::nvrtc::or_skip("our_kernels_pass") {
        return;
    }
    let folder = bench();
    for precision in ["f32", "tf32", "bf16"] {
        let done = ok(folder.path(), &format!("{SMALL} --precision {precision}"));
        for what in
            ["forward conv", "backward batch_norm", "adam", "graph against loop", "verified"]
        {
            assert!(done.out.contains(what), "no {what:?}: {done:#?}");
        }
        let report = std::fs::read_to_string(folder.path().join("verify.txt")).unwrap();
        assert!(
            report.contains("all passed") && report.contains(&format!("precision {precision}"))
        );
    }
}

#[test]
fn a_wrong_kernel_is_named() {
    if !cuda::nvrtc::or_skip("a_wrong_kernel_is_named") {
        return;
    }
    let folder = bench();
    let wrong = |text: &str| text.replace("rate * (p[k]", "0.9f * rate * (p[k]");
    let sources = kernels(folder.path(), "adam.cu", wrong);
    let mut command = on_gpu(folder.path(), &format!("{SMALL} --precision f32"));
    command.env("PIX2PIX_KERNELS", sources);
    let done = ended(command);
    assert_eq!(done.code, Some(2), "{done:#?}");
    assert!(done.out.contains("FAILED    adam"), "{done:#?}");
    assert!(done.err.contains("some comparisons failed") && done.err.contains("verify.txt"));
    let report = std::fs::read_to_string(folder.path().join("verify.txt")).unwrap();
    assert!(report.contains("SOME FAILED"), "{report}");
}

#[test]
fn softgpu_has_no_speed_to_measure() {
    if !cuda::nvrtc::or_skip("softgpu_has_no_speed_to_measure") {
        return;
    }
    let folder = bench();
    let done = ended(on_gpu(folder.path(), &format!("{SMALL} --bench")));
    assert_eq!(done.code, Some(1), "{done:#?}");
    assert_eq!(done.err.lines().count(), 1, "{done:#?}");
    assert!(done.err.contains("--bench") && done.err.contains("softgpu has none"), "{done:#?}");
    assert!(!folder.path().join("verify.txt").exists(), "nothing was compared");
}
