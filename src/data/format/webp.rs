//! WebP: RGB with 8 bits, with or without alpha and a colour profile; written without loss. Of an animation the first frame.

use std::io::{Read, SeekFrom};

use image::codecs::webp::WebPEncoder;
use image::{
    ExtendedColorType, ImageDecoder, ImageEncoder, ImageError, ImageFormat, ImageReader, Limits,
};

use super::{
    Decoded, FileSource, Format, FormatError, Header, image_crate, metadata, only, unkept,
};
use crate::atomic::Sink;
use crate::data::limits::{EXIF, METADATA};
use crate::data::{Attributes, Image, StoredType};
use crate::tensor::SampleType;

/// WebP files.
#[derive(Debug)]
pub struct WebP;

/// Most chunks that are looked at: those of an animation of an hour.
const MAX_CHUNKS: usize = 1 << 18;

impl Format for WebP {
    fn name(&self) -> &'static str {
        "WebP"
    }

    fn extensions(&self) -> &'static [&'static str] {
        &["webp"]
    }

    fn recognises(&self, start: &[u8]) -> bool {
        start.starts_with(b"RIFF") && start.get(8..12) == Some(b"WEBP")
    }

    fn header(&self, source: &mut dyn FileSource) -> Result<Header, FormatError> {
        let mut header = image_crate::header(source, ImageFormat::WebP)?;
        source.seek(SeekFrom::Start(12))?;
        let mut frames = 0usize;
        for _ in 0..MAX_CHUNKS {
            let mut start = [0; 8];
            if source.read_exact(&mut start).is_err() {
                break;
            }
            let [a, b, c, d, size @ ..] = start;
            let length = u64::from(u32::from_le_bytes(size));
            let data = source.stream_position()?;
            match &[a, b, c, d] {
                b"ANMF" => frames += 1,
                b"EXIF" => {
                    let mut bytes = Vec::new();
                    source.take(length.min(EXIF)).read_to_end(&mut bytes)?;
                    header.turn(metadata::orientation(&bytes));
                }
                b"ICCP" => {
                    let mut bytes = Vec::new();
                    source.take(length.min(metadata::PROFILE_START)).read_to_end(&mut bytes)?;
                    header.notes.profile = !metadata::is_srgb(&bytes);
                }
                _ => {}
            }
            source.seek(SeekFrom::Start(data + length + length % 2))?;
        }
        header.notes.more_frames = frames.saturating_sub(1);
        Ok(header)
    }

    fn attributes(
        &self,
        source: &mut dyn FileSource,
        header: &Header,
    ) -> Result<Attributes, FormatError> {
        source.seek(SeekFrom::Start(0))?;
        let mut reader = ImageReader::with_format(source, ImageFormat::WebP);
        let mut limits = Limits::no_limits();
        limits.max_alloc = Some(METADATA);
        reader.limits(limits);
        let profile = reader.into_decoder()?.icc_profile()?;
        Ok(Attributes { profile, ..Attributes::new(header.stored) })
    }

    fn decode(&self, bytes: &[u8], header: &Header, _page: usize) -> Result<Decoded, FormatError> {
        Ok(image_crate::decode(bytes, ImageFormat::WebP, header)?.into())
    }

    fn holds(&self, channels: usize, stored: StoredType) -> bool {
        matches!(channels, 3 | 4) && stored == StoredType::U8
    }

    fn encode(
        &self,
        pages: &[Image],
        attributes: &Attributes,
        sink: &mut Sink,
        _quality: u8,
    ) -> Result<Vec<&'static str>, FormatError> {
        let image = only(pages, self.name())?;
        let color = match image.channels {
            4 if image.samples.sample_type() == SampleType::U8 => ExtendedColorType::Rgba8,
            _ => image_crate::color(image)?,
        };
        let mut lost = unkept(attributes);
        let mut encoder = WebPEncoder::new_lossless(sink);
        if let Some(profile) = &attributes.profile {
            encoder.set_icc_profile(profile.clone()).map_err(ImageError::Unsupported)?;
            lost.retain(|what| *what != "the colour profile");
        }
        let (width, height) = (image.width as u32, image.height as u32);
        encoder.write_image(image.samples.as_slice().bytes(), width, height, color)?;
        Ok(lost)
    }
}
