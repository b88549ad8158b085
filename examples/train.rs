//! Trains on a folder of picture pairs: `cargo run --release --example train -- samples/atlas`.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use pix2pix_engine::data::{Folder, ScanOptions};
use pix2pix_engine::device::Cpu;
use pix2pix_engine::train::{Losses, Observer, RunConfig, RunOptions, RunPlan, Scores, Trainer};

/// Prints the progress of the run.
struct Lines;

impl Observer for Lines {
    fn step(&mut self, done: u64, total: u64, _epoch: u64, losses: &Losses, seconds: f64) {
        let losses: Vec<String> = losses.iter().map(|(name, v)| format!("{name} {v:.3}")).collect();
        println!("step {done}/{total}  {}  {seconds:.2} s", losses.join("  "));
    }

    fn validated(&mut self, epoch: u64, scores: &Scores, best: bool) {
        println!("epoch {epoch}: {}{}", scores.line(), if best { ", the best so far" } else { "" });
    }
}

fn main() -> pix2pix_engine::Result<()> {
    let data = std::env::args().nth(1).unwrap_or_else(|| "samples/atlas".into());
    let folder = Folder::scan(data.as_ref(), ScanOptions::default())?;
    let (train, val) = (Arc::new(folder.train), Arc::new(folder.val));
    let options = RunOptions::new("runs/example", 1);
    let plan = RunPlan::new(RunConfig::default(), options, train, val, Box::new(Cpu::new(0)?))?;
    let mut run = Trainer::start(plan, &[])?;
    run.run(&AtomicBool::new(false), &mut Lines)?;
    println!("runs/example/model.safetensors after {} steps", run.progress().step);
    Ok(())
}
