//! `train --plan FILE`: the settings of a file, as flags that were not typed.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::path::Path;

use clap::CommandFactory;

use super::args::Cli;
use crate::error::{Error, Result};

/// Settings that do not count where another flag is typed.
const INSTEAD: [(&str, &str); 2] = [("epochs", "--steps"), ("depth", "--size")];
/// The most bytes of a plan.
const MOST: u64 = 1 << 20;

/// The command line with the settings of the plan that it names, as far as it does not give them itself.
///
/// # Errors
/// A plan that cannot be read, with the line; a setting that is no flag of `train`.
pub fn with_plan(mut typed: Vec<OsString>) -> Result<Vec<OsString>> {
    if typed.get(1).is_none_or(|command| command != "train") {
        return Ok(typed);
    }
    let Some(path) = value_of(&typed, "--plan") else { return Ok(typed) };
    let path = Path::new(&path).to_path_buf();
    let size = fs::metadata(&path).map_err(|e| Error::file("read", &path, e))?.len();
    if size > MOST {
        return Err(wrong(&path, "it is larger than a plan can be"));
    }
    let text = fs::read_to_string(&path).map_err(|e| Error::file("read", &path, e))?;
    let settings: toml::Table = text.parse().map_err(|e: toml::de::Error| {
        let line = e.span().map_or(1, |span| text[..span.start].lines().count().max(1));
        wrong(&path, &format!("line {line}: {}", e.message()))
    })?;
    let cli = Cli::command();
    let train = cli.find_subcommand("train").expect("it is declared");
    for (key, value) in settings {
        let flag = train.get_arguments().find(|arg| arg.get_long() == Some(key.as_str()));
        let Some(flag) = flag.filter(|_| !["plan", "resume", "help"].contains(&key.as_str()))
        else {
            return Err(wrong(&path, &format!("`{key}` is no setting of a training")));
        };
        let name = format!("--{key}");
        let instead =
            INSTEAD.iter().filter(|(of, _)| *of == key).any(|(_, flag)| is_typed(&typed, flag));
        if instead || is_typed(&typed, &name) {
            continue;
        }
        match value {
            toml::Value::Boolean(on) if !flag.get_action().takes_values() => {
                if on {
                    typed.push(name.into());
                }
            }
            toml::Value::String(value) if flag.get_action().takes_values() => {
                typed.push(format!("{name}={value}").into());
            }
            toml::Value::Integer(value) if flag.get_action().takes_values() => {
                typed.push(format!("{name}={value}").into());
            }
            toml::Value::Float(value) if flag.get_action().takes_values() => {
                typed.push(format!("{name}={value}").into());
            }
            other => {
                let wants = match flag.get_action().takes_values() {
                    true => "a number or a text",
                    false => "true or false",
                };
                return Err(wrong(&path, &format!("`{key}` is {other}, and takes {wants}")));
            }
        }
    }
    Ok(typed)
}

fn wrong(path: &Path, what: &str) -> Error {
    Error::input(format!("the plan {}: {what}", path.display()))
}

fn is_typed(typed: &[OsString], name: &str) -> bool {
    let with_value = format!("{name}=");
    typed.iter().any(|word| {
        word == OsStr::new(name) || word.to_str().is_some_and(|word| word.starts_with(&with_value))
    })
}

/// The value that a flag was given, if it was.
fn value_of(typed: &[OsString], name: &str) -> Option<OsString> {
    let with_value = format!("{name}=");
    let mut words = typed.iter();
    while let Some(word) = words.next() {
        if word == OsStr::new(name) {
            return words.next().cloned();
        }
        if let Some(value) = word.to_str().and_then(|word| word.strip_prefix(&with_value)) {
            return Some(value.into());
        }
    }
    None
}
