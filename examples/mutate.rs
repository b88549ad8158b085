//! Deliberate mistakes in our kernels, one at a time: does a test notice each?
//!
//! ```text
//! cargo run --release --example mutate [-- FILE.cu ...]
//! ```
//!
//! Every barrier and every wait for a copy is removed, every bound moved by one, every sum made an
//! overwrite, in the text of `kernels/`. For each the parity tests of the families that the file
//! serves run on the changed text, executed by softgpu with all its checks. What survives is printed
//! at the end, and `kernels/MUTANTS.md` says why.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

/// One changed file.
struct Mutant {
    file: String,
    line: usize,
    what: String,
    text: String,
}

/// What a test run made of a mutant.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fate {
    Killed,
    Survived,
    /// It does not compile, so it says nothing about the tests.
    Invalid,
}

/// Tests that run a kernel file, by the beginnings of their names.
fn tests_of(file: &str) -> Vec<&'static str> {
    match file.split('.').next().unwrap_or_default() {
        "adam" => vec!["adam"],
        "batch_norm" => vec!["batch_norm"],
        "activation" => vec!["activation"],
        "concat" => vec!["concat"],
        "dropout" | "philox" => vec!["dropout", "batch_norm"],
        "loss" => vec!["loss"],
        "image" => vec!["image"],
        "common" => vec!["activation", "loss", "batch_norm"],
        _ => vec!["conv"],
    }
}

/// The changes that are tried: what they are called, what is looked for and what takes its place.
const CHANGES: [(&str, &str, &str); 9] = [
    ("barrier removed", "__syncthreads();", ";"),
    ("warp barrier removed", "__syncwarp();", ";"),
    ("wait removed", "copies_wait<", "(void)sizeof(int); if (0) copies_wait<"),
    ("sum overwritten", " += ", " = "),
    ("bound moved", " < ", " <= "),
    ("bound moved", " >= ", " > "),
    ("bound moved", " <= ", " < "),
    ("fence removed", "__threadfence();", ";"),
    ("condition turned", " && ", " || "),
];

fn mutants(file: &str, text: &str) -> Vec<Mutant> {
    let mut all = Vec::new();
    let mut start = 0;
    for (number, line) in text.split_inclusive('\n').enumerate() {
        let code = line.split("//").next().unwrap_or_default();
        for (what, old, new) in CHANGES {
            for (at, _) in code.match_indices(old) {
                // A counter that does not count is a hang, a loop one turn longer has no guard: both
                // are found, and say nothing about numbers. Preprocessor lines are no code.
                let header = code.contains("for (") && (old == " += " || old == " < ");
                if header || code.trim_start().starts_with('#') || code.contains("template") {
                    continue;
                }
                let place = start + at;
                let text = format!("{}{new}{}", &text[..place], &text[place + old.len()..]);
                let what = format!("{what}: `{}`", line.trim());
                all.push(Mutant { file: file.to_string(), line: number + 1, what, text });
            }
        }
        start += line.len();
    }
    all
}

/// The parity tests, built.
fn parity() -> Result<PathBuf, String> {
    let built = Command::new(env!("CARGO"))
        .args(["test", "--test", "parity", "--no-run", "--message-format=json"])
        .stderr(Stdio::inherit())
        .output()
        .map_err(|e| format!("cargo does not start: {e}"))?;
    let text = String::from_utf8_lossy(&built.stdout);
    let program = text.lines().rev().find_map(|line| {
        let message: serde_json::Value = serde_json::from_str(line).ok()?;
        (message["target"]["name"] == "parity")
            .then(|| message["executable"].as_str())?
            .map(PathBuf::from)
    });
    program.ok_or_else(|| "the parity tests do not build".to_string())
}

/// Most seconds of one family's tests: a mutant that hangs is found by softgpu's budget long before.
const PATIENCE: Duration = Duration::from_secs(600);

fn judge(program: &Path, folder: &Path, mutant: &Mutant) -> Result<Fate, String> {
    let said = |e: std::io::Error| format!("{}: {e}", folder.display());
    let place = folder.join(&mutant.file);
    let ours = std::fs::read(&place).map_err(said)?;
    std::fs::write(&place, &mutant.text).map_err(said)?;
    let mut fate = Fate::Survived;
    for name in tests_of(&mutant.file) {
        let log = folder.join("log.txt");
        let output = std::fs::File::create(&log).map_err(said)?;
        let errors = output.try_clone().map_err(said)?;
        let mut child = Command::new(program)
            .arg(name)
            .arg("--test-threads=2")
            .env("PIX2PIX_KERNELS", folder)
            .env("SOFTGPU_REQUIRE_NVRTC", "1")
            .stdout(output)
            .stderr(errors)
            .spawn()
            .map_err(said)?;
        let begun = Instant::now();
        let code = loop {
            if let Some(status) = child.try_wait().map_err(said)? {
                break status.success();
            }
            // The first test that fails is enough.
            let failed = std::fs::read_to_string(&log).is_ok_and(|t| t.contains("... FAILED"));
            if failed || begun.elapsed() > PATIENCE {
                let _ = child.kill();
                let _ = child.wait();
                break false;
            }
            std::thread::sleep(Duration::from_millis(50));
        };
        let text = std::fs::read_to_string(&log).unwrap_or_default();
        if text.contains("does not compile") {
            fate = Fate::Invalid;
            break;
        }
        if !code {
            fate = Fate::Killed;
            break;
        }
    }
    std::fs::write(&place, ours).map_err(said)?;
    Ok(fate)
}

fn run() -> Result<bool, String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("kernels");
    let said = |e: std::io::Error| format!("kernels: {e}");
    let folder = std::env::temp_dir().join(format!("pix2pix-mutants-{}", std::process::id()));
    std::fs::create_dir_all(&folder).map_err(said)?;
    let wanted: Vec<String> = std::env::args().skip(1).collect();
    let mut names: Vec<String> = std::fs::read_dir(&root)
        .map_err(said)?
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter(|name| name.ends_with(".cu") || name.ends_with(".cuh"))
        .collect();
    names.sort();
    let mut all = Vec::new();
    for name in &names {
        let text = std::fs::read_to_string(root.join(name)).map_err(said)?;
        std::fs::write(folder.join(name), &text).map_err(said)?;
        if wanted.is_empty() || wanted.contains(name) {
            all.extend(mutants(name, &text));
        }
    }
    let program = parity()?;
    println!("{} mutants of {} files", all.len(), names.len());
    let (mut killed, mut survived, mut invalid) = (0, Vec::new(), 0);
    for mutant in &all {
        let begun = Instant::now();
        let fate = judge(&program, &folder, mutant)?;
        let word = match fate {
            Fate::Killed => "killed",
            Fate::Survived => "SURVIVED",
            Fate::Invalid => "invalid",
        };
        let seconds = begun.elapsed().as_secs_f64();
        println!("{word:9} {:5.1} s  {}:{}  {}", seconds, mutant.file, mutant.line, mutant.what);
        match fate {
            Fate::Killed => killed += 1,
            Fate::Survived => survived.push(mutant),
            Fate::Invalid => invalid += 1,
        }
    }
    let _ = std::fs::remove_dir_all(&folder);
    println!("{killed} killed, {} survived, {invalid} do not compile", survived.len());
    for mutant in &survived {
        println!("survived  {}:{}  {}", mutant.file, mutant.line, mutant.what);
    }
    Ok(killed * 100 >= 95 * (killed + survived.len()))
}

fn main() -> ExitCode {
    match run() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(why) => {
            eprintln!("{why}");
            ExitCode::from(2)
        }
    }
}
