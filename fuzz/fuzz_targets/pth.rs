//! A state dict in either container: zip archive, or the sequence of pickles before PyTorch 1.6.
#![no_main]

use std::io::Cursor;
use std::path::Path;

use libfuzzer_sys::fuzz_target;
use pix2pix_engine::checkpoint::pth::StateDict;
use pix2pix_engine::checkpoint::read_weights;

fuzz_target!(|bytes: &[u8]| {
    let path = Path::new("fuzz.pth");
    let _ = read_weights(Cursor::new(bytes), path);
    if let Ok(mut state) = StateDict::new(Cursor::new(bytes), path) {
        let ranks: Vec<usize> = state.tensors().iter().map(|t| t.size.len()).collect();
        for (i, rank) in ranks.into_iter().enumerate() {
            let order: Vec<usize> = (0..rank).rev().collect();
            let _ = state.read(i, &order);
        }
    }
});
