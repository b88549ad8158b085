//! Files made to hurt: those that grow, loop, lie about their size, or are no files. Each is refused or
//! read, soon and in bounded memory.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use flate2::{Compression, write::ZlibEncoder};
use pix2pix_engine::data::{Image, ImageHeader};

use crate::{bytes as samples, golden, marked};

/// A chunk of a PNG.
pub fn chunk(kind: &[u8], data: &[u8]) -> Vec<u8> {
    let typed = [kind, data].concat();
    let length = (data.len() as u32).to_be_bytes();
    [&length[..], &typed, &crc32fast::hash(&typed).to_be_bytes()].concat()
}

/// A PNG with further chunks behind its size.
pub fn png_with(chunks: &[Vec<u8>]) -> Vec<u8> {
    let png = std::fs::read(golden("pictures/rgb.png")).unwrap();
    [&png[..33], &chunks.concat(), &png[33..]].concat()
}

/// So many zeros as a zlib stream.
fn bomb(bytes: u64) -> Vec<u8> {
    let mut packed = ZlibEncoder::new(Vec::new(), Compression::fast());
    std::io::copy(&mut std::io::repeat(0).take(bytes), &mut packed).unwrap();
    packed.finish().unwrap()
}

/// A little-endian TIFF of one page: entries of (tag, type, count, value), then what lies behind them.
pub fn tiff(entries: &[(u16, u16, u32, u32)], next: u32, behind: &[u8]) -> Vec<u8> {
    let mut bytes = b"II*\0\x08\0\0\0".to_vec();
    bytes.extend((entries.len() as u16).to_le_bytes());
    for &(tag, kind, count, value) in entries {
        bytes.extend(tag.to_le_bytes());
        bytes.extend(kind.to_le_bytes());
        bytes.extend(count.to_le_bytes());
        bytes.extend(value.to_le_bytes());
    }
    bytes.extend(next.to_le_bytes());
    bytes.extend(behind);
    bytes
}

/// The entries of a grey TIFF of 2 x 2 pixels whose data are the last four bytes; they lie behind
/// `entries` entries in all.
pub fn grey_tiff(entries: u32) -> Vec<(u16, u16, u32, u32)> {
    let data = 8 + 2 + 12 * entries + 4;
    vec![
        (256, 3, 1, 2),
        (257, 3, 1, 2),
        (258, 3, 1, 8),
        (259, 3, 1, 1),
        (262, 3, 1, 1),
        (273, 4, 1, data),
        (277, 3, 1, 1),
        (278, 3, 1, 2),
        (279, 4, 1, 4),
    ]
}

fn jpeg() -> Vec<u8> {
    std::fs::read(golden("pictures/q95.jpg")).unwrap()
}

/// A JPEG whose header has segments of a kind in front.
fn jpeg_with(code: u8, data: &[u8], times: usize) -> Vec<u8> {
    let segment = [&[0xff, code], &(data.len() as u16 + 2).to_be_bytes()[..], data].concat();
    [&jpeg()[..2], &segment.repeat(times), &jpeg()[2..]].concat()
}

fn webp_with(kind: &[u8; 4], length: u32) -> Vec<u8> {
    let mut bytes = std::fs::read(golden("pictures/lossless.webp")).unwrap();
    bytes.extend(kind);
    bytes.extend(length.to_le_bytes());
    bytes.extend(b"short");
    bytes
}

/// (name, content, whether it is a picture all the same)
fn cases() -> Vec<(&'static str, Vec<u8>, bool)> {
    let bomb = bomb(64 << 20);
    let text = |kind: &[u8], before: &[u8]| png_with(&[chunk(kind, &[before, &bomb].concat())]);
    let tiny = vec![chunk(b"tEXt", b"a\0b"); 100_000];
    let mut loops = grey_tiff(9);
    loops.truncate(9);
    let many = |tag, count| {
        let mut entries = grey_tiff(10);
        entries.push((tag, 4, count, 8));
        tiff(&entries, 0, &[1, 2, 3, 4])
    };
    let mut strips = grey_tiff(9);
    strips[5] = (273, 4, u32::MAX, 8);
    let mut wide = grey_tiff(9);
    (wide[0].3, wide[1].3) = (60_000, 60_000);
    let mut large = grey_tiff(9);
    (large[0], large[1], large[7]) =
        ((256, 3, 1, 11_000), (257, 3, 1, 11_000), (278, 3, 1, 11_000));
    vec![
        ("icc.png", text(b"iCCP", b"a\0\0"), true),
        ("ztxt.png", text(b"zTXt", b"a\0\0"), true),
        ("itxt.png", text(b"iTXt", b"a\0\x01\0\0\0"), true),
        ("twenty.png", png_with(&vec![chunk(b"zTXt", &[b"a\0\0", &bomb[..]].concat()); 20]), true),
        ("tiny.png", png_with(&tiny), true),
        ("exif.png", png_with(&[chunk(b"eXIf", &vec![0xff; 4 << 20])]), true),
        ("no-end.png", png_with(&[chunk(b"tEXt", b"a")])[..50].to_vec(), false),
        ("long.png", [&png_with(&[])[..33], &[0x7f; 8]].concat(), false),
        (
            "icc.jpg",
            jpeg_with(0xe2, &[b"ICC_PROFILE\0\x01\xff", &[0; 60_000][..]].concat(), 200),
            true,
        ),
        ("exif.jpg", jpeg_with(0xe1, &[b"Exif\0\0II*\0", &[0xff; 60_000][..]].concat(), 200), true),
        ("fill.jpg", [&jpeg()[..2], &[0xff; 1 << 20], &jpeg()[2..]].concat(), true),
        ("short-segments.jpg", [&jpeg()[..2], &b"\xff\xe1\0\0".repeat(9)[..]].concat(), false),
        ("only-fill.jpg", [&jpeg()[..2], &[0xff; 1 << 20][..]].concat(), false),
        ("loop.tif", tiff(&loops, 8, &[1, 2, 3, 4]), true),
        ("far.tif", tiff(&grey_tiff(9), u32::MAX, &[1, 2, 3, 4]), true),
        ("profile.tif", many(34_675, u32::MAX), true),
        ("extra.tif", many(338, u32::MAX), false),
        ("colours.tif", many(320, u32::MAX), true),
        ("strips.tif", tiff(&strips, 0, &[1, 2, 3, 4]), false),
        ("wide.tif", tiff(&wide, 0, &[1, 2, 3, 4]), false),
        ("large.tif", tiff(&large, 0, &[1, 2, 3, 4]), false),
        ("exif.webp", webp_with(b"EXIF", u32::MAX), true),
        ("icc.webp", webp_with(b"ICCP", u32::MAX), true),
        ("frames.webp", webp_with(b"ANMF", u32::MAX - 1), true),
    ]
}

#[test]
fn files_that_grow_loop_or_lie_are_refused_or_read_soon() {
    let folder = tempfile::tempdir().unwrap();
    for (name, content, readable) in cases() {
        let path = folder.path().join(name);
        std::fs::write(&path, content).unwrap();
        let header = ImageHeader::read(&path);
        match Image::read(&path) {
            Ok(image) => {
                assert!(readable, "{name} was read");
                let header = header.unwrap();
                assert_eq!((image.width, image.height), (header.width, header.height), "{name}");
            }
            Err(error) => {
                assert!(!readable, "{name}: {error}");
                assert_eq!(error.exit_code(), 1, "{error}");
                assert!(error.to_string().contains(name), "{error}");
            }
        }
    }
}

/// A sparse file costs its maker nothing and its reader its length.
#[test]
fn a_file_far_longer_than_its_pixels_is_refused_unread() {
    let folder = tempfile::tempdir().unwrap();
    for name in
        ["pictures/rgb.png", "pictures/q95.jpg", "pictures/rgb.bmp", "pictures/lossless.webp"]
    {
        let path = folder.path().join(Path::new(name).file_name().unwrap());
        std::fs::copy(golden(name), &path).unwrap();
        File::options().write(true).open(&path).unwrap().set_len(1500 << 20).unwrap();
        for error in [ImageHeader::read(&path).map(|_| ()), Image::read(&path).map(|_| ())] {
            let text = error.unwrap_err().to_string();
            assert!(text.contains("1572 MB, far more than its"), "{text}");
        }
    }
    // What a camera adds is well below.
    let path = folder.path().join("behind.png");
    std::fs::copy(golden("pictures/rgb.png"), &path).unwrap();
    File::options().write(true).open(&path).unwrap().set_len(20 << 20).unwrap();
    Image::read(&path).unwrap();
}

#[cfg(unix)]
#[test]
fn what_is_no_regular_file_is_named_and_not_waited_for() {
    use rustix::fs::{CWD, Mode, mkfifoat};
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| -> PathBuf { folder.path().join(name) };
    mkfifoat(CWD, at("pipe.png"), Mode::RUSR).unwrap();
    std::os::unix::fs::symlink(at("pipe.png"), at("link.jpg")).unwrap();
    std::os::unix::fs::symlink("/dev/zero", at("zero.bmp")).unwrap();
    std::os::unix::fs::symlink(at("circle.tif"), at("circle.tif")).unwrap();
    std::fs::create_dir(at("folder.webp")).unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(at("socket.png")).unwrap();
    let cases = [
        ("pipe.png", "a named pipe"),
        ("link.jpg", "a named pipe"),
        ("zero.bmp", "a device"),
        ("circle.tif", "leads back to itself"),
        ("folder.webp", "a folder"),
        ("socket.png", "a socket"),
    ];
    for (name, says) in cases {
        for error in [ImageHeader::read(&at(name)).map(|_| ()), Image::read(&at(name)).map(|_| ())]
        {
            let text = error.unwrap_err().to_string();
            assert!(text.contains(name) && text.contains(says), "{text}");
        }
    }
    // A link to a picture is the picture.
    marked(4, 4, 1).write_png(&at("real.png")).unwrap();
    std::os::unix::fs::symlink(at("real.png"), at("to-real.png")).unwrap();
    assert_eq!(samples(&Image::read(&at("to-real.png")).unwrap()), samples(&marked(4, 4, 1)));
}
