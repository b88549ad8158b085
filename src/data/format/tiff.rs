//! TIFF: grey or RGB with 8 or 16 bits; of several pages the first.

use std::collections::HashSet;
use std::io::{self, Cursor, Read, SeekFrom};

use image::ImageFormat;
use image::metadata::Orientation;

use super::{
    Alpha, FileSource, Format, FormatError, Header, image_crate, jpeg_scan, metadata, only, unkept,
};
use crate::atomic::Sink;
use crate::data::{Attributes, Image, StoredType};

/// TIFF files.
#[derive(Debug)]
pub struct Tiff;

/// Most pages that are counted.
const MAX_PAGES: usize = 10_000;
/// Most entries of a page that are looked at: a page has some twenty, in ascending order of their tags.
const MAX_ENTRIES: u64 = 4096;

/// Tags of a page.
mod tag {
    pub const KIND: u16 = 254;
    pub const BITS: u16 = 258;
    pub const COMPRESSION: u16 = 259;
    pub const COLOURS: u16 = 262;
    pub const STRIPS: u16 = 273;
    pub const ORIENTATION: u16 = 274;
    pub const CHANNELS: u16 = 277;
    pub const STRIP_BYTES: u16 = 279;
    pub const TILES: u16 = 324;
    pub const TILE_BYTES: u16 = 325;
    pub const EXTRA_SAMPLES: u16 = 338;
    pub const SAMPLE_FORMAT: u16 = 339;
    pub const JPEG_TABLES: u16 = 347;
    pub const PROFILE: u16 = 34_675;
}

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
        let found = image_crate::header(&mut *source, ImageFormat::Tiff);
        if let Err(FormatError::TooLarge | FormatError::CutShort | FormatError::Failed(_)) = found {
            return found;
        }
        // What the decoder has read once is readable; pages behind the first may be anything.
        let mut pages = Pages::new(source)?;
        let first = pages.next()?.unwrap_or_default();
        let mut header = match found {
            Err(FormatError::Unsupported(_)) => return Err(first.unsupported()),
            found => found?,
        };
        header.turn(Orientation::from_exif(first.orientation).unwrap_or(Orientation::NoTransforms));
        header.notes.profile = first.profile;
        let alphas = first.extra.iter().filter(|&&kind| kind != 0).count();
        header.notes.more_channels = first.extra.len() - alphas.min(1);
        if header.alpha != Alpha::None && first.extra.first() == Some(&1) {
            header.alpha = Alpha::Associated;
        }
        while let Ok(Some(page)) = pages.next() {
            header.notes.more_frames += usize::from(!page.reduced);
        }
        Ok(header)
    }

    fn decode(&self, bytes: &[u8], header: &Header, _page: usize) -> Result<Image, FormatError> {
        let mut source = Cursor::new(bytes);
        let page = Pages::new(&mut source)?.next()?.unwrap_or_default();
        page.check_jpeg(bytes)?;
        image_crate::decode(bytes, ImageFormat::Tiff, header)
    }

    fn holds(&self, channels: usize, stored: StoredType) -> bool {
        matches!(channels, 1 | 3) && matches!(stored, StoredType::U8 | StoredType::U16)
    }

    fn encode(
        &self,
        pages: &[Image],
        attributes: &Attributes,
        sink: &mut Sink,
        _quality: u8,
    ) -> Result<Vec<&'static str>, FormatError> {
        image_crate::encode(only(pages, self.name())?, sink, ImageFormat::Tiff)?;
        Ok(unkept(attributes))
    }
}

/// What is wanted of a page.
#[derive(Default)]
struct Page {
    /// A smaller copy or a mask of another page.
    reduced: bool,
    orientation: u8,
    /// The kinds of the samples behind the colours: 0 unspecified, 1 associated alpha, 2 alpha.
    extra: Vec<u16>,
    /// A colour profile other than sRGB.
    profile: bool,
    bits: u16,
    /// The kind of colours, by number.
    colours: u16,
    channels: u16,
    /// The kind of samples: 0 or 1 unsigned, 2 signed, 3 floats.
    samples: u16,
    compression: u16,
    /// Where the strips or tiles are.
    parts: Vec<u64>,
    /// How many bytes each of them has.
    part_bytes: Vec<u64>,
    /// Where the tables of JPEG strips are, and how many bytes.
    tables: Option<(u64, u64)>,
}

/// JPEG strips, with their tables in a place of their own.
const JPEG: u16 = 7;
/// Most strips or tiles of a page that are looked at: as many as lines that a picture may have.
const MAX_PARTS: u64 = 1 << 16;

impl Page {
    /// Checks that the data of JPEG strips are whole, as those of a JPEG file are checked.
    fn check_jpeg(&self, bytes: &[u8]) -> Result<(), FormatError> {
        if self.compression != JPEG {
            return Ok(());
        }
        let part = |at: u64, count: u64| -> Result<&[u8], FormatError> {
            let end = at.checked_add(count).ok_or(FormatError::CutShort)?;
            bytes.get(at as usize..end as usize).ok_or(FormatError::CutShort)
        };
        let tables = match self.tables {
            // Between a mark of the start and one of the end.
            Some((at, count)) if count > 4 => &part(at, count)?[2..count as usize - 2],
            _ => &[],
        };
        for (&at, &count) in self.parts.iter().zip(&self.part_bytes) {
            let data = part(at, count)?;
            let (start, rest) = data.split_at_checked(2).ok_or(FormatError::CutShort)?;
            jpeg_scan::check(&[start, tables, rest].concat())?;
        }
        Ok(())
    }

    /// Says what a page is that cannot be read.
    fn unsupported(&self) -> FormatError {
        let colours = match self.colours {
            0 | 1 => "grey",
            2 => "RGB",
            3 => "a palette",
            4 => "a mask",
            5 => "CMYK",
            6 => "YCbCr",
            8..=10 => "CIELab colours",
            _ => "colours of another kind",
        };
        let signed = if self.samples == 2 { "signed " } else { "" };
        FormatError::Unsupported(format!(
            "TIFF of {colours} with {} channels of {signed}{} bits",
            self.channels.max(1),
            self.bits
        ))
    }
}

/// The chain of a file's pages, followed once round at most.
struct Pages<'a> {
    source: &'a mut dyn FileSource,
    big_endian: bool,
    /// BigTIFF: offsets of 8 bytes.
    long: bool,
    next: u64,
    seen: HashSet<u64>,
}

impl<'a> Pages<'a> {
    fn new(source: &'a mut dyn FileSource) -> io::Result<Self> {
        source.seek(SeekFrom::Start(0))?;
        let mut start = [0; 4];
        source.read_exact(&mut start)?;
        let (big_endian, long) = (start[0] == b'M', start[2..].contains(&b'+'));
        let mut pages = Pages { source, big_endian, long, next: 0, seen: HashSet::new() };
        if long {
            pages.number(4)?;
        }
        pages.next = pages.offset()?;
        Ok(pages)
    }

    fn number(&mut self, bytes: usize) -> io::Result<u64> {
        let mut raw = [0; 8];
        self.source.read_exact(&mut raw[..bytes])?;
        if self.big_endian {
            raw[..bytes].reverse();
        }
        Ok(u64::from_le_bytes(raw))
    }

    fn offset(&mut self) -> io::Result<u64> {
        self.number(if self.long { 8 } else { 4 })
    }

    /// The next page, if there is one that was not met before.
    fn next(&mut self) -> io::Result<Option<Page>> {
        if self.next == 0 || self.seen.len() >= MAX_PAGES || !self.seen.insert(self.next) {
            return Ok(None);
        }
        let (count_bytes, entry) = if self.long { (8, 20) } else { (2, 12) };
        self.source.seek(SeekFrom::Start(self.next))?;
        let count = self.number(count_bytes)?;
        let first = self.next + count_bytes as u64;
        let mut page = Page::default();
        for i in 0..count.min(MAX_ENTRIES) {
            self.source.seek(SeekFrom::Start(first + i * entry))?;
            let tag = self.number(2)? as u16;
            let kind = self.number(2)?;
            let values = self.offset()?;
            match tag {
                tag::KIND => page.reduced = self.number(if kind == 3 { 2 } else { 4 })? & 5 != 0,
                tag::COMPRESSION => page.compression = self.short(values)?,
                tag::STRIPS | tag::TILES => page.parts = self.longs(kind, values)?,
                tag::STRIP_BYTES | tag::TILE_BYTES => page.part_bytes = self.longs(kind, values)?,
                tag::JPEG_TABLES => page.tables = Some((self.offset()?, values)),
                tag::BITS => page.bits = self.short(values)?,
                tag::COLOURS => page.colours = self.short(values)?,
                tag::CHANNELS => page.channels = self.short(values)?,
                tag::SAMPLE_FORMAT => page.samples = self.short(values)?,
                tag::ORIENTATION => page.orientation = self.number(2)?.min(255) as u8,
                tag::EXTRA_SAMPLES => page.extra = self.shorts(values)?,
                tag::PROFILE => {
                    let at = self.offset()?;
                    self.source.seek(SeekFrom::Start(at))?;
                    let mut bytes = Vec::new();
                    let start = (&mut *self.source).take(values.min(metadata::PROFILE_START));
                    { start }.read_to_end(&mut bytes)?;
                    page.profile = !metadata::is_srgb(&bytes);
                }
                _ => {}
            }
        }
        let behind = count.checked_mul(entry).and_then(|n| first.checked_add(n));
        self.next = match behind {
            Some(at) => {
                self.source.seek(SeekFrom::Start(at))?;
                self.offset().unwrap_or(0)
            }
            None => 0,
        };
        Ok(Some(page))
    }

    /// The `count` numbers of an entry of 16, 32 or 64 bits, or the first of them if there are many.
    fn longs(&mut self, kind: u64, count: u64) -> io::Result<Vec<u64>> {
        let size = match kind {
            3 => 2,
            16..=18 => 8,
            _ => 4,
        };
        if count.saturating_mul(size) > if self.long { 8 } else { 4 } {
            let at = self.offset()?;
            self.source.seek(SeekFrom::Start(at))?;
        }
        (0..count.min(MAX_PARTS)).map(|_| self.number(size as usize)).collect()
    }

    /// The first of the 16-bit numbers of an entry.
    fn short(&mut self, count: u64) -> io::Result<u16> {
        Ok(self.shorts(count)?.first().copied().unwrap_or(0))
    }

    /// The `count` 16-bit numbers of an entry, or the first of them if there are many: in the entry
    /// itself if they fit, else where it says.
    fn shorts(&mut self, count: u64) -> io::Result<Vec<u16>> {
        let fit = if self.long { 4 } else { 2 };
        if count > fit {
            let at = self.offset()?;
            self.source.seek(SeekFrom::Start(at))?;
        }
        (0..count.min(64)).map(|_| Ok(self.number(2)? as u16)).collect()
    }
}
