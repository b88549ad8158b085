//! Decoding: every kind against Pillow, and a table of bad files.

use std::path::Path;

use pix2pix_engine::data::{Image, ImageHeader, Picture};
use pix2pix_engine::tensor::SampleRange;

use crate::{Reader, bytes, golden, marked};

/// Two correct JPEG decoders differ by the rounding of their cosine transforms and of the colour
/// conversion: 3 levels at most on smooth pictures without chroma subsampling. CMYK is converted
/// twice.
const JPEG: u8 = 3;
const CMYK: u8 = 8;

#[test]
fn every_kind_decodes_to_what_pillow_sees() {
    let mut seen = 0;
    for entry in std::fs::read_dir(golden("pictures")).unwrap() {
        let want = entry.unwrap().path();
        if want.extension().is_none_or(|e| e != "rgb") {
            continue;
        }
        let path = want.with_extension("");
        let mut file = Reader::open(&want);
        let (w, h) = (file.number(), file.number());
        let want = file.picture(w, h);
        let name = path.file_name().unwrap().to_str().unwrap();
        let bound = match name {
            "cmyk.jpg" => CMYK,
            "q95.jpg" | "progressive.jpg" | "grey.jpg" | "camera.jpg" | "lossy.webp" => JPEG,
            _ => 0,
        };
        let (got, notes) = Image::decode(&std::fs::read(&path).unwrap(), &path).unwrap();
        assert_eq!(Image::read(&path).unwrap(), got, "{name}");
        assert_eq!((got.width, got.height), (w, h), "{name}");
        let worst = bytes(&got).iter().zip(bytes(&want)).map(|(a, b)| a.abs_diff(*b)).max();
        assert!(worst.unwrap() <= bound, "{name}: off by {worst:?}, allowed {bound}");
        let header = ImageHeader::read(&path).unwrap();
        assert_eq!((header.width, header.height), (w, h), "header of {name}");
        assert_eq!(header.notes.alpha, name.contains("alpha"), "{name}");
        assert_eq!(notes.alpha, header.notes.alpha, "{name}");
        assert_eq!(notes.sixteen_bits, name.starts_with("deep"), "{name}");
        let turned = name == "camera.jpg" || (name.starts_with("turn") && name != "turn1.png");
        assert_eq!(notes.turned, turned, "{name}");
        seen += 1;
    }
    assert_eq!(seen, 29);
}

#[test]
fn every_truncation_is_an_error_and_never_half_a_picture() {
    let kinds = [
        "q95.jpg",
        "progressive.jpg",
        "grey.jpg",
        "cmyk.jpg",
        "camera.jpg",
        "rgb.png",
        "deep.png",
        "rgb.bmp",
        "rgb.tif",
        "lzw.tif",
        "deep.tif",
        "lossless.webp",
        "lossy.webp",
        "alpha.webp",
    ];
    for name in kinds {
        let path = golden("pictures").join(name);
        let bytes = std::fs::read(&path).unwrap();
        let whole = Image::read(&path).unwrap();
        for length in 0..bytes.len() {
            match Image::decode(&bytes[..length], &path) {
                // What a format stores behind the pixels may go missing.
                Ok((picture, _)) => assert_eq!(picture, whole, "{name} cut to {length} bytes"),
                Err(error) => assert_sentence(&error.to_string(), name),
            }
        }
        let half = Image::decode(&bytes[..bytes.len() / 2], &path);
        assert!(half.is_err(), "half of {name} decoded");
    }
}

/// Names the file, is one line, says a cause and a cure.
fn assert_sentence(text: &str, name: &str) {
    assert!(text.contains(name), "{text:?} does not name {name}");
    assert!(!text.contains('\n'), "{text:?}");
    assert!(text.contains(": "), "{text:?} has no cure");
}

#[test]
fn bad_pictures_are_refused_by_name_with_the_cure() {
    let folder = tempfile::tempdir().unwrap();
    let good = |name: &str| std::fs::read(golden("pictures").join(name)).unwrap();
    let cut = |name: &str| {
        let mut whole = good(name);
        whole.truncate(whole.len() * 2 / 3);
        whole
    };
    let mut flipped = good("rgb.png");
    let last = flipped.len() - 20;
    flipped[last] ^= 0xff;
    let mut zeros = good("q95.jpg");
    let half = zeros.len() / 2;
    zeros[half..].fill(0);
    // (file, content, what the sentence must say)
    let cases: Vec<(&str, Vec<u8>, &[&str])> = vec![
        ("empty.png", vec![], &["is empty", "copy it again"]),
        ("text.jpg", b"<!DOCTYPE html><p>404".to_vec(), &["no picture", "copy it again"]),
        ("zeros.png", vec![0; 4096], &["no picture", "copy it again"]),
        ("one.jpg", vec![0xff], &["no picture"]),
        ("start.jpg", vec![0xff, 0xd8, 0xff, 0xe0], &["damaged or cut short"]),
        ("cut.jpg", cut("q95.jpg"), &["damaged or cut short", "copy it again"]),
        ("cut-progressive.jpg", cut("progressive.jpg"), &["damaged or cut short"]),
        ("preallocated.jpg", zeros, &["damaged or cut short"]),
        ("cut.png", cut("rgb.png"), &["damaged or cut short"]),
        ("cut.bmp", cut("rgb.bmp"), &["damaged or cut short"]),
        ("cut.tif", cut("rgb.tif"), &["damaged or cut short"]),
        ("cut.webp", cut("lossy.webp"), &["damaged or cut short"]),
        ("checksum.png", flipped, &["damaged or cut short"]),
        ("cut.gif", good("moving.gif")[..60].to_vec(), &["damaged or cut short"]),
        ("psd-inside.png", b"8BPS\0\x01".to_vec(), &["is a Photoshop picture", "convert it"]),
        ("float.tif", good("float.tif"), &["8 or 16 bits"]),
        ("bomb.png", huge_png(200_000, 200_000), &["200000x200000", "make it smaller"]),
        ("wide.png", huge_png(70_000, 2), &["70000x2", "65535"]),
        ("many.png", huge_png(60_000, 60_000), &["megapixels", "make it smaller"]),
        ("none.bmp", bmp_header(0, 5), &["none.bmp"]),
        ("huge.bmp", bmp_header(60_000, 60_000), &["60000x60000"]),
        (
            "notes.txt",
            b"hello".to_vec(),
            &["JPEG, PNG, BMP, GIF, TIFF, WebP, PNM, NPY, NPZ, NIfTI"],
        ),
    ];
    for (name, bytes, says) in cases {
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        let error = Image::read(&path).expect_err(name);
        assert_eq!(error.exit_code(), 1, "{error}");
        let text = error.to_string();
        assert_sentence(&text, name);
        for say in says {
            assert!(text.contains(say), "{text:?} does not say {say:?}");
        }
    }
    let missing = Image::read(&folder.path().join("missing.png")).unwrap_err();
    assert_eq!(missing.exit_code(), 2);
    assert!(missing.to_string().contains("missing.png"), "{missing}");
    assert!(Image::read(folder.path()).is_err());
}

/// A PNG that promises so many pixels and holds none.
fn huge_png(width: u32, height: u32) -> Vec<u8> {
    let mut bytes = b"\x89PNG\r\n\x1a\n".to_vec();
    let mut head = b"IHDR".to_vec();
    head.extend(width.to_be_bytes());
    head.extend(height.to_be_bytes());
    head.extend([8, 2, 0, 0, 0]);
    for chunk in [head, b"IDAT\x78\x9c\x03\x00\x00\x00\x00\x01".to_vec(), b"IEND".to_vec()] {
        bytes.extend((chunk.len() as u32 - 4).to_be_bytes());
        bytes.extend(&chunk);
        bytes.extend(crc32(&chunk).to_be_bytes());
    }
    bytes
}

fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0u32, |mut crc, &byte| {
        crc ^= u32::from(byte);
        for _ in 0..8 {
            crc = (crc >> 1) ^ (0xedb8_8320 & (crc & 1).wrapping_neg());
        }
        crc
    })
}

fn bmp_header(width: i32, height: i32) -> Vec<u8> {
    let mut bytes = b"BM".to_vec();
    bytes.extend([54u32, 0, 54, 40].map(u32::to_le_bytes).concat());
    bytes.extend([width, height].map(i32::to_le_bytes).concat());
    bytes.extend([1u16, 24].map(u16::to_le_bytes).concat());
    bytes.extend([0; 24]);
    bytes
}

#[test]
fn a_long_jpeg_header_is_read_too() {
    let bytes = std::fs::read(golden("pictures/q95.jpg")).unwrap();
    let mut long = bytes[..2].to_vec();
    // Two comments of 64 KiB: the size stands behind what is read at first.
    for _ in 0..2 {
        long.extend([0xff, 0xfe, 0xff, 0xff]);
        long.extend([b'x'; 0xfffd]);
    }
    long.extend(&bytes[2..]);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("long.jpg");
    std::fs::write(&path, long).unwrap();
    let header = ImageHeader::read(&path).unwrap();
    assert_eq!((header.width, header.height), (24, 16));
    assert_eq!(Image::read(&path).unwrap().width, 24);
}

#[test]
fn a_written_png_reads_back_and_leaves_nothing_beside_it() {
    let folder = tempfile::tempdir().unwrap();
    let picture = marked(33, 7, 3);
    let path = folder.path().join("out.png");
    for _ in 0..2 {
        picture.write_png(&path).unwrap();
    }
    assert_eq!(Image::read(&path).unwrap(), picture);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    let nowhere = picture.write_png(Path::new("/nonexistent-folder/out.png")).unwrap_err();
    assert!(nowhere.to_string().contains("/nonexistent-folder/out.png"), "{nowhere}");
    assert!(Image::new(2, 2, 3, vec![0u8; 11]).is_err());
    assert!(Image::new(0, 0, 3, vec![0u8; 0]).is_err());
}

/// What each format holds without loss of grey and RGB with 8 and 16 bits: as it reads back, 8-bit
/// RGB.
#[test]
fn every_format_writes_what_it_holds_and_refuses_the_rest() {
    let folder = tempfile::tempdir().unwrap();
    let rgb = marked(33, 7, 3);
    let grey: Vec<u8> = bytes(&rgb).iter().copied().step_by(3).collect();
    let deep = |of: &[u8]| -> Vec<u16> { of.iter().map(|&v| u16::from(v) * 257).collect() };
    let images = [
        (Image::new(33, 7, 1, grey.clone()).unwrap(), true),
        (rgb.clone(), true),
        (Image::new(33, 7, 1, deep(&grey)).unwrap(), false),
        (Image::new(33, 7, 3, deep(bytes(&rgb))).unwrap(), false),
    ];
    for extension in ["png", "tiff", "tif", "bmp", "webp", "jpg"] {
        let path = folder.path().join("out").with_extension(extension);
        for (image, eight_bits) in &images {
            if *eight_bits || ["png", "tiff", "tif"].contains(&extension) {
                image.write(&path).unwrap();
                let back = Image::read(&path).unwrap();
                let want = match image.channels {
                    1 => Image::new(33, 7, 1, grey.clone()).unwrap().preview(SampleRange::BYTE),
                    _ => rgb.clone(),
                };
                let worst = bytes(&back).iter().zip(bytes(&want)).map(|(a, b)| a.abs_diff(*b));
                let exact = extension != "jpg";
                assert!(!exact || worst.max() == Some(0), "{} as {extension}", image.format());
            } else {
                let text = image.write(&path).unwrap_err().to_string();
                assert!(text.contains("hold no") && text.contains("of u16"), "{text}");
            }
        }
        let bands = Image::filled(3, 3, &[1; 5]);
        if extension.starts_with("tif") {
            bands.write(&path).unwrap();
            assert_eq!(Picture::read(&path, 0).unwrap().image, bands);
            continue;
        }
        let text = bands.write(&path).unwrap_err().to_string();
        assert!(text.contains("5 channels of u8: write another format"), "{text}");
    }
    let text = rgb.write(&folder.path().join("out.heic")).unwrap_err().to_string();
    assert!(
        text.contains(
            "written as .jpg, .png, .bmp, .gif, .tiff, .webp, .ppm, .npy, .npz, .nii, .nii.gz or .mha"
        ),
        "{text}"
    );
}
