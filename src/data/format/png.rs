//! PNG: grey or RGB, with alpha or a palette, of 1 to 16 bits. Of an animation the default image.
//!
//! Palettes, bits and profiles are kept; what texts and physical sizes say is not.
//!
//! Only the chunks that make the pixels reach the decoder: it would inflate profiles and texts, and one
//! megabyte of them can become gigabytes.

use std::io::{Cursor, Read, SeekFrom};

use flate2::read::ZlibDecoder;
use image::ImageFormat;
use png::{
    BitDepth, ColorType, Decoder, DecodingError, Encoder, EncodingError, Info, Limits,
    Transformations,
};

use super::{
    Alpha, Colours, Decoded, FileSource, Format, FormatError, Header, image_crate, metadata, only,
    skip_to, unkept,
};
use crate::atomic::Sink;
use crate::data::limits::{EXIF, METADATA, decoder_bytes};
use crate::data::stored::{ByteOrder, bytes_of, samples_of};
use crate::data::{Attributes, Image, StoredType};
use crate::tensor::Samples;

/// PNG files.
pub static PNG: Png = Png;

/// See [`PNG`].
#[derive(Debug)]
pub struct Png;

const SIGNATURE: &[u8] = b"\x89PNG\r\n\x1a\n";
/// Most bytes of a profile: those of printers have some.
const MOST_PROFILE: u64 = 8 << 20;
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
        if colour == 3 {
            (header.channels, header.colours) = (1, Colours::Palette);
        }
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

    fn decode(&self, bytes: &[u8], header: &Header, _page: usize) -> Result<Decoded, FormatError> {
        let image = pixels(&pixel_chunks(bytes), header)?;
        Ok(image.oriented(header.orientation).into())
    }

    fn attributes(
        &self,
        source: &mut dyn FileSource,
        header: &Header,
    ) -> Result<Attributes, FormatError> {
        let mut attributes = Attributes::new(header.stored);
        source.seek(SeekFrom::Start(SIGNATURE.len() as u64))?;
        loop {
            let (length, kind) = chunk_start(source)?;
            let behind = source.stream_position()? + length + AROUND - 8;
            let mut data = |most: u64| -> Result<Vec<u8>, FormatError> {
                let mut bytes = Vec::new();
                source.take(length.min(most)).read_to_end(&mut bytes)?;
                Ok(bytes)
            };
            match &kind {
                b"IHDR" => {
                    let bits = data(13)?.get(8).copied();
                    let whole = header.colours == Colours::Palette || header.alpha == Alpha::None;
                    attributes.bits = bits.filter(|&bits| bits < 8 && whole);
                }
                b"PLTE" if header.colours == Colours::Palette => {
                    let colours = data(3 * 256)?;
                    let colours = colours.chunks_exact(3).map(|c| [c[0], c[1], c[2]]);
                    attributes.palette = Some(colours.collect());
                }
                b"iCCP" => {
                    let chunk = data(METADATA)?;
                    let name = chunk.iter().take(80).position(|&b| b == 0).unwrap_or(0);
                    let mut profile = Vec::new();
                    let packed = ZlibDecoder::new(chunk.get(name + 2..).unwrap_or_default());
                    // One that does not inflate, or inflates to more than any has, is none.
                    let read = packed.take(MOST_PROFILE).read_to_end(&mut profile);
                    let whole = read.is_ok() && (profile.len() as u64) < MOST_PROFILE;
                    attributes.profile = Some(profile).filter(|_| whole);
                }
                b"IDAT" | b"IEND" => return Ok(attributes),
                _ => {}
            }
            skip_to(source, behind)?;
        }
    }

    fn holds(&self, channels: usize, stored: StoredType) -> bool {
        (1..=4).contains(&channels) && matches!(stored, StoredType::U8 | StoredType::U16)
    }

    fn encode(
        &self,
        pages: &[Image],
        attributes: &Attributes,
        sink: &mut Sink,
        _quality: u8,
    ) -> Result<Vec<&'static str>, FormatError> {
        let image = only(pages, self.name())?;
        let mut lost = unkept(attributes);
        lost.retain(|what| !matches!(*what, "the palette" | "the colour profile"));
        let plain = attributes.palette.is_none()
            && attributes.profile.is_none()
            && attributes.bits.is_none()
            && matches!(image.channels, 1 | 3)
            && attributes.stored == StoredType::of(image.samples.sample_type());
        match plain {
            true => image_crate::encode(image, sink, ImageFormat::Png)?,
            false => write(image, attributes, sink)?,
        }
        Ok(lost)
    }
}

/// The pixels of a PNG as they are stored, before they are turned.
fn pixels(bytes: &[u8], header: &Header) -> Result<Image, FormatError> {
    let limits = Limits { bytes: decoder_bytes(header.width, header.height) as usize };
    let mut decoder = Decoder::new_with_limits(Cursor::new(bytes), limits);
    // A colour that stands for transparent becomes alpha; the alpha of a palette stands beside its indices.
    let indexed = header.colours == Colours::Palette;
    let expand = header.alpha != Alpha::None && !indexed;
    decoder.set_transformations(match expand {
        true => Transformations::EXPAND,
        false => Transformations::IDENTITY,
    });
    let mut reader = decoder.read_info()?;
    let mut raw = vec![0; reader.output_buffer_size().ok_or(FormatError::TooLarge)?];
    let info = reader.next_frame(&mut raw)?;
    reader.finish()?;
    let (width, height) = (info.width as usize, info.height as usize);
    let stored = info.color_type.samples();
    let samples: Samples = match info.bit_depth {
        BitDepth::Sixteen => samples_of(&raw, StoredType::U16, ByteOrder::Big).0,
        BitDepth::Eight => Samples::U8(raw),
        few => {
            let bits = few as usize;
            let value = |line: &[u8], i: usize| {
                let at = i * bits;
                line[at / 8] >> (8 - bits - at % 8) & ((1 << bits) - 1)
            };
            let lines = raw.chunks_exact(info.line_size);
            let row = width * stored;
            Samples::U8(lines.flat_map(|line| (0..row).map(move |i| value(line, i))).collect())
        }
    };
    let alphas = reader.info().trns.clone().filter(|_| indexed && header.alpha != Alpha::None);
    let samples = match (alphas, samples) {
        (Some(alphas), Samples::U8(indices)) => {
            let alpha = |&i: &u8| alphas.get(usize::from(i)).copied().unwrap_or(u8::MAX);
            Samples::U8(indices.iter().flat_map(|i| [*i, alpha(i)]).collect())
        }
        (_, samples) => samples,
    };
    Image::new(width, height, header.channels, samples)
        .map_err(|_| FormatError::failed("its header and its pixels differ"))
}

/// Writes what the `image` crate does not: palettes, few bits, alpha, profiles.
fn write(image: &Image, attributes: &Attributes, sink: &mut Sink) -> Result<(), FormatError> {
    let Attributes { palette, profile, stored, .. } = attributes;
    let mut info = Info::with_size(image.width as u32, image.height as u32);
    let mut bytes = bytes_of(image.samples.as_slice(), *stored, ByteOrder::Big);
    let palette = palette.as_ref().filter(|_| image.channels == 1 && *stored == StoredType::U8);
    info.color_type = match (image.channels, palette) {
        (1, Some(_)) => ColorType::Indexed,
        (1, None) => ColorType::Grayscale,
        (2, _) => ColorType::GrayscaleAlpha,
        (3, _) => ColorType::Rgb,
        (4, _) => ColorType::Rgba,
        _ => return Err(FormatError::Unsupported(image.format().to_string())),
    };
    let most = bytes.iter().copied().max().unwrap_or(0);
    info.bit_depth = match (stored, attributes.bits) {
        (StoredType::U16, _) => BitDepth::Sixteen,
        (StoredType::U8, Some(bits @ (1 | 2 | 4))) if image.channels == 1 && most >> bits == 0 => {
            bytes = packed(&bytes, image.width, usize::from(bits));
            BitDepth::from_u8(bits).expect("one of the depths")
        }
        (StoredType::U8, _) => BitDepth::Eight,
        _ => return Err(FormatError::Unsupported(format!("samples of {stored}"))),
    };
    if let Some(palette) = palette {
        // Each index that a pixel has needs an entry.
        let mut entries: Vec<u8> = palette.iter().take(256).flatten().copied().collect();
        entries.resize(entries.len().max(3 * (usize::from(most) + 1)), 0);
        info.palette = Some(entries.into());
    }
    info.icc_profile = profile.as_ref().map(|profile| profile.into());
    let mut writer = Encoder::with_info(sink, info)?.write_header()?;
    writer.write_image_data(&bytes)?;
    writer.finish()?;
    Ok(())
}

/// Samples of so many bits, the first in the highest; rows begin at a byte.
fn packed(samples: &[u8], width: usize, bits: usize) -> Vec<u8> {
    let per_byte = 8 / bits;
    let byte = |part: &[u8]| {
        part.iter().enumerate().fold(0, |byte, (i, &v)| byte | v << (8 - bits * (i + 1)))
    };
    samples.chunks_exact(width).flat_map(|row| row.chunks(per_byte).map(byte)).collect()
}

impl From<DecodingError> for FormatError {
    fn from(error: DecodingError) -> Self {
        match error {
            DecodingError::IoError(e) => e.into(),
            DecodingError::LimitsExceeded => FormatError::TooLarge,
            e => FormatError::Failed(e.to_string()),
        }
    }
}

impl From<EncodingError> for FormatError {
    fn from(error: EncodingError) -> Self {
        match error {
            EncodingError::IoError(e) => e.into(),
            e => FormatError::Failed(e.to_string()),
        }
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

/// The bytes of a file of an 8-bit RGB image; `None` of others.
pub(in crate::data) fn rgb_png(image: &Image) -> Option<Vec<u8>> {
    let Samples::U8(samples) = &image.samples else { return None };
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, image.width as u32, image.height as u32);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    let mut writer = encoder.write_header().ok().filter(|_| image.channels == 3)?;
    writer.write_image_data(samples).ok()?;
    writer.finish().ok()?;
    Some(bytes)
}
