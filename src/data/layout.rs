//! The layouts of a data set: where the pictures of each phase lie.

use std::path::{Path, PathBuf};

use super::walk::{LeftOut, Walk, WalkOptions, walk};
use crate::error::{Error, Result};

/// A part of a data set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// Trained on.
    Train,
    /// Validated on.
    Val,
    /// Neither.
    Test,
}

/// Where the pairs of a phase lie.
#[derive(Clone, Debug)]
pub enum Place {
    /// Side by side in one folder, with the folders below it unless it is the data set itself.
    One {
        /// The folder.
        folder: PathBuf,
        /// Whether folders below it count.
        deep: bool,
    },
    /// In two folders, with those below them.
    Two(PathBuf, PathBuf),
}

/// The names of phases; any case will do.
const NAMES: [(Phase, &[&str]); 3] = [
    (Phase::Train, &["train", "training"]),
    (Phase::Val, &["val", "valid", "validation"]),
    (Phase::Test, &["test", "testing"]),
];

/// The phase that a folder's name stands for.
fn phase(name: &str) -> Option<Phase> {
    let names = |of: &[&str]| of.iter().any(|n| n.eq_ignore_ascii_case(name));
    NAMES.iter().find(|(_, of)| names(of)).map(|(phase, _)| *phase)
}

/// The phase and the side of `trainA`, `val_B`, ...
fn phase_and_side(name: &str) -> Option<(Phase, char)> {
    let side = name.chars().last()?.to_ascii_uppercase();
    let rest = name.get(..name.len() - 1)?.trim_end_matches(['_', '-', ' ']);
    matches!(side, 'A' | 'B').then(|| phase(rest)).flatten().map(|phase| (phase, side))
}

fn name(path: &Path) -> &str {
    path.file_name().and_then(|n| n.to_str()).unwrap_or_default()
}

/// The folders below `walk` that are phases, with their phases.
fn phases(walk: &Walk) -> Vec<(Phase, &Path)> {
    let mut all: Vec<_> =
        walk.folders.iter().filter_map(|f| Some((phase(name(f))?, f.as_path()))).collect();
    all.sort_by_key(|(phase, _)| *phase);
    all
}

/// The places of a data set in one folder, in the order of their phases, and what lies beside them.
///
/// # Errors
/// A without B, in any phase; a folder that cannot be read.
pub fn places(root: &Path) -> Result<(Vec<(Phase, Place)>, LeftOut)> {
    let here = flat(root)?;
    let mut left_out = LeftOut::default();
    let mut found = Vec::new();
    let mut used: Vec<&Path> = Vec::new();
    for (phase, path) in phases(&here) {
        used.push(path);
        let inner = flat(path)?;
        found.push((
            phase,
            match two_folders(path, &inner)? {
                Some((a, b)) => {
                    left_out.beside(&inner);
                    rest(&inner, &[&a, &b], &mut left_out)?;
                    Place::Two(a, b)
                }
                None => Place::One { folder: path.to_path_buf(), deep: true },
            },
        ));
    }
    for phase in [Phase::Train, Phase::Val, Phase::Test] {
        let side =
            |side| here.folders.iter().find(|f| phase_and_side(name(f)) == Some((phase, side)));
        match (side('A'), side('B')) {
            (Some(a), Some(b)) => {
                used.extend([a.as_path(), b.as_path()]);
                found.push((phase, Place::Two(a.clone(), b.clone())));
            }
            (None, None) => {}
            (a, b) => return Err(lacks(root, name(a.or(b).expect("one is there")))),
        }
    }
    // Beside folders of other phases, A and B are what is trained on.
    let trains = found.iter().any(|(phase, _)| *phase == Phase::Train);
    let two = if trains { None } else { two_folders(root, &here)? };
    if let Some((a, b)) = &two {
        used.extend([a.as_path(), b.as_path()]);
        match found.is_empty() {
            true => found = in_two(a, b, &mut left_out)?,
            false => found.insert(0, (Phase::Train, Place::Two(a.clone(), b.clone()))),
        }
    }
    if found.is_empty() {
        // Folders of another name beside pairs are not taken for pairs: they may hold anything.
        found.push((Phase::Train, Place::One { folder: root.to_path_buf(), deep: false }));
        if here.pictures.is_empty() {
            return Ok((found, left_out));
        }
    } else {
        left_out.beside(&here);
        left_out.merge(here.left_out.clone().without_others());
    }
    rest(&here, &used, &mut left_out)?;
    Ok((found, left_out))
}

/// The places of a data set in two folders.
///
/// # Errors
/// A phase in one folder that the other lacks.
pub fn in_two(a: &Path, b: &Path, left_out: &mut LeftOut) -> Result<Vec<(Phase, Place)>> {
    let (in_a, in_b) = (flat(a)?, flat(b)?);
    let (of_a, of_b) = (phases(&in_a), phases(&in_b));
    if of_a.is_empty() && of_b.is_empty() {
        return Ok(vec![(Phase::Train, Place::Two(a.to_path_buf(), b.to_path_buf()))]);
    }
    for walk in [&in_a, &in_b] {
        left_out.beside(walk);
    }
    let mut found = Vec::new();
    for phase in [Phase::Train, Phase::Val, Phase::Test] {
        let of = |all: &[(Phase, &Path)]| -> Vec<PathBuf> {
            all.iter().filter(|(p, _)| *p == phase).map(|(_, path)| path.to_path_buf()).collect()
        };
        let (of_a, of_b) = (of(&of_a), of(&of_b));
        if of_a.len() != of_b.len() {
            let more = of_a.len() > of_b.len();
            let (has, not) = if more { (a, b) } else { (b, a) };
            let extra = if more { &of_a } else { &of_b };
            return Err(Error::input(format!(
                "{} has a folder {} and {} has none: give both or neither",
                has.display(),
                extra.last().map_or("", |path| name(path)),
                not.display()
            )));
        }
        found.extend(of_a.into_iter().zip(of_b).map(|(a, b)| (phase, Place::Two(a, b))));
    }
    Ok(found)
}

fn flat(folder: &Path) -> Result<Walk> {
    walk(folder, WalkOptions::default())
}

/// Counts the pictures in those folders of `walk` that are not `used`.
fn rest(walk_of: &Walk, used: &[&Path], left_out: &mut LeftOut) -> Result<()> {
    let deep = WalkOptions { deep: true, ..WalkOptions::default() };
    for folder in walk_of.folders.iter().filter(|f| !used.contains(&f.as_path())) {
        // A run in the data folder is no part of the data.
        if folder.join("metrics.jsonl").exists() {
            continue;
        }
        left_out.beside(&walk(folder, deep)?);
    }
    Ok(())
}

/// The folders A and B of a folder, if it has them.
fn two_folders(folder: &Path, inner: &Walk) -> Result<Option<(PathBuf, PathBuf)>> {
    let find = |upper: &str, lower: &str| {
        let named = |wanted| inner.folders.iter().find(|f| name(f) == wanted);
        named(upper).or_else(|| named(lower)).cloned()
    };
    match (find("A", "a"), find("B", "b")) {
        (Some(a), Some(b)) => Ok(Some((a, b))),
        (None, None) => Ok(None),
        (a, _) => Err(lacks(folder, if a.is_some() { "A" } else { "B" })),
    }
}

/// `folder` has a folder for one side, whose name is `has`, and none for the other.
fn lacks(folder: &Path, has: &str) -> Error {
    let (rest, side) = has.split_at(has.len() - 1);
    let other = match side {
        "A" => "B",
        "B" => "A",
        "a" => "b",
        _ => "a",
    };
    Error::input(format!(
        "{} has a folder {has} but no folder {rest}{other}: add it, with pictures of the same names",
        folder.display()
    ))
}
