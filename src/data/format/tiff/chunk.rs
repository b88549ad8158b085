//! The samples of a strip or tile.

use std::io::{Read, SeekFrom};

use flate2::read::ZlibDecoder;

use zune_jpeg::JpegDecoder;
use zune_jpeg::zune_core::bytestream::ZCursor;
use zune_jpeg::zune_core::colorspace::ColorSpace;
use zune_jpeg::zune_core::options::DecoderOptions;

use super::super::{FileSource, FormatError, jpeg_scan};
use super::layout::{Layout, Packing, Predictor};
use crate::data::limits::MAX_BYTES;
use crate::data::stored::{ByteOrder, samples_of};
use crate::tensor::Samples;

impl Layout {
    /// The samples of the chunk at column `across` and row `down` of chunks in a plane, rows of
    /// `chunk_width * chunk_channels` each, and how many of them had to be rounded.
    ///
    /// # Errors
    /// A chunk that is cut short or damaged.
    pub fn chunk(
        &self,
        source: &mut dyn FileSource,
        [across, down, plane]: [usize; 3],
    ) -> Result<(Samples, usize), FormatError> {
        let index = (plane * self.down() + down) * self.across() + across;
        let (at, bytes) = self.chunks[index];
        let rows = self.chunk_rows(down);
        let wanted = self.row_bytes().checked_mul(rows).ok_or(FormatError::TooLarge)?;
        // A damaged file may state tiles of any size.
        let mut raw = Vec::new();
        if wanted as u64 > MAX_BYTES || raw.try_reserve_exact(wanted).is_err() {
            return Err(FormatError::TooLarge);
        }
        source.seek(SeekFrom::Start(at))?;
        let packed = source.take(bytes);
        match self.packing {
            Packing::None => drop(packed.take(wanted as u64).read_to_end(&mut raw)?),
            Packing::Deflate => {
                ZlibDecoder::new(packed).take(wanted as u64).read_to_end(&mut raw)?;
            }
            Packing::Zstd => {
                let mut decoder = zstd::Decoder::new(packed)?;
                (&mut decoder).take(wanted as u64).read_to_end(&mut raw)?;
            }
            Packing::Lzw => {
                let mut all = Vec::new();
                { packed }.read_to_end(&mut all)?;
                lzw(&all, wanted, &mut raw)?;
            }
            Packing::Jpeg { converted } => {
                let mut data = Vec::new();
                { packed }.read_to_end(&mut data)?;
                let size = [self.chunk_width, rows];
                raw = jpeg(&self.tables, &data, size, self.chunk_channels(), converted)?;
            }
            Packing::PackBits => {
                let mut all = Vec::new();
                { packed }.read_to_end(&mut all)?;
                unpack_bits(&all, wanted, &mut raw);
            }
        }
        if raw.len() < wanted {
            return Err(FormatError::CutShort);
        }
        // A last run may go on behind the last row.
        raw.truncate(wanted);
        match self.predictor {
            Predictor::None => {}
            Predictor::Difference => self.undo_difference(&mut raw)?,
            Predictor::Float => self.undo_float(&mut raw),
        }
        // The float predictor stores the highest bytes first, whatever the file's order.
        let order = if self.predictor == Predictor::Float { ByteOrder::Big } else { self.order };
        let (mut samples, rounded) = match self.bits {
            bits @ (1 | 2 | 4 | 12) => (self.unpacked(&raw, bits), 0),
            _ => samples_of(&raw, self.stored, order),
        };
        if self.white_is_zero {
            invert(&mut samples, self.bits);
        }
        Ok((samples, rounded))
    }

    /// Samples of fewer bits than a byte or two has, the highest bits first; rows begin at a byte.
    fn unpacked(&self, raw: &[u8], bits: usize) -> Samples {
        let row = self.chunk_width * self.chunk_channels();
        let value = |line: &[u8], i: usize| -> u16 {
            let at = i * bits;
            let window = (0..3)
                .fold(0u32, |w, k| w << 8 | u32::from(line.get(at / 8 + k).copied().unwrap_or(0)));
            (window >> (24 - at % 8 - bits)) as u16 & ((1 << bits) - 1)
        };
        let all = raw
            .chunks_exact(self.row_bytes())
            .flat_map(|line| (0..row).map(move |i| value(line, i)));
        if bits > 8 {
            Samples::U16(all.collect())
        } else {
            Samples::U8(all.map(|v| v as u8).collect())
        }
    }

    /// Adds up the differences from the pixel to the left, modulo the size of a sample.
    fn undo_difference(&self, raw: &mut [u8]) -> Result<(), FormatError> {
        let size = self.bits / 8;
        if !self.bits.is_multiple_of(8) {
            return Err(FormatError::Unsupported(format!(
                "TIFF of {} bits with a predictor",
                self.bits
            )));
        }
        let step = size * self.chunk_channels();
        macro_rules! add {
            ($type:ty, $from:ident, $to:ident) => {
                for row in raw.chunks_exact_mut(self.row_bytes()) {
                    for at in (step..row.len()).step_by(size) {
                        let number = |from: usize| {
                            let bytes = row[from..from + size].try_into();
                            <$type>::$from(bytes.expect("a sample has this size"))
                        };
                        let sum = number(at).wrapping_add(number(at - step));
                        row[at..at + size].copy_from_slice(&sum.$to());
                    }
                }
            };
        }
        match (size, self.order) {
            (1, _) => add!(u8, from_le_bytes, to_le_bytes),
            (2, ByteOrder::Little) => add!(u16, from_le_bytes, to_le_bytes),
            (2, ByteOrder::Big) => add!(u16, from_be_bytes, to_be_bytes),
            (4, ByteOrder::Little) => add!(u32, from_le_bytes, to_le_bytes),
            (4, ByteOrder::Big) => add!(u32, from_be_bytes, to_be_bytes),
            (_, ByteOrder::Little) => add!(u64, from_le_bytes, to_le_bytes),
            (_, ByteOrder::Big) => add!(u64, from_be_bytes, to_be_bytes),
        }
        Ok(())
    }

    /// Undoes the predictor of floats: bytewise differences, then the bytes of a row lie by significance, the
    /// highest first. Source: Adobe Photoshop TIFF technical note 3.
    fn undo_float(&self, raw: &mut [u8]) {
        let size = self.bits / 8;
        let step = self.chunk_channels();
        for row in raw.chunks_exact_mut(self.row_bytes()) {
            for at in step..row.len() {
                row[at] = row[at].wrapping_add(row[at - step]);
            }
            let sorted = row.to_vec();
            let samples = row.len() / size;
            for i in 0..samples {
                for byte in 0..size {
                    row[i * size + byte] = sorted[byte * samples + i];
                }
            }
        }
    }
}

/// White becomes the largest value.
fn invert(samples: &mut Samples, bits: usize) {
    match samples {
        Samples::U8(all) => {
            let most = (1u16 << bits.min(8)) - 1;
            all.iter_mut().for_each(|v| *v = most as u8 - *v);
        }
        Samples::U16(all) => {
            let most = ((1u32 << bits.min(16)) - 1) as u16;
            all.iter_mut().for_each(|v| *v = most - *v);
        }
        // Numbers have no white.
        Samples::F32(_) => {}
    }
}

fn lzw(packed: &[u8], wanted: usize, to: &mut Vec<u8>) -> Result<(), FormatError> {
    let order = weezl::BitOrder::Msb;
    let mut decoder = weezl::decode::Decoder::with_tiff_size_switch(order, 8);
    let mut from = packed;
    let mut buffer = vec![0; wanted.clamp(1, 1 << 16)];
    while to.len() < wanted {
        let done = decoder.decode_bytes(from, &mut buffer);
        from = &from[done.consumed_in..];
        to.extend_from_slice(&buffer[..done.consumed_out.min(wanted - to.len())]);
        match done.status {
            Ok(weezl::LzwStatus::Ok) if done.consumed_in + done.consumed_out > 0 => {}
            Ok(_) => break,
            Err(e) => return Err(FormatError::failed(e.to_string())),
        }
    }
    Ok(())
}

/// Source: TIFF 6.0, section 9.
fn unpack_bits(packed: &[u8], wanted: usize, to: &mut Vec<u8>) {
    let mut from = packed.iter();
    while to.len() < wanted {
        let Some(&head) = from.next() else { break };
        match head as i8 {
            -128 => {}
            n @ 0.. => to.extend(from.by_ref().take(n as usize + 1)),
            n => {
                let Some(&byte) = from.next() else { break };
                to.extend(std::iter::repeat_n(byte, (1 - isize::from(n)) as usize));
            }
        }
    }
}

/// The samples of a JPEG stream of this width and height, whose tables may stand elsewhere.
fn jpeg(
    tables: &[u8],
    data: &[u8],
    [width, height]: [usize; 2],
    channels: usize,
    converted: bool,
) -> Result<Vec<u8>, FormatError> {
    let (start, rest) = data.split_at_checked(2).ok_or(FormatError::CutShort)?;
    let stream = [start, tables, rest].concat();
    jpeg_scan::check(&stream)?;
    let options = DecoderOptions::default().set_max_width(width).set_max_height(height);
    let mut decoder = JpegDecoder::new_with_options(ZCursor::new(&stream), options);
    decoder.decode_headers().map_err(|e| FormatError::failed(e.to_string()))?;
    let colours = match (channels, converted, decoder.input_colorspace()) {
        (1, ..) => ColorSpace::Luma,
        (_, true, _) => ColorSpace::RGB,
        // As they are, whatever the decoder takes them for.
        (_, false, taken_for) => taken_for.unwrap_or(ColorSpace::RGB),
    };
    decoder.set_options(options.jpeg_set_out_colorspace(colours));
    let samples = decoder.decode().map_err(|e| FormatError::failed(e.to_string()))?;
    match decoder.dimensions() {
        Some(size) if size == (width, height) && samples.len() == width * height * channels => {
            Ok(samples)
        }
        _ => Err(FormatError::failed("a strip or tile whose JPEG has another size")),
    }
}
