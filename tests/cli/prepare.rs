//! `prepare`: data sets made of pictures, and what is kept of them.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use pix2pix_engine::data::{Attributes, Image, Picture, StoredType, Tag};
use pix2pix_engine::tensor::Samples;

use crate::program::{Ended, Refused, ok, picture, refuse_all, run, save, train, tree, words};

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}

fn go(cwd: &Path, line: &str) -> Ended {
    ok(cwd, &words(line))
}

fn write(path: &Path, pages: &[Image], attributes: &Attributes) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    Image::write_pages(pages, attributes, path, 95).unwrap();
}

/// The samples of the first page as the file has them.
fn stored(path: &Path) -> Image {
    Picture::read(path, 0).unwrap().image
}

/// All files below a folder, by their paths from it.
fn files(root: &Path) -> Vec<String> {
    let all = tree(root).into_keys().filter(|path| path.is_file());
    let name = |path: std::path::PathBuf| path.strip_prefix(root).unwrap().display().to_string();
    all.map(name).collect()
}

/// Samples of any type that differ from pixel to pixel.
fn of_type(stored: StoredType, width: usize, height: usize, channels: usize) -> Image {
    let value = |i: usize| (i * 37 % 251) as f32;
    let all = (0..width * height * channels).map(value);
    let samples = match stored.held() {
        pix2pix_engine::tensor::SampleType::U8 => Samples::U8(all.map(|v| v as u8).collect()),
        pix2pix_engine::tensor::SampleType::U16 => {
            Samples::U16(all.map(|v| v as u16 * 257).collect())
        }
        _ => Samples::F32(all.map(|v| v - 100.5).collect()),
    };
    Image::new(width, height, channels, samples).unwrap()
}

#[test]
fn split_and_combine_are_inverse_in_every_type() {
    let at = folder();
    let cases = [
        ("train/x/a.png", StoredType::U8, 3),
        ("train/b.png", StoredType::U16, 1),
        ("val/c.tiff", StoredType::F32, 5),
        ("val/d.npy", StoredType::F32, 2),
        ("val/e.ppm", StoredType::U8, 3),
        ("val/f.png", StoredType::U8, 4),
    ];
    for (i, (name, stored, channels)) in cases.iter().enumerate() {
        let image = of_type(*stored, 8 + 2 * i, 5, *channels);
        write(&at.path().join("data").join(name), &[image], &Attributes::new(*stored));
    }
    let said = go(at.path(), "prepare split data -o apart").out;
    assert!(said.contains("written   12 pictures in apart"), "{said}");
    assert!(said.contains("train --a apart/A --b apart/B"), "{said}");
    let said = go(at.path(), "prepare combine apart/A apart/B --output whole").out;
    assert!(said.contains("written   6 pictures"), "{said}");
    for (name, ..) in cases {
        let [before, after] = ["data", "whole"].map(|f| stored(&at.path().join(f).join(name)));
        assert_eq!(before, after, "{name}");
        let half = stored(&at.path().join("apart/B").join(name));
        assert_eq!(half, before.crop(before.width / 2, 0, before.width / 2, 5), "{name}");
    }
}

#[test]
fn pictures_that_one_picture_cannot_hold_are_named() {
    let at = folder();
    let save_two = |name: &str, a: Image, b: Image| {
        for (side, image) in [("A", a), ("B", b)] {
            let attributes = Attributes::new(StoredType::of(image.samples.sample_type()));
            write(&at.path().join(side).join(name), &[image], &attributes);
        }
    };
    save_two("good.png", picture(8, 8, 0), picture(8, 8, 1));
    save_two("size.png", picture(8, 8, 0), picture(9, 8, 1));
    let grey = Image::new(8, 8, 1, (0..64).collect::<Vec<u8>>()).unwrap();
    save_two("grey.png", grey.clone(), picture(8, 8, 1));
    save_two("type.png", picture(8, 8, 0), of_type(StoredType::U16, 8, 8, 3));
    save(&at.path().join("A/alone.png"), &picture(8, 8, 0));
    let ended = run(at.path(), &words("prepare combine A B -o out"));
    assert_eq!(ended.code, Some(3), "{ended:?}");
    assert_eq!(files(&at.path().join("out")), ["good.png", "grey.png"]);
    // Grey beside colours is three equal channels.
    let both = stored(&at.path().join("out/grey.png"));
    assert_eq!(both.at(3, 2), (&[19u8; 3][..]).into());
    assert_eq!(both.crop(8, 0, 8, 8), picture(8, 8, 1));
    for part in [
        "3 of 5 pictures failed",
        "A/size.png",
        "9x8 pixels",
        "3 channels of u16",
        "alone.png has no partner",
    ] {
        assert!(ended.err.contains(part), "{part} in {ended:?}");
    }
}

#[test]
fn phases_divide_by_the_seed_and_keep_every_byte() {
    let at = folder();
    for i in 0..20 {
        save(&at.path().join(format!("data/A/f{}/{i}.png", i / 4)), &picture(8, 8, i));
        save(&at.path().join(format!("data/B/f{}/{i}.jpg", i / 4)), &picture(8, 8, 50 + i));
    }
    let said = go(at.path(), "prepare phases data -o one --val 20% --test 3").out;
    assert!(said.contains("13 pairs to train on, 4 to validate on, 3 to test on"), "{said}");
    go(at.path(), "prepare phases data -o again --val 20% --test 3");
    go(at.path(), "prepare phases data -o other --val 20% --test 3 --seed 1");
    let [one, again, other] = ["one", "again", "other"].map(|f| files(&at.path().join(f)));
    assert_eq!(one, again);
    assert_ne!(one, other);
    assert_eq!(one.len(), 40);
    let names: BTreeSet<&str> = one.iter().map(|path| path.split_once('/').unwrap().1).collect();
    assert_eq!(names.len(), 40, "each file once");
    for path in &one {
        let source = at.path().join("data").join(path.split_once('/').unwrap().1);
        let bytes = |path: &Path| fs::read(path).unwrap();
        assert_eq!(bytes(&at.path().join("one").join(path)), bytes(&source), "{path}");
    }
    // One bad picture stops it, or is left out by wish.
    fs::write(at.path().join("data/A/f0/bad.png"), "no picture").unwrap();
    save(&at.path().join("data/B/f0/bad.png"), &picture(16, 16, 1));
    let ended = run(at.path(), &words("prepare phases data -o no"));
    assert_eq!((ended.code, at.path().join("no").exists()), (Some(1), false), "{ended:?}");
    let ended = run(at.path(), &words("prepare phases data -o skipped --val 1 --skip-bad"));
    assert_eq!(ended.code, Some(3), "{ended:?}");
    assert!(ended.err.contains("bad.png is no picture"), "{ended:?}");
    assert_eq!(files(&at.path().join("skipped")).len(), 40);
    fs::remove_file(at.path().join("data/A/f0/bad.png")).unwrap();
    fs::remove_file(at.path().join("data/B/f0/bad.png")).unwrap();
    // A folder is in one phase alone.
    go(at.path(), "prepare phases data -o films --val 30% --by-folder");
    let of = |phase: &str| -> BTreeSet<String> {
        let all = files(&at.path().join("films").join(phase));
        all.iter().map(|path| path.split('/').nth(1).unwrap().to_string()).collect()
    };
    assert!(of("train").is_disjoint(&of("val")));
    assert_eq!((of("train").len(), of("val").len()), (3, 2), "8 of 20 are the least whole folders");
    let said = run(at.path(), &words("check one --plan p.toml")).out;
    assert!(said.contains("13 pairs to train on, 4 to validate on, 3 to test on"), "{said}");
}

#[test]
fn resizing_is_that_of_training_and_halves_do_not_mix() {
    let at = folder();
    let image = picture(40, 20, 3);
    save(&at.path().join("in/a.png"), &image);
    go(at.path(), "prepare resize in -o plain --size 10x30 --fit stretch");
    assert_eq!(stored(&at.path().join("plain/a.png")), image.resize(30, 10));
    go(at.path(), "prepare resize in -o pairs --size 10 --pairs");
    let half = |x| image.crop(x, 0, 20, 20).resize(10, 10);
    assert_eq!(stored(&at.path().join("pairs/a.png")), half(0).beside(&half(20)));
    // The middle of what is too long, and reflection of what is too short.
    go(at.path(), "prepare resize in -o crop --size 10");
    let shorter = image.resize(20, 10);
    assert_eq!(stored(&at.path().join("crop/a.png")), shorter.crop(5, 0, 10, 10));
    go(at.path(), "prepare resize in -o pad --size 20 --fit pad");
    let padded = stored(&at.path().join("pad/a.png"));
    assert_eq!((padded.width, padded.height), (20, 20));
    assert_eq!(padded.crop(0, 5, 20, 10), image.resize(20, 10));
    assert_eq!(padded.row(4), padded.row(6));
}

#[test]
fn indices_and_classes_are_not_averaged_and_no_data_stays() {
    let at = folder();
    let indices = Image::new(4, 4, 1, (0..16).map(|i| i % 3).collect::<Vec<u8>>()).unwrap();
    let palette = Some(vec![[255, 0, 0], [0, 255, 0], [0, 0, 255]]);
    let attributes = Attributes { palette, ..Attributes::new(StoredType::U8) };
    write(&at.path().join("in/labels.png"), std::slice::from_ref(&indices), &attributes);
    go(at.path(), "prepare resize in -o out --size 7");
    let resized = Picture::read(&at.path().join("out/labels.png"), 0).unwrap();
    assert_eq!(resized.image, indices.resize_nearest(7, 7));
    assert_eq!(resized.attributes.palette, attributes.palette);

    let mut values = vec![1.0f32; 64];
    values[0] = f32::NAN;
    values[63] = -9999.0;
    let image = Image::new(8, 8, 1, values).unwrap();
    let attributes = Attributes { nodata: Some(-9999.0), ..Attributes::new(StoredType::F32) };
    write(&at.path().join("height/h.tiff"), &[image], &attributes);
    go(at.path(), "prepare resize height -o half --size 4");
    let Samples::F32(all) = stored(&at.path().join("half/h.tiff")).samples else { panic!() };
    // Sum and weight are rounded, and their ratio.
    let one = |v: f32| (v - 1.0).abs() <= 4.0 * f32::EPSILON;
    assert!(all.iter().all(|&v| one(v) || v == -9999.0), "{all:?}");
    assert_eq!((all[0], all[15]), (-9999.0, -9999.0));
    assert_eq!(all.iter().filter(|&&v| one(v)).count(), 14);
}

/// The pieces of a grid, put where their names say, are the picture.
#[test]
fn a_grid_of_pieces_covers_the_picture() {
    let at = folder();
    let image = picture(70, 45, 2);
    save(&at.path().join("in/a.png"), &image);
    write(
        &at.path().join("in/b.tiff"),
        std::slice::from_ref(&image),
        &Attributes::new(StoredType::U8),
    );
    go(at.path(), "prepare crop in -o out --size 20x32 --at grid --overlap 4");
    let all = files(&at.path().join("out"));
    assert_eq!(all.len(), 2 * 3 * 3, "{all:?}");
    let mut seen = vec![0; 70 * 45];
    for name in &all {
        let (stem, _) = name.split_once('.').unwrap();
        let number = |mark: &str| -> usize {
            let part = stem.split(mark).nth(1).unwrap();
            part.split('-').next().unwrap().parse().unwrap()
        };
        let (x, y) = (number("-x"), number("-y"));
        assert_eq!(stored(&at.path().join("out").join(name)), image.crop(x, y, 32, 20), "{name}");
        for row in y..y + 20 {
            seen[row * 70 + x..row * 70 + x + 32].iter_mut().for_each(|n| *n += 1);
        }
    }
    assert!(seen.iter().all(|&n| n >= 2), "each picture is covered");
    // The same piece of each half.
    go(at.path(), "prepare crop in/a.png -o pair --size 16 --pairs");
    let piece = |x: usize| image.crop(x + (35 - 16) / 2, (45 - 16) / 2, 16, 16);
    assert_eq!(stored(&at.path().join("pair/a.png")), piece(0).beside(&piece(35)));
}

/// Where a pixel of a file lies on the map: GeoTIFF's scale and first point.
fn on_map(path: &Path, [x, y]: [f64; 2]) -> [f64; 2] {
    let place = Picture::read(path, 0).unwrap().attributes.place;
    let numbers = |number| -> Vec<f64> {
        let tag = place.tags.iter().find(|tag| tag.tag == number).unwrap();
        tag.bytes.chunks_exact(8).map(|v| f64::from_le_bytes(v.try_into().unwrap())).collect()
    };
    let (scale, point) = (numbers(33_550), numbers(33_922));
    [point[3] + (x - point[0]) * scale[0], point[4] - (y - point[1]) * scale[1]]
}

#[test]
fn a_piece_keeps_its_place_on_the_map() {
    let at = folder();
    let doubles = |tag, all: &[f64]| Tag {
        tag,
        kind: 12,
        count: all.len() as u64,
        bytes: all.iter().flat_map(|v| v.to_le_bytes()).collect(),
    };
    let mut attributes = Attributes::new(StoredType::U16);
    attributes.place.tags = vec![
        doubles(33_550, &[10.0, 20.0, 0.0]),
        doubles(33_922, &[0.0, 0.0, 0.0, 5e5, 4.5e6, 0.0]),
    ];
    let whole = at.path().join("in/a.tiff");
    write(&whole, &[of_type(StoredType::U16, 64, 48, 2)], &attributes);
    go(at.path(), "prepare crop in -o out --size 16");
    let piece = at.path().join("out/a.tiff");
    assert_eq!(on_map(&piece, [3.0, 5.0]), on_map(&whole, [24.0 + 3.0, 16.0 + 5.0]));
    assert_eq!(stored(&piece), stored(&whole).crop(24, 16, 16, 16));
    // Half as many pixels of the middle 48 x 48.
    go(at.path(), "prepare resize in -o half --size 24");
    let half = at.path().join("half/a.tiff");
    assert_eq!(on_map(&half, [7.0, 9.0]), on_map(&whole, [8.0 + 14.0, 18.0]));
}

#[test]
fn edges_are_black_where_the_picture_changes() {
    let at = folder();
    let mut image = Image::filled(40, 40, &[30, 30, 30]);
    let Samples::U8(all) = &mut image.samples else { panic!() };
    for y in 10..30 {
        all[(y * 40 + 10) * 3..(y * 40 + 30) * 3].fill(220);
    }
    save(&at.path().join("in/square.jpg"), &image);
    save(&at.path().join("in/flat.png"), &Image::filled(20, 20, &[9, 9, 9]));
    let said = go(at.path(), "prepare edges in -o out").out;
    assert!(said.contains("train --a out --b in"), "{said}");
    let Samples::U8(edges) = stored(&at.path().join("out/square.png")).samples else { panic!() };
    let black: Vec<_> = (0..1600).filter(|&i| edges[i] == 0).map(|i| (i % 40, i / 40)).collect();
    assert!(edges.iter().all(|&v| v == 0 || v == 255));
    // Within two pixels of the border of the square, and all around it.
    let near = |v: usize| (8..=12).contains(&v) || (27..=31).contains(&v);
    assert!(black.iter().all(|&(x, y)| near(x) || near(y)), "{black:?}");
    for side in 14..26 {
        // A line where the gradient has one length over two pixels is two wide.
        let across = black.iter().filter(|&&(_, y)| y == side).count();
        let down = black.iter().filter(|&&(x, _)| x == side).count();
        assert!((2..=4).contains(&across) && (2..=4).contains(&down), "{side}: {black:?}");
    }
    let flat = stored(&at.path().join("out/flat.png"));
    assert_eq!(flat.samples, Samples::U8(vec![255; 400]));
}

#[test]
fn grey_is_luma_in_the_depth_of_the_picture() {
    let at = folder();
    let deep = Image::new(2, 1, 3, vec![65_535u16, 0, 0, 1000, 2000, 3000]).unwrap();
    write(&at.path().join("in/deep.png"), &[deep], &Attributes::new(StoredType::U16));
    let clear = Image::new(1, 1, 4, vec![10u8, 20, 30, 7]).unwrap();
    write(&at.path().join("in/clear.png"), &[clear], &Attributes::new(StoredType::U8));
    let grey = Image::new(2, 2, 1, vec![1u8, 2, 3, 4]).unwrap();
    save(&at.path().join("in/grey.png"), &grey);
    let said = go(at.path(), "prepare grayscale in -o out").out;
    let luma = |[r, g, b]: [u64; 3]| (299 * r + 587 * g + 114 * b + 500) / 1000;
    let of = |name: &str| stored(&at.path().join("out").join(name));
    let expected = [luma([65_535, 0, 0]), luma([1000, 2000, 3000])].map(|v| v as u16);
    assert_eq!(of("deep.png").samples, Samples::U16(expected.to_vec()));
    assert_eq!(of("clear.png").samples, Samples::U8(vec![luma([10, 20, 30]) as u8, 7]));
    assert_eq!(of("grey.png"), grey);
    assert!(said.contains("train --a out --b in"), "{said}");
    // And that is a data set.
    for i in 0..3 {
        save(&at.path().join(format!("photos/{i}.png")), &picture(32, 32, i));
    }
    go(at.path(), "prepare grayscale photos -o data/A");
    fs::create_dir_all(at.path().join("data/B")).unwrap();
    for i in 0..3 {
        let name = format!("{i}.png");
        fs::copy(at.path().join("photos").join(&name), at.path().join("data/B").join(&name))
            .unwrap();
    }
    train(at.path(), "run", "--steps 2");
}

#[test]
fn only_holes_change() {
    let at = folder();
    for (name, image) in [("a.png", picture(60, 40, 1)), ("b.png", picture(60, 40, 1))] {
        save(&at.path().join("in").join(name), &image);
    }
    let said = go(at.path(), "prepare holes in -o out --count 3 --share 0.3 --masks").out;
    assert!(said.contains("train --a out/pictures --b in"), "{said}");
    let whole = picture(60, 40, 1);
    let mask_of = |out: &str, name: &str| {
        let at = at.path().join(out);
        let (image, mask) =
            (stored(&at.join("pictures").join(name)), stored(&at.join("masks").join(name)));
        let Samples::U8(mask) = mask.samples else { panic!() };
        for (i, &hole) in mask.iter().enumerate() {
            let (x, y) = (i % 60, i / 60);
            let white = [255u8; 3];
            let expected = if hole == 255 { (&white[..]).into() } else { whole.at(x, y) };
            assert_eq!(image.at(x, y), expected, "{out} {name} {x} {y}");
        }
        mask
    };
    let [a, b] = ["a.png", "b.png"].map(|name| mask_of("out", name));
    assert_ne!(a, b, "each picture has its own");
    // Three rectangles of a tenth each, which may overlap and are rounded.
    let share = a.iter().filter(|&&v| v == 255).count() as f64 / 2400.0;
    assert!((0.1..0.33).contains(&share), "{share}");
    go(at.path(), "prepare holes in -o again --count 3 --share 0.3 --masks");
    go(at.path(), "prepare holes in -o other --count 3 --share 0.3 --masks --seed 1");
    assert_eq!(mask_of("again", "a.png"), a);
    assert_ne!(mask_of("other", "a.png"), a);
    go(at.path(), "prepare holes in -o middle --middle --masks --fill 0");
    let image = stored(&at.path().join("middle/pictures/a.png"));
    let black = vec![0u8; 3 * 30];
    assert_eq!(image.crop(15, 10, 30, 1).samples, Samples::U8(black), "30 x 20 in the middle");
    assert_eq!(image.at(14, 20), whole.at(14, 20));
}

#[test]
fn slices_stay_a_volume_and_other_pages_are_named() {
    let at = folder();
    let slices: Vec<Image> = (0..3).map(|i| of_type(StoredType::F32, 6 + 2 * i, 4, 1)).collect();
    let volume: Vec<Image> = slices.iter().map(|s| s.crop(0, 0, 6, 4)).collect();
    write(&at.path().join("in/v.nii.gz"), &volume, &Attributes::new(StoredType::F32));
    go(at.path(), "prepare crop in -o out --size 2");
    for (page, slice) in volume.iter().enumerate() {
        let piece = Picture::read(&at.path().join("out/v.nii.gz"), page).unwrap().image;
        assert_eq!(piece, slice.crop(2, 1, 2, 2), "{page}");
    }
}

#[test]
fn wrong_commands_write_nothing() {
    let at = folder();
    save(&at.path().join("data/a.png"), &picture(10, 8, 0));
    save(&at.path().join("odd/a.png"), &picture(9, 8, 0));
    save(&at.path().join("double/a.png"), &picture(8, 8, 0));
    save(&at.path().join("filled/x.png"), &picture(8, 8, 0));
    write(
        &at.path().join("floats/f.tiff"),
        &[of_type(StoredType::F32, 4, 4, 1)],
        &Attributes::new(StoredType::F32),
    );
    fs::create_dir(at.path().join("empty")).unwrap();
    fs::write(at.path().join("file"), "text").unwrap();
    let row = |line, says| Refused { line, code: 1, says };
    refuse_all(
        at.path(),
        &[
            row("prepare split data -o data", &["--output data holds files", "--force"]),
            row("prepare split data -o data --force", &["where the pictures are"]),
            row("prepare split data -o filled", &["holds files"]),
            row("prepare split data -o file", &["is a file"]),
            row("prepare split nothing -o out", &["nothing does not exist"]),
            row("prepare split empty -o out", &["has no files"]),
            row("prepare split odd -o out", &["odd/a.png is 9 pixels wide"]),
            row("prepare crop data -o out --size 9", &["10x8", "9x9"]),
            row("prepare crop data -o out --size 4 --at grid --overlap 4", &["--overlap 4"]),
            row("prepare resize data -o out --size 0", &["--size 0x0"]),
            row("prepare edges data -o out --low 5 --high 2", &["--low 5 --high 2"]),
            row("prepare edges data -o out --low nan", &["--low NaN"]),
            row("prepare edges floats -o out", &["floats/f.tiff", "float pixels"]),
            row("prepare holes data -o out --share 1.5", &["--share 1.5"]),
            row("prepare holes data -o out --fill 256", &["256", "0 to 255"]),
            row("prepare holes floats -o out", &["floats/f.tiff has floats", "--fill"]),
            row("prepare phases data -o out --val 100%", &["none is left to train on"]),
        ],
    );
    // Of several that fail the others are made, and a folder may be filled up by wish.
    fs::write(at.path().join("data/bad.png"), "no picture").unwrap();
    save(&at.path().join("data/a.jpg"), &picture(10, 8, 0));
    let ended = run(at.path(), &words("prepare grayscale data -o filled --force"));
    assert_eq!(ended.code, Some(3), "{ended:?}");
    assert_eq!(files(&at.path().join("filled")), ["a.png", "x.png"]);
    assert!(ended.out.contains("--skip-bad"), "{ended:?}");
    // A name that leaves no room for more is one of them, too.
    let long = "n".repeat(248);
    save(&at.path().join(format!("long/{long}.png")), &picture(8, 8, 0));
    save(&at.path().join("long/short.png"), &picture(8, 8, 0));
    let cut = run(at.path(), &words("prepare crop long -o pieces --size 4 --at grid"));
    assert_eq!(cut.code, Some(3), "{cut:?}");
    assert!(cut.err.contains("give long/nnn") && cut.err.contains("a shorter one"), "{cut:?}");
    assert_eq!(files(&at.path().join("pieces")).len(), 4);
    for part in ["2 of 3 pictures failed", "bad.png is no picture", "have one name"] {
        assert!(ended.err.contains(part), "{part} in {ended:?}");
    }
}

/// Every pixel becomes the value of the class with the nearest colour, in the picture's place on the map.
#[test]
fn labels_have_the_nearest_class_with_its_colour() {
    let at = folder();
    let colours = [[10, 12, 9], [250, 10, 10], [120, 130, 10], [0, 255, 0]];
    let samples: Vec<u8> = colours.concat();
    write(
        &at.path().join("maps/x/a.png"),
        &[Image::new(2, 2, 3, samples).unwrap()],
        &Attributes::new(StoredType::U8),
    );
    fs::write(at.path().join("p.txt"), "7 = 0 0 0 ground\n9 = 255 0 0 roof\n30 = 0 255 0 tree\n")
        .unwrap();
    let said = go(at.path(), "prepare labels maps --palette p.txt -o labels").out;
    assert!(said.contains("written   1 picture"), "{said}");
    let made = at.path().join("labels/x/a.png");
    // Of the third pixel black is 31,400 away, red 35,225, green 30,125.
    assert_eq!(stored(&made).samples, Samples::U8(vec![7, 9, 30, 30]));
    let palette = Picture::read_attributes(&made).unwrap().palette.unwrap();
    assert_eq!([palette[7], palette[9], palette[30]], [[0, 0, 0], [255, 0, 0], [0, 255, 0]]);
    fs::write(at.path().join("wide.txt"), "300 = 0 0 0 ground\n").unwrap();
    let row = |line, says| Refused { line, code: 1, says };
    refuse_all(
        at.path(),
        &[
            row("prepare labels maps --palette wide.txt -o new", &["ground", "above 255"]),
            row("prepare labels maps --palette nowhere -o new", &["nowhere"]),
        ],
    );
}
