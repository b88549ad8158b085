//! JPEG: grey, RGB or CMYK with 8 bits.
//!
//! A truncated JPEG is refused. The decoder would fill it with grey, so a file without an end
//! marker is refused before decoding.

use std::io::{Cursor, Read};

use image::ImageFormat;

use super::{Decoded, FileSource, Format, FormatError, image_crate};
use crate::atomic::Sink;
use crate::data::{Image, ImageHeader};

/// Bytes that are read for a header; for a larger header the whole file is read.
const PREFIX: u64 = 64 << 10;

/// JPEG files.
#[derive(Debug)]
pub struct Jpeg;

impl Format for Jpeg {
    fn name(&self) -> &'static str {
        "JPEG"
    }

    fn extensions(&self) -> &'static [&'static str] {
        &["jpg", "jpeg"]
    }

    fn recognises(&self, start: &[u8]) -> bool {
        start.starts_with(&[0xff, 0xd8, 0xff])
    }

    fn header(&self, source: &mut dyn FileSource) -> Result<ImageHeader, FormatError> {
        // The decoder reads its source to the end.
        let mut bytes = Vec::new();
        source.take(PREFIX).read_to_end(&mut bytes)?;
        let found = image_crate::header(&mut Cursor::new(&bytes), ImageFormat::Jpeg);
        if found.is_ok() || source.read_to_end(&mut bytes)? == 0 {
            return found;
        }
        image_crate::header(&mut Cursor::new(&bytes), ImageFormat::Jpeg)
    }

    fn decode(&self, bytes: &[u8]) -> Result<Decoded, FormatError> {
        if !ends(bytes) {
            return Err(FormatError::CutShort);
        }
        image_crate::decode(bytes, ImageFormat::Jpeg)
    }

    fn encode(&self, image: &Image, sink: &mut Sink) -> Result<(), FormatError> {
        image_crate::encode(image, sink, ImageFormat::Jpeg)
    }
}

/// Whether there is an end marker after a scan. Segments are skipped whole, so that the end marker
/// of an embedded thumbnail does not count.
fn ends(bytes: &[u8]) -> bool {
    let mut at = 2;
    loop {
        // A marker is 0xff and a code; in a scan 0xff 0x00 is data, and 0xd0..=0xd7 restart it.
        match bytes.get(at..) {
            Some([0xff, 0xff, ..]) => at += 1,
            Some([0xff, 0xd9, ..]) => return true,
            Some([0xff, 0x00 | 0x01 | 0xd0..=0xd8, ..]) => at += 2,
            Some([0xff, _, high, low, ..]) => {
                at += 2 + usize::from(u16::from_be_bytes([*high, *low]));
            }
            Some([_, ..]) => at += 1,
            Some([]) | None => return false,
        }
    }
}
