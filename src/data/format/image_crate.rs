//! Formats that the `image` crate reads and writes.

use std::io::{self, Cursor};

use image::metadata::Orientation;
use image::{
    DynamicImage, ExtendedColorType, ImageDecoder, ImageError, ImageFormat, ImageReader, Limits,
};

use super::{Decoded, FileSource, Format, FormatError};
use crate::atomic::Sink;
use crate::data::decode::MAX_BYTES;
use crate::data::{Image, ImageHeader};
use crate::tensor::{SampleType, Samples};

/// A format of the `image` crate that needs nothing beside it.
#[derive(Debug)]
pub struct ImageCrate {
    /// The crate's name of it.
    pub format: ImageFormat,
    /// See [`Format::name`].
    pub name: &'static str,
    /// See [`Format::extensions`].
    pub extensions: &'static [&'static str],
    /// See [`Format::recognises`].
    pub recognises: fn(&[u8]) -> bool,
}

impl Format for ImageCrate {
    fn name(&self) -> &'static str {
        self.name
    }

    fn extensions(&self) -> &'static [&'static str] {
        self.extensions
    }

    fn recognises(&self, start: &[u8]) -> bool {
        (self.recognises)(start)
    }

    fn header(&self, source: &mut dyn FileSource) -> Result<ImageHeader, FormatError> {
        header(source, self.format)
    }

    fn decode(&self, bytes: &[u8]) -> Result<Decoded, FormatError> {
        decode(bytes, self.format)
    }

    fn encode(&self, image: &Image, sink: &mut Sink) -> Result<(), FormatError> {
        encode(image, sink, self.format)
    }
}

impl From<ImageError> for FormatError {
    fn from(error: ImageError) -> Self {
        match error {
            ImageError::Unsupported(e) => FormatError::Unsupported(e.to_string()),
            ImageError::Limits(_) => FormatError::TooLarge,
            ImageError::IoError(e) => e.into(),
            e => FormatError::Failed(e.to_string()),
        }
    }
}

impl From<io::Error> for FormatError {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::UnexpectedEof => FormatError::CutShort,
            _ => FormatError::Failed(error.to_string()),
        }
    }
}

/// Reads the header of a file.
pub fn header(
    source: &mut dyn FileSource,
    format: ImageFormat,
) -> Result<ImageHeader, FormatError> {
    let mut reader = ImageReader::with_format(source, format);
    // The caller checks the size, so that its message can state it.
    reader.limits(Limits::no_limits());
    let mut decoder = reader.into_decoder()?;
    let (width, height) = decoder.dimensions();
    let alpha = decoder.color_type().has_alpha();
    let (width, height) = match orientation(&mut decoder) {
        Orientation::Rotate90
        | Orientation::Rotate270
        | Orientation::Rotate90FlipH
        | Orientation::Rotate270FlipH => (height, width),
        _ => (width, height),
    };
    Ok(ImageHeader { width: width as usize, height: height as usize, alpha })
}

/// Decodes a whole file.
pub fn decode(bytes: &[u8], format: ImageFormat) -> Result<Decoded, FormatError> {
    let mut reader = ImageReader::with_format(Cursor::new(bytes), format);
    let mut limits = Limits::default();
    limits.max_alloc = Some(MAX_BYTES);
    reader.limits(limits);
    let mut decoder = reader.into_decoder()?;
    let turn = orientation(&mut decoder);
    let mut decoded = DynamicImage::from_decoder(decoder)?;
    decoded.apply_orientation(turn);
    let (height, width) = (decoded.height() as usize, decoded.width() as usize);
    let color = decoded.color();
    let (channels, alpha) = (usize::from(color.channel_count()), color.has_alpha());
    let samples: Samples = match decoded {
        DynamicImage::ImageLuma8(p) => p.into_raw().into(),
        DynamicImage::ImageLumaA8(p) => p.into_raw().into(),
        DynamicImage::ImageRgb8(p) => p.into_raw().into(),
        DynamicImage::ImageRgba8(p) => p.into_raw().into(),
        DynamicImage::ImageLuma16(p) => p.into_raw().into(),
        DynamicImage::ImageLumaA16(p) => p.into_raw().into(),
        DynamicImage::ImageRgb16(p) => p.into_raw().into(),
        DynamicImage::ImageRgba16(p) => p.into_raw().into(),
        DynamicImage::ImageRgb32F(p) => p.into_raw().into(),
        DynamicImage::ImageRgba32F(p) => p.into_raw().into(),
        _ => return Err(FormatError::Unsupported(format!("pixels of {color:?}"))),
    };
    let image = Image { height, width, channels, samples };
    Ok(Decoded { image, alpha, turned: turn != Orientation::NoTransforms })
}

/// Writes grey or RGB with 8 or 16 bits, if the format has them.
pub fn encode(image: &Image, sink: &mut Sink, format: ImageFormat) -> Result<(), FormatError> {
    let color = match (image.channels, image.samples.sample_type()) {
        (1, SampleType::U8) => ExtendedColorType::L8,
        (3, SampleType::U8) => ExtendedColorType::Rgb8,
        (1, SampleType::U16) => ExtendedColorType::L16,
        (3, SampleType::U16) => ExtendedColorType::Rgb16,
        _ => return Err(FormatError::Unsupported(image.format().to_string())),
    };
    let (width, height) = (image.width as u32, image.height as u32);
    let bytes = image.samples.as_slice().bytes();
    Ok(image::write_buffer_with_format(sink, bytes, width, height, color, format)?)
}

/// The orientation; an image with unreadable EXIF data counts as upright, as in other programs.
fn orientation(decoder: &mut impl ImageDecoder) -> Orientation {
    decoder.orientation().unwrap_or(Orientation::NoTransforms)
}
