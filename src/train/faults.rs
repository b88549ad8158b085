//! A run whose disk fails, or whose process ends, at any one of the operations that change files:
//! what is left is whole, and goes on to the bytes of a run that was left alone.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use super::{
    BEST, Checkpoint, Gan, LATEST, METRICS, MODEL, Outcome, PREVIOUS, RunConfig, RunOptions,
    RunPlan, Silent, Trainer, checkpoint_of,
};
use crate::Result;
use crate::checkpoint::load_weights;
use crate::data::{Image, MemoryPairs, Pairs};
use crate::device::Cpu;
use crate::disk::faults::{Fault, with};

fn pairs(count: usize) -> Arc<dyn Pairs> {
    let image = |key: usize| {
        let bytes: Vec<u8> = (0..16 * 16 * 3).map(|i| ((i + 1) * key % 253) as u8).collect();
        Image::new(16, 16, 3, bytes).unwrap()
    };
    let list = (0..count).map(|i| (image(2 * i + 3), image(2 * i + 4))).collect();
    Arc::new(MemoryPairs::new(list).unwrap())
}

fn config() -> RunConfig {
    let mut config = RunConfig { size: 16.into(), ..RunConfig::default() };
    config.generator.depth = RunConfig::depth_for(16).unwrap();
    config.generator.base_channels = 1;
    config.discriminators[0].base_channels = 1;
    config.discriminators[0].layers = 1;
    config
}

/// Two epochs of three steps, with a checkpoint every second step, at each epoch's end, and a
/// numbered one.
fn plan(out: &Path, config: RunConfig) -> RunPlan {
    let options = RunOptions {
        save_every: Some(2),
        keep_every: Some(1),
        save_minutes: 0.0,
        loader_threads: 1,
        ..RunOptions::new(out, 2)
    };
    RunPlan::new(config, options, pairs(3), pairs(1), Box::new(Cpu::new(1).unwrap())).unwrap()
}

/// Begins the run in `out` or goes on with it, to its end.
fn go_on(out: &Path, config: RunConfig) -> Result<Outcome> {
    let plan = plan(out, config);
    let mut run = if checkpoint_of(out).is_file() {
        Trainer::resume(plan, Checkpoint::open(out)?)?
    } else {
        Trainer::start(plan, &[])?
    };
    run.run(&AtomicBool::new(false), &mut Silent)
}

/// The bytes of every file below the folder of a run by name, without what may differ: the seconds
/// of a step, and which generation `previous` is.
fn results(out: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut all = BTreeMap::new();
    for folder in ["", "checkpoints", "samples"] {
        for entry in fs::read_dir(out.join(folder)).unwrap() {
            let path = entry.unwrap().path();
            let name = path.strip_prefix(out).unwrap().to_str().unwrap().to_string();
            if path.is_file() && name != PREVIOUS {
                all.insert(name, fs::read(path).unwrap());
            }
        }
    }
    let metrics = String::from_utf8(all[METRICS].clone()).unwrap();
    let without_time = metrics.lines().map(|line| {
        let mut line: serde_json::Value = serde_json::from_str(line).unwrap();
        line["seconds"] = 0.into();
        format!("{line}\n")
    });
    all.insert(METRICS.to_string(), without_time.collect::<String>().into_bytes());
    all
}

fn assert_equal(got: &BTreeMap<String, Vec<u8>>, whole: &BTreeMap<String, Vec<u8>>, what: Fault) {
    let names = |all: &BTreeMap<String, Vec<u8>>| all.keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(got), names(whole), "{what:?}");
    for (name, bytes) in whole {
        assert!(got[name] == *bytes, "{what:?}: {name} differs");
    }
}

#[test]
fn whatever_fails_a_run_goes_on_to_the_same_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let (done, count) = with(Fault::Never, || go_on(&at("whole"), config()));
    done.unwrap();
    let whole = results(&at("whole"));
    for name in [LATEST, MODEL, BEST, "checkpoints/epoch-0001.safetensors"] {
        assert!(whole.contains_key(name), "{name} in {:?}", whole.keys());
    }
    assert!(count > 80, "{count} operations");
    let faults = (0..count).flat_map(|n| [Fault::At(n), Fault::From(n)]);
    for (i, fault) in faults.enumerate() {
        let out = at(&format!("run{i}"));
        let error = with(fault, || go_on(&out, config())).0.unwrap_err().to_string();
        assert!(error.contains(out.to_str().unwrap()), "{fault:?}: {error}");
        // Whatever has its name is whole.
        for name in [LATEST, PREVIOUS, MODEL, BEST] {
            if out.join(name).exists() {
                load_weights(&out.join(name)).unwrap();
            }
        }
        // One that goes on may be ended as well.
        let _ = with(Fault::From(i as u64 * 7 % count), || go_on(&out, config()));
        assert_eq!(go_on(&out, config()).unwrap(), Outcome::Finished, "{fault:?}");
        assert_equal(&results(&out), &whole, fault);
        fs::remove_dir_all(&out).unwrap();
    }
}

/// A damaged or missing checkpoint is replaced by the one before it, with the same end.
#[test]
fn the_checkpoint_before_stands_in() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    go_on(&at("whole"), config()).unwrap();
    let whole = results(&at("whole"));
    let size = whole[LATEST].len();
    for (i, damage) in [size / 3, size - 1, 0, 20, size + 1].into_iter().enumerate() {
        let out = at(&format!("run{i}"));
        go_on(&out, config()).unwrap();
        let latest = out.join(LATEST);
        let mut bytes = fs::read(&latest).unwrap();
        match bytes.get_mut(damage) {
            Some(byte) => *byte ^= 1,
            None => bytes.clear(),
        }
        fs::remove_file(&latest).unwrap();
        if i % 2 == 0 {
            fs::write(&latest, bytes).unwrap();
        }
        let checkpoint = Checkpoint::open(&out).unwrap();
        let note = checkpoint.note.as_ref().expect("the damage is said");
        assert!(note.contains("previous.safetensors"), "{note}");
        assert_eq!(checkpoint.progress.step, 4);
        assert_eq!(go_on(&out, config()).unwrap(), Outcome::Finished);
        assert_equal(&results(&out), &whole, Fault::Never);
    }
}

/// A numbered checkpoint has no moments: the run goes on from it, says so, and can itself be stopped
/// and resumed to the same bytes.
#[test]
fn a_numbered_checkpoint_can_be_gone_on_from() {
    let folder = tempfile::tempdir().unwrap();
    let old = folder.path().join("old");
    go_on(&old, config()).unwrap();
    let before = results(&old);
    let numbered = old.join("checkpoints/epoch-0001.safetensors");
    let resume = |out: &Path, fault| {
        let checkpoint = Checkpoint::open(&numbered).unwrap();
        let run = || {
            let mut run = Trainer::resume(plan(out, config()), checkpoint)?;
            run.run(&AtomicBool::new(false), &mut Silent)
        };
        with(fault, run)
    };
    let [whole, parted] = ["whole", "parted"].map(|name| folder.path().join(name));
    let (done, count) = resume(&whole, Fault::Never);
    done.unwrap();
    resume(&parted, Fault::From(count / 2)).0.unwrap_err();
    assert_eq!(Checkpoint::open(&parted).unwrap().progress.optimiser_begun, 3);
    go_on(&parted, config()).unwrap();
    assert_equal(&results(&parted), &results(&whole), Fault::From(count / 2));
    assert!(results(&old) == before, "the run it came from is left alone");
    assert!(results(&whole)[LATEST] != before[LATEST], "Adam began anew");
}

/// From an earlier checkpoint of its own folder a run goes on in its place: what was later is kept,
/// and a process that ends in between loses none of it.
#[test]
fn a_run_that_goes_back_keeps_what_was_later() {
    let folder = tempfile::tempdir().unwrap();
    let [once, out] = ["once", "out"].map(|name| folder.path().join(name));
    let back = |out: &Path, fault| {
        let numbered = out.join("checkpoints/epoch-0001.safetensors");
        let checkpoint = Checkpoint::open(&numbered).unwrap();
        with(fault, || {
            let mut run = Trainer::resume(plan(out, config()), checkpoint)?;
            run.run(&AtomicBool::new(false), &mut Silent)
        })
    };
    go_on(&once, config()).unwrap();
    let before = results(&once);
    let (done, count) = back(&once, Fault::Never);
    done.unwrap();
    let after = results(&once);
    let kept = "checkpoints/step-0000006.safetensors";
    assert!(after[kept] == before[LATEST] && after[LATEST] != before[LATEST]);
    for n in (0..count).step_by(5) {
        go_on(&out, config()).unwrap();
        back(&out, Fault::From(n)).0.unwrap_err();
        // Killed before the step back was saved, the run is still at its end.
        if fs::read(out.join(LATEST)).unwrap() == before[LATEST] {
            back(&out, Fault::Never).0.unwrap();
        } else {
            go_on(&out, config()).unwrap();
        }
        assert_equal(&results(&out), &after, Fault::From(n));
        fs::remove_dir_all(&out).unwrap();
    }
}

/// Without a discriminator there are no moments of one; everything else is as above.
#[test]
fn a_run_without_a_discriminator_is_killed_likewise() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = config();
    config.objective.gan = Gan::None;
    config.fit_discriminators();
    let whole = folder.path().join("whole");
    let (done, count) = with(Fault::Never, || go_on(&whole, config.clone()));
    done.unwrap();
    for n in (0..count).step_by(9) {
        let out = folder.path().join(format!("run{n}"));
        with(Fault::From(n), || go_on(&out, config.clone())).0.unwrap_err();
        go_on(&out, config.clone()).unwrap();
        assert_equal(&results(&out), &results(&whole), Fault::From(n));
    }
}
