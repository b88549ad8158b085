//! TIFF and BigTIFF: integers of 1 to 64 bits and floats, any number of channels, strips and tiles, chunky and
//! planar; uncompressed, LZW, deflate, PackBits and Zstandard. Pages of the size and kind of the first are the
//! pages of the file.
//!
//! Strips and tiles are taken apart here, since the `image` and `tiff` crates read neither palettes, nor
//! twelve bits, nor a part of an image, and write no tags; unpacking is left to crates. JPEG and fax
//! compression, CMYK, YCbCr and CIELab are left to the `image` crate.

mod chunk;
mod describe;
mod directory;
mod kept;
mod layout;
mod window;
mod write;

use std::io::{Cursor, SeekFrom};

use image::ImageFormat;
use image::metadata::Orientation;

use super::{
    Alpha, Colours, Decoded, FileSource, Format, FormatError, Header, RowWriter, image_crate,
    jpeg_scan, metadata,
};
use crate::atomic::Sink;
use crate::data::{Attributes, Image, Notes, StoredType, WindowSource};
use crate::tensor::Samples;

use directory::{Chain, Directory};
use layout::{Layout, MAX_CHANNELS};
pub use write::Writer;

/// TIFF files.
#[derive(Debug)]
pub struct Tiff;

/// Tags of a page.
mod tag {
    pub const KIND: u16 = 254;
    pub const WIDTH: u16 = 256;
    pub const HEIGHT: u16 = 257;
    pub const BITS: u16 = 258;
    pub const COMPRESSION: u16 = 259;
    pub const COLOURS: u16 = 262;
    pub const DESCRIPTION: u16 = 270;
    pub const STRIPS: u16 = 273;
    pub const ORIENTATION: u16 = 274;
    pub const CHANNELS: u16 = 277;
    pub const ROWS_PER_STRIP: u16 = 278;
    pub const STRIP_BYTES: u16 = 279;
    pub const PLANAR: u16 = 284;
    pub const PREDICTOR: u16 = 317;
    pub const PALETTE: u16 = 320;
    pub const TILE_WIDTH: u16 = 322;
    pub const TILE_HEIGHT: u16 = 323;
    pub const TILES: u16 = 324;
    pub const TILE_BYTES: u16 = 325;
    pub const EXTRA_SAMPLES: u16 = 338;
    pub const SAMPLE_FORMAT: u16 = 339;
    pub const JPEG_TABLES: u16 = 347;
    pub const PROFILE: u16 = 34_675;
    pub const GDAL_METADATA: u16 = 42_112;
    pub const GDAL_NODATA: u16 = 42_113;
}

/// Most strips or tiles of a page that are looked at for JPEG data: as many as lines that a picture may have.
const MAX_PARTS: u64 = 1 << 16;

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

    fn header(&self, source: &mut dyn FileSource) -> Result<Header, FormatError> {
        let first = first(source)?;
        let layout = Layout::of(&first, source)?;
        let mut header = match &layout {
            Some(layout) => native_header(&first, layout, source)?,
            None => converted_header(&first, source)?,
        };
        let turn = first.number(source, tag::ORIENTATION)?.unwrap_or(1).min(255) as u8;
        header.turn(Orientation::from_exif(turn).unwrap_or(Orientation::NoTransforms));
        let profile = first.bytes(source, tag::PROFILE, metadata::PROFILE_START)?;
        header.notes.profile = profile.is_some_and(|profile| !metadata::is_srgb(&profile));
        // What the first page shows is readable; pages behind it may be anything.
        let mut chain = Chain::new(source)?;
        chain.next()?;
        while let Ok(Some(page)) = chain.next() {
            let source = chain.source();
            if page.number(source, tag::KIND)?.unwrap_or(0) & 5 != 0 {
                // A smaller copy or a mask of another page.
                continue;
            }
            let alike = layout.as_ref().is_some_and(|layout| {
                matches!(Layout::of(&page, source), Ok(Some(other)) if layout.like(&other))
            });
            header.pages += usize::from(alike);
            header.notes.more_frames += 1;
        }
        Ok(header)
    }

    fn attributes(
        &self,
        source: &mut dyn FileSource,
        header: &Header,
    ) -> Result<Attributes, FormatError> {
        let page = first(source)?;
        kept::attributes(&page, source, header)
    }

    fn decode(&self, bytes: &[u8], header: &Header, page: usize) -> Result<Decoded, FormatError> {
        let mut source = Cursor::new(bytes);
        let first = first(&mut source)?;
        let Some(layout) = Layout::of(&first, &mut source)? else {
            check_jpeg(&first, bytes)?;
            return Ok(image_crate::decode(bytes, ImageFormat::Tiff, header)?.into());
        };
        let layout = if page == 0 { layout } else { nth(&mut source, &layout, page)? };
        let (image, rounded) = whole(&layout, &mut source)?;
        Ok(Decoded { image: image.oriented(header.orientation), rounded })
    }

    fn windows(
        &self,
        mut source: Box<dyn FileSource + Send>,
        header: &Header,
    ) -> Result<Option<Box<dyn WindowSource>>, FormatError> {
        let first = first(&mut *source)?;
        let layout = Layout::of(&first, &mut *source)?;
        let upright = header.orientation == Orientation::NoTransforms;
        let Some(layout) = layout.filter(|_| upright) else { return Ok(None) };
        Ok(Some(Box::new(window::Windows::new(layout, source))))
    }

    fn writes_rows(&self) -> bool {
        true
    }

    fn encode_rows<'a>(
        &self,
        [width, height]: [usize; 2],
        channels: usize,
        attributes: &'a Attributes,
        sink: &'a mut Sink,
    ) -> Result<Box<dyn RowWriter + 'a>, FormatError> {
        let samples = (width as u64).saturating_mul(height as u64).saturating_mul(channels as u64);
        let mut writer = Writer::for_samples(sink, samples, 1, attributes)?;
        writer.begin(width, height, channels)?;
        Ok(Box::new(writer))
    }

    fn holds(&self, channels: usize, _stored: StoredType) -> bool {
        channels as u64 <= MAX_CHANNELS
    }

    fn encode(
        &self,
        pages: &[Image],
        attributes: &Attributes,
        sink: &mut Sink,
        _quality: u8,
    ) -> Result<Vec<&'static str>, FormatError> {
        let mut writer = Writer::new(sink, pages, attributes)?;
        for page in pages {
            writer.begin(page.width, page.height, page.channels)?;
            writer.rows(page)?;
            writer.end()?;
        }
        writer.finish()
    }
}

impl RowWriter for Writer<'_> {
    fn rows(&mut self, rows: &Image) -> Result<(), FormatError> {
        Writer::rows(self, rows)
    }

    fn finish(mut self: Box<Self>) -> Result<Vec<&'static str>, FormatError> {
        self.end()?;
        Writer::finish(*self)
    }
}

/// The first page.
fn first(source: &mut dyn FileSource) -> Result<Directory, FormatError> {
    Chain::new(source)?.next()?.ok_or_else(|| FormatError::failed("it has no page"))
}

/// The layout of page `page` of those like the first.
fn nth(source: &mut dyn FileSource, like: &Layout, page: usize) -> Result<Layout, FormatError> {
    let mut chain = Chain::new(source)?;
    let mut met = 0;
    while let Some(directory) = chain.next()? {
        let source = chain.source();
        if directory.number(source, tag::KIND)?.unwrap_or(0) & 5 != 0 {
            continue;
        }
        if let Ok(Some(layout)) = Layout::of(&directory, source)
            && layout.like(like)
        {
            if met == page {
                return Ok(layout);
            }
            met += 1;
        }
    }
    Err(FormatError::CutShort)
}

impl Layout {
    /// Whether two pages have one size and one kind of samples.
    fn like(&self, other: &Layout) -> bool {
        let of = |l: &Layout| (l.width, l.height, l.channels, l.bits, l.stored);
        of(self) == of(other)
    }
}

/// All samples of a page, and how many of them had to be rounded.
fn whole(layout: &Layout, source: &mut dyn FileSource) -> Result<(Image, usize), FormatError> {
    let (mut rounded, mut image) = (0, None);
    let Layout { width, height, channels, .. } = *layout;
    if !layout.planar && !layout.tiled {
        // Strips of whole rows are the image, one behind the other.
        let mut all: Option<Samples> = None;
        for down in 0..layout.down() {
            let (strip, more) = layout.chunk(source, [0, down, 0])?;
            rounded += more;
            match (&mut all, strip) {
                (Some(Samples::U8(all)), Samples::U8(strip)) => all.extend(strip),
                (Some(Samples::U16(all)), Samples::U16(strip)) => all.extend(strip),
                (Some(Samples::F32(all)), Samples::F32(strip)) => all.extend(strip),
                (all, strip) => *all = Some(strip),
            }
        }
        let samples = all.ok_or(FormatError::CutShort)?;
        return Ok((Image { height, width, channels, samples }, rounded));
    }
    for plane in 0..if layout.planar { channels } else { 1 } {
        for down in 0..layout.down() {
            for across in 0..layout.across() {
                let (samples, more) = layout.chunk(source, [across, down, plane])?;
                rounded += more;
                let image = image.get_or_insert_with(|| Image {
                    height,
                    width,
                    channels,
                    samples: Samples::zeros(samples.sample_type(), width * height * channels),
                });
                layout.place(&samples, [across, down, plane], image, [0, 0]);
            }
        }
    }
    Ok((image.ok_or(FormatError::CutShort)?, rounded))
}

/// The header of a page whose samples are read as they are.
fn native_header(
    page: &Directory,
    layout: &Layout,
    source: &mut dyn FileSource,
) -> Result<Header, FormatError> {
    let photometric = match page.number(source, tag::COLOURS)?.unwrap_or(1) {
        // It is converted.
        6 => 2,
        other => other,
    };
    let extra = page.numbers(source, tag::EXTRA_SAMPLES, MAX_CHANNELS)?;
    let Layout { width, height, channels, .. } = *layout;
    let light = match photometric {
        2 => 3,
        _ => 1,
    };
    let alpha = match (channels.saturating_sub(light), &extra[..]) {
        (1, [1]) => Alpha::Associated,
        (1, [2]) => Alpha::Straight,
        // Four channels of colour without a word on the last are taken for opacity by other programs.
        (1, []) if photometric == 2 => Alpha::Straight,
        _ => Alpha::None,
    };
    let mut header = Header::new(width, height, channels, alpha);
    header.stored = layout.stored;
    header.colours = match (photometric, header.colour_channels() == light) {
        (3, true) => Colours::Palette,
        (2, true) => Colours::Rgb,
        (0 | 1, true) => Colours::Grey,
        _ => Colours::Other,
    };
    if channels < light {
        return Err(FormatError::failed(format!("RGB with {channels} channels")));
    }
    if photometric == 2 && header.colours == Colours::Other {
        header.notes.more_channels = channels - light;
    }
    Ok(header)
}

/// The header of a page that the `image` crate converts.
fn converted_header(page: &Directory, source: &mut dyn FileSource) -> Result<Header, FormatError> {
    source.seek(SeekFrom::Start(0))?;
    match image_crate::header(&mut *source, ImageFormat::Tiff) {
        Ok(mut header) => {
            let extra = page.numbers(source, tag::EXTRA_SAMPLES, MAX_CHANNELS)?;
            let alphas = extra.iter().filter(|&&kind| kind != 0).count();
            header.notes = Notes { more_channels: extra.len() - alphas.min(1), ..header.notes };
            if header.alpha != Alpha::None && extra.first() == Some(&1) {
                header.alpha = Alpha::Associated;
            }
            Ok(header)
        }
        Err(FormatError::Unsupported(_)) => {
            let mut number =
                |tag| -> Result<u64, FormatError> { Ok(page.number(source, tag)?.unwrap_or(0)) };
            let colours = match number(tag::COLOURS)? {
                0 | 1 => "grey",
                2 => "RGB",
                3 => "a palette",
                4 => "a mask",
                5 => "CMYK",
                6 => "YCbCr",
                8..=10 => "CIELab colours",
                _ => "colours of another kind",
            };
            let signed = if number(tag::SAMPLE_FORMAT)? == 2 { "signed " } else { "" };
            Err(FormatError::Unsupported(format!(
                "TIFF of {colours} with {} channels of {signed}{} bits",
                number(tag::CHANNELS)?.max(1),
                number(tag::BITS)?
            )))
        }
        Err(other) => Err(other),
    }
}

/// Checks that the data of JPEG strips are whole, as those of a JPEG file are checked.
fn check_jpeg(page: &Directory, bytes: &[u8]) -> Result<(), FormatError> {
    let source = &mut Cursor::new(bytes);
    if page.number(source, tag::COMPRESSION)? != Some(layout::JPEG) {
        return Ok(());
    }
    let (at, counts) = match page.entry(tag::TILES) {
        Some(_) => (tag::TILES, tag::TILE_BYTES),
        None => (tag::STRIPS, tag::STRIP_BYTES),
    };
    let (at, counts) =
        (page.numbers(source, at, MAX_PARTS)?, page.numbers(source, counts, MAX_PARTS)?);
    let tables = page.bytes(source, tag::JPEG_TABLES, bytes.len() as u64)?.unwrap_or_default();
    // Between a mark of the start and one of the end.
    let tables = if tables.len() > 4 { &tables[2..tables.len() - 2] } else { &[] };
    for (&at, &count) in at.iter().zip(&counts) {
        let end = at.checked_add(count).ok_or(FormatError::CutShort)?;
        let data = bytes.get(at as usize..end as usize).ok_or(FormatError::CutShort)?;
        let (start, rest) = data.split_at_checked(2).ok_or(FormatError::CutShort)?;
        jpeg_scan::check(&[start, tables, rest].concat())?;
    }
    Ok(())
}
