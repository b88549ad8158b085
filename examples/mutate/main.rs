//! Mutation tests of our kernels: makes one deliberate mistake at a time and checks that a test
//! notices it.
//!
//! ```text
//! cargo run --example mutate -- [--jobs N] [--short] [--list] [--report] [FILE.cu ...]
//! ```
//!
//! In the text of `kernels/`, every barrier and every wait for a copy is removed, every bound moved
//! by one, every sum turned into an assignment. For each mutant the parity tests of the families
//! that the file serves run on the changed text, executed by softgpu with all its checks, until one
//! fails. Results are appended to `target/mutants.tsv`, so that a run continues where the last one
//! was interrupted: mutants that were caught are not tried again, survivors only once the tests
//! have changed. `--short` runs only the short tests, and leaves what passes them to a run without
//! it. `--list` prints the mutants, `--report` the tables of `kernels/MUTANTS.md`.

mod changes;
mod judge;
mod report;

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use changes::{Mutant, mutants};
use judge::{Fate, Parity};

/// Results so far, by the hash of the mutant's text.
pub struct Known {
    file: PathBuf,
    fates: HashMap<u64, (Fate, u64)>,
}

fn hash(what: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    what.hash(&mut hasher);
    hasher.finish()
}

/// The hash of a mutant without comments and indentation, so that these can change.
fn key(mutant: &Mutant) -> u64 {
    let lines = mutant.text.lines().map(|line| line.split("//").next().unwrap_or_default().trim());
    let code: Vec<&str> = lines.filter(|line| !line.is_empty()).collect();
    hash(&(&mutant.file, code))
}

impl Known {
    fn new(file: PathBuf) -> Self {
        let text = std::fs::read_to_string(&file).unwrap_or_default();
        let mut fates = HashMap::new();
        for line in text.lines() {
            let fields: Vec<&str> = line.split('\t').collect();
            let [key, tests, word, ..] = fields[..] else { continue };
            let fate = Fate::ALL.into_iter().find(|fate| fate.word() == word);
            let number = |text| u64::from_str_radix(text, 16);
            if let (Ok(key), Ok(tests), Some(fate)) = (number(key), number(tests), fate) {
                fates.insert(key, (fate, tests));
            }
        }
        Known { file, fates }
    }

    /// The last outcome for `mutant`, whichever tests gave it.
    pub fn fate(&self, mutant: &Mutant) -> Option<&Fate> {
        self.fates.get(&key(mutant)).map(|(fate, _)| fate)
    }

    /// Whether `mutant` need not be run with these tests.
    fn settled(&self, mutant: &Mutant, tests: u64) -> bool {
        self.fates.get(&key(mutant)).is_some_and(|(fate, of)| {
            matches!(fate, Fate::Assertion | Fate::Check | Fate::Invalid) || *of == tests
        })
    }

    fn add(&mut self, mutant: &Mutant, tests: u64, fate: Fate, line: &str) -> Result<(), String> {
        let said = |e: std::io::Error| format!("{}: {e}", self.file.display());
        let mut file =
            std::fs::OpenOptions::new().create(true).append(true).open(&self.file).map_err(said)?;
        let word = fate.word();
        writeln!(file, "{:016x}\t{tests:016x}\t{word}\t{line}", key(mutant)).map_err(said)?;
        self.fates.insert(key(mutant), (fate, tests));
        Ok(())
    }
}

/// Tries the mutants that are not settled, `jobs` at a time.
fn try_all(
    all: &[Mutant],
    sources: &[(String, String)],
    target: &Path,
    jobs: usize,
    short: bool,
    known: &Mutex<Known>,
) -> Result<(), String> {
    let parity = Parity::new(target)?;
    let tests = parity.stamp()?;
    let open: Vec<&Mutant> =
        all.iter().filter(|mutant| !known.lock().unwrap().settled(mutant, tests)).collect();
    println!("{} of {} mutants to try", open.len(), all.len());
    let next = AtomicUsize::new(0);
    let work = |job: usize| -> Result<(), String> {
        let folder =
            std::env::temp_dir().join(format!("pix2pix-mutants-{}-{job}", std::process::id()));
        let said = |e: std::io::Error| format!("{}: {e}", folder.display());
        std::fs::create_dir_all(&folder).map_err(said)?;
        for (name, text) in sources {
            std::fs::write(folder.join(name), text).map_err(said)?;
        }
        while let Some(mutant) = open.get(next.fetch_add(1, Ordering::Relaxed)) {
            let begun = Instant::now();
            let (fate, test) = parity.judge(&folder, mutant, short)?;
            let seconds = begun.elapsed().as_secs_f64();
            let (file, number, kind, what) = (&mutant.file, mutant.line, mutant.kind, &mutant.what);
            let line = format!("{seconds:.1}\t{file}:{number}\t{kind}\t{what}\t{test}");
            let open = short && fate == Fate::Survived;
            let word = if open { "open" } else { fate.word() };
            println!("{word:9} {seconds:5.1} s  {file}:{number}  {kind}: {what}");
            if open {
                continue;
            }
            known.lock().unwrap().add(mutant, tests, fate, &line)?;
        }
        std::fs::remove_dir_all(&folder).map_err(said)
    };
    std::thread::scope(|scope| {
        let work = &work;
        let threads: Vec<_> = (0..jobs).map(|job| scope.spawn(move || work(job))).collect();
        threads.into_iter().try_for_each(|thread| thread.join().expect("no thread panics"))
    })
}

fn run() -> Result<bool, String> {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
    let root = manifest.join("kernels");
    let said = |e: std::io::Error| format!("{}: {e}", root.display());
    let (mut jobs, mut short, mut list, mut report) = (2, false, false, false);
    let mut wanted = Vec::new();
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--short" => short = true,
            "--list" => list = true,
            "--report" => report = true,
            "--jobs" => {
                let number = args.next().and_then(|n| n.parse().ok()).filter(|n| *n > 0);
                jobs = number.ok_or("--jobs takes a number from 1 on")?;
            }
            _ => wanted.push(arg),
        }
    }
    let mut sources = Vec::new();
    for entry in std::fs::read_dir(&root).map_err(said)? {
        let name = entry.map_err(said)?.file_name().to_string_lossy().into_owned();
        if name.ends_with(".cu") || name.ends_with(".cuh") {
            let text = std::fs::read_to_string(root.join(&name)).map_err(said)?;
            sources.push((name, text));
        }
    }
    sources.sort();
    for name in &wanted {
        if !sources.iter().any(|(file, _)| file == name) {
            return Err(format!("there is no kernels/{name}"));
        }
    }
    let mut all: Vec<Mutant> = sources
        .iter()
        .filter(|(name, _)| wanted.is_empty() || wanted.contains(name))
        .flat_map(|(name, text)| mutants(name, text))
        .collect();
    // Barriers before bounds, files as they were named.
    let place = |name: &String| wanted.iter().position(|w| w == name);
    all.sort_by_key(|mutant| (mutant.kind, place(&mutant.file)));
    let target =
        std::env::var_os("CARGO_TARGET_DIR").map_or(manifest.join("target"), PathBuf::from);
    let known = Mutex::new(Known::new(target.join("mutants.tsv")));
    if list {
        for Mutant { file, line, kind, what, .. } in &all {
            println!("{file}:{line}  {kind}: {what}");
        }
        return Ok(true);
    }
    if !report {
        try_all(&all, &sources, &target, jobs, short, &known)?;
    }
    let known = known.into_inner().map_err(|e| e.to_string())?;
    print!("{}", report::tables(&all, &known));
    Ok(report::enough(&all, &known))
}

fn main() -> ExitCode {
    match run() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(why) => {
            eprintln!("{why}");
            ExitCode::from(2)
        }
    }
}
