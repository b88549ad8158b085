//! PNG: grey or RGB, with alpha or a palette, 8 or 16 bits.

use image::ImageFormat;

use super::{Decoded, Format, FormatError, Source, library};
use crate::atomic::Sink;
use crate::data::{Image, ImageHeader};

/// PNG files.
#[derive(Debug)]
pub struct Png;

impl Format for Png {
    fn name(&self) -> &'static str {
        "PNG"
    }

    fn extensions(&self) -> &'static [&'static str] {
        &["png"]
    }

    fn recognises(&self, start: &[u8]) -> bool {
        start.starts_with(b"\x89PNG\r\n\x1a\n")
    }

    fn header(&self, source: &mut dyn Source) -> Result<ImageHeader, FormatError> {
        library::header(source, ImageFormat::Png)
    }

    fn decode(&self, bytes: &[u8]) -> Result<Decoded, FormatError> {
        library::decode(bytes, ImageFormat::Png)
    }

    fn encode(&self, image: &Image, sink: &mut Sink) -> Result<(), FormatError> {
        library::encode(image, sink, ImageFormat::Png)
    }
}
