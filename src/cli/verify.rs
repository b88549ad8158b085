//! `verify`: compares a GPU with the CPU, and measures its speed.

use std::io::Write;
use std::process::ExitCode;

use super::args::VerifyArgs;
use super::{say, say_lines};
use crate::atomic;
use crate::error::{Error, Result};
use crate::train::RunConfig;
use crate::verify::bench::{Effort, a_card, bench};
use crate::verify::verify;

pub fn run(args: &VerifyArgs) -> Result<ExitCode> {
    let mut config = RunConfig::default();
    args.network.apply(&mut config)?;
    config.check()?;
    let choice = args.device.only_gpu()?;
    if args.bench {
        a_card(&choice)?;
    }
    say(format!(
        "compares  one training step at {0}, {1} channels, precision {2}, with the CPU",
        config.size,
        config.generator.base_channels,
        choice.precision.name()
    ));
    let report = verify(&config, &choice, &mut |check| {
        if args.verbose || !check.passed() {
            let verdict = if check.passed() { "ok" } else { "FAILED" };
            say(format!("{verdict:9} {} {:.1e}: {}", check.what, check.error, check.detail));
        }
    })?;
    say(format!("device    {}", report.device));
    say_lines(report.summary().trim_end());
    let mut text = format!("pix2pix-engine {}\n{report}\n", env!("CARGO_PKG_VERSION"));
    if args.bench {
        // Also after a failed comparison: the report marks the wrong kernel.
        let timings = bench(&config, &choice, &Effort::default())?;
        say_lines(timings.summary().trim_end());
        text += &format!("\n{timings}");
    }
    atomic::replace(&args.report, |sink| {
        sink.write_all(text.as_bytes()).map_err(|e| Error::file("write", &args.report, e))
    })?;
    say(format!("report    {}", args.report.display()));
    if report.passed() {
        say("verified  every comparison is within its bound");
        return Ok(ExitCode::SUCCESS);
    }
    Err(Error::machine(format!(
        "some comparisons failed: this GPU, its driver or this program computes wrongly; please \
         report it with {}",
        args.report.display()
    )))
}
