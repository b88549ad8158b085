//! Damaged pictures of every format: each decodes to a whole picture or is refused in one sentence.

use std::path::Path;

use pix2pix_engine::Error;
use pix2pix_engine::data::Image;
use pix2pix_engine::tensor::Samples;

use super::golden;
use super::mutate::mutate;

/// Files of every format, and how many mutations of each.
const SEEDS: [(&str, u32); 9] = [
    ("alpha.png", 300),
    ("bits.png", 300),
    ("deep.png", 300),
    ("camera.jpg", 300),
    ("cmyk.jpg", 200),
    ("lossy.webp", 300),
    ("lossless.webp", 300),
    ("lzw.tif", 400),
    ("deep.tif", 400),
];

#[test]
fn a_damaged_picture_decodes_whole_or_is_refused_in_one_sentence() {
    for (seed, (name, rounds)) in (0u64..).zip(SEEDS) {
        let original = std::fs::read(golden("pictures").join(name)).unwrap();
        assert!(Image::decode(&original, Path::new(name)).is_ok(), "{name}");
        let mut refused = 0;
        for round in 0..rounds {
            let mut bytes = original.clone();
            mutate(&mut bytes, 200, seed, round);
            match Image::decode(&bytes, Path::new(name)) {
                Ok((image, _)) => {
                    let Samples::U8(samples) = &image.samples else { panic!("{name}/{round}") };
                    assert_eq!(samples.len(), image.width * image.height * 3, "{name}/{round}");
                    assert!(!samples.is_empty(), "{name}/{round}");
                }
                Err(Error::Input(what)) => {
                    refused += 1;
                    assert!(!what.chars().any(char::is_control), "{name}/{round}: {what}");
                    assert!(what.contains(name) && what.len() < 600, "{name}/{round}: {what}");
                }
                Err(other) => panic!("{name}/{round}: {other:?}"),
            }
        }
        // Damage is mostly seen, in every format.
        assert!(refused > rounds / 4, "{name}: {refused} of {rounds}");
    }
}
