//! What reading a picture changes or leaves out is noted: depth, alpha, pages, profiles, channels.

use std::path::Path;

use image::{DynamicImage, ImageBuffer, Luma, LumaA, Rgb, Rgba};
use pix2pix_engine::data::{Image, ImageHeader, NoteCounts, Notes};

use crate::hostile::{chunk, grey_tiff, png_with, tiff};
use crate::{bytes, golden};

fn decode(name: &str, content: &[u8]) -> (Image, Notes) {
    Image::decode(content, Path::new(name)).unwrap_or_else(|e| panic!("{e}"))
}

/// The notes of a file, from its header and from its pixels.
fn both(name: &str, content: &[u8]) -> [Notes; 2] {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    std::fs::write(&path, content).unwrap();
    let header = ImageHeader::read(&path).unwrap();
    let (image, notes) = Image::read_with_notes(&path).unwrap();
    assert_eq!((header.width, header.height), (image.width, image.height));
    [header.notes, notes]
}

fn encoded(image: &DynamicImage, format: image::ImageFormat) -> Vec<u8> {
    let mut bytes = std::io::Cursor::new(Vec::new());
    image.write_to(&mut bytes, format).unwrap();
    bytes.into_inner()
}

fn png(image: impl Into<DynamicImage>) -> Vec<u8> {
    encoded(&image.into(), image::ImageFormat::Png)
}

#[test]
fn sixteen_bits_are_noted_and_dim_ones_with_their_highest_sample() {
    let grey = |scale: u32| {
        let pixel = |x: u32, y: u32| Luma([((x * 8 + y) * scale) as u16]);
        DynamicImage::ImageLuma16(ImageBuffer::from_fn(8, 8, pixel))
    };
    let cases =
        [(1, Some(63)), (20, Some(1260)), (65, Some(4095)), (66, None), (1000, None), (0, None)];
    for (scale, dim) in cases {
        for format in [image::ImageFormat::Png, image::ImageFormat::Tiff] {
            let [header, notes] = both("deep", &encoded(&grey(scale), format));
            assert!(!header.sixteen_bits && notes.sixteen_bits, "{scale}");
            assert_eq!((header.dim, notes.dim), (None, dim), "{scale}");
        }
    }
    // Alpha is no sample of the picture.
    let clear = ImageBuffer::from_fn(8, 8, |x, _| LumaA([x as u16 * 100, u16::MAX]));
    assert_eq!(decode("la.png", &png(clear)).1.dim, Some(700));
    let eight = ImageBuffer::from_fn(8, 8, |x, _| Luma([x as u8]));
    assert!(!both("eight.png", &png(eight))[1].sixteen_bits);
}

#[test]
fn alpha_of_zero_everywhere_is_ignored_where_it_hides_a_picture() {
    let rgba = |alpha: fn(u32) -> u8, colour: fn(u32) -> u8| {
        let pixel = |x: u32, _| Rgba([colour(x), 7, 9, alpha(x)]);
        png(ImageBuffer::from_fn(8, 4, pixel))
    };
    let (hidden, notes) = decode("hidden.png", &rgba(|_| 0, |x| x as u8));
    assert!(notes.transparent);
    assert_eq!(bytes(&hidden)[..6], [0, 7, 9, 1, 7, 9]);
    // One colour everywhere is an empty picture, and one visible pixel makes alpha count.
    for seen in [rgba(|_| 0, |_| 5), rgba(|x| u8::from(x == 3), |x| x as u8)] {
        let (image, notes) = decode("seen.png", &seen);
        assert!(!notes.transparent && notes.alpha);
        assert_eq!(bytes(&image)[..3], [255, 255, 255]);
    }
    let deep = ImageBuffer::from_fn(8, 4, |x, _| Rgba([x as u16 * 9000, 7, 9, 0]));
    let (image, notes) = decode("deep.png", &png(deep));
    assert!(notes.transparent && bytes(&image)[21] == 245, "{image:?}");
    let grey = ImageBuffer::from_fn(8, 4, |x, _| LumaA([x as u8, 0]));
    assert!(decode("grey.png", &png(grey)).1.transparent);
}

/// A BMP of 32 bits with a header of version 4, whose fourth byte is alpha by its mask.
fn bmp(alpha: u8) -> Vec<u8> {
    let mut bytes = b"BM".to_vec();
    bytes.extend([14 + 108 + 16u32, 0, 14 + 108, 108, 2, 2].map(u32::to_le_bytes).concat());
    bytes.extend([1u16, 32].map(u16::to_le_bytes).concat());
    bytes.extend([3u32, 16, 0, 0, 0, 0].map(u32::to_le_bytes).concat());
    bytes.extend([0xff_0000u32, 0xff00, 0xff, 0xff00_0000].map(u32::to_le_bytes).concat());
    bytes.resize(14 + 108, 0);
    bytes.extend([10, 20, 30, alpha].repeat(4));
    bytes
}

#[test]
fn a_bmp_whose_fourth_byte_is_padding_is_opaque() {
    let (image, notes) = decode("padded.bmp", &bmp(0));
    assert!(notes.transparent);
    assert_eq!(bytes(&image)[..3], [30, 20, 10]);
    let (image, notes) = decode("half.bmp", &bmp(128));
    assert!(notes.alpha && !notes.transparent);
    assert_eq!(bytes(&image)[..3], [142, 137, 132]);
    assert_eq!(bytes(&decode("full.bmp", &bmp(255)).0)[..3], [30, 20, 10]);
}

/// An RGB TIFF of one pixel with one more sample of this kind (none: no tag), of 8 or 16 bits.
fn rgbx(kind: Option<u32>, sixteen: bool, pixel: [u16; 4]) -> Vec<u8> {
    let count = 9 + u32::from(kind.is_some());
    let data = 8 + 2 + 12 * count + 4;
    let mut entries = vec![
        (256, 3, 1, 1),
        (257, 3, 1, 1),
        (258, 3, 4, data + 8),
        (259, 3, 1, 1),
        (262, 3, 1, 2),
        (273, 4, 1, data),
        (277, 3, 1, 4),
        (278, 3, 1, 1),
        (279, 4, 1, if sixteen { 8 } else { 4 }),
    ];
    entries.extend(kind.map(|kind| (338, 3, 1, kind)));
    let mut behind: Vec<u8> = match sixteen {
        true => pixel.iter().flat_map(|v| v.to_le_bytes()).collect(),
        false => pixel.map(|v| v as u8).to_vec(),
    };
    behind.resize(8, 0);
    behind.extend([if sixteen { 16u16 } else { 8 }; 4].map(u16::to_le_bytes).concat());
    tiff(&entries, 0, &behind)
}

#[test]
fn associated_alpha_is_not_multiplied_again() {
    // Half opaque: colours of 100, 50, 0 are stored as they are, or halved.
    let straight = decode("straight.tif", &rgbx(Some(2), false, [100, 50, 0, 128])).0;
    assert_eq!(bytes(&straight), [177, 152, 127]);
    let associated = decode("associated.tif", &rgbx(Some(1), false, [50, 25, 0, 128])).0;
    assert_eq!(bytes(&associated), [177, 152, 127]);
    let deep = rgbx(Some(1), true, [50 * 257, 25 * 257, 0, 128 * 257]);
    assert_eq!(bytes(&decode("deep.tif", &deep).0), [177, 152, 127]);
    let opaque = decode("opaque.tif", &rgbx(Some(1), false, [100, 50, 0, 255])).0;
    assert_eq!(bytes(&opaque), [100, 50, 0]);
    // Samples above their alpha are wrong, and end at white.
    assert_eq!(bytes(&decode("above.tif", &rgbx(Some(1), false, [250, 25, 0, 128])).0)[0], 255);
}

#[test]
fn a_sample_of_no_kind_is_a_channel_that_is_left_out() {
    let [header, notes] = both("x.tif", &rgbx(Some(0), false, [100, 50, 0, 3]));
    assert_eq!((header.more_channels, header.alpha), (1, false));
    assert_eq!(notes, header);
    assert_eq!(bytes(&decode("x.tif", &rgbx(Some(0), false, [100, 50, 0, 3])).0), [100, 50, 0]);
}

#[test]
fn further_pages_and_frames_are_counted() {
    let page = |next: u32| tiff(&grey_tiff(9), next, &[1, 2, 3, 4]);
    let length = page(0).len() as u32;
    // Three pages, each with its entries behind the one before: offsets are from the file's start, so
    // the pixels of all are those of the first.
    let mut stack = page(length);
    stack.extend(&page(2 * length - 8)[8..]);
    stack.extend(&page(0)[8..]);
    assert_eq!(both("stack.tif", &stack)[0].more_frames, 2);
    assert_eq!(both("one.tif", &page(0))[0].more_frames, 0);
    let animation = |frames: u32| {
        let control = [frames.to_be_bytes(), [0; 4]].concat();
        png_with(&[chunk(b"acTL", &control)])
    };
    assert_eq!(both("a.png", &animation(5))[0].more_frames, 4);
    assert_eq!(both("a.png", &animation(1))[0].more_frames, 0);
    assert_eq!(both("a.png", &png_with(&[]))[0].more_frames, 0);
}

/// A profile of these colourants and this gamma.
fn profile(red: [f64; 3], gamma: f64) -> Vec<u8> {
    let fixed = |v: f64| ((v * 65_536.0).round() as i32).to_be_bytes();
    let xyz = |v: [f64; 3]| [b"XYZ \0\0\0\0".to_vec(), v.map(fixed).concat()].concat();
    let curve = [b"para\0\0\0\0\0\0\0\0".to_vec(), fixed(gamma).to_vec()].concat();
    let (green, blue) = ([0.3851, 0.7169, 0.0971], [0.1431, 0.0606, 0.7141]);
    let tags = [(b"rXYZ", xyz(red)), (b"gXYZ", xyz(green)), (b"bXYZ", xyz(blue)), (b"rTRC", curve)];
    let mut bytes = vec![0; 128];
    bytes.extend(4u32.to_be_bytes());
    let mut at = 132 + 12 * 4;
    for (name, data) in &tags {
        bytes.extend(*name);
        bytes.extend([at, data.len() as u32].map(u32::to_be_bytes).concat());
        at += data.len() as u32;
    }
    tags.iter().for_each(|(_, data)| bytes.extend(data));
    bytes
}

#[test]
fn profiles_other_than_srgb_are_noted() {
    const RED: [f64; 3] = [0.4360, 0.2225, 0.0139];
    let cases = [
        (profile(RED, 2.2), false),
        (profile(RED, 1.0), true),
        (profile(RED, 1.8), true),
        (profile([0.5151, 0.2412, -0.0011], 2.2), true),
        (b"no profile".to_vec(), true),
    ];
    for (profile, other) in cases {
        let jpeg = std::fs::read(golden("pictures/q95.jpg")).unwrap();
        let data = [b"ICC_PROFILE\0\x01\x01", &profile[..]].concat();
        let segment = [&b"\xff\xe2"[..], &(data.len() as u16 + 2).to_be_bytes(), &data].concat();
        let jpeg = [&jpeg[..2], &segment, &jpeg[2..]].concat();
        assert_eq!(both("p.jpg", &jpeg)[0].profile, other);
        // Stored, not deflated: one last block.
        let n = profile.len() as u16;
        let stored =
            [&b"name\0\0\x78\x01\x01"[..], &n.to_le_bytes(), &(!n).to_le_bytes(), &profile];
        assert_eq!(both("p.png", &png_with(&[chunk(b"iCCP", &stored.concat())]))[0].profile, other);
        let mut entries = grey_tiff(10);
        entries.push((34_675, 7, profile.len() as u32, 8 + 2 + 120 + 4 + 4));
        let tif = tiff(&entries, 0, &[&[1, 2, 3, 4], &profile[..]].concat());
        assert_eq!(both("p.tif", &tif)[0].profile, other);
    }
    assert!(!both("plain.png", &png_with(&[]))[0].profile);
}

#[test]
fn counts_name_a_file_of_each_kind_and_say_what_was_done() {
    let mut counts = NoteCounts::default();
    assert_eq!(counts.lines(), Vec::<String>::new());
    let sixteen = Notes { sixteen_bits: true, ..Notes::default() };
    counts.add(&sixteen, Path::new("a.png"));
    counts.add(&Notes { more_frames: 2, ..sixteen }, Path::new("b.tif"));
    counts.add_pixels(&sixteen, Path::new("a.png"));
    counts.add_pixels(&Notes { dim: Some(1305), ..sixteen }, Path::new("b.tif"));
    assert_eq!(
        counts.lines(),
        [
            "2 pictures (first a.png) with 16 bits a channel: they are rounded to 8",
            "1 picture (b.tif) with 16 bits a channel whose samples reach 1305 of 65535 at most, so that \
             6 of 256 levels are left as 8 bits: stretch them to the full range first",
            "1 picture (b.tif) with several pages or frames: only the first is used",
        ]
    );
    let rgb = ImageBuffer::from_fn(2, 2, |_, _| Rgb([1u8, 2, 3]));
    assert_eq!(both("plain.png", &png(rgb))[1], Notes::default());
}
