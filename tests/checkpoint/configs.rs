//! Settings and other metadata of checkpoints, damaged: each is refused, or written and read again
//! as the same.

use pix2pix_engine::train::{Length, Progress, RunConfig, SavedOptions, Scores};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::mutate::mutate;

/// The text that `read` is written as, which must be read and written as itself.
fn fixed<T: Serialize + DeserializeOwned>(read: &T, case: &str) -> String {
    let written = serde_json::to_string(read).unwrap();
    let again: T = serde_json::from_str(&written).unwrap_or_else(|e| panic!("{case}: {e}"));
    assert_eq!(serde_json::to_string(&again).unwrap(), written, "{case}");
    written
}

/// How many of `rounds` mutations of `text` were accepted.
fn accepted<T: DeserializeOwned>(
    text: &str,
    rounds: u32,
    seed: u64,
    use_it: impl Fn(&T, &str),
) -> u32 {
    let mut accepted = 0;
    for round in 0..rounds {
        let mut bytes = text.as_bytes().to_vec();
        mutate(&mut bytes, usize::MAX, seed, round);
        let mutated = String::from_utf8_lossy(&bytes);
        if let Ok(read) = serde_json::from_str::<T>(&mutated) {
            accepted += 1;
            use_it(&read, &mutated);
        }
    }
    accepted
}

#[test]
fn damaged_settings_are_refused_or_stay_what_they_are() {
    let text = fixed(&RunConfig::default(), "the default");
    let count = accepted::<RunConfig>(&text, 4000, 1, |config, case| {
        // Numbers that no run has are what the check is for.
        if config.check().is_ok() {
            fixed(config, case);
            assert!(config.generator.params().is_ok(), "{case}");
        }
    });
    assert!((40..2000).contains(&count), "{count} of 4000");
}

#[test]
fn damaged_progress_is_refused_or_stays_what_it_is() {
    let scores = Scores { l1: 0.1, psnr: f64::INFINITY, ssim: f64::NAN, ..Scores::default() };
    let progress = Progress { step: 9, epoch: 2, best: Some((1, scores)), ..Progress::default() };
    let texts = [fixed(&progress, "progress"), fixed(&Progress::default(), "nothing yet")];
    for (text, seed) in texts.iter().zip(2..) {
        let count = accepted::<Progress>(text, 1000, seed, |read, case| drop(fixed(read, case)));
        assert!((10..500).contains(&count), "{count} of 1000");
    }
    let length = fixed(&Length { epochs: 9, steps: Some(100), pairs: 7 }, "length");
    accepted::<Length>(&length, 1000, 4, |read, case| drop(fixed(read, case)));
    let options = r#"{"val_every":1,"save_every":null,"save_minutes":0.1,"keep_every":5,
                      "skip_bad":false,"version":"0.1.0"}"#;
    accepted::<SavedOptions>(options, 1000, 5, |read, case| drop(fixed(read, case)));
}
