//! One whole default training step, 256 x 256 and 64 channels, executed by softgpu with its default
//! checks, against the CPU. It takes about a minute of two cores per precision, so it runs only
//! when asked for. The same step on small pictures is in every run of the tests (`verify.rs`).
//!
//! ```text
//! cargo test --test cuda default_step -- --ignored --nocapture
//! ```

use std::time::Instant;

use pix2pix_engine::device::{Cpu, Cuda, Precision, StepState};
use pix2pix_engine::kernel::Backend;
use pix2pix_engine::tensor::{SampleRange, SampleSlice};
use pix2pix_engine::train::{Networks, RunConfig, Step};
use pix2pix_engine::verify::{loss_tolerance, tolerance};

use crate::desk::options;

/// Normalised mean square error allowed for the generated picture: that of a convolution
/// (`verify::tolerance`) for each of the 16 that follow one another. Measured 2026-11-24: 6.9e-12
/// in f32, 1.5e-6 in tf32, 1.3e-4 in bf16.
fn picture_tolerance(precision: Precision) -> f64 {
    16.0 * tolerance(precision, true)
}

/// Losses by name, and the generated picture, of the first step from seed 1.
fn first_step(b: &mut dyn Backend) -> (Vec<(String, f32)>, Vec<f32>) {
    let config = RunConfig::default();
    let recipe = config.recipe();
    let networks = Networks::new(&*recipe).unwrap();
    let step = Step::record(&*recipe, &networks, config.batch(), b).unwrap();
    b.reserve(step.program.end()).unwrap();
    networks.init(b, 1).unwrap();
    b.set_state(StepState { seed: 1, step: 1, lr: config.lr, micro: 0 });
    for (name, prime) in [("a", 2_654_435_761), ("b", 2_246_822_519)] {
        let view = step.program.view(name).unwrap();
        let bytes: Vec<u8> = (0..view.shape.count()).map(|i| ((i * prime) >> 13) as u8).collect();
        b.upload_images(SampleSlice::U8(&bytes), SampleRange::BYTE, view).unwrap();
    }
    step.program.run(b).unwrap();
    let losses = b.kept_losses(1, step.losses.len()).unwrap().remove(0);
    let fake = step.program.view("fake").unwrap();
    let mut picture = vec![0.0; fake.shape.count()];
    b.download(fake, &mut picture).unwrap();
    (step.losses.into_iter().zip(losses).collect(), picture)
}

fn compare(test: &str, precision: Precision) {
    if !cuda::nvrtc::or_skip(test) {
        return;
    }
    let (expected, picture) = first_step(&mut Cpu::new(0).unwrap());
    let gpu = cuda::Options::new().device("a100").counters(false).alone().unwrap();
    let mut device = Cuda::new(options(precision)).unwrap();
    let begun = Instant::now();
    let (losses, fake) = first_step(&mut device);
    println!("{}: {:.0} s", precision.name(), begun.elapsed().as_secs_f64());
    drop(device);
    assert_eq!(gpu.findings(), []);
    for ((name, got), (_, expected)) in losses.iter().zip(&expected) {
        let (got, expected) = (f64::from(*got), f64::from(*expected));
        let error = (got - expected).abs() / expected.abs();
        println!("{name}: {got:.6}, on the CPU {expected:.6}, {error:.1e} apart");
        assert!(error <= loss_tolerance(precision), "{name}: {error:.1e} apart");
    }
    let (mut error, mut size) = (0.0f64, 0.0f64);
    for (got, expected) in fake.iter().zip(&picture) {
        error += f64::from(got - expected).powi(2);
        size += f64::from(*expected).powi(2);
    }
    println!("picture: {:.1e} apart", error / size);
    assert!(error / size <= picture_tolerance(precision), "picture: {:.1e} apart", error / size);
}

#[test]
#[ignore = "takes a minute of two cores: cargo test --test cuda default_step_in_f32 -- --ignored"]
fn default_step_in_f32() {
    compare("default_step_in_f32", Precision::F32);
}

#[test]
#[ignore = "takes a minute of two cores: cargo test --test cuda default_step_in_tf32 -- --ignored"]
fn default_step_in_tf32() {
    compare("default_step_in_tf32", Precision::Tf32);
}

#[test]
#[ignore = "takes a minute of two cores: cargo test --test cuda default_step_in_bf16 -- --ignored"]
fn default_step_in_bf16() {
    compare("default_step_in_bf16", Precision::Bf16);
}
