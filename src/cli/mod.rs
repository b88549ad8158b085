//! The program `pix2pix-engine`. Exit codes: 0 done, 1 wrong input, 2 a machine or a file failed,
//! 130 stopped by Ctrl-C with everything saved.

mod args;
mod describe;
mod device;
mod progress;
mod resume;
mod settings;
mod train;
mod translate;
mod values;
mod verify;

use std::fmt::Display;
use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

use clap::{CommandFactory, Parser};

use crate::checkpoint;
use args::{Cli, Command};

/// Runs the program on the process's arguments.
pub fn main() -> ExitCode {
    std::panic::set_hook(Box::new(|what| {
        complain(format!("this is a defect of the program, please report it: {what}"));
    }));
    let args = match Cli::try_parse() {
        Ok(args) => args,
        Err(error) => {
            let _ = error.print();
            return ExitCode::from(u8::from(error.use_stderr()));
        }
    };
    let run = || match args.command {
        Command::Train(args) => train::run(*args),
        Command::Translate(args) => translate::run(args),
        Command::Convert { from, to } => {
            let weights = checkpoint::convert(&from, &to)?;
            let ours = to.extension().is_some_and(|e| e.eq_ignore_ascii_case("safetensors"));
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
            complain(with_flags(&error.to_string()));
            ExitCode::from(error.exit_code())
        }
    }
}

/// Prints a line for the user. A closed pipe is no error.
fn say(line: impl Display) {
    let _ = writeln!(std::io::stdout(), "{line}");
}

/// Prints an error message.
fn complain(line: impl Display) {
    let _ = writeln!(std::io::stderr(), "error: {line}");
}

/// A message of the library with flags, "--batch-size", in place of the settings that it names,
/// "`batch_size`".
fn with_flags(message: &str) -> String {
    let flags: Vec<String> = Cli::command()
        .get_subcommands()
        .flat_map(|command| command.get_arguments().filter_map(|arg| arg.get_long()))
        .map(String::from)
        .collect();
    let mut parts = message.split('`');
    let mut text = parts.next().unwrap_or_default().to_string();
    let parts: Vec<&str> = parts.collect();
    for quoted in parts.chunks(2) {
        let [name, behind] = quoted else {
            // An unmatched backtick is kept.
            text += &format!("`{}", quoted.concat());
            continue;
        };
        let flag = match *name {
            "lambda" => "lambda-l1".to_string(),
            name => name.replace('_', "-"),
        };
        if flags.contains(&flag) {
            text += &format!("--{flag}{behind}");
        } else {
            text += &format!("`{name}`{behind}");
        }
    }
    text
}

/// A path as it can be typed into a shell.
fn quoted(path: &Path) -> String {
    let text = path.display().to_string();
    let plain = |c: char| c.is_alphanumeric() || "/._-+,:@%=\\".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        return text;
    }
    format!("'{}'", text.replace('\'', "'\\''"))
}

/// Bytes in the unit that reads best.
fn bytes(count: u64) -> String {
    let n = count as f64;
    if n >= 1e9 { format!("{:.2} GB", n / 1e9) } else { format!("{:.0} MB", (n / 1e6).max(1.0)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_become_flags_and_other_quotes_stay() {
        for (message, shown) in [
            ("`lambda` -1: it is 0 or above", "--lambda-l1 -1: it is 0 or above"),
            ("use a smaller `base_channels` or `size`", "use a smaller --base-channels or --size"),
            ("3 more; `skip_bad` goes on", "3 more; --skip-bad goes on"),
            ("its key `config` is damaged", "its key `config` is damaged"),
            ("a name with one ` in it", "a name with one ` in it"),
            ("``, `nothing` and `", "``, `nothing` and `"),
        ] {
            assert_eq!(with_flags(message), shown);
        }
    }
}
