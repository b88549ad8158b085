//! A model that changes nothing: whatever type and format goes in comes out with the values that it had.

use std::collections::BTreeMap;
use std::path::Path;

use pix2pix_engine::checkpoint::safetensors::{Reader, write};
use pix2pix_engine::data::{Attributes, Axes, Image, Picture, StoredType, holds};
use pix2pix_engine::tensor::{SampleType, Samples};
use serde_json::{Value, json};

use crate::program::{ok, save, words};

/// What the network's output is of its input: so small that tanh is nearly a line there.
const SCALE: f64 = 1.0 / 128.0;
/// The largest error of a value, of half the range of inputs: the cubic term of tanh, `SCALE^2 / 3` = 2.0e-5, and two
/// roundings to single precision near 1, which is worth `1 / SCALE` of that half: `2 * 2^-24 / SCALE` = 1.5e-5.
const ERROR: f64 = SCALE * SCALE / 3.0 + 2.0 / (16_777_216.0 * SCALE);

/// The lowest and highest sample: 12 bits where a type has them, so that `ERROR` is below half a step.
fn ends(stored: StoredType) -> [f64; 2] {
    match stored {
        StoredType::U8 => [0.0, 255.0],
        StoredType::I8 => [-128.0, 127.0],
        StoredType::U16 | StoredType::U32 | StoredType::U64 => [0.0, 4095.0],
        _ => [-2048.0, 2047.0],
    }
}

fn picture(stored: StoredType, channels: usize) -> Image {
    let [low, high] = ends(stored);
    let count = 18 * 14 * channels;
    let value = |i: usize| match i {
        0 => low,
        1 => high,
        i => (low + (i * 7919 % 1009) as f64 / 1009.0 * (high - low)).round(),
    };
    let all = (0..count).map(value);
    let samples = match stored.held() {
        SampleType::U8 => Samples::U8(all.map(|v| v as u8).collect()),
        SampleType::U16 => Samples::U16(all.map(|v| v as u16).collect()),
        SampleType::F32 => Samples::F32(all.map(|v| v as f32).collect()),
    };
    Image::new(18, 14, channels, samples).unwrap()
}

/// The U-Net whose outer level hands each pixel on: its first convolution, of stride 2, has a channel for each sign of
/// each sample of 2 x 2 pixels, and the last one puts them back; all others are 0.
fn write_model(trained: &Path, to: &Path, stored: StoredType, channels: usize) {
    let reader = Reader::open(trained).unwrap();
    let names = reader.names().to_vec();
    let mut all: BTreeMap<String, Vec<f32>> = names
        .iter()
        .map(|name| (name.clone(), vec![0.0; reader.shape(name).unwrap().count()]))
        .collect();
    let variance = "generator.up1.norm.running_var";
    all.get_mut(variance).unwrap().fill(1.0);
    let [down, up] = ["generator.down1.conv.weight", "generator.up2.conv.weight"];
    for hidden in 0..8 * channels {
        let (sign, rest) = (if hidden % 2 == 0 { 1.0 } else { -1.0 }, hidden / 2);
        let (at, channel) = (rest % 4, rest / 4);
        // Of a filter of 4 x 4, of which the first row and column are outside of the 2 x 2 pixels.
        let (row, column) = (1 + at / 2, 1 + at % 2);
        let i = ((hidden * 4 + row) * 4 + column) * channels + channel;
        all.get_mut(down).unwrap()[i] = sign;
        all.get_mut(up).unwrap()[i] = sign * SCALE as f32;
    }
    let [low, high] = ends(stored);
    let (middle, half) = ((low + high) / 2.0, (high - low) / 2.0);
    let domain = |scale: f64| {
        json!({
            "channels": (0..channels).map(|c| format!("band {c}")).collect::<Vec<_>>(),
            "kind": {"values": {
                "low": middle - half / scale, "high": middle + half / scale, "unit": null,
            }},
            "samples": stored.held().to_string(),
            "stored": stored.to_string(),
            "nodata": null,
        })
    };
    let mut metadata = reader.metadata().clone();
    let mut config: Value = serde_json::from_str(&metadata["config"]).unwrap();
    config["domains"] = json!({"input": domain(1.0), "target": domain(SCALE)});
    metadata.insert("config".to_string(), config.to_string());
    let layout: Vec<_> =
        names.iter().map(|name| (name.as_str(), reader.shape(name).unwrap())).collect();
    let fetch = |i: usize, out: &mut Vec<f32>| {
        out.extend_from_slice(&all[&names[i]]);
        Ok(())
    };
    write(to, &layout, &metadata, fetch).unwrap();
}

#[test]
fn a_model_that_changes_nothing_returns_equal_values_in_every_type() {
    use StoredType::*;
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let mut compared = 0;
    for channels in [1, 3, 5] {
        // A run of this shape, for the file.
        for side in ["A", "B"] {
            let flat = Image::new(16, 16, channels, vec![0.5f32; 256 * channels]).unwrap();
            save(&at(&format!("data{channels}/{side}/0.tiff")), &flat);
        }
        ok(
            folder.path(),
            &words(&format!(
                "train data{channels} --size 16 --depth 2 --base-channels {} --steps 1 --gan none \
             --range-a 0..1 --range-b 0..1 --out run{channels}",
                8 * channels
            )),
        );
        for stored in [U8, I8, U16, I16, U32, I32, U64, I64, F16, F32, F64] {
            let name = format!("{stored}x{channels}");
            let model = at(&format!("{name}.safetensors"));
            write_model(&at(&format!("run{channels}/model.safetensors")), &model, stored, channels);
            let image = picture(stored, channels);
            std::fs::create_dir_all(at(&name)).unwrap();
            let mut files = Vec::new();
            for end in ["png", "tiff", "npy", "npz", "nii.gz", "mha"] {
                let file = at(&format!("{name}/{}.{end}", end.replace('.', "-")));
                if !holds(&file, channels, stored) {
                    continue;
                }
                let attributes = Attributes { axes: Axes::Hwc, ..Attributes::new(stored) };
                Image::write_pages(std::slice::from_ref(&image), &attributes, &file, 95).unwrap();
                files.push(file);
            }
            let line =
                format!("translate {name}.safetensors {name} --scale native --output out-{name}");
            ok(folder.path(), &words(&line));
            for file in files {
                let out = at(&format!("out-{name}")).join(file.file_name().unwrap());
                let back = Picture::read(&out, 0).unwrap();
                let what = out.display();
                assert_eq!(back.header.stored, stored, "{what}");
                if stored.is_float() {
                    let (Samples::F32(a), Samples::F32(b)) = (&image.samples, &back.image.samples)
                    else {
                        panic!("floats")
                    };
                    // Half precision rounds to 2^-11 of the value.
                    let most = 2048.0 * (ERROR + if stored == F16 { 1.0 / 2048.0 } else { 0.0 });
                    for (a, b) in a.iter().zip(b) {
                        assert!(f64::from((a - b).abs()) <= most, "{what}: {a} became {b}");
                    }
                } else {
                    assert_eq!(back.image, image, "{what}");
                }
                compared += 1;
            }
        }
    }
    assert!(compared >= 130, "{compared}");
}
