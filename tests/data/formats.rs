//! Files of every kind as other programs write them (tests/golden/formats.py), and our own read back.

use pix2pix_engine::data::{Attributes, Axes, Image, Picture, PictureWindows, StoredType};
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
    assert!(all.len() >= 110, "{}", all.len());
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
            for extension in
                ["png", "pam", "tiff", "npy", "npz", "nii", "nii.gz", "mha", "gif", "bmp", "webp"]
            {
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
    let Picture { image, attributes, .. } =
        Picture::read(&golden("formats").join("planar5-uint16.tif"), 0).unwrap();
    let lost = Image::write_pages(&[image], &attributes, &to, 95).unwrap();
    assert!(lost.iter().any(|what| what.contains("tifffile description")), "{lost:?}");
    let place = Picture::read(&to, 0).unwrap().attributes.place;
    assert!(place.tags.iter().all(|tag| tag.tag != 270));
    // OME's channels are pages, and keep their names and the size of a pixel.
    let ome = golden("formats").join("channels.ome.tif");
    let pages: Vec<Image> = (0..2).map(|i| Picture::read(&ome, i).unwrap().image).collect();
    let attributes = Picture::read(&ome, 0).unwrap().attributes;
    assert_eq!(attributes.channels, ["DAPI", "GFP"]);
    let lost = Image::write_pages(&pages, &attributes, &to, 95).unwrap();
    assert!(lost.iter().any(|what| what.contains("more of the OME-XML")), "{lost:?}");
    let back = Picture::read_stacked(&to).unwrap();
    assert_eq!(back.attributes.channels, ["DAPI", "GFP"]);
    assert_eq!(back.image.by_channel(), pages);
    // A name with characters that XML has for itself.
    let named =
        Attributes { channels: ["a < b", "\"&\""].map(String::from).to_vec(), ..attributes };
    Image::write_pages(&pages, &named, &to, 95).unwrap();
    assert_eq!(Picture::read(&to, 0).unwrap().attributes.channels, named.channels);
    // Names of bands and their unit.
    let bands = Attributes {
        channels: ["red edge", "a < b"].map(String::from).to_vec(),
        unit: Some("K".to_string()),
        ..Attributes::new(StoredType::U16)
    };
    let image = Image::new(2, 1, 2, vec![1u16, 2, 3, 4]).unwrap();
    let lost = Image::write_pages(&[image], &bands, &to, 95).unwrap();
    assert_eq!(lost, Vec::<&str>::new());
    let back = Picture::read(&to, 0).unwrap().attributes;
    assert_eq!((back.channels, back.unit), (bands.channels, bands.unit));
}

/// One of our files: its name, and what it holds, page by page.
struct Ours {
    name: String,
    pages: Vec<Image>,
    attributes: Attributes,
}

/// Samples of a type with both ends, from a formula.
fn formula(stored: StoredType, pixels: usize, channels: usize, page: usize) -> Samples {
    let [low, high] = stored.bounds().unwrap_or([-2048.0, 2048.0]);
    // What half precision, and what single precision holds exactly.
    let (low, high) = (low.max(-16_777_216.0), high.min(16_777_216.0));
    let value = |i: usize| match i {
        0 => low,
        1 => high,
        i => (low + ((i + 31 * page) * 7919 % 1000) as f64 / 1000.0 * (high - low)).round(),
    };
    let all = (0..pixels * channels).map(value);
    match stored {
        StoredType::U8 => Samples::U8(all.map(|v| v as u8).collect()),
        StoredType::U16 => Samples::U16(all.map(|v| v as u16).collect()),
        _ => Samples::F32(all.map(|v| v as f32).collect()),
    }
}

/// Every type in every format that holds it, palettes, and several pages where they may be.
fn ours() -> Vec<Ours> {
    use StoredType::*;
    let mut all = Vec::new();
    let image = |stored, channels, page| {
        Image::new(9, 6, channels, formula(stored, 54, channels, page)).unwrap()
    };
    for stored in [U8, I8, U16, I16, U32, I32, U64, I64, F16, F32, F64] {
        for channels in [1, 2, 3, 4, 5] {
            for extension in [
                "png", "tiff", "npy", "npz", "nii", "nii.gz", "mha", "gif", "bmp", "webp", "ppm",
                "pgm",
            ] {
                let name = format!("{stored}x{channels}.{extension}");
                let fits = match extension {
                    "ppm" => channels == 3,
                    "pgm" => channels == 1,
                    _ => true,
                };
                if !fits || !pix2pix_engine::data::holds(name.as_ref(), channels, stored) {
                    continue;
                }
                let attributes = Attributes { axes: Axes::Hwc, ..Attributes::new(stored) };
                all.push(Ours { name, pages: vec![image(stored, channels, 0)], attributes });
            }
        }
        for extension in ["tiff", "npy", "nii.gz", "mha"] {
            let name = format!("{stored}-pages.{extension}");
            if pix2pix_engine::data::holds(name.as_ref(), 1, stored) {
                let pages = (0..3).map(|page| image(stored, 1, page)).collect();
                all.push(Ours { name, pages, attributes: Attributes::new(stored) });
            }
        }
    }
    let indices: Vec<u8> = (0..54u32).map(|i| (i * 5 % 7) as u8).collect();
    let palette = Some((0..7).map(|i| [i * 30, 255 - i, i * i]).collect());
    for extension in ["png", "tiff", "gif", "bmp"] {
        let pages = vec![Image::new(9, 6, 1, indices.clone()).unwrap()];
        let attributes = Attributes { palette: palette.clone(), ..Attributes::new(U8) };
        all.push(Ours { name: format!("palette.{extension}"), pages, attributes });
    }
    all
}

/// Other programs read our files exactly: tests/golden/read_ours.py looked at these very bytes.
/// `WRITE_OURS=DIR` writes them for it.
#[test]
fn our_files_are_those_that_other_programs_read() {
    let given = std::env::var_os("WRITE_OURS").map(std::path::PathBuf::from);
    let temporary = tempfile::tempdir().unwrap();
    let folder = given.as_deref().unwrap_or(temporary.path());
    let mut manifest = Vec::new();
    let mut sums = serde_json::Map::new();
    for Ours { name, pages, attributes } in ours() {
        let path = folder.join(&name);
        Image::write_pages(&pages, &attributes, &path, 95).unwrap();
        let (palette, stored) = (attributes.palette.is_some(), attributes.stored.to_string());
        let back = Picture::read(&path, pages.len() - 1).unwrap();
        assert_eq!(back.image, pages[pages.len() - 1], "{name}");
        // Formats whose palettes have a fixed length add black entries.
        let [has, had] =
            [back.attributes.palette, attributes.palette].map(Option::unwrap_or_default);
        assert!(has.starts_with(&had) && has[had.len()..].iter().all(|c| *c == [0; 3]), "{name}");
        let samples: Vec<Vec<f64>> = pages.iter().map(numbers).collect();
        manifest.push(serde_json::json!({
            "file": name, "width": 9, "height": 6, "channels": pages[0].channels,
            "stored": stored, "palette": palette, "pages": samples,
        }));
        let sum = crc32fast::hash(&std::fs::read(&path).unwrap());
        sums.insert(name, sum.into());
    }
    assert!(sums.len() > 250, "{}", sums.len());
    if let Some(folder) = given {
        std::fs::write(folder.join("manifest.json"), Value::from(manifest).to_string()).unwrap();
        return;
    }
    let text = std::fs::read_to_string(golden("read_by_others.json")).unwrap();
    let read: serde_json::Map<String, Value> = serde_json::from_str(&text).unwrap();
    let other: Vec<&String> =
        sums.iter().filter(|(n, sum)| read.get(*n) != Some(sum)).map(|(n, _)| n).collect();
    assert!(
        other.is_empty(),
        "{} files are not those that other programs read; have tests/golden/read_ours.py read them: {other:?}",
        other.len()
    );
}

/// A profile that takes several segments of a JPEG comes back whole.
#[test]
fn colour_profiles_are_kept() {
    let folder = tempfile::tempdir().unwrap();
    let profile: Vec<u8> = (0..150_000u32).map(|i| (i.wrapping_mul(i) >> 7) as u8).collect();
    let image = Image::filled(9, 6, &[10, 20, 30]);
    for extension in ["jpg", "png", "webp", "tiff"] {
        let path = folder.path().join("x").with_extension(extension);
        let attributes =
            Attributes { profile: Some(profile.clone()), ..Attributes::new(StoredType::U8) };
        let lost =
            Image::write_pages(std::slice::from_ref(&image), &attributes, &path, 95).unwrap();
        assert_eq!(lost, Vec::<&str>::new(), "{extension}");
        let back = Picture::read(&path, 0).unwrap();
        assert_eq!(back.attributes.profile.as_ref(), Some(&profile), "{extension}");
        assert!(back.header.notes.profile, "{extension}");
    }
}

/// A volume in two files is one picture, whose voxels must be there and nowhere else.
#[test]
fn voxels_lie_in_the_file_that_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    for name in ["beside.mhd", "beside.raw"] {
        std::fs::copy(golden("formats").join(name), at(name)).unwrap();
    }
    let walk = |deep| {
        let options = pix2pix_engine::data::WalkOptions { deep, ..Default::default() };
        pix2pix_engine::data::walk(folder.path(), options).unwrap()
    };
    let found = walk(false);
    assert_eq!((found.pictures.len(), found.left_out.files()), (1, 0), "{found:?}");
    // Written again it holds them itself.
    let picture = Picture::read(&at("beside.mhd"), 0).unwrap();
    let pages: Vec<Image> =
        (0..3).map(|i| Picture::read(&at("beside.mhd"), i).unwrap().image).collect();
    Image::write_pages(&pages, &picture.attributes, &at("one.mhd"), 95).unwrap();
    assert_eq!(Picture::read(&at("one.mhd"), 2).unwrap().image, pages[2]);

    let whole = std::fs::read(at("beside.raw")).unwrap();
    std::fs::write(at("beside.raw"), &whole[..whole.len() - 1]).unwrap();
    let error = Picture::read(&at("beside.mhd"), 2).unwrap_err().to_string();
    assert!(error.contains("ends before its last pixel"), "{error}");
    std::fs::remove_file(at("beside.raw")).unwrap();
    let error = Picture::read(&at("beside.mhd"), 0).unwrap_err().to_string();
    assert!(error.contains("beside.raw"), "{error}");
    let text = std::fs::read_to_string(at("beside.mhd")).unwrap();
    for elsewhere in ["../beside.raw", "/etc/passwd", "LIST", "slice%03d.raw", ""] {
        std::fs::write(at("x.mhd"), text.replace("beside.raw", elsewhere)).unwrap();
        let error = Picture::read(&at("x.mhd"), 0).unwrap_err().to_string();
        assert!(error.contains("several files or in another folder"), "{elsewhere}: {error}");
    }
}

/// JPEG in a TIFF, in strips and tiles, with tables of its own: as libjpeg decodes it but for the rounding of two
/// transforms and of the conversion of colours, which is half a level each and up to 1.8 times that in blue.
#[test]
fn jpeg_in_a_tiff_is_read_in_parts() {
    const MOST: f64 = 3.0;
    for name in ["jpeg-ycbcr", "jpeg-ycbcr-tiles", "jpeg-rgb", "jpeg-grey", "jpeg-tables"] {
        let at = |end: &str| golden("formats").join(format!("{name}.{end}"));
        let picture = Picture::read(&at("tif"), 0).unwrap();
        let want = Picture::read(&at("npy"), 0).unwrap().image;
        let image = &picture.image;
        assert_eq!((image.width, image.height, image.channels), (37, 40, want.channels), "{name}");
        let (ours, theirs) = (numbers(image), numbers(&want));
        let apart = ours.iter().zip(&theirs).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
        assert!(apart <= MOST, "{name}: {apart}");
        let mut windows = PictureWindows::open(&at("tif")).unwrap().unwrap().windows;
        assert_eq!(windows.read(5, 9, 30, 20).unwrap(), image.crop(5, 9, 30, 20), "{name}");
    }
}
