//! A fingerprint of the data of a run: by it a resumed run tells whether its pairs have changed.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Pairs;
use crate::error::Result;

/// The most pairs of a list that are named in a fingerprint, evenly spread over it. A checkpoint's
/// header of at most 2 MiB holds them: 2 x 1000 names of file systems' longest 255 bytes fit.
const NAMED: usize = 1000;
/// The most pairs of a list whose content is looked at, evenly spread over the named ones. With at
/// most [`CONTENT_BYTES`] of each file that is 64 MiB to read, a fraction of a second.
const SAMPLED: usize = 32;
/// Bytes of a file that its checksum covers, from the front.
pub(super) const CONTENT_BYTES: u64 = 1 << 20;

/// What identifies the data of a run, in a checkpoint: the pairs to train on and those to validate
/// on. Where the files lie does not matter.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fingerprint {
    train: Prints,
    val: Prints,
}

/// The pairs of one list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Prints {
    count: usize,
    /// CRC-32 of all names and sizes in their order.
    list: u32,
    /// All pairs, or [`NAMED`] of them.
    pairs: Vec<Print>,
}

/// One pair.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Print {
    name: String,
    /// Bytes of its files, or of its samples in memory.
    bytes: u64,
    /// CRC-32 of the content, of [`SAMPLED`] pairs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    content: Option<u32>,
}

impl Fingerprint {
    /// The fingerprint of the pairs to train on and of those to validate on. It asks every pair for
    /// its size, and reads a part of at most 32 of each list; see [`Pairs::bytes`] and
    /// [`Pairs::checksum`].
    ///
    /// # Errors
    /// A pair that cannot be read.
    pub fn of(train: &dyn Pairs, val: &dyn Pairs) -> Result<Fingerprint> {
        Ok(Fingerprint { train: Prints::of(train)?, val: Prints::of(val)? })
    }

    /// What has changed from `self` to `now`, in one sentence; `None` for the same data.
    pub fn difference(&self, now: &Fingerprint) -> Option<String> {
        let train = self.train.difference(&now.train).map(|what| format!("to train on, {what}"));
        let val = self.val.difference(&now.val).map(|what| format!("to validate on, {what}"));
        let both: Vec<String> = train.into_iter().chain(val).collect();
        let (first, second) = (both.first()?, both.get(1));
        let second = second.map_or(String::new(), |second| format!("; of those {second}"));
        Some(format!("the data has changed since: of the pairs {first}{second}"))
    }

    /// Whether the pairs to validate on are the same, so that scores compare.
    pub fn same_validation(&self, now: &Fingerprint) -> bool {
        self.val.difference(&now.val).is_none()
    }
}

impl Prints {
    fn of(pairs: &dyn Pairs) -> Result<Prints> {
        let count = pairs.len();
        let named: Vec<usize> = spread(count, NAMED).collect();
        let sampled: Vec<usize> = spread(named.len(), SAMPLED).map(|i| named[i]).collect();
        let mut list = crc32fast::Hasher::new();
        let mut prints = Vec::with_capacity(named.len());
        for i in 0..count {
            let (name, bytes) = (pairs.name(i), pairs.bytes(i)?);
            list.update(name.as_bytes());
            // No name contains it, so that no two lists of names run into one.
            list.update(b"\0");
            list.update(&bytes.to_le_bytes());
            if named.binary_search(&i).is_ok() {
                let sampled = sampled.binary_search(&i).is_ok();
                let content = if sampled { pairs.checksum(i)? } else { None };
                prints.push(Print { name, bytes, content });
            }
        }
        Ok(Prints { count, list: list.finalize(), pairs: prints })
    }

    /// Whether every pair is named.
    fn whole(&self) -> bool {
        self.pairs.len() == self.count
    }

    fn by_name(&self) -> BTreeMap<&str, &Print> {
        self.pairs.iter().map(|pair| (pair.name.as_str(), pair)).collect()
    }

    /// The names that are not `there`.
    fn missing(&self, there: &BTreeMap<&str, &Print>) -> Vec<&str> {
        let names = self.pairs.iter().map(|pair| pair.name.as_str());
        names.filter(|name| !there.contains_key(name)).collect()
    }

    fn difference(&self, now: &Prints) -> Option<String> {
        if self == now {
            return None;
        }
        let mut said = Vec::new();
        let mut say = |names: Vec<&str>, what: &str| match names.as_slice() {
            [] => {}
            [name] => said.push(format!("1 is {what}: {name}")),
            [first, ..] => said.push(format!("{} are {what}, such as {first}", names.len())),
        };
        let (before, after) = (self.by_name(), now.by_name());
        // A name that a long list's sample lacks is not known to be missing.
        if self.whole() && now.whole() {
            say(self.missing(&after), "gone");
            say(now.missing(&before), "new");
        }
        let changed = self.pairs.iter().filter(|was| {
            after.get(was.name.as_str()).is_some_and(|is| {
                let contents = was.content.zip(is.content);
                was.bytes != is.bytes || contents.is_some_and(|(was, is)| was != is)
            })
        });
        say(changed.map(|p| p.name.as_str()).collect(), "changed");
        if self.count != now.count {
            said.push(format!("there were {} and are {}", self.count, now.count));
        }
        if said.is_empty() {
            said.push("names, sizes or their order differ".to_string());
        }
        Some(said.join(", "))
    }
}

/// At most `most` of the numbers below `count`, evenly spread, the first among them, in order.
fn spread(count: usize, most: usize) -> impl Iterator<Item = usize> {
    let taken = count.min(most);
    (0..taken).map(move |i| (i as u128 * count as u128 / taken as u128) as usize)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::{Image, MemoryPairs};

    fn of(train: &[(&str, u8)]) -> Fingerprint {
        /// Pairs with names.
        struct Named(MemoryPairs, Vec<String>);
        impl Pairs for Named {
            fn len(&self) -> usize {
                self.0.len()
            }
            fn load(&self, i: usize) -> Result<(Image, Image)> {
                self.0.load(i)
            }
            fn name(&self, i: usize) -> String {
                self.1[i].clone()
            }
            fn bytes(&self, i: usize) -> Result<u64> {
                self.0.bytes(i)
            }
            fn checksum(&self, i: usize) -> Result<Option<u32>> {
                self.0.checksum(i)
            }
        }
        let image = |value| Image::filled(2, 2, &[value; 3]);
        let pairs = train.iter().map(|(_, v)| (image(*v), image(0))).collect();
        let names = train.iter().map(|(name, _)| name.to_string()).collect();
        let pairs = Named(MemoryPairs::new(pairs).unwrap(), names);
        Fingerprint::of(&pairs, &MemoryPairs::default()).unwrap()
    }

    #[test]
    fn what_came_went_and_changed_is_named() {
        let was = of(&[("a", 1), ("b", 2), ("c", 3)]);
        let said = |now: &[(&str, u8)]| was.difference(&of(now));
        assert_eq!(said(&[("a", 1), ("b", 2), ("c", 3)]), None);
        let begin = "the data has changed since: of the pairs to train on, ";
        for (now, rest) in [
            (&[("a", 1), ("b", 2)][..], "1 is gone: c, there were 3 and are 2"),
            (&[("a", 1)], "2 are gone, such as b, there were 3 and are 1"),
            (&[("a", 1), ("b", 2), ("c", 3), ("d", 4)], "1 is new: d, there were 3 and are 4"),
            (&[("a", 1), ("b", 9), ("c", 3)], "1 is changed: b"),
            (&[("a", 1), ("b", 2), ("z", 3)], "1 is gone: c, 1 is new: z"),
            (&[("b", 2), ("a", 1), ("c", 3)], "names, sizes or their order differ"),
        ] {
            assert_eq!(said(now), Some(format!("{begin}{rest}")));
        }
        let val =
            MemoryPairs::new(vec![(Image::filled(1, 1, &[0; 3]), Image::filled(1, 1, &[0; 3]))]);
        let with_val = Fingerprint::of(&MemoryPairs::default(), &val.unwrap()).unwrap();
        let without = Fingerprint::of(&MemoryPairs::default(), &MemoryPairs::default()).unwrap();
        assert_eq!(
            without.difference(&with_val).unwrap(),
            "the data has changed since: of the pairs to validate on, 1 is new: pair 0, there were \
             0 and are 1"
        );
    }

    #[test]
    fn a_long_list_is_sampled_and_stays_small() {
        let names: Vec<String> = (0..5000).map(|i| format!("{i:05}")).collect();
        let list: Vec<(&str, u8)> = names.iter().map(|name| (name.as_str(), 1)).collect();
        let was = of(&list);
        assert!(serde_json::to_string(&was).unwrap().len() < 64 << 10);
        let mut less = list.clone();
        less.remove(777);
        let said = was.difference(&of(&less)).unwrap();
        assert!(said.ends_with("there were 5000 and are 4999"), "{said}");
        // A name that the sample does not have.
        let mut other = list.clone();
        other[778].0 = "other";
        let said = was.difference(&of(&other)).unwrap();
        assert!(said.ends_with("names, sizes or their order differ"), "{said}");
        assert_eq!(was.difference(&of(&list)), None);
    }

    #[test]
    fn a_sample_is_spread_evenly() {
        assert_eq!(spread(3, 10).collect::<Vec<_>>(), [0, 1, 2]);
        assert_eq!(spread(10, 5).collect::<Vec<_>>(), [0, 2, 4, 6, 8]);
        assert_eq!(spread(0, 5).count(), 0);
    }
}
