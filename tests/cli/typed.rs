//! Data that are not 8-bit RGB: what training understands of them, and what a translation writes.

use std::path::Path;

use pix2pix_engine::checkpoint::safetensors::Reader;
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
        ("--palette cityscapes", "no side is read as labels"),
        ("--range-a 5..1", "the first number is below the second"),
        ("--turn --size 32x64", "cannot be turned"),
        ("--size 32xx", "height x width"),
    ] {
        let error = run(folder.path(), &words(&format!("train data --out no {flags}"))).err;
        assert!(error.contains(says), "{flags}: {error}");
    }
}

/// The class of a pixel is learnt from its colour: alone, and beside a discriminator; a class that no value of
/// the palette names does not count. Outputs have the values and colours of the classes.
#[test]
fn labels_are_learnt_as_classes() {
    let folder = tempfile::tempdir().unwrap();
    for i in 0..4 {
        let class = |k: usize| (k % 32 / 8 + k / 32 / 8 + i) % 3;
        let grey = (0..32 * 32).flat_map(|k| [(90 * class(k) + 20) as u8; 3]).collect::<Vec<_>>();
        let labels: Vec<u8> =
            (0..32 * 32).map(|k| if k == 5 { 77 } else { [0, 128, 255][class(k)] }).collect();
        let at = |side: &str| {
            folder
                .path()
                .join(format!("data/{side}/{}/{i}.png", if i < 3 { "train" } else { "val" }))
        };
        let bytes = Attributes::new(StoredType::U8);
        write(&Image::new(32, 32, 3, grey).unwrap(), &bytes, &at("A"));
        write(&Image::new(32, 32, 1, labels).unwrap(), &bytes, &at("B"));
    }
    std::fs::write(
        folder.path().join("classes.txt"),
        "0 = 0 0 0 dark\n128 = 0 255 0 mid\n255 = 255 0 0 light\n",
    )
    .unwrap();
    let line = "train data --size 32 --base-channels 8 --no-jitter --epochs 40 --seed 3 \
                --target labels --palette classes.txt --out run";
    let said = ok(folder.path(), &words(line)).out;
    assert!(said.contains("3 classes of the palette: dark, mid, light"), "{said}");
    assert!(
        said.contains("softmax cross entropy with the classes, without a discriminator"),
        "{said}"
    );
    assert!(said.contains("0.098 % of the pixels are of no class"), "{said}");
    let best = said.lines().rev().find(|line| line.starts_with("best")).unwrap();
    let iou: f64 = best.split("mean IoU ").nth(1).unwrap()[..6].parse().unwrap();
    assert!(iou > 0.6, "{best}");
    let table = std::fs::read_to_string(folder.path().join("run/confusion.csv")).unwrap();
    assert!(table.starts_with("target \\ output,dark,mid,light,accuracy,iou\ndark,"), "{table}");
    let counted: u64 = table
        .lines()
        .skip(1)
        .flat_map(|l| l.split(',').skip(1).take(3))
        .map(|n| n.parse::<u64>().unwrap())
        .sum();
    assert_eq!(counted, 1023, "the pixel of no class is in no place of the table");

    ok(folder.path(), &words("translate run data/A/train/0.png --output out.png"));
    let out = Picture::read(&folder.path().join("out.png"), 0).unwrap();
    let palette = out.attributes.palette.unwrap();
    assert_eq!([palette[0], palette[128], palette[255]], [[0, 0, 0], [0, 255, 0], [255, 0, 0]]);
    let Samples::U8(values) = &out.image.samples else { panic!("8 bits") };
    let truth = Picture::read(&folder.path().join("data/B/train/0.png"), 0).unwrap();
    let Samples::U8(classes) = &truth.image.samples else { panic!("8 bits") };
    let right = values.iter().zip(classes).filter(|(a, b)| a == b).count();
    assert!(right > 800, "{right} of 1024 pixels");

    let line =
        "train data --size 32 --base-channels 4 --steps 3 --target labels --gan vanilla --out gan";
    let said = ok(folder.path(), &words(line)).out;
    assert!(said.contains("4 classes found: 0, 77, 128, 255"), "{said}");
    let steps = std::fs::read_to_string(folder.path().join("gan/metrics.jsonl")).unwrap();
    assert!(steps.contains("\"g_cross_entropy\"") && steps.contains("\"d_fake\""), "{steps}");
    ok(folder.path(), &words("train data --resume gan --steps 5"));
    // Values that have no colours stay values.
    ok(folder.path(), &words("translate gan data/A/train/0.png --output grey.png"));
    let grey = Picture::read(&folder.path().join("grey.png"), 0).unwrap();
    assert!(grey.attributes.palette.is_none());
    let Samples::U8(values) = &grey.image.samples else { panic!("8 bits") };
    assert!(values.iter().all(|v| [0, 77, 128, 255].contains(v)));
    let error = run(folder.path(), &words("train data --out no --target labels --distance l2")).err;
    assert!(error.contains("learnt by cross entropy"), "{error}");
    let error = run(folder.path(), &words("translate run data/A/train/0.png --output out.jpg")).err;
    assert!(error.contains("loses detail"), "{error}");
    let error = run(folder.path(), &words("convert run/model.safetensors model.pth")).err;
    assert!(error.contains("gives logits of classes"), "{error}");
    assert!(!folder.path().join("model.pth").exists());
}

/// Whatever pixels hold that do not count, the weights are the same to the bit.
#[test]
fn pixels_that_do_not_count_change_no_weight() {
    let folder = tempfile::tempdir().unwrap();
    let floats = Attributes::new(StoredType::F32);
    let hole = |k: usize| k % 40 > 17 && k % 40 < 29 && k / 40 > 7 && k / 40 < 20;
    let value = |i: usize, k: usize| ((i * 31 + k * 7) % 101) as f32 - 50.0;
    type Hole = fn(usize) -> f32;
    let sets: [(&str, Hole); 4] = [
        ("nan", |_| f32::NAN),
        ("mark", |_| -9999.0),
        ("low", |_| -50.0),
        ("mixed", |k| (k % 83) as f32 - 40.0),
    ];
    for (name, of_hole) in sets {
        for i in 0..2 {
            let all = |shift: usize| -> Vec<f32> {
                (0..1600).map(|k| if hole(k) { of_hole(k) } else { value(i, k + shift) }).collect()
            };
            let at = |side: &str| folder.path().join(format!("{name}/{side}/{i}.tiff"));
            write(&Image::new(40, 40, 1, all(0)).unwrap(), &floats, &at("A"));
            write(&Image::new(40, 40, 1, all(5)).unwrap(), &floats, &at("B"));
            let mask: Vec<u8> = (0..1600).map(|k| u8::from(!hole(k)) * 255).collect();
            let path = folder.path().join(format!("masks/{i}.png"));
            write(&Image::new(40, 40, 1, mask).unwrap(), &Attributes::new(StoredType::U8), &path);
        }
    }
    let train = |name: &str, flags: &str| {
        let line = format!(
            "train {name} --size 32 --base-channels 4 --steps 4 --range-a -50..50 --range-b -50..50 --out \
             run-{name} {flags}"
        );
        let said = ok(folder.path(), &words(&line)).out;
        let mut reader =
            Reader::open(&folder.path().join(format!("run-{name}/model.safetensors"))).unwrap();
        let names: Vec<String> = reader.names().to_vec();
        let bits = |v: Vec<f32>| v.into_iter().map(f32::to_bits).collect::<Vec<_>>();
        (said, names.into_iter().map(|name| bits(reader.read(&name).unwrap())).collect::<Vec<_>>())
    };
    let (said, nan) = train("nan", "");
    let lines = said.lines().filter(|line| line.contains("do not count"));
    assert_eq!(lines.count(), 2, "once for A and once for B: {said}");
    assert!(said.contains("% of the samples are NaN and do not count"), "{said}");
    assert!(train("mark", "--nodata -9999").1 == nan, "marked as no data");
    assert!(train("low", "--mask masks").1 == nan, "masked, the low end");
    assert!(train("mixed", "--mask masks").1 == nan, "masked, anything");
    // They do count where nothing says otherwise.
    let line = "train mixed --size 32 --base-channels 4 --steps 4 --range-a -50..50 --range-b -50..50 --out all";
    ok(folder.path(), &words(line));
    // A run goes on with its masks; an input with holes gives an output with them.
    ok(folder.path(), &words("train mixed --resume run-mixed --steps 5"));
    ok(folder.path(), &words("translate run-nan nan/A/0.tiff --output out.tiff --scale native"));
    let out = Picture::read(&folder.path().join("out.tiff"), 0).unwrap();
    let Samples::F32(values) = &out.image.samples else { panic!("floats") };
    assert!(values.iter().enumerate().all(|(k, v)| v.is_nan() == hole(k)));
    let error = run(folder.path(), &words("translate all nan/A/0.tiff --output no.tiff")).err;
    assert!(error.contains("no picture of the model's training had such"), "{error}");
}

/// A picture of nothing but pixels without a value is refused by name.
#[test]
fn a_side_without_any_value_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let floats = Attributes::new(StoredType::F32);
    for side in ["A", "B"] {
        let path = folder.path().join(format!("data/{side}/x.tiff"));
        write(&Image::new(32, 32, 1, vec![f32::NAN; 1024]).unwrap(), &floats, &path);
    }
    let error = run(folder.path(), &words(&format!("train data {SMALL}"))).err;
    assert!(error.contains("A has no pixel to train on"), "{error}");
    assert!(!folder.path().join("run").exists());
}

/// Pages of a TIFF as channels, on both sides: a stack goes in, and a stack comes out.
#[test]
fn pages_are_channels_in_and_out() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let page = |i: usize, p: usize| {
        let value = |k: usize| (k * (p + 2) % 251 + i * 10 + p * 500) as u16;
        Image::new(32, 32, 1, (0..32 * 32).map(value).collect::<Vec<u16>>()).unwrap()
    };
    let wide = |image: Image| {
        let Samples::U16(all) = image.samples else { panic!("made so") };
        let all: Vec<f32> = all.into_iter().map(|v| f32::from(v) / 8.0).collect();
        Image::new(32, 32, 1, all).unwrap()
    };
    for i in 0..3 {
        for (side, pages, stored) in [
            ("A", (0..3).map(|p| page(i, p)).collect::<Vec<_>>(), StoredType::U16),
            ("B", (0..2).map(|p| wide(page(i, p))).collect(), StoredType::F32),
        ] {
            let path = path(&format!("data/{side}/{i}.tif"));
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            let mut attributes = Attributes::new(stored);
            let ome = "<OME><Image><Pixels PhysicalSizeX=\"0.25\" PhysicalSizeXUnit=\"um\">\
                       <Channel Name=\"one\"/><Channel Name=\"two\"/></Pixels></Image></OME>\0";
            attributes.place.tags = vec![pix2pix_engine::data::Tag {
                tag: 270,
                kind: 2,
                count: ome.len() as u64,
                bytes: ome.into(),
            }];
            Image::write_pages(&pages, &attributes, &path, 95).unwrap();
        }
    }
    let said = ok(folder.path(), &words(&format!("train data {SMALL} --pages channels"))).out;
    assert!(!said.contains("not read"), "{said}");
    assert!(said.contains("each channel has its range"), "{said}");
    let said = ok(folder.path(), &words("translate run data/A --output out")).out;
    assert!(!said.contains("not read"), "{said}");
    let out = path("out/1.tif");
    let out = if out.exists() { out } else { path("out/1.tiff") };
    let first = Picture::read(&out, 0).unwrap();
    assert_eq!((first.header.pages, first.image.channels), (2, 1));
    assert_eq!(first.header.stored, StoredType::F32);
    let stacked = Picture::read_stacked(&out).unwrap();
    assert_eq!((stacked.image.channels, stacked.image.width), (2, 32));
    let text = String::from_utf8(stacked.attributes.place.tags[0].bytes.clone()).unwrap();
    assert!(text.contains("PhysicalSizeX=\"0.25\"") && text.contains("SizeC=\"2\""), "{text}");
    // Resumed it is read in the same way, and a file whose pages differ is named.
    ok(folder.path(), &words("train data --resume run --steps 3"));
    let odd = [Image::filled(32, 32, &[1]), Image::filled(16, 32, &[1])];
    Image::write_pages(&odd[..1], &Attributes::new(StoredType::U8), &path("odd/A/1.tif"), 95)
        .unwrap_err();
    for side in ["A", "B"] {
        std::fs::create_dir_all(path(&format!("odd/{side}"))).unwrap();
        let to = path(&format!("odd/{side}/1.tif"));
        Image::write_pages(&odd, &Attributes::new(StoredType::U8), &to, 95).unwrap();
    }
    let error = run(folder.path(), &words(&format!("train odd {SMALL}3 --pages channels"))).err;
    assert!(error.contains("1 of 2 pages that differ from the first"), "{error}");
}

/// Outputs say that their colours are those of the targets, whatever profile the inputs have.
#[test]
fn a_colour_profile_of_all_targets_is_that_of_outputs() {
    let folder = tempfile::tempdir().unwrap();
    let profile = |tag: u8| (0..600u32).map(|i| (i % 251) as u8 ^ tag).collect::<Vec<u8>>();
    let save = |data: &str, i: usize, of_b: u8| {
        for (side, tag) in [("A", 1), ("B", of_b)] {
            let attributes =
                Attributes { profile: Some(profile(tag)), ..Attributes::new(StoredType::U8) };
            let path = folder.path().join(format!("{data}/{side}/{i}.png"));
            write(&crate::program::picture(32, 32, i), &attributes, &path);
        }
    };
    (0..2).for_each(|i| save("data", i, 2));
    (0..2).for_each(|i| save("mixed", i, i as u8 + 2));
    let out = |line: &str| ok(folder.path(), &words(line)).out;
    let said = out(&format!("train data {SMALL}"));
    assert!(said.contains("all have one colour profile, which the model keeps"), "{said}");
    out("translate run data/A/0.png --output out.png");
    let of = |name: &str| Picture::read(&folder.path().join(name), 0).unwrap().attributes.profile;
    assert_eq!(of("out.png"), Some(profile(2)));
    let said = out(&format!("train mixed {SMALL}2"));
    assert!(said.contains("their colour profiles differ"), "{said}");
    out("translate run2 data/A/0.png --output none.png");
    assert_eq!(of("none.png"), None);
}
