//! Data sets made from pictures: pairs put side by side or taken apart, pieces, sizes, and inputs that are made of
//! targets (edges, grey, holes).
//!
//! A [`Tool`] turns the files of one [`Work`] into pictures and hands each on as soon as it is made; [`prepare`]
//! runs it over many, in parallel, and writes what comes. Nothing is written in a lossy format, and what a file
//! says beside its samples is written with what is made of it.

mod combine;
mod crop;
#[cfg(feature = "edges")]
mod edges;
mod grayscale;
mod holes;
mod labels;
mod phases;
mod resize;
mod split;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use rayon::prelude::*;

use crate::data::{
    Attributes, Image, ImageHeader, LeftOut, NoteCounts, Notes, QUALITY, WalkOptions, holds,
    is_lossy, stem, walk,
};
use crate::error::{Error, Result};

pub use combine::{Combine, works as pairs_of};
pub use crop::{Crop, CropAt};
#[cfg(feature = "edges")]
pub use edges::Edges;
pub use grayscale::Grayscale;
pub use holes::Holes;
pub use labels::Labels;
pub use phases::{Copies, Part, Phases, phases};
pub use resize::Resize;
pub use split::Split;

/// Bytes of a name that file systems take.
const LONGEST_NAME: usize = 255;

/// What is made of one file, or of the two of a pair.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Work {
    /// The path from its folder without the extension: what is made of it is named after it.
    pub name: PathBuf,
    /// The file, or that of A.
    pub file: PathBuf,
    /// The file of B, for [`Combine`].
    pub second: Option<PathBuf>,
}

/// A picture that was made.
#[derive(Clone, Debug)]
pub struct Made {
    /// Its path from the folder of outputs without the extension.
    pub name: PathBuf,
    /// Its pages: one, or the slices of a volume.
    pub pages: Vec<Image>,
    /// What is written beside the samples.
    pub attributes: Attributes,
    /// What of the input could not be kept in what was made: "the header of its volume".
    pub lost: Vec<&'static str>,
}

/// Takes what a tool makes, with what reading the file changed.
pub type Put<'a> = &'a mut dyn FnMut(Made, Option<Notes>) -> Result<()>;

/// Makes pictures of pictures.
pub trait Tool: Sync {
    /// Makes what is to be made of one work, and hands on each picture.
    ///
    /// # Errors
    /// Files that cannot be read, or of which it cannot be made; whatever `put` returns.
    fn make(&self, work: &Work, put: Put) -> Result<()>;
}

/// What came of [`prepare`].
#[derive(Debug, Default)]
pub struct Prepared {
    /// Pictures that were written.
    pub written: usize,
    /// Files of which nothing, or not all, was made, and why; in the order of their names.
    pub failed: Vec<(PathBuf, Error)>,
    /// What reading the pictures changed.
    pub notes: NoteCounts,
    /// What the written files have no place for, and how many of them.
    pub lost: BTreeMap<&'static str, usize>,
    /// Pictures written in another format than their input's, by the new one's extension: how many, and the first.
    pub converted: BTreeMap<OsString, (usize, PathBuf)>,
}

/// Lists the pictures at a path, a file or a folder with those below it; not below `except`.
///
/// # Errors
/// A path that does not exist, a folder without pictures.
pub fn works(input: &Path, except: &Path) -> Result<(Vec<Work>, LeftOut)> {
    if !input.exists() {
        return Err(Error::input(format!("{} does not exist: check the path", input.display())));
    }
    if !input.is_dir() {
        let name = stem(Path::new(input.file_name().unwrap_or_default()));
        let work = Work { name, file: input.to_path_buf(), second: None };
        return Ok((vec![work], LeftOut::default()));
    }
    let found = walk(input, WalkOptions { deep: true, except: Some(except) })?;
    if found.pictures.is_empty() {
        return Err(found.nothing(input));
    }
    let work = |f: crate::data::Found| Work { name: f.key(), file: f.path, second: None };
    Ok((found.pictures.into_iter().map(work).collect(), found.left_out))
}

/// Runs a tool over works and writes what it makes below `output`, in the format of the input where that holds it
/// without loss, else as PNG, else as TIFF. Files that exist are replaced. `done` is called after
/// each work, from any thread.
///
/// What cannot be read is listed and does not keep the others.
///
/// # Errors
/// [`Error::File`] for an output that cannot be written.
pub fn prepare(
    works: Vec<Work>,
    tool: &dyn Tool,
    output: &Path,
    done: &(dyn Fn() + Sync),
) -> Result<Prepared> {
    let state = Mutex::new((Prepared::default(), HashSet::new()));
    let failed: Vec<_> = different(works)
        .into_par_iter()
        .map(|work| {
            let path = work.as_ref().map_or_else(|(path, _)| path.clone(), |w| w.file.clone());
            let made = work.map_err(|(_, error)| error).and_then(|work| {
                tool.make(&work, &mut |made, notes| write(made, notes, &work, output, &state))
            });
            done();
            match made {
                Ok(()) => Ok(None),
                Err(error @ Error::File { action: "write" | "create", .. }) => Err(error),
                Err(error) => Ok(Some((path, error))),
            }
        })
        .collect::<Result<_>>()?;
    let (mut prepared, _) = state.into_inner().unwrap_or_else(PoisonError::into_inner);
    prepared.failed = failed.into_iter().flatten().collect();
    Ok(prepared)
}

/// Works of one name would write the same files: the second of such is an error.
fn different(works: Vec<Work>) -> Vec<std::result::Result<Work, (PathBuf, Error)>> {
    let mut names = HashMap::<PathBuf, PathBuf>::new();
    let mut check = |work: Work| match names.get(&work.name) {
        None => {
            names.insert(work.name.clone(), work.file.clone());
            Ok(work)
        }
        Some(first) => {
            let error = Error::input(format!(
                "{} and {} have one name, and what is made of them would too: rename one of them",
                first.display(),
                work.file.display()
            ));
            Err((work.file, error))
        }
    };
    works.into_iter().map(&mut check).collect()
}

type State = Mutex<(Prepared, HashSet<PathBuf>)>;

fn lock(state: &State) -> MutexGuard<'_, (Prepared, HashSet<PathBuf>)> {
    // Another thread's panic leaves counts that are only told.
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

fn write(
    made: Made,
    notes: Option<Notes>,
    work: &Work,
    output: &Path,
    state: &State,
) -> Result<()> {
    let path = output.join(file_name(&made, &work.file));
    if path.file_name().is_some_and(|name| name.len() > LONGEST_NAME) {
        return Err(Error::input(format!(
            "{} would be longer than the name of a file may be: give {} a shorter one",
            path.file_name().unwrap_or_default().display(),
            work.file.display()
        )));
    }
    if !lock(state).1.insert(path.clone()) {
        return Err(Error::input(format!(
            "{} would be made twice, the second time of {}: rename that file",
            path.display(),
            work.file.display()
        )));
    }
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(|e| Error::file("create", folder, e))?;
    }
    let mut unkept = Image::write_pages(&made.pages, &made.attributes, &path, QUALITY)?;
    unkept.extend(made.lost);
    unkept.sort_unstable();
    unkept.dedup();
    let mut state = lock(state);
    let prepared = &mut state.0;
    prepared.written += 1;
    unkept.into_iter().for_each(|what| *prepared.lost.entry(what).or_default() += 1);
    if let Some(notes) = notes {
        prepared.notes.add_pixels(&notes, &work.file);
    }
    let extension = |path: &Path| path.extension().unwrap_or_default().to_ascii_lowercase();
    if extension(&path) != extension(&work.file) {
        let (files, first) =
            prepared.converted.entry(extension(&path)).or_insert_with(|| (0, work.file.clone()));
        *files += 1;
        // The first by name, whichever thread comes first.
        if work.file < *first {
            first.clone_from(&work.file);
        }
    }
    Ok(())
}

/// The name of the file of a picture made of `input`: with its extension where that format holds it without loss.
fn file_name(made: &Made, input: &Path) -> PathBuf {
    let with = |extension: &OsString| {
        let mut name = made.name.clone().into_os_string();
        name.push(".");
        name.push(extension);
        PathBuf::from(name)
    };
    let whole = stem(input).as_os_str().len();
    let own = input.as_os_str().to_string_lossy().get(whole..).unwrap_or_default().to_string();
    let own = with(&own.trim_start_matches('.').into());
    let png = with(&"png".into());
    let channels = made.pages[0].channels;
    let exact = |path: &Path| holds(path, channels, made.attributes.stored) && !is_lossy(path);
    match (exact(&own), exact(&png) && made.pages.len() == 1) {
        (true, _) => own,
        (false, true) => png,
        (false, false) => with(&"tiff".into()),
    }
}

/// What of a file is lost where only the pages that are like its first one are used.
fn other_pages(header: &ImageHeader) -> Vec<&'static str> {
    match header.other_pages() {
        0 => Vec::new(),
        _ => vec!["the pages or frames that are unlike the first"],
    }
}

/// The left and the right half of each page.
///
/// # Errors
/// An odd width.
fn halves(pages: &[Image], path: &Path) -> Result<[Vec<Image>; 2]> {
    let halves = pages.iter().map(|page| page.halves(path)).collect::<Result<Vec<_>>>()?;
    let (a, b) = halves.into_iter().unzip();
    Ok([a, b])
}

/// `a` with `b` on its right, page by page; they have one height and one pixel format.
fn beside(a: &[Image], b: &[Image]) -> Vec<Image> {
    a.iter().zip(b).map(|(a, b)| a.beside(b)).collect()
}
