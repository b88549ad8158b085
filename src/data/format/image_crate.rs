//! What the `image` crate does for the formats: headers of some, pixels of all.

use std::io::{self, Cursor};

use image::{
    DynamicImage, ExtendedColorType, ImageDecoder, ImageError, ImageFormat, ImageReader, Limits,
};

use super::{Alpha, FileSource, FormatError, Header};
use crate::atomic::Sink;
use crate::data::limits::{METADATA, decoder_bytes};
use crate::data::{Image, StoredType};
use crate::tensor::{SampleType, Samples};

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

/// At most so many bytes of memory; sizes are checked by the caller, whose message can state them.
fn limits(bytes: u64) -> Limits {
    let mut limits = Limits::no_limits();
    limits.max_alloc = Some(bytes);
    limits
}

/// Reads the size and the kind of pixels of a file. Its metadata are left to the caller, since the
/// crate reads them without a limit.
pub fn header(source: &mut dyn FileSource, format: ImageFormat) -> Result<Header, FormatError> {
    let mut reader = ImageReader::with_format(source, format);
    reader.limits(limits(METADATA));
    let decoder = reader.into_decoder()?;
    let (width, height) = decoder.dimensions();
    let color = decoder.color_type();
    let alpha = if color.has_alpha() { Alpha::Straight } else { Alpha::None };
    let channels = usize::from(color.channel_count());
    let mut header = Header::new(width as usize, height as usize, channels, alpha);
    header.stored = match color.bytes_per_pixel() / color.channel_count() {
        1 => StoredType::U8,
        2 => StoredType::U16,
        _ => StoredType::F32,
    };
    Ok(header)
}

/// Decodes a whole file, and turns the image as its header says.
pub fn decode(bytes: &[u8], format: ImageFormat, header: &Header) -> Result<Image, FormatError> {
    let mut reader = ImageReader::with_format(Cursor::new(bytes), format);
    reader.limits(limits(decoder_bytes(header.width, header.height)));
    let mut decoded = DynamicImage::from_decoder(reader.into_decoder()?)?;
    decoded.apply_orientation(header.orientation);
    let (height, width) = (decoded.height() as usize, decoded.width() as usize);
    let color = decoded.color();
    let channels = usize::from(color.channel_count());
    if color.has_alpha() != (header.alpha != Alpha::None) {
        return Err(FormatError::failed("its header and its pixels differ in alpha"));
    }
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
    Ok(Image { height, width, channels, samples })
}

/// The crate's name for the pixels of grey or RGB with 8 or 16 bits.
pub fn color(image: &Image) -> Result<ExtendedColorType, FormatError> {
    match (image.channels, image.samples.sample_type()) {
        (1, SampleType::U8) => Ok(ExtendedColorType::L8),
        (3, SampleType::U8) => Ok(ExtendedColorType::Rgb8),
        (1, SampleType::U16) => Ok(ExtendedColorType::L16),
        (3, SampleType::U16) => Ok(ExtendedColorType::Rgb16),
        _ => Err(FormatError::Unsupported(image.format().to_string())),
    }
}

/// Writes grey or RGB with 8 or 16 bits, if the format has them.
pub fn encode(image: &Image, sink: &mut Sink, format: ImageFormat) -> Result<(), FormatError> {
    let (width, height) = (image.width as u32, image.height as u32);
    let bytes = image.samples.as_slice().bytes();
    Ok(image::write_buffer_with_format(sink, bytes, width, height, color(image)?, format)?)
}
