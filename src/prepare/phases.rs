//! Pairs divided into those to train, to validate and to test on.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use crate::data::{Folder, Order, Pair, PairSource};
use crate::error::{Error, Result};

/// How many of the pairs: "50", or "10%" of them.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Part {
    /// So many.
    Count(usize),
    /// So many per cent, of 0 to 100.
    Percent(f64),
}

impl FromStr for Part {
    type Err = Error;

    fn from_str(text: &str) -> Result<Part> {
        let part = match text.strip_suffix('%') {
            Some(number) => {
                number.parse().ok().filter(|p| (0.0..=100.0).contains(p)).map(Part::Percent)
            }
            None => text.parse().ok().map(Part::Count),
        };
        part.ok_or_else(|| Error::input("it is a number such as 50, or a part of all such as 10%"))
    }
}

impl Part {
    /// How many of `all`; at least one where it is not none.
    fn of(self, all: usize) -> usize {
        match self {
            Part::Count(n) => n,
            Part::Percent(0.0) => 0,
            Part::Percent(p) => ((all as f64 * p / 100.0).round() as usize).max(1),
        }
    }
}

/// How pairs are divided.
#[derive(Clone, Copy, Debug)]
pub struct Phases {
    /// Pairs to validate on.
    pub val: Part,
    /// Pairs to test on.
    pub test: Part,
    /// Pairs of one folder below the data stay together: frames of one film, slices of one patient.
    pub by_folder: bool,
    /// Seed of the drawing.
    pub seed: u64,
}

/// Files to copy, and where to, from the folder of the output.
pub struct Copies {
    /// The file and the path of its copy.
    pub files: Vec<(PathBuf, PathBuf)>,
    /// Pairs to train, to validate and to test on.
    pub counts: [usize; 3],
}

/// Which files go where, so that `train` finds the phases: `train/7.png`, or `train/A/7.png` and `train/B/7.png`.
/// The pairs of a file of many, and those of one folder where that is asked for, stay together, so that slightly
/// more may be drawn than were asked for.
///
/// # Errors
/// A data set that is divided already; parts that leave nothing to train on.
pub fn phases(folder: &Folder, divide: Phases) -> Result<Copies> {
    if !folder.val.is_empty() || !folder.test.is_empty() {
        return Err(Error::input(format!(
            "{} is divided into phases already: give one of them, or the folder of all pairs",
            folder.root.display()
        )));
    }
    let mut groups = BTreeMap::<PathBuf, Vec<&Pair>>::new();
    for pair in folder.training()? {
        let key = match Path::new(&pair.name).parent() {
            Some(parent) if divide.by_folder => parent.to_path_buf(),
            _ => pair.path().to_path_buf(),
        };
        groups.entry(key).or_default().push(pair);
    }
    let all = folder.train.len();
    let (val, test) = (divide.val.of(all), divide.test.of(all));
    let groups: Vec<_> = groups.into_values().collect();
    let order = Order { samples: groups.len(), batch: 1, shuffle: true, seed: divide.seed };
    let mut counts = [0; 3];
    let mut files = Vec::new();
    for i in order.permutation(0) {
        let group = &groups[i];
        let phase = if counts[1] < val {
            1
        } else if counts[2] < test {
            2
        } else {
            0
        };
        counts[phase] += group.len();
        for pair in group.iter().filter(|pair| pair.page == 0) {
            let phase = Path::new(["train", "val", "test"][phase]);
            match &pair.source {
                PairSource::SideBySide(path) => {
                    files.push((path.clone(), phase.join(name(pair, path))));
                }
                PairSource::Two { a, b } => {
                    files.push((a.clone(), phase.join("A").join(name(pair, a))));
                    files.push((b.clone(), phase.join("B").join(name(pair, b))));
                }
            }
        }
    }
    if counts[0] == 0 {
        return Err(Error::input(format!(
            "{all} pairs are all drawn to validate and test on, and none is left to train on: ask for fewer"
        )));
    }
    files.sort();
    Ok(Copies { files, counts })
}

/// The path of a pair's file from its folder.
fn name(pair: &Pair, file: &Path) -> PathBuf {
    let parent = Path::new(&pair.name).parent().unwrap_or(Path::new(""));
    parent.join(file.file_name().unwrap_or_default())
}
