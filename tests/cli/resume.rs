//! A run that stopped goes on to the very bytes of one that did not.

use std::path::Path;

use crate::program::{
    SMALL, bench, lines, ok, pairs, results, resume, run, step_numbers, steps, train, words,
};

/// Deep enough for dropout: blocks of less than six levels have none.
const DROPPING: &str = "--size 64 --base-channels 4 --patch 16";

/// `first` and then `then` give what `then` gives in one go.
fn same(flags: &str, first: &str, then: &str) {
    let folder = bench();
    let network = if flags.contains("--size") { "" } else { SMALL };
    let begin = |out, flags| {
        ok(folder.path(), &words(&format!("train data --out {out} {network} {flags}")));
    };
    begin("whole", format!("{flags} {then}"));
    begin("parts", format!("{flags} {first}"));
    resume(folder.path(), "parts", then);
    let [whole, parts] = ["whole", "parts"].map(|name| folder.path().join(name));
    assert!(results(&whole) == results(&parts), "{flags}: {first}, then {then}");
    assert_eq!(step_numbers(&whole), step_numbers(&parts), "{flags}");
    let without_time = |run| {
        let mut all = lines(run);
        all.iter_mut().for_each(|line| line["seconds"] = 0.into());
        all
    };
    assert_eq!(without_time(&whole), without_time(&parts), "{flags}");
}

#[test]
fn two_and_two_steps_are_four() {
    // Three pairs: the second part crosses the end of the first epoch.
    same("", "--steps 2", "--steps 4");
    same(DROPPING, "--steps 2", "--steps 4");
    same("--batch-size 2", "--steps 1", "--steps 4");
    same("--gan lsgan --unconditional", "--steps 2", "--steps 4");
    same("--gan none --norm instance", "--steps 2", "--steps 4");
    same("--no-jitter --no-flip --no-shuffle --no-dropout", "--steps 3", "--steps 4");
    same("--seed 18446744073709551615", "--steps 2", "--steps 4");
}

#[test]
fn what_a_killed_run_left_half_written_is_swept() {
    let folder = bench();
    train(folder.path(), "run", "--steps 2");
    let run = folder.path().join("run");
    // A sheet that no later step writes again, a checkpoint, and a file that is not ours.
    let left = ["samples/.pix2pix-engine-1-0-5.tmp", "checkpoints/.pix2pix-engine-ab-3-c.tmp"];
    let others = [".mine.tmp", "samples/.pix2pix-engine.png", "checkpoints/.pix2pix-engine-1"];
    for name in left.iter().chain(&others) {
        std::fs::write(run.join(name), b"half").unwrap();
    }
    resume(folder.path(), "run", "--steps 4");
    assert_eq!(left.map(|name| run.join(name).exists()), [false; 2]);
    assert_eq!(others.map(|name| run.join(name).exists()), [true; 3]);
}

#[test]
fn epochs_add_up_likewise() {
    same("--full-epochs 1 --decay-epochs 3", "--epochs 1", "--epochs 3");
    same("--save-every 2", "--epochs 1", "--epochs 2");
}

#[test]
fn a_run_goes_on_to_the_end_it_was_begun_with() {
    let folder = bench();
    train(folder.path(), "run", "--steps 2");
    // Its steps are done, and the message says what would go further.
    let ended = run(folder.path(), &words("train data --resume run"));
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(ended.err.contains("--steps"), "{ended:?}");
    // A checkpoint inside a run says the same as the run's folder.
    resume(folder.path(), "run/checkpoints/latest.safetensors", "--steps 4");
    let inside = folder.path().join("run/checkpoints");
    ok(&inside, &words("train ../../data --resume latest.safetensors --steps 5"));
    assert_eq!(step_numbers(&folder.path().join("run")), [1, 2, 3, 4, 5]);
}

#[test]
fn looking_at_a_network_does_not_change_it() {
    // Validations and sheets of samples ran the norms of the very network in training.
    let folder = bench();
    pairs(&folder.path().join("phased/train"), 3, 32);
    pairs(&folder.path().join("phased/val"), 2, 32);
    let begin = |data: &str, out, flags| {
        ok(folder.path(), &words(&format!("train {data} --out {out} {SMALL} --steps 7 {flags}")));
        results(&folder.path().join(out))[1].clone()
    };
    let blind = begin("data", "blind", "");
    assert!(blind == begin("phased", "often", ""), "validated each epoch");
    assert!(blind == begin("phased", "never", "--val-every 0"), "validated never");
    assert!(blind == begin("phased", "saved", "--save-every 2"), "saved every second step");
}

#[test]
fn a_rate_given_anew_holds_from_there() {
    let folder = bench();
    train(folder.path(), "run", "--steps 2 --schedule constant");
    resume(folder.path(), "run", "--steps 4 --lr 1e-4");
    let rates: Vec<f64> =
        steps(&folder.path().join("run")).iter().map(|l| l["lr"].as_f64().unwrap()).collect();
    assert!(rates[..2].iter().all(|r| (r / 2e-4 - 1.0).abs() < 1e-6), "{rates:?}");
    assert!(rates[2..].iter().all(|r| (r / 1e-4 - 1.0).abs() < 1e-6), "{rates:?}");
}

#[test]
fn a_resume_elsewhere_leaves_the_old_run_alone() {
    let folder = bench();
    train(folder.path(), "old", "--steps 2");
    train(folder.path(), "whole", "--steps 4");
    let before = results(&folder.path().join("old"));
    resume(folder.path(), "old", "--out new --steps 4");
    assert!(results(&folder.path().join("old")) == before);
    assert!(results(&folder.path().join("new")) == results(&folder.path().join("whole")));
}

#[test]
fn pictures_taken_away_meanwhile_are_said_and_do_no_harm() {
    let folder = bench();
    train(folder.path(), "mid", "--steps 2 --no-shuffle");
    std::fs::remove_file(folder.path().join("data/2.png")).unwrap();
    std::fs::remove_file(folder.path().join("data/1.png")).unwrap();
    // Two steps into an epoch that has one step now.
    let ended = resume(folder.path(), "mid", "--steps 4");
    assert!(
        ended.out.contains("to train on, 2 are gone, such as 1, there were 3 and are 1"),
        "{}",
        ended.out
    );
    let epochs: Vec<u64> = steps(&folder.path().join("mid"))
        .iter()
        .map(|line| line["epoch"].as_u64().unwrap())
        .collect();
    assert_eq!(epochs, [1, 1, 2, 3]);
}

#[test]
fn a_seed_decides_everything_and_threads_nothing() {
    let folder = bench();
    train(folder.path(), "one", "--steps 3 --threads 1");
    train(folder.path(), "again", "--steps 3 --threads 1");
    train(folder.path(), "three", "--steps 3 --threads 3");
    train(folder.path(), "other", "--steps 3 --seed 1");
    let [one, again, three, other] =
        ["one", "again", "three", "other"].map(|name| results(&folder.path().join(name)));
    assert!(one == again, "one seed twice");
    assert!(one == three, "1 thread and 3");
    assert!(one[1] != other[1], "another seed");
}

#[test]
fn how_often_a_run_validates_and_saves_is_remembered_until_it_is_typed_anew() {
    let folder = bench();
    pairs(&folder.path().join("phased/train"), 3, 32);
    pairs(&folder.path().join("phased/val"), 2, 32);
    let flags = "--val-every 2 --save-every 4 --schedule constant";
    let run = |line: &str| ok(folder.path(), &words(line));
    run(&format!("train phased --out whole {SMALL} {flags} --epochs 6"));
    run(&format!("train phased --out parts {SMALL} {flags} --epochs 1"));
    run("train phased --resume parts --epochs 6");
    let [whole, parts] = ["whole", "parts"].map(|name| folder.path().join(name));
    assert!(results(&whole) == results(&parts));
    let validated = |run: &Path| -> Vec<u64> {
        let all = lines(run).into_iter().filter(|line| line.get("validation").is_some());
        all.map(|line| line["step"].as_u64().unwrap()).collect()
    };
    assert_eq!(validated(&parts), [6, 12, 18]);
    run("train phased --resume parts --epochs 8 --val-every 1");
    run("train phased --resume parts --epochs 9");
    assert_eq!(validated(&parts), [6, 12, 18, 21, 24, 27]);
}

#[test]
fn bad_pictures_are_left_out_again() {
    let folder = bench();
    std::fs::write(folder.path().join("data/3.png"), "no picture").unwrap();
    train(folder.path(), "run", "--skip-bad --steps 2");
    let ended = resume(folder.path(), "run", "--steps 4");
    assert!(ended.out.contains("3.png"), "{}", ended.out);
}

#[test]
fn data_that_has_changed_is_named() {
    let folder = bench();
    let at = |name: &str| folder.path().join(name);
    train(folder.path(), "run", "--steps 1");
    let mut steps = 1;
    let mut said = |data: &str| {
        steps += 1;
        let ended =
            ok(folder.path(), &words(&format!("train {data} --resume run --steps {steps}")));
        ended.out.lines().find(|line| line.contains("has changed")).map(str::to_string)
    };
    // Elsewhere, and touched, it is the same data.
    std::fs::rename(at("data"), at("moved")).unwrap();
    let bytes = std::fs::read(at("moved/0.png")).unwrap();
    std::fs::write(at("moved/0.png"), &bytes).unwrap();
    assert_eq!(said("moved"), None);
    // One more, one renamed, one with other pixels.
    std::fs::copy(at("moved/0.png"), at("moved/zebra.png")).unwrap();
    let line = said("moved").unwrap();
    assert!(line.contains("to train on, 1 is new: zebra, there were 3 and are 4"), "{line}");
    std::fs::rename(at("moved/zebra.png"), at("moved/horse.png")).unwrap();
    let line = said("moved").unwrap();
    assert!(line.contains("1 is gone: zebra, 1 is new: horse"), "{line}");
    std::fs::copy(at("moved/1.png"), at("moved/horse.png")).unwrap();
    let line = said("moved").unwrap();
    assert!(line.contains("to train on, 1 is changed: horse"), "{line}");
    assert_eq!(said("moved"), None);
    // Pictures to validate on.
    std::fs::create_dir(at("phased")).unwrap();
    std::fs::rename(at("moved"), at("phased/train")).unwrap();
    pairs(&at("phased/val"), 2, 32);
    let line = said("phased").unwrap();
    assert!(line.contains("to validate on, 2 are new, such as 0"), "{line}");
}
