//! Lists one folder.

use std::path::{Path, PathBuf};

use super::format;
use crate::error::{Error, Result};

/// Extensions of image formats that are not read.
const UNREAD: [&str; 12] =
    ["gif", "heic", "heif", "avif", "jxl", "jp2", "ppm", "pgm", "pnm", "tga", "svg", "psd"];

/// The entries of a folder; hidden ones (their name starts with a dot) are left out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listing {
    /// Files with the extension of a format that is read (in either case), sorted by the bytes of
    /// their names: `10.png` comes before `9.png`.
    pub pictures: Vec<PathBuf>,
    /// Folders, sorted the same way.
    pub folders: Vec<PathBuf>,
    /// Images of formats that are not read, such as `.gif`.
    pub unread: Vec<PathBuf>,
    /// All other files.
    pub others: usize,
}

impl Listing {
    /// The error for a folder without images: "no picture among 12 files", and what to do.
    pub fn nothing(&self, folder: &Path) -> Error {
        let files = self.others + self.unread.len();
        let name = folder.display();
        Error::input(match (files, self.unread.first()) {
            (0, _) => {
                format!("{name} has no files: put pictures there ({})", format::names("or"))
            }
            (_, Some(path)) => format!(
                "{name} has no picture that can be read among {files} files, but {} such as {}: \
                 convert them to PNG or JPEG",
                self.unread.len(),
                path.file_name().unwrap_or_default().display()
            ),
            _ => format!(
                "{name} has no picture among {files} files: put {} there",
                format::names("or")
            ),
        })
    }
}

/// Lists a folder.
///
/// # Errors
/// [`Error::File`] if it cannot be read.
pub fn list(folder: &Path) -> Result<Listing> {
    let unreadable = |e| Error::file("read the folder", folder, e);
    let mut listing = Listing::default();
    for entry in std::fs::read_dir(folder).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        if path.file_name().is_some_and(|n| n.as_encoded_bytes().starts_with(b".")) {
            continue;
        }
        if path.is_dir() {
            listing.folders.push(path);
        } else if format::by_extension(&path).is_some() {
            listing.pictures.push(path);
        } else if path.extension().is_some_and(|e| UNREAD.iter().any(|u| e.eq_ignore_ascii_case(u)))
        {
            listing.unread.push(path);
        } else {
            listing.others += 1;
        }
    }
    listing.pictures.sort();
    listing.folders.sort();
    listing.unread.sort();
    Ok(listing)
}
