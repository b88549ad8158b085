//! Damaged pictures of every format: each decodes to a whole picture or is refused in one sentence.

use std::path::Path;

use pix2pix_engine::Error;
use pix2pix_engine::data::{Image, PictureStack, PictureWindows};
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

/// Mutations of each file that other programs wrote.
const ROUNDS: u32 = 40;

/// Whole pictures, all pages and windows, of every format that there is.
#[test]
fn damaged_files_of_every_format_are_read_whole_or_refused() {
    let folder = tempfile::tempdir().unwrap();
    let entries = golden("formats").read_dir().unwrap().map(|entry| entry.unwrap().path());
    let mut names: Vec<_> =
        entries.filter(|path| path.extension().is_some_and(|e| e != "json")).collect();
    names.sort();
    let (mut read, mut refused) = (0, 0);
    for (seed, original) in (1000u64..).zip(&names) {
        let (name, bytes) = (original.file_name().unwrap(), std::fs::read(original).unwrap());
        let path = folder.path().join(name);
        for round in 0..ROUNDS {
            let mut damaged = bytes.clone();
            mutate(&mut damaged, 200, seed, round);
            std::fs::write(&path, &damaged).unwrap();
            let at = format!("{}/{round}", name.display());
            let whole = PictureStack::read(&path).map(|stack| {
                for page in &stack.pages {
                    assert_eq!(
                        page.samples.len(),
                        page.width * page.height * page.channels,
                        "{at}"
                    );
                }
            });
            let windows = PictureWindows::open(&path).and_then(|opened| {
                let Some(PictureWindows { mut windows, .. }) = opened else { return Ok(()) };
                let [width, height] = windows.size().map(|side| side.min(4));
                windows.read(0, 0, width, height).map(drop)
            });
            for result in [whole, windows] {
                match result {
                    Ok(()) => read += 1,
                    // The voxels of a `.mhd` are in a file whose name may be damaged.
                    Err(error @ (Error::Input(_) | Error::File { .. })) => {
                        refused += 1;
                        let what = error.to_string();
                        assert!(!what.chars().any(char::is_control), "{at}: {what}");
                        assert!(what.len() < 600, "{at}: {what}");
                    }
                    Err(other) => panic!("{at}: {other:?}"),
                }
            }
        }
        std::fs::write(&path, bytes).unwrap();
    }
    assert!(names.len() > 100 && read > 1000 && refused > 1000, "{read} read, {refused} refused");
}
