//! BMP: 8 bits, with or without alpha.

use image::ImageFormat;

use super::{Alpha, Decoded, FileSource, Format, FormatError, Header, image_crate, only, unkept};
use crate::atomic::Sink;
use crate::data::{Attributes, Image, StoredType};

/// BMP files.
#[derive(Debug)]
pub struct Bmp;

impl Format for Bmp {
    fn name(&self) -> &'static str {
        "BMP"
    }

    fn extensions(&self) -> &'static [&'static str] {
        &["bmp", "dib"]
    }

    fn recognises(&self, start: &[u8]) -> bool {
        start.starts_with(b"BM")
    }

    fn header(&self, source: &mut dyn FileSource) -> Result<Header, FormatError> {
        let found = image_crate::header(source, ImageFormat::Bmp)?;
        let alpha = if found.alpha == Alpha::None { Alpha::None } else { Alpha::Unsure };
        Ok(Header { alpha, ..found })
    }

    fn decode(&self, bytes: &[u8], header: &Header, _page: usize) -> Result<Decoded, FormatError> {
        Ok(image_crate::decode(bytes, ImageFormat::Bmp, header)?.into())
    }

    fn holds(&self, channels: usize, stored: StoredType) -> bool {
        matches!(channels, 1 | 3) && stored == StoredType::U8
    }

    fn encode(
        &self,
        pages: &[Image],
        attributes: &Attributes,
        sink: &mut Sink,
        _quality: u8,
    ) -> Result<Vec<&'static str>, FormatError> {
        image_crate::encode(only(pages, self.name())?, sink, ImageFormat::Bmp)?;
        Ok(unkept(attributes))
    }
}
