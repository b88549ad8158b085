//! A picture of any format, through the program's own reader.
#![no_main]

use std::path::Path;

use libfuzzer_sys::fuzz_target;
use pix2pix_engine::Error;
use pix2pix_engine::data::Image;
use pix2pix_engine::tensor::Samples;

fuzz_target!(|bytes: &[u8]| {
    match Image::decode(bytes, Path::new("fuzz.png")) {
        Ok((image, _)) => {
            let Samples::U8(samples) = &image.samples else { panic!("not 8 bits a channel") };
            assert_eq!(samples.len(), image.width * image.height * 3);
            assert!(!samples.is_empty());
        }
        Err(Error::Input(what)) => assert!(!what.chars().any(char::is_control), "{what}"),
        Err(other) => panic!("{other}"),
    }
});
