//! The container before PyTorch 1.6: five pickles (a magic number, a version, the machine's sizes,
//! the state dict, the keys of the storages), then each storage in the order of the keys: its
//! length as a 64-bit number, and its numbers.

use std::io::{Read, Seek, SeekFrom};

use super::super::foreign;
use super::super::pickle::{Object, Parse, Pickle};
use super::{Fault, PICKLE_LIMIT, Storages, StoredBytes};

/// `torch.serialization.MAGIC_NUMBER`.
const MAGIC: i128 = 0x1950_a86a_20f9_469c_fc6c;
/// `torch.serialization.PROTOCOL_VERSION`.
const VERSION: i128 = 1001;

/// The file's first bytes, where the state dict's pickle begins in them, and where every storage
/// lies.
pub fn open<R: Read + Seek>(
    source: &mut R,
    length: u64,
) -> Result<(Vec<u8>, usize, Storages), Fault> {
    source.seek(SeekFrom::Start(0))?;
    // Only the beginning of the file, which is mostly numbers.
    let mut input = Vec::with_capacity(length.min(PICKLE_LIMIT) as usize);
    source.take(PICKLE_LIMIT).read_to_end(&mut input)?;
    let (state_at, keys, mut at) = pickles(&input)?;
    let mut places = Storages::new();
    for (key, size) in keys {
        source.seek(SeekFrom::Start(at))?;
        let mut count = [0; 8];
        source.read_exact(&mut count)?;
        let count = u64::from_le_bytes(count);
        at += 8;
        let bytes = count.checked_mul(size).filter(|&bytes| bytes <= length.saturating_sub(at));
        let bytes = bytes.ok_or_else(|| {
            format!(
                "the storage {key} should have {count} numbers of {size} bytes, but only {} bytes \
                 follow; the file is truncated or damaged",
                length.saturating_sub(at)
            )
        })?;
        places.insert(key, StoredBytes { at, bytes });
        at += bytes;
    }
    Ok((input, state_at, places))
}

/// The keys of the storages with the bytes of one element, in the file's order.
type Keys = Vec<(String, u64)>;

/// Where the state dict's pickle begins, the storages, and where the first of them begins.
fn pickles(input: &[u8]) -> Parse<(usize, Keys, u64)> {
    let foreign = || match foreign::file(input) {
        Some(what) => format!("it is {what}, and state dicts of torch.save alone can be read"),
        None => "it is neither a zip archive nor begins with PyTorch's magic number, so it is no \
                 file that torch.save wrote"
            .to_string(),
    };
    let magic = Pickle::read(input).map_err(|_| foreign())?;
    if !matches!(magic.get(magic.root), Object::Int(MAGIC)) {
        return Err(foreign());
    }
    let mut at = magic.length;
    let version = Pickle::read(&input[at..])?;
    match *version.get(version.root) {
        Object::Int(VERSION) => {}
        Object::Int(other) => return Err(format!("its format version is {other}, not {VERSION}")),
        _ => return Err("its format version is no number".into()),
    }
    at += version.length;
    let machine = Pickle::read(&input[at..])?;
    if let Object::Dict(facts) = machine.get(machine.root) {
        let big = facts.iter().any(|&(key, value)| {
            matches!(machine.get(key), Object::Text("little_endian"))
                && matches!(machine.get(value), Object::Bool(false))
        });
        if big {
            return Err("it was saved on a big-endian machine".into());
        }
    }
    at += machine.length;
    let state_at = at;
    let state = Pickle::read(&input[at..])?;
    let sizes: std::collections::HashMap<&str, u64> = state
        .values
        .iter()
        .filter_map(|value| match value {
            Object::Storage(storage) => Some((storage.key, storage.kind.size() as u64)),
            _ => None,
        })
        .collect();
    at += state.length;
    let list = Pickle::read(&input[at..])?;
    at += list.length;
    let Object::List(items) = list.get(list.root) else {
        return Err("its list of storages is no list".into());
    };
    let key = |&id: &u32| match list.get(id) {
        Object::Text(key) => match sizes.get(key) {
            Some(&size) => Ok((key.to_string(), size)),
            None => Err(format!("it has a storage {} that no tensor uses", key)),
        },
        _ => Err("its list of storages holds something other than names".into()),
    };
    let keys = items.iter().map(key).collect::<Parse<Keys>>()?;
    Ok((state_at, keys, at as u64))
}
