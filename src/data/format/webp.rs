//! WebP: RGB with 8 bits, with or without alpha; written without loss.

use image::ImageFormat;

use super::{Decoded, Format, FormatError, Source, library};
use crate::atomic::Sink;
use crate::data::{Image, ImageHeader};

/// WebP files.
#[derive(Debug)]
pub struct WebP;

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

    fn header(&self, source: &mut dyn Source) -> Result<ImageHeader, FormatError> {
        library::header(source, ImageFormat::WebP)
    }

    fn decode(&self, bytes: &[u8]) -> Result<Decoded, FormatError> {
        library::decode(bytes, ImageFormat::WebP)
    }

    fn encode(&self, image: &Image, sink: &mut Sink) -> Result<(), FormatError> {
        library::encode(image, sink, ImageFormat::WebP)
    }
}
