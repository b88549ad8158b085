//! What a run is told about: findings, counters of launches, notes; as JSON for [`crate::install()`]
//! to read.

use std::io::Write;

use serde::{Deserialize, Serialize};
use softgpu::{Counters, Finding, MemError};

use crate::hazard::Hazard;
use crate::launch::Launch;

/// One finding, with the same meaning whether a launch or the order of streams gave it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Found {
    /// The check, as a lower-case word: `out-of-bounds`, `shared-race`, `stream-hazard`, ...
    pub kind: String,
    /// One line with everything below in words.
    pub text: String,
    /// Kernel, empty for none.
    pub kernel: String,
    /// Block index.
    pub block: [u32; 3],
    /// Thread index in the block.
    pub thread: [u32; 3],
    /// Line of the PTX, 0 when unknown.
    pub ptx_line: u32,
    /// File of the CUDA source, empty when the PTX does not say (compile with `-lineinfo`).
    pub file: String,
    /// Its line, 0 when unknown.
    pub line: u32,
    /// How often.
    pub count: u64,
}

/// One launch that was counted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counted {
    /// Kernel.
    pub kernel: String,
    /// Ordinal of the device.
    pub device: usize,
    /// Blocks.
    pub grid: [u32; 3],
    /// Threads a block.
    pub block: [u32; 3],
    /// Counters by name.
    pub values: std::collections::BTreeMap<String, u64>,
}

/// Launches of which the counters are kept one by one; later ones are only summed up.
const LAUNCHES: usize = 4096;
/// Different findings that are kept.
const FINDINGS: usize = 4096;
/// Notes that are kept.
const NOTES: usize = 256;

/// The report so far.
pub struct Report {
    print: bool,
    quiet: bool,
    findings: Vec<Found>,
    launches: Vec<Counted>,
    skipped: u64,
    kernels: std::collections::BTreeMap<String, KernelTotal>,
    notes: Vec<String>,
}

/// Sums over all launches of a kernel.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct KernelTotal {
    /// Launches.
    pub launches: u64,
    /// Counters by name.
    pub values: std::collections::BTreeMap<String, u64>,
    /// Counters by `file:line` of the CUDA source; an empty key holds what has no line.
    pub lines: std::collections::BTreeMap<String, std::collections::BTreeMap<String, u64>>,
}

impl Report {
    /// An empty one; `print` sends findings to stderr as they come, `quiet` keeps complaints from
    /// it.
    pub fn new(print: bool, quiet: bool) -> Self {
        Report {
            print,
            quiet,
            findings: Vec::new(),
            launches: Vec::new(),
            skipped: 0,
            kernels: Default::default(),
            notes: Vec::new(),
        }
    }

    /// Forgets everything.
    pub fn reset(&mut self) {
        *self = Report::new(self.print, self.quiet);
    }

    /// Different findings so far.
    pub fn count(&self) -> usize {
        self.findings.len()
    }

    /// A finding of a launch.
    pub fn finding(&mut self, finding: Finding) {
        let text = finding.to_string();
        let place = finding.place;
        let (file, line) = place.source.map_or((String::new(), 0), |s| (s.file, s.line));
        self.add(Found {
            kind: finding.kind.name().to_owned(),
            text,
            kernel: place.kernel,
            block: place.block,
            thread: place.thread,
            ptx_line: place.ptx_line,
            file,
            line,
            count: finding.count,
        });
    }

    /// Two operations of different streams that nothing orders.
    pub fn hazard(&mut self, hazard: &Hazard) {
        let Hazard { kind, first, first_lane, second, second_lane, bytes } = hazard;
        let text = format!(
            "stream-hazard: {kind}: {first} (stream {first_lane:#x}) and {second} \
             (stream {second_lane:#x}) both touch bytes {:#x} to {:#x} and no event or wait orders them",
            bytes.start, bytes.end
        );
        self.add(Found { kernel: second.to_string(), ..plain("stream-hazard", text) });
    }

    /// A copy that met memory which is not there when it ran.
    pub fn memory_fault(&mut self, label: &str, why: &MemError) {
        let kind = match why {
            MemError::UseAfterFree { .. } => "use-after-free",
            _ => "out-of-bounds",
        };
        self.add(plain(kind, format!("{kind}: {label}: {why}")));
    }

    /// A copy to the host of bytes that nothing wrote.
    pub fn uninitialised_copy(&mut self, label: &str, address: u64, bytes: u64) {
        let text = format!(
            "uninitialized-memory: {label}: of {bytes} bytes at {address:#x} some were never written"
        );
        self.add(plain("uninitialized-memory", text));
    }

    fn add(&mut self, found: Found) {
        let same = |old: &&mut Found| {
            old.kind == found.kind
                && old.kernel == found.kernel
                && old.ptx_line == found.ptx_line
                && (found.ptx_line != 0 || old.text == found.text)
        };
        if let Some(old) = self.findings.iter_mut().find(same) {
            old.count += found.count;
            return;
        }
        if self.print {
            say(&found.text);
        }
        if self.findings.len() < FINDINGS {
            self.findings.push(found);
        }
    }

    /// The counters of a launch.
    pub fn launch(&mut self, launch: &Launch, counters: Option<Counters>) {
        let Some(counters) = counters else { return };
        let total = self.kernels.entry(launch.kernel.to_string()).or_default();
        total.launches += 1;
        sum(&mut total.values, &counters.values);
        for line in &counters.lines {
            let key =
                line.source.as_ref().map_or(String::new(), |s| format!("{}:{}", s.file, s.line));
            sum(total.lines.entry(key).or_default(), &line.values);
        }
        if self.launches.len() == LAUNCHES {
            self.skipped += 1;
            return;
        }
        let mut values = Default::default();
        sum(&mut values, &counters.values);
        self.launches.push(Counted {
            kernel: launch.kernel.to_string(),
            device: launch.device,
            grid: launch.config.grid,
            block: launch.config.block,
            values,
        });
    }

    /// What a kernel printed goes to stdout, as from a card.
    pub fn printf(&self, text: &str) {
        if !text.is_empty() {
            let mut out = std::io::stdout().lock();
            // A closed stdout is the program's affair; the launch goes on.
            let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
        }
    }

    /// Something worth knowing that is no finding.
    pub fn note(&mut self, text: String) {
        if self.notes.len() < NOTES {
            self.notes.push(text);
        }
    }

    /// A note that goes to stderr too: the reason of an error that has only a number.
    pub fn complain(&mut self, text: String) {
        if !self.quiet {
            say(&text);
        }
        self.note(text);
    }

    /// `[Found]`.
    pub fn findings_json(&self) -> String {
        to_json(&self.findings)
    }

    /// `{launches: [Counted], not_listed: n, kernels: {name: KernelTotal}}`.
    pub fn counters_json(&self) -> String {
        to_json(&serde_json::json!({
            "launches": self.launches,
            "not_listed": self.skipped,
            "kernels": self.kernels,
        }))
    }

    /// `[text]`.
    pub fn notes_json(&self) -> String {
        to_json(&self.notes)
    }
}

fn plain(kind: &str, text: String) -> Found {
    Found {
        kind: kind.to_owned(),
        text,
        kernel: String::new(),
        block: [0; 3],
        thread: [0; 3],
        ptx_line: 0,
        file: String::new(),
        line: 0,
        count: 1,
    }
}

fn sum(into: &mut std::collections::BTreeMap<String, u64>, values: &[(&'static str, u64)]) {
    for &(name, value) in values {
        match into.get_mut(name) {
            Some(total) => *total += value,
            None => {
                into.insert(name.to_owned(), value);
            }
        }
    }
}

fn to_json(value: &impl Serialize) -> String {
    serde_json::to_string(value).unwrap_or_else(|why| format!("\"{why}\""))
}

/// One line on stderr, under softgpu's name.
pub fn say(text: &str) {
    // With stderr closed there is no one to tell.
    let _ = writeln!(std::io::stderr().lock(), "softgpu: {text}");
}
