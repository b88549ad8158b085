//! `check`: says what is odd about a data set, and plans a training on it.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use super::args::DATA;
use super::data::DataArgs;
use super::translate::SOME_FAILED;
use super::{quoted, say, shown, values, words};
use crate::atomic;
use crate::check::{HEAD, Plan, Setting, check, page};
use crate::data::{Direction, ScanOptions};
use crate::error::{Error, Result};

/// `check`.
#[derive(Debug, clap::Args)]
#[command(after_help = super::EXIT_CODES)]
pub struct CheckArgs {
    #[command(flatten)]
    pub data: DataArgs,
    /// Which picture is the input [default: a2b]
    #[arg(long, help_heading = DATA, value_name = "WAY")]
    #[arg(value_parser = values::one_of::<Direction>())]
    pub direction: Option<Direction>,
    /// Where the plan is written
    #[arg(long, value_name = "FILE", default_value = "plan.toml")]
    pub plan: PathBuf,
    /// Also write the report as a page with pictures
    #[arg(long, value_name = "FILE")]
    pub html: Option<PathBuf>,
    /// Replace files that are there
    #[arg(long)]
    pub force: bool,
}

pub fn run(args: &CheckArgs) -> Result<ExitCode> {
    let pages = args.data.sides.pages.unwrap_or_default();
    // What cannot be used is a finding, not the end.
    let mut folder = args.data.scan(ScanOptions { skip_bad: true, pages })?;
    if let Some(masks) = &args.data.sides.mask {
        folder.add_masks(masks)?;
    }
    let direction = args.direction.unwrap_or(Direction::AToB);
    let sides = args.data.sides.find(&folder, direction)?;
    let report = check(&folder, &sides);
    let [train, val, test] = report.pairs;
    say(format!(
        "data      {}: {train} pairs to train on, {val} to validate on, {test} to test on",
        args.data.shown()
    ));
    let lines: Vec<String> =
        sides.iter().zip(["A", "B"]).flat_map(|(side, name)| words::side(side, name)).collect();
    lines.iter().for_each(|line| say(format!("          {line}")));
    for finding in &report.findings {
        say(format!("{:10}{}", if finding.fault { "fault" } else { "note" }, shown(&finding.text)));
    }
    if report.findings.is_empty() {
        say("          nothing is odd about it");
    }
    let mut plan = Plan::new(&folder, &sides, direction)?;
    plan.given(args.data.sides.typed());
    say_plan(&plan);
    if let Some(path) = &args.html {
        let text = page(&folder, &report, &plan, &args.data.shown(), &lines)?;
        put(args, path, &text, |old| old.starts_with(b"<!doctype html>"))?;
        say(format!("page      {}", path.display()));
    }
    let text = plan.toml(&args.data.shown());
    put(args, &args.plan, &text, |old| old == text.as_bytes())?;
    say(format!("          the plan is written to {}", args.plan.display()));
    let data = args.data.typed();
    say(format!("train     {} train {data} --plan {}", super::program(), quoted(&args.plan)));
    let faults = report.findings.iter().any(|finding| finding.fault);
    Ok(if faults { ExitCode::from(SOME_FAILED) } else { ExitCode::SUCCESS })
}

/// A line for each setting of a plan, with its reason.
pub fn say_plan(plan: &Plan) {
    plan.settings.iter().enumerate().for_each(|(i, setting)| say(plan_line(i == 0, setting)));
}

/// "plan      size 256: the paper's size"; the first of several lines says what they are.
pub fn plan_line(first: bool, setting: &Setting) -> String {
    let head = if first { "plan" } else { "" };
    format!("{head:10}{} {}: {}", setting.key, setting.value, shown(&setting.reason))
}

/// Writes a file, unless that would replace one that it `may` not.
///
/// # Errors
/// Another file in its place, without --force; a file that cannot be written.
fn put(args: &CheckArgs, path: &Path, text: &str, may: impl Fn(&[u8]) -> bool) -> Result<()> {
    let io = |e| Error::file("write", path, e);
    // Something that is no file is refused where it is written.
    if path.is_file() && !args.force {
        let old = fs::read(path).map_err(|e| Error::file("read", path, e))?;
        if !old.is_empty() && !may(&old) {
            let what = match old.starts_with(HEAD.as_bytes()) {
                true => "another plan",
                false => "something else",
            };
            return Err(Error::input(format!(
                "{} holds {what}: name another file, or replace it by --force",
                path.display()
            )));
        }
    }
    atomic::replace(path, |sink| sink.write_all(text.as_bytes()).map_err(io))
}
