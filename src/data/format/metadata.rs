//! The two things that are wanted of a picture's metadata: its orientation, and whether a colour profile
//! is sRGB.

use image::metadata::Orientation;

/// The orientation in EXIF data; data that cannot be read count as upright, as in other programs.
pub fn orientation(exif: &[u8]) -> Orientation {
    let tiff = exif.strip_prefix(b"Exif\0\0").unwrap_or(exif);
    Orientation::from_exif_chunk(tiff).unwrap_or(Orientation::NoTransforms)
}

/// Bytes of a profile that [`is_srgb`] looks at: sRGB profiles have 500 to 3,200.
pub const PROFILE_START: u64 = 16 << 10;

/// The colourants of sRGB as profiles hold them, adapted to D50.
const SRGB: [(&[u8; 4], [f64; 3]); 3] = [
    (b"rXYZ", [0.4360, 0.2225, 0.0139]),
    (b"gXYZ", [0.3851, 0.7169, 0.0971]),
    (b"bXYZ", [0.1431, 0.0606, 0.7141]),
];
/// sRGB's linear value of a sample of one half, which tells it from gamma 1.8 (0.287) and 1.0.
const HALF: f64 = 0.2140;
/// Half a level of 256, at which two profiles are one to 8-bit pixels; colourants differ by rounding.
const NEAR: f64 = 0.004;

/// Whether the first bytes of an ICC profile describe sRGB, by its colourants and its curve: such a
/// profile says nothing that is not assumed anyway. What cannot be read counts as another.
/// Source: ICC.1:2022, sections 7 and 10.
pub fn is_srgb(profile: &[u8]) -> bool {
    let near = |x: f64, y: f64| (x - y).abs() < NEAR;
    let colourant = |(name, want): (&[u8; 4], [f64; 3])| {
        let data = tag(profile, name)?;
        let mut is = data.starts_with(b"XYZ ");
        for (i, want) in want.into_iter().enumerate() {
            is &= near(fixed(data, 8 + 4 * i)?, want);
        }
        Some(is)
    };
    let all = SRGB.into_iter().all(|c| colourant(c) == Some(true));
    all && half(profile).is_some_and(|y| near(y, HALF))
}

/// What the red curve makes of one half.
fn half(profile: &[u8]) -> Option<f64> {
    let data = tag(profile, b"rTRC")?;
    match data.get(..4)? {
        b"curv" => {
            let value = |i: usize| number::<2>(data, 12 + 2 * i).map(f64::from);
            match number::<4>(data, 8)? as usize {
                0 => Some(0.5),
                1 => Some(0.5f64.powf(value(0)? / 256.0)),
                n => Some((value((n - 1) / 2)? + value(n / 2)?) / 2.0 / 65_535.0),
            }
        }
        b"para" => {
            let [gamma, a, b] = [12, 16, 20].map(|at| fixed(data, at));
            match number::<2>(data, 8)? {
                0 => Some(0.5f64.powf(gamma?)),
                _ => Some((0.5 * a? + b?).powf(gamma?)),
            }
        }
        _ => None,
    }
}

/// The data of a tag.
fn tag<'a>(profile: &'a [u8], name: &[u8; 4]) -> Option<&'a [u8]> {
    let count = number::<4>(profile, 128)?.min(100) as usize;
    let entry =
        (0..count).map(|i| 132 + 12 * i).find(|&at| profile.get(at..at + 4) == Some(name))?;
    profile.get(number::<4>(profile, entry + 4)? as usize..)
}

fn number<const N: usize>(data: &[u8], at: usize) -> Option<u32> {
    Some(data.get(at..at + N)?.iter().fold(0, |n, &byte| n << 8 | u32::from(byte)))
}

/// A signed number with 16 bits behind the point.
fn fixed(data: &[u8], at: usize) -> Option<f64> {
    Some(f64::from(number::<4>(data, at)? as i32) / 65_536.0)
}

/// The number of images that the index of a multi-picture file states (CIPA DC-007, MP Index IFD, tag
/// 0xb001); 2 if it cannot be read, since one with a single image has no index.
pub fn images_in_index(bytes: &[u8]) -> usize {
    let big = bytes.starts_with(b"MM");
    let number = |at: usize, length: usize| -> Option<usize> {
        let digits = bytes.get(at..at.checked_add(length)?)?.iter();
        let join = |value: usize, byte: &u8| value << 8 | usize::from(*byte);
        Some(if big { digits.fold(0, join) } else { digits.rev().fold(0, join) })
    };
    let find = || {
        let first = number(4, 4)?;
        let count = number(first, 2)?;
        let entry =
            (0..count).map(|i| first + 2 + 12 * i).find(|at| number(*at, 2) == Some(0xb001))?;
        number(entry + 8, 4)
    };
    find().unwrap_or(2)
}
