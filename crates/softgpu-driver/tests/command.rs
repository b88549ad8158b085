//! The `softgpu` command, with a program that knows nothing of softgpu.

use std::path::PathBuf;
use std::process::{Command, Output};

/// `examples/hello.rs`, which cargo builds with the tests.
fn hello() -> PathBuf {
    let test = std::env::current_exe().expect("a running test has a path");
    let folder =
        test.parent().and_then(|deps| deps.parent()).expect("cargo runs tests in PROFILE/deps");
    folder.join("examples/hello")
}

fn softgpu(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_softgpu"));
    for argument in arguments {
        match *argument {
            "HELLO" => command.arg(hello()),
            other => command.arg(other),
        };
    }
    command.output().expect("the command starts")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn a_program_runs_on_the_card_that_was_named() {
    let done = softgpu(&["run", "--device", "t4", "--", "HELLO"]);
    assert!(done.status.success(), "{}", text(&done.stderr));
    let out = text(&done.stdout);
    assert!(out.contains("Tesla T4") && out.contains("sum: 192"), "{out}");
    assert!(!text(&done.stderr).contains("softgpu:"), "{}", text(&done.stderr));
}

#[test]
fn findings_are_printed_and_the_program_sees_the_error() {
    let done = softgpu(&["run", "--", "HELLO", "beyond"]);
    assert!(!done.status.success());
    let (out, errors) = (text(&done.stdout), text(&done.stderr));
    assert!(out.contains("A100"), "{out}");
    assert!(
        errors.contains("softgpu: out-of-bounds") && errors.contains("thread (64, 0, 0)"),
        "{errors}"
    );
    assert!(errors.contains("CUDA_ERROR_ILLEGAL_ADDRESS"), "{errors}");
}

#[test]
fn mistakes_in_the_command_are_explained() {
    let done = softgpu(&["run", "--device", "voodoo2", "--", "HELLO"]);
    assert!(!done.status.success());
    assert!(text(&done.stderr).contains("rtx4090"), "{}", text(&done.stderr));
    for wrong in
        [&["run", "HELLO"][..], &["run", "--"], &["run", "--device", "--", "HELLO"], &["fly"], &[]]
    {
        let done = softgpu(wrong);
        assert_eq!(done.status.code(), Some(2), "{wrong:?}");
        assert!(text(&done.stderr).contains("usage"), "{wrong:?}");
    }
    let absent = softgpu(&["run", "--", "/nonexistent/program"]);
    assert!(text(&absent.stderr).contains("cannot be started"), "{}", text(&absent.stderr));
}

#[test]
fn the_cards_are_listed() {
    let done = softgpu(&["devices"]);
    let out = text(&done.stdout);
    for card in ["p100", "t4", "a100", "rtx3060", "rtx4090", "h100"] {
        assert!(out.contains(card), "{out}");
    }
}
