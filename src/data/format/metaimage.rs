//! MetaImage: a header of text and the voxels behind it (`.mha`) or in a file beside it (`.mhd`); slices along the
//! third axis.
//!
//! The lines of the header, with spacing, offset and direction, are kept; written volumes differ from it in size,
//! type and compression alone, and hold their voxels themselves, also under the name `.mhd`.
//!
//! Source: ITK's description of the MetaIO format.

use std::io::{Read, SeekFrom, Write};

use flate2::read::ZlibDecoder;

use super::{Alpha, Colours, Decoded, FileSource, Format, FormatError, Header, unkept};
use crate::atomic::Sink;
use crate::data::limits::MAX_BYTES;
use crate::data::stored::{ByteOrder, bytes_of, samples_of};
use crate::data::{Attributes, Axes, Image, Place, StoredType, VolumeHeader};

/// MetaImage files.
#[derive(Debug)]
pub struct MetaImage;

const NAME: &str = "MetaImage";
/// The key of the last line, which says where the voxels are, and its value where they follow.
const DATA_FILE: &str = "ElementDataFile";
const LOCAL: &str = "LOCAL";
/// Most bytes of a header.
const MAX_HEADER: u64 = 1 << 16;
/// Most channels of a voxel.
const MOST_CHANNELS: usize = 64;

/// The lines of a header, and where the voxels begin.
struct Lines {
    all: Vec<(String, String)>,
    data: usize,
    /// The line that says where the voxels are, the last.
    last: usize,
}

impl Lines {
    fn read(source: &mut dyn FileSource) -> Result<Lines, FormatError> {
        source.seek(SeekFrom::Start(0))?;
        let mut start = Vec::new();
        source.take(MAX_HEADER).read_to_end(&mut start)?;
        let (mut all, mut at) = (Vec::new(), 0);
        loop {
            let end = start[at..].iter().position(|&b| b == b'\n').ok_or(FormatError::CutShort)?;
            let line = String::from_utf8_lossy(&start[at..at + end]).trim().to_string();
            let last_at = at;
            at += end + 1;
            let (key, value) = line
                .split_once('=')
                .ok_or_else(|| FormatError::failed("a line of its header without ="))?;
            let (key, value) = (key.trim().to_string(), value.trim().to_string());
            let last = key == DATA_FILE;
            all.push((key, value));
            if last {
                return Ok(Lines { all, data: at, last: last_at });
            }
        }
    }

    fn get(&self, key: &str) -> Option<&str> {
        self.all.iter().find(|(of, _)| of == key).map(|(_, value)| value.as_str())
    }

    fn is(&self, key: &str) -> bool {
        self.get(key).is_some_and(|value| value.eq_ignore_ascii_case("true"))
    }

    /// The file beside this one that has the voxels.
    fn data_file(&self) -> Result<Option<&str>, FormatError> {
        let name = self.get(DATA_FILE).unwrap_or_default();
        if name == LOCAL {
            return Ok(None);
        }
        // Lists and patterns of several files, and files elsewhere.
        let several = name.starts_with("LIST") || name.contains(['%', '/', '\\', '\0']);
        if several || matches!(name, "" | "." | "..") {
            return Err(FormatError::Unsupported(
                "MetaImage whose voxels lie in several files or in another folder: save it as .mha"
                    .into(),
            ));
        }
        Ok(Some(name))
    }

    /// Columns, rows, slices and channels.
    fn size(&self) -> Result<[usize; 4], FormatError> {
        let wrong = || FormatError::failed("its header has no DimSize of two or three numbers");
        let axes: Result<Vec<usize>, _> =
            self.get("DimSize").ok_or_else(wrong)?.split_whitespace().map(str::parse).collect();
        let channels = match self.get("ElementNumberOfChannels") {
            None => 1,
            Some(n) => n.parse().map_err(|_| FormatError::failed("a number of channels"))?,
        };
        let size = match axes.map_err(|_| wrong())?[..] {
            [x, y] => [x, y, 1, channels],
            [x, y, z] => [x, y, z, channels],
            _ => return Err(wrong()),
        };
        if size.contains(&0) || channels > MOST_CHANNELS {
            return Err(FormatError::failed("no voxels, or more than 64 channels"));
        }
        Ok(size)
    }

    fn stored(&self) -> Result<StoredType, FormatError> {
        let kind = self.get("ElementType").unwrap_or_default();
        let found = TYPES.iter().find(|(name, _)| *name == kind);
        found
            .map(|(_, stored)| *stored)
            .ok_or_else(|| FormatError::Unsupported(format!("MetaImage of type {kind}")))
    }

    fn order(&self) -> ByteOrder {
        let big = self.is("ElementByteOrderMSB") || self.is("BinaryDataByteOrderMSB");
        if big { ByteOrder::Big } else { ByteOrder::Little }
    }

    /// All bytes of the voxels, and how many there are.
    fn bytes(&self) -> Result<usize, FormatError> {
        let bytes = self.size()?.iter().try_fold(1u64, |n, &axis| n.checked_mul(axis as u64));
        let bytes = bytes.and_then(|n| n.checked_mul(self.stored().ok()?.size() as u64));
        bytes.filter(|&n| n <= MAX_BYTES).map(|n| n as usize).ok_or(FormatError::TooLarge)
    }
}

const TYPES: [(&str, StoredType); 12] = [
    ("MET_UCHAR", StoredType::U8),
    ("MET_CHAR", StoredType::I8),
    ("MET_USHORT", StoredType::U16),
    ("MET_SHORT", StoredType::I16),
    ("MET_UINT", StoredType::U32),
    ("MET_INT", StoredType::I32),
    ("MET_ULONG_LONG", StoredType::U64),
    ("MET_LONG_LONG", StoredType::I64),
    ("MET_FLOAT", StoredType::F32),
    ("MET_DOUBLE", StoredType::F64),
    ("MET_ULONG", StoredType::U32),
    ("MET_LONG", StoredType::I32),
];

impl Format for MetaImage {
    fn name(&self) -> &'static str {
        NAME
    }

    fn extensions(&self) -> &'static [&'static str] {
        &["mha", "mhd"]
    }

    fn recognises(&self, start: &[u8]) -> bool {
        start.starts_with(b"ObjectType") || start.starts_with(b"NDims")
    }

    fn header(&self, source: &mut dyn FileSource) -> Result<Header, FormatError> {
        let lines = Lines::read(source)?;
        lines.data_file()?;
        lines.stored()?;
        lines.bytes()?;
        let [width, height, slices, channels] = lines.size()?;
        let mut header = Header::new(width, height, channels, Alpha::None);
        header.stored = lines.stored()?;
        header.colours = Colours::Other;
        (header.pages, header.slices) = (slices, true);
        Ok(header)
    }

    fn data_file(&self, source: &mut dyn FileSource) -> Result<Option<String>, FormatError> {
        Ok(Lines::read(source)?.data_file()?.map(String::from))
    }

    fn joined(&self, mut head: Vec<u8>, data: Vec<u8>) -> Vec<u8> {
        // As if they were behind the header.
        if let Ok(lines) = Lines::read(&mut std::io::Cursor::new(&head)) {
            head.truncate(lines.last);
            head.extend(format!("{DATA_FILE} = {LOCAL}\n").into_bytes());
            head.extend(data);
        }
        head
    }

    fn attributes(
        &self,
        source: &mut dyn FileSource,
        header: &Header,
    ) -> Result<Attributes, FormatError> {
        let lines = Lines::read(source)?;
        let text: String =
            lines.all.iter().map(|(key, value)| format!("{key} = {value}\n")).collect();
        let kept = VolumeHeader { format: NAME, bytes: text.into_bytes() };
        let place = Place { volume: Some(kept), ..Place::default() };
        Ok(Attributes { axes: Axes::Hwc, place, ..Attributes::new(header.stored) })
    }

    fn decode(&self, bytes: &[u8], _header: &Header, page: usize) -> Result<Decoded, FormatError> {
        let lines = Lines::read(&mut std::io::Cursor::new(bytes))?;
        if lines.data_file()?.is_some() {
            return Err(FormatError::Unsupported(
                "MetaImage without the file of its voxels".into(),
            ));
        }
        let [width, height, _, channels] = lines.size()?;
        let stored = lines.stored()?;
        let slice = width * height * channels * stored.size();
        let data = bytes.get(lines.data..).ok_or(FormatError::CutShort)?;
        let mut all = Vec::new();
        if lines.is("CompressedData") {
            let until = (page + 1) * slice;
            ZlibDecoder::new(data).take(until as u64).read_to_end(&mut all)?;
            all.drain(..(page * slice).min(all.len()));
        } else {
            let part = data.get(page * slice..(page + 1) * slice);
            all.extend_from_slice(part.ok_or(FormatError::CutShort)?);
        }
        if all.len() < slice {
            return Err(FormatError::CutShort);
        }
        let (samples, rounded) = samples_of(&all, stored, lines.order());
        Ok(Decoded { image: Image { height, width, channels, samples }, rounded })
    }

    fn holds(&self, channels: usize, stored: StoredType) -> bool {
        channels <= MOST_CHANNELS && TYPES.iter().any(|(_, of)| *of == stored)
    }

    fn encode(
        &self,
        pages: &[Image],
        attributes: &Attributes,
        sink: &mut Sink,
        _quality: u8,
    ) -> Result<Vec<&'static str>, FormatError> {
        let mut lost = unkept(attributes);
        let Image { height, width, channels, .. } = pages[0];
        let stored = attributes.stored;
        let kind = TYPES.iter().find(|(_, of)| *of == stored).map(|(name, _)| *name);
        let kind = kind.ok_or_else(|| FormatError::Unsupported(format!("voxels of {stored}")))?;
        let kept = attributes.place.volume.as_ref().filter(|kept| kept.format == NAME);
        let text = kept.map(|kept| String::from_utf8_lossy(&kept.bytes).into_owned());
        if kept.is_some() {
            lost.retain(|what| !what.contains("volume"));
        }
        let old = text.unwrap_or_else(|| "ObjectType = Image\nNDims = 3\n".to_string());
        let own = [
            "DimSize",
            "ElementType",
            "ElementNumberOfChannels",
            "CompressedData",
            "CompressedDataSize",
            "ElementByteOrderMSB",
            "BinaryDataByteOrderMSB",
            "ElementMin",
            "ElementMax",
            DATA_FILE,
            "HeaderSize",
        ];
        let mut head = String::new();
        let flat = old.lines().any(|line| line.replace(' ', "") == "NDims=2");
        for line in old.lines() {
            let key = line.split('=').next().unwrap_or_default().trim();
            if !own.contains(&key) {
                head += &format!("{line}\n");
            }
        }
        let slices =
            if flat && pages.len() == 1 { String::new() } else { format!(" {}", pages.len()) };
        head += &format!(
            "BinaryDataByteOrderMSB = False\nCompressedData = False\nDimSize = {width} {height}{slices}\n"
        );
        if channels > 1 {
            head += &format!("ElementNumberOfChannels = {channels}\n");
        }
        head += &format!("ElementType = {kind}\n{DATA_FILE} = {LOCAL}\n");
        sink.write_all(head.as_bytes())?;
        for page in pages {
            sink.write_all(&bytes_of(page.samples.as_slice(), stored, ByteOrder::Little))?;
        }
        Ok(lost)
    }
}
