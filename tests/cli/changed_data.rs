//! A run that goes on with other pairs than it began with: epochs stay epochs, and scores of other
//! pictures are not compared.

use crate::program::{SMALL, lines, ok, pairs, resume, step_numbers, steps, train, words};

/// Three pairs, then more or fewer: the epochs that are done count as done, whatever they held.
#[test]
fn epochs_are_counted_whatever_the_number_of_pairs() {
    for (count, last) in [(5, 6 + 2 * 5), (2, 6 + 2 * 2), (3, 12)] {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("data");
        pairs(&data, 3, 32);
        train(folder.path(), "run", "--epochs 2");
        std::fs::remove_dir_all(&data).unwrap();
        pairs(&data, count, 32);
        let ended = resume(folder.path(), "run", "--epochs 4");
        let run = folder.path().join("run");
        assert_eq!(step_numbers(&run), (1..=last as u64).collect::<Vec<_>>(), "{count} pairs");
        assert_eq!(steps(&run).last().unwrap()["epoch"], 4, "{count} pairs");
        assert_eq!(ended.out.contains("warning   the data has changed"), count != 3, "{count}");
    }
}

#[test]
fn the_best_of_other_pictures_counts_no_more() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    pairs(&data.join("train"), 2, 32);
    pairs(&data.join("val"), 2, 32);
    train(folder.path(), "run", "--epochs 2");
    pairs(&data.join("val"), 4, 32);
    let ended = resume(folder.path(), "run", "--epochs 3");
    assert!(ended.out.contains("the best so far counts no more"), "{}", ended.out);
    assert!(ended.out.contains("epoch 3 val: L1") && ended.out.contains("(best)"), "{}", ended.out);
    let validations = |line: &&serde_json::Value| line.get("validation").is_some();
    assert_eq!(lines(&folder.path().join("run")).iter().filter(validations).count(), 3);
}

/// Folders A and B beside those of another phase, and a phase that training does not use.
#[test]
fn every_folder_is_trained_on_or_said() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    for (place, count) in
        [("A", 3), ("B", 3), ("val/A", 2), ("val/B", 2), ("test/A", 4), ("test/B", 4)]
    {
        pairs(&at("data").join(place), count, 32);
    }
    let ended = train(folder.path(), "run", "--steps 1");
    for says in ["3 pairs to train on, 2 to validate on", "4 pairs of `test` are not used"] {
        assert!(ended.out.contains(says), "no {says:?} in {}", ended.out);
    }
    let line = format!("train --a data/A --b data/../data/A --out twice {SMALL} --steps 1");
    let twice = crate::program::run(folder.path(), &words(&line));
    assert_eq!(twice.code, Some(1));
    assert!(twice.err.contains("--a and --b are one folder"), "{}", twice.err);
    // A quality asks for JPEG.
    ok(folder.path(), &words("translate run data/val/A --output out --quality 80"));
    assert!(at("out/0.jpg").is_file() && at("out/1.jpg").is_file());
}
