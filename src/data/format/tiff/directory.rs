//! The directories of a TIFF: its pages, and the tags of each.

use std::collections::{BTreeMap, HashSet};
use std::io::{self, Read, SeekFrom};

use super::super::FileSource;
use crate::data::stored::ByteOrder;

/// Most pages that are counted.
const MAX_PAGES: usize = 10_000;
/// Most entries of a page that are looked at: a page has some twenty.
const MAX_ENTRIES: u64 = 4096;

/// A page's tags.
#[derive(Clone, Debug, Default)]
pub struct Directory {
    entries: BTreeMap<u16, Entry>,
    order: ByteOrder,
}

/// A tag whose values are somewhere in the file.
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    /// The type of its values, by number.
    pub kind: u16,
    /// How many values it has.
    pub count: u64,
    /// Where they are.
    at: u64,
}

/// Bytes of a value of a type; 1 for unknown ones.
pub fn kind_size(kind: u16) -> u64 {
    match kind {
        3 | 8 => 2,
        4 | 9 | 11 | 13 => 4,
        5 | 10 | 12 | 16..=18 => 8,
        _ => 1,
    }
}

/// The bytes of the numbers that a value of this type is made of: a rational is two.
fn number_size(kind: u16) -> usize {
    match kind {
        5 | 10 => 4,
        other => kind_size(other) as usize,
    }
}

impl Directory {
    /// The order of the bytes of all numbers.
    pub fn order(&self) -> ByteOrder {
        self.order
    }

    /// The entry of a tag.
    pub fn entry(&self, tag: u16) -> Option<Entry> {
        self.entries.get(&tag).copied()
    }

    /// The bytes of a tag's values, little-endian, or of the first of them if there are more than `most` bytes.
    pub fn bytes(
        &self,
        source: &mut dyn FileSource,
        tag: u16,
        most: u64,
    ) -> io::Result<Option<Vec<u8>>> {
        let Some(Entry { kind, count, at }) = self.entry(tag) else { return Ok(None) };
        let wanted = count.saturating_mul(kind_size(kind)).min(most);
        source.seek(SeekFrom::Start(at))?;
        let mut bytes = Vec::new();
        source.take(wanted).read_to_end(&mut bytes)?;
        if self.order == ByteOrder::Big {
            bytes.chunks_exact_mut(number_size(kind)).for_each(<[u8]>::reverse);
        }
        Ok(Some(bytes))
    }

    /// The whole numbers of a tag, at most `most`; empty if it is not there.
    pub fn numbers(
        &self,
        source: &mut dyn FileSource,
        tag: u16,
        most: u64,
    ) -> io::Result<Vec<u64>> {
        let Some(Entry { kind, count, .. }) = self.entry(tag) else { return Ok(Vec::new()) };
        let size = kind_size(kind);
        let bytes = self.bytes(source, tag, most.saturating_mul(size))?.unwrap_or_default();
        // No default instead of a value that is cut off.
        if (bytes.len() as u64) < count.min(most).saturating_mul(size) {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let number = |bytes: &[u8]| bytes.iter().rev().fold(0u64, |n, &b| n << 8 | u64::from(b));
        Ok(bytes.chunks_exact(size as usize).map(number).collect())
    }

    /// The first number of a tag.
    pub fn number(&self, source: &mut dyn FileSource, tag: u16) -> io::Result<Option<u64>> {
        Ok(self.numbers(source, tag, 1)?.first().copied())
    }

    /// The text of a tag, up to its first zero, or its first bytes if it is longer than `most`.
    pub fn text(
        &self,
        source: &mut dyn FileSource,
        tag: u16,
        most: u64,
    ) -> io::Result<Option<String>> {
        let bytes = self.bytes(source, tag, most)?;
        Ok(bytes.map(|bytes| {
            let text = bytes.split(|&b| b == 0).next().unwrap_or_default();
            String::from_utf8_lossy(text).into_owned()
        }))
    }
}

/// The chain of a file's pages, followed once round at most.
pub struct Chain<'a> {
    source: &'a mut dyn FileSource,
    order: ByteOrder,
    /// BigTIFF: offsets of 8 bytes.
    long: bool,
    next: u64,
    seen: HashSet<u64>,
}

impl<'a> Chain<'a> {
    /// Reads the start of a file.
    pub fn new(source: &'a mut dyn FileSource) -> io::Result<Self> {
        source.seek(SeekFrom::Start(0))?;
        let mut start = [0; 4];
        source.read_exact(&mut start)?;
        let order = if start[0] == b'M' { ByteOrder::Big } else { ByteOrder::Little };
        let long = start[2..].contains(&b'+');
        let mut chain = Chain { source, order, long, next: 0, seen: HashSet::new() };
        if long {
            chain.number(4)?;
        }
        chain.next = chain.offset()?;
        Ok(chain)
    }

    fn number(&mut self, bytes: usize) -> io::Result<u64> {
        let mut raw = [0; 8];
        self.source.read_exact(&mut raw[..bytes])?;
        if self.order == ByteOrder::Big {
            raw[..bytes].reverse();
        }
        Ok(u64::from_le_bytes(raw))
    }

    fn offset(&mut self) -> io::Result<u64> {
        self.number(if self.long { 8 } else { 4 })
    }

    /// The next page, if there is one that was not met before.
    pub fn next(&mut self) -> io::Result<Option<Directory>> {
        if self.next == 0 || self.seen.len() >= MAX_PAGES || !self.seen.insert(self.next) {
            return Ok(None);
        }
        let (count_bytes, entry, fits) = if self.long { (8, 20, 8) } else { (2, 12, 4) };
        self.source.seek(SeekFrom::Start(self.next))?;
        let count = self.number(count_bytes)?;
        let first = self.next + count_bytes as u64;
        let mut page = Directory { order: self.order, ..Directory::default() };
        for i in 0..count.min(MAX_ENTRIES) {
            self.source.seek(SeekFrom::Start(first + i * entry))?;
            let (tag, kind) = (self.number(2)? as u16, self.number(2)? as u16);
            let count = self.offset()?;
            let mut at = first + i * entry + entry - fits;
            if count.saturating_mul(kind_size(kind)) > fits {
                at = self.offset()?;
            }
            page.entries.entry(tag).or_insert(Entry { kind, count, at });
        }
        let behind = count.checked_mul(entry).and_then(|n| first.checked_add(n));
        self.next = match behind {
            Some(at) => {
                self.source.seek(SeekFrom::Start(at))?;
                self.offset().unwrap_or(0)
            }
            None => 0,
        };
        Ok(Some(page))
    }

    /// The file.
    pub fn source(&mut self) -> &mut dyn FileSource {
        self.source
    }
}
