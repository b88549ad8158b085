//! Matches the pictures of two folders: A with B.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use unicode_normalization::UnicodeNormalization;

use super::pair::PairSource;
use super::walk::{Found, Walk, WalkOptions, walk};
use crate::error::{Error, Result};

/// A file that cannot be used, and why.
pub type Bad = (PathBuf, Error);

/// What was matched.
#[derive(Debug, Default)]
pub struct Matched {
    /// The pairs with their names: the path of A from its folder without the extension.
    pub pairs: Vec<(PathBuf, PairSource)>,
    /// Files without a partner, or with two.
    pub bad: Vec<Bad>,
    /// Pairs whose names are equal as text, not as bytes.
    pub by_text: usize,
}

impl Matched {
    /// The pairs as files of A and B.
    pub fn files(&self) -> impl Iterator<Item = (PathBuf, [PathBuf; 2])> + '_ {
        self.pairs.iter().filter_map(|(name, source)| match source {
            PairSource::Two { a, b } => Some((name.clone(), [a.clone(), b.clone()])),
            PairSource::SideBySide(_) => None,
        })
    }
}

type Names = BTreeMap<OsString, Found>;

/// Pairs the pictures below two folders by their path without the extension: `A/x/7.png` with
/// `B/x/7.jpg`. What no bytes match is matched after Unicode normalisation (NFC), since macOS writes
/// "é" in two characters where others have one.
///
/// # Errors
/// A folder that cannot be read or has no pictures. Files that do not match are listed.
pub fn match_folders(a: &Path, b: &Path) -> Result<(Matched, [Walk; 2])> {
    let deep = WalkOptions { deep: true, ..WalkOptions::default() };
    let walks = [walk(a, deep)?, walk(b, deep)?];
    let mut matched = Matched::default();
    for (folder, walk) in [a, b].into_iter().zip(&walks) {
        if walk.pictures.is_empty() {
            return Err(walk.nothing(folder));
        }
    }
    let [mut in_a, mut in_b] = walks.each_ref().map(|walk| by_name(walk, &mut matched.bad));
    let mut join = |name: OsString, a: Found, b: Found| {
        matched.pairs.push((PathBuf::from(name), PairSource::Two { a: a.path, b: b.path }));
    };
    for name in in_a.keys().cloned().collect::<Vec<_>>() {
        if let Some(b) = in_b.remove(&name) {
            let a = in_a.remove(&name).expect("a key of it");
            join(name, a, b);
        }
    }
    let (text_a, text_b) = (by_text(&in_a), by_text(&in_b));
    for (text, names) in text_a {
        if let ([a], Some([b])) = (&names[..], text_b.get(&text).map(|names| &names[..])) {
            let both = (in_a.remove(a), in_b.remove(b));
            join(a.clone(), both.0.expect("a key of it"), both.1.expect("a key of it"));
            matched.by_text += 1;
        }
    }
    matched.pairs.sort_by(|x, y| x.0.as_os_str().cmp(y.0.as_os_str()));
    let [walk_a, walk_b] = &walks;
    matched.bad.extend(in_a.into_values().map(|found| alone(found, b, walk_b)));
    matched.bad.extend(in_b.into_values().map(|found| alone(found, a, walk_a)));
    Ok((matched, walks))
}

fn by_name(walk: &Walk, bad: &mut Vec<Bad>) -> Names {
    let mut names = Names::new();
    for found in &walk.pictures {
        let key = found.key().into_os_string();
        if let Some(first) = names.get(&key) {
            let error = Error::input(format!(
                "{} and {} have one name, so their partner is not known: rename or remove one of them",
                first.path.display(),
                found.path.display()
            ));
            bad.push((found.path.clone(), error));
        } else {
            names.insert(key, found.clone());
        }
    }
    names
}

/// The names by their normalised text.
fn by_text(names: &Names) -> BTreeMap<String, Vec<OsString>> {
    let mut texts = BTreeMap::<String, Vec<OsString>>::new();
    for name in names.keys() {
        if let Some(text) = name.to_str() {
            texts.entry(text.nfc().collect()).or_default().push(name.clone());
        }
    }
    texts
}

/// Why a picture has no partner in the folder `other`.
fn alone(found: Found, other: &Path, walk: &Walk) -> Bad {
    let (path, key) = (found.path.display(), found.key());
    let error = match walk.unread.iter().find(|(unread, _)| unread.key() == key) {
        Some((partner, name)) => Error::input(format!(
            "{path} has its partner {} as a {name}, which is not read: convert it to PNG or JPEG",
            partner.path.display()
        )),
        None => Error::input(format!(
            "{path} has no partner: add a picture named {} to {} or remove it",
            key.display(),
            other.display()
        )),
    };
    (found.path, error)
}
