//! PyTorch's `.pth` files: a pickled state dict and the numbers it points to.
//!
//! Two containers are read: the zip archive that PyTorch writes since 1.6, and the plain sequence
//! of pickles and storages before that, in which the published pix2pix weights of 2017 and 2018
//! come. The zip archive is written. Nothing of a file is trusted: every storage is compared with
//! the bytes that are there, and every tensor with its storage, before memory is taken for it.
//!
//! Source: `torch/serialization.py`, `_save` and `_legacy_save`.

mod legacy;
mod write;
mod zip;

use std::collections::HashMap;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use super::float_type::FloatType;
use super::foreign;
use super::infer::recognised;
use super::pickle::{Id, Kind, Object, Parse, Pickle};
use super::refuse;
use crate::{Error, Result};

pub(crate) use write::write;

/// The longest pickle that is read; that of a U-Net takes 20 KB.
const PICKLE_LIMIT: u64 = 1 << 20;
/// How many times larger than the file all its tensors together may be: tensors may share storage,
/// but a small file must not demand much memory.
const SHARING: u64 = 4;

/// Where a storage's numbers lie in the file.
#[derive(Clone, Copy, Debug)]
struct StoredBytes {
    at: u64,
    bytes: u64,
}

/// The storages of a file by their key.
type Storages = HashMap<String, StoredBytes>;

/// Why a container cannot be read: the disk failed, or the file is bad.
#[derive(Debug)]
enum Fault {
    Io(io::Error),
    Refused(String),
}

impl From<io::Error> for Fault {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::UnexpectedEof => Fault::Refused("the file is truncated".into()),
            _ => Fault::Io(error),
        }
    }
}

impl From<String> for Fault {
    fn from(sentence: String) -> Self {
        Fault::Refused(sentence)
    }
}

/// A tensor of a state dict, not read yet.
#[derive(Clone, Debug)]
pub struct StoredTensor {
    /// Its key in the state dict.
    pub name: String,
    /// Extents in PyTorch's order.
    pub size: Vec<usize>,
    stride: Vec<usize>,
    float_type: FloatType,
    /// First byte in the file.
    at: u64,
}

/// An open state dict.
pub struct StateDict<R> {
    source: R,
    path: PathBuf,
    tensors: Vec<StoredTensor>,
}

impl<R: Read + Seek> StateDict<R> {
    /// Opens a file of either container and checks everything but the numbers, which are read later;
    /// `path` only names it in errors.
    ///
    /// # Errors
    /// [`Error::File`] if it cannot be read; [`Error::Input`] with what is wrong with it.
    pub fn new(mut source: R, path: &Path) -> Result<Self> {
        let opened = open(&mut source);
        let tensors = opened.map_err(|fault| match fault {
            Fault::Io(e) => Error::file("read", path, e),
            Fault::Refused(what) => refuse(path, what),
        })?;
        Ok(StateDict { source, path: path.to_path_buf(), tensors })
    }

    /// The floating-point tensors in the file's order; integers (`num_batches_tracked`) are left
    /// out.
    pub fn tensors(&self) -> &[StoredTensor] {
        &self.tensors
    }

    /// The numbers of the tensor at `index`, its extents taken in the given order, the last one
    /// fastest: `&[0, 2, 3, 1]` reads a filter (dim0, dim1, r, s) as (dim0, r, s, dim1).
    ///
    /// # Errors
    /// [`Error::File`] if the disk fails, [`Error::Input`] if `order` does not fit the tensor.
    pub fn read(&mut self, index: usize, order: &[usize]) -> Result<Vec<f32>> {
        let Some(StoredTensor { name, size, stride, float_type, at }) = self.tensors.get(index)
        else {
            return Err(Error::input(format!("{}: no tensor {index}", self.path.display())));
        };
        if order.len() != size.len() || order.iter().any(|&d| d >= size.len()) {
            let detail = format!("{name} has {} extents, not {}", size.len(), order.len());
            return Err(Error::input(format!("{}: {detail}", self.path.display())));
        }
        // `describe` compared the span with the storage, and the storage with the file.
        let span = span(size, stride).expect("describe checked the span") as usize;
        let mut numbers = vec![0.0; span];
        let read = self.source.seek(SeekFrom::Start(*at));
        read.and_then(|_| float_type.read(&mut self.source, &mut numbers))
            .map_err(|e| Error::file("read", &self.path, e))?;
        let dims: Vec<_> = order.iter().map(|&d| (size[d], stride[d])).collect();
        Ok(gather(numbers, &dims))
    }
}

fn open<R: Read + Seek>(source: &mut R) -> std::result::Result<Vec<StoredTensor>, Fault> {
    let length = source.seek(SeekFrom::End(0))?;
    source.seek(SeekFrom::Start(0))?;
    let mut magic = [0; 4];
    source.read_exact(&mut magic)?;
    let (input, pickle_at, places) = if &magic == b"PK\x03\x04" {
        zip::open(source, length)?
    } else {
        legacy::open(source, length)?
    };
    let pickle = Pickle::read(&input[pickle_at..])?;
    Ok(describe(&pickle, &places, length)?)
}

/// The tensors of a pickled state dict, each compared with its storage.
fn describe(pickle: &Pickle, places: &Storages, length: u64) -> Parse<Vec<StoredTensor>> {
    let Object::Dict(members) = pickle.get(pickle.root) else {
        return Err("it holds no state dict; save `network.state_dict()` with torch.save".into());
    };
    let mut tensors = Vec::new();
    let mut total = 0u64;
    for &(key, value) in members {
        let Object::Text(name) = *pickle.get(key) else {
            return Err("its state dict has a key that is no text".into());
        };
        let Object::Tensor(tensor) = pickle.get(value) else {
            return Err(no_state_dict(pickle, members, name));
        };
        let storage = tensor.storage;
        let Kind::Float(float_type) = storage.kind else { continue };
        let place = places.get(storage.key).ok_or_else(|| {
            format!("{name} wants the storage {}, which is not there", storage.key)
        })?;
        let there = place.bytes / float_type.size() as u64;
        if storage.count > there {
            return Err(format!(
                "{name} wants a storage of {} numbers, but {there} are there",
                storage.count
            ));
        }
        let count = tensor
            .size
            .iter()
            .try_fold(1u64, |n, &d| n.checked_mul(d as u64))
            .filter(|&count| count > 0);
        let first = storage.view.checked_add(tensor.offset);
        let end = span(&tensor.size, &tensor.stride).zip(first).and_then(|(s, f)| s.checked_add(f));
        let (Some(count), Some(first)) = (count, first.filter(|_| end.is_some_and(|e| e <= there)))
        else {
            return Err(format!(
                "{name} has the extents {:?} and strides {:?}, which do not fit its storage of \
                 {there} numbers",
                tensor.size, tensor.stride
            ));
        };
        total = total.saturating_add(count.saturating_mul(float_type.size() as u64));
        if total > SHARING.saturating_mul(length) {
            return Err(format!(
                "the tensors up to {name} would take {total} bytes, but the file has only {length}"
            ));
        }
        if tensors.iter().any(|t: &StoredTensor| t.name == name) {
            return Err(format!("the name {name} comes twice"));
        }
        tensors.push(StoredTensor {
            name: name.into(),
            size: tensor.size.clone(),
            stride: tensor.stride.clone(),
            float_type,
            at: place.at + first * float_type.size() as u64,
        });
    }
    Ok(tensors)
}

/// What a dictionary is whose member `name` is no tensor: mostly a checkpoint with the network in
/// another dictionary.
fn no_state_dict(pickle: &Pickle, members: &[(Id, Id)], name: &str) -> String {
    let named = |&(key, value): &(Id, Id)| match *pickle.get(key) {
        Object::Text(key) => Some((key, pickle.get(value))),
        _ => None,
    };
    let keys: Vec<&str> = members.iter().filter_map(|m| Some(named(m)?.0)).collect();
    let inner = members.iter().filter_map(named).find_map(|(key, value)| {
        let Object::Dict(inner) = value else { return None };
        let tensors = inner.iter().filter_map(named).filter_map(|(name, value)| match value {
            Object::Tensor(tensor) => Some((name, tensor.size.as_slice())),
            _ => None,
        });
        Some((key, tensors.collect::<Vec<_>>())).filter(|(_, tensors)| !tensors.is_empty())
    });
    match (foreign::container(&keys), inner) {
        (what, Some((key, tensors))) => {
            let plain = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
            let key = if key.chars().all(plain) { key } else { "KEY" };
            let source = format!("torch.load(FILE)[\"{key}\"]");
            let (inside, cure) = match recognised(&tensors) {
                Some(found) => (found.what(), found.cure(&source)),
                None => {
                    let cure = format!("torch.save({source}, \"network.pth\")");
                    ("a network's tensors".to_string(), Some(cure))
                }
            };
            let cure = cure.map(|cure| format!("; save that by itself: {cure}"));
            let what = what.unwrap_or("a checkpoint of a training");
            format!("it is {what} whose member {key} holds {inside}{}", cure.unwrap_or_default())
        }
        (Some(what), None) => format!("it is {what}, which holds no network"),
        (None, None) => {
            format!("its member {name} is no tensor; save `network.state_dict()` by itself")
        }
    }
}

/// Elements from a tensor's first to its last, both counted; `None` if it has none, or where 64
/// bits do not suffice.
fn span(size: &[usize], stride: &[usize]) -> Option<u64> {
    size.iter().zip(stride).try_fold(1u64, |span, (&extent, &stride)| {
        (extent as u64).checked_sub(1)?.checked_mul(stride as u64)?.checked_add(span)
    })
}

/// The numbers at all indices of `dims` (extent, stride), the last one fastest.
fn gather(numbers: Vec<f32>, dims: &[(usize, usize)]) -> Vec<f32> {
    let mut run = 1;
    let dense = dims.iter().rev().all(|&(extent, stride)| {
        let fits = extent == 1 || stride == run;
        run *= extent;
        fits
    });
    if dense {
        return numbers;
    }
    let count = dims.iter().map(|d| d.0).product();
    let mut out = Vec::with_capacity(count);
    let mut index = vec![0; dims.len()];
    let mut at = 0;
    while out.len() < count {
        out.push(numbers[at]);
        for (i, &(extent, stride)) in index.iter_mut().zip(dims).rev() {
            *i += 1;
            at += stride;
            if *i < extent {
                break;
            }
            at -= *i * stride;
            *i = 0;
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gather_follows_strides() {
        let numbers: Vec<f32> = (0..6u8).map(f32::from).collect();
        assert_eq!(gather(numbers.clone(), &[(2, 3), (3, 1)]), numbers);
        assert_eq!(gather(numbers.clone(), &[(3, 1), (2, 3)]), [0.0, 3.0, 1.0, 4.0, 2.0, 5.0]);
        assert_eq!(gather(numbers[..5].to_vec(), &[(1, 99), (3, 2)]), [0.0, 2.0, 4.0]);
        assert_eq!(gather(vec![7.0], &[(2, 0), (2, 0)]), [7.0; 4]);
        assert_eq!(gather(vec![7.0], &[]), [7.0]);
    }

    #[test]
    fn a_span_that_overflows_is_none() {
        assert_eq!(span(&[2, 3], &[3, 1]), Some(6));
        assert_eq!(span(&[2, 0], &[3, 1]), None);
        assert_eq!(span(&[3], &[usize::MAX]), None);
    }
}
