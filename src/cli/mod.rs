//! The program `pix2pix-engine`, whose exit codes `EXIT_CODES` lists.

mod ablate;
mod args;
mod check;
mod data;
mod describe;
mod device;
mod evaluate;
mod forecast;
mod hint;
mod jobs;
mod plan_file;
mod port_flags;
mod prepare;
mod progress;
mod resume;
mod score;
mod settings;
mod sides;
mod stop;
mod train;
mod translate;
mod values;
mod verify;
mod words;
mod written;

use std::ffi::{OsStr, OsString};
use std::fmt::Display;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Parser;

use crate::checkpoint;
use crate::data::is_guarded;
use crate::error::{
    Error,
    settings::{MARKS, lines},
};
use crate::limits::bytes;
use crate::printable::printable;
use args::{Cli, Command};

/// The end of every help text.
const EXIT_CODES: &str = "\
Exit codes:
  0    done
  1    wrong input: a flag, a picture, a data folder, a model
  2    a machine or a file failed; standard output could not be written
  3    done but for some pictures, which are listed (translate, evaluate, prepare); faults were
       found (check)
  129, 130, 143
       ended by SIGHUP, SIGINT (Ctrl-C) or SIGTERM; a run in progress is saved
       first, and a second signal ends it at once
  141  the reader of standard output went away before the end";

/// Runs the program on the process's arguments.
pub fn main() -> ExitCode {
    std::panic::set_hook(Box::new(|what| {
        if is_guarded() {
            return;
        }
        complain(format!("this is a defect of the program, please report it: {what}"));
    }));
    let typed = match port_flags::ours(std::env::args_os().collect()) {
        Ok(typed) => typed,
        Err(error) => {
            complain(with_flags(&error));
            return ExitCode::from(error.exit_code());
        }
    };
    let words = match plan_file::with_plan(typed.args) {
        Ok(words) => words,
        Err(error) => {
            complain(with_flags(&error));
            return ExitCode::from(error.exit_code());
        }
    };
    let args = match Cli::try_parse_from(words) {
        Ok(args) => args,
        Err(error) => {
            let printed = error.print().and_then(|()| std::io::stdout().flush());
            if let (Err(e), false) = (printed, error.use_stderr()) {
                stop::lose(e);
            }
            // They explain what the message says of flags that were not typed.
            for note in &typed.notes {
                let _ = writeln!(std::io::stderr(), "note: {note}");
            }
            return ExitCode::from(u8::from(error.use_stderr()));
        }
    };
    typed.notes.iter().for_each(|note| say(format!("flags     {note}")));
    let run = || match stop::watch().map(|()| args.command)? {
        Command::Train(args) => train::run(*args),
        Command::Check(args) => check::run(&args),
        Command::Translate(args) => translate::run(args),
        Command::Evaluate(args) => evaluate::run(&args),
        Command::Ablate(args) => ablate::run(&args),
        Command::Score { what } => score::run(what),
        Command::Prepare { what } => prepare::run(&what),
        Command::Convert { from, to } => {
            let weights = checkpoint::convert(&from, &to)?;
            let ours = to.extension().is_some_and(|e| e.eq_ignore_ascii_case("safetensors"));
            let remembers = weights.metadata.contains_key("config");
            let generator = weights.generator.map(|_| "generator".to_string());
            let discriminators = match weights.discriminators.len() {
                0 => None,
                1 => Some("discriminator".to_string()),
                n => Some(format!("{n} discriminators")),
            };
            let names = match (generator, discriminators) {
                (Some(g), Some(d)) if ours => format!("{g} and {d}"),
                (Some(g), Some(_)) => format!("{g}; a .pth holds one network"),
                (g, d) => g.or(d).unwrap_or_default(),
            };
            say(format!("{}: {names}", to.display()));
            if !ours && remembers {
                say(
                    "a .pth holds weights alone: the scale of the training, the meaning of the pictures and \
                     the better statistics of batch norm stay in the file that was read",
                );
            }
            Ok(ExitCode::SUCCESS)
        }
        Command::Describe(args) => describe::run(&args),
        Command::Devices => device::run(),
        Command::Verify(args) => verify::run(&args),
    };
    // The panic hook has printed the message; the exit code is that of a failed machine.
    let done = std::panic::catch_unwind(std::panic::AssertUnwindSafe(run));
    match done.unwrap_or(Ok(ExitCode::from(2))) {
        Ok(code) => code,
        Err(error) => {
            complain(with_flags(&error));
            ExitCode::from(error.exit_code())
        }
    }
}

/// Whether the program takes a command line, its own name first; the message if not. Nothing is run.
///
/// # Errors
/// What the program would print.
pub fn check(typed: Vec<OsString>) -> Result<(), String> {
    let typed = port_flags::ours(typed).map_err(|error| with_flags(&error))?;
    Cli::try_parse_from(typed.args).map(drop).map_err(|error| error.to_string())
}

/// Prints a line for the user, with control characters out of file names as escapes; what happens if
/// it cannot be written, [`stop`] says.
fn say(line: impl Display) {
    if let Err(error) = writeln!(std::io::stdout(), "{}", printable(&line.to_string())) {
        stop::lose(error);
    }
}

/// Prints a text of several lines.
fn say_lines(text: impl Display) {
    text.to_string().lines().for_each(say);
}

/// Prints an error message, whose control characters are escapes.
fn complain(message: impl Display) {
    let _ = writeln!(std::io::stderr(), "error: {}", lines(&message.to_string()));
}

/// The message of an error of the library, with flags where it names settings: "--batch-size".
fn with_flags(error: &Error) -> String {
    shown(&error.marked())
}

/// A message with its settings as flags: `batch_size` is --batch-size.
fn shown(message: &str) -> String {
    let [begin, end] = MARKS;
    let mut text = String::new();
    for (i, part) in message.split(begin).enumerate() {
        match part.split_once(end) {
            Some((name, rest)) if i > 0 => {
                let flag = if name == "lambda" { "lambda_l1" } else { name };
                text += &format!("--{}{rest}", flag.replace('_', "-"));
            }
            _ => text += part,
        }
    }
    text
}

/// A path as it can be typed into a shell, also where it is no text or looks like a flag.
fn quoted(path: &Path) -> String {
    match path.as_os_str().as_encoded_bytes() {
        [b'-', ..] => word(Path::new(".").join(path).as_os_str()),
        _ => word(path.as_os_str()),
    }
}

/// A word as it can be typed into a shell.
fn word(word: &OsStr) -> String {
    let bytes = word.as_encoded_bytes();
    let plain =
        |c: char| c.is_alphanumeric() || "/._-+,:@%=".contains(c) || cfg!(windows) && c == '\\';
    match std::str::from_utf8(bytes) {
        Ok(text) if !text.is_empty() && text.chars().all(plain) => text.to_string(),
        Ok(text) if !text.contains(char::is_control) => {
            format!("'{}'", text.replace('\'', "'\\''"))
        }
        _ => {
            let spelt = |&byte: &u8| match byte {
                b if b.is_ascii_alphanumeric() || b"/._-".contains(&b) => char::from(b).to_string(),
                b => format!("\\{b:03o}"),
            };
            let text: String = bytes.iter().map(spelt).collect();
            format!("\"$(printf '{text}')\"")
        }
    }
}

/// How this program was called, for commands that can be typed as printed: the name if the shell
/// finds it, else a path. A program started by `cargo run` has a path too, which is shorter to
/// type and works from outside the source folder.
fn program() -> String {
    let typed = PathBuf::from(std::env::args_os().next().unwrap_or_default());
    let running = std::env::current_exe().and_then(|path| path.canonicalize()).ok();
    let search = std::env::var_os("PATH").unwrap_or_default();
    program_of(&typed, running.as_deref(), &search)
}

/// [`program`] for what was `typed`, the file that is `running`, and the folders to `search`.
/// `typed` is whatever the caller passed, and is believed if it leads to the running file.
fn program_of(typed: &Path, running: Option<&Path>, search: &OsStr) -> String {
    let leads = |path: &Path| running.is_some() && path.canonicalize().ok().as_deref() == running;
    let found = match typed.components().nth(1) {
        Some(_) => leads(typed),
        // As a shell does: the first folder that has the name decides.
        None => std::env::split_paths(search)
            .map(|folder| folder.join(typed))
            .find(|path| path.is_file())
            .is_some_and(|path| leads(&path)),
    };
    match running {
        _ if found => quoted(typed),
        Some(running) => quoted(running),
        None => env!("CARGO_PKG_NAME").to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_printed_command_starts_the_program_that_runs() {
        let root = tempfile::tempdir().unwrap();
        let root = root.path().canonicalize().unwrap();
        let [bin, other] = ["bin", "my tools"].map(|name| root.join(name));
        for folder in [&bin, &other] {
            std::fs::create_dir(folder).unwrap();
            std::fs::write(folder.join("p2p"), folder.to_str().unwrap()).unwrap();
        }
        let (running, name) = (bin.join("p2p"), Path::new("p2p"));
        let shown = |typed: &Path, search: &[&PathBuf]| {
            program_of(typed, Some(&running), &std::env::join_paths(search).unwrap())
        };
        let path = running.display().to_string();
        // By its name, by a path, by a name that the shell would not find, or finds elsewhere.
        assert_eq!(shown(name, &[&bin]), "p2p");
        assert_eq!(shown(&running, &[]), path);
        assert_eq!(shown(&root.join("my tools/../bin/p2p"), &[]), {
            format!("'{}'", root.join("my tools/../bin/p2p").display())
        });
        assert_eq!(shown(name, &[&root]), path);
        assert_eq!(shown(name, &[&other, &bin]), path);
        // A caller may pass anything as the name.
        assert_eq!(shown(Path::new(""), &[&bin]), path);
        assert_eq!(shown(&other.join("p2p"), &[]), path);
        assert_eq!(program_of(name, None, OsStr::new("")), "pix2pix-engine");
        // In a folder with a space, the path is quoted.
        assert_eq!(
            program_of(name, Some(&other.join("p2p")), OsStr::new("")),
            format!("'{}'", other.join("p2p").display())
        );
    }

    #[test]
    #[cfg(unix)]
    fn a_quoted_path_is_one_word_for_a_shell_whatever_it_is() {
        use std::os::unix::ffi::{OsStrExt, OsStringExt};
        use std::process::Command;
        for bytes in [
            &b"data"[..],
            b"my data/new",
            b"it's $HOME `x` \"y\" \\z %s ~ * ;",
            b"--resume",
            b"-- it",
            "f\u{fc}r \u{5199}".as_bytes(),
            b"\xff\xfe latin",
            b"-esc\x1b[31m%d",
            b"two\nlines\tand",
        ] {
            let path = Path::new(OsStr::from_bytes(bytes));
            let line = format!("printf '%s' {}", quoted(path));
            let heard = Command::new("sh").args(["-c", &line]).output().unwrap().stdout;
            let heard = PathBuf::from(std::ffi::OsString::from_vec(heard));
            let spelt = if bytes[0] == b'-' { Path::new(".").join(path) } else { path.into() };
            assert_eq!(heard, spelt, "{line}");
            assert!(!line.contains(char::is_control), "{line:?}");
        }
        assert_eq!(quoted(Path::new("runs/a-b_1.2")), "runs/a-b_1.2");
        assert_eq!(quoted(Path::new("my data")), "'my data'");
    }

    #[test]
    fn settings_become_flags_and_other_text_stays() {
        use crate::error::settings::{BASE_CHANNELS, LAMBDA, SIZE};
        let error = |text: String| with_flags(&Error::input(text));
        assert_eq!(error(format!("{LAMBDA} -1: it is above")), "--lambda-l1 -1: it is above");
        assert_eq!(
            error(format!("use a smaller {BASE_CHANNELS} or {SIZE}")),
            "use a smaller --base-channels or --size"
        );
        // Paths and the texts of files, whatever they quote.
        for text in
            ["the data folder `batch_size`/x does not exist", "missing field `size`", "` ``"]
        {
            assert_eq!(error(text.to_string()), text);
        }
        let shown = Error::input(format!("use a smaller {SIZE}")).to_string();
        assert_eq!(shown, "use a smaller `size`");
    }
}
