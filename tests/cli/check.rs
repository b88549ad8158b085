//! `check`: planted faults, each named in words, and plans with their reasons.

use std::fs;
use std::path::{Path, PathBuf};

use pix2pix_engine::data::{Attributes, Image, StoredType};
use pix2pix_engine::tensor::Samples;

use crate::program::{ok, run, words};

fn write(image: &Image, stored: StoredType, path: &Path) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    Image::write_pages(std::slice::from_ref(image), &Attributes::new(stored), path, 95).unwrap();
}

/// Which of a few discs, placed by `key`, the pixel lies in; none is 0.
fn disc(key: usize, x: i64, y: i64, size: usize) -> usize {
    let hash = |k: usize| (k * 7919 + key * 104_729) % 65_521;
    (1..12)
        .find(|&k| {
            let (cx, cy) = ((hash(k) % size) as i64, (hash(k + 50) % size) as i64);
            (x - cx).pow(2) + (y - cy).pow(2) < (3 + hash(k + 90) as i64 % (size as i64 / 6)).pow(2)
        })
        .unwrap_or(0)
}

/// A picture of discs, moved, in the colours of a side.
fn picture([width, height]: [usize; 2], key: usize, [right, down]: [i64; 2], side: usize) -> Image {
    let samples: Vec<u8> = (0..width * height)
        .flat_map(|i| {
            let k =
                disc(key, (i % width) as i64 - right, (i / width) as i64 - down, width.min(height));
            let grain = (i * 31 % 7) as u8;
            [20 + (k * 19) as u8 + grain, 30 + (k * (7 + side * 9) % 200) as u8, 40 + grain]
        })
        .collect();
    Image::new(width, height, 3, samples).unwrap()
}

const SIZE: [usize; 2] = [96, 96];

/// A data set with faults planted by hand.
struct Planted {
    folder: tempfile::TempDir,
    /// Pair, what is said of it.
    expected: Vec<(&'static str, &'static str)>,
}

impl Planted {
    /// Sound pairs, of which only `key` of a name tells them apart.
    fn new(train: usize, val: usize) -> Self {
        let planted = Planted { folder: tempfile::tempdir().unwrap(), expected: Vec::new() };
        for i in 0..train + val {
            let phase = if i < train { "train" } else { "val" };
            planted.pair(phase, &format!("sound{i}"), i + 100, [0, 0]);
        }
        planted
    }

    fn path(&self, side: &str, phase: &str, file: &str) -> PathBuf {
        self.folder.path().join(format!("data/{side}/{phase}/{file}"))
    }

    fn pair(&self, phase: &str, name: &str, key: usize, shift: [i64; 2]) {
        self.put("A", phase, name, &picture(SIZE, key, [0, 0], 0));
        self.put("B", phase, name, &picture(SIZE, key, shift, 1));
    }

    fn put(&self, side: &str, phase: &str, name: &str, image: &Image) {
        let stored = StoredType::of(image.samples.sample_type());
        write(image, stored, &self.path(side, phase, &format!("{name}.png")));
    }

    /// A fault, and the words that `check` has for it.
    fn says(&mut self, name: &'static str, words: &'static str) {
        self.expected.push((name, words));
    }

    /// Runs `check`, and looks for all words.
    fn check(&self, flags: &str) -> String {
        let ended = run(self.folder.path(), &words(&format!("check data {flags}")));
        for (name, says) in &self.expected {
            let line = ended.out.lines().find(|line| line.contains(says) && line.contains(name));
            assert!(line.is_some(), "{name}: nothing says {says:?} in\n{}{}", ended.out, ended.err);
        }
        ended.out
    }
}

#[test]
fn a_sound_set_has_no_fault() {
    let planted = Planted::new(24, 4);
    let said = planted.check("");
    assert!(!said.contains("fault"), "{said}");
    ok(planted.folder.path(), &words("check data"));
    // The plan is one that train follows, and flags count more.
    let line = "train data --plan plan.toml --steps 1 --base-channels 4 --size 32 --out run";
    let said = ok(planted.folder.path(), &words(line)).out;
    assert!(said.contains("32 pixels"), "{said}");
    let plan = planted.folder.path().join("plan.toml");
    let error = run(planted.folder.path(), &words("check data --range-a 0..100")).err;
    assert!(error.contains("holds another plan"), "{error}");
    // No file of anybody else is replaced, text or not, by the plan or by the page.
    for (flags, file) in [("--plan mine.bin", "mine.bin"), ("--html mine.bin", "mine.bin")] {
        let mine = planted.folder.path().join(file);
        fs::write(&mine, b"\xff\xfe\x00mine").unwrap();
        let error = run(planted.folder.path(), &words(&format!("check data {flags}"))).err;
        assert!(error.contains("holds something else"), "{flags}: {error}");
        assert_eq!(fs::read(&mine).unwrap(), b"\xff\xfe\x00mine");
    }
    ok(planted.folder.path(), &words("check data --direction b2a --plan back.toml"));
    let back = fs::read_to_string(planted.folder.path().join("back.toml")).unwrap();
    assert!(back.contains("direction = \"b2a\""), "{back}");
    for (text, says) in [
        ("size = 64\nsise = 3\n", "`sise` is no setting of a training"),
        ("size = [3]\n", "`size` is [3], and takes a number or a text"),
        ("size = \n", "line 1"),
        ("no-flip = 3\n", "`no-flip` is 3, and takes true or false"),
        ("size = 65\n", "--size 65"),
    ] {
        fs::write(&plan, text).unwrap();
        let error = run(planted.folder.path(), &words("train data --plan plan.toml --out no")).err;
        assert!(error.contains(says), "{text}: {error}");
    }
    let error = run(planted.folder.path(), &words("train data --plan none.toml --out no")).err;
    assert!(error.contains("none.toml"), "{error}");
}

#[test]
fn faults_of_pictures_are_named() {
    let mut planted = Planted::new(24, 3);
    let flat = Image::filled(96, 96, &[90, 20, 20]);
    planted.pair("train", "flat-a", 1, [0, 0]);
    planted.put("A", "train", "flat-a", &flat);
    planted.says("flat-a", "of A have one value everywhere");
    planted.pair("train", "flat-b", 2, [0, 0]);
    planted.put("B", "train", "flat-b", &flat);
    planted.says("flat-b", "of B have one value everywhere");
    let burnt = |value: u8, side: usize, key: usize| {
        let mut image = picture(SIZE, key, [0, 0], side);
        let Samples::U8(all) = &mut image.samples else { panic!("bytes") };
        all[..96 * 96 * 3 / 2].fill(value);
        image
    };
    planted.pair("train", "burnt", 3, [0, 0]);
    planted.put("A", "train", "burnt", &burnt(255, 0, 3));
    planted.says("burnt", "of A are saturated, with more than a quarter at the brightest value");
    planted.pair("train", "black", 4, [0, 0]);
    planted.put("B", "train", "black", &burnt(0, 1, 4));
    planted.says("black", "of B are saturated, with more than a quarter at the darkest value");
    planted.pair("train", "equal", 5, [0, 0]);
    planted.put("B", "train", "equal", &picture(SIZE, 5, [0, 0], 0));
    planted.says("equal", "are one picture");
    planted.pair("train", "moved", 6, [9, -6]);
    planted.says("moved", "9 pixels to the right of and 6 pixels above its A");
    planted.pair("train", "twice1", 7, [0, 0]);
    planted.pair("train", "twice2", 7, [0, 0]);
    planted.says("twice1", "pairs are in train more than once");
    planted.pair("train", "torn1", 8, [0, 0]);
    planted.pair("train", "torn2", 8, [0, 0]);
    planted.put("B", "train", "torn2", &picture(SIZE, 8, [0, 0], 2));
    planted.says("torn1", "the same A and different B");
    planted.pair("train", "near1", 9, [0, 0]);
    planted.pair("train", "near2", 9, [0, 0]);
    let mut near = picture(SIZE, 9, [0, 0], 0);
    let Samples::U8(all) = &mut near.samples else { panic!("bytes") };
    all.iter_mut().step_by(97).for_each(|v| *v += 2);
    planted.put("A", "train", "near2", &near);
    planted.says("near2", "nearly another's");
    planted.pair("train", "known", 10, [0, 0]);
    planted.pair("val", "leak", 10, [0, 0]);
    planted.says("leak", "with an A that is in train too");
    planted.pair("train", "alike", 11, [0, 0]);
    planted.pair("val", "nearly", 11, [0, 0]);
    let mut near = picture(SIZE, 11, [0, 0], 0);
    let Samples::U8(all) = &mut near.samples else { panic!("bytes") };
    all.iter_mut().step_by(89).for_each(|v| *v += 3);
    planted.put("A", "val", "nearly", &near);
    planted.says("nearly like alike", "nearly one of train");
    // Files that cannot be used.
    planted.pair("train", "cut", 12, [0, 0]);
    let cut = planted.path("A", "train", "cut.png");
    let bytes = fs::read(&cut).unwrap();
    fs::write(&cut, &bytes[..bytes.len() / 2]).unwrap();
    planted.says("cut.png", "fault");
    planted.pair("train", "empty", 13, [0, 0]);
    fs::write(planted.path("B", "train", "empty.png"), "").unwrap();
    planted.says("empty.png", "fault");
    planted.pair("train", "text", 14, [0, 0]);
    fs::write(planted.path("A", "train", "text.png"), "no picture at all").unwrap();
    planted.says("text.png", "fault");
    planted.put("A", "train", "alone-a", &picture(SIZE, 15, [0, 0], 0));
    planted.says("alone-a", "fault");
    planted.put("B", "train", "alone-b", &picture(SIZE, 16, [0, 0], 0));
    planted.says("alone-b", "fault");
    planted.pair("train", "other-size", 17, [0, 0]);
    planted.put("B", "train", "other-size", &picture([96, 80], 17, [0, 0], 1));
    planted.says("other-size", "96x80");
    // Odd, and no fault.
    planted.put("A", "train", "wide", &picture([200, 96], 18, [0, 0], 0));
    planted.put("B", "train", "wide", &picture([200, 96], 18, [0, 0], 1));
    planted.says("wide", "other proportions");
    planted.put("A", "train", "small", &picture([48, 48], 19, [0, 0], 0));
    planted.put("B", "train", "small", &picture([48, 48], 19, [0, 0], 1));
    planted.says("small", "smaller than 64 pixels");
    fs::write(planted.path("A", "train", "phone.heic"), b"\0\0\0\x18ftypheic").unwrap();
    planted.says("phone.heic", "not used");
    let said = planted.check("--html report.html");
    assert!(said.lines().any(|l| l.starts_with("fault")), "{said}");
    let page = fs::read_to_string(planted.folder.path().join("report.html")).unwrap();
    assert!(page.contains("data:image/png;base64,") && page.contains("class=fault"));
    let ended = run(planted.folder.path(), &words("check data"));
    assert_eq!(ended.code, Some(3), "faults have an exit code");
}

#[test]
fn faults_of_a_whole_set_are_named() {
    let mut planted = Planted::new(0, 0);
    for i in 0..6 {
        planted.pair("train", &format!("p{i}"), 30 + i, [12, 0]);
    }
    planted.says(
        "",
        "the data set is shifted: in 6 of 6 pairs B lies 12 pixels to the right of its A",
    );
    planted.says("", "6 pairs to train on: few");
    planted.says("", "there are no pairs to validate on");
    planted.check("");

    let mut planted = Planted::new(0, 0);
    for i in 0..5 {
        let size = [64 << (i / 2), 64 << (i / 2)];
        planted.put("A", "train", &format!("p{i}"), &picture(size, 40 + i, [0, 0], 0));
        planted.put("B", "train", &format!("p{i}"), &picture(size, 40 + i, [0, 0], 1));
        let mask =
            Image::new(size[0], size[1], 1, vec![u8::from(i != 3); size[0] * size[1]]).unwrap();
        write(&mask, StoredType::U8, &planted.folder.path().join(format!("masks/p{i}.png")));
    }
    planted.says("", "pictures differ much in size: their longer sides are 64 to 256 pixels");
    planted.says("p3", "masks of 1 of 5 pairs leave no pixel");
    planted.check("--mask masks");
}

#[test]
fn faults_of_measurements_are_named() {
    let mut planted = Planted::new(0, 0);
    for i in 0..8 {
        let name = format!("m{i}");
        let value =
            |k: usize| 100.0 + (disc(i + 3, k as i64 % 64, k as i64 / 64, 64) * 10 + k % 5) as f32;
        let values: Vec<f32> = (0..64 * 64)
            .map(|k| match i {
                2 => 1000.0 * value(k),
                3 if k > 1500 => f32::NAN,
                4 => f32::NAN,
                _ => value(k),
            })
            .collect();
        let floats = Image::new(64, 64, 1, values).unwrap();
        write(&floats, StoredType::F32, &planted.path("A", "train", &format!("{name}.tiff")));
        let widened: Vec<u16> = (0..64 * 64).map(|k| value(k) as u16).collect();
        let sixteen = Image::new(64, 64, 1, widened).unwrap();
        write(&sixteen, StoredType::U16, &planted.path("B", "train", &format!("{name}.png")));
    }
    planted.says("m2", "lie far from the others', as of another unit");
    planted.says("m3", "does not count");
    planted.says("m4", "of A have no pixel that counts");
    planted.says("", "the 16 bits of B hold no more than 8");
    planted.check("");
}

/// Where most pictures are constant, the others are not of another unit.
#[test]
fn a_few_pictures_that_are_not_blank_are_no_fault() {
    let planted = Planted::new(0, 0);
    for i in 0..8 {
        for side in ["A", "B"] {
            let value = |k: usize| if i < 2 { (k * (i + 3) % 61) as f32 } else { 0.0 };
            let floats: Vec<f32> = (0..64 * 64).map(value).collect();
            let floats = Image::new(64, 64, 1, floats).unwrap();
            write(&floats, StoredType::F32, &planted.path(side, "train", &format!("m{i}.tiff")));
        }
    }
    assert!(!planted.check("").contains("another unit"));
}

#[test]
fn faults_of_labels_are_named() {
    let mut planted = Planted::new(0, 0);
    let colours = [[0u8, 0, 0], [250, 0, 0], [0, 250, 0], [0, 0, 250]];
    for i in 0..6 {
        let (phase, name) = (if i < 5 { "train" } else { "val" }, format!("l{i}"));
        planted.put("A", phase, &name, &picture([64, 64], 60 + i, [0, 0], 0));
        let class = |k: usize| match k {
            7 if i == 1 => 2,
            100..400 if i == 5 => 3,
            _ => usize::from(disc(60 + i, k as i64 % 64, k as i64 / 64, 64) > 0),
        };
        let mut samples: Vec<u8> = (0..64 * 64).flat_map(|k| colours[class(k)]).collect();
        if i == 2 {
            (3000..3060).for_each(|k| samples[k] = samples[k].saturating_add(9));
        }
        if i == 3 {
            (3000..3060).for_each(|k| samples[k] = 128);
        }
        planted.put("B", phase, &name, &Image::new(64, 64, 3, samples).unwrap());
    }
    let palette = "0 0 0 ground\n250 0 0 disc\n0 250 0 dot\n0 0 250 unseen\n250 250 0 nowhere\n";
    fs::write(planted.folder.path().join("palette.txt"), palette).unwrap();
    planted.says("l2", "colours that are no class's");
    planted.says("dot", "rare classes of B");
    planted.says("unseen", "is in val and never in train");
    planted.says("nowhere", "is in no picture");
    planted.says("", "pixels of B are of no class and do not count");
    let said = planted.check("--target labels --palette palette.txt");
    assert!(said.contains("gan none: targets are classes"), "{said}");
    let plan = fs::read_to_string(planted.folder.path().join("plan.toml")).unwrap();
    assert!(plan.contains("target = \"labels\"") && plan.contains("palette = "), "{plan}");
    let line = "train data --plan plan.toml --steps 1 --base-channels 4 --out run";
    let said = ok(planted.folder.path(), &words(line)).out;
    assert!(said.contains("softmax cross entropy"), "{said}");
}

/// Plans of eight data sets, reasons included: `UPDATE_PLANS=1` writes them anew.
#[test]
fn plans_are_those_that_were_agreed_on() {
    type Make = fn(usize, usize) -> (Image, StoredType);
    let photo: Make = |i, side| (picture([256, 256], i, [0, 0], side), StoredType::U8);
    let floats: Make = |i, side| {
        let value = |k: usize| (k % 977) as f32 / 4.0 - 40.0 + (i * side) as f32;
        let values: Vec<f32> = (0..1100 * 1030).map(value).collect();
        (Image::new(1100, 1030, 1, values).unwrap(), StoredType::F32)
    };
    let heights: Make = |i, side| match side {
        0 => {
            let heights: Vec<u16> = (0..300 * 300).map(|k| (k / 7 + 100 * i) as u16).collect();
            (Image::new(300, 300, 1, heights).unwrap(), StoredType::U16)
        }
        _ => (picture([300, 300], i, [0, 0], 1), StoredType::U8),
    };
    let sets: [(&str, usize, &str, Make); 8] = [
        ("photos", 5, "", photo),
        ("small", 5, "", |i, side| (picture([100, 80], i, [0, 0], side), StoredType::U8)),
        ("wide", 5, "", |i, side| (picture([512, 256], i, [0, 0], side), StoredType::U8)),
        ("mixed", 4, "", |i, side| (picture([300 + 60 * i, 280], i, [0, 0], side), StoredType::U8)),
        ("many", 420, "", |i, side| (picture([32, 32], i, [0, 0], side), StoredType::U8)),
        ("measured", 2, "", floats),
        ("heights", 3, "", heights),
        ("labels", 4, "--target labels", |i, side| match side {
            0 => (picture([128, 128], i, [0, 0], 0), StoredType::U8),
            _ => {
                let map: Vec<u8> = (0..128 * 128)
                    .map(|k| 255 * u8::from(disc(i, k % 128, k / 128, 128) > 0))
                    .collect();
                (Image::new(128, 128, 1, map).unwrap(), StoredType::U8)
            }
        }),
    ];
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/data/plans");
    for (name, pairs, flags, make) in sets {
        let folder = tempfile::tempdir().unwrap();
        for i in 0..pairs {
            for (side, of) in ["A", "B"].into_iter().enumerate() {
                let (image, stored) = make(i, side);
                let end = if stored == StoredType::F32 { "tiff" } else { "png" };
                write(&image, stored, &folder.path().join(format!("{name}/{of}/{i:03}.{end}")));
            }
        }
        run(folder.path(), &words(&format!("check {name} {flags}")));
        let plan = fs::read_to_string(folder.path().join("plan.toml")).unwrap();
        let path = golden.join(format!("{name}.toml"));
        if std::env::var_os("UPDATE_PLANS").is_some() {
            fs::create_dir_all(&golden).unwrap();
            fs::write(&path, &plan).unwrap();
        }
        assert_eq!(plan, fs::read_to_string(&path).unwrap(), "{name}");
    }
}
