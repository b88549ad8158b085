//! Large pictures by the program: tiles from TIFF to TIFF, parts of a folder, and what is missing.

use std::fs;
use std::path::Path;

use pix2pix_engine::data::{Attributes, Image, StoredType};

use crate::program::{bench, ok, picture, run, save, train, words};

fn trained() -> tempfile::TempDir {
    let folder = bench();
    train(folder.path(), "run", "--steps 6 --depth 4");
    folder
}

fn names(folder: &Path) -> Vec<String> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let mut names: Vec<String> =
        entries.map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// A TIFF is read and written in parts, anything else from memory: with equal tiles the pixels are equal.
#[test]
fn tiles_from_file_to_file_are_those_from_memory() {
    let folder = trained();
    let at = |name: &str| folder.path().join(name);
    let image = picture(300, 220, 5);
    save(&at("in.png"), &image);
    save(&at("in.tiff"), &image);
    let flags = "--scale native --tile 96 --overlap 32";
    let png = ok(folder.path(), &words(&format!("translate run in.png {flags} --output png.png")));
    let tiff =
        ok(folder.path(), &words(&format!("translate run in.tiff {flags} --output tiff.tiff")));
    for said in [&png.out, &tiff.out] {
        assert!(said.contains("96 x 96 pixels that share 32"), "{said}");
        assert!(said.contains("tiles, seam"), "{said}");
    }
    let [a, b] = ["png.png", "tiff.tiff"].map(|name| Image::read(&at(name)).unwrap());
    assert_eq!((a.width, a.height), (300, 220));
    assert_eq!(a, b);
}

/// More than a picture that is read whole may have: 70,000 columns.
#[test]
fn a_tiff_may_be_larger_than_what_is_read_whole() {
    let folder = trained();
    let at = |name: &str| folder.path().join(name);
    let image = picture(70_000, 40, 1);
    Image::write_pages(&[image], &Attributes::new(StoredType::U8), &at("wide.tiff"), 95).unwrap();
    let line = "translate run wide.tiff --scale native --norm running --tile 512";
    let said = ok(folder.path(), &words(line)).out;
    assert!(said.contains("wide-translated.tiff (70000 x 40"), "{said}");
    // It would fit into memory, but no picture of that size is read whole.
    for tile in ["", "--tile 100000"] {
        let line = format!("translate run wide.tiff --scale native {tile} --output w.tiff");
        let said = ok(folder.path(), &words(&line)).out;
        assert!(said.contains("w.tiff (70000 x 40"), "{said}");
    }
    let refused = run(folder.path(), &words(&format!("{line} --output wide.png")));
    assert_ne!(refused.code, Some(0));
    assert!(refused.err.contains("name an output that ends in .tiff"), "{refused:?}");
    assert!(!at("wide.png").exists());
    // Resized, it would have to be read whole.
    let refused = run(folder.path(), &words("translate run wide.tiff --scale 0.5"));
    assert!(refused.err.contains("65535 a side"), "{refused:?}");
}

#[test]
fn shards_translate_each_picture_once_and_missing_does_the_rest() {
    let folder = trained();
    for i in 0..7 {
        save(&folder.path().join(format!("in/{i}.png")), &picture(32, 32, i));
    }
    let mut all = Vec::new();
    for part in 1..=3 {
        let line = format!("translate run in --shard {part}/3 --output part{part}");
        let said = ok(folder.path(), &words(&line)).out;
        assert!(said.contains(&format!("shard     {part} of 3: ")), "{said}");
        all.extend(names(&folder.path().join(format!("part{part}"))));
    }
    all.sort();
    let every: Vec<String> = (0..7).map(|i| format!("{i}.png")).collect();
    assert_eq!(all, every);
    // A picture that cannot be read is told of by its own shard alone.
    fs::write(folder.path().join("in/7.png"), b"\x89PNG\r\n\x1a\nbroken").unwrap();
    let codes = [1, 2, 3].map(|part| {
        let line = format!("translate run in --shard {part}/3 --output again");
        run(folder.path(), &words(&line)).code
    });
    assert_eq!(codes, [Some(0), Some(3), Some(0)]);
    fs::remove_file(folder.path().join("in/7.png")).unwrap();
    // More parts than pictures: the last have nothing to do, which is no failure.
    ok(folder.path(), &words("translate run in --shard 9/9 --output none"));
    for wrong in ["0/3", "4/3", "3", "a/b", "1/0"] {
        let ended = run(folder.path(), &words(&format!("translate run in --shard {wrong}")));
        assert!(ended.err.contains("such as 2/8"), "{ended:?}");
    }
    let at = |name: &str| folder.path().join("out").join(name);
    ok(folder.path(), &words("translate run in --shard 1/3 --output out"));
    let before = fs::metadata(at("0.png")).unwrap().modified().unwrap();
    let said = ok(folder.path(), &words("translate run in --missing --output out")).out;
    assert!(said.contains("4 of 7 have no output yet"), "{said}");
    assert_eq!(names(&folder.path().join("out")), every);
    assert_eq!(fs::metadata(at("0.png")).unwrap().modified().unwrap(), before);
    // Nothing is missing: nothing is done, and that is well.
    let said = ok(folder.path(), &words("translate run in --missing --output out")).out;
    assert!(said.contains("0 of 7 have no output yet"), "{said}");
}
