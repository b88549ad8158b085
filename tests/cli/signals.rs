//! Stopping by hand and by force.
#![cfg(unix)]

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use pix2pix_engine::checkpoint::load_weights;

use crate::program::{
    SMALL, bench, command, lines, ok, results, resume, step_numbers, train, tree, words,
};

/// Starts a run of `steps` steps; a checkpoint each step.
fn start(cwd: &Path, out: &str, more: &str) -> Child {
    let line = format!("train data --out {out} {SMALL} --save-every 1 {more}");
    let mut command = command(cwd, &words(&line));
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

/// Waits until the run has a checkpoint.
fn saved(child: &mut Child, run: &Path) {
    let begun = Instant::now();
    while !run.join("checkpoints/latest.safetensors").exists() {
        assert!(child.try_wait().unwrap().is_none(), "it ended by itself");
        assert!(begun.elapsed() < Duration::from_secs(60), "no checkpoint after a minute");
        std::thread::sleep(Duration::from_millis(2));
    }
}

#[test]
fn killed_at_any_moment_the_checkpoint_is_whole_and_goes_on() {
    let folder = bench();
    let run = folder.path().join("run");
    // A fixed sequence of waits up to 33 ms: some end within a step, some within a write.
    let mut random = 12_345_u64;
    let mut child = start(folder.path(), "run", "--steps 100000");
    saved(&mut child, &run);
    for _ in 0..20 {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        std::thread::sleep(Duration::from_micros(random >> 33 & 0x7fff));
        child.kill().unwrap();
        child.wait().unwrap();
        let weights = load_weights(&run.join("checkpoints/latest.safetensors")).unwrap();
        assert!(weights.generator.is_some() && weights.discriminators.len() == 1);
        let reached = last_step(&run);
        let line = "train data --resume run --save-every 1 --steps 100000";
        let mut next = command(folder.path(), &words(line));
        child = next.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let begun = Instant::now();
        while last_step(&run) <= reached {
            assert!(child.try_wait().unwrap().is_none(), "it ended by itself");
            assert!(begun.elapsed() < Duration::from_secs(60), "no step after a minute");
            std::thread::sleep(Duration::from_millis(1));
        }
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let end = last_step(&run) + 3;
    resume(folder.path(), "run", &format!("--steps {end}"));
    train(folder.path(), "whole", &format!("--save-every 1 --steps {end}"));
    assert!(results(&run) == results(&folder.path().join("whole")));
    assert_eq!(step_numbers(&run), (1..=end).collect::<Vec<_>>());
    let left: Vec<PathBuf> =
        tree(&run).into_keys().filter(|path| path.to_string_lossy().ends_with(".tmp")).collect();
    assert_eq!(left, Vec::<PathBuf>::new());
}

/// The last step that `metrics.jsonl` has, which may be in the middle of being written.
fn last_step(run: &Path) -> u64 {
    let text = std::fs::read_to_string(run.join("metrics.jsonl")).unwrap_or_default();
    let last = text
        .lines()
        .rev()
        .find_map(|line| serde_json::from_str::<serde_json::Value>(line).ok()?["step"].as_u64());
    last.unwrap_or(0)
}

fn signal(child: &Child, name: &str) {
    let sent = Command::new("kill").args([name, &child.id().to_string()]).status().unwrap();
    assert!(sent.success());
}

#[test]
fn a_polite_stop_saves_and_says_how_to_go_on() {
    for name in ["-INT", "-TERM"] {
        let folder = bench();
        let run = folder.path().join("run");
        let mut child = start(folder.path(), "run", "--steps 100000");
        saved(&mut child, &run);
        signal(&child, name);
        let ended = child.wait_with_output().unwrap();
        assert_eq!(ended.status.code(), Some(130), "{ended:?}");
        let (out, err) = (String::from_utf8(ended.stdout), String::from_utf8(ended.stderr));
        let (out, err) = (out.unwrap(), err.unwrap());
        assert!(err.contains("again to stop at once") && !err.contains("error"), "{err}");
        let program = env!("CARGO_BIN_EXE_pix2pix-engine");
        let line = out.lines().find_map(|l| l.split_once(&format!("go on with: {program} ")));
        let line = line.unwrap_or_else(|| panic!("no way to go on in {out}")).1;
        assert_eq!(line, "train data --resume run");
        let done = lines(&run).len() as u64;
        assert!((1..100_000).contains(&done));
        ok(folder.path(), &words(&format!("{line} --steps {}", done + 3)));
        train(folder.path(), "whole", &format!("--save-every 1 --steps {}", done + 3));
        assert!(results(&run) == results(&folder.path().join("whole")), "{name} after {done}");
        assert_eq!(step_numbers(&run), (1..=done + 3).collect::<Vec<_>>());
    }
}

#[test]
fn the_line_to_go_on_with_keeps_the_end_of_the_run() {
    let folder = bench();
    let run = folder.path().join("run");
    let mut child = start(folder.path(), "run", "--epochs 100");
    saved(&mut child, &run);
    signal(&child, "-INT");
    assert_eq!(child.wait_with_output().unwrap().status.code(), Some(130));
    ok(folder.path(), &words("train data --resume run"));
    assert_eq!(lines(&run).len(), 300);
}
