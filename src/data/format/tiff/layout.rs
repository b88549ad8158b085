//! How the samples of a page lie in its file: strips or tiles, chunky or planar, and their type.

use super::super::{FileSource, FormatError};
use super::directory::Directory;
use super::tag;
use crate::data::StoredType;
use crate::data::stored::ByteOrder;

/// How samples are packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Packing {
    /// As they are.
    None,
    /// LZW.
    Lzw,
    /// Deflate, with zlib's header.
    Deflate,
    /// PackBits.
    PackBits,
    /// Zstandard.
    Zstd,
    /// JPEG, a stream of its own for each chunk; YCbCr becomes RGB where the page says that it is such.
    Jpeg {
        /// Whether samples are YCbCr.
        converted: bool,
    },
}

/// What was done to samples before they were packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Predictor {
    /// Nothing.
    None,
    /// The difference from the pixel to the left.
    Difference,
    /// For floats: bytes sorted by significance, then their differences.
    Float,
}

/// The layout of a page.
#[derive(Clone, Debug)]
pub struct Layout {
    /// Pixels in a row.
    pub width: usize,
    /// Rows.
    pub height: usize,
    /// Samples of a pixel.
    pub channels: usize,
    /// Bits of a sample.
    pub bits: usize,
    /// Its type in memory; of fewer bits than the type has, unsigned.
    pub stored: StoredType,
    /// The order of the bytes of samples.
    pub order: ByteOrder,
    /// Whether each channel has chunks of its own.
    pub planar: bool,
    /// Pixels in a row of a strip or tile.
    pub chunk_width: usize,
    /// Rows of a strip or tile.
    pub chunk_height: usize,
    /// Whether chunks are tiles, which are whole at the edges.
    pub tiled: bool,
    /// How samples are packed.
    pub packing: Packing,
    /// What was done before.
    pub predictor: Predictor,
    /// Whether white is 0.
    pub white_is_zero: bool,
    /// Tables of JPEG streams.
    pub tables: Vec<u8>,
    /// Where each chunk is, and how many bytes it has.
    pub chunks: Vec<(u64, u64)>,
}

/// The compression that is JPEG.
pub const JPEG: u64 = 7;
/// Most bytes of the tables of JPEG streams: four of each kind.
const MAX_TABLES: u64 = 1 << 16;
/// Most pixels of a side of a page, a strip or a tile: what sizes of memory are computed from stays a number.
const MAX_SIDE: u64 = u32::MAX as u64;
/// Most strips or tiles of a page.
const MAX_CHUNKS: u64 = 1 << 22;

impl Layout {
    /// Reads the layout of a page; `None` for one that is left to the `image` crate: JPEG, fax, and colours
    /// that are converted.
    pub fn of(
        page: &Directory,
        source: &mut dyn FileSource,
    ) -> Result<Option<Layout>, FormatError> {
        let mut number = |tag, default| -> Result<u64, FormatError> {
            Ok(page.number(source, tag)?.unwrap_or(default))
        };
        let [width, height] = [number(tag::WIDTH, 0)?, number(tag::HEIGHT, 0)?];
        let channels = number(tag::CHANNELS, 1)?;
        let photometric = number(tag::COLOURS, 1)?;
        let compression = number(tag::COMPRESSION, 1)?;
        // YCbCr is what JPEG makes of RGB.
        let jpeg = compression == JPEG && matches!(photometric, 0..=2 | 6);
        if matches!(photometric, 4..=10) && !jpeg {
            return Ok(None);
        }
        let packing = match compression {
            JPEG if jpeg => Packing::Jpeg { converted: photometric == 6 },
            1 => Packing::None,
            5 => Packing::Lzw,
            8 | 32_946 => Packing::Deflate,
            32_773 => Packing::PackBits,
            50_000 => Packing::Zstd,
            2..=4 | 6 | 7 => return Ok(None),
            other => {
                return Err(FormatError::Unsupported(format!(
                    "TIFF with compression number {other}"
                )));
            }
        };
        let predictor = match number(tag::PREDICTOR, 1)? {
            1 => Predictor::None,
            2 => Predictor::Difference,
            3 => Predictor::Float,
            other => {
                return Err(FormatError::Unsupported(format!(
                    "TIFF with predictor number {other}"
                )));
            }
        };
        let planar = number(tag::PLANAR, 1)? == 2 && channels > 1;
        let tiled = page.entry(tag::TILES).is_some();
        let rows = number(tag::ROWS_PER_STRIP, u64::from(u32::MAX))?;
        let [tile_width, tile_height] = [number(tag::TILE_WIDTH, 0)?, number(tag::TILE_HEIGHT, 0)?];
        let bits = page.numbers(source, tag::BITS, 4096)?;
        let formats = page.numbers(source, tag::SAMPLE_FORMAT, 4096)?;
        let same = |all: &[u64], default: u64| match all {
            [] => Some(default),
            [first, rest @ ..] => rest.iter().all(|n| n == first).then_some(*first),
        };
        let unlike =
            |what| FormatError::Unsupported(format!("TIFF whose channels differ in {what}"));
        let bits = same(&bits, 1).ok_or_else(|| unlike("bits"))?;
        let format = same(&formats, 1).ok_or_else(|| unlike("type"))?;
        if jpeg && (bits != 8 || planar || !matches!(channels, 1 | 3)) {
            return Ok(None);
        }
        let Some(stored) = stored(bits, format) else {
            let kind = match format {
                2 => "signed ",
                3 => "float ",
                5 | 6 => "complex ",
                _ => "",
            };
            return Err(FormatError::Unsupported(format!(
                "TIFF of {channels} channels of {kind}{bits} bits"
            )));
        };
        if channels == 0 || channels > MAX_CHANNELS {
            return Err(FormatError::Unsupported(format!(
                "TIFF of {channels} channels; up to {MAX_CHANNELS} are read"
            )));
        }
        let (chunk_width, chunk_height) = match tiled {
            true => (tile_width, tile_height),
            false => (width, rows.clamp(1, height.max(1))),
        };
        if width == 0 || height == 0 || chunk_width == 0 || chunk_height == 0 {
            return Err(FormatError::failed("a page without pixels"));
        }
        if [width, height, chunk_width, chunk_height].iter().any(|&side| side > MAX_SIDE) {
            return Err(FormatError::TooLarge);
        }
        let planes = if planar { channels } else { 1 };
        let count = width
            .div_ceil(chunk_width)
            .checked_mul(height.div_ceil(chunk_height))
            .and_then(|n| n.checked_mul(planes))
            .filter(|&n| n <= MAX_CHUNKS)
            .ok_or(FormatError::TooLarge)?;
        let (at, bytes) = match tiled {
            true => (tag::TILES, tag::TILE_BYTES),
            false => (tag::STRIPS, tag::STRIP_BYTES),
        };
        let at = page.numbers(source, at, count)?;
        let bytes = page.numbers(source, bytes, count)?;
        if at.len() < count as usize || bytes.len() < count as usize {
            return Err(FormatError::CutShort);
        }
        // What the streams of chunks share, between a mark of the start and one of the end.
        let tables = page.bytes(source, tag::JPEG_TABLES, MAX_TABLES)?.filter(|_| jpeg);
        let tables = tables.unwrap_or_default();
        let tables = tables.get(2..tables.len().saturating_sub(2)).unwrap_or_default().to_vec();
        Ok(Some(Layout {
            tables,
            width: width as usize,
            height: height as usize,
            channels: channels as usize,
            bits: bits as usize,
            stored,
            order: page.order(),
            planar,
            chunk_width: chunk_width as usize,
            chunk_height: chunk_height as usize,
            tiled,
            packing,
            predictor,
            white_is_zero: photometric == 0,
            chunks: at.into_iter().zip(bytes).collect(),
        }))
    }

    /// Samples of a pixel in one chunk.
    pub fn chunk_channels(&self) -> usize {
        if self.planar { 1 } else { self.channels }
    }

    /// Chunks side by side.
    pub fn across(&self) -> usize {
        self.width.div_ceil(self.chunk_width)
    }

    /// Chunks of a plane, one above the other.
    pub fn down(&self) -> usize {
        self.height.div_ceil(self.chunk_height)
    }

    /// Bytes of a row of a chunk: whole bytes.
    pub fn row_bytes(&self) -> usize {
        (self.chunk_width * self.chunk_channels() * self.bits).div_ceil(8)
    }

    /// Rows that chunk `down` of a plane has in the file.
    pub fn chunk_rows(&self, down: usize) -> usize {
        match self.tiled {
            true => self.chunk_height,
            false => self.chunk_height.min(self.height - down * self.chunk_height),
        }
    }
}

/// Most channels of an image: 64 bands, and some that are no measurements.
pub const MAX_CHANNELS: u64 = 128;

/// The type of samples of so many bits and this format: 1 unsigned, 2 signed, 3 float, 4 unknown.
fn stored(bits: u64, format: u64) -> Option<StoredType> {
    Some(match (format, bits) {
        (1 | 4, 1 | 2 | 4 | 8) => StoredType::U8,
        (1 | 4, 12 | 16) => StoredType::U16,
        (1 | 4, 32) => StoredType::U32,
        (1 | 4, 64) => StoredType::U64,
        (2, 8) => StoredType::I8,
        (2, 16) => StoredType::I16,
        (2, 32) => StoredType::I32,
        (2, 64) => StoredType::I64,
        (3, 16) => StoredType::F16,
        (3, 32) => StoredType::F32,
        (3, 64) => StoredType::F64,
        _ => return None,
    })
}
