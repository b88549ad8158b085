//! The learning rate of every epoch, as `metrics.jsonl` has it.

use crate::program::{bench, steps, train};

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
    close("--epochs 3", &[1.0; 3]);
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
