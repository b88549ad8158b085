//! What `verify --bench` measures, executed by softgpu: its rows, and their bytes and operations.
//! Times of softgpu mean nothing and are not checked.

use pix2pix_engine::device::{Cuda, Precision};
use pix2pix_engine::train::RunConfig;
use pix2pix_engine::verify::bench::{Effort, Row, Timings, Whole, kernels, steps};

use crate::desk::options;

const EFFORT: Effort = Effort { warm: 2, repetitions: 2, caches: 1, steps: 2, copied: 1 << 20 };

fn small() -> RunConfig {
    let mut config = RunConfig { size: 32.into(), ..RunConfig::default() };
    config.generator.depth = RunConfig::depth_for(32).unwrap();
    config.generator.base_channels = 8;
    let d = &mut config.discriminators[0];
    (d.base_channels, d.layers) = (8, 1);
    config.check().unwrap();
    config
}

/// The row of the first step that does `what` and whose line holds `part`.
fn row<'a>(rows: &'a [Row], what: &str, part: &str) -> &'a Row {
    let found = rows.iter().find(|row| row.what == what && row.detail.contains(part));
    found.unwrap_or_else(|| panic!("no {what} with {part:?} in {rows:#?}"))
}

#[test]
fn every_kernel_has_its_bytes_and_operations() {
    if !cuda::nvrtc::or_skip("every_kernel_has_its_bytes_and_operations") {
        return;
    }
    let config = small();
    // A small cache, which each repetition writes over.
    let gpu = cuda::Options::new().device("rtx3060").alone().unwrap();
    for (precision, elem) in [(Precision::F32, 4), (Precision::Bf16, 2)] {
        let device = || Cuda::new(options(precision)).unwrap();
        let (copy, rows) = kernels(&config, device(), &EFFORT).unwrap();
        assert!(copy > 0.0 && rows.iter().all(|row| row.seconds > 0.0 && row.launches > 0));
        // 3 channels at 32 x 32 to 8 at 16 x 16 by 4 x 4 taps; the bias, where there is one, is in
        // f32.
        let first = row(&rows, "forward conv", "1x16x16x8@");
        let filter = 8 * 4 * 4 * 3;
        assert_eq!(first.flops, 2 * 16 * 16 * filter);
        let values = elem * (32 * 32 * 3 + 16 * 16 * 8);
        assert!([0, 4 * 8].contains(&(first.bytes - values - 4 * filter)), "{first:?}");
        // The backward pass has two passes, except in the first layer: no gradient of the picture
        // is wanted.
        let second = row(&rows, "forward conv", "1x8x8x16@");
        let back = row(&rows, "backward conv", "<- 1x8x8x16@");
        assert_eq!(back.flops, 2 * second.flops);
        assert!(back.bytes > second.bytes, "{back:?} {second:?}");
        // Transposed, the smaller side is the input: 16 x 16 with 2 x 8 channels.
        let up = row(&rows, "forward conv_transpose", "1x32x32x3@");
        assert_eq!(up.flops, 2 * 16 * 16 * 4 * 4 * 16 * 3);
        // Three numbers per parameter are read and written, and the gradient is read.
        let adam = row(&rows, "adam", "parameters");
        let words: Vec<&str> = adam.detail.split_whitespace().collect();
        let at = words.iter().position(|word| *word == "parameters").unwrap();
        assert_eq!(adam.bytes, 28 * words[at - 1].parse::<u64>().unwrap());
        assert!(rows.iter().filter(|row| !row.what.contains("conv")).all(|row| row.flops == 0));
        // A concat only places its inputs and launches nothing.
        assert!(rows.iter().all(|row| !row.what.contains("concat")));
        for what in ["forward batch_norm", "backward batch_norm", "backward conv_transpose"] {
            row(&rows, what, "");
        }
        let seconds = steps(&config, device(), &EFFORT).unwrap();
        assert!(seconds > 0.0);
        let whole = Whole { graph: seconds, launched: seconds, pictures: config.batch_size };
        told(&Timings { copy, rows, whole });
    }
    assert_eq!(gpu.findings(), []);
}

/// Checks the text that a user sees.
fn told(timings: &Timings) {
    let summary = timings.summary();
    for what in ["copy ", "forward conv ", "adam ", "all ", "a step as a graph", "images/s"] {
        assert!(summary.contains(what), "no {what:?} in {summary}");
    }
    let text = timings.to_string();
    assert!(text.starts_with(&summary));
    assert!(timings.rows.iter().all(|row| text.contains(&row.detail)));
    assert!(!text.contains("inf") && !text.contains("NaN"), "{text}");
}
