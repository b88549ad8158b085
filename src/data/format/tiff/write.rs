//! Writes TIFFs row by row: strips, deflate, with a predictor for integers; BigTIFF where 4 GB may not do.

use std::io::{Seek, SeekFrom, Write};

use flate2::Compression;
use flate2::write::ZlibEncoder;

use super::super::FormatError;
use super::describe::{self, Described};
use super::tag;
use crate::atomic::Sink;
use crate::data::stored::{ByteOrder, bytes_of};
use crate::data::{Attributes, Image, StoredType, Tag};

/// Bytes of a strip before it is packed, about.
const STRIP: usize = 1 << 18;
/// Sizes of files up to which 32-bit offsets do, with room for tags.
const SMALL: u64 = 4_000_000_000;

/// A TIFF on its way to a file.
pub struct Writer<'a> {
    sink: &'a mut Sink,
    attributes: &'a Attributes,
    stored: StoredType,
    big: bool,
    /// Where the offset of the next page goes.
    link: u64,
    page: Option<Page>,
    /// Pages that the file is to have, and those that are written.
    pages: usize,
    written: usize,
    lost: Vec<&'static str>,
}

/// A page of which rows are awaited.
struct Page {
    width: usize,
    height: usize,
    channels: usize,
    rows_per_strip: usize,
    /// Rows that do not fill a strip yet.
    waiting: Vec<u8>,
    waiting_rows: usize,
    written_rows: usize,
    strips: Vec<(u64, u64)>,
}

fn io(error: std::io::Error) -> FormatError {
    error.into()
}

impl<'a> Writer<'a> {
    /// Begins a file for pages of these sizes.
    pub fn new(
        sink: &'a mut Sink,
        pages: &[Image],
        attributes: &'a Attributes,
    ) -> Result<Self, FormatError> {
        let samples = pages.iter().map(|page| page.samples.len() as u64).sum::<u64>();
        Writer::for_samples(sink, samples, pages.len(), attributes)
    }

    /// Begins a file for so many samples and pages.
    pub fn for_samples(
        sink: &'a mut Sink,
        samples: u64,
        pages: usize,
        attributes: &'a Attributes,
    ) -> Result<Self, FormatError> {
        // Deflate makes nothing larger by more than a thousandth.
        let bytes = samples.saturating_mul(attributes.stored.size() as u64);
        let big = bytes + bytes / 1000 > SMALL;
        match big {
            true => sink.write_all(b"II+\0\x08\0\0\0").map_err(io)?,
            false => sink.write_all(b"II*\0").map_err(io)?,
        }
        let link = sink.stream_position().map_err(io)?;
        sink.write_all(&[0; 8][..if big { 8 } else { 4 }]).map_err(io)?;
        let (stored, lost) = (attributes.stored, Vec::new());
        Ok(Writer { sink, attributes, stored, big, link, page: None, pages, written: 0, lost })
    }

    /// Begins a page.
    pub fn begin(
        &mut self,
        width: usize,
        height: usize,
        channels: usize,
    ) -> Result<(), FormatError> {
        if width.max(height) > u32::MAX as usize || channels > usize::from(u16::MAX) {
            return Err(FormatError::TooLarge);
        }
        let row = width * channels * self.stored.size();
        let rows_per_strip = (STRIP / row.max(1)).clamp(1, height.max(1));
        self.page = Some(Page {
            width,
            height,
            channels,
            rows_per_strip,
            waiting: Vec::new(),
            waiting_rows: 0,
            written_rows: 0,
            strips: Vec::new(),
        });
        Ok(())
    }

    /// Takes the next rows of the page.
    ///
    /// # Panics
    /// If they have another width or other channels, or there are too many.
    pub fn rows(&mut self, rows: &Image) -> Result<(), FormatError> {
        for y in 0..rows.height {
            let page = self.page.as_mut().expect("a page was begun");
            assert_eq!(
                (rows.width, rows.channels),
                (page.width, page.channels),
                "rows of the page"
            );
            assert!(page.written_rows + page.waiting_rows < page.height, "too many rows");
            page.waiting.extend(bytes_of(rows.row(y), self.stored, ByteOrder::Little));
            page.waiting_rows += 1;
            if page.waiting_rows == page.rows_per_strip {
                self.strip()?;
            }
        }
        Ok(())
    }

    /// Packs and writes the rows that wait.
    fn strip(&mut self) -> Result<(), FormatError> {
        let page = self.page.as_mut().expect("a page was begun");
        if page.waiting_rows == 0 {
            return Ok(());
        }
        if !self.stored.is_float() {
            difference(
                &mut page.waiting,
                page.width * page.channels,
                page.channels,
                self.stored.size(),
            );
        }
        let mut packer = ZlibEncoder::new(Vec::new(), Compression::new(6));
        packer.write_all(&page.waiting).map_err(io)?;
        let packed = packer.finish().map_err(io)?;
        let at = self.sink.stream_position().map_err(io)?;
        self.sink.write_all(&packed).map_err(io)?;
        page.strips.push((at, packed.len() as u64));
        page.written_rows += page.waiting_rows;
        page.waiting.clear();
        page.waiting_rows = 0;
        Ok(())
    }

    /// Ends the page: writes its tags.
    pub fn end(&mut self) -> Result<(), FormatError> {
        self.strip()?;
        let page = self.page.take().expect("a page was begun");
        if page.written_rows != page.height {
            return Err(FormatError::failed("the page has fewer rows than it was to have"));
        }
        let tags = self.tags(&page);
        let long = |n: u64| {
            if self.big { n.to_le_bytes().to_vec() } else { (n as u32).to_le_bytes().to_vec() }
        };
        let fits = if self.big { 8 } else { 4 };
        // Values that do not fit into their entry come first.
        let mut entries = Vec::new();
        for tag in &tags {
            let value = if tag.bytes.len() <= fits {
                let mut value = tag.bytes.clone();
                value.resize(fits, 0);
                value
            } else {
                let at = self.sink.stream_position().map_err(io)?;
                self.sink.write_all(&tag.bytes).map_err(io)?;
                if !tag.bytes.len().is_multiple_of(2) {
                    self.sink.write_all(&[0]).map_err(io)?;
                }
                long(at)
            };
            entries.extend(tag.tag.to_le_bytes());
            entries.extend(tag.kind.to_le_bytes());
            entries.extend(long(tag.count));
            entries.extend(value);
        }
        let mut at = self.sink.stream_position().map_err(io)?;
        if !at.is_multiple_of(2) {
            self.sink.write_all(&[0]).map_err(io)?;
            at += 1;
        }
        match self.big {
            true => self.sink.write_all(&(tags.len() as u64).to_le_bytes()).map_err(io)?,
            false => self.sink.write_all(&(tags.len() as u16).to_le_bytes()).map_err(io)?,
        }
        self.sink.write_all(&entries).map_err(io)?;
        let next = self.sink.stream_position().map_err(io)?;
        self.sink.write_all(&long(0)).map_err(io)?;
        let end = self.sink.stream_position().map_err(io)?;
        if !self.big && end > u64::from(u32::MAX) {
            return Err(FormatError::TooLarge);
        }
        self.sink.seek(SeekFrom::Start(self.link)).map_err(io)?;
        self.sink.write_all(&long(at)).map_err(io)?;
        self.sink.seek(SeekFrom::Start(end)).map_err(io)?;
        self.link = next;
        self.written += 1;
        Ok(())
    }

    /// Ends the file; returns what of the attributes it could not hold.
    pub fn finish(self) -> Result<Vec<&'static str>, FormatError> {
        let mut lost = self.lost.clone();
        if self.attributes.place.volume.is_some() {
            lost.push("the header of its volume");
        }
        lost.sort_unstable();
        lost.dedup();
        Ok(lost)
    }

    fn carried(&self, number: u16) -> Option<&'a Tag> {
        self.attributes.place.tags.iter().find(|tag| tag.tag == number)
    }

    /// The tags of a page in ascending order.
    fn tags(&mut self, page: &Page) -> Vec<Tag> {
        let Attributes { palette, profile, nodata, channels: names, place, unit, .. } =
            self.attributes;
        let stored = self.stored;
        let format = match stored {
            StoredType::I8 | StoredType::I16 | StoredType::I32 | StoredType::I64 => 2,
            s if s.is_float() => 3,
            _ => 1,
        };
        let indexed = palette.as_ref().filter(|_| page.channels == 1 && stored.size() <= 2);
        let has_alpha =
            matches!(page.channels, 2 | 4) && names.last().is_some_and(|name| name == "alpha");
        let rgb = match page.channels {
            3 => names.is_empty() || names.iter().eq(["red", "green", "blue"]),
            4 => has_alpha,
            _ => false,
        } && matches!(stored, StoredType::U8 | StoredType::U16);
        let photometric = match (indexed, rgb) {
            (Some(_), _) => 3,
            (None, true) => 2,
            _ => 1,
        };
        let light = if rgb { 3 } else { 1 };
        let extra = page.channels - light.min(page.channels);
        let n = page.channels;
        let mut tags = vec![
            longs(tag::WIDTH, &[page.width as u32]),
            longs(tag::HEIGHT, &[page.height as u32]),
            shorts(tag::BITS, &vec![8 * stored.size() as u16; n]),
            shorts(tag::COMPRESSION, &[8]),
            shorts(tag::COLOURS, &[photometric]),
            shorts(tag::CHANNELS, &[n as u16]),
            longs(tag::ROWS_PER_STRIP, &[page.rows_per_strip as u32]),
            shorts(tag::PLANAR, &[1]),
            shorts(tag::SAMPLE_FORMAT, &vec![format; n]),
        ];
        let (at, bytes): (Vec<u64>, Vec<u64>) = page.strips.iter().copied().unzip();
        tags.push(self.offsets(tag::STRIPS, &at));
        tags.push(self.offsets(tag::STRIP_BYTES, &bytes));
        if !stored.is_float() {
            tags.push(shorts(tag::PREDICTOR, &[2]));
        }
        if extra > 0 {
            let kind = |i: usize| if has_alpha && i + 1 == extra { 2 } else { 0 };
            tags.push(shorts(tag::EXTRA_SAMPLES, &(0..extra).map(kind).collect::<Vec<_>>()));
        }
        if let Some(palette) = indexed {
            let entries = 1usize << (8 * stored.size());
            let part = |c: usize| {
                (0..entries).map(move |i| palette.get(i).map_or(0, |p| u16::from(p[c]) * 257))
            };
            tags.push(shorts(tag::PALETTE, &(0..3).flat_map(part).collect::<Vec<_>>()));
        }
        if let Some(profile) = profile {
            let count = profile.len() as u64;
            tags.push(Tag { tag: tag::PROFILE, kind: 7, count, bytes: profile.clone() });
        }
        if let Some(nodata) = nodata {
            let bytes = format!("{nodata}\0").into_bytes();
            tags.push(Tag { tag: tag::GDAL_NODATA, kind: 2, count: bytes.len() as u64, bytes });
        }
        let all = |number: u16, text: String| {
            let bytes = format!("{text}\0").into_bytes();
            Tag { tag: number, kind: 2, count: bytes.len() as u64, bytes }
        };
        let text =
            |tag: &Tag| String::from_utf8_lossy(&tag.bytes).trim_end_matches('\0').to_string();
        let described = Described {
            width: page.width,
            height: page.height,
            channels: n,
            pages: self.pages,
            stored,
            names,
        };
        let description =
            self.carried(tag::DESCRIPTION).map(text).filter(|text| text.contains("<OME"));
        let ome = description.and_then(|text| describe::ome(&text, &described));
        // One channel of a value has no name of its own.
        let named = if n > 1 && !rgb && !has_alpha { &names[..] } else { &[] };
        let bands = describe::gdal(named, unit.as_deref(), n);
        let first = self.written == 0;
        if let (Some(ome), true) = (&ome, first) {
            tags.push(all(tag::DESCRIPTION, ome.clone()));
            self.lost.push("more of the OME-XML than channels and the size of a pixel");
        }
        if let Some(bands) = &bands {
            tags.push(all(tag::GDAL_METADATA, bands.clone()));
        }
        for carried in &place.tags {
            let text = text(carried);
            // What describes other channels or samples than those that are written would be wrong.
            let marks = ["<OME", "ImageJ=", "{\"shape\":"];
            if carried.tag == tag::DESCRIPTION && marks.iter().any(|mark| text.contains(mark)) {
                if ome.is_none() {
                    self.lost.push("the OME-XML, ImageJ or tifffile description");
                }
                continue;
            }
            if carried.tag == tag::GDAL_METADATA && (text.contains("sample=") || bands.is_some()) {
                // What is written here says names and units again.
                let of_bands =
                    gdal_kinds(&text).any(|kind| !matches!(kind, "description" | "unittype"));
                if of_bands || bands.is_none() {
                    self.lost.push("GDAL's metadata of bands");
                }
                continue;
            }
            tags.push(carried.clone());
        }
        tags.sort_by_key(|tag| tag.tag);
        tags
    }

    fn offsets(&self, tag: u16, all: &[u64]) -> Tag {
        match self.big {
            true => {
                let bytes = all.iter().flat_map(|n| n.to_le_bytes()).collect();
                Tag { tag, kind: 16, count: all.len() as u64, bytes }
            }
            false => longs(tag, &all.iter().map(|&n| n as u32).collect::<Vec<_>>()),
        }
    }
}

/// The roles of the items of GDAL's metadata that are of one band.
fn gdal_kinds(xml: &str) -> impl Iterator<Item = &str> {
    xml.split("<Item").skip(1).filter(|item| item.contains("sample=")).map(|item| {
        item.split_once("role=\"").and_then(|(_, rest)| rest.split('"').next()).unwrap_or("")
    })
}

fn shorts(tag: u16, all: &[u16]) -> Tag {
    let bytes = all.iter().flat_map(|n| n.to_le_bytes()).collect();
    Tag { tag, kind: 3, count: all.len() as u64, bytes }
}

fn longs(tag: u16, all: &[u32]) -> Tag {
    let bytes = all.iter().flat_map(|n| n.to_le_bytes()).collect();
    Tag { tag, kind: 4, count: all.len() as u64, bytes }
}

/// Replaces samples by their difference from the pixel to the left, modulo their size.
fn difference(bytes: &mut [u8], row_samples: usize, channels: usize, size: usize) {
    let step = channels * size;
    for row in bytes.chunks_exact_mut(row_samples * size) {
        for at in (step..row.len()).step_by(size).rev() {
            let number = |from: usize| {
                row[from..from + size].iter().rev().fold(0u64, |n, &b| n << 8 | u64::from(b))
            };
            let apart = number(at).wrapping_sub(number(at - step));
            row[at..at + size].copy_from_slice(&apart.to_le_bytes()[..size]);
        }
    }
}
