//! Flags that people type by habit: those of the PyTorch port, `train.py` and `test.py` of
//! junyanz/pytorch-CycleGAN-and-pix2pix (`options/` there), in all its versions.
//!
//! A flag that means the same here is replaced by ours before the arguments are parsed, and what
//! it became is said; a flag that changes no result is dropped with a word; for any other the
//! error names our flag, or says why there is none. Flags of our own are never touched.

mod settled;
mod table;

use std::ffi::OsString;

use clap::CommandFactory;

use super::args::Cli;
use crate::error::{Error, Result};
use table::{Becomes, PortFlag, find};

/// A command line in our flags.
#[derive(Debug, PartialEq, Eq)]
pub struct Arguments {
    /// The arguments, the program's name among them.
    pub args: Vec<OsString>,
    /// What is to be said of the flags of the port, a sentence each.
    pub notes: Vec<String>,
}

/// A flag of the port, as it was typed.
#[derive(Debug)]
struct Given {
    flag: &'static PortFlag,
    /// With its dashes.
    typed: String,
    /// Empty for a switch.
    value: String,
}

/// The flags of the port on a command line. Of a flag given twice the last counts, as in the port.
#[derive(Debug, Default)]
struct PortFlags(Vec<Given>);

impl PortFlags {
    fn get(&self, name: &str) -> Option<&Given> {
        self.0.iter().rev().find(|given| given.flag.name == name)
    }

    fn value(&self, name: &str) -> Option<&str> {
        self.get(name).map(|given| given.value.as_str())
    }

    /// The flags with these names as they were typed.
    fn shown(&self, names: &[&str]) -> String {
        let given = names.iter().filter_map(|name| self.get(name));
        given.map(Given::shown).collect::<Vec<_>>().join(" ")
    }

    /// The whole number that a flag has as its value.
    fn number(&self, name: &str) -> Result<Option<u64>> {
        let Some(given) = self.get(name) else { return Ok(None) };
        let number = given.value.parse();
        number.map(Some).map_err(|_| given.refused("give a whole number, 0 or above"))
    }
}

impl Given {
    fn shown(&self) -> String {
        match self.flag.takes_value {
            true => format!("{} {}", self.typed, settled::word(&self.value)),
            false => self.typed.clone(),
        }
    }

    fn refused(&self, instead: &str) -> Error {
        Error::input(format!("{} is a flag of the PyTorch port: {instead}", self.shown()))
    }
}

/// Replaces the flags of the port by ours.
///
/// # Errors
/// [`Error::Input`] with what to give instead.
pub fn ours(typed: Vec<OsString>) -> Result<Arguments> {
    let same = |args| Ok(Arguments { args, notes: Vec::new() });
    let Some(command) = typed.get(1).and_then(|word| word.to_str()).map(str::to_string) else {
        return same(typed);
    };
    let whole = Cli::command();
    if let Some(flag) = port_flag(&command) {
        return Err(Error::input(format!(
            "--{} is a flag of the PyTorch port: first comes what to do, `train` or `translate`",
            flag.0.name
        )));
    }
    let own = |name: &str| {
        let flags = whole.find_subcommand(&command).into_iter().flat_map(|c| c.get_arguments());
        flags.filter_map(|flag| flag.get_long()).any(|long| long == name)
    };
    if command != "train" && command != "translate" && command != "test" {
        return same(typed);
    }
    let (flags, rest) = split(&typed, own)?;
    if command == "test" || (command == "translate" && !flags.0.is_empty()) {
        return Err(Error::input(settled::translation(&flags)?));
    }
    if flags.0.is_empty() {
        return same(typed);
    }
    let mut out = Rewritten::default();
    for (i, given) in flags.0.iter().enumerate() {
        let later = flags.0[i + 1..].iter().any(|g| g.flag.name == given.flag.name);
        if !later {
            out.become_ours(given, &given.flag.becomes)?;
        }
    }
    for settle in settled::GROUPS {
        settle(&flags, &mut out)?;
    }
    if !out.already.is_empty() {
        out.notes.push(format!("{}: so it is here", out.already.join(", ")));
    }
    let typed = |flag: &str| {
        rest.iter()
            .filter_map(|word| word.to_str())
            .any(|word| word.split('=').next() == Some(flag))
    };
    let twice = out.args.iter().map(String::as_str).chain(
        // Their meaning depends on the size.
        ["load_size", "preprocess"].iter().filter(|f| flags.get(f).is_some()).map(|_| "--size"),
    );
    if let Some(flag) = twice.into_iter().find(|word| word.starts_with("--") && typed(word)) {
        return Err(Error::input(format!(
            "{flag} is also what flags of the PyTorch port in this line set: give either them or ours"
        )));
    }
    let mut args = rest;
    // Behind the program's name and the command.
    args.splice(2..2, out.args.into_iter().map(OsString::from));
    Ok(Arguments { args, notes: out.notes })
}

/// What the flags of the port became.
#[derive(Debug, Default)]
struct Rewritten {
    args: Vec<String>,
    notes: Vec<String>,
    /// Flags that ask for what happens anyway.
    already: Vec<String>,
}

impl Rewritten {
    /// `typed` becomes `words`, which is said unless it was typed so.
    fn push(&mut self, typed: &str, words: Vec<String>) {
        let shown = words.iter().map(|w| settled::word(w)).collect::<Vec<_>>().join(" ");
        if shown != typed {
            self.notes.push(format!("{typed} is {shown}"));
        }
        self.args.extend(words);
    }

    fn become_ours(&mut self, given: &Given, becomes: &Becomes) -> Result<()> {
        match becomes {
            Becomes::Ours(flag) => {
                let value = given.flag.takes_value.then(|| given.value.clone());
                let words = [flag.to_string()].into_iter().chain(value).collect();
                self.push(&given.shown(), words);
            }
            Becomes::Words(words) => {
                self.push(&given.shown(), words.split(' ').map(str::to_string).collect());
            }
            Becomes::OneOf(values, otherwise) => {
                let found = values.iter().find(|(value, _)| *value == given.value);
                let (_, becomes) = found.ok_or_else(|| given.refused(otherwise))?;
                self.become_ours(given, becomes)?;
            }
            Becomes::Already => self.already.push(given.shown()),
            Becomes::Nothing(why) => {
                self.notes.push(format!("{} has no effect: {why}", given.shown()));
            }
            Becomes::Refused(instead) => return Err(given.refused(instead)),
            Becomes::Together => {}
        }
        Ok(())
    }
}

/// The flag of the port in a word like `--name` or `--name=value`, and what follows the sign.
fn port_flag(word: &str) -> Option<(&'static PortFlag, &str, Option<&str>)> {
    let name = word.strip_prefix("--")?;
    let (name, value) = name.split_once('=').map_or((name, None), |(n, v)| (n, Some(v)));
    Some((find(name)?, name, value))
}

/// Whether a flag that is ours by its name stays: everywhere but where the value is the port's alone,
/// as in `--direction AtoB`.
fn stays(flag: &PortFlag, name: &str, value: Option<&str>) -> bool {
    let Becomes::OneOf(values, _) = flag.becomes else { return true };
    values.iter().filter(|(known, _)| Some(*known) == value).all(|(known, becomes)| {
        matches!(becomes, Becomes::Words(words) if *words == format!("--{name} {known}"))
    })
}

/// Takes the flags of the port out of a command line.
fn split(typed: &[OsString], own: impl Fn(&str) -> bool) -> Result<(PortFlags, Vec<OsString>)> {
    let (mut flags, mut rest) = (PortFlags::default(), Vec::new());
    let mut words = typed.iter().peekable();
    while let Some(word) = words.next() {
        if word == "--" {
            rest.push(word.clone());
            rest.extend(words.cloned());
            break;
        }
        let Some((flag, name, joined)) = word.to_str().and_then(port_flag) else {
            rest.push(word.clone());
            continue;
        };
        let next = words.peek().copied();
        if own(name) && stays(flag, name, joined.or_else(|| next?.to_str())) {
            rest.push(word.clone());
            continue;
        }
        let typed = format!("--{name}");
        let value = match (flag.takes_value, joined) {
            (false, None) => String::new(),
            (false, Some(_)) => {
                return Err(Error::input(format!("{typed} is a switch and takes no value")));
            }
            (true, Some(value)) => value.to_string(),
            (true, None) => {
                let value = next.filter(|next| !next.to_string_lossy().starts_with("--"));
                let Some(value) = value else {
                    return Err(Error::input(format!("{typed} needs a value behind it")));
                };
                let Some(value) = value.to_str().map(str::to_string) else {
                    return Err(Error::input(format!(
                        "{typed}: what follows is no UTF-8; give it without this flag of the \
                         PyTorch port"
                    )));
                };
                words.next();
                value
            }
        };
        flags.0.push(Given { flag, typed, value });
    }
    Ok((flags, rest))
}

#[cfg(test)]
mod tests;
