//! Formats of pictures, and of files that hold pictures, that are known and not read: each by its
//! extensions or its first bytes, with what to do about it.

use std::path::Path;

/// A format that is not read.
#[derive(Debug)]
pub struct Unread {
    /// What one file is: "PFM picture".
    pub name: &'static str,
    /// What to do with a file, which stands as `{}`.
    cure: &'static str,
    extensions: &'static [&'static str],
    content: fn(&[u8]) -> bool,
}

const CONVERT: &str = "convert {} to PNG or JPEG";

impl Unread {
    /// What to do with one file: "convert it to PNG or JPEG"; with several: "convert them ...".
    pub fn cure(&self, files: usize) -> String {
        self.cure.replace("{}", if files == 1 { "it" } else { "them" })
    }
}

const fn unread(
    name: &'static str,
    cure: &'static str,
    extensions: &'static [&'static str],
    content: fn(&[u8]) -> bool,
) -> Unread {
    Unread { name, cure, extensions, content }
}

/// The brand of an ISO media file: HEIC, AVIF, films.
fn brand(b: &[u8]) -> &[u8] {
    if b.get(4..8) == Some(b"ftyp") { b.get(8..12).unwrap_or_default() } else { &[] }
}

/// Whether a text begins with one of these words behind spaces and a byte-order mark.
fn text(b: &[u8], words: &[&[u8]]) -> bool {
    let b = b.strip_prefix(b"\xef\xbb\xbf").unwrap_or(b).trim_ascii_start();
    words.iter().any(|w| b.starts_with(w))
}

fn pfm(b: &[u8]) -> bool {
    matches!(b, [b'P', b'F' | b'f', c, ..] if c.is_ascii_whitespace())
}

fn svg(b: &[u8]) -> bool {
    text(b, &[b"<svg"]) || text(b, &[b"<?xml", b"<!--"]) && b.windows(4).any(|w| w == b"<svg")
}

/// In the order in which their content is looked at.
static UNREAD: [Unread; 25] = [
    unread("PFM picture", "save {} as TIFF with floats", &["pfm"], pfm),
    unread("AVIF picture", CONVERT, &["avif", "avifs"], |b| matches!(brand(b), b"avif" | b"avis")),
    unread("HEIC picture", CONVERT, &["heic", "heif", "hif", "heics"], |b| {
        matches!(brand(b), b"heic" | b"heix" | b"heim" | b"heis" | b"hevc" | b"mif1" | b"msf1")
    }),
    unread("JPEG XL picture", CONVERT, &["jxl"], |b| {
        b.starts_with(b"\xff\x0a") || b.starts_with(b"\0\0\0\x0cJXL ")
    }),
    unread("JPEG 2000 picture", CONVERT, &["jp2", "j2k", "j2c", "jpf", "jpx", "jpc"], |b| {
        b.starts_with(b"\0\0\0\x0cjP  ") || b.starts_with(b"\xff\x4f\xff\x51")
    }),
    unread("JPEG XR picture", CONVERT, &["jxr", "wdp", "hdp"], |b| b.starts_with(b"II\xbc")),
    unread("JPEG-LS picture", CONVERT, &["jls"], |b| b.starts_with(b"\xff\xd8\xff\xf7")),
    unread("SVG drawing", "draw {} as PNG", &["svg", "svgz"], svg),
    unread("PDF document", "draw {} as PNG", &["pdf"], |b| b.starts_with(b"%PDF")),
    unread("PostScript document", "draw {} as PNG", &["eps", "ps", "ai"], |b| {
        b.starts_with(b"%!PS")
    }),
    unread("Photoshop picture", CONVERT, &["psd", "psb"], |b| b.starts_with(b"8BPS")),
    unread("GIMP picture", CONVERT, &["xcf"], |b| b.starts_with(b"gimp xcf")),
    unread(
        "camera raw picture",
        "develop {} to PNG or JPEG",
        &[
            "raw", "dng", "cr2", "cr3", "crw", "nef", "nrw", "arw", "srf", "sr2", "orf", "rw2",
            "raf", "pef", "srw", "3fr", "iiq", "x3f",
        ],
        |b| b.starts_with(b"FUJIFILMCCD-RAW") || b.starts_with(b"IIRO") || brand(b) == b"crx ",
    ),
    unread("OpenEXR picture", CONVERT, &["exr"], |b| b.starts_with(b"\x76\x2f\x31\x01")),
    unread("Radiance HDR picture", CONVERT, &["hdr", "rgbe"], |b| b.starts_with(b"#?R")),
    unread("icon", CONVERT, &["ico", "cur", "icns"], |b| {
        matches!(b, [0, 0, 1 | 2, 0, n, 0, ..] if *n > 0) || b.starts_with(b"icns")
    }),
    unread("TGA picture", CONVERT, &["tga", "icb", "vda", "vst"], |_| false),
    unread("DDS picture", CONVERT, &["dds"], |b| b.starts_with(b"DDS ")),
    unread("QOI picture", CONVERT, &["qoi"], |b| b.starts_with(b"qoif")),
    unread("PCX picture", CONVERT, &["pcx"], |_| false),
    unread("X bitmap picture", CONVERT, &["xbm", "xpm", "xwd"], |b| b.starts_with(b"/* XPM")),
    unread("DICOM picture", CONVERT, &["dcm", "dicom"], |b| b.get(128..132) == Some(b"DICM")),
    unread(
        "array of numbers",
        "save {} as NPY",
        &["mat", "h5", "hdf5", "fits", "fit", "tfrecord"],
        |b| b.starts_with(b"SIMPLE  =") || b.starts_with(b"\x89HDF"),
    ),
    unread(
        "film",
        "cut {} into pictures",
        &["mp4", "m4v", "mov", "webm", "mkv", "avi", "mpg", "mpeg", "wmv", "gifv", "mts", "3gp"],
        |b| {
            !brand(b).is_empty()
                || b.starts_with(b"\x1aE\xdf\xa3")
                || b.starts_with(b"RIFF") && b.get(8..12) == Some(b"AVI ")
        },
    ),
    unread(
        "archive",
        "unpack {}",
        &["zip", "tar", "tgz", "gz", "bz2", "xz", "7z", "rar", "zst"],
        |b| {
            [&b"PK\x03\x04"[..], b"\x1f\x8b", b"7z\xbc\xaf", b"Rar!", b"BZh", b"\xfd7zXZ"]
                .iter()
                .any(|mark| b.starts_with(mark))
        },
    ),
];

/// The format that a file's extension names, in either case, if it is one that is not read.
pub fn unread_by_extension(path: &Path) -> Option<&'static Unread> {
    let extension = path.extension()?.to_str()?.to_ascii_lowercase();
    UNREAD.iter().find(|format| format.extensions.contains(&extension.as_str()))
}

/// The format of a file that begins with these bytes, if it is one that is not read.
pub fn unread_by_content(start: &[u8]) -> Option<&'static Unread> {
    UNREAD.iter().find(|format| (format.content)(start))
}
