//! TIFF: grey or RGB with 8 or 16 bits, RGB floats; of several pages the first.

use image::ImageFormat;

use super::{Decoded, Format, FormatError, Source, library};
use crate::atomic::Sink;
use crate::data::{Image, ImageHeader};

/// TIFF files.
#[derive(Debug)]
pub struct Tiff;

impl Format for Tiff {
    fn name(&self) -> &'static str {
        "TIFF"
    }

    fn extensions(&self) -> &'static [&'static str] {
        &["tiff", "tif"]
    }

    fn recognises(&self, start: &[u8]) -> bool {
        // The second pair is BigTIFF.
        let marks: [&[u8]; 4] = [b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"];
        marks.iter().any(|mark| start.starts_with(mark))
    }

    fn header(&self, source: &mut dyn Source) -> Result<ImageHeader, FormatError> {
        library::header(source, ImageFormat::Tiff)
    }

    fn decode(&self, bytes: &[u8]) -> Result<Decoded, FormatError> {
        library::decode(bytes, ImageFormat::Tiff)
    }

    fn encode(&self, image: &Image, sink: &mut Sink) -> Result<(), FormatError> {
        library::encode(image, sink, ImageFormat::Tiff)
    }
}
