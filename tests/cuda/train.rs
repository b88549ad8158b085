//! `train --device cuda`.

use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use pix2pix_engine::checkpoint::load_weights;

use crate::on_gpu::{ok, on_gpu};
use crate::program::{SMALL, bench, lines, pairs, results, step_numbers, steps, train};

/// Deep enough for dropout, wide enough for tensor cores.
const WIDE: &str = "--size 64 --base-channels 16 --patch 34";

/// The losses of each step.
fn losses(run: &Path) -> Vec<[f64; 4]> {
    let names = ["g_gan", "g_l1", "d_real", "d_fake"];
    steps(run).iter().map(|line| names.map(|name| line[name].as_f64().unwrap())).collect()
}

/// The largest relative difference of two runs' losses at each step.
fn apart(a: &Path, b: &Path) -> Vec<f64> {
    let pairs = losses(a).into_iter().zip(losses(b));
    let worst = |(a, b): ([f64; 4], [f64; 4])| {
        a.iter().zip(&b).map(|(a, b)| (a - b).abs() / b.abs().max(0.1)).fold(0.0, f64::max)
    };
    pairs.map(worst).collect()
}

#[test]
fn losses_and_weights_follow_the_cpu() {
    if !cuda::nvrtc::or_skip("losses_and_weights_follow_the_cpu") {
        return;
    }
    let folder = bench();
    let cwd = folder.path();
    crate::program::ok(
        cwd,
        &crate::program::words(&format!("train data --out cpu {WIDE} --steps 4 --device cpu")),
    );
    // The rounding of a number is 6e-8, 5e-4 and 4e-3; the losses of the first step accumulate some
    // tens of roundings, and Adam then turns the signs of the smallest gradients into full steps.
    for (precision, first, last) in [("f32", 1e-4, 2e-2), ("tf32", 1e-2, 5e-2), ("bf16", 5e-2, 0.2)]
    {
        let line = format!("train data --out {precision} {WIDE} --steps 4 --device cuda");
        let done = ok(cwd, &format!("{line} --precision {precision}"));
        assert!(done.out.contains(&format!("precision {precision}")), "{done:?}");
        let apart = apart(&cwd.join(precision), &cwd.join("cpu"));
        println!("{precision}: {apart:?}");
        assert!(apart[0] <= first && apart.iter().all(|a| *a <= last), "{precision}: {apart:?}");
        let weights = [precision, "cpu"].map(|run| {
            let path = cwd.join(run).join("model.safetensors");
            load_weights(&path).unwrap().generator.unwrap().1
        });
        let (mut sum, mut count, mut most) = (0.0, 0.0, 0.0f64);
        for (name, ours) in weights[0].iter().filter(|(name, _)| !name.contains("running")) {
            for (a, b) in ours.data.iter().zip(&weights[1][name].data) {
                let difference = f64::from((a - b).abs());
                (sum, count, most) = (sum + difference, count + 1.0, most.max(difference));
            }
        }
        // Adam moves a weight by about the rate, 2e-4, per step; where a gradient is so small that
        // its sign is noise, the two differ by twice that.
        println!("{precision}: weights {:.1e} apart, at most {most:.1e}", sum / count);
        assert!(most <= 4.0 * 2.0 * 2e-4 * 1.5, "{precision}: {most}");
        // The mean difference is less than one step of Adam: most signs are not noise.
        assert!(sum / count <= 2e-4, "{precision}: {}", sum / count);
    }
}

/// Pooling, 7 x 7 and 16 x 16 windows, sums of skips: what no other network of ours has.
#[test]
fn an_fcn8s_follows_the_cpu() {
    if !cuda::nvrtc::or_skip("an_fcn8s_follows_the_cpu") {
        return;
    }
    let folder = bench();
    let cwd = folder.path();
    let flags = "--generator fcn8s --gan none --size 64 --base-channels 4 --steps 3";
    let line = |run: &str| format!("train data --out {run} {flags}");
    crate::program::ok(cwd, &crate::program::words(&format!("{} --device cpu", line("cpu"))));
    ok(cwd, &format!("{} --device cuda --precision f32", line("cuda")));
    let losses = |run: &str| -> Vec<f64> {
        steps(&cwd.join(run)).iter().map(|line| line["g_l1"].as_f64().unwrap()).collect()
    };
    // As above: roundings in the first step, full steps of Adam by noise's signs later.
    for (i, (got, want)) in losses("cuda").iter().zip(losses("cpu")).enumerate() {
        let bound = if i == 0 { 1e-4 } else { 2e-2 };
        assert!((got - want).abs() <= bound * want.abs().max(0.1), "step {i}: {got}, not {want}");
    }
}

#[test]
fn two_and_two_steps_are_four_and_a_graph_is_its_loop() {
    if !cuda::nvrtc::or_skip("two_and_two_steps_are_four_and_a_graph_is_its_loop") {
        return;
    }
    let folder = bench();
    let cwd = folder.path();
    for precision in ["f32", "bf16"] {
        let run = |name: &str, flags: &str| {
            let line = format!("train data --out {name}-{precision} {SMALL} {flags}");
            ok(cwd, &format!("{line} --device cuda --precision {precision}"));
            results(&cwd.join(format!("{name}-{precision}")))
        };
        let whole = run("whole", "--steps 4");
        run("parts", "--steps 2");
        let parts = format!("parts-{precision}");
        ok(
            cwd,
            &format!("train data --resume {parts} --steps 4 --device cuda --precision {precision}"),
        );
        assert!(results(&cwd.join(parts)) == whole, "{precision}: 2 + 2 steps are not 4");
        assert!(
            run("loop", "--steps 4 --no-graph") == whole,
            "{precision}: the graph is not its loop"
        );
    }
}

#[test]
fn a_run_goes_on_on_the_other_machine() {
    if !cuda::nvrtc::or_skip("a_run_goes_on_on_the_other_machine") {
        return;
    }
    let folder = bench();
    let cwd = folder.path();
    train(cwd, "whole", "--steps 4 --device cpu");
    train(cwd, "from-cpu", "--steps 2 --device cpu");
    ok(cwd, "train data --resume from-cpu --steps 4 --device cuda --precision f32");
    ok(cwd, &format!("train data --out from-gpu {SMALL} --steps 2 --device cuda --precision f32"));
    crate::program::resume(cwd, "from-gpu", "--steps 4 --device cpu");
    for run in ["from-cpu", "from-gpu"] {
        assert_eq!(step_numbers(&cwd.join(run)), [1, 2, 3, 4]);
        let apart = apart(&cwd.join(run), &cwd.join("whole"));
        assert!(apart.iter().all(|a| *a <= 2e-2), "{run}: {apart:?}");
    }
}

/// A step and the previews with both statistics of batch norm are programs on one memory, one after
/// the other, three times.
#[test]
fn validations_with_both_statistics_follow_the_cpu() {
    if !cuda::nvrtc::or_skip("validations_with_both_statistics_follow_the_cpu") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let cwd = folder.path();
    pairs(&cwd.join("data/train"), 2, 32);
    pairs(&cwd.join("data/val"), 2, 32);
    let flags = "--epochs 3 --batch-size 2 --gan none";
    train(cwd, "cpu", &format!("{flags} --device cpu"));
    ok(cwd, &format!("train data --out gpu {SMALL} {flags} --device cuda --precision f32"));
    let scores = |run: &str| -> Vec<(String, [f64; 2])> {
        lines(&cwd.join(run))
            .into_iter()
            .filter(|line| line.get("validation").is_some())
            .map(|line| {
                let l1 = |of: &str| line[of]["l1"].as_f64().unwrap();
                let used = line["statistics"].as_str().unwrap().to_string();
                (used, [l1("validation"), l1("other_statistics")])
            })
            .collect()
    };
    let [on_cpu, on_gpu] = ["cpu", "gpu"].map(scores);
    assert_eq!(on_cpu.len(), 3);
    for ((used, a), (same, b)) in on_cpu.iter().zip(&on_gpu) {
        assert_eq!(used, same);
        // As the losses of a few steps in f32.
        assert!(a.iter().zip(b).all(|(a, b)| (a - b).abs() <= 2e-2 * a), "{a:?} and {b:?}");
    }
}

#[test]
fn ctrl_c_finishes_the_step_and_saves() {
    if !cuda::nvrtc::or_skip("ctrl_c_finishes_the_step_and_saves") {
        return;
    }
    let folder = bench();
    let run = folder.path().join("run");
    let flags = "--steps 100000 --save-every 1 --device cuda --precision f32";
    let mut command = on_gpu(folder.path(), &format!("train data --out run {SMALL} {flags}"));
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let begun = Instant::now();
    while !run.join("checkpoints/latest.safetensors").exists() {
        assert!(child.try_wait().unwrap().is_none(), "it ended by itself");
        assert!(begun.elapsed() < Duration::from_secs(120), "no checkpoint after two minutes");
        std::thread::sleep(Duration::from_millis(5));
    }
    let sent = std::process::Command::new("kill").args(["-INT", &child.id().to_string()]).status();
    assert!(sent.unwrap().success());
    let ended = child.wait_with_output().unwrap();
    let out = String::from_utf8(ended.stdout).unwrap();
    assert_eq!(ended.status.code(), Some(130), "{out}");
    let program = env!("CARGO_BIN_EXE_pix2pix-engine");
    assert!(out.contains(&format!("go on with: {program} train data --resume run")), "{out}");
    let done = step_numbers(&run);
    assert_eq!(done, (1..=done.len() as u64).collect::<Vec<_>>());
}
