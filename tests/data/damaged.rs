//! Damaged files of every kind are errors, with an end mark or without; odd ones that are whole are read.

use std::path::Path;

use pix2pix_engine::data::Image;

use crate::golden;

const END: &[u8] = b"\xff\xd9";

fn decode(bytes: &[u8]) -> Result<Image, String> {
    Image::decode(bytes, Path::new("x.jpg")).map(|(image, _)| image).map_err(|e| e.to_string())
}

/// The JPEGs of the golden files: baseline and progressive, grey to CMYK, with every kind of sampling,
/// with restart markers and with a thumbnail.
fn jpegs() -> Vec<(String, Vec<u8>)> {
    let plain =
        ["q95", "progressive", "grey", "cmyk", "camera"].map(|n| format!("pictures/{n}.jpg"));
    let odd = [
        "restart",
        "restart-progressive",
        "subsampled",
        "sixteen-bit-tables",
        "progressive-subsampled",
        "grey-progressive",
    ];
    let names = plain.into_iter().chain(odd.map(|name| format!("jpeg/{name}.jpg")));
    let mut all: Vec<_> =
        names.map(|name| (name.clone(), std::fs::read(golden(&name)).unwrap())).collect();
    // A thumbnail in the metadata, whose own end mark is none of the picture's.
    let thumbnail = &all[0].1.clone();
    let mut with = all[1].1[..2].to_vec();
    with.extend([0xff, 0xe1]);
    with.extend((thumbnail.len() as u16 + 8).to_be_bytes());
    with.extend(b"Exif\0\0");
    with.extend(thumbnail);
    with.extend(&all[1].1[2..]);
    all.push(("thumbnail".into(), with));
    all
}

/// Where the data of the last marker of this code begin.
fn last(bytes: &[u8], code: u8) -> Option<usize> {
    bytes.windows(2).rposition(|w| w == [0xff, code])
}

/// Where the codes of the first scan begin.
fn codes(bytes: &[u8], from: usize) -> usize {
    let scan = from + bytes[from..].windows(2).position(|w| w == [0xff, 0xda]).unwrap();
    scan + 2 + usize::from(bytes[scan + 3])
}

/// Where the picture's own first scan is to be looked for, behind a thumbnail.
fn own(name: &str, bytes: &[u8]) -> usize {
    if name == "thumbnail" { 4 + usize::from(u16::from_be_bytes([bytes[4], bytes[5]])) } else { 2 }
}

#[test]
fn a_jpeg_whose_codes_end_early_is_an_error_with_an_end_mark_too() {
    for (name, bytes) in jpegs() {
        let whole = decode(&bytes).unwrap_or_else(|e| panic!("{name}: {e}"));
        let from = codes(&bytes, own(&name, &bytes));
        let (mut refused, mut cuts) = (0, 0);
        for at in (from..bytes.len() - 2).step_by(1 + (bytes.len() - from) / 97) {
            cuts += 1;
            match decode(&[&bytes[..at], END].concat()) {
                // The last byte may hold filling bits alone.
                Ok(image) => assert!(image == whole, "{name} cut to {at} bytes"),
                Err(text) => {
                    refused += 1;
                    assert!(text.contains("damaged or cut short"), "{name}: {text}");
                }
            }
        }
        assert!(refused + 4 >= cuts, "{name}: {refused} of {cuts}");
    }
}

#[test]
fn holes_and_strange_bytes_in_a_jpeg_are_errors() {
    for (name, bytes) in jpegs() {
        let (from, to) = (codes(&bytes, own(&name, &bytes)), bytes.len() - 2);
        let at = |part: usize| from + (to - from) * part / 8;
        let cases = [
            ("hole at the start", [&bytes[..at(1)], &bytes[at(3)..]].concat()),
            ("hole in the middle", [&bytes[..at(3)], &bytes[at(5)..]].concat()),
            ("zeros from the middle on", [&bytes[..at(4)], &vec![0; to - at(4)], END].concat()),
            ("zeros at the end", [&bytes[..to], &[0; 40], END].concat()),
            ("more", [&bytes[..at(4)], &[0x5a; 300], &bytes[at(4)..]].concat()),
            ("another's", [&bytes[..at(4)], &bytes[at(1)..at(3)], &bytes[at(4)..]].concat()),
        ];
        for (what, damaged) in cases {
            assert!(decode(&damaged).is_err(), "{name}, {what}");
        }
    }
}

#[test]
fn a_restart_interval_that_is_missing_is_an_error() {
    for name in ["restart", "restart-progressive"] {
        let bytes = std::fs::read(golden(&format!("jpeg/{name}.jpg"))).unwrap();
        let marker = |code: u8| bytes.windows(2).position(|w| w == [0xff, code]).unwrap();
        let (first, second) = (marker(0xd0), marker(0xd1));
        let lost = [&bytes[..first], &bytes[second..]].concat();
        assert!(decode(&lost).is_err(), "{name}");
        let mut renumbered = bytes.clone();
        renumbered[first + 1] = 0xd5;
        assert!(decode(&renumbered).is_err(), "{name}");
    }
}

#[test]
fn a_progressive_jpeg_without_its_last_scans_is_an_error() {
    for name in ["pictures/progressive.jpg", "jpeg/progressive-subsampled.jpg"] {
        let mut bytes = std::fs::read(golden(name)).unwrap();
        while let Some(scan) = last(&bytes, 0xda).filter(|&at| at > codes(&bytes, 2)) {
            bytes.truncate(scan);
            let text = decode(&[&bytes, END].concat()).unwrap_err();
            assert!(text.contains("ends before its last pixel"), "{text}");
        }
    }
}

#[test]
fn odd_jpegs_that_are_whole_are_read() {
    for (name, bytes) in jpegs() {
        let whole = decode(&bytes).unwrap();
        let body = &bytes[..bytes.len() - 2];
        let cases = [
            ("no end mark", body.to_vec()),
            ("half an end mark", [body, &[0xff]].concat()),
            ("bytes behind", [&bytes, &b"trailing text"[..]].concat()),
            ("another picture behind", [&bytes[..], &bytes[..]].concat()),
            ("zeros behind", [&bytes[..], &[0; 4000]].concat()),
            ("filled before its end", [body, &[0xff; 3], END].concat()),
            ("two bytes before its end", [body, &[0, 0][..], END].concat()),
        ];
        for (what, odd) in cases {
            let read = decode(&odd).unwrap_or_else(|e| panic!("{name}, {what}: {e}"));
            assert!(read == whole, "{name}, {what}");
        }
    }
}

/// A TIFF may hold JPEG data, which are checked as those of a JPEG file are.
#[test]
fn jpeg_strips_of_a_tiff_that_end_early_or_have_a_hole_are_errors() {
    let whole = std::fs::read(golden("pictures/jpeg-strips.tif")).unwrap();
    decode(&whole).unwrap();
    // The codes of the first scan, as long as they are zeros in no file of this size.
    let scan = whole.windows(2).position(|w| w == [0xff, 0xda]).unwrap() + 14;
    let end = scan + whole[scan..].windows(2).position(|w| w == [0xff, 0xd9]).unwrap();
    let middle = (scan + end) / 2;
    let mut early = whole.clone();
    early[middle..middle + 2].copy_from_slice(END);
    let mut hole = whole.clone();
    hole[middle - 20..middle + 20].fill(0);
    let mut rest = whole.clone();
    rest[middle..end].fill(0);
    for (name, bytes) in [("early end", early), ("hole", hole), ("zeros", rest)] {
        let said = decode(&bytes).unwrap_err();
        assert!(said.contains("damaged"), "{name}: {said}");
    }
}
