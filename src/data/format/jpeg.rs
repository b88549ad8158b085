//! JPEG: grey, RGB or CMYK with 8 bits.
//!
//! A JPEG that is cut short is refused, never filled with grey: the decoder would do that, so one without
//! its end mark is refused before it is asked.

use std::io::{Cursor, Read};

use image::ImageFormat;

use super::{Decoded, Format, FormatError, Source, library};
use crate::atomic::Sink;
use crate::data::{Image, ImageHeader};

/// Bytes that are read for a header; larger headers are found by reading all of the file.
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

    fn header(&self, source: &mut dyn Source) -> Result<ImageHeader, FormatError> {
        // The decoder reads all of what it is given.
        let mut bytes = Vec::new();
        source.take(PREFIX).read_to_end(&mut bytes)?;
        let found = library::header(&mut Cursor::new(&bytes), ImageFormat::Jpeg);
        if found.is_ok() || source.read_to_end(&mut bytes)? == 0 {
            return found;
        }
        library::header(&mut Cursor::new(&bytes), ImageFormat::Jpeg)
    }

    fn decode(&self, bytes: &[u8]) -> Result<Decoded, FormatError> {
        if !ends(bytes) {
            return Err(FormatError::CutShort);
        }
        library::decode(bytes, ImageFormat::Jpeg)
    }

    fn encode(&self, image: &Image, sink: &mut Sink) -> Result<(), FormatError> {
        library::encode(image, sink, ImageFormat::Jpeg)
    }
}

/// Whether there is an end mark after a scan: a walk over its segments, so that the end mark of
/// an embedded thumbnail does not count.
fn ends(bytes: &[u8]) -> bool {
    let mut at = 2;
    loop {
        // To the next marker: 0xff and a code; in a scan 0xff 0x00 is data and 0xd0..=0xd7 restart.
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
