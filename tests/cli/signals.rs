//! Stopping by hand and by force.
#![cfg(unix)]

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use pix2pix_engine::checkpoint::load_weights;

use crate::program::{
    SMALL, bench, command, lines, ok, pairs, picture, results, resume, save, step_numbers, train,
    tree, words,
};

/// Starts a run with a checkpoint each step, at a rate that does not depend on its length.
fn start(cwd: &Path, out: &str, more: &str) -> Child {
    let line = format!("train data --out {out} {CONSTANT} {SMALL} --save-every 1 {more}");
    let mut command = command(cwd, &words(&line));
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

const CONSTANT: &str = "--schedule constant";

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
    train(folder.path(), "whole", &format!("{CONSTANT} --save-every 1 --steps {end}"));
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

/// The line that says how to go on.
fn next_line(text: &str) -> &str {
    let line = text.lines().find_map(|line| line.split_once("go on with: "));
    line.unwrap_or_else(|| panic!("no way to go on in {text}")).1
}

/// Runs a line by a shell, without the driver of softgpu, as [`command`] does.
fn shell(cwd: &Path, line: &str) -> Output {
    let mut command = Command::new("sh");
    command.args(["-c", line]).current_dir(cwd).stdin(Stdio::null());
    command.env_remove("LD_LIBRARY_PATH").env("CUDA_VISIBLE_DEVICES", "").output().unwrap()
}

#[test]
fn a_polite_stop_saves_and_says_how_to_go_on() {
    for (name, code) in [("INT", 130), ("TERM", 143), ("HUP", 129)] {
        let folder = bench();
        let run = folder.path().join("run");
        let mut child = start(folder.path(), "run", "--steps 100000 --threads 2");
        saved(&mut child, &run);
        signal(&child, &format!("-{name}"));
        let ended = child.wait_with_output().unwrap();
        assert_eq!(ended.status.code(), Some(code), "{ended:?}");
        let (out, err) = (String::from_utf8(ended.stdout), String::from_utf8(ended.stderr));
        let (out, err) = (out.unwrap(), err.unwrap());
        assert!(err.contains("again to stop at once") && !err.contains("error"), "{err}");
        assert!(err.contains(name), "{err}");
        let line = next_line(&out);
        let program = env!("CARGO_BIN_EXE_pix2pix-engine");
        assert_eq!(line, format!("{program} train data --resume run --threads 2"));
        let done = lines(&run).len() as u64;
        assert!((1..100_000).contains(&done));
        let next = shell(folder.path(), &format!("{line} --steps {}", done + 3));
        assert_eq!(next.status.code(), Some(0), "{next:?}");
        train(folder.path(), "whole", &format!("{CONSTANT} --save-every 1 --steps {}", done + 3));
        assert!(results(&run) == results(&folder.path().join("whole")), "{name} after {done}");
        assert_eq!(step_numbers(&run), (1..=done + 3).collect::<Vec<_>>());
    }
}

/// The printed line is what a shell understands, from wherever the program was started.
#[test]
fn the_line_to_go_on_with_works_for_names_of_any_kind() {
    let folder = tempfile::tempdir().unwrap();
    for (place, data, out) in [
        (".", "my data", "runs of mine/it's 1"),
        ("sub", "../sub/data \u{fc}r $HOME", "../out"),
        (".", "./-data", "./--resume"),
        ("sub", "esc\u{1b}[31m", "two\nlines"),
    ] {
        let cwd = folder.path().join(place);
        pairs(&cwd.join(data), 2, 32);
        let mut args = vec!["train", data, "--out", out];
        let flags = format!("{SMALL} --epochs 100 --save-every 1");
        args.extend(words(&flags));
        let mut child = command(&cwd, &args);
        let child = child.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
        let mut child = child.unwrap();
        saved(&mut child, &cwd.join(out));
        signal(&child, "-TERM");
        let text = String::from_utf8(child.wait_with_output().unwrap().stdout).unwrap();
        let next = shell(&cwd, next_line(&text));
        assert_eq!(next.status.code(), Some(0), "{data}: {next:?}");
        assert_eq!(lines(&cwd.join(out)).len(), 200, "{data}");
    }
}

/// As under `nohup`, or in the background of a script.
#[test]
fn signals_that_are_ignored_stay_ignored() {
    let folder = bench();
    let run = folder.path().join("run");
    let line = format!(
        "trap '' HUP INT TERM; exec {} train data --out run {SMALL} --save-every 1 --steps 100000",
        env!("CARGO_BIN_EXE_pix2pix-engine")
    );
    let mut child = Command::new("sh");
    child.args(["-c", &line]).current_dir(folder.path()).env("CUDA_VISIBLE_DEVICES", "");
    let child = child.env_remove("LD_LIBRARY_PATH").stdout(Stdio::null()).stderr(Stdio::piped());
    let mut child = child.spawn().unwrap();
    saved(&mut child, &run);
    ["-HUP", "-INT", "-TERM"].iter().for_each(|name| signal(&child, name));
    let (begun, reached) = (Instant::now(), last_step(&run));
    while last_step(&run) < reached + 20 {
        assert!(child.try_wait().unwrap().is_none(), "a signal that was ignored has ended it");
        assert!(begun.elapsed() < Duration::from_secs(60), "no step after a minute");
        std::thread::sleep(Duration::from_millis(2));
    }
    child.kill().unwrap();
    assert_eq!(child.wait_with_output().unwrap().stderr, b"");
}

#[test]
fn a_second_signal_ends_the_run_at_once_and_two_in_one_breath_do_not() {
    let folder = bench();
    // Steps of many seconds in a build with checks.
    let line = "train data --out run --size 256 --base-channels 48 --batch-size 6 --steps 2";
    let mut child = command(folder.path(), &words(line));
    let mut child = child.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let begun = Instant::now();
    while !folder.path().join("run/samples").exists() {
        assert!(child.try_wait().unwrap().is_none(), "it ended by itself");
        assert!(begun.elapsed() < Duration::from_secs(60), "no run after a minute");
        std::thread::sleep(Duration::from_millis(2));
    }
    // What `timeout` does.
    signal(&child, "-TERM");
    signal(&child, "-TERM");
    let mut said = String::new();
    BufReader::new(child.stderr.take().unwrap()).read_line(&mut said).unwrap();
    assert!(said.contains("SIGTERM: stopping after this step"), "{said}");
    while child.try_wait().unwrap().is_none() {
        signal(&child, "-INT");
        std::thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(child.wait().unwrap().code(), Some(130));
    assert!(!folder.path().join("run/checkpoints/latest.safetensors").exists(), "a step was done");
}

#[test]
fn a_translation_is_dropped_at_once() {
    let folder = bench();
    train(folder.path(), "run", "--steps 1");
    save(&folder.path().join("large.png"), &picture(3000, 2000, 1));
    let mut child = command(folder.path(), &words("translate run large.png -o out.png"));
    let mut child = child.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let (mut first, mut out) = (String::new(), BufReader::new(child.stdout.take().unwrap()));
    out.read_line(&mut first).unwrap();
    signal(&child, "-TERM");
    let ended = child.wait_with_output().unwrap();
    assert_eq!((ended.status.code(), ended.stderr), (Some(143), Vec::new()), "{first}");
    assert!(!folder.path().join("out.png").exists());
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
