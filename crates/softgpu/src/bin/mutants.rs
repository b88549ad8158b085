//! Runs the crate's tests once for each deliberate mistake and prints which tests noticed it.
//!
//! `cargo run -p softgpu --features mutants --bin mutants [NAME..]`; fails if a mistake went unnoticed.

use softgpu::MUTANTS;
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

/// The mistake that algebra hides: a permutation of k applied to A and B alike.
const INVISIBLE: [&str; 1] = ["MmaK"];
/// A mistake may turn a loop endless; that counts as noticed.
const PATIENCE: Duration = Duration::from_secs(120);

/// Paths of the test binaries, as cargo prints them.
fn binaries() -> Result<Vec<String>, String> {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".into());
    let output = Command::new(cargo)
        .args(["test", "-p", "softgpu", "--features", "mutants", "--no-run", "--lib", "--tests"])
        .output()
        .map_err(|e| format!("cargo does not start: {e}"))?;
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    if !output.status.success() {
        return Err(text);
    }
    let path = |line: &str| Some(line.rsplit_once('(')?.1.strip_suffix(')')?.to_string());
    Ok(text.lines().filter(|l| l.contains("Executable")).filter_map(path).collect())
}

/// Names of the failing tests of one binary.
fn failures(binary: &str, mutant: &str) -> Result<Vec<String>, String> {
    let mut child = Command::new(binary)
        .env("SOFTGPU_MUTANT", mutant)
        .env("RUST_BACKTRACE", "0")
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .map_err(|e| format!("{binary}: {e}"))?;
    let start = Instant::now();
    loop {
        match child.try_wait().map_err(|e| e.to_string())? {
            Some(_) => break,
            None if start.elapsed() > PATIENCE => {
                child.kill().map_err(|e| e.to_string())?;
                return Ok(vec!["(endless)".into()]);
            }
            None => std::thread::sleep(Duration::from_millis(5)),
        }
    }
    let output = child.wait_with_output().map_err(|e| e.to_string())?;
    let text = String::from_utf8_lossy(&output.stdout);
    let failed = |l: &str| Some(l.strip_prefix("test ")?.strip_suffix(" ... FAILED")?.to_string());
    let mut list: Vec<String> = text.lines().filter_map(failed).collect();
    if list.is_empty() && !output.status.success() {
        list.push("(crash)".into());
    }
    Ok(list)
}

fn run() -> Result<bool, String> {
    let wanted: Vec<String> = std::env::args().skip(1).collect();
    let binaries = binaries()?;
    for binary in &binaries {
        let list = failures(binary, "")?;
        if !list.is_empty() {
            return Err(format!("without a mistake these fail: {}", list.join(", ")));
        }
    }
    let mut unnoticed = 0;
    println!("| mistake | what it does | noticed by |");
    println!("| --- | --- | --- |");
    for (name, text) in
        MUTANTS.iter().filter(|m| wanted.is_empty() || wanted.iter().any(|w| w == m.0))
    {
        let mut list = Vec::new();
        for binary in &binaries {
            list.extend(failures(binary, name)?);
        }
        let by = match list.as_slice() {
            [] if INVISIBLE.contains(name) => "nobody, as it must be".to_string(),
            [] => {
                unnoticed += 1;
                "**nobody**".to_string()
            }
            [a, b, c, rest @ ..] if !rest.is_empty() => {
                format!("{a}, {b}, {c} and {} more", rest.len())
            }
            few => few.join(", "),
        };
        println!("| {name} | {text} | {by} |");
    }
    Ok(unnoticed == 0)
}

fn main() -> ExitCode {
    match run() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(message) => {
            eprintln!("{message}");
            ExitCode::FAILURE
        }
    }
}
