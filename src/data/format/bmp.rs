//! BMP: 8 bits.

use image::ImageFormat;

use super::{Decoded, Format, FormatError, Source, library};
use crate::atomic::Sink;
use crate::data::{Image, ImageHeader};

/// BMP files.
#[derive(Debug)]
pub struct Bmp;

impl Format for Bmp {
    fn name(&self) -> &'static str {
        "BMP"
    }

    fn extensions(&self) -> &'static [&'static str] {
        &["bmp"]
    }

    fn recognises(&self, start: &[u8]) -> bool {
        start.starts_with(b"BM")
    }

    fn header(&self, source: &mut dyn Source) -> Result<ImageHeader, FormatError> {
        library::header(source, ImageFormat::Bmp)
    }

    fn decode(&self, bytes: &[u8]) -> Result<Decoded, FormatError> {
        library::decode(bytes, ImageFormat::Bmp)
    }

    fn encode(&self, image: &Image, sink: &mut Sink) -> Result<(), FormatError> {
        library::encode(image, sink, ImageFormat::Bmp)
    }
}
