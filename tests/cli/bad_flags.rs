//! Flags that are wrong, alone or together.

use std::fs;

use crate::program::{Refused, bench, refuse_all, run, train, tree, words};

#[test]
fn wrong_values_are_refused_before_anything_is_written() {
    let folder = bench();
    let row = |line, says| Refused { line, code: 1, says };
    refuse_all(
        folder.path(),
        &[
            row("train data --size 100", &["--size 100", "multiple of 16", "use --size 96 or 128"]),
            row("train data --size 0", &["--size 0", "use --size 32"]),
            row("train data --size 7", &["--size 7", "use --size 32"]),
            row("train data --size 18446744073709551600", &["--size", "at most"]),
            row("train data --size 48 --depth 5", &["--size 48", "multiples of 32"]),
            row("train data --depth 0", &["depth"]),
            row("train data --depth 70", &["depth"]),
            row("train data --patch 33", &["patches of 33 pixels", "use --patch 1, 16, 34"]),
            row("train data --patch 286 --size 64", &["--patch 286", "at least 96", "smaller"]),
            row("train data --patch 70 --size 16", &["--patch 70", "at least 24", "smaller"]),
            row("train data --batch-size 0", &["--batch-size 0", "at least one"]),
            row("train data --batch-size 99999999999999", &["--batch-size", "at most"]),
            row("train data --base-channels 0", &["--base-channels 0", "at least 1"]),
            row("train data --discriminator-channels 0", &["--discriminator-channels 0"]),
            row("train data --base-channels 99999999999999", &["--base-channels", "at most"]),
            row("train data --lr nan", &["--lr NaN", "above 0"]),
            row("train data --lr -1", &["--lr -1", "above 0"]),
            row("train data --lr 0", &["--lr 0", "above 0"]),
            row("train data --lr inf", &["--lr inf", "above 0"]),
            row("train data --beta1 1", &["--beta1 1", "below 1"]),
            row("train data --lambda-l1 -5", &["--lambda-l1 -5", "0 or above"]),
            row("train data --epochs 0", &["--epochs 0", "at least 1"]),
            row("train data --steps 0", &["--steps 0", "at least 1"]),
            row("train data --gan none --distance none", &["--gan none", "--distance none"]),
            row("train data --device tpu", &["--device tpu", "use auto, cpu, cuda or cuda:N"]),
            row("train data --device cuda:x", &["--device cuda:x", "use auto, cpu, cuda or"]),
            row("train data --device cuda1", &["--device cuda1", "use auto, cpu, cuda or"]),
            row("train data --device cpu --precision bf16", &["--precision bf16", "for GPUs"]),
            row("train data --precision tf32", &["--precision tf32", "for GPUs"]),
            row("train data --threads 1000000", &["--threads 1000000", "at most"]),
            row("translate m.safetensors data --device tpu", &["m.safetensors does not exist"]),
            row("describe --size 100", &["--size 100", "use --size 96 or 128"]),
            row("describe --patch 5", &["patches of 5 pixels", "use --patch"]),
            row("describe --base-channels 0", &["--base-channels 0", "at least 1"]),
        ],
    );
}

#[test]
fn a_network_beyond_the_machine_is_refused_before_its_first_step() {
    let folder = bench();
    let says: &[&str] = &["needs", "GB of memory", "are free", "smaller --base-channels"];
    refuse_all(
        folder.path(),
        &[
            Refused { line: "train data --base-channels 20000", code: 2, says },
            Refused { line: "train data --batch-size 60000 --size 256", code: 2, says },
        ],
    );
}

#[test]
fn the_place_of_a_run_is_kept_safe() {
    let folder = bench();
    train(folder.path(), "old", "--steps 1");
    train(folder.path(), "other", "--steps 1");
    fs::write(folder.path().join("file"), "x").unwrap();
    refuse_all(
        folder.path(),
        &[
            Refused { line: "train data --out file", code: 1, says: &["file is a file", "folder"] },
            Refused {
                line: "train data --out old",
                code: 1,
                says: &["old holds a run already", "--resume old", "another --out"],
            },
            Refused {
                line: "train data --resume old --out other --steps 2",
                code: 1,
                says: &["other holds a run already", "another --out"],
            },
            // A folder that cannot be made, even for one who may do everything.
            Refused { line: "train data --out file/run", code: 2, says: &["file/run", "create"] },
        ],
    );
}

#[test]
fn what_clap_refuses_shows_the_usage() {
    let folder = bench();
    let before = tree(folder.path());
    let cases = [
        ("", "Usage"),
        ("fly", "unrecognized subcommand 'fly'"),
        ("train", "<DATA>"),
        ("train data --frobnicate", "--frobnicate"),
        ("train data --steps", "--steps"),
        ("train data --steps many", "many"),
        ("train data --steps -3", "-3"),
        ("train data --steps 1 --epochs 1", "cannot be used with"),
        ("train data --gan wgan", "vanilla"),
        ("train data --resume a --init-generator b", "cannot be used with"),
        ("translate", "<MODEL>"),
        ("translate model", "<INPUT>"),
        ("translate m i --norm layer", "running"),
        ("convert one", "<TO>"),
    ];
    for (line, says) in cases {
        let ended = run(folder.path(), &words(line));
        assert_eq!(ended.code, Some(1), "{line}: {ended:?}");
        assert!(ended.err.contains(says), "{line}: {ended:?}");
        assert!(ended.err.contains("--help") || ended.err.contains("Usage"), "{line}: {ended:?}");
        assert_eq!(ended.out, "", "{line}");
    }
    assert_eq!(tree(folder.path()), before);
}
