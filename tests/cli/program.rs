//! Running the program, and the small data that it runs on.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Once};
use std::time::SystemTime;

use pix2pix_engine::data::Image;
use serde_json::Value;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::flag;

/// What a run of the program gave.
#[derive(Debug)]
pub struct Ended {
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
}

/// Sees to it that what this process starts finds no signal ignored, whatever started the tests: a
/// signal that is handled here has its default action there.
pub fn signals_are_heard() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        for signal in [SIGHUP, SIGINT, SIGTERM] {
            flag::register_conditional_default(signal, Arc::new(true.into())).unwrap();
        }
    });
}

/// The program in a folder, without a terminal.
pub fn command(cwd: &Path, args: &[&str]) -> Command {
    signals_are_heard();
    let mut command = Command::new(env!("CARGO_BIN_EXE_pix2pix-engine"));
    command.args(args).current_dir(cwd).stdin(Stdio::null());
    // Tests of the CPU stay there on a machine with a GPU, and away from the softgpu that cargo puts
    // on the library path of what it runs.
    command.env_remove("LD_LIBRARY_PATH").env("CUDA_VISIBLE_DEVICES", "");
    command
}

/// Runs the program to its end.
pub fn run(cwd: &Path, args: &[&str]) -> Ended {
    let done = command(cwd, args).output().unwrap();
    Ended {
        code: done.status.code(),
        out: String::from_utf8(done.stdout).unwrap(),
        err: String::from_utf8(done.stderr).unwrap(),
    }
}

/// Runs the program, which must end well.
pub fn ok(cwd: &Path, args: &[&str]) -> Ended {
    let ended = run(cwd, args);
    assert_eq!(ended.code, Some(0), "{args:?}: {ended:?}");
    assert_eq!(ended.err, "", "{args:?}");
    ended
}

/// The words of a command line. None of them holds a space.
pub fn words(line: &str) -> Vec<&str> {
    line.split_whitespace().collect()
}

/// Flags of a network that takes milliseconds a step.
pub const SMALL: &str = "--size 32 --base-channels 4 --patch 16";

/// A picture that is a function of its size and `tag`: slopes in each direction, so that no two
/// crops, flips or halves are equal.
pub fn picture(width: usize, height: usize, tag: usize) -> Image {
    let mut pixels = Vec::with_capacity(width * height * 3);
    for y in 0..height {
        for x in 0..width {
            let values = [x * 7 + y * 3 + tag * 40, x * 2 + y * 5 + tag * 11, x * y / 4 + tag];
            pixels.extend(values.map(|v| (v % 256) as u8));
        }
    }
    Image::new(width, height, 3, pixels).unwrap()
}

/// Writes a picture, and the folders above it.
pub fn save(path: &Path, picture: &Image) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    picture.write(path).unwrap();
}

/// `count` pairs of `size` x `size` pixels side by side, in `folder`.
pub fn pairs(folder: &Path, count: usize, size: usize) {
    for i in 0..count {
        save(&folder.join(format!("{i}.png")), &picture(2 * size, size, i));
    }
}

/// A folder with a data set `data` of three pairs.
pub fn bench() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    pairs(&folder.path().join("data"), 3, 32);
    folder
}

/// `train data --out OUT` with the small network and further flags; must end well.
pub fn train(cwd: &Path, out: &str, flags: &str) -> Ended {
    let line = format!("train data --out {out} {SMALL} {flags}");
    ok(cwd, &words(&line))
}

/// Goes on with a run.
pub fn resume(cwd: &Path, out: &str, flags: &str) -> Ended {
    ok(cwd, &words(&format!("train data --resume {out} {flags}")))
}

/// The bytes of a run's checkpoint and of its model.
pub fn results(run: &Path) -> [Vec<u8>; 2] {
    ["checkpoints/latest.safetensors", "model.safetensors"]
        .map(|name| std::fs::read(run.join(name)).unwrap())
}

/// The lines of a run's metrics.jsonl that are steps.
pub fn steps(run: &Path) -> Vec<Value> {
    lines(run).into_iter().filter(|line| line.get("validation").is_none()).collect()
}

/// All lines of a run's metrics.jsonl.
pub fn lines(run: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(run.join("metrics.jsonl")).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// The numbers of the steps, in the order of the file.
pub fn step_numbers(run: &Path) -> Vec<u64> {
    steps(run).iter().map(|line| line["step"].as_u64().unwrap()).collect()
}

/// Every file and folder below `root`, with length and time: what a run that fails must not change.
pub fn tree(root: &Path) -> BTreeMap<PathBuf, (u64, SystemTime)> {
    let mut all = BTreeMap::new();
    let mut folders = vec![root.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let about = path.symlink_metadata().unwrap();
            all.insert(path.clone(), (about.len(), about.modified().unwrap()));
            if about.is_dir() {
                folders.push(path);
            }
        }
    }
    all
}

/// A command line that must be refused.
pub struct Refused {
    /// Words behind the program's name, separated by spaces.
    pub line: &'static str,
    /// The exit code: 1 for wrong input, 2 for a machine or a file that failed.
    pub code: i32,
    /// What the message says: the file or the flag, and the cure.
    pub says: &'static [&'static str],
}

/// Flags that `train` gets in a table, unless the line has them or what excludes them.
const FILLED: [(&str, &str, &[&str]); 5] = [
    ("--size", "32", &["--resume"]),
    ("--base-channels", "4", &["--resume"]),
    ("--patch", "16", &["--resume"]),
    ("--steps", "2", &["--epochs"]),
    ("--out", "new", &["--resume"]),
];

/// Runs each line in `cwd`: exit code, one line that says what it should, nothing written.
pub fn refuse_all(cwd: &Path, rows: &[Refused]) {
    let before = tree(cwd);
    for row in rows {
        let mut args = words(row.line);
        if args[0] == "train" {
            for (flag, value, excluded) in FILLED {
                if !args.iter().any(|a| *a == flag || excluded.contains(a)) {
                    args.extend([flag, value]);
                }
            }
        }
        let ended = run(cwd, &args);
        let at = format!("`{}`: {ended:#?}", row.line);
        assert_eq!(ended.code, Some(row.code), "{at}");
        assert!(ended.err.starts_with("error: "), "{at}");
        assert_eq!(ended.err.lines().count(), 1, "{at}");
        for word in ["panicked", "defect", "Some(", "None", "Err("] {
            assert!(!ended.err.contains(word), "{word} in {at}");
        }
        for say in row.says {
            assert!(ended.err.contains(say), "no {say:?} in {at}");
        }
        let after = tree(cwd);
        if after != before {
            let new: Vec<_> = after.iter().filter(|(p, v)| before.get(*p) != Some(v)).collect();
            panic!("wrote {new:#?} in {at}");
        }
    }
}
