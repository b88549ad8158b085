//! Checks that the entropy-coded data of a JPEG are whole: every code of every scan is read, as a decoder
//! does, and nothing is kept of it but which coefficients of a progressive image are set.
//!
//! What libjpeg warns of is an error here: data that end before the last block, codes that no table has,
//! restart markers that are missing or out of order, bytes that are left over. So is a progressive image
//! whose last scans are missing. Source: ITU-T T.81 (1992), annexes B, F and G.
//!
//! Measured on one core of an AMD EPYC: 150 MB of a baseline file a second, a fourth of the time in which
//! libjpeg-turbo decodes it; 17 MB of a progressive one, three fifths.

use super::FormatError;
use super::jpeg_bits::{Bits, PADDING, Table, next_marker};

/// Whether the end of the image is marked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// By an end marker.
    Marked,
    /// Not, though all data are there.
    Unmarked,
}

/// Most scans of an image: decoders refuse more, as each costs time for the whole image.
const MAX_SCANS: usize = 100;

/// Reads all scans of a whole file.
///
/// # Errors
/// [`FormatError::CutShort`] for data that end early, [`FormatError::Failed`] for others that are wrong.
pub fn check(bytes: &[u8]) -> Result<End, FormatError> {
    let mut image = Checker::default();
    let (mut at, mut scans) = (2, 0);
    loop {
        let Some((marker, behind)) = next_marker(bytes, at) else {
            return image.complete().map(|()| End::Unmarked);
        };
        let between = &bytes[at..behind - 2];
        if scans > 0 && between.len() > PADDING && between.iter().any(|b| *b != 0xff) {
            return Err(FormatError::failed(format!("{} bytes between its scans", between.len())));
        }
        at = behind;
        match marker {
            0xd9 => return image.complete().map(|()| End::Marked),
            0x01 | 0xd0..=0xd8 => continue,
            _ => {}
        }
        let Some(data) = segment(bytes, at) else {
            return image.complete().map(|()| End::Unmarked);
        };
        at += 2 + data.len();
        match marker {
            0xc0..=0xc2 => image.frame(data, marker == 0xc2)?,
            0xc4 => image.tables(data)?,
            0xdd => {
                image.restart =
                    data.first_chunk().map_or(0, |b| usize::from(u16::from_be_bytes(*b)));
            }
            0xda => {
                scans += 1;
                if scans > MAX_SCANS {
                    return Err(FormatError::failed(format!("more than {MAX_SCANS} scans")));
                }
                at = image.scan(data, bytes, at)?;
            }
            _ => {}
        }
    }
}

/// The data of the segment whose length stands at `at`.
fn segment(bytes: &[u8], at: usize) -> Option<&[u8]> {
    let length = usize::from(u16::from_be_bytes(*bytes.get(at..)?.first_chunk()?));
    bytes.get(at + 2..at + length.max(2))
}

/// A component of the frame.
struct Component {
    id: u8,
    /// Blocks of an MCU across and down.
    h: usize,
    v: usize,
    /// Blocks with pixels, across and down: those of a scan of this component alone.
    across: usize,
    down: usize,
    /// Blocks in a row, with those that only fill MCUs.
    pitch: usize,
    /// Whether a scan has had it; of a progressive image, whether the first of its mean values has.
    seen: bool,
    /// Bits still to come of each coefficient of a progressive image; 255 before its first scan.
    left: [u8; 64],
    /// Coefficients that are not 0, a bit each, block by block; of progressive images alone.
    set: Vec<u64>,
}

#[derive(Default)]
struct Checker {
    progressive: bool,
    components: Vec<Component>,
    /// MCUs across and down.
    mcus: [usize; 2],
    /// MCUs between restart markers, 0 for none.
    restart: usize,
    dc: [Option<Table>; 4],
    ac: [Option<Table>; 4],
}

/// What a scan codes: coefficients `first..=last`, from bit `high` (0 if none was sent) down to `low`.
#[derive(Clone, Copy)]
struct Band {
    first: usize,
    last: usize,
    high: u8,
    low: u8,
}

fn short() -> FormatError {
    FormatError::failed("a segment is too short")
}

impl Checker {
    fn frame(&mut self, data: &[u8], progressive: bool) -> Result<(), FormatError> {
        let [_, h1, h0, w1, w0, count, parts @ ..] = data else { return Err(short()) };
        if !self.components.is_empty() {
            return Err(FormatError::failed("it has two sizes"));
        }
        let [h, w] = [[*h1, *h0], [*w1, *w0]].map(|b| usize::from(u16::from_be_bytes(b)));
        let parts: Vec<&[u8]> = parts.chunks_exact(3).take(usize::from(*count)).collect();
        let factors = |p: &[u8]| [usize::from(p[1] >> 4), usize::from(p[1] & 15)];
        let most = |i: usize| parts.iter().map(|p| factors(p)[i]).max().unwrap_or(0);
        let [h_max, v_max] = [most(0), most(1)];
        let wrong = |p: &&[u8]| factors(p).into_iter().any(|n| n == 0 || n > 4);
        if parts.is_empty() || parts.len() < usize::from(*count) || parts.iter().any(wrong) {
            return Err(FormatError::failed("its channels are not described"));
        }
        self.progressive = progressive;
        self.mcus = [w.div_ceil(8 * h_max), h.div_ceil(8 * v_max)];
        for part in parts {
            let [h_own, v_own] = factors(part);
            let pitch = self.mcus[0] * h_own;
            let blocks = if progressive { pitch * self.mcus[1] * v_own } else { 0 };
            self.components.push(Component {
                id: part[0],
                h: h_own,
                v: v_own,
                across: (w * h_own).div_ceil(8 * h_max),
                down: (h * v_own).div_ceil(8 * v_max),
                pitch,
                seen: false,
                left: [255; 64],
                set: vec![0; blocks],
            });
        }
        Ok(())
    }

    fn tables(&mut self, mut data: &[u8]) -> Result<(), FormatError> {
        while let [place, rest @ ..] = data {
            let counts = rest.first_chunk::<16>().ok_or_else(short)?;
            let total: usize = counts.iter().map(|&n| usize::from(n)).sum();
            let symbols = rest.get(16..16 + total).ok_or_else(short)?;
            let of = if place >> 4 == 0 { &mut self.dc } else { &mut self.ac };
            let table = of.get_mut(usize::from(place & 15));
            *table.ok_or_else(|| FormatError::failed("a code table without a place"))? =
                Some(Table::new(counts, symbols)?);
            data = &rest[16 + total..];
        }
        Ok(())
    }

    /// Reads the scan whose header is `data` and whose codes begin at `at`; gives where they end.
    fn scan(&mut self, data: &[u8], bytes: &[u8], at: usize) -> Result<usize, FormatError> {
        let unknown = || FormatError::failed("a scan of channels that it does not have");
        let [count, rest @ ..] = data else { return Err(short()) };
        let count = usize::from(*count);
        let (parts, band) = rest.split_at_checked(2 * count).ok_or_else(short)?;
        let mut members = Vec::new();
        for part in parts.chunks_exact(2) {
            let i = self.components.iter().position(|c| c.id == part[0]).ok_or_else(unknown)?;
            members.push((i, usize::from(part[1] >> 4), usize::from(part[1] & 15)));
        }
        let mut unique: Vec<usize> = members.iter().map(|m| m.0).collect();
        unique.sort_unstable();
        unique.dedup();
        if members.is_empty() || members.len() > 4 || unique.len() != members.len() {
            return Err(unknown());
        }
        let band = match (self.progressive, band) {
            // The band of a sequential scan says nothing, and some cameras write nonsense there.
            (false, _) => Band { first: 0, last: 63, high: 0, low: 0 },
            (true, [first, last, bits, ..]) => {
                let [first, last] = [*first, *last].map(usize::from);
                let (high, low) = (bits >> 4, bits & 15);
                let alone = first == 0 || members.len() == 1;
                let band_ok = last < 64 && first <= last && (first == 0) == (last == 0);
                if !(alone && band_ok && low < 14 && (high == 0 || high == low + 1)) {
                    return Err(FormatError::failed("a scan of coefficients that there are not"));
                }
                Band { first, last, high, low }
            }
            _ => return Err(short()),
        };
        for &(i, ..) in &members {
            let component = &mut self.components[i];
            component.seen |= band.first == 0;
            component.left[band.first..=band.last].fill(band.low);
        }
        let mut bits = Bits::new(bytes, at);
        let [across, down] = match members[..] {
            [(i, ..)] => [self.components[i].across, self.components[i].down],
            _ => self.mcus,
        };
        let (mut run, total) = (0, across * down);
        for mcu in 0..total {
            if self.restart > 0 && mcu > 0 && mcu % self.restart == 0 {
                bits.restart(mcu / self.restart - 1)?;
                run = 0;
            }
            let [x, y] = [mcu % across, mcu / across];
            for &(i, dc, ac) in &members {
                let Component { h, v, pitch, set, .. } = &mut self.components[i];
                let [h, v] = if members.len() == 1 { [1, 1] } else { [*h, *v] };
                for block in 0..h * v {
                    let at = (y * v + block / h) * *pitch + x * h + block % h;
                    if self.progressive {
                        let set = set.get_mut(at).ok_or_else(unknown)?;
                        let tables = [&self.dc[dc & 3], &self.ac[ac & 3]];
                        progressive_block(&mut bits, tables, band, set, &mut run)?;
                    } else {
                        block_of_all(&mut bits, &self.dc[dc & 3], &self.ac[ac & 3])?;
                    }
                }
            }
            if bits.overdrawn() {
                return Err(FormatError::CutShort);
            }
        }
        bits.end()
    }

    /// Whether every coefficient of every component has come.
    fn complete(&self) -> Result<(), FormatError> {
        let whole = |c: &Component| c.seen && (!self.progressive || c.left == [0; 64]);
        if !self.components.is_empty() && self.components.iter().all(whole) {
            return Ok(());
        }
        Err(FormatError::CutShort)
    }
}

fn table(of: &Option<Table>) -> Result<&Table, FormatError> {
    of.as_ref().ok_or_else(|| FormatError::failed("a scan without its code table"))
}

fn beyond() -> FormatError {
    FormatError::failed("a block has too many coefficients")
}

/// A block of a sequential image.
fn block_of_all(
    bits: &mut Bits,
    dc: &Option<Table>,
    ac: &Option<Table>,
) -> Result<(), FormatError> {
    let size = bits.symbol(table(dc)?)?;
    bits.skip(u32::from(size & 15));
    let (ac, mut k) = (table(ac)?, 1);
    while k < 64 {
        let symbol = bits.symbol(ac)?;
        match (usize::from(symbol >> 4), u32::from(symbol & 15)) {
            (15, 0) => k += 16,
            (_, 0) => break,
            (zeros, size) => {
                k += zeros;
                if k > 63 {
                    return Err(beyond());
                }
                bits.skip(size);
                k += 1;
            }
        }
    }
    Ok(())
}

/// A block in one scan of a progressive image. `set` has its coefficients that are not 0, `run` the
/// blocks still to come that the last code said to be at their end.
fn progressive_block(
    bits: &mut Bits,
    [dc, ac]: [&Option<Table>; 2],
    band: Band,
    set: &mut u64,
    run: &mut u32,
) -> Result<(), FormatError> {
    let Band { first, last, high, .. } = band;
    if first == 0 {
        let size = if high == 0 { u32::from(bits.symbol(table(dc)?)? & 15) } else { 1 };
        bits.take(size);
        return Ok(());
    }
    let ac = table(ac)?;
    let is_set = |set: u64, k: usize| set >> k & 1 == 1;
    let mut k = first;
    while *run == 0 && k <= last {
        let symbol = bits.symbol(ac)?;
        let (mut zeros, size) = (usize::from(symbol >> 4), u32::from(symbol & 15));
        if size == 0 && zeros < 15 {
            *run = (1 << zeros) + bits.take(zeros as u32);
            break;
        }
        if high > 0 && size > 1 {
            return Err(FormatError::failed("a refined coefficient of several bits"));
        }
        bits.skip(size);
        // Those that are 0 are passed over; in a refining scan those that are not have a bit each.
        while k <= last {
            if high > 0 && is_set(*set, k) {
                bits.take(1);
            } else if zeros == 0 {
                break;
            } else {
                zeros -= 1;
            }
            k += 1;
        }
        if size > 0 {
            if k > last {
                return Err(beyond());
            }
            *set |= 1 << k;
        }
        k += 1;
    }
    if *run > 0 {
        *run -= 1;
        if high > 0 {
            (k..=last).filter(|&k| is_set(*set, k)).for_each(|_| {
                bits.take(1);
            });
        }
    }
    Ok(())
}
