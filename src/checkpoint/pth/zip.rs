//! The zip container: `NAME/data.pkl` beside `NAME/data/0`, `NAME/data/1`, ..., all uncompressed.

use std::io::{self, Read, Seek};

use ::zip::result::ZipError;
use ::zip::{CompressionMethod, ZipArchive};

use super::super::foreign;
use super::{Fault, PICKLE_LIMIT, Storages, StoredBytes};

/// The pickle, where it begins, and where every storage lies. Checksums of all members are compared
/// here, so that later reads may seek.
pub fn open<R: Read + Seek>(
    source: &mut R,
    length: u64,
) -> Result<(Vec<u8>, usize, Storages), Fault> {
    let mut archive = ZipArchive::new(source).map_err(fault)?;
    if archive.has_duplicate_names() {
        return Err(Fault::Refused("the archive has two members of one name".into()));
    }
    let mut pickle = None;
    let mut places = Storages::new();
    let mut total = 0u64;
    let mut others = Vec::new();
    for i in 0..archive.len() {
        let mut member = archive.by_index(i).map_err(fault)?;
        let name = member.name().map_err(fault)?.into_owned();
        let (folder, inside) = name.split_once('/').unwrap_or(("", &name));
        let storage = inside.strip_prefix("data/");
        if storage.is_none() && inside != "data.pkl" && inside != "byteorder" {
            others.push(name);
            continue;
        }
        if member.compression() != CompressionMethod::Stored
            || member.size() != member.compressed_size()
        {
            return Err(Fault::Refused(format!(
                "its member {} is compressed, which PyTorch never does",
                name
            )));
        }
        total = total.saturating_add(member.size());
        if total > length {
            return Err(Fault::Refused("its members claim more bytes than the file has".into()));
        }
        if let Some(key) = storage {
            let at = member.data_start().ok_or_else(|| "the archive is damaged".to_string())?;
            let place = StoredBytes { at, bytes: member.size() };
            if at.checked_add(place.bytes).is_none_or(|end| end > length) {
                return Err(Fault::Refused("the file is truncated".into()));
            }
            io::copy(&mut member, &mut io::sink()).map_err(reader)?;
            places.insert(key.to_string(), place);
            continue;
        }
        if member.size() > PICKLE_LIMIT {
            return Err(Fault::Refused(format!(
                "its pickle has {} bytes, more than the {PICKLE_LIMIT} that are read",
                member.size()
            )));
        }
        let mut bytes = Vec::with_capacity(member.size() as usize);
        member.read_to_end(&mut bytes).map_err(reader)?;
        if inside == "byteorder" {
            if bytes != b"little" {
                return Err(Fault::Refused("it was saved on a big-endian machine".into()));
            }
        } else if pickle.replace(bytes).is_some() {
            return Err(Fault::Refused(format!("the archive has a second pickle in {folder}")));
        }
    }
    let pickle = pickle.ok_or_else(|| match foreign::archive(&others) {
        Some(what) => format!("it is {what}, and state dicts of torch.save alone can be read"),
        None => "it is a zip archive without a data.pkl, so PyTorch did not write it".to_string(),
    })?;
    Ok((pickle, 0, places))
}

fn fault(error: ZipError) -> Fault {
    match error {
        ZipError::Io(e) => reader(e),
        other => Fault::Refused(format!("the zip archive is damaged ({other})")),
    }
}

/// The zip crate reports a wrong checksum, or a place before the file, as an error of the reader.
fn reader(error: io::Error) -> Fault {
    match error.kind() {
        io::ErrorKind::InvalidData | io::ErrorKind::Other | io::ErrorKind::InvalidInput => {
            Fault::Refused(format!("the file is damaged ({error})"))
        }
        _ => error.into(),
    }
}
