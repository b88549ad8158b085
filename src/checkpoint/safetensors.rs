//! Safetensors files: a length, a JSON header, then the tensors' bytes in a row.
//!
//! A checkpoint is about 700 MB and is written in the middle of training, so tensors stream:
//! neither side ever holds a second copy of all of them, and a reader reads only the tensors it is
//! asked for. Only the header's types come from the `safetensors` crate: its reader needs the whole
//! file in memory, and its writer orders metadata at random.
//!
//! Filters are written as they lie in memory, (k, r, s, c); a vector (1, 1, 1, c) has the one
//! extent c. Written files are equal byte for byte when their contents are.
//!
//! Source: the format's description, <https://huggingface.co/docs/safetensors>.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use safetensors::Dtype;
use safetensors::tensor::TensorInfo;
use serde::de::{Deserializer, Error as _, MapAccess, Visitor};

use super::checksums::{self, Summed};
use super::float_type::{self, FloatType};
use crate::atomic;
use crate::lock::same_file;
use crate::regular::open_regular;
use crate::tensor::Shape;
use crate::{Error, Result};

/// The longest header that is read, in bytes: 250 tensors need about 25 KB.
const HEADER_LIMIT: u64 = 2 << 20;
/// The header's key for free text.
const METADATA: &str = "__metadata__";

/// Writes tensors in the order of `layout`, atomically, with a checksum of each and of the header:
/// `fetch(i, buffer)` appends the numbers of `layout[i]`, channels fastest, to the empty `buffer`, so
/// that one tensor is held at a time.
///
/// # Errors
/// [`Error::File`] if the disk fails; [`Error::Shape`] if data and shape disagree or a name is used
/// twice; whatever `fetch` returns.
pub fn write<S: AsRef<str>>(
    path: &Path,
    layout: &[(S, Shape)],
    metadata: &BTreeMap<String, String>,
    mut fetch: impl FnMut(usize, &mut Vec<f32>) -> Result<()>,
) -> Result<()> {
    let mut sums = vec![0; layout.len()];
    let blank = header(layout, metadata, &sums)?;
    atomic::replace(path, |sink| {
        let fail = |e| Error::file("write", path, e);
        sink.write_all(&blank).map_err(fail)?;
        let mut buffer = Vec::new();
        for (i, (name, shape)) in layout.iter().enumerate() {
            buffer.clear();
            fetch(i, &mut buffer)?;
            check_length(name.as_ref(), *shape, buffer.len())?;
            let mut summed = Summed::new(&mut *sink);
            float_type::write(&mut summed, &buffer).map_err(fail)?;
            sums[i] = summed.sum();
        }
        let header = header(layout, metadata, &sums)?;
        debug_assert_eq!(header.len(), blank.len(), "checksums have a fixed width");
        sink.seek(SeekFrom::Start(0)).and_then(|_| sink.write_all(&header)).map_err(fail)
    })
}

fn check_length(name: &str, shape: Shape, len: usize) -> Result<()> {
    if len == shape.count() {
        return Ok(());
    }
    let detail = format!("{name} is {shape} but came with {len} numbers");
    Err(Error::shape("write safetensors", detail))
}

/// Length and JSON, padded with spaces so that the data starts on a multiple of 8 bytes; `sums` are
/// the tensors' checksums.
fn header<S: AsRef<str>>(
    layout: &[(S, Shape)],
    metadata: &BTreeMap<String, String>,
    sums: &[u32],
) -> Result<Vec<u8>> {
    let names = layout.iter().map(|(name, _)| name.as_ref());
    let mut metadata = metadata.clone();
    checksums::insert(&mut metadata, names.zip(sums));
    let mut seen = BTreeSet::from([METADATA]);
    let mut fields = Vec::with_capacity(layout.len() + 1);
    fields.push(format!("\"{METADATA}\":{}", json(&metadata)));
    let mut at = 0;
    for (name, shape) in layout {
        let name = name.as_ref();
        if !seen.insert(name) {
            let detail = format!("the name {name} is used twice, or reserved");
            return Err(Error::shape("write safetensors", detail));
        }
        let vector = *shape == Shape::vector(shape.c);
        let extents = if vector { vec![shape.c] } else { vec![shape.n, shape.h, shape.w, shape.c] };
        let end = at + 4 * shape.count();
        let info = TensorInfo { dtype: Dtype::F32, shape: extents, data_offsets: (at, end) };
        fields.push(format!("{}:{}", json(name), json(info)));
        at = end;
    }
    let mut text = format!("{{{}}}", fields.join(",")).into_bytes();
    text.resize(text.len().next_multiple_of(8), b' ');
    let mut header = (text.len() as u64).to_le_bytes().to_vec();
    header.append(&mut text);
    checksums::seal(&mut header);
    Ok(header)
}

/// JSON of our own plain data, which always has one.
fn json(value: impl serde::Serialize) -> String {
    serde_json::to_string(&value).expect("strings and integers have a JSON form")
}

/// An open file with a checked header; tensors are read on demand.
pub struct Reader<R = BufReader<File>> {
    source: R,
    path: PathBuf,
    tensors: BTreeMap<String, Stored>,
    names: Vec<String>,
    metadata: BTreeMap<String, String>,
}

struct Stored {
    float_type: FloatType,
    shape: Shape,
    /// First byte, from the start of the file.
    at: u64,
    /// Checksum of its bytes, which files of other programs and older ones of ours lack.
    sum: Option<u32>,
    /// Whether its bytes were found to have it.
    verified: bool,
}

impl Reader {
    /// Opens `path` and checks its header against the file's length.
    ///
    /// # Errors
    /// [`Error::File`] if it cannot be read; [`Error::Input`] if it is no safetensors file, is
    /// truncated, or holds something other than floating-point tensors of one or four extents.
    pub fn open(path: &Path) -> Result<Self> {
        let (file, _) = open_regular(path, "open")?;
        Reader::new(BufReader::new(file), path)
    }

    /// Whether the file that is open is the one that `path` names now.
    pub(crate) fn is_at(&self, path: &Path) -> bool {
        same_file(self.source.get_ref().metadata().ok(), path.metadata().ok())
    }
}

impl<R: Read + Seek> Reader<R> {
    /// As [`Reader::open`], from any source; `path` only names it in errors.
    ///
    /// # Errors
    /// As [`Reader::open`].
    pub fn new(mut source: R, path: &Path) -> Result<Self> {
        let io = |e| Error::file("read", path, e);
        let refuse = |what: String| super::refuse(path, what);
        let length = source.seek(SeekFrom::End(0)).map_err(io)?;
        if length < 8 {
            return Err(refuse(format!("{length} bytes are too few for a safetensors file")));
        }
        source.seek(SeekFrom::Start(0)).map_err(io)?;
        let mut prefix = [0; 8];
        source.read_exact(&mut prefix).map_err(io)?;
        let size = u64::from_le_bytes(prefix);
        if size > length - 8 {
            return Err(refuse(format!(
                "the header should have {size} bytes, but only {} follow; the file is truncated \
                 or no safetensors file",
                length - 8
            )));
        }
        if size > HEADER_LIMIT {
            return Err(refuse(format!(
                "the header has {size} bytes, more than the {HEADER_LIMIT} that are read; it is \
                 no model of ours"
            )));
        }
        let mut bytes = prefix.to_vec();
        bytes.resize(8 + size as usize, 0);
        source.read_exact(&mut bytes[8..]).map_err(io)?;
        let Header { tensors, mut metadata } = serde_json::from_slice(&bytes[8..])
            .map_err(|e| refuse(format!("the safetensors header is damaged ({e})")))?;
        let (mut tensors, names) = check(tensors, 8 + size, length - 8 - size).map_err(refuse)?;
        let sums = checksums::take(&mut metadata, &bytes).map_err(refuse)?;
        if let Some(sums) = sums {
            for (name, stored) in &mut tensors {
                stored.sum = sums.get(name).copied();
                if stored.sum.is_none() {
                    return Err(refuse(format!("it has checksums, but none of {name}")));
                }
            }
        }
        Ok(Reader { source, path: path.to_path_buf(), tensors, names, metadata })
    }

    /// The tensors' names, in the order of their data.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// The extents of a tensor, `None` if the file has none of that name.
    pub fn shape(&self, name: &str) -> Option<Shape> {
        self.tensors.get(name).map(|t| t.shape)
    }

    /// The file's metadata.
    pub fn metadata(&self) -> &BTreeMap<String, String> {
        &self.metadata
    }

    /// The numbers of a tensor, as f32.
    ///
    /// # Errors
    /// [`Error::Input`] if there is none of that name, or if its bytes are not those that were
    /// written; [`Error::File`] if the disk fails.
    pub fn read(&mut self, name: &str) -> Result<Vec<f32>> {
        // Bounded by the file: `new` compared every shape with the bytes that are there.
        let mut out = vec![0.0; self.stored(name)?.shape.count()];
        self.read_into(name, &mut out)?;
        Ok(out)
    }

    /// As [`Reader::read`], into `out`.
    ///
    /// # Errors
    /// As [`Reader::read`], and [`Error::Input`] if `out` has another length.
    pub fn read_into(&mut self, name: &str, out: &mut [f32]) -> Result<()> {
        let Stored { float_type, shape, at, .. } = *self.stored(name)?;
        if out.len() != shape.count() {
            return Err(Error::input(format!(
                "{}: {name} is {shape}, but {} numbers were expected",
                self.path.display(),
                out.len()
            )));
        }
        let io = |e| Error::file("read", &self.path, e);
        self.source.seek(SeekFrom::Start(at)).map_err(io)?;
        let mut summed = Summed::new(&mut self.source);
        float_type.read(&mut summed, out).map_err(io)?;
        let sum = summed.sum();
        self.compare(name, sum)
    }

    /// Reads every tensor that was not read yet and compares its bytes with its checksum, where the
    /// file has any.
    ///
    /// # Errors
    /// [`Error::Input`] with the name of a tensor whose bytes are not those that were written;
    /// [`Error::File`] if the disk fails.
    pub fn verify(&mut self) -> Result<()> {
        for name in self.names.clone() {
            let Stored { float_type, shape, at, sum, verified } = self.tensors[&name];
            if sum.is_none() || verified {
                continue;
            }
            let io = |e| Error::file("read", &self.path, e);
            self.source.seek(SeekFrom::Start(at)).map_err(io)?;
            let bytes = (shape.count() * float_type.size()) as u64;
            let mut summed = Summed::new(std::io::sink());
            std::io::copy(&mut self.source.by_ref().take(bytes), &mut summed).map_err(io)?;
            let sum = summed.sum();
            self.compare(&name, sum)?;
        }
        Ok(())
    }

    fn compare(&mut self, name: &str, sum: u32) -> Result<()> {
        let stored = self.tensors.get_mut(name).expect("its place was looked up");
        if stored.sum.is_some_and(|written| written != sum) {
            return Err(super::refuse(
                &self.path,
                format!(
                    "{name} is damaged: its bytes are not those that were written; copy the file \
                     again, or take another one"
                ),
            ));
        }
        stored.verified = true;
        Ok(())
    }

    fn stored(&self, name: &str) -> Result<&Stored> {
        let missing = || format!("{}: there is no tensor {name} in it", self.path.display());
        self.tensors.get(name).ok_or_else(|| Error::input(missing()))
    }
}

/// Checks the header's claims, and turns them into positions in the file.
fn check(
    mut claimed: Vec<(String, TensorInfo)>,
    start: u64,
    data: u64,
) -> std::result::Result<(BTreeMap<String, Stored>, Vec<String>), String> {
    claimed.sort_by_key(|(_, info)| info.data_offsets);
    let mut tensors = BTreeMap::new();
    let mut names = Vec::with_capacity(claimed.len());
    let mut end = 0;
    for (name, info) in claimed {
        let float_type = match info.dtype {
            Dtype::F16 => FloatType::F16,
            Dtype::BF16 => FloatType::Bf16,
            Dtype::F32 => FloatType::F32,
            Dtype::F64 => FloatType::F64,
            other => return Err(format!("{name} is of type {other:?}; weights are F32")),
        };
        let shape = match info.shape[..] {
            [] => Shape::SCALAR,
            [c] => Shape::vector(c),
            [n, h, w, c] => Shape::new(n, h, w, c),
            ref other => {
                let rank = other.len();
                return Err(format!("{name} has {rank} extents; filters have 4 and vectors 1"));
            }
        };
        let bytes = [shape.h, shape.w, shape.c, float_type.size()]
            .iter()
            .try_fold(shape.n, |product, &extent| product.checked_mul(extent));
        let (from, to) = info.data_offsets;
        if bytes.is_none() || to.checked_sub(from) != bytes {
            return Err(format!(
                "{name} claims the extents {:?} and the bytes {from} to {to}, which disagree",
                info.shape
            ));
        }
        if from as u64 != end || to as u64 > data {
            return Err(format!(
                "{name} claims the bytes {from} to {to}, but the data is {data} bytes and the \
                 tensor before it ends at {end}; the file is truncated or damaged"
            ));
        }
        end = to as u64;
        names.push(name.clone());
        let at = start + from as u64;
        tensors.insert(name, Stored { float_type, shape, at, sum: None, verified: false });
    }
    if end != data {
        return Err(format!("its tensors end at byte {end}, but its data has {data} bytes"));
    }
    Ok((tensors, names))
}

/// The JSON header; a name that comes twice is refused, as a map type would hide it.
#[derive(Default)]
struct Header {
    tensors: Vec<(String, TensorInfo)>,
    metadata: BTreeMap<String, String>,
}

impl<'de> serde::Deserialize<'de> for Header {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        struct Fields;
        impl<'de> Visitor<'de> for Fields {
            type Value = Header;

            fn expecting(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
                f.write_str("an object of tensors")
            }

            fn visit_map<A: MapAccess<'de>>(
                self,
                mut map: A,
            ) -> std::result::Result<Header, A::Error> {
                let mut header = Header::default();
                let mut seen = BTreeSet::new();
                while let Some(name) = map.next_key::<String>()? {
                    if !seen.insert(name.clone()) {
                        return Err(A::Error::custom(format!("the name {name} comes twice")));
                    }
                    if name == METADATA {
                        header.metadata = map.next_value()?;
                    } else {
                        header.tensors.push((name, map.next_value()?));
                    }
                }
                Ok(header)
            }
        }
        deserializer.deserialize_map(Fields)
    }
}
