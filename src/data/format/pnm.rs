//! PNM: the text and raw formats of Netpbm, PBM, PGM, PPM and PAM: bits, grey, RGB, alpha, of 1 to 16 bits.
//!
//! Samples stay what they are, whatever the file states as the largest one; that is kept as
//! [`Attributes::bits`] where it is `2^k - 1`. A PBM, in which 1 is black, is read as light, in which 1 is white.
//! (The `image` crate scales samples to 8 or 16 bits.) Of several images in a file the first is read.
//!
//! Source: Netpbm's manual pages pbm(5), pgm(5), ppm(5) and pam(5).

use std::io::{Cursor, Read, SeekFrom, Write};

use super::{
    Alpha, Colours, Decoded, FileSource, Format, FormatError, Header, only, skip_to, unkept,
};
use crate::atomic::Sink;
use crate::data::stored::{ByteOrder, bytes_of, samples_of};
use crate::data::{Attributes, Image, StoredType};
use crate::tensor::Samples;

/// PNM files.
#[derive(Debug)]
pub struct Pnm;

/// Most bytes before the samples, with comments.
const MAX_HEADER: u64 = 1 << 16;
/// Most images behind the first that are counted.
const MOST_IMAGES: usize = 1 << 16;

/// What the first lines of a file say.
struct Lines {
    /// 1 to 7, as in "P5".
    kind: u8,
    width: usize,
    height: usize,
    channels: usize,
    /// The largest sample.
    most: u32,
    /// What a PAM says of its channels.
    tuple: String,
}

impl Format for Pnm {
    fn name(&self) -> &'static str {
        "PNM"
    }

    fn extensions(&self) -> &'static [&'static str] {
        &["ppm", "pgm", "pbm", "pnm", "pam"]
    }

    fn recognises(&self, start: &[u8]) -> bool {
        matches!(start, [b'P', b'1'..=b'7', c, ..] if c.is_ascii_whitespace() || *c == b'#')
    }

    fn header(&self, source: &mut dyn FileSource) -> Result<Header, FormatError> {
        source.seek(SeekFrom::Start(0))?;
        let lines = Lines::read(source)?;
        let mut header = Header::new(lines.width, lines.height, lines.channels, lines.alpha()?);
        header.stored = lines.stored();
        if lines.kind == 7 && lines.channels == 3 && lines.tuple != "RGB" {
            header.colours = Colours::Other;
        }
        header.notes.more_frames = lines.images_behind(source);
        Ok(header)
    }

    fn attributes(
        &self,
        source: &mut dyn FileSource,
        header: &Header,
    ) -> Result<Attributes, FormatError> {
        source.seek(SeekFrom::Start(0))?;
        let most = Lines::read(source)?.most;
        let bits = most.count_ones();
        let fewer = most >> bits == 0 && bits < 8 * header.stored.size() as u32;
        Ok(Attributes { bits: fewer.then_some(bits as u8), ..Attributes::new(header.stored) })
    }

    fn decode(&self, bytes: &[u8], _header: &Header, _page: usize) -> Result<Decoded, FormatError> {
        let mut source = Cursor::new(bytes);
        let lines = Lines::read(&mut source)?;
        let data = &bytes[source.position() as usize..];
        let samples = match lines.kind {
            1..=3 => lines.written_out(data)?,
            4 => lines.unpacked(data)?,
            _ => {
                let raw = data.get(..lines.bytes()?).ok_or(FormatError::CutShort)?;
                samples_of(raw, lines.stored(), ByteOrder::Big).0
            }
        };
        let largest = match &samples {
            Samples::U8(all) => all.iter().max().map_or(0, |&v| u32::from(v)),
            Samples::U16(all) => all.iter().max().map_or(0, |&v| u32::from(v)),
            Samples::F32(_) => 0,
        };
        if largest > lines.most {
            let most = lines.most;
            return Err(FormatError::failed(format!("a sample of {largest} where {most} is most")));
        }
        let Lines { width, height, channels, .. } = lines;
        Ok(Image { height, width, channels, samples }.into())
    }

    fn holds(&self, channels: usize, stored: StoredType) -> bool {
        (1..=4).contains(&channels) && matches!(stored, StoredType::U8 | StoredType::U16)
    }

    /// A PGM of one channel, a PPM of three, a PAM of two or four, whose last is alpha: all raw.
    fn encode(
        &self,
        pages: &[Image],
        attributes: &Attributes,
        sink: &mut Sink,
        _quality: u8,
    ) -> Result<Vec<&'static str>, FormatError> {
        let image = only(pages, self.name())?;
        let Image { height, width, channels, .. } = *image;
        let stored = attributes.stored;
        if !self.holds(channels, stored) {
            return Err(FormatError::Unsupported(format!("{channels} channels of {stored}")));
        }
        let raw = bytes_of(image.samples.as_slice(), stored, ByteOrder::Big);
        let largest = match stored {
            StoredType::U8 => raw.iter().max().map_or(0, |&v| u16::from(v)),
            _ => raw.chunks_exact(2).map(|b| u16::from_be_bytes([b[0], b[1]])).max().unwrap_or(0),
        };
        // The largest sample tells the type: 255 and less are of 8 bits.
        let few = match (stored, attributes.bits) {
            (StoredType::U8, Some(bits @ 1..8)) | (StoredType::U16, Some(bits @ 9..16)) => {
                Some((1 << bits) - 1).filter(|&most| largest <= most)
            }
            _ => None,
        };
        let most = few.unwrap_or(if stored == StoredType::U8 { 255 } else { u16::MAX });
        let head = match channels {
            1 => format!("P5\n{width} {height}\n{most}\n"),
            3 => format!("P6\n{width} {height}\n{most}\n"),
            _ => {
                let tuple = if channels == 2 { "GRAYSCALE_ALPHA" } else { "RGB_ALPHA" };
                format!(
                    "P7\nWIDTH {width}\nHEIGHT {height}\nDEPTH {channels}\nMAXVAL {most}\n\
                     TUPLTYPE {tuple}\nENDHDR\n"
                )
            }
        };
        sink.write_all(head.as_bytes())?;
        sink.write_all(&raw)?;
        Ok(unkept(attributes))
    }
}

impl Lines {
    /// The lines at the position of a source, which is left at the samples.
    fn read(source: &mut dyn FileSource) -> Result<Lines, FormatError> {
        let mut source = source.take(MAX_HEADER);
        let mut mark = [0; 2];
        source.read_exact(&mut mark)?;
        let kind = match mark {
            [b'P', digit @ b'1'..=b'7'] => digit - b'0',
            _ => return Err(FormatError::failed("it does not begin as PNM does")),
        };
        if kind == 7 {
            return Lines::read_pam(&mut source);
        }
        let [width, height] = [number(&mut source)?, number(&mut source)?];
        let most = if matches!(kind, 1 | 4) { 1 } else { number(&mut source)? };
        let channels = if matches!(kind, 3 | 6) { 3 } else { 1 };
        Lines { kind, width, height, channels, most: 0, tuple: String::new() }.with_most(most)
    }

    /// The lines of a PAM behind its mark.
    fn read_pam(source: &mut dyn Read) -> Result<Lines, FormatError> {
        let [mut width, mut height, mut channels, mut most] = [None; 4];
        let mut tuple = String::new();
        loop {
            let line = line(source)?;
            let line = line.trim();
            let (key, value) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
            let value = value.trim();
            let field = match key {
                "ENDHDR" => break,
                "WIDTH" => &mut width,
                "HEIGHT" => &mut height,
                "DEPTH" => &mut channels,
                "MAXVAL" => &mut most,
                "TUPLTYPE" => {
                    tuple = value.to_string();
                    continue;
                }
                "" => continue,
                comment if comment.starts_with('#') => continue,
                _ => return Err(FormatError::failed("an unknown line in its header")),
            };
            let wrong = || FormatError::failed(format!("its {key} is no number"));
            *field = Some(value.parse::<usize>().map_err(|_| wrong())?);
        }
        let missing = |key: &str| FormatError::failed(format!("its header has no {key}"));
        let channels = channels.ok_or_else(|| missing("DEPTH"))?;
        if !(1..=4).contains(&channels) {
            return Err(FormatError::Unsupported(format!("a PAM of {channels} channels")));
        }
        let width = width.ok_or_else(|| missing("WIDTH"))?;
        let height = height.ok_or_else(|| missing("HEIGHT"))?;
        Lines { kind: 7, width, height, channels, most: 0, tuple }
            .with_most(most.ok_or_else(|| missing("MAXVAL"))?)
    }

    fn with_most(self, most: usize) -> Result<Lines, FormatError> {
        match u16::try_from(most) {
            Ok(most @ 1..) => Ok(Lines { most: most.into(), ..self }),
            _ => Err(FormatError::failed(format!("a largest sample of {most}"))),
        }
    }

    fn stored(&self) -> StoredType {
        if self.most < 256 { StoredType::U8 } else { StoredType::U16 }
    }

    fn alpha(&self) -> Result<Alpha, FormatError> {
        let (colour, alpha) = match self.tuple.strip_suffix("_ALPHA") {
            Some(colour) => (colour, Alpha::Straight),
            None => (self.tuple.as_str(), Alpha::None),
        };
        let colours = match colour {
            "BLACKANDWHITE" | "GRAYSCALE" => 1,
            "RGB" => 3,
            _ => return Ok(Alpha::None),
        };
        match colours + usize::from(alpha != Alpha::None) == self.channels {
            true => Ok(alpha),
            false => {
                let Lines { tuple, channels, .. } = self;
                Err(FormatError::failed(format!("{channels} channels that are {tuple}")))
            }
        }
    }

    /// All samples.
    fn count(&self) -> Result<usize, FormatError> {
        let pixels = self.width.checked_mul(self.height);
        pixels.and_then(|n| n.checked_mul(self.channels)).ok_or(FormatError::TooLarge)
    }

    /// The bytes of the samples in a raw file.
    fn bytes(&self) -> Result<usize, FormatError> {
        match self.kind {
            4 => self.width.div_ceil(8).checked_mul(self.height),
            _ => self.count()?.checked_mul(self.stored().size()),
        }
        .ok_or(FormatError::TooLarge)
    }

    /// How many images a raw file has behind this one, at whose samples the source stands.
    fn images_behind(&self, source: &mut dyn FileSource) -> usize {
        let mut pass = |lines: &Lines| -> Option<Lines> {
            if lines.kind < 4 {
                return None;
            }
            let behind = source.stream_position().ok()?.checked_add(lines.bytes().ok()? as u64)?;
            skip_to(source, behind).ok()?;
            // Anything else behind the samples is passed over, as other programs do.
            Lines::read(source).ok()
        };
        let mut last = pass(self);
        let mut images = 0;
        while let Some(lines) = last.filter(|_| images < MOST_IMAGES) {
            images += 1;
            last = pass(&lines);
        }
        images
    }

    /// The samples of a text.
    fn written_out(&self, mut data: &[u8]) -> Result<Samples, FormatError> {
        let count = self.count()?;
        if count > data.len() {
            return Err(FormatError::CutShort);
        }
        let mut all = Vec::with_capacity(count);
        for _ in 0..count {
            let value = match self.kind {
                // Bits need no space between them.
                1 => match visible(&mut data)? {
                    bit @ (b'0' | b'1') => u16::from(bit == b'0'),
                    _ => return Err(FormatError::failed("a bit that is neither 0 nor 1")),
                },
                _ => u16::try_from(number(&mut data)?)
                    .map_err(|_| FormatError::failed("a sample above 65535"))?,
            };
            all.push(value);
        }
        Ok(match self.stored() {
            StoredType::U16 => Samples::U16(all),
            _ => {
                let narrow: Result<Vec<u8>, _> = all.into_iter().map(u8::try_from).collect();
                Samples::U8(narrow.map_err(|_| FormatError::failed("a sample above 255"))?)
            }
        })
    }

    /// The bits of a raw PBM, the first in the highest; rows begin at a byte.
    fn unpacked(&self, data: &[u8]) -> Result<Samples, FormatError> {
        let data = data.get(..self.bytes()?).ok_or(FormatError::CutShort)?;
        let light = |row: &[u8], x: usize| !row[x / 8] >> (7 - x % 8) & 1;
        let rows = data.chunks_exact(self.width.div_ceil(8).max(1));
        Ok(Samples::U8(rows.flat_map(|row| (0..self.width).map(move |x| light(row, x))).collect()))
    }
}

fn byte(source: &mut dyn Read) -> Result<u8, FormatError> {
    let mut one = [0];
    source.read_exact(&mut one)?;
    Ok(one[0])
}

/// The rest of a line.
fn line(source: &mut dyn Read) -> Result<String, FormatError> {
    let mut line = Vec::new();
    loop {
        match byte(source)? {
            b'\n' => return Ok(String::from_utf8_lossy(&line).into_owned()),
            other => line.push(other),
        }
    }
}

/// The next byte that is no space and in no comment.
fn visible(source: &mut dyn Read) -> Result<u8, FormatError> {
    loop {
        match byte(source)? {
            b'#' => drop(line(source)?),
            space if space.is_ascii_whitespace() || space == b'\x0b' => {}
            other => return Ok(other),
        }
    }
}

/// The next number, with the one space or the comment that ends it. The end of the file ends it too.
fn number(source: &mut dyn Read) -> Result<usize, FormatError> {
    let mut digit = visible(source)?;
    let mut value = 0usize;
    loop {
        if !digit.is_ascii_digit() {
            return Err(FormatError::failed("a number with something else in it"));
        }
        let next = value.checked_mul(10).and_then(|v| v.checked_add(usize::from(digit - b'0')));
        value = next.ok_or_else(|| FormatError::failed("a number that is far too large"))?;
        digit = match byte(source) {
            Err(FormatError::CutShort) => return Ok(value),
            Ok(b'#') => {
                line(source)?;
                return Ok(value);
            }
            Ok(space) if space.is_ascii_whitespace() || space == b'\x0b' => return Ok(value),
            Ok(other) => other,
            Err(e) => return Err(e),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::Picture;
    use crate::error::Result;

    fn read(name: &str, bytes: &[u8]) -> Result<Picture> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        Picture::read(&path, 0)
    }

    /// Files as the manual pages of Netpbm describe them: text and raw, comments, one and two bytes a sample.
    #[test]
    fn files_of_every_kind_are_read_as_they_are() {
        type Case = (&'static [u8], usize, Samples, Option<u8>);
        let cases: [Case; 8] = [
            (b"P1\n# a comment\n3 2\n101\n0 1 0", 1, vec![0u8, 1, 0, 1, 0, 1].into(), Some(1)),
            (b"P2 2 1 100\n7 100\n", 1, vec![7u8, 100].into(), None),
            (b"P3\n1 1\n255\n1 2 3", 3, vec![1u8, 2, 3].into(), None),
            (b"P4\n3 2\n\xa0\x40", 1, vec![0u8, 1, 0, 1, 0, 1].into(), Some(1)),
            (b"P5 2 1 255\n\x07\xff", 1, vec![7u8, 255].into(), None),
            (b"P5 2 1 4095 \x00\x07\x0f\xff", 1, vec![7u16, 4095].into(), Some(12)),
            (b"P6 1 1 65535\n\x01\x02\x03\x04\x05\x06", 3, vec![258u16, 772, 1286].into(), None),
            (
                b"P7\nWIDTH 1\nHEIGHT 1\nDEPTH 4\nMAXVAL 255\nTUPLTYPE RGB_ALPHA\nENDHDR\n\x01\x02\x03\x04",
                4,
                vec![1u8, 2, 3, 4].into(),
                None,
            ),
        ];
        for (bytes, channels, samples, bits) in cases {
            let picture = read("x.pnm", bytes).unwrap();
            assert_eq!((picture.image.channels, &picture.image.samples), (channels, &samples));
            assert_eq!(picture.attributes.bits, bits);
            assert_eq!(picture.header.alpha, channels == 4);
        }
    }

    #[test]
    fn what_is_written_is_read_back() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.pam");
        for channels in 1..=4 {
            for bits in [None, Some(7), Some(12)] {
                let count = 6 * channels;
                let samples: Samples = match bits {
                    Some(12) => (0..count as u16).map(|v| v * 150).collect::<Vec<_>>().into(),
                    _ => (0..count as u8).map(|v| v * 5).collect::<Vec<_>>().into(),
                };
                let image = Image::new(3, 2, channels, samples).unwrap();
                let stored = StoredType::of(image.samples.sample_type());
                let attributes = Attributes { bits, ..Attributes::new(stored) };
                let pages = std::slice::from_ref(&image);
                Image::write_pages(pages, &attributes, &path, 95).unwrap();
                let picture = Picture::read(&path, 0).unwrap();
                assert_eq!(picture.image, image, "{channels} {bits:?}");
                assert_eq!(picture.attributes.bits, bits);
            }
        }
    }

    #[test]
    fn damaged_files_are_refused() {
        let cases: [&[u8]; 8] = [
            b"P5 2 2 255\nabc",
            b"P5 2 x 255\nabcd",
            b"P5 2 2 0\nabcd",
            b"P5 2 2 70000\nabcd",
            b"P2 2 1 10\n7 11\n",
            b"P1 2 1\n1 2",
            b"P7\nWIDTH 1\nENDHDR\n",
            b"P5 99999999999999999999999 1 255\n",
        ];
        for bytes in cases {
            let text = read("x.pgm", bytes).unwrap_err().to_string();
            assert!(text.contains("x.pgm"), "{text}");
        }
    }
}
