//! A GPU of compute capability 6.0, with kernels compiled by NVRTC 12: f32 trains, translates and
//! verifies as on a newer one.

use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

use crate::on_gpu::{ended, on_gpu};
use crate::program::{Ended, SMALL, bench, steps};

/// The program on a P100.
fn on_p100(cwd: &Path, line: &str, nvrtc: &Path) -> Command {
    let mut command = on_gpu(cwd, line);
    command.env("SOFTGPU_DEVICE", "p100").env("PIX2PIX_NVRTC", nvrtc);
    command
}

/// Runs a command to its end; it must succeed, and no check may find anything.
fn ok(command: Command) -> Ended {
    let ended = ended(command);
    assert_eq!((ended.code, ended.err.as_str()), (Some(0), ""), "{ended:#?}");
    ended
}

/// NVRTC 12, where NVRTC 13 is found as well; otherwise prints that `test` was not run.
fn nvrtc12(test: &str) -> Option<&'static Path> {
    let twelve = cuda::nvrtc::twelve_or_skip(test)?;
    cuda::nvrtc::or_skip(test).then_some(twelve)
}

#[test]
fn a_p100_trains_and_translates_in_f32() {
    let Some(nvrtc) = nvrtc12("a_p100_trains_and_translates_in_f32") else { return };
    let folder = bench();
    let cwd = folder.path();
    let train = format!("train data {SMALL} --steps 3");
    crate::program::ok(cwd, &crate::program::words(&format!("{train} --out cpu --device cpu")));
    let done = ok(on_p100(cwd, &format!("{train} --out gpu --device cuda"), nvrtc));
    assert!(done.out.contains("Tesla P100") && done.out.contains("precision f32"), "{done:#?}");
    let [ours, cpu] = ["gpu", "cpu"].map(|run| steps(&cwd.join(run)));
    assert_eq!((ours.len(), cpu.len()), (3, 3));
    for (step, (ours, cpu)) in ours.iter().zip(&cpu).enumerate() {
        // Rounding of f32 in the first step; after that Adam amplifies it, as it turns the signs of
        // the smallest gradients into full steps.
        let bound = if step == 0 { 1e-4 } else { 2e-2 };
        for name in ["g_gan", "g_l1", "d_real", "d_fake"] {
            let [ours, cpu] = [ours, cpu].map(|line| line[name].as_f64().unwrap());
            assert!(
                (ours - cpu).abs() <= bound * cpu.abs().max(0.1),
                "{step}, {name}: {ours} {cpu}"
            );
        }
    }
    let picture = "translate gpu data/0.png --device cuda --output out.png";
    ok(on_p100(cwd, picture, nvrtc));
    assert!(cwd.join("out.png").exists());
}

#[test]
fn every_operation_of_a_step_passes_on_a_p100() {
    let Some(nvrtc) = nvrtc12("every_operation_of_a_step_passes_on_a_p100") else { return };
    let folder = bench();
    let line = "verify --device cuda --size 64 --base-channels 16 --patch 34";
    let done = ok(on_p100(folder.path(), line, nvrtc));
    for what in ["forward conv", "backward batch_norm", "adam", "graph against loop", "verified"] {
        assert!(done.out.contains(what), "no {what:?}: {done:#?}");
    }
}

#[test]
fn tensor_cores_and_too_new_a_compiler_are_refused() {
    let Some(nvrtc) = nvrtc12("tensor_cores_and_too_new_a_compiler_are_refused") else { return };
    let folder = bench();
    let cwd = folder.path();
    let train = format!("train data --out new {SMALL} --steps 1 --device cuda");
    let done = ended(on_p100(cwd, &format!("{train} --precision tf32"), nvrtc));
    assert!(done.code == Some(2) && done.err.contains("8.0 or newer, this is 6.0"), "{done:#?}");
    let thirteen = cuda::nvrtc::find().expect("asked for above");
    if thirteen.to_string_lossy().contains("libnvrtc.so.13") {
        let done = ended(on_p100(cwd, &train, thirteen));
        assert_eq!((done.code, done.err.lines().count()), (Some(2), 1), "{done:#?}");
        for say in ["6.0", "compiles for 7.5", "pip install nvidia-cuda-nvrtc-cu12"] {
            assert!(done.err.contains(say), "no {say:?}: {done:#?}");
        }
    }
    assert!(!cwd.join("new").exists());
}

/// A Python environment with both wheels: each GPU gets the compiler that supports it.
#[test]
fn both_wheels_of_an_environment_are_found() {
    let Some(twelve) = nvrtc12("both_wheels_of_an_environment_are_found") else { return };
    let thirteen = cuda::nvrtc::find().expect("asked for above");
    let folder = bench();
    let nvidia = folder.path().join("venv/lib/python3.12/site-packages/nvidia");
    for (package, library) in [("cu13", thirteen), ("cuda_nvrtc", twelve)] {
        // One without a folder is the system's, which is looked for before any environment.
        let Some(lib) = library.parent().filter(|lib| *lib != Path::new("")) else { continue };
        std::fs::create_dir_all(nvidia.join(package)).unwrap();
        symlink(lib, nvidia.join(package).join("lib")).unwrap();
    }
    let mut command = on_gpu(folder.path(), "devices");
    command.env("SOFTGPU_DEVICE", "p100,a100").env("VIRTUAL_ENV", folder.path().join("venv"));
    command.env_remove("PIX2PIX_NVRTC");
    let listed = ok(command);
    assert!(listed.out.contains("compute capability 6.0, f32\n"), "{listed:#?}");
    let compilers: Vec<&str> = listed.out.lines().filter(|l| l.starts_with("nvrtc ")).collect();
    assert!(
        compilers[0].contains(" 12.") && compilers[0].contains("libnvrtc.so.12"),
        "{listed:#?}"
    );
    let newest = thirteen.file_name().and_then(|name| name.to_str()).unwrap();
    assert!(compilers.last().unwrap().ends_with(newest), "{listed:#?}");
}
