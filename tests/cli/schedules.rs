//! The learning rate of every epoch, as `metrics.jsonl` has it.

use crate::program::{Ended, bench, resume, steps, train};

/// The rate of each epoch in units of `--lr`, three steps an epoch.
fn rates(flags: &str) -> Vec<f64> {
    let folder = bench();
    train(folder.path(), "run", &format!("--lr 1e-3 {flags}"));
    let steps = steps(&folder.path().join("run"));
    let rate = |line: &serde_json::Value| line["lr"].as_f64().unwrap() / 1e-3;
    for (i, line) in steps.iter().enumerate() {
        assert_eq!(line["epoch"], i as u64 / 3 + 1, "{flags}");
        assert!(rate(line) > 0.0, "{flags}: {line}");
        assert_eq!(rate(line), rate(&steps[i / 3 * 3]), "{flags}: one rate an epoch");
    }
    steps.iter().step_by(3).map(rate).collect()
}

fn close(flags: &str, expected: &[f64]) {
    let found = rates(flags);
    assert_eq!(found.len(), expected.len(), "{flags}: {found:?}");
    for (f, e) in found.iter().zip(expected) {
        // The rate is stored as f32.
        assert!((f / e - 1.0).abs() < 1e-6, "{flags}: {found:?}, expected {expected:?}");
    }
}

#[test]
fn rates_are_as_documented() {
    close("--schedule constant --epochs 3", &[1.0; 3]);
    // By default half of all epochs at the full rate, and down over the rest.
    close("--epochs 1", &[1.0]);
    close("--epochs 3", &[1.0, 1.0, 0.5]);
    close("--epochs 4", &[1.0, 1.0, 2.0 / 3.0, 1.0 / 3.0]);
    // By default steps cut the run of 200 epochs short.
    close("--steps 12", &[1.0; 4]);
    close("--steps 7 --full-epochs 1", &[1.0, 2.0 / 3.0, 1.0 / 3.0]);
    close("--full-epochs 1 --epochs 4", &[1.0, 0.75, 0.5, 0.25]);
    close("--decay-epochs 1 --epochs 3", &[1.0, 1.0, 0.5]);
    let fifth = [1.0, 1.0, 0.75, 0.5, 0.25];
    close("--schedule linear --full-epochs 2 --decay-epochs 3 --epochs 5", &fifth);
    // Beyond its end the rate stays.
    close("--schedule linear --full-epochs 1 --decay-epochs 1 --epochs 4", &[1.0, 0.5, 0.5, 0.5]);
    close("--schedule step --full-epochs 2 --epochs 5", &[1.0, 1.0, 0.1, 0.1, 0.01]);
    let turn = |e: f64| (1.0 + (std::f64::consts::PI * e / 4.0).cos()) / 2.0;
    close("--schedule cosine --epochs 4", &[turn(0.0), turn(1.0), turn(2.0), turn(3.0)]);
    // By steps: twelve steps of three an epoch are four epochs.
    close("--schedule cosine --steps 12", &[turn(0.0), turn(1.0), turn(2.0), turn(3.0)]);
}

#[test]
fn the_schedule_is_said_before_the_first_step_and_when_it_changes() {
    let folder = bench();
    let said = |ended: &Ended| {
        let line = ended.out.lines().find_map(|line| line.strip_prefix("schedule  "));
        line.unwrap_or_else(|| panic!("no schedule in {}", ended.out)).to_string()
    };
    let begun = train(folder.path(), "run", "--epochs 2");
    let two = "learning rate 2e-4 for 1 epoch, then down in even steps over 1, to 1e-4 in the last";
    assert_eq!(said(&begun), two);
    let at = |text: &str| begun.out.find(text).unwrap();
    assert!(at("schedule  ") < at("step 1/6"));
    let longer = resume(folder.path(), "run", "--epochs 4");
    let four =
        "learning rate 2e-4 for 2 epochs, then down in even steps over 2, to 6.67e-5 in the last";
    assert_eq!(said(&longer), format!("{four}; before, it was {two}"));
    let lrs: Vec<f64> = steps(&folder.path().join("run"))
        .iter()
        .map(|line| (line["lr"].as_f64().unwrap() / 2e-4 * 100.0).round())
        .collect();
    let epochs: Vec<f64> = lrs.iter().step_by(3).copied().collect();
    assert_eq!(epochs, [100.0, 50.0, 67.0, 33.0]);
    // A rate typed anew, and the same length once more.
    let other = resume(folder.path(), "run", "--steps 13 --lr 1e-3 --schedule constant");
    assert!(said(&other).starts_with("learning rate 1e-3 throughout; before"), "{}", other.out);
    let same = resume(folder.path(), "run", "--steps 15");
    assert_eq!(said(&same), "learning rate 1e-3 throughout");
}
