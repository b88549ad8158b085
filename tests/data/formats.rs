//! Files of every kind as other programs write them (tests/golden/formats.py), and our own read back.

use pix2pix_engine::data::{Attributes, Axes, Image, Picture, StoredType};
use pix2pix_engine::tensor::Samples;
use serde_json::Value;

use crate::golden;

fn numbers(image: &Image) -> Vec<f64> {
    match &image.samples {
        Samples::U8(all) => all.iter().map(|&v| f64::from(v)).collect(),
        Samples::U16(all) => all.iter().map(|&v| f64::from(v)).collect(),
        Samples::F32(all) => all.iter().map(|&v| f64::from(v)).collect(),
    }
}

#[test]
fn files_of_other_programs_are_read_exactly() {
    let folder = golden("formats");
    let text = std::fs::read_to_string(folder.join("manifest.json")).unwrap();
    let all: Vec<Value> = serde_json::from_str(&text).unwrap();
    let mut wrong = Vec::new();
    for entry in &all {
        let name = entry["file"].as_str().unwrap();
        let page = entry["page"].as_u64().unwrap() as usize;
        let picture = match Picture::read(&folder.join(name), page) {
            Ok(picture) => picture,
            Err(error) => {
                wrong.push(format!("{name}: {error}"));
                continue;
            }
        };
        let Picture { image, header, .. } = picture;
        let size = [image.width, image.height, image.channels].map(|n| n as u64);
        let want = ["width", "height", "channels"].map(|key| entry[key].as_u64().unwrap());
        if size != want || entry["stored"] != header.stored.to_string() {
            wrong.push(format!("{name}: {size:?} of {}, not {want:?}", header.stored));
            continue;
        }
        let samples: Vec<f64> =
            entry["samples"].as_array().unwrap().iter().map(|v| v.as_f64().unwrap()).collect();
        if numbers(&image) != samples {
            wrong.push(format!("{name}, page {page}: other samples"));
        }
    }
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), all.len(), wrong.join("\n"));
    assert!(all.len() >= 80, "{}", all.len());
}

/// What is written is read back: every type in every format that holds it, with one, three and five channels.
#[test]
fn every_type_survives_every_format_that_holds_it() {
    use StoredType::*;
    let folder = tempfile::tempdir().unwrap();
    let mut written = 0;
    for stored in [U8, I8, U16, I16, U32, I32, U64, I64, F16, F32, F64] {
        let [low, high] = stored.bounds().unwrap_or([-2048.0, 2048.0]);
        let (low, high) = (low.max(-16_777_216.0), high.min(16_777_216.0));
        for channels in [1, 2, 3, 4, 5] {
            let count = 9 * 6 * channels;
            let value = |i: usize| match i {
                0 => low,
                1 => high,
                i => (low + (i * 7919 % 1000) as f64 / 1000.0 * (high - low)).round(),
            };
            let values: Vec<f64> = (0..count).map(value).collect();
            let samples = match stored {
                U8 => Samples::U8(values.iter().map(|&v| v as u8).collect()),
                U16 => Samples::U16(values.iter().map(|&v| v as u16).collect()),
                // Of half precision every whole number up to 2,048 is exact.
                _ => Samples::F32(values.iter().map(|&v| v as f32).collect()),
            };
            let image = Image::new(9, 6, channels, samples).unwrap();
            for extension in ["png", "pam", "tiff", "npy", "npz", "nii", "nii.gz", "mha"] {
                let path = folder.path().join(format!("x.{extension}"));
                if !pix2pix_engine::data::holds(&path, channels, stored) {
                    continue;
                }
                let attributes = Attributes { axes: Axes::Hwc, ..Attributes::new(stored) };
                Image::write_pages(std::slice::from_ref(&image), &attributes, &path, 95).unwrap();
                let back = Picture::read(&path, 0).unwrap();
                assert_eq!(back.header.stored, stored, "{stored} x {channels} as {extension}");
                assert_eq!(back.image, image, "{stored} x {channels} as {extension}");
                written += 1;
            }
        }
    }
    assert!(written > 250, "{written}");
}

/// A volume that is read and written is the same file, voxel for voxel, with its header.
#[test]
fn volumes_keep_their_place() {
    let folder = tempfile::tempdir().unwrap();
    for (name, slices) in [("int32.nii", 3), ("two.nii", 2)] {
        let from = golden("formats").join(name);
        let read = |path: &std::path::Path| -> Vec<Picture> {
            (0..slices).map(|i| Picture::read(path, i).unwrap()).collect()
        };
        let pictures = read(&from);
        let pages: Vec<Image> = pictures.iter().map(|p| p.image.clone()).collect();
        let to = folder.path().join(name);
        let lost = Image::write_pages(&pages, &pictures[0].attributes, &to, 95).unwrap();
        assert_eq!(lost, Vec::<&str>::new());
        assert_eq!(read(&to), pictures, "{name}");
    }
    // GeoTIFF: where it lies and what marks no data.
    let geo = golden("formats").join("geo.tif");
    let picture = Picture::read(&geo, 0).unwrap();
    assert_eq!(picture.attributes.nodata, Some(-9999.0));
    assert!(picture.attributes.place.tags.iter().any(|tag| tag.tag == 33_922));
    let to = folder.path().join("geo.tif");
    let lost =
        Image::write_pages(std::slice::from_ref(&picture.image), &picture.attributes, &to, 95);
    assert_eq!(lost.unwrap(), Vec::<&str>::new());
    assert_eq!(Picture::read(&to, 0).unwrap(), picture);
    // What describes the layout of the input is not said of another one, and that is told.
    for name in ["planar5-uint16.tif", "channels.ome.tif"] {
        let Picture { image, attributes, .. } =
            Picture::read(&golden("formats").join(name), 0).unwrap();
        let lost = Image::write_pages(&[image], &attributes, &to, 95).unwrap();
        assert!(lost.iter().any(|what| what.contains("tifffile description")), "{name}: {lost:?}");
        let place = Picture::read(&to, 0).unwrap().attributes.place;
        assert!(place.tags.iter().all(|tag| tag.tag != 270), "{name}");
    }
    let names = Picture::read(&golden("formats").join("channels.ome.tif"), 0).unwrap();
    assert_eq!(names.attributes.channels, ["DAPI", "GFP"]);
}
