//! NPY and NPZ: arrays of numpy, of every type but complex numbers and objects, in either byte order, C and
//! Fortran order.
//!
//! An array of two axes is rows and columns. Of three, the channels are the first or the last axis: the one that
//! has 64 elements or fewer, the shorter of the two where both have, the last where they are alike. Of four, the
//! first counts images, each a picture of its own. An NPZ is its only array, or arrays of one shape and type, each
//! a picture, in the order of their names.
//!
//! Source: numpy's description of the format, versions 1.0 to 3.0.

use std::io::{Cursor, Read, SeekFrom, Write};
use std::str::from_utf8;

use zip::ZipArchive;

use super::{Alpha, Colours, Decoded, FileSource, Format, FormatError, Header, unkept};
use crate::atomic::Sink;
use crate::data::limits::MAX_BYTES;
use crate::data::stored::{ByteOrder, bytes_of, samples_of};
use crate::data::{Attributes, Axes, Image, PixelFormat, StoredType, WindowSource};
use crate::error::{self, Error};
use crate::tensor::{Samples, with_samples};

/// NPY files.
#[derive(Debug)]
pub struct Npy;
/// NPZ files.
#[derive(Debug)]
pub struct Npz;

const MAGIC: &[u8] = b"\x93NUMPY";
/// Most bytes of the header of an array.
const MAX_HEADER: usize = 1 << 16;
/// Most elements of the axis that is taken for channels.
const MOST_CHANNELS: usize = 64;
/// Most arrays of an NPZ.
const MAX_ARRAYS: usize = 1 << 16;

/// What the header of an array says.
#[derive(Clone, Debug, PartialEq)]
struct Array {
    stored: StoredType,
    order: ByteOrder,
    fortran: bool,
    shape: Vec<usize>,
    /// Where the numbers begin.
    data: usize,
}

/// How an array is images.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Shape {
    pages: usize,
    height: usize,
    width: usize,
    channels: usize,
    axes: Axes,
}

impl Array {
    fn read(source: &mut dyn Read) -> Result<Array, FormatError> {
        let mut start = [0; 8];
        source.read_exact(&mut start)?;
        if &start[..6] != MAGIC {
            return Err(FormatError::failed("it does not begin as an array does"));
        }
        let (length, size) = match start[6] {
            1 => {
                let mut length = [0; 2];
                source.read_exact(&mut length)?;
                (usize::from(u16::from_le_bytes(length)), 2)
            }
            2 | 3 => {
                let mut length = [0; 4];
                source.read_exact(&mut length)?;
                (u32::from_le_bytes(length) as usize, 4)
            }
            n => return Err(FormatError::Unsupported(format!("NPY of version {n}"))),
        };
        if length > MAX_HEADER {
            return Err(FormatError::Metadata);
        }
        let mut text = vec![0; length];
        source.read_exact(&mut text)?;
        let text = from_utf8(&text).map_err(|_| FormatError::failed("its header is no text"))?;
        let wrong = |what: &str| FormatError::failed(format!("its header has no {what}"));
        let descr = value(text, "descr").ok_or_else(|| wrong("type"))?;
        let fortran = value(text, "fortran_order").ok_or_else(|| wrong("order"))?;
        let shape = value(text, "shape").ok_or_else(|| wrong("shape"))?;
        let (stored, order) = stored(descr)?;
        let inner = shape.trim_start_matches('(').split(')').next().unwrap_or_default();
        let number = |n: &str| n.trim().trim_end_matches('L').parse::<usize>();
        let shape: Result<Vec<usize>, _> =
            inner.split(',').filter(|n| !n.trim().is_empty()).map(number).collect();
        let shape = shape.map_err(|_| wrong("shape of numbers"))?;
        let data = 8 + size + length;
        Ok(Array { stored, order, fortran: fortran.starts_with("True"), shape, data })
    }

    fn images(&self) -> Result<Shape, FormatError> {
        let few = |n: usize| n <= MOST_CHANNELS;
        let of = |first: usize, a: usize, b: usize, c: usize| {
            // Channels are few, and fewer than rows.
            match (few(a), few(c)) {
                (true, true) if a < c => Some((first, b, c, a, Axes::Chw)),
                (_, true) => Some((first, a, b, c, Axes::Hwc)),
                (true, false) => Some((first, b, c, a, Axes::Chw)),
                (false, false) => None,
            }
        };
        let found = match self.shape[..] {
            [h, w] => Some((1, h, w, 1, Axes::Hw)),
            [a, b, c] => of(1, a, b, c),
            [n, a, b, c] => of(n, a, b, c),
            _ => None,
        };
        let (pages, height, width, channels, axes) = found.ok_or_else(|| {
            FormatError::Unsupported(format!(
                "an array of shape {:?}: give rows x columns, with up to {MOST_CHANNELS} channels first \
                 or last",
                self.shape
            ))
        })?;
        let shape = Shape { pages, height, width, channels, axes };
        let count = self.shape.iter().try_fold(1usize, |n, &axis| n.checked_mul(axis));
        match count.and_then(|n| n.checked_mul(self.stored.size())) {
            Some(0) => Err(FormatError::failed("an array without elements")),
            Some(_) if pages > 0 => Ok(shape),
            _ => Err(FormatError::TooLarge),
        }
    }

    fn header(&self) -> Result<Header, FormatError> {
        let Shape { pages, height, width, channels, .. } = self.images()?;
        let mut header = Header::new(width, height, channels, Alpha::None);
        header.stored = self.stored;
        header.colours = Colours::Other;
        header.pages = pages;
        header.slices = self.shape.len() == 4;
        Ok(header)
    }

    /// One of its images from all its bytes behind the header.
    fn image(&self, data: &[u8], page: usize) -> Result<Decoded, FormatError> {
        let Shape { height, width, channels, axes, .. } = self.images()?;
        let count = height * width * channels;
        let size = self.stored.size();
        let pages = self.images()?.pages;
        // In Fortran order the images of a stack lie interleaved.
        let bytes: std::borrow::Cow<[u8]> = if self.fortran && pages > 1 {
            let of_page = data.chunks_exact(pages * size).take(count);
            of_page.flat_map(|all| &all[page * size..(page + 1) * size]).copied().collect()
        } else {
            let from = page.checked_mul(count * size).ok_or(FormatError::TooLarge)?;
            data.get(from..from + count * size).ok_or(FormatError::CutShort)?.into()
        };
        if bytes.len() < count * size {
            return Err(FormatError::CutShort);
        }
        let (samples, rounded) = samples_of(&bytes, self.stored, self.order);
        let strides = strides(self.fortran, axes, [height, width, channels]);
        let samples = arranged(samples, [height, width, channels], strides);
        Ok(Decoded { image: Image { height, width, channels, samples }, rounded })
    }
}

/// The steps of rows, columns and channels in an array of these axes.
fn strides(fortran: bool, axes: Axes, [h, w, c]: [usize; 3]) -> [usize; 3] {
    match (axes, fortran) {
        (Axes::Hw | Axes::Hwc, false) => [w * c, c, 1],
        (Axes::Hw | Axes::Hwc, true) => [1, h, h * w],
        (Axes::Chw, false) => [w, 1, h * w],
        (Axes::Chw, true) => [c, c * h, 1],
    }
}

/// Samples with channels last, from those with these steps.
fn arranged(
    samples: Samples,
    [h, w, c]: [usize; 3],
    [row, column, channel]: [usize; 3],
) -> Samples {
    if [row, column, channel] == [w * c, c, 1] {
        return samples;
    }
    with_samples!(Samples, &samples, all => {
        let mut to = Vec::with_capacity(all.len());
        for y in 0..h {
            for x in 0..w {
                to.extend((0..c).map(|k| all[y * row + x * column + k * channel]));
            }
        }
        Samples::from(to)
    })
}

/// What stands behind a key in the text of a header.
fn value<'a>(text: &'a str, key: &str) -> Option<&'a str> {
    let at = [format!("'{key}'"), format!("\"{key}\"")]
        .iter()
        .find_map(|key| text.find(key.as_str()).map(|at| at + key.len()))?;
    Some(text[at..].trim_start().strip_prefix(':')?.trim_start())
}

/// The type that numpy's description names.
fn stored(descr: &str) -> Result<(StoredType, ByteOrder), FormatError> {
    let inner = descr.strip_prefix(['\'', '"']).and_then(|rest| rest.split(['\'', '"']).next());
    let unsupported = |what: &str| FormatError::Unsupported(format!("NPY of {what}"));
    let Some(inner) = inner else { return Err(unsupported("records")) };
    let (order, kind) = match inner.chars().next() {
        Some('>') => (ByteOrder::Big, &inner[1..]),
        Some('<' | '|' | '=') => (ByteOrder::Little, &inner[1..]),
        _ => (ByteOrder::Little, inner),
    };
    let stored = match kind {
        "b1" | "u1" => StoredType::U8,
        "i1" => StoredType::I8,
        "u2" => StoredType::U16,
        "i2" => StoredType::I16,
        "u4" => StoredType::U32,
        "i4" => StoredType::I32,
        "u8" => StoredType::U64,
        "i8" => StoredType::I64,
        "f2" => StoredType::F16,
        "f4" => StoredType::F32,
        "f8" => StoredType::F64,
        k if k.starts_with('c') => return Err(unsupported("complex numbers")),
        k if k.starts_with('O') => return Err(unsupported("Python objects")),
        other => return Err(unsupported(&format!("type {other}"))),
    };
    Ok((stored, order))
}

/// numpy's description of a type.
fn descr(stored: StoredType) -> &'static str {
    match stored {
        StoredType::U8 => "|u1",
        StoredType::I8 => "|i1",
        StoredType::U16 => "<u2",
        StoredType::I16 => "<i2",
        StoredType::U32 => "<u4",
        StoredType::I32 => "<i4",
        StoredType::U64 => "<u8",
        StoredType::I64 => "<i8",
        StoredType::F16 => "<f2",
        StoredType::F32 => "<f4",
        StoredType::F64 => "<f8",
    }
}

/// The start of a file with an array of this type and shape.
fn beginning(stored: StoredType, shape: &[usize]) -> Vec<u8> {
    let shape: Vec<String> = shape.iter().map(usize::to_string).collect();
    let mut text = format!(
        "{{'descr': '{}', 'fortran_order': False, 'shape': ({}), }}",
        descr(stored),
        shape.join(", ")
    );
    // The numbers begin at a multiple of 64.
    let length = (MAGIC.len() + 4 + text.len() + 1).next_multiple_of(64) - MAGIC.len() - 4;
    text += &" ".repeat(length - text.len() - 1);
    text.push('\n');
    [MAGIC, &[1, 0], &(length as u16).to_le_bytes(), text.as_bytes()].concat()
}

/// An array of images: its start and its numbers.
fn array(pages: &[Image], attributes: &Attributes) -> Vec<u8> {
    let Image { height, width, channels, .. } = pages[0];
    let mut shape = match (attributes.axes, channels) {
        (Axes::Hw, 1) => vec![height, width],
        (Axes::Chw, _) => vec![channels, height, width],
        _ => vec![height, width, channels],
    };
    if pages.len() > 1 {
        if shape.len() == 2 {
            shape.push(1);
        }
        shape.insert(0, pages.len());
    }
    let mut bytes = beginning(attributes.stored, &shape);
    for page in pages {
        let planar = attributes.axes == Axes::Chw;
        let samples: Vec<Samples> = match planar {
            true => (0..channels).map(|k| channel(&page.samples, k, channels)).collect(),
            false => vec![page.samples.clone()],
        };
        for part in samples {
            bytes.extend(bytes_of(part.as_slice(), attributes.stored, ByteOrder::Little));
        }
    }
    bytes
}

impl Format for Npy {
    fn name(&self) -> &'static str {
        "NPY"
    }

    fn extensions(&self) -> &'static [&'static str] {
        &["npy"]
    }

    fn recognises(&self, start: &[u8]) -> bool {
        start.starts_with(MAGIC)
    }

    fn header(&self, source: &mut dyn FileSource) -> Result<Header, FormatError> {
        Array::read(source)?.header()
    }

    fn attributes(
        &self,
        source: &mut dyn FileSource,
        header: &Header,
    ) -> Result<Attributes, FormatError> {
        let axes = Array::read(source)?.images()?.axes;
        Ok(Attributes { axes, ..Attributes::new(header.stored) })
    }

    fn decode(&self, bytes: &[u8], _header: &Header, page: usize) -> Result<Decoded, FormatError> {
        let array = Array::read(&mut Cursor::new(bytes))?;
        array.image(bytes.get(array.data..).ok_or(FormatError::CutShort)?, page)
    }

    fn windows(
        &self,
        mut source: Box<dyn FileSource + Send>,
        _header: &Header,
    ) -> Result<Option<Box<dyn WindowSource>>, FormatError> {
        let array = Array::read(&mut *source)?;
        let shape = array.images()?;
        let [_, column, channel] =
            strides(array.fortran, shape.axes, [shape.height, shape.width, shape.channels]);
        // Where pixels of a row lie apart, each would be read on its own.
        let rows = column == 1 || (channel == 1 && column == shape.channels);
        Ok(rows.then(|| Box::new(Windows { array, shape, source, rounded: 0 }) as Box<_>))
    }

    fn holds(&self, channels: usize, _stored: StoredType) -> bool {
        channels <= MOST_CHANNELS
    }

    fn encode(
        &self,
        pages: &[Image],
        attributes: &Attributes,
        sink: &mut Sink,
        _quality: u8,
    ) -> Result<Vec<&'static str>, FormatError> {
        sink.write_all(&array(pages, attributes))?;
        Ok(unkept(attributes))
    }
}

/// Parts of an array.
struct Windows {
    array: Array,
    shape: Shape,
    source: Box<dyn FileSource + Send>,
    rounded: usize,
}

impl WindowSource for Windows {
    fn size(&self) -> [usize; 2] {
        [self.shape.width, self.shape.height]
    }

    fn format(&self) -> PixelFormat {
        PixelFormat { channels: self.shape.channels, samples: self.array.stored.held() }
    }

    fn read(&mut self, x: usize, y: usize, width: usize, height: usize) -> error::Result<Image> {
        let Shape { height: h, width: w, channels: c, axes, .. } = self.shape;
        let [row, column, channel] = strides(self.array.fortran, axes, [h, w, c]);
        let size = self.array.stored.size();
        let damaged = |e: std::io::Error| {
            Error::input(format!("an array ends early or cannot be read ({e}): copy it again"))
        };
        let mut bytes = Vec::with_capacity(width * height * c * size);
        let mut run = |from: usize, count: usize, bytes: &mut Vec<u8>| -> error::Result<()> {
            let at = self.array.data + from * size;
            self.source.seek(SeekFrom::Start(at as u64)).map_err(damaged)?;
            let before = bytes.len();
            bytes.resize(before + count * size, 0);
            self.source.read_exact(&mut bytes[before..]).map_err(damaged)
        };
        for line in y..y + height {
            if channel == 1 && column == c {
                run(line * row + x * column, width * c, &mut bytes)?;
                continue;
            }
            // A run of the row for each channel, which are then put side by side.
            let mut planes = Vec::with_capacity(width * c * size);
            for k in 0..c {
                run(line * row + x + k * channel, width, &mut planes)?;
            }
            for at in 0..width {
                for k in 0..c {
                    let from = (k * width + at) * size;
                    bytes.extend_from_slice(&planes[from..from + size]);
                }
            }
        }
        let (samples, rounded) = samples_of(&bytes, self.array.stored, self.array.order);
        self.rounded += rounded;
        Image::new(width, height, c, samples)
    }

    fn rounded(&self) -> usize {
        self.rounded
    }
}

/// The arrays of an NPZ, in the order of their names, all of one type and shape.
fn archive<R: Read + std::io::Seek>(
    source: R,
) -> Result<(ZipArchive<R>, Vec<usize>, Array), FormatError> {
    let failed = |e: zip::result::ZipError| FormatError::failed(e.to_string());
    let mut archive = ZipArchive::new(source).map_err(failed)?;
    if archive.len() > MAX_ARRAYS {
        return Err(FormatError::Metadata);
    }
    let mut named = Vec::new();
    for i in 0..archive.len() {
        let file = archive.by_index(i).map_err(failed)?;
        let name = file.name().map_err(failed)?.into_owned();
        if name.ends_with(".npy") {
            named.push((name, i));
        }
    }
    named.sort();
    let mut first: Option<Array> = None;
    for (name, i) in &named {
        let array = Array::read(&mut archive.by_index(*i).map_err(failed)?)?;
        match &first {
            None => first = Some(array),
            Some(first) if *first == array => {}
            Some(_) => {
                return Err(FormatError::Unsupported(format!(
                    "an NPZ whose arrays differ, such as {} and {name}: save those that are pictures \
                     alone",
                    named[0].0
                )));
            }
        }
    }
    let first = first.ok_or_else(|| FormatError::failed("an NPZ without arrays"))?;
    if named.len() > 1 && first.images()?.pages > 1 {
        return Err(FormatError::Unsupported("an NPZ of several stacks: save them apart".into()));
    }
    Ok((archive, named.into_iter().map(|(_, i)| i).collect(), first))
}

impl Format for Npz {
    fn name(&self) -> &'static str {
        "NPZ"
    }

    fn extensions(&self) -> &'static [&'static str] {
        &["npz"]
    }

    fn recognises(&self, start: &[u8]) -> bool {
        start.starts_with(b"PK\x03\x04")
            && start.get(30..).is_some_and(|name| name.windows(4).any(|part| part == b".npy"))
    }

    fn header(&self, source: &mut dyn FileSource) -> Result<Header, FormatError> {
        let (_, arrays, first) = archive(source)?;
        let mut header = first.header()?;
        if arrays.len() > 1 {
            (header.pages, header.slices) = (arrays.len(), true);
        }
        Ok(header)
    }

    fn attributes(
        &self,
        source: &mut dyn FileSource,
        header: &Header,
    ) -> Result<Attributes, FormatError> {
        let axes = archive(source)?.2.images()?.axes;
        Ok(Attributes { axes, ..Attributes::new(header.stored) })
    }

    fn decode(&self, bytes: &[u8], _header: &Header, page: usize) -> Result<Decoded, FormatError> {
        let (mut archive, arrays, array) = archive(Cursor::new(bytes))?;
        let (index, page) = if arrays.len() > 1 { (arrays[page], 0) } else { (arrays[0], page) };
        let failed = |e: zip::result::ZipError| FormatError::failed(e.to_string());
        let mut file = archive.by_index(index).map_err(failed)?;
        let count = array.shape.iter().product::<usize>() * array.stored.size();
        if count as u64 > MAX_BYTES {
            return Err(FormatError::TooLarge);
        }
        let mut all = Vec::new();
        file.by_ref().take((array.data + count) as u64).read_to_end(&mut all)?;
        array.image(all.get(array.data..).ok_or(FormatError::CutShort)?, page)
    }

    fn holds(&self, channels: usize, _stored: StoredType) -> bool {
        channels <= MOST_CHANNELS
    }

    fn encode(
        &self,
        pages: &[Image],
        attributes: &Attributes,
        sink: &mut Sink,
        _quality: u8,
    ) -> Result<Vec<&'static str>, FormatError> {
        let failed = |e: zip::result::ZipError| FormatError::failed(e.to_string());
        let mut archive = zip::ZipWriter::new(sink);
        // No time of day: the same pixels are the same bytes.
        let options =
            zip::write::SimpleFileOptions::default().last_modified_time(zip::DateTime::default());
        for (i, page) in pages.iter().enumerate() {
            let name =
                if pages.len() == 1 { "arr_0.npy".into() } else { format!("arr_{i:05}.npy") };
            archive.start_file(name, options).map_err(failed)?;
            archive.write_all(&array(std::slice::from_ref(page), attributes))?;
        }
        archive.finish().map_err(failed)?;
        Ok(unkept(attributes))
    }
}

/// Samples with channels last, from those of one channel after the other.
pub(super) fn interleaved(samples: Samples, pixels: usize, channels: usize) -> Samples {
    arranged(samples, [1, pixels, channels], [pixels * channels, 1, pixels])
}

/// The samples of one channel.
pub(super) fn channel(samples: &Samples, channel: usize, channels: usize) -> Samples {
    with_samples!(Samples, samples, all => {
        Samples::from(all.iter().skip(channel).step_by(channels).copied().collect::<Vec<_>>())
    })
}
