//! Limits on what a process may take: seen before the first step, and named.
#![cfg(target_os = "linux")]

use std::path::Path;
use std::process::Command;

use crate::program::{Ended, SMALL, bench, tree};

/// Runs `train data` with these flags under `ulimit LIMIT`.
fn limited(cwd: &Path, limit: &str, flags: &str) -> Ended {
    let program = env!("CARGO_BIN_EXE_pix2pix-engine");
    let line = format!("ulimit {limit} && exec {program} train data --out run {flags}");
    let mut command = Command::new("sh");
    command.args(["-c", &line]).current_dir(cwd);
    let done = command.env_remove("LD_LIBRARY_PATH").env("CUDA_VISIBLE_DEVICES", "").output();
    let done = done.unwrap();
    Ended {
        code: done.status.code(),
        out: String::from_utf8(done.stdout).unwrap(),
        err: String::from_utf8(done.stderr).unwrap(),
    }
}

#[test]
fn a_limit_that_a_run_would_meet_is_named_before_its_first_step() {
    let folder = bench();
    let before = tree(folder.path());
    // 14 million parameters with gradients and moments: 240 MB.
    let large = "--size 256 --base-channels 32 --steps 2";
    let small = &format!("{SMALL} --steps 2");
    for (limit, flags, says) in [
        ("-d 150000", large, &["this run needs", "are free within the data limit of 154 MB"][..]),
        ("-v 500000", large, &["this run needs", "address space limit of 512 MB (ulimit -v)"]),
        // Not enough for the threads, or for the little that comes after them.
        ("-d 2000", small, &["(ulimit -d)"]),
        ("-v 100000", small, &["(ulimit -v)"]),
        ("-n 10", small, &["may open 10 files at a time (ulimit -n)", "raise the limit"]),
        ("-f 100", small, &["a checkpoint of this run has", "(ulimit -f)"]),
    ] {
        let ended = limited(folder.path(), limit, flags);
        assert_eq!(ended.code, Some(2), "{limit}: {ended:?}");
        assert!(ended.err.starts_with("error: "), "{limit}: {ended:?}");
        assert_eq!(ended.err.lines().count(), 1, "{limit}: {ended:?}");
        for say in says.iter().chain(&["ulimit"]) {
            assert!(ended.err.contains(say), "no {say:?} under {limit}: {ended:?}");
        }
        assert!(!ended.err.contains("defect"), "{limit}: {ended:?}");
        assert_eq!(tree(folder.path()), before, "{limit}");
    }
}

#[test]
fn a_limit_that_leaves_enough_is_no_matter() {
    let folder = bench();
    let flags = format!("{SMALL} --threads 1 --steps 2");
    // A soft limit on open files is raised.
    for limit in ["-d 300000", "-v 2000000", "-S -n 10"] {
        let ended = limited(folder.path(), limit, &flags);
        assert_eq!((ended.code, ended.err.as_str()), (Some(0), ""), "{limit}: {ended:?}");
        std::fs::remove_dir_all(folder.path().join("run")).unwrap();
    }
}
