//! Runs that are killed at random moments: nothing is lost beyond the last checkpoint, and what goes
//! on gives the bytes of a run that was left alone.
//!
//! `PIX2PIX_KILLS` is the number of kills, by default 20; `tests/kill_at_every_call.sh` kills at every
//! rename and fsync, where strace is there.
#![cfg(unix)]

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use pix2pix_engine::checkpoint::load_weights;

use crate::program::{command, lines, ok, pairs, run, tree, words};

/// What differs between the runs, and how often they validate and save.
const CONFIGURATIONS: [[&str; 2]; 10] = [
    ["", ""],
    ["--gan none", ""],
    ["--gan lsgan --unconditional", "--save-every 2"],
    ["--norm instance", "--save-every 1"],
    ["--norm none --lr 1e-3", "--val-every 3"],
    ["--batch-size 2", ""],
    ["--no-shuffle --no-jitter --no-flip", ""],
    ["--schedule cosine", "--val-every 2"],
    ["--distance l2 --lambda-l1 0.1", "--val-every 0 --save-every 4"],
    ["--seed 18446744073709551615 --beta1 0.3 --lr 3.3e-4", ""],
];
/// Four epochs of the smallest network.
const BEGIN: &str = "train data --size 16 --base-channels 1 --patch 16 --epochs 4";

/// Every file of a run but which generation `previous` is, without the seconds of its steps.
fn results(run: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut all = BTreeMap::new();
    for path in tree(run).into_keys().filter(|path| path.is_file()) {
        let name = path.strip_prefix(run).unwrap().to_str().unwrap().to_string();
        if name != "checkpoints/previous.safetensors" {
            all.insert(name, fs::read(path).unwrap());
        }
    }
    let mut steps = lines(run);
    steps.iter_mut().for_each(|line| line["seconds"] = 0.into());
    all.insert("metrics.jsonl".to_string(), format!("{steps:?}").into_bytes());
    all
}

/// Runs `line` and kills it after `wait`.
fn kill(cwd: &Path, line: &str, wait: Duration) {
    let mut child = command(cwd, &words(line));
    let mut child = child.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    std::thread::sleep(wait);
    child.kill().unwrap();
    child.wait().unwrap();
}

/// Goes on with the run `out`, or begins it anew if it has no checkpoint. Returns whether it went on.
fn go_on(cwd: &Path, begin: &str, out: &str, looks: &str) -> bool {
    let latest = cwd.join(out).join("checkpoints/latest.safetensors");
    if !latest.exists() {
        ok(cwd, &words(begin));
        return false;
    }
    load_weights(&latest).unwrap();
    // By its folder the run is as far as its checkpoint, also between two renames.
    ok(cwd, &words(&format!("translate {out} data/val/0.png -o o.png")));
    let ended = run(cwd, &words(&format!("train data --resume {out} {looks}")));
    let complete = ended.code == Some(1) && ended.err.contains("steps already");
    assert!(complete || ended.code == Some(0), "{ended:?}");
    true
}

#[test]
fn killed_at_any_moment_a_run_goes_on_to_the_same_bytes() {
    let kills = std::env::var("PIX2PIX_KILLS").unwrap_or_else(|_| "20".to_string());
    let kills: usize = kills.parse().expect("a number of kills");
    let folder = tempfile::tempdir().unwrap();
    let cwd = folder.path();
    pairs(&cwd.join("data/train"), 3, 16);
    pairs(&cwd.join("data/val"), 1, 16);
    let (mut random, mut went_on) = (4_u64, 0);
    for (c, [flags, looks]) in CONFIGURATIONS.iter().enumerate() {
        let begun = Instant::now();
        ok(cwd, &words(&format!("{BEGIN} {flags} {looks} --out whole{c}")));
        let took = begun.elapsed();
        let expected = results(&cwd.join(format!("whole{c}")));
        for kill_number in (c..kills).step_by(CONFIGURATIONS.len()) {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            // Somewhere in the time that the whole run took.
            let wait = took.mul_f64((random >> 40) as f64 / f64::from(1 << 24));
            let out = format!("run{kill_number}");
            let line = format!("{BEGIN} {flags} {looks} --out {out}");
            kill(cwd, &line, wait);
            went_on += usize::from(go_on(cwd, &line, &out, looks));
            let got = results(&cwd.join(&out));
            let at = format!("`{flags} {looks}` killed after {wait:?}");
            let names = |all: &BTreeMap<String, Vec<u8>>| all.keys().cloned().collect::<Vec<_>>();
            assert_eq!(names(&got), names(&expected), "{at}");
            for (name, bytes) in &expected {
                assert!(got[name] == *bytes, "{at}: {name} differs");
            }
            fs::remove_dir_all(cwd.join(&out)).unwrap();
        }
    }
    eprintln!("{kills} kills, {went_on} of them behind the first checkpoint");
    assert!(went_on > 0);
}
