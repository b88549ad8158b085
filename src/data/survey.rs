//! What is odd about a whole data set: pictures in two phases, and proportions unlike the others'.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};
use std::path::Path;

use super::pair::Pair;
use crate::regular::open_regular;

/// How far proportions may be from the median, as a factor, before they are said to be others.
const ODD: f64 = 1.5;
/// Bytes of a file's start, middle and end that are compared before the whole.
const PROBE: usize = 4096;

/// A sentence if pairs of `other`, which is called `name`, are byte for byte in `train` as well.
pub fn leak(train: &[Pair], other: &[Pair], name: &str) -> Option<String> {
    let lengths: HashSet<_> = other.iter().filter_map(lengths).collect();
    let mut by_probe = HashMap::<_, Vec<&Pair>>::new();
    for pair in train.iter().filter(|p| self::lengths(p).is_some_and(|l| lengths.contains(&l))) {
        by_probe.entry(probe(pair)?).or_default().push(pair);
    }
    let twin = |pair: &&Pair| -> Option<&Pair> {
        let candidates = by_probe.get(&probe(pair)?)?;
        candidates.iter().find(|c| equal(c, pair).unwrap_or(false)).copied()
    };
    let mut twins = other.iter().filter_map(|pair| Some((pair, twin(&pair)?)));
    let (pair, of_train) = twins.next()?;
    let count = 1 + twins.count();
    let are = if count == 1 { "pair is" } else { "pairs are" };
    Some(format!(
        "{count} of the {} {name} {are} in train too, such as {} ({}): scores on them say nothing of \
         new pictures; remove them from one",
        other.len(),
        pair.path().display(),
        of_train.path().display()
    ))
}

/// A sentence if a minority of the pairs have other proportions than the rest.
pub fn odd_proportions(pairs: &[&Pair]) -> Option<String> {
    let ratio = |pair: &Pair| (pair.width as f64 / pair.height as f64).ln();
    let mut all: Vec<f64> = pairs.iter().map(|pair| ratio(pair)).collect();
    all.sort_by(f64::total_cmp);
    let median = *all.get(all.len() / 2)?;
    let is_odd = |pair: &&&Pair| (ratio(pair) - median).abs() > ODD.ln();
    let odd: Vec<_> = pairs.iter().filter(is_odd).collect();
    let usual = pairs.iter().find(|pair| ratio(pair) == median)?;
    let first = odd.first()?;
    if pairs.len() < 3 || 2 * odd.len() >= pairs.len() {
        return None;
    }
    let have = if odd.len() == 1 { "pair has" } else { "pairs have" };
    Some(format!(
        "{} of {} {have} other proportions than the rest: {} is {} x {}, most are like {} x {}",
        odd.len(),
        pairs.len(),
        first.path().display(),
        first.width,
        first.height,
        usual.width,
        usual.height
    ))
}

/// The lengths of a pair's files.
fn lengths(pair: &Pair) -> Option<Vec<u64>> {
    pair.paths().map(|path| fs::metadata(path).ok().map(|m| m.len())).collect()
}

/// The lengths and a checksum of the start, the middle and the end of a pair's files; `None` if one
/// cannot be read, which is said elsewhere.
fn probe(pair: &Pair) -> Option<Vec<(u64, u32)>> {
    let of = |path: &Path| -> Option<(u64, u32)> {
        let (mut file, length) = open_regular(path, "read").ok()?;
        let mut sum = crc32fast::Hasher::new();
        for at in [0, length / 2, length.saturating_sub(PROBE as u64)] {
            file.seek(SeekFrom::Start(at)).ok()?;
            let mut bytes = Vec::with_capacity(PROBE);
            (&mut file).take(PROBE as u64).read_to_end(&mut bytes).ok()?;
            sum.update(&bytes);
        }
        Some((length, sum.finalize()))
    };
    pair.paths().map(of).collect()
}

/// Whether two pairs have the same files, byte for byte.
fn equal(x: &Pair, y: &Pair) -> io::Result<bool> {
    for (x, y) in x.paths().zip(y.paths()) {
        let open = |path| open_regular(path, "read").map_err(io::Error::other);
        let [mut x, mut y] = [BufReader::new(open(x)?.0), BufReader::new(open(y)?.0)];
        loop {
            let (left, right) = (x.fill_buf()?, y.fill_buf()?);
            let n = left.len().min(right.len());
            if left[..n] != right[..n] || (n == 0 && left.len() != right.len()) {
                return Ok(false);
            }
            if n == 0 {
                break;
            }
            x.consume(n);
            y.consume(n);
        }
    }
    Ok(true)
}
