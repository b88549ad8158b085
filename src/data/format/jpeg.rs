//! JPEG: grey, RGB or CMYK with 8 bits.
//!
//! A JPEG whose data end early or do not decode is refused. The decoder fills with grey what it misses
//! and makes something of any bits, so the scans are checked before it ([`jpeg_scan`]).

use std::collections::BTreeMap;
use std::io::{Read, SeekFrom};

use image::codecs::jpeg::JpegEncoder;
use image::{ImageEncoder, ImageError, ImageFormat};

use super::{
    Alpha, Colours, Decoded, FileSource, Format, FormatError, Header, image_crate, jpeg_scan,
    metadata, only, skip_to, unkept,
};
use crate::atomic::Sink;
use crate::data::limits::METADATA;
use crate::data::{Attributes, Image, StoredType};

/// JPEG files.
#[derive(Debug)]
pub struct Jpeg;

/// See [`Format::name`].
pub const NAME: &str = "JPEG";

/// What a segment with a part of a colour profile begins with.
const PROFILE: &[u8] = b"ICC_PROFILE\0";

/// The end of an image.
const END: [u8; 2] = [0xff, 0xd9];

impl Format for Jpeg {
    fn name(&self) -> &'static str {
        NAME
    }

    fn extensions(&self) -> &'static [&'static str] {
        &["jpg", "jpeg", "jpe", "jfif", "jif"]
    }

    fn recognises(&self, start: &[u8]) -> bool {
        start.starts_with(&[0xff, 0xd8, 0xff])
    }

    fn header(&self, source: &mut dyn FileSource) -> Result<Header, FormatError> {
        source.seek(SeekFrom::Start(2))?;
        let mut header = Header::new(0, 0, 3, Alpha::None);
        let mut framed = false;
        loop {
            let marker = next_marker(source)?;
            if matches!(marker, 0x01 | 0xd0..=0xd8) {
                continue;
            }
            let mut length = [0; 2];
            source.read_exact(&mut length)?;
            let at = source.stream_position()?;
            let length = u64::from(u16::from_be_bytes(length)).saturating_sub(2);
            match marker {
                0xda if framed => return Ok(header),
                0xda | 0xd9 => return Err(FormatError::failed("no size before its pixels")),
                0xc0..=0xc2 => {
                    let mut frame = [0; 6];
                    source.read_exact(&mut frame)?;
                    let [depth, high, low, left, right, components] = frame;
                    if depth != 8 {
                        return Err(FormatError::Unsupported(format!("JPEG with {depth} bits")));
                    }
                    header.height = usize::from(u16::from_be_bytes([high, low]));
                    header.width = usize::from(u16::from_be_bytes([left, right]));
                    if components == 1 {
                        (header.channels, header.colours) = (1, Colours::Grey);
                    }
                    framed = true;
                }
                0xc3 | 0xc5..=0xc7 | 0xc9..=0xcb | 0xcd..=0xcf => {
                    let kind =
                        if marker < 0xc9 { "lossless or hierarchical" } else { "arithmetic" };
                    return Err(FormatError::Unsupported(format!("JPEG with {kind} coding")));
                }
                0xe1 | 0xe2 => {
                    let mut bytes = Vec::new();
                    source.take(length).read_to_end(&mut bytes)?;
                    if bytes.starts_with(b"Exif\0\0") {
                        header.turn(metadata::orientation(&bytes));
                    } else if bytes
                        .strip_prefix(PROFILE)
                        .is_some_and(|part| part.len() > 2 && part[0] == 1)
                    {
                        // The first of the segments that a profile is cut into.
                        header.notes.profile = !metadata::is_srgb(&bytes[14..]);
                    } else if let Some(index) = bytes.strip_prefix(b"MPF\0") {
                        header.notes.more_frames =
                            metadata::images_in_index(index).saturating_sub(1);
                    }
                }
                _ => {}
            }
            skip_to(source, at + length)?;
        }
    }

    fn attributes(
        &self,
        source: &mut dyn FileSource,
        header: &Header,
    ) -> Result<Attributes, FormatError> {
        let mut attributes = Attributes::new(header.stored);
        // The segments of a profile, by their numbers from 1.
        let mut parts = BTreeMap::new();
        source.seek(SeekFrom::Start(2))?;
        loop {
            let marker = next_marker(source)?;
            if matches!(marker, 0x01 | 0xd0..=0xd8) {
                continue;
            }
            if matches!(marker, 0xd9 | 0xda) {
                break;
            }
            let mut length = [0; 2];
            source.read_exact(&mut length)?;
            let at = source.stream_position()?;
            let length = u64::from(u16::from_be_bytes(length)).saturating_sub(2);
            if marker == 0xe2 {
                let mut bytes = Vec::new();
                source.take(length).read_to_end(&mut bytes)?;
                if let Some([number, count, part @ ..]) = bytes.strip_prefix(PROFILE) {
                    parts.insert(*number, (*count, part.to_vec()));
                }
            }
            skip_to(source, at + length)?;
        }
        // One of which a segment is missing is none.
        let whole = parts.values().all(|(count, _)| usize::from(*count) == parts.len());
        if whole && !parts.is_empty() && parts.keys().copied().eq(1..=parts.len() as u8) {
            attributes.profile = Some(parts.into_values().flat_map(|(_, part)| part).collect());
        }
        Ok(attributes)
    }

    fn decode(&self, bytes: &[u8], header: &Header, _page: usize) -> Result<Decoded, FormatError> {
        if jpeg_scan::check(bytes)? == jpeg_scan::End::Marked {
            return Ok(image_crate::decode(bytes, ImageFormat::Jpeg, header)?.into());
        }
        // Whole but for its end mark, without which the decoder may take its last rows for missing.
        Ok(image_crate::decode(&[bytes, &END].concat(), ImageFormat::Jpeg, header)?.into())
    }

    fn holds(&self, channels: usize, stored: StoredType) -> bool {
        matches!(channels, 1 | 3) && stored == StoredType::U8
    }

    fn encode(
        &self,
        pages: &[Image],
        attributes: &Attributes,
        sink: &mut Sink,
        quality: u8,
    ) -> Result<Vec<&'static str>, FormatError> {
        let image = only(pages, NAME)?;
        let [width, height] = [image.width, image.height].map(|n| n as u32);
        let bytes = image.samples.as_slice().bytes();
        let color = image_crate::color(image)?;
        let mut encoder = JpegEncoder::new_with_quality(sink, quality);
        let mut lost = unkept(attributes);
        if let Some(profile) = &attributes.profile {
            encoder.set_icc_profile(profile.clone()).map_err(ImageError::Unsupported)?;
            lost.retain(|what| *what != "the colour profile");
        }
        encoder.encode(bytes, width, height, color)?;
        Ok(lost)
    }
}

/// The code of the next marker. What stands before it is passed over, as other programs do.
fn next_marker(source: &mut dyn FileSource) -> Result<u8, FormatError> {
    let mut before = 0;
    loop {
        let mut byte = [0];
        source.read_exact(&mut byte)?;
        match byte[0] {
            0 | 0xff => {}
            code if before == 0xff => {
                if source.stream_position()? > METADATA {
                    return Err(FormatError::Metadata);
                }
                return Ok(code);
            }
            _ if source.stream_position()? > METADATA => return Err(FormatError::Metadata),
            _ => {}
        }
        // A zero behind 0xff is data, and fill bytes of 0xff may stand before any marker.
        before = byte[0];
    }
}
