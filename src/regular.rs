//! Opening files for reading: regular files alone, so that nothing is waited for or read for ever.

use std::fs::{self, File, FileType, OpenOptions};
use std::io;
use std::path::Path;

use crate::{Error, Result};

/// Opens a regular file, behind any links, and gives its length in bytes. `action` is the infinitive of
/// an error, such as "read".
///
/// # Errors
/// [`Error::Input`] for a folder, a named pipe (FIFO), a device, a socket, or links in a circle: they are
/// refused by their kind and never opened. [`Error::File`] if the file is missing or cannot be opened.
pub fn open_regular(path: &Path, action: &'static str) -> Result<(File, u64)> {
    let failed = |e: io::Error| match e.raw_os_error() {
        Some(LOOP) => Error::input(format!(
            "{} is a link that leads back to itself: replace it by the file that it should lead to",
            path.display()
        )),
        _ => Error::file(action, path, e),
    };
    refuse_special(path, fs::metadata(path).map_err(failed)?.file_type())?;
    let mut options = OpenOptions::new();
    options.read(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        // A pipe that takes the file's place after the look above is opened without waiting.
        options.custom_flags(rustix::fs::OFlags::NONBLOCK.bits() as i32);
    }
    let file = options.open(path).map_err(failed)?;
    let opened = file.metadata().map_err(failed)?;
    refuse_special(path, opened.file_type())?;
    Ok((file, opened.len()))
}

/// The error number of links in a circle, where the standard library has no stable name for it.
#[cfg(unix)]
const LOOP: i32 = rustix::io::Errno::LOOP.raw_os_error();
#[cfg(not(unix))]
const LOOP: i32 = i32::MIN;

fn refuse_special(path: &Path, kind: FileType) -> Result<()> {
    if kind.is_file() {
        return Ok(());
    }
    Err(Error::input(format!(
        "{} is {} and no regular file: give a file",
        path.display(),
        special(kind)
    )))
}

/// "a folder", "a named pipe", ...: what a path is that is no regular file.
fn special(kind: FileType) -> &'static str {
    if kind.is_dir() {
        return "a folder";
    }
    #[cfg(unix)]
    {
        use std::os::unix::fs::FileTypeExt;
        if kind.is_fifo() {
            return "a named pipe (FIFO)";
        }
        if kind.is_socket() {
            return "a socket";
        }
        if kind.is_char_device() || kind.is_block_device() {
            return "a device";
        }
    }
    "a special file"
}

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::fs::symlink;
    use std::os::unix::net::UnixListener;

    use super::*;

    #[test]
    fn only_regular_files_are_opened_and_the_others_are_named() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        fs::write(at("file"), b"abc").unwrap();
        symlink(at("file"), at("link")).unwrap();
        assert_eq!(open_regular(&at("link"), "read").unwrap().1, 3);

        rustix::fs::mkfifoat(rustix::fs::CWD, at("pipe"), rustix::fs::Mode::RUSR).unwrap();
        symlink(at("pipe"), at("to-pipe")).unwrap();
        symlink(at("there"), at("back")).unwrap();
        symlink(at("back"), at("there")).unwrap();
        symlink(at("nothing"), at("dangling")).unwrap();
        let _socket = UnixListener::bind(at("socket")).unwrap();
        let refused = [
            (at("pipe"), "a named pipe (FIFO)"),
            (at("to-pipe"), "a named pipe (FIFO)"),
            (at("socket"), "a socket"),
            (at("back"), "leads back to itself"),
            (dir.path().into(), "a folder"),
            ("/dev/zero".into(), "a device"),
        ];
        for (path, says) in refused {
            let error = open_regular(&path, "read").unwrap_err();
            assert_eq!(error.exit_code(), 1, "{error}");
            assert!(error.to_string().contains(says), "{error}");
        }
        assert_eq!(open_regular(&at("dangling"), "read").unwrap_err().exit_code(), 2);
    }
}
