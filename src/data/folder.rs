//! A data set in a folder: its pairs, divided into training, validation and test.
//!
//! These layouts are accepted. `A` and `B` may also be `a` and `b`; files of two folders are paired
//! by their name without the extension (`A/7.png` with `B/7.jpg`).
//!
//! ```text
//! DATA/*.jpg                      side by side, A left and B right; all of them train
//! DATA/{train,val,test}/*.jpg     the same, by phase
//! DATA/A/*  DATA/B/*              two folders; all of them train
//! DATA/train/A/*  DATA/train/B/*  two folders, by phase
//! DATA/A/train/*  DATA/B/train/*  the same the other way round
//! ```
//!
//! Only headers are read here, in parallel. Every list is sorted by the bytes of the file name.
//! Hidden files and files that are no images are ignored.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use rayon::prelude::*;

use super::decode::ImageHeader;
use super::pair::{Pair, PairSource, check_width};
use super::scan::{Listing, list};
use crate::error::settings::SKIP_BAD;
use crate::error::{Error, Result};

/// Options of [`Folder::scan`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ScanOptions {
    /// Leave out images that are bad or have no partner, and list them in [`Folder::skipped`];
    /// otherwise the first of them is an error.
    pub skip_bad: bool,
}

/// How pairs are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// One file a pair.
    SideBySide,
    /// Folders A and B.
    Folders,
}

/// An image that was left out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Skipped {
    /// The file.
    pub path: PathBuf,
    /// The error message without [`ScanOptions::skip_bad`].
    pub reason: String,
}

/// A data set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Folder {
    /// What was scanned.
    pub root: PathBuf,
    /// How the pairs are stored.
    pub layout: Layout,
    /// Training pairs; empty only if there are other phases.
    pub train: Vec<Pair>,
    /// Validation pairs; empty if there is no `val`.
    pub val: Vec<Pair>,
    /// Test pairs; empty if there is no `test`.
    pub test: Vec<Pair>,
    /// What [`ScanOptions::skip_bad`] left out.
    pub skipped: Vec<Skipped>,
    /// Number of files that are no images.
    pub others: usize,
    /// Number of pairs with an alpha channel, which is composited over white.
    pub with_alpha: usize,
    /// Number of images beside the phase folders or beside A and B, which are not used.
    pub unused: usize,
}

const PHASES: [&str; 3] = ["train", "val", "test"];

impl Folder {
    /// Lists a data set and checks the header of every picture.
    ///
    /// # Errors
    /// A missing folder, a file instead of a folder, no images, A without B, names that are
    /// unpaired or double, odd widths, different sizes of A and B, unreadable or too large images.
    /// Each message names the file and says what to do.
    pub fn scan(root: &Path, options: ScanOptions) -> Result<Folder> {
        let name = root.display();
        if !root.exists() {
            return Err(Error::input(format!(
                "the data folder {name} does not exist: check the path"
            )));
        }
        if !root.is_dir() {
            return Err(Error::input(format!(
                "{name} is a file, and a data set is a folder: give the folder that holds the \
                 pictures"
            )));
        }
        let mut folder = Folder {
            root: root.to_path_buf(),
            layout: Layout::SideBySide,
            train: vec![],
            val: vec![],
            test: vec![],
            skipped: vec![],
            others: 0,
            with_alpha: 0,
            unused: 0,
        };
        let phases = folder.find_phases(root)?;
        for (phase, place) in phases {
            let pairs = folder.scan_phase(&place, options)?;
            match phase {
                "val" => folder.val = pairs,
                "test" => folder.test = pairs,
                _ => folder.train = pairs,
            }
        }
        Ok(folder)
    }

    /// The training pairs.
    ///
    /// # Errors
    /// [`Error::Input`] if there are none.
    pub fn training(&self) -> Result<&[Pair]> {
        if self.train.is_empty() {
            return Err(Error::input(format!(
                "{} has no pictures to train on: put them in its folder train",
                self.root.display()
            )));
        }
        Ok(&self.train)
    }

    /// Decodes every pair of a list: the indices of those that fail, with their errors.
    pub fn broken(pairs: &[Pair]) -> Vec<(usize, Error)> {
        let read = |(i, pair): (usize, &Pair)| pair.read().err().map(|e| (i, e));
        pairs.par_iter().enumerate().filter_map(read).collect()
    }

    /// Decodes every training and validation pair once and moves those that fail to
    /// [`Folder::skipped`], so that a run meets none of them.
    pub fn leave_out_broken(&mut self) {
        for pairs in [&mut self.train, &mut self.val] {
            // From the back, so that removing keeps the earlier indices valid.
            for (i, error) in Folder::broken(pairs).into_iter().rev() {
                let path = pairs.remove(i).path().to_path_buf();
                self.skipped.push(Skipped { path, reason: error.to_string() });
            }
        }
    }

    /// Every pair: train, val, test.
    pub fn pairs(&self) -> impl Iterator<Item = &Pair> {
        self.train.iter().chain(&self.val).chain(&self.test)
    }

    /// Notes for the user: what was ignored, left out or changed.
    pub fn notes(&self) -> Vec<String> {
        let mut notes = Vec::new();
        let mut note = |count: usize, text: &str| {
            if count > 0 {
                notes.push(format!("{count} {text}"));
            }
        };
        note(self.with_alpha, "pairs have an alpha channel: it is composited over white");
        note(self.skipped.len(), "bad pictures were skipped");
        note(self.others, "files are no pictures and are not used");
        note(self.unused, "pictures lie beside the folders of the data set and are not used");
        if self.layout == Layout::SideBySide && self.pairs().all(|p| p.width * 2 == p.height) {
            notes.push(
                "every picture is square, so A and B are narrow halves of it: if these are not \
                 pairs side by side, give folders A and B"
                    .to_string(),
            );
        }
        notes
    }

    /// The phases of `root`, and the folders of their images.
    fn find_phases(&mut self, root: &Path) -> Result<Vec<(&'static str, Place)>> {
        let listing = list(root)?;
        let mut found = Vec::new();
        for phase in PHASES {
            if let Some(path) = subfolder(&listing, phase) {
                let inner = list(path)?;
                let place = match two_folders(path, &inner)? {
                    Some((a, b)) => {
                        self.unused += inner.pictures.len();
                        Place::Two(a, b)
                    }
                    None => Place::One(path.to_path_buf()),
                };
                found.push((phase, place));
            }
        }
        if found.is_empty() {
            match two_folders(root, &listing)? {
                None => return Ok(vec![("train", Place::One(root.to_path_buf()))]),
                Some((a, b)) => {
                    let (in_a, in_b) = (list(&a)?, list(&b)?);
                    for phase in PHASES {
                        match (subfolder(&in_a, phase), subfolder(&in_b, phase)) {
                            (Some(a), Some(b)) => {
                                let place = Place::Two(a.to_path_buf(), b.to_path_buf());
                                found.push((phase, place));
                            }
                            (None, None) => {}
                            (in_a, _) => {
                                let (has, not) = if in_a.is_some() { (&a, &b) } else { (&b, &a) };
                                return Err(Error::input(format!(
                                    "{} has a folder {phase} and {} has none: give both or neither",
                                    has.display(),
                                    not.display()
                                )));
                            }
                        }
                    }
                    if found.is_empty() {
                        found.push(("train", Place::Two(a, b)));
                    } else {
                        self.unused += in_a.pictures.len() + in_b.pictures.len();
                    }
                }
            }
        }
        self.unused += listing.pictures.len();
        Ok(found)
    }

    fn scan_phase(&mut self, place: &Place, options: ScanOptions) -> Result<Vec<Pair>> {
        let mut bad = Vec::new();
        let (sources, shown) = match place {
            Place::One(folder) => {
                let listing = list(folder)?;
                self.others += listing.others + listing.unread.len();
                if listing.pictures.is_empty() {
                    return Err(nothing_here(&listing, folder));
                }
                (
                    listing.pictures.into_iter().map(PairSource::SideBySide).collect::<Vec<_>>(),
                    folder,
                )
            }
            Place::Two(a, b) => {
                self.layout = Layout::Folders;
                (self.match_names(a, b, &mut bad)?, a)
            }
        };
        let checked: Vec<_> = sources.into_par_iter().map(check).collect();
        let mut pairs = Vec::with_capacity(checked.len());
        for result in checked {
            match result {
                Ok((pair, alpha)) => {
                    self.with_alpha += usize::from(alpha);
                    pairs.push(pair);
                }
                Err(wrong) => bad.push(wrong),
            }
        }
        if !options.skip_bad && !bad.is_empty() {
            let more = bad.len() - 1;
            let (_, error) = bad.swap_remove(0);
            return Err(match error {
                Error::Input(text) if more > 0 => Error::Input(format!(
                    "{text} ({more} more like it; {SKIP_BAD} goes on without them)"
                )),
                error => error,
            });
        }
        if pairs.is_empty() {
            return Err(Error::input(format!(
                "none of the {} pictures in {} can be used, first {}",
                bad.len(),
                shown.display(),
                bad.first().map(|(_, e)| e.to_string()).unwrap_or_default()
            )));
        }
        self.skipped.extend(
            bad.into_iter().map(|(path, error)| Skipped { path, reason: error.to_string() }),
        );
        Ok(pairs)
    }

    /// Pairs the files of two folders by their stems.
    fn match_names(&mut self, a: &Path, b: &Path, bad: &mut Vec<Bad>) -> Result<Vec<PairSource>> {
        let mut by_stem = |folder: &Path| -> Result<BTreeMap<OsString, PathBuf>> {
            let listing = list(folder)?;
            self.others += listing.others + listing.unread.len();
            if listing.pictures.is_empty() {
                return Err(nothing_here(&listing, folder));
            }
            let mut stems = BTreeMap::<OsString, PathBuf>::new();
            for path in listing.pictures {
                let stem = path.file_stem().unwrap_or_default().to_os_string();
                if let Some(first) = stems.get(&stem) {
                    let error = Error::input(format!(
                        "{} and {} have one name, so their partner is not known: rename or remove \
                         one of them",
                        first.display(),
                        path.display()
                    ));
                    bad.push((path, error));
                } else {
                    stems.insert(stem, path);
                }
            }
            Ok(stems)
        };
        let (in_a, mut in_b) = (by_stem(a)?, by_stem(b)?);
        let alone = |path: PathBuf, other: &Path| {
            let stem = path.file_stem().unwrap_or_default().to_os_string();
            let error = Error::input(format!(
                "{} has no partner: add a picture named {} to {} or remove it",
                path.display(),
                stem.display(),
                other.display()
            ));
            (path, error)
        };
        let mut sources = Vec::new();
        for (stem, path) in in_a {
            match in_b.remove(&stem) {
                Some(partner) => sources.push(PairSource::Two { a: path, b: partner }),
                None => bad.push(alone(path, b)),
            }
        }
        bad.extend(in_b.into_values().map(|path| alone(path, a)));
        Ok(sources)
    }
}

/// The folder, or the folders A and B, of a phase.
enum Place {
    One(PathBuf),
    Two(PathBuf, PathBuf),
}

/// A file that cannot be used, and why.
type Bad = (PathBuf, Error);

fn subfolder<'a>(listing: &'a Listing, name: &str) -> Option<&'a Path> {
    listing.folders.iter().find(|f| f.file_name().is_some_and(|n| n == name)).map(PathBuf::as_path)
}

/// The folders A and B of a folder, if it has them.
fn two_folders(folder: &Path, listing: &Listing) -> Result<Option<(PathBuf, PathBuf)>> {
    let find = |upper, lower| subfolder(listing, upper).or_else(|| subfolder(listing, lower));
    match (find("A", "a"), find("B", "b")) {
        (Some(a), Some(b)) => Ok(Some((a.to_path_buf(), b.to_path_buf()))),
        (None, None) => Ok(None),
        (a, _) => {
            let (has, lacks) = if a.is_some() { ("A", "B") } else { ("B", "A") };
            Err(Error::input(format!(
                "{} has a folder {has} but no folder {lacks}: add it, with pictures of the same \
                 names",
                folder.display()
            )))
        }
    }
}

fn nothing_here(listing: &Listing, folder: &Path) -> Error {
    match listing.folders.first() {
        Some(inner) if listing.others + listing.unread.len() == 0 => Error::input(format!(
            "{} has no pictures, only folders such as {}: give a folder of pairs side by side, or \
             one with folders A and B or train and val",
            folder.display(),
            inner.file_name().unwrap_or_default().display()
        )),
        _ => listing.nothing(folder),
    }
}

/// Reads the headers of a pair: the pair, and whether it has alpha.
fn check(source: PairSource) -> Result<(Pair, bool), Bad> {
    let at = |path: &Path, e| (path.to_path_buf(), e);
    let (width, height, alpha) = match &source {
        PairSource::SideBySide(path) => {
            let header = ImageHeader::read(path).map_err(|e| at(path, e))?;
            check_width(path, header.width).map_err(|e| at(path, e))?;
            (header.width / 2, header.height, header.alpha)
        }
        PairSource::Two { a, b } => {
            let of_a = ImageHeader::read(a).map_err(|e| at(a, e))?;
            let of_b = ImageHeader::read(b).map_err(|e| at(b, e))?;
            if (of_a.width, of_a.height) != (of_b.width, of_b.height) {
                let error = Error::input(format!(
                    "{} is {}x{} and {} is {}x{}: a pair needs one size, so resize or remove them",
                    a.display(),
                    of_a.width,
                    of_a.height,
                    b.display(),
                    of_b.width,
                    of_b.height
                ));
                return Err(at(a, error));
            }
            (of_a.width, of_a.height, of_a.alpha || of_b.alpha)
        }
    };
    let (PairSource::SideBySide(path) | PairSource::Two { a: path, .. }) = &source;
    let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    Ok((Pair { name, source, width, height }, alpha))
}
