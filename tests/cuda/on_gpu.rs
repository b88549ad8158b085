//! Running the program on softgpu.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::program::{Ended, command, words};

/// A command for the program on softgpu, whose findings go to stderr, where [`ok`] sees them.
pub fn on_gpu(cwd: &Path, line: &str) -> Command {
    let library = cuda::find_library().unwrap();
    let nvrtc = cuda::nvrtc::find().expect("the test has asked for it");
    let cache = Path::new(env!("CARGO_TARGET_TMPDIR")).join("kernels");
    let mut command = command(cwd, &words(line));
    command
        .env("LD_LIBRARY_PATH", library.parent().unwrap())
        .env_remove("CUDA_VISIBLE_DEVICES")
        .env("SOFTGPU_PRINT", "1")
        .env("PIX2PIX_CACHE", cache);
    // A name without a folder is one that the system finds.
    if nvrtc.parent() != Some(Path::new("")) {
        command.env("PIX2PIX_NVRTC", nvrtc);
    }
    command
}

/// Runs a command to its end.
pub fn ended(mut command: Command) -> Ended {
    let done = command.output().unwrap();
    Ended {
        code: done.status.code(),
        out: String::from_utf8(done.stdout).unwrap(),
        err: String::from_utf8(done.stderr).unwrap(),
    }
}

/// Runs the program on softgpu; it must succeed, and no check may find anything.
pub fn ok(cwd: &Path, line: &str) -> Ended {
    let ended = ended(on_gpu(cwd, line));
    assert_eq!(ended.code, Some(0), "{line}: {ended:#?}");
    assert_eq!(ended.err, "", "{line}");
    ended
}

/// Makes a folder with our kernels, in which the text of `file` is changed by `change`.
pub fn kernels(into: &Path, file: &str, change: impl Fn(&str) -> String) -> PathBuf {
    let folder = into.join("kernels");
    std::fs::create_dir_all(&folder).unwrap();
    let ours = Path::new(env!("CARGO_MANIFEST_DIR")).join("kernels");
    for entry in std::fs::read_dir(ours).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_string();
        let text = std::fs::read_to_string(&path).unwrap();
        let changed = if name == file { change(&text) } else { text.clone() };
        assert!(name != file || changed != text, "nothing was changed in {file}");
        std::fs::write(folder.join(name), changed).unwrap();
    }
    folder
}
