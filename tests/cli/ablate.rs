//! `ablate`: tables of runs, and that one that was stopped ends as one that was not.

use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::program::{Refused, bench, command, ok, pairs, refuse_all, run, save, tree, words};

const FLAGS: &str = "-- --size 32 --base-channels 4 --patch 16 --epochs 6";

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap()
}

/// The result and all models.
fn made(out: &Path) -> Vec<(String, Vec<u8>)> {
    let name = |path: &Path| path.strip_prefix(out).unwrap().display().to_string();
    tree(out)
        .into_keys()
        .filter(|path| {
            ["table.md", "index.html", "sheet.png", "model.safetensors"]
                .iter()
                .any(|end| path.ends_with(end))
        })
        .map(|path| (name(&path), std::fs::read(&path).unwrap()))
        .collect()
}

#[test]
fn a_table_that_was_stopped_goes_on_to_the_same_bytes() {
    let at = bench();
    pairs(&at.path().join("data/val"), 2, 32);
    pairs(&at.path().join("data/train"), 4, 32);
    (0..3).for_each(|i| std::fs::remove_file(at.path().join(format!("data/{i}.png"))).unwrap());
    let line = format!("ablate losses data --seeds 2 --out whole {FLAGS}");
    let said = ok(at.path(), &words(&line)).out;
    assert!(said.contains("10 of 10: L1+cGAN, seed 1"), "{said}");
    let table = read(&at.path().join("whole/table.md"));
    for says in ["Table 1", "| L1+cGAN |", "2 pairs of val", "paper: mean IoU", "Means of 2 runs"] {
        let without_scorer = says.starts_with("paper");
        assert_eq!(table.contains(says), !without_scorer, "{says}: {table}");
    }
    let page = read(&at.path().join("whole/index.html"));
    assert!(!page.contains("http") && page.matches("<img").count() == 2 * 7, "{page}");

    // Stopped in the third run, which is saved.
    let line = line.replace("whole", "parts");
    let mut child = command(at.path(), &words(&line))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let third = at.path().join("parts/cgan-seed0/metrics.jsonl");
    let begun = Instant::now();
    while std::fs::metadata(&third).map_or(0, |about| about.len()) == 0 {
        assert!(begun.elapsed() < Duration::from_secs(300), "the third run did not begin");
        std::thread::sleep(Duration::from_millis(1));
    }
    kill_process(Pid::from_child(&child), Signal::TERM).unwrap();
    let code = child.wait().unwrap().code();
    // A run may have ended just then.
    assert!(code == Some(143), "{code:?}");
    assert!(!at.path().join("parts/table.md").exists());
    let said = ok(at.path(), &words(&line)).out;
    assert!(said.contains("1 of 10: L1, seed 0: is there"), "{said}");
    assert_eq!(made(&at.path().join("parts")), made(&at.path().join("whole")));
    // Once more there is nothing to train.
    let said = ok(at.path(), &words(&line)).out;
    assert_eq!(said.matches("is there").count(), 10, "{said}");
    // Other settings are not mixed in.
    let other = line.replace("--epochs 6", "--epochs 7");
    let ended = run(at.path(), &words(&other));
    assert_eq!(ended.code, Some(1));
    assert!(ended.err.contains("begun with other rows, flags or data"), "{ended:?}");
}

#[test]
fn a_scorer_gives_the_papers_figures_and_files_give_rows() {
    let at = bench();
    let line = "score train data --direction b2a --palette palette.txt --size 64 --base-channels 2 \
                --epochs 1 --out scorer";
    std::fs::write(at.path().join("palette.txt"), "0 0 0 dark\n255 0 0 red\n0 255 0 green\n")
        .unwrap();
    ok(at.path(), &words(line));
    std::fs::write(at.path().join("mine.txt"), "plain: --gan none\nwide: --gan none --depth 4\n")
        .unwrap();
    let line = format!("ablate mine.txt data --scorer scorer --pictures 1 {FLAGS}");
    ok(at.path(), &words(&line));
    let table = read(&at.path().join("ablations/mine/table.md"));
    let rows: Vec<&str> = table.lines().filter(|line| line.starts_with("| ")).skip(2).collect();
    assert!(rows[0].starts_with("| plain |") && rows[1].starts_with("| wide |"), "{table}");
    assert!(rows[2].starts_with("| real photographs |") && rows[2].contains("none"), "{table}");
    assert!(
        table.contains("| pixel accuracy | class accuracy | mean IoU | L1 | SSIM |"),
        "{table}"
    );
    // Pair 2 has none of the palette's colours.
    assert!(table.contains("1 of 3 pictures of plain could not be scored, such as 2: "), "{table}");
    let line = "ablate segmentation data --out labels -- --palette palette.txt --size 32 \
                --base-channels 4 --patch 16 --epochs 1";
    ok(at.path(), &words(line));
    let table = read(&at.path().join("labels/table.md"));
    assert!(
        table.contains("| cross entropy |") && table.contains("| 0.86 | 0.42 | 0.35 |"),
        "{table}"
    );
}

#[test]
fn tables_that_cannot_be_made_are_refused_before_the_first_step() {
    let at = bench();
    save(&at.path().join("full/x.png"), &crate::program::picture(8, 8, 0));
    let row = |line, says| Refused { line, code: 1, says };
    refuse_all(
        at.path(),
        &[
            row("ablate nothing data", &["nothing is no table", "losses, generators"]),
            row("ablate losses nowhere", &["nowhere"]),
            row("ablate losses data -- --no-such-flag", &["the row L1", "--no-such-flag"]),
            row("ablate losses data -- --seed 3", &["the row L1", "--seed"]),
            row("ablate patches data -- --size 64", &["the row 286x286", "at least 96 pixels"]),
            row("ablate losses data --scorer nowhere", &["nowhere does not exist"]),
            row("ablate losses data --phase val", &["no pairs of the phase val"]),
            row("ablate segmentation data --scorer full", &["--scorer", "leave it out"]),
            row("ablate losses data --out full", &["other files"]),
        ],
    );
}
