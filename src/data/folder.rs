//! A data set in a folder: its pairs, divided into training, validation and test.
//!
//! These layouts are accepted. `A` and `B` may also be `a` and `b`; `val` may be `valid` or `validation`,
//! `train` `training` and `test` `testing`, in any case. Files of two folders are paired by their path
//! without the extension (`A/x/7.png` with `B/x/7.jpg`).
//!
//! ```text
//! DATA/*.jpg                      side by side, A left and B right; all of them train
//! DATA/{train,val,test}/*.jpg     the same, by phase
//! DATA/A/*  DATA/B/*              two folders; all of them train
//! DATA/train/A/*  DATA/train/B/*  two folders, by phase
//! DATA/A/train/*  DATA/B/train/*  the same the other way round
//! DATA/trainA/*  DATA/trainB/*    the same in one name; also train_A
//! X/*  Y/*                        any two folders, or X/train/* and Y/train/*: Folder::scan_two
//! ```
//!
//! Folders below these count as well, except in the first layout. Only headers are read here, in
//! parallel. Every list is sorted by the bytes of the path. Hidden files are ignored; whatever else is not
//! used is counted in [`Folder::left_out`].

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use rayon::prelude::*;

use super::Domain;
use super::decode::ImageHeader;
use super::kinds::Kinds;
use super::layout::{Phase, Place, in_two, places};
use super::matching::{Bad, match_folders};
use super::notes::NoteCounts;
use super::pair::{Pair, PairSource, check_width};
use super::survey::{leak, odd_proportions};
use super::walk::{LeftOut, WalkOptions, walk};
use crate::error::settings::{NEXT_LINE, SKIP_BAD};
use crate::error::{Error, Result};
use crate::one_of::one_of;

/// Options of [`Folder::scan`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ScanOptions {
    /// Leave out images that are bad or have no partner, and list them in [`Folder::skipped`];
    /// otherwise they are an error that names them.
    pub skip_bad: bool,
    /// What the pages of a file are.
    pub pages: Pages,
}

one_of! {
    /// What the pages of a file are.
    pub enum Pages {
        /// The slices of a volume are pictures; of other files the first page is used.
        Auto = "auto",
        /// Each page is a picture.
        Pictures = "pictures",
        /// All pages together are the channels of one picture.
        Channels = "channels",
    }
}

#[expect(clippy::derivable_impls, reason = "the macro takes no attributes of variants")]
impl Default for Pages {
    fn default() -> Self {
        Pages::Auto
    }
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
    /// What was scanned; of two folders the first.
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
    /// Files that are not used, by reason.
    pub left_out: LeftOut,
    /// What reading the pictures changes or leaves out, from their headers and those pixels that were
    /// looked at.
    pub counts: NoteCounts,
    /// The kinds of pictures on each side, A and B.
    pub kinds: [Kinds; 2],
    /// Pairs whose names are equal as text (Unicode NFC) and not as bytes.
    pub by_text: usize,
    /// Pairs of `val` and of `test` that are byte for byte in `train`: the phase, and the sentence.
    pub leaks: Vec<(&'static str, String)>,
    /// What else is odd about the whole.
    odd: Vec<String>,
}

/// Which pictures [`Folder::check_pixels`] decodes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Check {
    /// Those of `val`, which a validation reads all at once, and the first of `train`, for the notes.
    #[default]
    Headers,
    /// All.
    Full,
}

/// Pairs to train on that are decoded for the notes: what only pixels show is mostly true of all.
const SAMPLE: usize = 16;
/// Wrong pictures that a message lists.
const LISTED: usize = 20;

impl Folder {
    /// Lists a data set and checks the header of every picture.
    ///
    /// # Errors
    /// A missing folder, a file instead of a folder, no images, A without B, names that are
    /// unpaired or double, odd widths, different sizes of A and B, unreadable or too large images.
    /// The message names all files that are wrong, up to 20, and says what to do.
    pub fn scan(root: &Path, options: ScanOptions) -> Result<Folder> {
        check_folder(root)?;
        let (places, left_out) = places(root)?;
        Folder::new(root, places, left_out, options)
    }

    /// As [`Folder::scan`], for A and B in any two folders, which may have the same phases. Pairs to
    /// validate on may lie in two more.
    ///
    /// # Errors
    /// As [`Folder::scan`].
    pub fn scan_two(
        [a, b]: [&Path; 2],
        val: Option<[&Path; 2]>,
        options: ScanOptions,
    ) -> Result<Folder> {
        let mut left_out = LeftOut::default();
        for folder in [a, b].into_iter().chain(val.into_iter().flatten()) {
            check_folder(folder)?;
        }
        let mut places = in_two(a, b, &mut left_out)?;
        if let Some([a, b]) = val {
            places.push((Phase::Val, Place::Two(a.to_path_buf(), b.to_path_buf())));
        }
        Folder::new(a, places, left_out, options)
    }

    fn new(
        root: &Path,
        places: Vec<(Phase, Place)>,
        left_out: LeftOut,
        options: ScanOptions,
    ) -> Result<Folder> {
        let mut folder = Folder {
            root: root.to_path_buf(),
            layout: Layout::SideBySide,
            train: vec![],
            val: vec![],
            test: vec![],
            skipped: vec![],
            left_out,
            counts: NoteCounts::default(),
            kinds: Default::default(),
            by_text: 0,
            leaks: vec![],
            odd: vec![],
        };
        let mut bad = Vec::new();
        for (phase, place) in places {
            let (pairs, wrong) = folder.scan_place(&place, options.pages)?;
            bad.extend(wrong);
            folder.phase(phase).extend(pairs);
        }
        if options.skip_bad && folder.pairs().next().is_none() {
            return Err(none_left(root, &bad));
        }
        folder.leave_out(bad, options.skip_bad)?;
        folder.survey();
        Ok(folder)
    }

    /// The training pairs.
    ///
    /// # Errors
    /// [`Error::Input`] if there are none.
    pub fn training(&self) -> Result<&[Pair]> {
        match (self.train.is_empty(), self.skipped.first()) {
            (false, _) => Ok(&self.train),
            (true, Some(first)) => {
                Err(Error::input(format!("no picture to train on is left, first {}", first.reason)))
            }
            (true, None) => Err(Error::input(format!(
                "{} has no pictures to train on: put them in its folder train",
                self.root.display()
            ))),
        }
    }

    /// Decodes pictures before they are needed, so that a run meets no broken one: those that `check`
    /// says, and with [`ScanOptions::skip_bad`] all that train and validate. Those that fail are left out
    /// or an error, as in [`Folder::scan`].
    ///
    /// # Errors
    /// [`Error::Input`] with the names of all that fail, up to 20.
    pub fn check_pixels(
        &mut self,
        check: Check,
        options: ScanOptions,
        domains: [&Domain; 2],
    ) -> Result<()> {
        let full = check == Check::Full;
        let mut bad = Vec::new();
        for (phase, all) in
            [(Phase::Train, full || options.skip_bad), (Phase::Val, true), (Phase::Test, full)]
        {
            let pairs = std::mem::take(self.phase(phase));
            let read = |(i, pair): (usize, Pair)| {
                let look = all || (i < SAMPLE && phase == Phase::Train);
                let found = look.then(|| pair.read_as(domains).map(|(_, notes)| notes));
                (pair, found.transpose())
            };
            let checked: Vec<_> = pairs.into_par_iter().enumerate().map(read).collect();
            for (pair, found) in checked {
                match found {
                    Err(error) if all => bad.push((pair.path().to_path_buf(), error)),
                    // A run that did not ask for a check meets it when it comes to it.
                    Err(_) => self.phase(phase).push(pair),
                    Ok(notes) => {
                        for (path, notes) in notes.iter().flatten().flatten() {
                            self.counts.add_pixels(notes, path);
                        }
                        self.phase(phase).push(pair);
                    }
                }
            }
        }
        self.leave_out(bad, options.skip_bad)
    }

    /// Gives each pair the mask of its name in a folder: `DIR/x/7.png` to the pair `x/7`.
    ///
    /// # Errors
    /// A folder that cannot be read; pairs without a mask, by name.
    pub fn add_masks(&mut self, folder: &Path) -> Result<()> {
        check_folder(folder)?;
        let found = walk(folder, WalkOptions { deep: true, ..WalkOptions::default() })?;
        let by_name: HashMap<String, PathBuf> = found
            .pictures
            .into_iter()
            .map(|found| (found.key().to_string_lossy().into_owned(), found.path))
            .collect();
        let mut missing = Vec::new();
        for pair in self.train.iter_mut().chain(&mut self.val).chain(&mut self.test) {
            pair.mask = by_name.get(&pair.file_name()).cloned();
            if pair.mask.is_none() {
                missing.push(pair.name.clone());
            }
        }
        match missing.first() {
            None => Ok(()),
            Some(first) => Err(Error::input(format!(
                "{} of the pairs have no mask in {}, such as {first}: add one of the same name to each",
                missing.len(),
                folder.display()
            ))),
        }
    }

    /// Every pair: train, val, test.
    pub fn pairs(&self) -> impl Iterator<Item = &Pair> {
        self.train.iter().chain(&self.val).chain(&self.test)
    }

    /// Sentences for the user: what is changed, left out or odd.
    pub fn notes(&self) -> Vec<String> {
        let mut notes = self.counts.lines();
        if self.by_text > 0 {
            let s = if self.by_text == 1 { "pair has names" } else { "pairs have names" };
            notes.push(format!(
                "{} {s} that differ in their bytes and are equal as text (Unicode NFC)",
                self.by_text
            ));
        }
        notes.extend(self.leaks.iter().map(|(_, leak)| leak.clone()));
        notes.extend(self.odd.iter().cloned());
        if !self.skipped.is_empty() {
            notes.push(format!("{} bad pictures were skipped", self.skipped.len()));
        }
        notes.extend(self.left_out.lines().into_iter().map(|line| format!("not used: {line}")));
        notes
    }

    fn phase(&mut self, phase: Phase) -> &mut Vec<Pair> {
        match phase {
            Phase::Train => &mut self.train,
            Phase::Val => &mut self.val,
            Phase::Test => &mut self.test,
        }
    }

    fn scan_place(&mut self, place: &Place, pages: Pages) -> Result<(Vec<Pair>, Vec<Bad>)> {
        let mut bad = Vec::new();
        let sources: Vec<(PathBuf, PairSource)> = match place {
            Place::One { folder, deep } => {
                let found = walk(folder, WalkOptions { deep: *deep, ..WalkOptions::default() })?;
                if found.pictures.is_empty() {
                    return Err(match found.folders.first() {
                        Some(inner) if found.left_out.files() == 0 && !deep => {
                            only_folders(folder, inner)
                        }
                        _ => found.nothing(folder),
                    });
                }
                self.left_out.merge(found.left_out);
                let source = |f: super::walk::Found| (f.key(), PairSource::SideBySide(f.path));
                found.pictures.into_iter().map(source).collect()
            }
            Place::Two(a, b) => {
                self.layout = Layout::Folders;
                let (matched, walks) = match_folders(a, b)?;
                self.by_text += matched.by_text;
                walks.into_iter().for_each(|walk| self.left_out.merge(walk.left_out));
                bad = matched.bad;
                matched.pairs
            }
        };
        let checked: Vec<_> = sources.into_par_iter().map(|source| check(source, pages)).collect();
        let mut pairs = Vec::with_capacity(checked.len());
        for result in checked {
            match result {
                Ok((pair, headers)) => {
                    for (path, header) in headers.iter().flatten() {
                        self.counts.add(&header.notes, path);
                    }
                    let stacked = pages == Pages::Channels;
                    let of_a = headers[0].as_ref().expect("the first file is there");
                    let of_b = headers[1].as_ref().unwrap_or(of_a);
                    for (kinds, (path, header)) in self.kinds.iter_mut().zip([of_a, of_b]) {
                        kinds.add(header, stacked, path);
                    }
                    pairs.extend(pair);
                }
                Err(wrong) => bad.push(wrong),
            }
        }
        Ok((pairs, bad))
    }

    fn leave_out(&mut self, bad: Vec<Bad>, skip: bool) -> Result<()> {
        if !skip && !bad.is_empty() {
            return Err(all_wrong(bad));
        }
        let skipped = |(path, error): Bad| Skipped { path, reason: error.to_string() };
        self.skipped.extend(bad.into_iter().map(skipped));
        Ok(())
    }

    fn survey(&mut self) {
        let all: Vec<&Pair> = self.pairs().collect();
        let mut odd: Vec<String> = odd_proportions(&all).into_iter().collect();
        let phases = [("val", &self.val), ("test", &self.test)];
        let leaks = phases.map(|(name, pairs)| Some((name, leak(&self.train, pairs, name)?)));
        if self.layout == Layout::SideBySide && all.iter().all(|p| p.width * 2 == p.height) {
            odd.push(
                "every picture is square, so A and B are narrow halves of it: if these are not \
                 pairs side by side, give folders A and B"
                    .to_string(),
            );
        }
        (self.odd, self.leaks) = (odd, leaks.into_iter().flatten().collect());
    }
}

fn check_folder(root: &Path) -> Result<()> {
    let name = root.display();
    if !root.exists() {
        return Err(Error::input(format!("the data folder {name} does not exist: check the path")));
    }
    if !root.is_dir() {
        return Err(Error::input(format!(
            "{name} is a file, and a data set is a folder: give the folder that holds the pictures"
        )));
    }
    Ok(())
}

fn only_folders(folder: &Path, inner: &Path) -> Error {
    Error::input(format!(
        "{} has no pictures, only folders such as {}: give a folder of pairs side by side, or one with \
         folders A and B or train and val",
        folder.display(),
        inner.file_name().unwrap_or_default().display()
    ))
}

fn none_left(shown: &Path, bad: &[Bad]) -> Error {
    Error::input(format!(
        "none of the {} pictures in {} can be used, first {}",
        bad.len(),
        shown.display(),
        bad.first().map(|(_, e)| e.to_string()).unwrap_or_default()
    ))
}

/// The error for wrong pictures: that of the only one, or a list.
fn all_wrong(mut bad: Vec<Bad>) -> Error {
    if bad.len() == 1 {
        return bad.remove(0).1;
    }
    let mut text =
        format!("{} pictures cannot be used; {SKIP_BAD} goes on without them:", bad.len());
    for (_, error) in bad.iter().take(LISTED) {
        text += &format!("{NEXT_LINE}{error}");
    }
    if bad.len() > LISTED {
        text += &format!("{NEXT_LINE}and {} more", bad.len() - LISTED);
    }
    Error::Input(text)
}

/// The headers of a pair's files.
type Headers = [Option<(PathBuf, ImageHeader)>; 2];

/// Reads the headers of a pair.
fn check(
    (name, source): (PathBuf, PairSource),
    use_of_pages: Pages,
) -> Result<(Vec<Pair>, Headers), Bad> {
    let at = |path: &Path, e| (path.to_path_buf(), e);
    let read = |path: &Path| ImageHeader::read(path).map_err(|e| at(path, e));
    let (width, height, headers) = match &source {
        PairSource::SideBySide(path) => {
            let header = read(path)?;
            check_width(path, header.width).map_err(|e| at(path, e))?;
            (header.width / 2, header.height, [Some((path.clone(), header)), None])
        }
        PairSource::Two { a, b } => {
            let (of_a, of_b) = (read(a)?, read(b)?);
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
            (of_a.width, of_a.height, [Some((a.clone(), of_a)), Some((b.clone(), of_b))])
        }
    };
    let mut headers = headers;
    if use_of_pages == Pages::Channels {
        for (path, header) in headers.iter_mut().flatten() {
            header.check_alike(path).map_err(|e| at(path, e))?;
            // None is left out.
            header.notes.more_frames = 0;
        }
    }
    let name = name.to_string_lossy().into_owned();
    let each = |header: &ImageHeader| match use_of_pages {
        Pages::Auto if header.slices => header.pages,
        Pages::Pictures => header.pages,
        Pages::Auto | Pages::Channels => 1,
    };
    let [of_a, of_b] = &headers;
    let of_a = of_a.as_ref().expect("the first file is there");
    let (pages, others) = (each(&of_a.1), of_b.as_ref().map(|of_b| each(&of_b.1)));
    if let (Some((b, _)), Some(others)) = (of_b, others.filter(|&n| n != pages)) {
        let error = Error::input(format!(
            "{} has {pages} pages and {} has {others}: a pair needs as many of each",
            of_a.0.display(),
            b.display()
        ));
        return Err(at(&of_a.0, error));
    }
    let pair = |page: usize| {
        let digits = (pages - 1).to_string().len();
        let name = if pages == 1 { name.clone() } else { format!("{name}-{page:0digits$}") };
        let stacked = use_of_pages == Pages::Channels;
        Pair { name, source: source.clone(), width, height, page, pages, stacked, mask: None }
    };
    Ok(((0..pages).map(pair).collect(), headers))
}
