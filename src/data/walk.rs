//! Finds the pictures below a folder, and counts what is passed over, by reason.

use std::collections::{BTreeMap, HashSet};
use std::ffi::{OsStr, OsString};
use std::io::ErrorKind::{InvalidFilename, PermissionDenied};
use std::io::Read;
use std::path::{Path, PathBuf};

use super::format::{self, START, Unread, unread_by_content, unread_by_extension};
use crate::error::{Error, Result};
use crate::regular::open_regular;

/// A file below a folder.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Found {
    /// Its path from the folder.
    pub relative: PathBuf,
    /// Its whole path.
    pub path: PathBuf,
}

impl Found {
    /// Its path from the folder without the extension: what pairs are matched by.
    pub fn key(&self) -> PathBuf {
        format::stem(&self.relative)
    }
}

/// What lies below a folder. Hidden entries (their name begins with a dot) and folders that file
/// systems and archives add are left out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Walk {
    /// Files with the extension of a format that is read, in either case, sorted by the bytes of their
    /// path from the folder: `10.png` comes before `9.png`.
    pub pictures: Vec<Found>,
    /// The folders directly below, sorted the same way.
    pub folders: Vec<PathBuf>,
    /// Files of formats that are known and not read.
    pub unread: Vec<(Found, &'static str)>,
    /// What was passed over.
    pub left_out: LeftOut,
}

/// Where a walk goes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WalkOptions<'a> {
    /// Into folders as well.
    pub deep: bool,
    /// But not into this one, where translations are written to.
    pub except: Option<&'a Path>,
}

/// Why a file is not used.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Reason {
    /// A format that is not read: its name, and the cure for one file and for several.
    Unread(&'static str, [String; 2]),
    /// A picture without a picture's extension.
    Nameless,
    /// A picture beside the folders of the data set.
    Beside,
    /// A folder that was met before, by links.
    Twice,
    /// The folder of a run.
    Run,
    /// The folder that is written to.
    Output,
    /// A folder, or what may be one, that cannot be read.
    Locked,
    /// No picture.
    Other,
}

/// Files that are not used, counted by reason.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LeftOut {
    counts: BTreeMap<Reason, (usize, PathBuf)>,
}

impl LeftOut {
    fn add(&mut self, reason: Reason, path: &Path) {
        self.counts.entry(reason).or_insert_with(|| (0, path.to_path_buf())).0 += 1;
    }

    /// Adds what was left out elsewhere.
    pub fn merge(&mut self, other: LeftOut) {
        for (reason, (count, first)) in other.counts {
            self.counts.entry(reason).or_insert((0, first)).0 += count;
        }
    }

    /// What is left without the files that are no pictures: texts about a data set lie beside it.
    pub fn without_others(mut self) -> LeftOut {
        self.counts.remove(&Reason::Other);
        self
    }

    /// Counts the pictures of a walk as lying beside the data set.
    pub fn beside(&mut self, walk: &Walk) {
        for found in &walk.pictures {
            self.add(Reason::Beside, &found.path);
        }
    }

    /// How many folders could not be read.
    pub fn locked(&self) -> usize {
        self.counts.get(&Reason::Locked).map_or(0, |(count, _)| *count)
    }

    /// How many files there are in all.
    pub fn files(&self) -> usize {
        self.counts.values().map(|(count, _)| count).sum()
    }

    /// For each reason how many files, one of them, and the cure: "3 GIF pictures such as data/1.gif
    /// (convert them to PNG or JPEG)".
    pub fn lines(&self) -> Vec<String> {
        let line = |(reason, (count, first)): (&Reason, &(usize, PathBuf))| {
            let (count, first) = (*count, first.display());
            let s = if count == 1 { "" } else { "s" };
            let such = if count == 1 { format!(", {first}") } else { format!(", such as {first}") };
            match reason {
                Reason::Unread(name, cures) => {
                    format!("{count} {name}{s}{such} ({})", cures[usize::from(count > 1)])
                }
                Reason::Nameless => format!(
                    "{count} picture{s} without the extension of one{such} (add it to the name)"
                ),
                Reason::Beside => format!(
                    "{count} picture{s} beside the folders of the data set{such} (move into one of them)"
                ),
                Reason::Twice => format!("{count} link{s} to a folder that is used already{such}"),
                Reason::Run => format!("{count} folder{s} of a run{such}"),
                Reason::Output => format!("{count} folder that is written to{such}"),
                Reason::Locked => {
                    format!("{count} folder{s} that cannot be read{such} (allow reading it)")
                }
                Reason::Other => format!(
                    "{count} file{s} that {}{such}",
                    if count == 1 { "is no picture" } else { "are no pictures" }
                ),
            }
        };
        self.counts.iter().map(line).collect()
    }
}

/// Folders with small copies or remains of pictures, and with what nobody may read.
const ADDED: [&str; 5] =
    ["@eaDir", "__MACOSX", "lost+found", "$RECYCLE.BIN", "System Volume Information"];

/// Extensions of the files beside a `.mhd` that hold its voxels.
const VOXELS: [&str; 2] = ["raw", "zraw"];

/// Lists the pictures of a folder, and with [`WalkOptions::deep`] of all folders below it. A folder that
/// links reach twice is walked once.
///
/// # Errors
/// [`Error::File`] for a folder that cannot be read; one below it is left out.
pub fn walk(root: &Path, options: WalkOptions) -> Result<Walk> {
    let mut found = Walk::default();
    let mut seen = HashSet::new();
    let except = options.except.and_then(|path| path.canonicalize().ok());
    let mut open = vec![root.to_path_buf()];
    while let Some(folder) = open.pop() {
        let below = folder != root;
        let read = || -> std::io::Result<(PathBuf, Vec<OsString>)> {
            let entries = std::fs::read_dir(&folder)?.map(|entry| Ok(entry?.file_name()));
            Ok((folder.canonicalize()?, entries.collect::<std::io::Result<_>>()?))
        };
        let (canonical, mut entries) = match read() {
            Ok(read) => read,
            Err(_) if below => {
                found.left_out.add(Reason::Locked, &folder);
                continue;
            }
            Err(e) => return Err(Error::file("read the folder", &folder, e)),
        };
        if below && except.as_ref() == Some(&canonical) {
            found.left_out.add(Reason::Output, &folder);
            continue;
        }
        if !seen.insert(canonical) {
            found.left_out.add(Reason::Twice, &folder);
            continue;
        }
        entries.retain(|name| {
            !name.as_encoded_bytes().starts_with(b".") && !ADDED.iter().any(|a| name == *a)
        });
        if below && entries.iter().any(|n| n == "metrics.jsonl") {
            found.left_out.add(Reason::Run, &folder);
            continue;
        }
        entries.sort();
        let mut folders = Vec::new();
        for name in entries {
            let path = folder.join(&name);
            match path.metadata() {
                Ok(about) if about.is_dir() => folders.push(path),
                Err(e) if matches!(e.kind(), PermissionDenied | InvalidFilename) => {
                    found.left_out.add(Reason::Locked, &path);
                }
                // A link that leads nowhere is named when it is read.
                _ => found.file(root, path, &name),
            }
        }
        if !below {
            found.folders = folders.clone();
        }
        if options.deep {
            // The first of them is walked next.
            open.extend(folders.into_iter().rev());
        }
    }
    found.pictures.sort_by(|x, y| bytes(&x.relative).cmp(bytes(&y.relative)));
    Ok(found)
}

fn bytes(path: &Path) -> &[u8] {
    path.as_os_str().as_encoded_bytes()
}

impl Walk {
    fn file(&mut self, root: &Path, path: PathBuf, name: &OsStr) {
        let relative = path.strip_prefix(root).unwrap_or(&path).to_path_buf();
        if format::by_extension(Path::new(name)).is_some() {
            self.pictures.push(Found { relative, path });
            return;
        }
        // The voxels of the volume of that name.
        let voxels =
            path.extension().is_some_and(|e| VOXELS.iter().any(|v| e.eq_ignore_ascii_case(v)));
        if voxels && path.with_extension("mhd").exists() {
            return;
        }
        let content = || content(&path);
        let reason =
            match unread_by_extension(Path::new(name)).map_or_else(content, Content::Unread) {
                Content::Unread(unread) => {
                    let found = Found { relative, path: path.clone() };
                    self.unread.push((found, unread.name));
                    Reason::Unread(unread.name, [unread.cure(1), unread.cure(2)])
                }
                Content::Picture => Reason::Nameless,
                Content::Other => Reason::Other,
            };
        self.left_out.add(reason, &path);
    }

    /// The error for a folder without pictures: what lies there instead, and what to do.
    pub fn nothing(&self, folder: &Path) -> Error {
        let name = folder.display();
        let readable = format::names("or");
        Error::input(match self.left_out.files() {
            0 => format!("{name} has no files: put pictures there ({readable})"),
            files => format!(
                "{name} has no picture that can be read among {files} files ({}): put {readable} there",
                self.left_out.lines().join("; ")
            ),
        })
    }
}

/// What a file without a known extension holds.
enum Content {
    Unread(&'static Unread),
    Picture,
    Other,
}

fn content(path: &Path) -> Content {
    let mut start = Vec::new();
    // What cannot be read is no picture.
    if let Ok((file, _)) = open_regular(path, "read") {
        let _ = file.take(START as u64).read_to_end(&mut start);
    }
    match unread_by_content(&start) {
        Some(unread) => Content::Unread(unread),
        None if format::by_content(&start).is_some() => Content::Picture,
        None => Content::Other,
    }
}
