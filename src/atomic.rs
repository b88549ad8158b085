//! Files that appear whole or not at all: written beside their place, synced, then renamed.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use crate::{Error, Result};

/// A buffered writer of a file, seekable as the zip format requires.
pub type Sink = BufWriter<File>;

/// Writes `path` through `body`: to `.NAME.tmp` in the same folder, flushed and synced to the disk,
/// then renamed over `path`. When `body` or the disk fails, nothing is left and an older `path` is
/// untouched. A `.NAME.tmp` that a killed run left is overwritten, and [`sweep`] removes those
/// whose file is not written again. Two processes must not write the same `path` at once.
///
/// # Errors
/// Whatever `body` returns, or [`Error::File`] with the action "write".
pub fn replace(path: &Path, body: impl FnOnce(&mut Sink) -> Result<()>) -> Result<()> {
    let temporary = temporary(path)?;
    let write = |e| Error::file("write", path, e);
    let written = File::create(&temporary).map_err(write).and_then(|file| {
        let mut sink = BufWriter::with_capacity(1 << 18, file);
        body(&mut sink)?;
        sink.flush().map_err(write)?;
        sink.get_ref().sync_all().map_err(write)?;
        fs::rename(&temporary, path).map_err(write)
    });
    if written.is_err() {
        let _ = fs::remove_file(&temporary);
        return written;
    }
    // The rename itself reaches the disk with the folder. Some file systems refuse to sync one;
    // the file's own bytes are safe by then.
    if cfg!(unix)
        && let Ok(folder) = File::open(folder(path))
    {
        let _ = folder.sync_all();
    }
    Ok(())
}

/// Removes from `folder` the temporary files that killed writes left: every `.NAME.tmp` whose NAME
/// ends in `extension` (with its dot). What cannot be read or removed stays, since it does no harm.
pub fn sweep(folder: &Path, extension: &str) {
    let ending = format!("{extension}.tmp");
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let name = entry.file_name();
        if name.to_str().is_some_and(|name| name.starts_with('.') && name.ends_with(&ending)) {
            let _ = fs::remove_file(entry.path());
        }
    }
}

fn folder(path: &Path) -> &Path {
    path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

fn temporary(path: &Path) -> Result<PathBuf> {
    let name = path.file_name().ok_or_else(|| {
        Error::input(format!(
            "{} names no file; give a path that ends in a file name",
            path.display()
        ))
    })?;
    let mut hidden = OsString::from(".");
    hidden.push(name);
    hidden.push(".tmp");
    Ok(folder(path).join(hidden))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(folder)
            .unwrap()
            .map(|e| e.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn a_failed_write_leaves_the_old_file_and_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.bin");
        fs::write(&path, b"old").unwrap();
        let failed = replace(&path, |sink| {
            sink.write_all(b"half").unwrap();
            Err(Error::input("no"))
        });
        assert!(failed.is_err());
        assert_eq!(fs::read(&path).unwrap(), b"old");
        assert_eq!(names(dir.path()), ["a.bin"]);
    }

    #[test]
    fn a_killed_runs_leftover_is_overwritten() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.bin");
        fs::write(dir.path().join(".a.bin.tmp"), [7; 1000]).unwrap();
        replace(&path, |sink| {
            sink.write_all(b"new").unwrap();
            Ok(())
        })
        .unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"new");
        assert_eq!(names(dir.path()), ["a.bin"]);
    }

    #[test]
    fn a_sweep_takes_leftovers_of_its_kind_alone() {
        let dir = tempfile::tempdir().unwrap();
        for name in [".a.png.tmp", ".a.bin.tmp", "a.png.tmp", ".a.png", "a.png"] {
            fs::write(dir.path().join(name), b"x").unwrap();
        }
        sweep(dir.path(), ".png");
        assert_eq!(names(dir.path()), [".a.bin.tmp", ".a.png", "a.png", "a.png.tmp"]);
        sweep(&dir.path().join("no"), ".png");
    }

    #[test]
    fn a_missing_folder_is_a_file_error_and_no_name_an_input_error() {
        let dir = tempfile::tempdir().unwrap();
        let error = replace(&dir.path().join("no/a.bin"), |_| Ok(())).unwrap_err();
        assert_eq!(error.exit_code(), 2);
        assert_eq!(replace(Path::new("/"), |_| Ok(())).unwrap_err().exit_code(), 1);
    }
}
