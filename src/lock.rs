//! The lock of a folder: one process at a time writes a run.

use std::fs::{File, OpenOptions, TryLockError};
use std::path::{Path, PathBuf};

use crate::disk;
use crate::error::{Error, Result, settings::OUT};

/// The file in a folder that its writer holds locked. It is empty and stays: that it is there says
/// that the folder is a run's.
pub const LOCK: &str = "run.lock";

/// A folder that no other process writes as long as this lives. The operating system frees the lock
/// when the process ends, however it ends.
#[derive(Debug)]
pub struct FolderLock {
    path: PathBuf,
    file: File,
    /// Whether the file system can lock.
    locked: bool,
}

impl FolderLock {
    /// Locks an existing folder.
    ///
    /// # Errors
    /// [`Error::Input`] if another process holds it; [`Error::File`] if the lock's file cannot be
    /// opened.
    pub fn take(folder: &Path) -> Result<FolderLock> {
        let path = folder.join(LOCK);
        let about = path.symlink_metadata();
        if about.is_ok_and(|about| !about.is_file()) {
            return Err(Error::input(format!(
                "{} is no regular file, as the lock of a run is; remove it",
                path.display()
            )));
        }
        let file = disk::operation(|| {
            OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path)
        })
        .map_err(|e| Error::file("write", &path, e))?;
        let locked = match file.try_lock() {
            Ok(()) => true,
            Err(TryLockError::WouldBlock) => return Err(in_use(folder)),
            Err(TryLockError::Error(_)) => false,
        };
        Ok(FolderLock { path, file, locked })
    }

    /// What the user should know of it, if anything.
    pub fn note(&self) -> Option<String> {
        (!self.locked).then(|| {
            format!(
                "the file system cannot lock {}: make sure that no other process writes this run",
                self.path.display()
            )
        })
    }

    /// Checks that the folder is still the one that was locked: it may have been removed, and
    /// another run begun in its place.
    ///
    /// # Errors
    /// [`Error::Input`] that names the folder.
    pub fn check(&self) -> Result<()> {
        if same_file(self.file.metadata().ok(), self.path.metadata().ok()) {
            return Ok(());
        }
        let folder = self.path.parent().unwrap_or(&self.path);
        Err(Error::input(format!(
            "{} was removed or replaced while this run wrote it, so nothing more is saved; begin it \
             anew with another {OUT}",
            folder.display()
        )))
    }
}

fn in_use(folder: &Path) -> Error {
    Error::input(format!(
        "another process is writing the run in {}: wait until it has ended, or choose another {OUT}",
        folder.display()
    ))
}

/// Whether two descriptions are of one file; `None` is of none.
pub fn same_file(a: Option<std::fs::Metadata>, b: Option<std::fs::Metadata>) -> bool {
    let (Some(a), Some(b)) = (a, b) else { return false };
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        (a.dev(), a.ino()) == (b.dev(), b.ino())
    }
    #[cfg(not(unix))]
    {
        a.len() == b.len() && a.modified().ok() == b.modified().ok()
    }
}
