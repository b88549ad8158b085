//! NIfTI-1 and NIfTI-2 in one file, plain or gzipped: slices along the third axis, the fourth as channels.
//!
//! A slice has the second axis down and the first across, in the order of the file, whatever the orientation of the
//! head: so a volume that is written has its voxels where they were. Slope and intercept are applied when a
//! volume is read, whose samples are then f32. The header, with its affine, units and extensions, is kept;
//! written volumes differ from it in size, type and scaling alone.
//!
//! Source: the headers nifti1.h and nifti2.h.

use std::io::{Cursor, Read, SeekFrom, Write};
use std::sync::{Arc, Mutex, PoisonError};

use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;

use super::{Alpha, Colours, Decoded, FileSource, Format, FormatError, Header, unkept};
use crate::atomic::Sink;
use crate::data::limits::MAX_BYTES;
use crate::data::stored::{ByteOrder, bytes_of, samples_of};
use crate::data::{Attributes, Axes, Image, Place, StoredType, VolumeHeader};
use crate::tensor::Samples;

/// NIfTI files, gzipped or not.
#[derive(Debug)]
pub struct Nifti {
    /// Whether they are gzipped.
    pub gzipped: bool,
}

const NAME: &str = "NIfTI";
/// Most elements of the fourth axis.
const MOST_CHANNELS: usize = 64;
/// Most bytes before the voxels: extensions of some megabytes are known.
const MAX_HEADER: usize = 16 << 20;
const GZIP: &[u8] = &[0x1f, 0x8b];

/// Where things are in a header of one version.
struct Fields {
    dim: usize,
    dim_size: usize,
    datatype: usize,
    bitpix: usize,
    offset: usize,
    scaling: usize,
    /// Bytes of scaling, window and offset.
    float: usize,
    window: usize,
    length: usize,
}

const ONE: Fields = Fields {
    dim: 40,
    dim_size: 2,
    datatype: 70,
    bitpix: 72,
    offset: 108,
    scaling: 112,
    float: 4,
    window: 124,
    length: 348,
};
const TWO: Fields = Fields {
    dim: 16,
    dim_size: 8,
    datatype: 12,
    bitpix: 14,
    offset: 168,
    scaling: 176,
    float: 8,
    window: 192,
    length: 540,
};

/// The header of a volume.
struct Volume {
    bytes: Vec<u8>,
    fields: &'static Fields,
    order: ByteOrder,
}

impl Volume {
    fn read(source: &mut dyn Read) -> Result<Volume, FormatError> {
        let mut bytes = vec![0; ONE.length];
        source.read_exact(&mut bytes)?;
        let size = [bytes[0], bytes[1], bytes[2], bytes[3]];
        let (fields, order) = match (i32::from_le_bytes(size), i32::from_be_bytes(size)) {
            (348, _) => (&ONE, ByteOrder::Little),
            (_, 348) => (&ONE, ByteOrder::Big),
            (540, _) => (&TWO, ByteOrder::Little),
            (_, 540) => (&TWO, ByteOrder::Big),
            _ => return Err(FormatError::failed("it does not begin as NIfTI does")),
        };
        bytes.resize(fields.length, 0);
        source.read_exact(&mut bytes[ONE.length..])?;
        let mut volume = Volume { bytes, fields, order };
        let magic_at = if fields.length == 348 { 344 } else { 4 };
        match &volume.bytes[magic_at..magic_at + 2] {
            b"n+" => {}
            b"ni" => {
                return Err(FormatError::Unsupported(
                    "NIfTI whose voxels lie in another file, .img: save it as one .nii".into(),
                ));
            }
            _ => return Err(FormatError::failed("it lacks the mark of NIfTI")),
        }
        let offset = volume.float(fields.offset, fields.length == 540);
        if !(offset >= fields.length as f64 && offset <= MAX_HEADER as f64) {
            return Err(FormatError::failed(format!("voxels that begin at byte {offset}")));
        }
        // Extensions up to the voxels.
        volume.bytes.resize(offset as usize, 0);
        source.read_exact(&mut volume.bytes[fields.length..])?;
        Ok(volume)
    }

    fn number(&self, at: usize, size: usize) -> i64 {
        let mut raw = [0; 8];
        raw[..size].copy_from_slice(&self.bytes[at..at + size]);
        if self.order == ByteOrder::Big {
            raw[..size].reverse();
        }
        let unused = 64 - 8 * size as u32;
        i64::from_le_bytes(raw) << unused >> unused
    }

    /// A float, or for NIfTI-2's offset a whole number.
    fn float(&self, at: usize, whole: bool) -> f64 {
        let raw = self.number(at, self.fields.float);
        match (self.fields.float, whole) {
            (4, _) => f64::from(f32::from_bits(raw as u32)),
            (_, true) => raw as f64,
            _ => f64::from_bits(raw as u64),
        }
    }

    fn set(&mut self, at: usize, size: usize, value: i64) {
        let mut raw = value.to_le_bytes();
        if self.order == ByteOrder::Big {
            raw[..size].reverse();
        }
        self.bytes[at..at + size].copy_from_slice(&raw[..size]);
    }

    fn set_float(&mut self, at: usize, value: f64) {
        match self.fields.float {
            4 => self.set(at, 4, i64::from((value as f32).to_bits())),
            _ => self.set(at, 8, value.to_bits() as i64),
        }
    }

    /// Columns, rows, slices and channels.
    fn size(&self) -> Result<[usize; 4], FormatError> {
        let Fields { dim, dim_size, .. } = *self.fields;
        let axis = |i: usize| self.number(dim + i * dim_size, dim_size);
        let axes = axis(0);
        if !(1..=7).contains(&axes) {
            return Err(FormatError::failed(format!("a volume of {axes} axes")));
        }
        let length = |i: i64| match axis(i as usize) {
            _ if i > axes => Ok(1),
            n if n >= 1 => usize::try_from(n).map_err(|_| FormatError::TooLarge),
            n => Err(FormatError::failed(format!("an axis of {n} voxels"))),
        };
        let size = [length(1)?, length(2)?, length(3)?, length(4)?];
        if [length(5)?, length(6)?, length(7)?] != [1, 1, 1] || size[3] > MOST_CHANNELS {
            return Err(FormatError::Unsupported(format!(
                "a volume with more than {MOST_CHANNELS} channels or more than four axes"
            )));
        }
        Ok(size)
    }

    fn stored(&self) -> Result<StoredType, FormatError> {
        Ok(match self.number(self.fields.datatype, 2) {
            2 => StoredType::U8,
            4 => StoredType::I16,
            8 => StoredType::I32,
            16 => StoredType::F32,
            64 => StoredType::F64,
            256 => StoredType::I8,
            512 => StoredType::U16,
            768 => StoredType::U32,
            1024 => StoredType::I64,
            1280 => StoredType::U64,
            n => {
                let what = match n {
                    1 => "bits",
                    32 | 1792 | 2048 => "complex numbers",
                    128 | 2304 => "RGB voxels",
                    1536 => "floats of 128 bits",
                    _ => "an unknown type",
                };
                return Err(FormatError::Unsupported(format!("NIfTI of {what}")));
            }
        })
    }

    /// Slope and intercept, if there are any.
    fn scaling(&self) -> Option<[f64; 2]> {
        let Fields { scaling, float, .. } = *self.fields;
        let [slope, intercept] = [scaling, scaling + float].map(|at| self.float(at, false));
        let real = slope.is_finite() && intercept.is_finite() && slope != 0.0;
        (real && [slope, intercept] != [1.0, 0.0]).then_some([slope, intercept])
    }
}

fn datatype(stored: StoredType) -> Option<i64> {
    Some(match stored {
        StoredType::U8 => 2,
        StoredType::I16 => 4,
        StoredType::I32 => 8,
        StoredType::F32 => 16,
        StoredType::F64 => 64,
        StoredType::I8 => 256,
        StoredType::U16 => 512,
        StoredType::U32 => 768,
        StoredType::I64 => 1024,
        StoredType::U64 => 1280,
        StoredType::F16 => return None,
    })
}

/// The unzipped bytes of the file that was read last: slices are read one by one.
static LAST: Mutex<Option<Unzipped>> = Mutex::new(None);

/// The length and the checksum of a gzipped file, and what it holds.
type Unzipped = (usize, u32, Arc<Vec<u8>>);

fn unzipped(bytes: &[u8]) -> Result<Arc<Vec<u8>>, FormatError> {
    let sum = crc32fast::hash(bytes);
    let lock = || LAST.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((length, of, all)) = &*lock()
        && (*length, *of) == (bytes.len(), sum)
    {
        return Ok(all.clone());
    }
    let mut all = Vec::new();
    GzDecoder::new(bytes).take(MAX_BYTES + 1).read_to_end(&mut all)?;
    if all.len() as u64 > MAX_BYTES {
        return Err(FormatError::TooLarge);
    }
    let all = Arc::new(all);
    *lock() = Some((bytes.len(), sum, all.clone()));
    Ok(all)
}

impl Format for Nifti {
    fn name(&self) -> &'static str {
        if self.gzipped { "gzipped NIfTI" } else { NAME }
    }

    fn extensions(&self) -> &'static [&'static str] {
        if self.gzipped { &["nii.gz"] } else { &["nii"] }
    }

    fn recognises(&self, start: &[u8]) -> bool {
        match self.gzipped {
            true => start.starts_with(GZIP),
            false => {
                let size: [u8; 4] = start.get(..4).unwrap_or_default().try_into().unwrap_or([0; 4]);
                let two = start.get(4..6) == Some(b"n+") || start.get(4..6) == Some(b"ni");
                [i32::from_le_bytes(size), i32::from_be_bytes(size)].iter().any(|n| match n {
                    348 => true,
                    540 => two,
                    _ => false,
                })
            }
        }
    }

    fn header(&self, source: &mut dyn FileSource) -> Result<Header, FormatError> {
        let volume = self.volume(source)?;
        let [width, height, slices, channels] = volume.size()?;
        let voxels = [width, height, slices, channels]
            .iter()
            .try_fold(1u64, |n, &axis| n.checked_mul(axis as u64))
            .ok_or(FormatError::TooLarge)?;
        if voxels.saturating_mul(volume.stored()?.size() as u64) > MAX_BYTES {
            return Err(FormatError::TooLarge);
        }
        let mut header = Header::new(width, height, channels, Alpha::None);
        header.colours = Colours::Other;
        header.stored = match volume.scaling() {
            Some(_) => StoredType::F32,
            None => volume.stored()?,
        };
        (header.pages, header.slices) = (slices, true);
        Ok(header)
    }

    fn attributes(
        &self,
        source: &mut dyn FileSource,
        header: &Header,
    ) -> Result<Attributes, FormatError> {
        let volume = self.volume(source)?;
        let kept = VolumeHeader { format: NAME, bytes: volume.bytes };
        let place = Place { volume: Some(kept), ..Place::default() };
        Ok(Attributes { axes: Axes::Hwc, place, ..Attributes::new(header.stored) })
    }

    fn decode(&self, bytes: &[u8], _header: &Header, page: usize) -> Result<Decoded, FormatError> {
        let unzipped = if self.gzipped { Some(unzipped(bytes)?) } else { None };
        let bytes = unzipped.as_ref().map_or(bytes, |all| all.as_slice());
        let volume = Volume::read(&mut Cursor::new(bytes))?;
        let [width, height, slices, channels] = volume.size()?;
        let (stored, pixels) = (volume.stored()?, width * height);
        let size = stored.size();
        let mut all = Vec::with_capacity(pixels * channels * size);
        for channel in 0..channels {
            let from = volume.bytes.len() + (channel * slices + page) * pixels * size;
            let slice = bytes.get(from..from + pixels * size).ok_or(FormatError::CutShort)?;
            all.extend_from_slice(slice);
        }
        let (samples, rounded) = samples_of(&all, stored, volume.order);
        let samples = super::npy::interleaved(samples, pixels, channels);
        let samples = match volume.scaling() {
            None => samples,
            Some([slope, intercept]) => scaled(&samples, slope, intercept),
        };
        Ok(Decoded { image: Image { height, width, channels, samples }, rounded })
    }

    fn holds(&self, channels: usize, stored: StoredType) -> bool {
        channels <= MOST_CHANNELS && datatype(stored).is_some()
    }

    fn encode(
        &self,
        pages: &[Image],
        attributes: &Attributes,
        sink: &mut Sink,
        _quality: u8,
    ) -> Result<Vec<&'static str>, FormatError> {
        let mut lost = unkept(attributes);
        let kept = attributes.place.volume.as_ref().filter(|kept| kept.format == NAME);
        let mut volume = match kept {
            Some(kept) => {
                lost.retain(|what| !what.contains("volume"));
                Volume::read(&mut Cursor::new(&kept.bytes))?
            }
            None => new_volume(),
        };
        let Image { height, width, channels, .. } = pages[0];
        let stored = attributes.stored;
        let number = datatype(stored)
            .ok_or_else(|| FormatError::Unsupported(format!("voxels of {stored}")))?;
        let Fields { dim, dim_size, datatype, bitpix, scaling, float, window, .. } = *volume.fields;
        let axes = if channels > 1 { 4 } else { 3 };
        let size = [axes, width, height, pages.len(), channels, 1, 1, 1];
        for (i, n) in size.into_iter().enumerate() {
            if dim_size == 2 && n > i16::MAX as usize {
                return Err(FormatError::TooLarge);
            }
            volume.set(dim + i * dim_size, dim_size, n as i64);
        }
        volume.set(datatype, 2, number);
        volume.set(bitpix, 2, 8 * stored.size() as i64);
        volume.set_float(scaling, 1.0);
        volume.set_float(scaling + float, 0.0);
        // The window of a viewer is of the input's values.
        volume.set_float(window, 0.0);
        volume.set_float(window + float, 0.0);
        let mut all = volume.bytes.clone();
        for channel in 0..channels {
            for page in pages {
                let one = super::npy::channel(&page.samples, channel, channels);
                all.extend(bytes_of(one.as_slice(), stored, volume.order));
            }
        }
        match self.gzipped {
            true => {
                let mut packer = GzEncoder::new(sink, Compression::new(6));
                packer.write_all(&all)?;
                packer.finish()?;
            }
            false => sink.write_all(&all)?,
        }
        Ok(lost)
    }
}

impl Nifti {
    fn volume(&self, source: &mut dyn FileSource) -> Result<Volume, FormatError> {
        source.seek(SeekFrom::Start(0))?;
        match self.gzipped {
            true => Volume::read(&mut GzDecoder::new(source)).map_err(|e| match e {
                FormatError::Failed(_) => {
                    FormatError::Unsupported("a gzipped file that is no NIfTI: unpack it".into())
                }
                other => other,
            }),
            false => Volume::read(source),
        }
    }
}

/// A header of NIfTI-1 that says nothing but that voxels are cubes of one.
fn new_volume() -> Volume {
    let mut volume = Volume { bytes: vec![0; 352], fields: &ONE, order: ByteOrder::Little };
    volume.set(0, 4, 348);
    volume.bytes[344..348].copy_from_slice(b"n+1\0");
    (0..8).for_each(|i| volume.set_float(76 + 4 * i, 1.0));
    volume.set_float(ONE.offset, 352.0);
    volume
}

fn scaled(samples: &Samples, slope: f64, intercept: f64) -> Samples {
    use crate::tensor::with_samples;
    let value = |v: f64| (v * slope + intercept) as f32;
    Samples::F32(with_samples!(Samples, samples, all => {
        all.iter().map(|&v| value(f64::from(v))).collect()
    }))
}
