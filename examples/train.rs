//! Trains on a folder of picture pairs: `cargo run --release --example train -- samples/atlas`.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use pix2pix_engine::data::{Folder, ScanOptions};
use pix2pix_engine::device::Cpu;
use pix2pix_engine::train::{RunConfig, RunOptions, Silent, Trainer};

fn main() -> pix2pix_engine::Result<()> {
    let data = std::env::args().nth(1).unwrap_or_else(|| "samples/atlas".into());
    let folder = Folder::scan(data.as_ref(), ScanOptions::default())?;
    let options = RunOptions::new("runs/example", 1);
    let cpu = Box::new(Cpu::new(0)?);
    let (train, val) = (Arc::new(folder.train), Arc::new(folder.val));
    let mut run = Trainer::new(RunConfig::default(), options, train, val, cpu)?;
    run.init()?;
    run.run(&AtomicBool::new(false), &mut Silent)?;
    println!("runs/example/model.safetensors after {} steps", run.progress().step);
    Ok(())
}
