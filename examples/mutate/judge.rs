//! Runs the parity tests on a mutant.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::changes::Mutant;

/// The outcome for a mutant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fate {
    /// A comparison of a test failed, or softgpu aborted a launch: an address outside, a hang.
    Assertion,
    /// All numbers were right, but softgpu reported a fault: a race, a read of an unwritten byte.
    Check,
    Survived,
    /// It does not compile, which says nothing about the tests.
    Invalid,
    /// A test did not end in time.
    Endless,
}

impl Fate {
    pub const ALL: [Fate; 5] =
        [Fate::Assertion, Fate::Check, Fate::Survived, Fate::Invalid, Fate::Endless];

    pub fn word(&self) -> &'static str {
        match self {
            Fate::Assertion => "assertion",
            Fate::Check => "check",
            Fate::Survived => "SURVIVED",
            Fate::Invalid => "invalid",
            Fate::Endless => "ENDLESS",
        }
    }
}

/// Time limit for one test, many times what it takes with correct kernels.
const PATIENCE: Duration = Duration::from_secs(600);
/// Most warp instructions per block, a hundred times what a correct kernel takes in these tests.
const BUDGET: &str = "30000000";

/// Tests in the order in which they are run, by parts of their names: the shortest first.
const FIRST: [&str; 8] = [
    "edges",
    "off_vectors",
    "one_number",
    "rate_itself",
    "every_order",
    "same_each_time",
    "runs_of_channels",
    "any_shape",
];

/// Prefixes of the names of tests that take long.
const LONG: [&str; 3] = ["conv::conv", "norm::norm_of_every_kind", "norm::norm_at_the_net"];

/// Prefixes of the names of the tests that launch the kernels of a file; tests that launch nothing
/// else come first.
fn families(file: &str) -> &'static [&'static str] {
    const NORM: &str = "norm::norm_at_its_edges";
    match file.split('.').next().unwrap_or_default() {
        "adam" => &["adam::"],
        "vector" => &["vector::"],
        "norm" => &["norm::"],
        "pointwise" => &["pointwise::"],
        "stack" => &["stack::"],
        "maps" => &["pointwise::", "stack::"],
        "rules" => &["pointwise::", NORM],
        "pool" => &["pool::"],
        "softmax" => &["softmax::"],
        "upsample" => &["upsample::"],
        "weigh" => &["weigh::"],
        "pad" => &["pad::"],
        "gather" => &["weigh::", "upsample::", "pad::", "pool::"],
        "dropout" => &["dropout::"],
        "philox" => &["dropout::", NORM],
        "loss" => &["loss::"],
        "cross_entropy" => &["cross_entropy::"],
        "image" => &["image::"],
        "common" => &["pointwise::", "loss::", NORM, "dropout::", "image::"],
        "filters" => &[
            "conv::edges::f32::wgrad",
            "conv::edges::bf16::wgrad",
            "conv::edges::tf32::wgrad",
            "conv::conv",
        ],
        "conv_thin" => &["conv::conv_thin_in_every_order", "conv::conv_thin", "conv::conv_of_any"],
        "conv_narrow" => &["conv::edges::f32::narrow", "conv::edges::bf16::narrow", "conv::conv"],
        "pixels" => &["conv::edges::f32", "conv::edges::bf16", "conv::edges::tf32", "conv::conv"],
        _ => &[
            "conv::edges::f32",
            "conv::edges::tf32::wgrad",
            "conv::edges::tf32::dgrad",
            "conv::edges::bf16",
            "conv::conv",
        ],
    }
}

/// The program of the parity tests, and the names of all tests.
pub struct Parity {
    program: PathBuf,
    names: Vec<String>,
}

impl Parity {
    /// Builds the tests in the folder `target`.
    pub fn new(target: &Path) -> Result<Self, String> {
        let built = Command::new(env!("CARGO"))
            .args(["test", "--test", "parity", "--no-run", "--message-format=json"])
            .stderr(Stdio::inherit())
            .output()
            .map_err(|e| format!("cargo does not start: {e}"))?;
        let text = String::from_utf8_lossy(&built.stdout);
        let program = text.lines().rev().find_map(|line| {
            let message: serde_json::Value = serde_json::from_str(line).ok()?;
            (message["target"]["name"] == "parity")
                .then(|| message["executable"].as_str())?
                .map(PathBuf::from)
        });
        let built = program.ok_or("the parity tests do not build")?;
        // A copy, with softgpu's library, so that both can be changed and rebuilt meanwhile.
        let own = target.join(format!("mutants-{}", std::process::id()));
        let program = own.join("parity");
        let library = built.with_file_name("libcuda.so");
        let copied = std::fs::create_dir_all(&own)
            .and_then(|()| std::fs::copy(library, own.join("libcuda.so")))
            .and_then(|_| std::fs::copy(&built, &program));
        copied.map_err(|e| format!("{}: {e}", own.display()))?;
        let list = Command::new(&program).arg("--list").output().map_err(|e| e.to_string())?;
        let list = String::from_utf8_lossy(&list.stdout);
        let names = list.lines().filter_map(|line| line.strip_suffix(": test"));
        let names = names.map(str::to_string).collect();
        Ok(Parity { program, names })
    }

    /// A hash that changes with the tests.
    pub fn stamp(&self) -> Result<u64, String> {
        let bytes = std::fs::read(&self.program).map_err(|e| e.to_string())?;
        Ok(crate::hash(&bytes))
    }

    /// The tests that launch the kernels of `file`, in the order in which they are run.
    fn tests(&self, file: &str) -> Vec<&str> {
        let family = |name: &&str| families(file).iter().position(|start| name.starts_with(start));
        let mut all: Vec<&str> = self.names.iter().map(String::as_str).collect();
        all.retain(|name| family(name).is_some());
        let place = |name: &&str| FIRST.iter().position(|first| name.contains(first));
        all.sort_by_key(|name| (family(name), place(name).unwrap_or(FIRST.len())));
        all
    }

    /// Runs one test after another on the mutated kernels in `folder` until one fails, and returns
    /// the outcome with the name of that test. `short` leaves out tests that take long.
    pub fn judge(
        &self,
        folder: &Path,
        mutant: &Mutant,
        short: bool,
    ) -> Result<(Fate, String), String> {
        let said = |e: std::io::Error| format!("{}: {e}", folder.display());
        let place = folder.join(&mutant.file);
        let ours = std::fs::read(&place).map_err(said)?;
        std::fs::write(&place, &mutant.text).map_err(said)?;
        let mut answer = (Fate::Survived, String::new());
        let tests = self.tests(&mutant.file);
        for test in
            tests.into_iter().filter(|test| !short || !LONG.iter().any(|l| test.starts_with(l)))
        {
            let fate = self.run(folder, test)?;
            if fate != Fate::Survived {
                answer = (fate, test.to_string());
                break;
            }
        }
        std::fs::write(&place, ours).map_err(said)?;
        let _ = std::fs::remove_dir_all(folder.join("cache"));
        Ok(answer)
    }

    fn run(&self, folder: &Path, test: &str) -> Result<Fate, String> {
        let said = |e: std::io::Error| format!("{}: {e}", folder.display());
        let log = folder.join("log.txt");
        let output = std::fs::File::create(&log).map_err(said)?;
        let errors = output.try_clone().map_err(said)?;
        let mut child = Command::new(&self.program)
            .args([test, "--exact", "--test-threads=1"])
            .env("PIX2PIX_KERNELS", folder)
            .env("PIX2PIX_CACHE", folder.join("cache"))
            .env("SOFTGPU_REQUIRE_NVRTC", "1")
            .env("SOFTGPU_BUDGET", BUDGET)
            .stdout(output)
            .stderr(errors)
            .spawn()
            .map_err(said)?;
        let begun = Instant::now();
        let passed = loop {
            if let Some(status) = child.try_wait().map_err(said)? {
                break status.success();
            }
            if begun.elapsed() > PATIENCE {
                let _ = child.kill();
                let _ = child.wait();
                return Ok(Fate::Endless);
            }
            std::thread::sleep(Duration::from_millis(20));
        };
        let text = std::fs::read_to_string(&log).map_err(said)?;
        let has = |words: &[&str]| words.iter().any(|word| text.contains(word));
        if passed {
            return if text.contains("1 passed") {
                Ok(Fate::Survived)
            } else {
                Err(format!("{test} does not run:\n{text}"))
            };
        }
        match () {
            () if has(&["does not compile", "the GPU could not load"]) => Ok(Fate::Invalid),
            () if has(&["Found {"]) => Ok(Fate::Check),
            () if has(&["panicked at"]) => Ok(Fate::Assertion),
            () => Err(format!("{test} ends without a word:\n{text}")),
        }
    }
}

impl Drop for Parity {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(self.program.parent().unwrap_or(&self.program));
    }
}
