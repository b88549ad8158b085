//! The operations that change what is on the disk. All of them pass through here, so that unit
//! tests can make any one of a run fail, and all after it: what a full disk, a dying one, or the
//! end of the process leaves.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Seek, SeekFrom, Write};
use std::path::Path;

/// An open file that is written.
#[derive(Debug)]
pub struct Output(File);

impl Output {
    /// Creates a file that must not exist; a link of that name is not followed. On Unix its
    /// permissions are `mode` where given, otherwise those that new files get.
    pub fn create_new(path: &Path, mode: Option<u32>) -> io::Result<Output> {
        operation(|| {
            let mut options = OpenOptions::new();
            options.write(true).create_new(true);
            #[cfg(unix)]
            if let Some(mode) = mode {
                std::os::unix::fs::OpenOptionsExt::mode(&mut options, mode);
            }
            #[cfg(not(unix))]
            let _ = mode;
            options.open(path)
        })
        .map(Output)
    }

    /// Opens a file to write behind its end, and creates it if there is none.
    pub fn append(path: &Path) -> io::Result<Output> {
        operation(|| OpenOptions::new().create(true).append(true).open(path)).map(Output)
    }

    /// Waits until everything that was written is on the disk.
    pub fn sync(&self) -> io::Result<()> {
        operation(|| self.0.sync_all())
    }

    /// The file itself.
    pub fn file(&self) -> &File {
        &self.0
    }
}

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let file = &mut self.0;
        operation(|| file.write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Seek for Output {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.0.seek(to)
    }
}

/// Gives a file the permissions `mode` on Unix.
pub fn set_mode(file: &Output, mode: u32) -> io::Result<()> {
    #[cfg(unix)]
    operation(|| file.0.set_permissions(std::os::unix::fs::PermissionsExt::from_mode(mode)))?;
    #[cfg(not(unix))]
    let _ = (file, mode);
    Ok(())
}

/// Renames a file, over one that is there.
pub fn rename(from: &Path, to: &Path) -> io::Result<()> {
    operation(|| fs::rename(from, to))
}

/// Gives a file a second name, which must not exist.
pub fn link(from: &Path, to: &Path) -> io::Result<()> {
    operation(|| fs::hard_link(from, to))
}

/// Removes a file.
pub fn remove(path: &Path) -> io::Result<()> {
    operation(|| fs::remove_file(path))
}

/// Creates a folder and those above it, unless it is there.
pub fn create_folder(path: &Path) -> io::Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    operation(|| fs::create_dir_all(path))
}

/// Waits until the names in a folder are on the disk. A file system that cannot sync a folder, or
/// one that may not be opened, is no error: the files' own bytes are safe by then.
pub fn sync_folder(path: &Path) -> io::Result<()> {
    if !cfg!(unix) {
        return Ok(());
    }
    let Ok(folder) = File::open(path) else {
        return Ok(());
    };
    operation(|| folder.sync_all()).or_else(|e| match e.kind() {
        ErrorKind::InvalidInput | ErrorKind::Unsupported => Ok(()),
        _ => Err(e),
    })
}

/// Runs one operation.
pub fn operation<T>(body: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
    #[cfg(test)]
    faults::next()?;
    body()
}

/// Operations that fail on request, in the thread that asked.
#[cfg(test)]
pub mod faults {
    use std::cell::Cell;
    use std::io;

    /// Which operations fail.
    #[derive(Clone, Copy, Debug, PartialEq)]
    pub enum Fault {
        /// None.
        Never,
        /// One, by its number from 0.
        At(u64),
        /// One and all that follow, as if the process had ended there.
        From(u64),
    }

    thread_local! {
        static STATE: Cell<(Fault, u64)> = const { Cell::new((Fault::Never, 0)) };
    }

    /// Runs `body` with this fault. Also returns how many operations there were.
    pub fn with<T>(fault: Fault, body: impl FnOnce() -> T) -> (T, u64) {
        STATE.set((fault, 0));
        let result = body();
        let (_, count) = STATE.replace((Fault::Never, 0));
        (result, count)
    }

    pub(super) fn next() -> io::Result<()> {
        let (fault, count) = STATE.get();
        STATE.set((fault, count + 1));
        let fails = match fault {
            Fault::Never => false,
            Fault::At(n) => count == n,
            Fault::From(n) => count >= n,
        };
        if fails { Err(io::Error::other("the test lets it fail")) } else { Ok(()) }
    }
}
