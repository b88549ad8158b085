//! PNG: grey or RGB, with alpha or a palette, 8 or 16 bits. Of an animation the default image.
//!
//! Only the chunks that make the pixels reach the decoder: it would inflate profiles and texts, and one
//! megabyte of them can become gigabytes.

use std::io::{Read, SeekFrom};

use flate2::read::ZlibDecoder;
use image::ImageFormat;

use super::{
    Alpha, FileSource, Format, FormatError, Header, image_crate, metadata, only, skip_to, unkept,
};
use crate::atomic::Sink;
use crate::data::limits::{EXIF, METADATA};
use crate::data::{Attributes, Image, StoredType};

/// PNG files.
pub static PNG: Png = Png;

/// See [`PNG`].
#[derive(Debug)]
pub struct Png;

const SIGNATURE: &[u8] = b"\x89PNG\r\n\x1a\n";
/// Length and type before a chunk's data, and the checksum behind them.
const AROUND: u64 = 12;

impl Format for Png {
    fn name(&self) -> &'static str {
        "PNG"
    }

    fn extensions(&self) -> &'static [&'static str] {
        &["png", "apng"]
    }

    fn recognises(&self, start: &[u8]) -> bool {
        start.starts_with(SIGNATURE)
    }

    fn header(&self, source: &mut dyn FileSource) -> Result<Header, FormatError> {
        source.seek(SeekFrom::Start(SIGNATURE.len() as u64))?;
        let (length, kind) = chunk_start(source)?;
        if (length, &kind) != (13, b"IHDR") {
            return Err(FormatError::failed("it does not begin with its size"));
        }
        let mut data = [0; 17];
        source.read_exact(&mut data)?;
        let number = |at: usize| u32::from_be_bytes([0, 1, 2, 3].map(|i| data[at + i]));
        let mut sum = crc32fast::Hasher::new();
        sum.update(&kind);
        sum.update(&data[..13]);
        if sum.finalize() != number(13) {
            return Err(FormatError::failed("the checksum of its header is wrong"));
        }
        let (depth, colour) = (data[8], data[9]);
        let alpha = if matches!(colour, 4 | 6) { Alpha::Straight } else { Alpha::None };
        let channels = [1, 0, 3, 3, 2, 0, 4].get(usize::from(colour)).copied().unwrap_or(0).max(1);
        let mut header = Header::new(number(0) as usize, number(4) as usize, channels, alpha);
        if depth == 16 {
            header.stored = StoredType::U16;
        }
        // Everything before the first pixels: a key colour, a profile, the orientation, frames.
        loop {
            if source.stream_position()? > METADATA {
                return Err(FormatError::Metadata);
            }
            let (length, kind) = chunk_start(source)?;
            let behind = source.stream_position()? + length + AROUND - 8;
            match &kind {
                b"IDAT" => return Ok(header),
                b"IEND" => return Err(FormatError::CutShort),
                // The decoder takes whole colours for granted.
                b"PLTE" if length == 0 || length % 3 != 0 || length > 3 * 256 => {
                    return Err(FormatError::failed(format!("a palette of {length} bytes")));
                }
                b"tRNS" => {
                    header.alpha = Alpha::Straight;
                    header.notes.alpha = true;
                    header.channels += 1;
                }
                b"eXIf" => {
                    let mut bytes = Vec::new();
                    source.take(length.min(EXIF)).read_to_end(&mut bytes)?;
                    header.turn(metadata::orientation(&bytes));
                }
                b"iCCP" => {
                    let mut bytes = Vec::new();
                    source.take(length.min(metadata::PROFILE_START)).read_to_end(&mut bytes)?;
                    header.notes.profile = !profile_is_srgb(&bytes);
                }
                b"acTL" => {
                    let mut frames = [0; 4];
                    source.read_exact(&mut frames)?;
                    header.notes.more_frames =
                        (u32::from_be_bytes(frames) as usize).saturating_sub(1);
                }
                _ => {}
            }
            skip_to(source, behind)?;
        }
    }

    fn decode(&self, bytes: &[u8], header: &Header, _page: usize) -> Result<Image, FormatError> {
        image_crate::decode(&pixel_chunks(bytes), ImageFormat::Png, header)
    }

    fn holds(&self, channels: usize, stored: StoredType) -> bool {
        matches!(channels, 1 | 3) && matches!(stored, StoredType::U8 | StoredType::U16)
    }

    fn encode(
        &self,
        pages: &[Image],
        attributes: &Attributes,
        sink: &mut Sink,
        _quality: u8,
    ) -> Result<Vec<&'static str>, FormatError> {
        image_crate::encode(only(pages, self.name())?, sink, ImageFormat::Png)?;
        Ok(unkept(attributes))
    }
}

/// The length and the type of a chunk.
fn chunk_start(source: &mut dyn FileSource) -> Result<(u64, [u8; 4]), FormatError> {
    let mut start = [0; 8];
    source.read_exact(&mut start)?;
    let [a, b, c, d, kind @ ..] = start;
    Ok((u64::from(u32::from_be_bytes([a, b, c, d])), kind))
}

/// Whether the data of an iCCP chunk, or the start of it, are sRGB. No more than the first bytes of the
/// profile are inflated.
fn profile_is_srgb(chunk: &[u8]) -> bool {
    let name = chunk.iter().take(80).position(|&b| b == 0).unwrap_or(0);
    let mut profile = Vec::new();
    if let Some(packed) = chunk.get(name + 2..) {
        // Data that do not inflate are as good as none.
        let _ = ZlibDecoder::new(packed).take(metadata::PROFILE_START).read_to_end(&mut profile);
    }
    metadata::is_srgb(&profile)
}

/// A file without the chunks that a decoder may leave out (their type begins with a small letter),
/// except the key colour. What is cut off is copied as it is, for the decoder to find.
fn pixel_chunks(bytes: &[u8]) -> Vec<u8> {
    let mut kept = bytes[..SIGNATURE.len().min(bytes.len())].to_vec();
    let mut rest = &bytes[kept.len()..];
    while let Some(&[a, b, c, d, kind, ..]) = rest.first_chunk::<8>().map(|s| s as &[u8]) {
        let length = u64::from(u32::from_be_bytes([a, b, c, d])) + AROUND;
        let (chunk, behind) = rest.split_at((length as usize).min(rest.len()));
        if kind.is_ascii_uppercase() || chunk[4..].starts_with(b"tRNS") {
            kept.extend_from_slice(chunk);
        }
        rest = behind;
    }
    kept
}
