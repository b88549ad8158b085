//! Checksums in our safetensors files: a flipped bit anywhere is an error.
//!
//! The metadata's key `checksums` is a JSON object of names to CRC-32s of the tensors' bytes, in 8
//! hexadecimal digits; `header_checksum` is that of the file up to the first tensor, with 8 zeros in
//! its own place. Other readers see two more texts in the metadata. Files without either are those of
//! other programs, or older ones of ours, and are read as they are.

use std::collections::BTreeMap;
use std::io::{self, Read, Write};

use crc32fast::Hasher;

const TENSORS: &str = "checksums";
const HEADER: &str = "header_checksum";
/// What stands in the header before the digits of its own checksum. No other text of a header has
/// these bytes: inside a JSON text the quotation marks are escaped.
const BEFORE: &[u8] = b"\"header_checksum\":\"";
const BLANK: &str = "00000000";

/// Adds the tensors' checksums and the place for the header's.
pub fn insert<'a>(
    metadata: &mut BTreeMap<String, String>,
    sums: impl Iterator<Item = (&'a str, &'a u32)>,
) {
    let sums: BTreeMap<&str, String> =
        sums.map(|(name, sum)| (name, format!("{sum:08x}"))).collect();
    let text = serde_json::to_string(&sums).expect("texts have a JSON form");
    metadata.insert(TENSORS.to_string(), text);
    metadata.insert(HEADER.to_string(), BLANK.to_string());
}

/// Writes the header's checksum into its place in the file's first bytes.
pub fn seal(header: &mut [u8]) {
    let at = place(header).expect("the place was inserted");
    let sum = format!("{:08x}", crc32fast::hash(header));
    header[at..at + BLANK.len()].copy_from_slice(sum.as_bytes());
}

/// Takes the checksums out of the metadata, and compares the header's with the file's first bytes.
/// `None` for a file without.
///
/// # Errors
/// What is damaged.
pub fn take(
    metadata: &mut BTreeMap<String, String>,
    header: &[u8],
) -> Result<Option<BTreeMap<String, u32>>, String> {
    let damaged = || {
        "its header is damaged: it is not as it was written; copy the file again, or \
                      take another one"
    };
    let (tensors, written) = match (metadata.remove(TENSORS), metadata.remove(HEADER)) {
        (None, None) => return Ok(None),
        (Some(tensors), Some(written)) => (tensors, written),
        _ => return Err(damaged().to_string()),
    };
    let mut blanked = header.to_vec();
    let at = place(header).filter(|at| at + BLANK.len() <= header.len()).ok_or_else(damaged)?;
    blanked[at..at + BLANK.len()].copy_from_slice(BLANK.as_bytes());
    if written != format!("{:08x}", crc32fast::hash(&blanked)) {
        return Err(damaged().to_string());
    }
    let texts: BTreeMap<String, String> = serde_json::from_str(&tensors).map_err(|_| damaged())?;
    let number = |(name, text): (String, String)| {
        u32::from_str_radix(&text, 16).map(|sum| (name, sum)).map_err(|_| damaged().to_string())
    };
    texts.into_iter().map(number).collect::<Result<_, _>>().map(Some)
}

fn place(header: &[u8]) -> Option<usize> {
    header.windows(BEFORE.len()).position(|part| part == BEFORE).map(|at| at + BEFORE.len())
}

/// A reader or writer that computes the checksum of what passes through it.
pub struct Summed<T> {
    inner: T,
    hasher: Hasher,
}

impl<T> Summed<T> {
    /// Around `inner`, of nothing yet.
    pub fn new(inner: T) -> Self {
        Summed { inner, hasher: Hasher::new() }
    }

    /// The checksum of what has passed.
    pub fn sum(self) -> u32 {
        self.hasher.finalize()
    }
}

impl<R: Read> Read for Summed<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.hasher.update(&buffer[..count]);
        Ok(count)
    }
}

impl<W: Write> Write for Summed<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.inner.write(bytes)?;
        self.hasher.update(&bytes[..count]);
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}
