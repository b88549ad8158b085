//! `softgpu run -- PROGRAM ARGS` starts a CUDA program on softgpu; `softgpu devices` lists the
//! cards it can pose as.

use std::os::unix::fs::symlink;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

const USAGE: &str = "usage:
  softgpu run [--KEY VALUE]... -- PROGRAM [ARGUMENT]...
      runs a program on softgpu; findings go to stderr as they are found
      KEY is one of device, driver, eager, seed, checks, counters, order, cp-async, threads,
      budget, print, quiet
  softgpu devices
      lists the cards";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let done = match arguments.first().map(String::as_str) {
        Some("run") => run(&arguments[1..]),
        Some("devices") => {
            print!("{}", devices());
            Ok(())
        }
        Some("help" | "--help" | "-h") => {
            println!("{USAGE}");
            Ok(())
        }
        _ => Err(USAGE.to_owned()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("{why}");
            ExitCode::from(2)
        }
    }
}

/// Replaces this process by the program; returns only what went wrong.
fn run(arguments: &[String]) -> Result<(), String> {
    let split = arguments.iter().position(|argument| argument == "--").ok_or(USAGE)?;
    let (settings, program) = (&arguments[..split], &arguments[split + 1..]);
    let [name, rest @ ..] = program else { return Err(USAGE.to_owned()) };
    let library = cuda::find_library().map_err(|why| why.to_string())?;
    let library = library.canonicalize().unwrap_or(library);
    let folder = library.parent().map(PathBuf::from).unwrap_or_default();
    let mut command = Command::new(name);
    command.args(rest).env("SOFTGPU_PRINT", "1");
    for pair in settings.chunks(2) {
        let [key, value] = pair else { return Err(USAGE.to_owned()) };
        let key = key.strip_prefix("--").ok_or(USAGE)?.replace('-', "_");
        command.env(format!("SOFTGPU_{}", key.to_ascii_uppercase()), value);
    }
    // Programs look for it under two names: libcuda.so, which is the file's own, and libcuda.so.1,
    // which is a link. Preloaded, its functions come first for programs that were linked against the
    // driver.
    let mut folders = link(&library, &folder)?.into_os_string();
    folders.push(":");
    folders.push(folder);
    command.env("LD_LIBRARY_PATH", before("LD_LIBRARY_PATH", folders));
    command.env("LD_PRELOAD", before("LD_PRELOAD", library.into_os_string()));
    Err(format!("{name} cannot be started: {}", command.exec()))
}

/// A folder with a link `libcuda.so.1` to the library. It is one of its own, so that what cargo runs
/// in the library's folder does not come upon it.
fn link(library: &Path, folder: &Path) -> Result<PathBuf, String> {
    let place = folder.join("softgpu-run");
    let link = place.join("libcuda.so.1");
    let made = std::fs::create_dir_all(&place).and_then(|()| symlink(library, &link));
    match made {
        Err(why) if link.canonicalize().ok().as_deref() != Some(library) => {
            Err(format!("{} cannot be made: {why}", link.display()))
        }
        _ => Ok(place),
    }
}

/// `first`, then what the variable already holds.
fn before(variable: &str, first: std::ffi::OsString) -> std::ffi::OsString {
    let mut value = first;
    if let Some(rest) = std::env::var_os(variable).filter(|rest| !rest.is_empty()) {
        value.push(":");
        value.push(rest);
    }
    value
}

fn devices() -> String {
    let mut text = String::from(
        "name      capability  multiprocessors  memory GiB  shared KiB a block  card\n",
    );
    for card in &cuda::PRESETS {
        let (major, minor) = card.capability;
        text += &format!(
            "{:<8}  {:<10}  {:>15}  {:>10}  {:>18}  {}\n",
            card.key,
            format!("{major}.{minor}"),
            card.multiprocessors,
            card.memory >> 30,
            card.shared_optin >> 10,
            card.name
        );
    }
    text
}
