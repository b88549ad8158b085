//! A program that is not Rust: Python on NVIDIA's own bindings, which find every function of the
//! driver by `cuGetProcAddress_v2`.
//!
//! The bindings are those of the system's Python or of `tools/provide-cuda bindings`. Where there are
//! none the tests say what was not run; with `SOFTGPU_REQUIRE_BINDINGS` set they fail.

use std::ffi::OsString;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Output};

/// `PYTHON`, as for `tools/provide-cuda`, or `python3`.
fn python() -> OsString {
    std::env::var_os("PYTHON").unwrap_or_else(|| "python3".into())
}

/// `PYTHONPATH` with the place where `tools/provide-cuda` puts the bindings below cargo's target
/// folder: one of the folders above this program.
fn python_path() -> OsString {
    let program = std::env::current_exe().expect("a running test has a path");
    let provided = program.ancestors().skip(1).map(|folder| folder.join("nvrtc"));
    let present = std::env::var_os("PYTHONPATH").unwrap_or_default();
    let all = provided.filter(|place| place.is_dir()).chain(std::env::split_paths(&present));
    std::env::join_paths(all).expect("cargo's folders have no colon")
}

/// Whether Python has the bindings; if not, says on stderr that `test` was not run.
fn bindings_or_skip(test: &str) -> bool {
    let mut import = Command::new(python());
    import.args(["-c", "import cuda.bindings.driver"]).env("PYTHONPATH", python_path());
    let why = match import.output() {
        Ok(done) if done.status.success() => return true,
        Ok(_) => "Python has no cuda.bindings; tools/provide-cuda bindings brings them".to_owned(),
        Err(why) => format!("{} does not start: {why}", python().display()),
    };
    assert!(std::env::var_os("SOFTGPU_REQUIRE_BINDINGS").is_none(), "{test}: {why}");
    // Not `eprintln`, which the test harness keeps to itself when a test passes.
    let _ = writeln!(std::io::stderr().lock(), "not run: {test} ({why})");
    false
}

/// Runs a program of `tests/python` by the `softgpu` command.
fn run(program: &str, arguments: &[&str]) -> Output {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/python");
    Command::new(env!("CARGO_BIN_EXE_softgpu"))
        .args(["run", "--device", "a100", "--"])
        .arg(python())
        .arg(folder.join(program))
        .args(arguments)
        .current_dir(folder)
        .env("PYTHONPATH", python_path())
        .output()
        .expect("the command starts")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn python_loads_a_module_launches_and_reads_the_answer() {
    if !bindings_or_skip("python_loads_a_module_launches_and_reads_the_answer") {
        return;
    }
    let done = run("scale.py", &["scale.ptx"]);
    assert!(done.status.success(), "{}", text(&done.stderr));
    let out = text(&done.stdout);
    let (card, numbers) = out.split_once('\n').expect("a line and then numbers");
    assert!(card.contains("A100"), "{card}");
    let numbers: Vec<f32> = numbers.lines().map(|n| n.parse().expect("a number")).collect();
    let expected: Vec<f32> = (0..100).map(|i| 2.5 * i as f32).collect();
    assert_eq!(numbers, expected);
    assert!(!text(&done.stderr).contains("softgpu:"), "{}", text(&done.stderr));
}

#[test]
fn python_sees_the_error_of_a_kernel() {
    if !bindings_or_skip("python_sees_the_error_of_a_kernel") {
        return;
    }
    let done = run("scale.py", &["scale.ptx", "beyond"]);
    assert!(!done.status.success());
    let errors = text(&done.stderr);
    assert!(errors.contains("CUDA_ERROR_ILLEGAL_ADDRESS"), "{errors}");
    assert!(errors.contains("softgpu: out-of-bounds"), "{errors}");
}

#[test]
fn a_function_that_is_not_there_is_not_found() {
    if !bindings_or_skip("a_function_that_is_not_there_is_not_found") {
        return;
    }
    let done = run("missing.py", &[]);
    assert!(done.status.success(), "{}", text(&done.stderr));
    let expected = "cuMemAlloc 13000 CUDA_SUCCESS found\n\
        cuMemAlloc 2000 CUDA_ERROR_NOT_FOUND nothing\n\
        cuTexRefCreate 13000 CUDA_ERROR_NOT_FOUND nothing\n\
        cuMemAlloc 99000 CUDA_ERROR_INVALID_VALUE nothing\n\
        Function \"cuTexRefCreate\" not found\n";
    assert_eq!(text(&done.stdout), expected);
}
