//! Time of a default training step and of a translation, on the CPU and on each GPU in each
//! precision: `cargo bench --bench step`. With `PROFILE=1` it also prints the time of each
//! instruction of a step on the CPU, the minimum of five; for a GPU, `pix2pix-engine verify
//! --bench` does that.

mod common;

use std::collections::BTreeMap;
use std::time::Instant;

use common::{Model, Training, places};
use criterion::{Criterion, criterion_group, criterion_main};

fn step(c: &mut Criterion) {
    for place in places() {
        let name = place.name();
        let (mut training, mut model) = (Training::on(&place), Model::on(&place));
        // The host waits only after the last of many steps, as in training.
        c.benchmark_group("step").sample_size(10).bench_function(&name, |b| {
            b.iter_custom(|times| {
                let begun = Instant::now();
                (0..times).for_each(|_| training.run());
                training.finish();
                begun.elapsed()
            });
        });
        c.benchmark_group("translation").sample_size(10).bench_function(&name, |b| {
            b.iter_custom(|times| {
                let begun = Instant::now();
                (0..times).for_each(|_| model.run());
                model.finish();
                begun.elapsed()
            });
        });
    }
    if std::env::var_os("PROFILE").is_some() {
        profile(&mut Training::new());
    }
}

fn profile(training: &mut Training) {
    let mut least: Vec<(String, String, f64)> = Vec::new();
    for round in 0..5 {
        training.run();
        for (i, instruction) in training.step.program.instructions().iter().enumerate() {
            let start = Instant::now();
            instruction.run(training.machine.backend()).expect("the step runs");
            let ms = 1e3 * start.elapsed().as_secs_f64();
            if round == 0 {
                // The largest tensor that it writes.
                let shapes = instruction.writes().into_iter().map(|view| view.shape);
                let shape = shapes.max_by_key(|shape| shape.count());
                let shape = shape.map_or(String::new(), |shape| shape.to_string());
                least.push((instruction.name(), shape, ms));
            } else {
                least[i].2 = least[i].2.min(ms);
            }
        }
    }
    let mut sums: BTreeMap<&str, f64> = BTreeMap::new();
    for (name, shape, ms) in &least {
        println!("{name:28} {shape:20} {ms:8.2} ms");
        *sums.entry(name).or_default() += ms;
    }
    for (name, ms) in sums {
        println!("all {name:24} {ms:29.1} ms");
    }
}

criterion_group!(steps, step);
criterion_main!(steps);
