//! What describes a run: its settings and the other metadata of a checkpoint, as JSON, and command
//! lines, those of the PyTorch port among them. The first byte says which.
#![no_main]

use std::ffi::OsString;
use std::io::Cursor;
use std::path::Path;

use libfuzzer_sys::fuzz_target;
use pix2pix_engine::checkpoint::{FORMAT, read_weights};
use pix2pix_engine::train::{Length, Progress, RunConfig, SavedOptions};
use serde::Serialize;
use serde::de::DeserializeOwned;

fuzz_target!(|bytes: &[u8]| {
    let Some((kind, text)) = bytes.split_first() else { return };
    let Ok(text) = std::str::from_utf8(text) else { return };
    match kind % 3 {
        0 => settings(text),
        1 => metadata(text),
        _ => command_line(text),
    }
});

/// What was read is written as a text that is read and written again as itself.
fn settings(text: &str) {
    if let Ok(config) = serde_json::from_str::<RunConfig>(text)
        && config.check().is_ok()
    {
        again(&config);
    }
    let _ = serde_json::from_str::<Progress>(text).map(|progress| again(&progress));
    let _ = serde_json::from_str::<Length>(text).map(|length| again(&length));
    let _ = serde_json::from_str::<SavedOptions>(text).map(|options| again(&options));
}

fn again<T: Serialize + DeserializeOwned>(read: &T) {
    let written = serde_json::to_string(read).expect("what was read is written");
    let read: T = serde_json::from_str(&written).expect("what was written is read");
    assert_eq!(serde_json::to_string(&read).expect("written"), written);
}

fn metadata(config: &str) {
    let header = serde_json::json!({
        "__metadata__": { "format": FORMAT, "version": "1", "config": config },
        "generator.x": { "dtype": "F32", "shape": [1], "data_offsets": [0, 4] },
    });
    let header = header.to_string();
    let mut file = (header.len() as u64).to_le_bytes().to_vec();
    file.extend(header.as_bytes());
    file.extend([0; 4]);
    let _ = read_weights(Cursor::new(file), Path::new("fuzz.safetensors"));
}

fn command_line(text: &str) {
    let words = ["pix2pix-engine"].into_iter().chain(text.split(' ')).map(OsString::from);
    let _ = pix2pix_engine::cli::check(words.collect());
}
