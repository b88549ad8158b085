//! BMP: 8 bits, with or without alpha, or indices into a palette; grey where the palette is.

use std::collections::HashMap;
use std::io::{Read, SeekFrom};

use image::ImageFormat;
use image::codecs::bmp::BmpEncoder;

use super::{
    Alpha, Colours, Decoded, FileSource, Format, FormatError, Header, image_crate, is_grey, only,
    unkept,
};
use crate::atomic::Sink;
use crate::data::{Attributes, Image, PixelFormat, StoredType};
use crate::tensor::{SampleType, Samples};

/// BMP files.
#[derive(Debug)]
pub struct Bmp;

/// Pixels that may be indices.
const INDICES: PixelFormat = PixelFormat { channels: 1, samples: SampleType::U8 };
/// Bytes before the header of the picture.
const FILE_HEADER: u64 = 14;
/// Length of the oldest header, whose palette has three bytes a colour.
const CORE: u32 = 12;

/// The palette of a file; none where pixels have 16 bits or more.
fn palette(source: &mut dyn FileSource) -> Result<Option<Vec<[u8; 3]>>, FormatError> {
    source.seek(SeekFrom::Start(FILE_HEADER))?;
    let mut head = [0; 40];
    source.read_exact(&mut head[..12])?;
    let number =
        |head: &[u8; 40], at: usize| u32::from_le_bytes([0, 1, 2, 3].map(|i| head[at + i]));
    let length = number(&head, 0);
    let (bits, named, size) = if length == CORE {
        (u16::from_le_bytes([head[10], head[11]]), 0, 3)
    } else {
        source.read_exact(&mut head[12..])?;
        (u16::from_le_bytes([head[14], head[15]]), number(&head, 32), 4)
    };
    if !(1..=8).contains(&bits) {
        return Ok(None);
    }
    let most = 1 << bits;
    let count = if named == 0 { most } else { named.min(most) };
    source.seek(SeekFrom::Start(FILE_HEADER + u64::from(length)))?;
    let mut bytes = Vec::new();
    source.take(u64::from(count) * size).read_to_end(&mut bytes)?;
    let colours = bytes.chunks_exact(size as usize).map(|c| [c[2], c[1], c[0]]);
    Ok(Some(colours.collect()))
}

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
        if let Some(palette) = palette(source)? {
            let mut header = Header::new(found.width, found.height, 1, Alpha::None);
            if !is_grey(&palette) {
                header.colours = Colours::Palette;
            }
            return Ok(header);
        }
        let alpha = if found.alpha == Alpha::None { Alpha::None } else { Alpha::Unsure };
        Ok(Header { alpha, ..found })
    }

    fn attributes(
        &self,
        source: &mut dyn FileSource,
        header: &Header,
    ) -> Result<Attributes, FormatError> {
        let palette = match header.colours {
            Colours::Palette => palette(source)?,
            _ => None,
        };
        Ok(Attributes { palette, ..Attributes::new(header.stored) })
    }

    fn decode(&self, bytes: &[u8], header: &Header, _page: usize) -> Result<Decoded, FormatError> {
        let image = image_crate::decode(bytes, ImageFormat::Bmp, header)?;
        let (1, Samples::U8(colours)) = (header.channels, &image.samples) else {
            return Ok(image.into());
        };
        let colours = colours.chunks_exact(image.channels);
        let samples: Vec<u8> = match header.colours {
            Colours::Palette => {
                let palette = palette(&mut std::io::Cursor::new(bytes))?.unwrap_or_default();
                // Of equal colours the first.
                let entries = palette.into_iter().enumerate().rev();
                let places: HashMap<[u8; 3], u8> = entries.map(|(i, c)| (c, i as u8)).collect();
                let index = |c: &[u8]| places.get(&[c[0], c[1], c[2]]).copied();
                colours
                    .map(|c| {
                        index(c).ok_or_else(|| {
                            FormatError::failed("a colour that is not in its palette")
                        })
                    })
                    .collect::<Result<_, _>>()?
            }
            _ => colours.map(|colour| colour[0]).collect(),
        };
        Ok(Image { channels: 1, samples: samples.into(), ..image }.into())
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
        let image = only(pages, self.name())?;
        let mut lost = unkept(attributes);
        let palette = attributes.palette.as_ref().filter(|_| image.format() == INDICES);
        let Some(palette) = palette else {
            image_crate::encode(image, sink, ImageFormat::Bmp)?;
            return Ok(lost);
        };
        // Indices behind the palette are black.
        let mut colours = palette.clone();
        colours.resize(256, [0; 3]);
        let (width, height) = (image.width as u32, image.height as u32);
        BmpEncoder::new(sink).encode_with_palette(
            image.samples.as_slice().bytes(),
            width,
            height,
            image_crate::color(image)?,
            Some(&colours),
        )?;
        lost.retain(|what| *what != "the palette");
        Ok(lost)
    }
}
