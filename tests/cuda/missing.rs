//! The program's message where something is missing: one sentence, with the remedy.

use std::path::Path;

use crate::on_gpu::{ended, on_gpu};
use crate::program::{SMALL, bench, command, words};

/// Runs a command line that must fail with exit code 2, with these environment variables.
fn refused(cwd: &Path, line: &str, settings: &[(&str, &str)], says: &[&str]) {
    let mut command = on_gpu(cwd, line);
    command.envs(settings.iter().copied());
    let ended = ended(command);
    assert_eq!(ended.code, Some(2), "{line} {settings:?}: {ended:#?}");
    let error = ended.err.lines().find(|l| l.starts_with("error: ")).unwrap_or_default();
    for say in says {
        assert!(error.contains(say), "no {say:?} for {line} {settings:?}: {ended:#?}");
    }
    assert!(!cwd.join("new").exists(), "{line} wrote something");
}

#[test]
fn what_is_missing_is_named_with_the_cure() {
    if !cuda::nvrtc::or_skip("what_is_missing_is_named_with_the_cure") {
        return;
    }
    let folder = bench();
    let cwd = folder.path();
    let train = format!("train data --out new {SMALL} --steps 1 --device cuda");
    let quiet = ("SOFTGPU_QUIET", "1");
    refused(cwd, &format!("{train}:3"), &[], &["there is no GPU 3", "lists 1", "devices"]);
    let none = [("PIX2PIX_NVRTC", "/none/libnvrtc.so")];
    refused(cwd, &train, &none, &["PIX2PIX_NVRTC", "/none/libnvrtc.so", "no libnvrtc"]);
    let old = [("SOFTGPU_DEVICE", "t4")];
    let line = format!("{train} --precision bf16");
    refused(cwd, &line, &old, &["--precision bf16", "8.0 or newer", "7.5", "--precision f32"]);
    let driver = [("SOFTGPU_DRIVER", "12.4"), quiet];
    refused(cwd, &train, &driver, &["newer than the driver", "update the driver", "PIX2PIX_NVRTC"]);
    let line = |channels: usize| {
        format!(
            "train data --out new --size 32 --base-channels {channels} --patch 16 --steps 1 \
             --device cuda"
        )
    };
    let memory = ["needs", "GB of memory", "are free", "smaller --base-channels"];
    refused(cwd, &line(4000), &[], &memory);
    let channels = ["norm", "48000", "32768 channels", "smaller --base-channels"];
    refused(cwd, &line(6000), &[], &channels);
}

#[test]
fn no_driver_is_said_and_auto_takes_the_cpu() {
    let folder = bench();
    let cwd = folder.path();
    let line = format!("train data --out new {SMALL} --steps 1");
    // A folder without libcuda.so; the machine's own driver, if there is one, shows no device.
    let run = |flags: &str| {
        let mut command = command(cwd, &words(&format!("{line} {flags}")));
        command.env("CUDA_VISIBLE_DEVICES", "");
        ended(command)
    };
    let asked = run("--device cuda");
    assert_eq!(asked.code, Some(2), "{asked:?}");
    assert!(asked.err.contains("no CUDA driver") || asked.err.contains("no GPU 0"), "{asked:?}");
    assert!(!cwd.join("new").exists());
    let auto = run("");
    assert_eq!(auto.code, Some(0), "{auto:?}");
    assert!(auto.out.contains("device    CPU") && auto.out.contains("--device auto: there is no"));
}

#[test]
fn devices_lists_what_there_is() {
    if !cuda::nvrtc::or_skip("devices_lists_what_there_is") {
        return;
    }
    let folder = bench();
    let mut command = on_gpu(folder.path(), "devices");
    command.env("SOFTGPU_DEVICE", "a100,t4");
    let listed = ended(command);
    assert_eq!(listed.code, Some(0), "{listed:?}");
    for line in
        ["cpu       CPU", "cuda:0    NVIDIA A100", "cuda:1    Tesla T4", "driver    CUDA 13.0"]
    {
        assert!(listed.out.contains(line), "no {line:?} in {listed:#?}");
    }
    assert!(listed.out.contains("compute capability 7.5, f32\n"), "{listed:#?}");
    // softgpu is slower than the CPU, so `auto` does not choose it.
    let auto = ended(on_gpu(folder.path(), &format!("train data --out run {SMALL} --steps 1")));
    assert!(auto.out.contains("device    CPU") && auto.out.contains("softgpu"), "{auto:#?}");
}
