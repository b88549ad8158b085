//! Files that appear whole or not at all: written beside their place, synced, then renamed.

use std::fs::{self, File, TryLockError};
use std::io::{self, BufWriter, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::SystemTime;

use crate::disk::{self, Output};
use crate::{Error, Result};

/// A buffered writer of a file, seekable as the zip format requires.
pub type Sink = BufWriter<Output>;

/// How the names of temporary files begin and end; between them stands what makes them unique.
const TEMPORARY: [&str; 2] = [".pix2pix-engine-", ".tmp"];
/// The second name of a generation on its way; see [`keep`].
const LINK: &str = ".pix2pix-engine.link";

/// Writes `path` through `body`: to a temporary file in the same folder, flushed and synced to the
/// disk, then renamed over `path`. When `body` or the disk fails, nothing is left and an older
/// `path` is untouched.
///
/// A file that is replaced keeps its permissions; through a link, the file that it leads to is
/// replaced, and the link stays. The temporary's name is new, short and its own: processes may write
/// one `path` at once, and the last that ends wins whole. What killed processes left in the folder
/// is removed at the first write into it.
///
/// # Errors
/// Whatever `body` returns; [`Error::Input`] for a path that is a folder, a device or a link that
/// leads nowhere; [`Error::File`] with the action "write".
pub fn replace(path: &Path, body: impl FnOnce(&mut Sink) -> Result<()>) -> Result<()> {
    let write = |e| Error::file("write", path, e);
    let place = Place::of(path)?;
    let folder = folder(&place.path);
    sweep_once(folder);
    let (temporary, output) = Temporary::create(folder, place.mode).map_err(write)?;
    let mut sink = BufWriter::with_capacity(1 << 18, output);
    body(&mut sink)?;
    sink.flush().map_err(write)?;
    if let Some(mode) = place.mode {
        disk::set_mode(sink.get_ref(), mode).map_err(write)?;
    }
    sink.get_ref().sync().map_err(write)?;
    disk::rename(&temporary.path, &place.path).map_err(write)?;
    temporary.release();
    disk::sync_folder(folder).map_err(write)
}

/// Makes the file `path` also the file `second`, replacing that, without a moment in which either
/// is missing: by a hard link, or where there are none by a copy. One process at a time may call it
/// in a folder.
///
/// # Errors
/// [`Error::File`].
pub fn keep(path: &Path, second: &Path) -> Result<()> {
    let write = |e| Error::file("write", second, e);
    let link = folder(second).join(LINK);
    remove_if_there(&link).map_err(write)?;
    // A link's own target: a second name of the link would change with it.
    let file = path.canonicalize().map_err(|e| Error::file("read", path, e))?;
    match disk::link(&file, &link) {
        Err(e) if cannot_link(e.kind()) => return copy(&file, second),
        linked => linked.map_err(write)?,
    }
    let renamed = disk::rename(&link, second);
    // A rename between two names of one file does nothing and says that it is done.
    let removed = remove_if_there(&link);
    renamed.and(removed).map_err(write)
}

/// Whether two names of one file are refused as such: by a file system that has none, across two,
/// or for a file of somebody else.
fn cannot_link(kind: ErrorKind) -> bool {
    use ErrorKind::{CrossesDevices, PermissionDenied, TooManyLinks, Unsupported};
    matches!(kind, CrossesDevices | PermissionDenied | TooManyLinks | Unsupported)
}

/// Copies the file `from` to `to`, as [`replace`] does.
///
/// # Errors
/// [`Error::File`].
pub fn copy(from: &Path, to: &Path) -> Result<()> {
    let mut source = File::open(from).map_err(|e| Error::file("read", from, e))?;
    replace(to, |sink| {
        io::copy(&mut source, sink).map(drop).map_err(|e| Error::file("write", to, e))
    })
}

fn remove_if_there(path: &Path) -> io::Result<()> {
    if path.symlink_metadata().is_err() {
        return Ok(());
    }
    disk::remove(path)
}

/// Removes from `folder` the temporary files that killed processes left; those of living ones are
/// locked. What cannot be read or removed stays, since it does no harm.
pub fn sweep(folder: &Path) {
    let [begin, end] = TEMPORARY;
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let Some(name) = name.to_str() else { continue };
        let path = entry.path();
        if name == LINK || name.starts_with(begin) && name.ends_with(end) && is_abandoned(&path) {
            let _ = disk::remove(&path);
        }
    }
}

/// Whether no process holds the lock of the regular file `path`.
fn is_abandoned(path: &Path) -> bool {
    let regular = path.symlink_metadata().is_ok_and(|about| about.is_file());
    regular && File::open(path).is_ok_and(|file| file.try_lock().is_ok())
}

/// Sweeps a folder once in the life of the process: reading a large one for every file that is
/// written into it would cost more than the file.
fn sweep_once(folder: &Path) {
    static SWEPT: Mutex<Vec<PathBuf>> = Mutex::new(Vec::new());
    let mut swept = SWEPT.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    if !swept.iter().any(|known| known == folder) {
        swept.push(folder.to_path_buf());
        sweep(folder);
    }
}

/// Where a file is written, and the permissions of the one that is there.
struct Place {
    path: PathBuf,
    mode: Option<u32>,
}

impl Place {
    fn of(path: &Path) -> Result<Place> {
        let refuse = |what: &str| Err(Error::input(format!("{} {what}", path.display())));
        if path.file_name().is_none() {
            return refuse("names no file; give a path that ends in a file name");
        }
        let mut place = Place { path: path.to_path_buf(), mode: None };
        let read = |e| Error::file("write", path, e);
        let mut about = match path.symlink_metadata() {
            Err(e) if e.kind() == ErrorKind::NotFound => return Ok(place),
            about => about.map_err(read)?,
        };
        if about.is_symlink() {
            let Ok(target) = path.canonicalize() else {
                return refuse("is a link that leads nowhere; remove it or give another name");
            };
            about = target.metadata().map_err(read)?;
            place.path = target;
        }
        if about.is_dir() {
            return refuse("is a folder; give the name of a file");
        }
        if !about.is_file() {
            return refuse("is a device, a pipe or a socket, which is not replaced by a file");
        }
        #[cfg(unix)]
        {
            let mode = std::os::unix::fs::PermissionsExt::mode(&about.permissions());
            place.mode = Some(mode & 0o777);
        }
        Ok(place)
    }
}

fn folder(path: &Path) -> &Path {
    path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// The name of a temporary file, which is removed unless it was renamed.
struct Temporary {
    path: PathBuf,
    renamed: bool,
}

impl Temporary {
    /// Creates one in `folder`, and locks it as long as it is open, so that [`sweep`] knows that it
    /// is in use. A file system without locks is swept of nothing.
    fn create(folder: &Path, mode: Option<u32>) -> io::Result<(Temporary, Output)> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        const TRIES: usize = 1000;
        let [begin, end] = TEMPORARY;
        for _ in 0..TRIES {
            // Unique already by process and count on one machine; the clock tells machines that
            // share the folder apart.
            let count = COUNT.fetch_add(1, Ordering::Relaxed);
            let clock = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
            let clock = clock.map_or(0, |since| since.subsec_nanos());
            let name = format!("{begin}{:x}-{count:x}-{clock:x}{end}", std::process::id());
            let path = folder.join(name);
            // Its owner must be able to write it, whatever the file's permissions are in the end.
            let output = match Output::create_new(&path, mode.map(|mode| mode | 0o200)) {
                Err(e) if e.kind() == ErrorKind::AlreadyExists => continue,
                output => output?,
            };
            let temporary = Temporary { path, renamed: false };
            let locked = output.file().try_lock();
            // A sweep may have come between the two.
            if !matches!(locked, Err(TryLockError::WouldBlock)) && temporary.path.exists() {
                return Ok((temporary, output));
            }
        }
        Err(io::Error::other("no name for a temporary file is free"))
    }

    /// It was renamed, and is to be left where it is.
    fn release(mut self) {
        self.renamed = true;
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        if !self.renamed {
            let _ = disk::remove(&self.path);
        }
    }
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

    fn write(path: &Path, text: &[u8]) -> Result<()> {
        replace(path, |sink| sink.write_all(text).map_err(|e| Error::file("write", path, e)))
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

    /// Whichever operation fails, the file is the old one or the new one, and an error names it.
    #[test]
    fn any_operation_may_fail() {
        use disk::faults::{Fault, with};
        let dir = tempfile::tempdir().unwrap();
        let [path, second] = ["a.bin", "b.bin"].map(|name| dir.path().join(name));
        let write_both = || write(&path, b"new").and_then(|()| keep(&path, &second));
        fs::write(&path, b"old").unwrap();
        let (done, count) = with(Fault::Never, write_both);
        done.unwrap();
        assert_eq!(count, 8, "create, write, mode, sync, rename, sync of the folder; link, rename");
        for fault in (0..count).flat_map(|n| [Fault::At(n), Fault::From(n)]) {
            // They may be two names of one file.
            fs::remove_file(&second).unwrap();
            fs::write(&path, b"old").unwrap();
            fs::write(&second, b"older").unwrap();
            let error = with(fault, write_both).0.unwrap_err().to_string();
            assert!(error.contains(".bin: the test"), "{error}");
            let [first, second] = [&path, &second].map(|path| fs::read(path).unwrap());
            assert!([&b"old"[..], b"new"].contains(&&first[..]), "{fault:?}");
            assert!([&b"older"[..], b"new"].contains(&&second[..]), "{fault:?}");
            if matches!(fault, Fault::At(_)) {
                assert_eq!(names(dir.path()), ["a.bin", "b.bin"], "{fault:?}");
            }
            sweep(dir.path());
            assert_eq!(names(dir.path()), ["a.bin", "b.bin"], "{fault:?}");
        }
    }

    #[test]
    fn a_sweep_takes_what_nobody_writes_any_more() {
        let dir = tempfile::tempdir().unwrap();
        let kept = [".a.bin.tmp", ".pix2pix-engine-1.png", "a.bin", "pix2pix-engine-1.tmp"];
        for name in kept.iter().chain(&[".pix2pix-engine-1-2-3.tmp", LINK]) {
            fs::write(dir.path().join(name), b"x").unwrap();
        }
        replace(&dir.path().join("b.bin"), |_| {
            sweep(dir.path());
            Ok(())
        })
        .unwrap();
        let mut expected: Vec<&str> = kept.to_vec();
        expected.push("b.bin");
        expected.sort_unstable();
        assert_eq!(names(dir.path()), expected);
        sweep(&dir.path().join("no"));
    }

    #[test]
    fn a_missing_folder_is_a_file_error_and_no_name_an_input_error() {
        let dir = tempfile::tempdir().unwrap();
        let error = write(&dir.path().join("no/a.bin"), b"").unwrap_err();
        assert_eq!(error.exit_code(), 2);
        assert_eq!(write(Path::new("/"), b"").unwrap_err().exit_code(), 1);
        let error = write(dir.path(), b"").unwrap_err().to_string();
        assert!(error.contains("is a folder"), "{error}");
    }

    #[test]
    fn a_name_may_be_as_long_as_the_file_system_takes() {
        let dir = tempfile::tempdir().unwrap();
        for length in [251, 254, 255] {
            write(&dir.path().join("n".repeat(length)), b"x").unwrap();
        }
        assert_eq!(names(dir.path()).len(), 3);
    }

    /// Threads stand for processes: each has its own temporary file.
    #[test]
    fn of_writers_at_once_the_last_wins_whole() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.bin");
        std::thread::scope(|scope| {
            for letter in b'a'..b'i' {
                let path = &path;
                scope.spawn(move || (0..20).for_each(|_| write(path, &[letter; 3000]).unwrap()));
            }
        });
        let bytes = fs::read(&path).unwrap();
        assert!(bytes.len() == 3000 && bytes.iter().all(|b| *b == bytes[0]));
        assert_eq!(names(dir.path()), ["a.bin"]);
    }

    #[cfg(unix)]
    #[test]
    fn permissions_and_links_stay_and_links_to_nowhere_are_refused() {
        use std::os::unix::fs::{PermissionsExt, symlink};
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        for mode in [0o600, 0o644, 0o755, 0o400, 0o222, 0o666] {
            fs::write(at("a"), b"old").unwrap();
            fs::set_permissions(at("a"), fs::Permissions::from_mode(mode)).unwrap();
            write(&at("a"), b"new").unwrap();
            let found = fs::metadata(at("a")).unwrap().permissions().mode() & 0o7777;
            assert_eq!(found, mode, "{found:o} for {mode:o}");
            fs::remove_file(at("a")).unwrap();
        }
        write(&at("a"), b"new").unwrap();
        symlink("a", at("link")).unwrap();
        symlink("link", at("link to a link")).unwrap();
        for name in ["link", "link to a link"] {
            write(&at(name), name.as_bytes()).unwrap();
            assert_eq!(fs::read(at("a")).unwrap(), name.as_bytes());
            assert!(at(name).symlink_metadata().unwrap().is_symlink());
        }
        symlink("nowhere", at("dangling")).unwrap();
        symlink("round", at("round")).unwrap();
        for name in ["dangling", "round"] {
            let error = write(&at(name), b"x").unwrap_err().to_string();
            assert!(error.contains("is a link that leads nowhere"), "{error}");
        }
        // A socket stands for whatever is no file.
        let _socket = std::os::unix::net::UnixListener::bind(at("socket")).unwrap();
        let error = write(&at("socket"), b"x").unwrap_err().to_string();
        assert!(error.contains("is a device, a pipe or a socket"), "{error}");
        assert!(!at("nowhere").exists());
    }
}
