//! The codes and bits of a JPEG's entropy-coded data.

use super::FormatError;

/// Bytes that may be left over at the end of a scan: some cameras pad. Not more, zeros neither: in a file
/// that was allocated and not filled, zeros are codes like any other.
pub const PADDING: usize = 2;

/// The code of the next marker from `at` on, and where it ends.
pub fn next_marker(bytes: &[u8], mut at: usize) -> Option<(u8, usize)> {
    loop {
        match bytes.get(at..)? {
            [0xff, 0xff, ..] => at += 1,
            [0xff, 0, ..] => at += 2,
            [0xff, code, ..] => return Some((*code, at + 2)),
            [_, ..] => at += 1,
            [] => return None,
        }
    }
}

/// Bits that a code of [`Table::fast`] has at most.
const FAST: u32 = 9;

/// A Huffman table.
pub struct Table {
    /// Length and symbol of the code that begins these bits; 0 for codes that are longer.
    fast: Box<[u16; 1 << FAST]>,
    /// For each length, one past its last code, as the first bits of 16.
    ends: [u32; 17],
    /// For each length, what is added to a code to give the place of its symbol.
    places: [i32; 17],
    symbols: Vec<u8>,
}

impl Table {
    /// From the number of codes of each length, and their symbols.
    pub fn new(counts: &[u8; 16], symbols: &[u8]) -> Result<Table, FormatError> {
        let mut table = Table {
            fast: Box::new([0; 1 << FAST]),
            ends: [0; 17],
            places: [0; 17],
            symbols: symbols.to_vec(),
        };
        let (mut code, mut place) = (0u32, 0usize);
        for (length, &count) in (1u32..).zip(counts) {
            table.places[length as usize] = place as i32 - code as i32;
            for _ in 0..count {
                if code >= 1 << length {
                    return Err(FormatError::failed("a code table has too many codes"));
                }
                if length <= FAST {
                    let first = (code << (FAST - length)) as usize;
                    let entry = (length as u16) << 8 | u16::from(symbols[place]);
                    table.fast[first..first + (1 << (FAST - length))].fill(entry);
                }
                code += 1;
                place += 1;
            }
            table.ends[length as usize] = code << (16 - length);
            code <<= 1;
        }
        Ok(table)
    }
}

/// Reads bits of entropy-coded data; behind the data come zeros.
pub struct Bits<'a> {
    bytes: &'a [u8],
    /// The next byte to be read.
    at: usize,
    /// Bits that are read and not yet taken: the last `count` of it.
    buffer: u64,
    count: u32,
    /// How many of them, at the end, are no data.
    zeros: u32,
}

impl<'a> Bits<'a> {
    /// Of the data that begin at `at`.
    pub fn new(bytes: &'a [u8], at: usize) -> Self {
        Bits { bytes, at, buffer: 0, count: 0, zeros: 0 }
    }

    /// At least 33 bits in the buffer: a code and its value have 31 at most.
    #[inline(always)]
    fn fill(&mut self) {
        if self.count > 32 {
            return;
        }
        let four = self.bytes.get(self.at..).and_then(|rest| rest.first_chunk::<4>());
        if let Some(bytes) = four.filter(|bytes| !bytes.contains(&0xff)) {
            self.buffer = self.buffer << 32 | u64::from(u32::from_be_bytes(*bytes));
            self.count += 32;
            self.at += 4;
        } else {
            self.fill_by_bytes();
        }
    }

    /// As [`Bits::fill`], where a marker or the end may be near.
    #[cold]
    fn fill_by_bytes(&mut self) {
        while self.count <= 32 {
            let byte = match self.bytes.get(self.at..) {
                Some([0xff, 0, ..]) => {
                    self.at += 2;
                    0xff
                }
                // Fill bytes before a marker.
                Some([0xff, 0xff, ..]) => {
                    self.at += 1;
                    continue;
                }
                Some([byte, ..]) if *byte != 0xff => {
                    self.at += 1;
                    *byte
                }
                _ => {
                    self.zeros += 8;
                    0
                }
            };
            self.buffer = self.buffer << 8 | u64::from(byte);
            self.count += 8;
        }
    }

    /// The next code of a table. At least 17 bits remain in the buffer.
    #[inline(always)]
    pub fn symbol(&mut self, table: &Table) -> Result<u8, FormatError> {
        self.fill();
        let next = (self.buffer >> (self.count - 16)) as u32 & 0xffff;
        let fast = table.fast[(next >> (16 - FAST)) as usize];
        if fast == 0 {
            return self.long_symbol(table, next);
        }
        self.count -= u32::from(fast >> 8);
        Ok(fast as u8)
    }

    /// A code of more than [`FAST`] bits that begins the 16 bits `next`.
    fn long_symbol(&mut self, table: &Table, next: u32) -> Result<u8, FormatError> {
        for length in FAST + 1..=16 {
            if next < table.ends[length as usize] {
                self.count -= length;
                let code = (next >> (16 - length)) as i32;
                return Ok(table.symbols[(code + table.places[length as usize]) as usize]);
            }
        }
        // Zeros behind the end may be no code either.
        if self.count - 16 < self.zeros {
            return Err(FormatError::CutShort);
        }
        Err(FormatError::failed("its pixels have a code that is in no table"))
    }

    /// Passes over the value behind a code of [`Bits::symbol`]: up to 15 bits, which are in the buffer.
    #[inline(always)]
    pub fn skip(&mut self, n: u32) {
        self.count -= n;
    }

    /// Takes up to 15 bits.
    #[inline(always)]
    pub fn take(&mut self, n: u32) -> u32 {
        self.fill();
        self.count -= n;
        (self.buffer >> (self.count & 63)) as u32 & ((1 << n) - 1)
    }

    /// Whether more bits were taken than there were.
    pub fn overdrawn(&self) -> bool {
        self.count < self.zeros
    }

    /// Ends a run of data: gives where the next marker begins.
    pub fn end(&mut self) -> Result<usize, FormatError> {
        if self.overdrawn() {
            return Err(FormatError::CutShort);
        }
        let buffered = ((self.count - self.zeros) / 8) as usize;
        let rest = &self.bytes[self.at.min(self.bytes.len())..];
        let marker = rest.windows(2).position(|w| w[0] == 0xff && w[1] != 0);
        let unread = marker.unwrap_or(rest.len());
        if buffered + unread > PADDING {
            return Err(FormatError::failed(format!(
                "{} bytes of its pixels are left over",
                buffered + unread
            )));
        }
        Ok(self.at + unread)
    }

    /// Expects restart marker `number` (of those that are numbered 0 to 7 in turn).
    pub fn restart(&mut self, number: usize) -> Result<(), FormatError> {
        let at = self.end()?;
        let expected = 0xd0 + (number % 8) as u8;
        match next_marker(self.bytes, at) {
            Some((marker, behind)) if marker == expected => {
                *self = Bits::new(self.bytes, behind);
                Ok(())
            }
            None => Err(FormatError::CutShort),
            Some(_) => Err(FormatError::failed("a part of its pixels is missing")),
        }
    }
}
