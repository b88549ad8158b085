//! Data that are not 8-bit RGB: what training understands of them, and what a translation writes.

use std::path::Path;

use pix2pix_engine::data::{Attributes, Image, Picture, StoredType};
use pix2pix_engine::tensor::Samples;

use crate::program::{ok, run, words};

const SMALL: &str = "--size 32 --base-channels 4 --steps 2 --gan none --out run";

fn write(image: &Image, attributes: &Attributes, path: &Path) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    Image::write_pages(std::slice::from_ref(image), attributes, path, 95).unwrap();
}

/// Pairs of five channels of floats and 16-bit heights: ranges on the whole set, types and place kept.
#[test]
fn bands_of_floats_become_sixteen_bit_heights() {
    let folder = tempfile::tempdir().unwrap();
    for i in 0..3 {
        let band = |k: usize| (k % 5) as f32 * 10.0 + (i * k % 97) as f32 / 50.0;
        let bands: Vec<f32> = (0..32 * 32 * 5).map(band).collect();
        let heights: Vec<u16> = (0..32 * 32).map(|k| (300 + i * 100 + k % 50) as u16).collect();
        let at = |side: &str, end: &str| folder.path().join(format!("data/{side}/{i}.{end}"));
        let floats = Attributes::new(StoredType::F32);
        write(&Image::new(32, 32, 5, bands).unwrap(), &floats, &at("A", "npy"));
        let sixteen = Attributes::new(StoredType::U16);
        write(&Image::new(32, 32, 1, heights).unwrap(), &sixteen, &at("B", "png"));
    }
    let said = ok(folder.path(), &words(&format!("train data {SMALL}"))).out;
    assert!(said.contains("each channel has its range"), "{said}");
    assert!(said.contains("300 to 549 are seen as -1 to 1 (found on 3 pictures)"), "{said}");
    ok(folder.path(), &words("translate run data/A/0.npy --output out"));
    let picture = Picture::read(&folder.path().join("out/0.png"), 0).unwrap();
    assert_eq!(picture.header.stored, StoredType::U16);
    let Samples::U16(heights) = &picture.image.samples else { panic!("16 bits") };
    assert!(heights.iter().all(|h| (300..=549).contains(h)));
    // The other way: an array comes out in the format that is asked for, or the input's where it holds it.
    ok(folder.path(), &words(&format!("train data {SMALL}2 --direction b2a")));
    ok(folder.path(), &words("translate run2 data/B/0.png --output back"));
    let back = Picture::read(&folder.path().join("back/0.tiff"), 0).unwrap();
    assert_eq!((back.image.channels, back.header.stored), (5, StoredType::F32));
    // A picture of another kind is refused with both kinds.
    let error = run(folder.path(), &words("translate run data/B/0.png --output no.png")).err;
    assert!(error.contains("1 channel of u16, and 5 channels are needed"), "{error}");
}

/// Label maps as inputs, colours that stand for classes as targets, of a size that is not square.
#[test]
fn labels_go_in_and_come_out_as_classes() {
    let folder = tempfile::tempdir().unwrap();
    let colours = [[0u8, 0, 255], [255, 128, 0], [9, 200, 9]];
    for i in 0..2 {
        let labels: Vec<u8> = (0..32 * 64).map(|k: usize| [0, 7, 255][k / 64 / 11 % 3]).collect();
        let map = (0..32 * 64).flat_map(|k: usize| colours[(k % 64 / 22 + i) % 3]);
        let at = |side: &str| folder.path().join(format!("data/{side}/{i}.png"));
        let bytes = Attributes::new(StoredType::U8);
        write(&Image::new(64, 32, 1, labels).unwrap(), &bytes, &at("A"));
        write(&Image::new(64, 32, 3, map.collect::<Vec<u8>>()).unwrap(), &bytes, &at("B"));
    }
    let line = "train data --size 32x64 --input labels --target palette --base-channels 4 --steps 2 --out run";
    let said = ok(folder.path(), &words(line)).out;
    assert!(said.contains("3 classes found: 0, 7, 255"), "{said}");
    assert!(said.contains("generator Unet") && said.contains("64 x 32 pixels"), "{said}");
    ok(folder.path(), &words("translate run data/A/0.png --output out.png"));
    let out = Picture::read(&folder.path().join("out.png"), 0).unwrap();
    let palette = out.attributes.palette.unwrap();
    let Samples::U8(indices) = &out.image.samples else { panic!("8 bits") };
    assert_eq!((out.image.width, out.image.height, out.image.channels), (64, 32, 1));
    assert!(indices.iter().all(|&i| colours.contains(&palette[usize::from(i)])));
    for (flags, says) in [
        ("--target labels", "use --target palette"),
        ("--palette cityscapes", "no side is read as labels"),
        ("--range-a 5..1", "the first number is below the second"),
        ("--turn --size 32x64", "cannot be turned"),
        ("--size 32xx", "height x width"),
    ] {
        let error = run(folder.path(), &words(&format!("train data --out no {flags}"))).err;
        assert!(error.contains(says), "{flags}: {error}");
    }
}

/// Pixels without a value are refused by name, not learnt.
#[test]
fn what_has_no_value_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let mut values: Vec<f32> = (0..1024).map(|k| k as f32).collect();
    values[7] = f32::NAN;
    let floats = Attributes::new(StoredType::F32);
    for side in ["A", "B"] {
        let path = folder.path().join(format!("data/{side}/x.tiff"));
        write(&Image::new(32, 32, 1, values.clone()).unwrap(), &floats, &path);
    }
    let error = run(folder.path(), &words(&format!("train data {SMALL}"))).err;
    assert!(error.contains("0.098 % of the samples of A are NaN"), "{error}");
    assert!(!folder.path().join("run").exists());
}
