//! A safetensors file, of ours or not.
#![no_main]

use std::io::Cursor;
use std::path::Path;

use libfuzzer_sys::fuzz_target;
use pix2pix_engine::checkpoint::read_weights;
use pix2pix_engine::checkpoint::safetensors::Reader;

fuzz_target!(|bytes: &[u8]| {
    let path = Path::new("fuzz.safetensors");
    let _ = read_weights(Cursor::new(bytes), path);
    if let Ok(mut reader) = Reader::new(Cursor::new(bytes), path) {
        for name in reader.names().to_vec() {
            reader.read(&name).expect("a checked header leads to numbers");
        }
    }
});
