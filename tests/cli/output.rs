//! Standard output that cannot be written is an error, and costs no work.
#![cfg(unix)]

use std::io::{BufRead, BufReader, pipe};
use std::process::Stdio;

use crate::program::{SMALL, bench, command, ok, pairs, tree, words};

/// Commands that print, whatever they do.
const PRINTING: [&str; 6] = [
    "describe",
    "devices",
    "--help",
    "train --help",
    "train data --print-program --size 32",
    "train data --size 32 --base-channels 4 --patch 16 --steps 2",
];

#[test]
#[cfg(target_os = "linux")]
fn a_full_disk_behind_the_output_is_an_error() {
    let folder = bench();
    let before = tree(folder.path());
    for line in PRINTING {
        let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
        let ended = command(folder.path(), &words(line)).stdout(full).output().unwrap();
        assert_eq!(ended.status.code(), Some(2), "{line}: {ended:?}");
        let err = String::from_utf8(ended.stderr).unwrap();
        assert!(err.starts_with("error: cannot write standard output: No space left"), "{err}");
        assert_eq!(err.lines().count(), 1, "{line}: {err}");
    }
    assert_eq!(tree(folder.path()), before);
}

#[test]
fn a_reader_that_is_gone_ends_a_command_as_sigpipe_would() {
    let folder = bench();
    let before = tree(folder.path());
    for line in PRINTING {
        let (reader, writer) = pipe().unwrap();
        drop(reader);
        let ended = command(folder.path(), &words(line)).stdout(writer).output().unwrap();
        assert_eq!(ended.status.code(), Some(141), "{line}: {ended:?}");
        assert_eq!(ended.stderr, b"", "{line}: {ended:?}");
    }
    assert_eq!(tree(folder.path()), before);
}

#[test]
fn a_run_whose_reader_goes_away_is_saved_and_says_how_to_go_on() {
    let folder = bench();
    pairs(&folder.path().join("phased/train"), 3, 32);
    pairs(&folder.path().join("phased/val"), 2, 32);
    // A line at each validation.
    let line = format!("train phased --out run {SMALL} --schedule constant --steps 100000");
    let mut child = command(folder.path(), &words(&line));
    let mut child = child.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut out = BufReader::new(child.stdout.take().unwrap()).lines();
    assert!(out.any(|line| line.unwrap().starts_with("epoch 1 val")));
    drop(out);
    let ended = child.wait_with_output().unwrap();
    assert_eq!(ended.status.code(), Some(141), "{ended:?}");
    let err = String::from_utf8(ended.stderr).unwrap();
    assert!(err.starts_with("error: the reader of standard output has gone away"), "{err}");
    assert_eq!(err.lines().count(), 1, "{err}");
    let step = err.split("is saved after step ").nth(1).unwrap().split(';').next().unwrap();
    let next = err.trim_end().split("go on with: ").nth(1).unwrap();
    let next = next.strip_prefix(env!("CARGO_BIN_EXE_pix2pix-engine")).unwrap();
    let step: u64 = step.parse().unwrap();
    ok(folder.path(), &words(&format!("{next} --steps {}", step + 1)));
}

/// Messages that nobody can read stop nothing.
#[test]
fn a_lost_standard_error_is_no_error() {
    let folder = bench();
    let (reader, writer) = pipe().unwrap();
    drop(reader);
    let line = format!("train data --out run {SMALL} --steps 2");
    let ended = command(folder.path(), &words(&line)).stderr(writer).output().unwrap();
    assert_eq!(ended.status.code(), Some(0), "{ended:?}");
}
