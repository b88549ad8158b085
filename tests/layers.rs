//! The layers of the crate, checked in the source text: what each module may import, which modules
//! may use which library, which files may contain `unsafe`. Faults are reported as file:line.

use std::path::{Path, PathBuf};

/// What a module may import from the crate: whole modules, or single paths in them. Every module
/// may import `error` and `random`.
const MAY_NAME: &[(&str, &[&str])] = &[
    // Shapes are arithmetic and need no device.
    ("tensor", &[]),
    // Messages about shapes print them.
    ("error", &["tensor::Shape", "printable"]),
    ("printable", &[]),
    ("regular", &[]),
    ("random", &[]),
    ("one_of", &[]),
    ("disk", &[]),
    ("atomic", &["disk"]),
    ("lock", &["disk"]),
    ("metric", &["tensor"]),
    ("limits", &["error::settings"]),
    // Devices hold memory and know no mathematics.
    ("device", &["tensor", "limits"]),
    // A kernel is a function of Views.
    ("kernel", &["tensor", "device"]),
    // The tape knows only the trait of backends; of devices, the alignment and the size of the ring
    // of losses.
    ("tape", &["tensor", "device::ALIGNMENT", "device::RING_WIDTH", "kernel"]),
    // Operations call `dyn Backend` only.
    ("op", &["tensor", "kernel", "tape"]),
    // Parameters are placed in the arena, which computes addresses and touches no memory.
    ("nn", &["tensor", "device::Arena", "kernel", "tape", "op"]),
    ("model", &["tensor", "kernel", "tape", "op", "nn"]),
    // Images are samples on the host; the training step uploads them.
    ("data", &["tensor", "atomic", "limits", "regular"]),
    // Files hold numbers by name: that of the parameter here, or in the PyTorch port.
    (
        "checkpoint",
        &["tensor", "atomic", "limits", "lock", "regular", "kernel::Backend", "nn", "model"],
    ),
    (
        "train",
        &[
            "tensor",
            "device",
            "kernel",
            "tape",
            "op",
            "nn",
            "model",
            "data",
            "checkpoint",
            "disk",
            "atomic",
            "limits",
            "lock",
            "metric",
        ],
    ),
    // Data sets are made of pictures.
    ("prepare", &["tensor", "data"]),
    (
        "translate",
        &[
            "tensor",
            "device",
            "kernel",
            "tape",
            "nn",
            "model",
            "data",
            "checkpoint",
            "limits",
            "train",
        ],
    ),
    // Pages are text with pictures inside.
    ("page", &["data::Image"]),
    // Outputs against targets.
    ("evaluate", &["tensor", "data", "metric", "page", "translate"]),
    // What is odd about a data set, and what a training would do with it.
    ("check", &["tensor", "data", "page", "train::RunConfig"]),
    // Compares both devices on every instruction of a training step.
    ("verify", &["tensor", "device", "kernel", "tape", "train"]),
    // The library can be used without a terminal: only `main` imports `cli`.
    (
        "cli",
        &[
            "tensor",
            "device",
            "kernel",
            "tape",
            "op",
            "nn",
            "model",
            "data",
            "checkpoint",
            "atomic",
            "printable",
            "limits",
            "metric",
            "train",
            "prepare",
            "translate",
            "evaluate",
            "check",
            "verify",
        ],
    ),
    ("main", &["cli"]),
    // Declares the modules and imports none.
    ("lib", &[]),
];

/// Names that every module may import.
const EVERYONES: &[&str] = &["error", "random", "one_of", "Error", "Result"];

/// The modules that may use a library.
const LIBRARIES: &[(&str, &[&str])] = &[
    ("pulp", &["device", "kernel"]),
    ("gemm", &["kernel"]),
    ("rayon", &["device", "kernel", "data", "check", "prepare"]),
    ("cudarc", &["device"]),
    // The library is used without a terminal.
    ("clap", &["cli"]),
    ("signal_hook", &["cli"]),
    ("rustix", &["limits", "regular"]),
    ("indicatif", &["cli"]),
    ("imageproc", &["prepare"]),
];

/// The files that may contain `unsafe`.
const UNSAFE: &[&str] = &[
    "kernel/product.rs",
    "device/cuda/args.rs",
    "device/cuda/graph.rs",
    "device/cuda/list.rs",
    "device/cuda/mod.rs",
    "device/cuda/nvrtc/library.rs",
    "device/cuda/staging.rs",
];

/// A source file without comments and strings, line by line.
struct Source {
    /// The path from `src/`, with slashes.
    name: String,
    /// The top-level module it belongs to.
    module: String,
    lines: Vec<String>,
}

fn sources() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let (mut open, mut files) = (vec![root.clone()], Vec::<PathBuf>::new());
    while let Some(folder) = open.pop() {
        for entry in std::fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else if path.extension().is_some_and(|e| e == "rs") {
                files.push(path);
            }
        }
    }
    files.sort();
    assert!(files.len() > 40, "the sources are in {}", root.display());
    files.iter().map(|path| source(&root, path)).collect()
}

fn source(root: &Path, path: &Path) -> Source {
    let relative = path.strip_prefix(root).unwrap();
    let parts: Vec<_> = relative.iter().map(|p| p.to_str().unwrap()).collect();
    let text = std::fs::read_to_string(path).unwrap();
    let lines = text.lines().map(code).collect();
    Source { name: parts.join("/"), module: parts[0].trim_end_matches(".rs").to_string(), lines }
}

/// A line up to its comment. A `//` inside a string cuts the line short, which loses nothing that
/// these tests look for.
fn code(line: &str) -> String {
    line.split("//").next().unwrap_or_default().to_string()
}

/// Positions of a whole word in a line.
fn words<'a>(line: &'a str, word: &'a str) -> impl Iterator<Item = usize> + 'a {
    let part = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
    line.match_indices(word).map(|(at, _)| at).filter(move |&at| {
        !part(line[..at].chars().next_back()) && !part(line[at + word.len()..].chars().next())
    })
}

/// The paths of the crate that a file uses, as "module" or "module::Item", with line numbers.
/// `use crate::a::{B, c::D}` gives `a::B` and `a::c`.
fn arrows(source: &Source) -> Vec<(usize, String)> {
    let root = if source.module == "main" { "pix2pix_engine" } else { "crate" };
    let mut found = Vec::new();
    for (number, line) in source.lines.iter().enumerate() {
        for at in words(line, root) {
            let Some(mut rest) = line[at + root.len()..].strip_prefix("::").map(String::from)
            else {
                continue;
            };
            // A list may span several lines.
            let open = |text: &str| text.matches('{').count() > text.matches('}').count();
            for more in &source.lines[number + 1..] {
                if !rest.starts_with('{') && !rest.contains("::{") || !open(&rest) {
                    break;
                }
                rest.push_str(more.trim());
            }
            found.extend(paths(&rest).into_iter().map(|path| (number + 1, path)));
        }
    }
    found
}

/// The first two names of every path in `a::B...`, `a::{B, C}` or `{a::B, c}`.
fn paths(text: &str) -> Vec<String> {
    let name = |text: &str| -> String {
        text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
    };
    if let Some(list) = text.strip_prefix('{') {
        return members(list).iter().flat_map(|member| paths(member)).collect();
    }
    let module = name(text);
    match text[module.len()..].strip_prefix("::") {
        None => vec![module],
        Some(rest) => match rest.strip_prefix('{') {
            Some(list) => members(list).iter().map(|m| format!("{module}::{}", name(m))).collect(),
            None => vec![format!("{module}::{}", name(rest))],
        },
    }
}

/// The members of a list whose opening brace has been removed, split at its top-level commas.
fn members(list: &str) -> Vec<String> {
    let (mut depth, mut all) = (0, vec![String::new()]);
    for c in list.chars() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                all.push(String::new());
                continue;
            }
            _ => {}
        }
        all.last_mut().unwrap().push(c);
    }
    all.into_iter().map(|m| m.trim().to_string()).filter(|m| !m.is_empty()).collect()
}

fn report(faults: Vec<String>) {
    assert!(faults.is_empty(), "{} faults:\n{}", faults.len(), faults.join("\n"));
}

#[test]
fn no_arrow_points_upward() {
    let mut faults = Vec::new();
    let mut seen = 0;
    for source in sources() {
        let Some((_, allowed)) = MAY_NAME.iter().find(|(module, _)| *module == source.module)
        else {
            faults.push(format!("src/{}:1: module `{}` has no row", source.name, source.module));
            continue;
        };
        for (line, path) in arrows(&source) {
            seen += 1;
            let (module, _) = path.split_once("::").unwrap_or((&path, ""));
            let own = module == source.module;
            let listed = |a: &str| a == module || a == path;
            if !own && !EVERYONES.contains(&module) && !allowed.iter().any(|a| listed(a)) {
                faults.push(format!(
                    "src/{}:{line}: `{}` may not name `{path}`",
                    source.name, source.module
                ));
            }
        }
    }
    assert!(seen > 100, "{seen} arrows were read");
    report(faults);
}

/// `super` in a top-level module is the crate, which would bypass the table.
#[test]
fn no_module_reaches_the_crate_by_super() {
    let mut faults = Vec::new();
    for source in sources() {
        // Levels of `super` that reach the crate: 1 in src/a.rs and src/a/mod.rs, 2 in src/a/b.rs.
        let folders = source.name.matches('/').count();
        let out = folders + usize::from(!source.name.ends_with("mod.rs"));
        let mut inner = 0;
        for (number, line) in source.lines.iter().enumerate() {
            // A module inside the file, such as its tests, is one level deeper.
            inner += usize::from(line.trim_start().starts_with("mod ") && line.ends_with('{'));
            let climbs = "super::".repeat(out + inner);
            if line.contains(&climbs) && !line.contains("super::*") {
                faults.push(format!("src/{}:{}: {}", source.name, number + 1, line.trim()));
            }
        }
    }
    report(faults);
}

#[test]
fn libraries_are_named_where_they_belong() {
    let mut faults = Vec::new();
    for source in sources() {
        for (library, users) in LIBRARIES {
            for (number, line) in source.lines.iter().enumerate() {
                let path = |at: usize| line[at + library.len()..].starts_with("::");
                if !users.contains(&source.module.as_str()) && words(line, library).any(path) {
                    faults.push(format!("src/{}:{}: names {library}", source.name, number + 1));
                }
            }
        }
    }
    report(faults);
}

#[test]
fn unsafe_stands_in_listed_files_only() {
    let (mut faults, mut found) = (Vec::new(), Vec::new());
    for source in sources() {
        for (number, line) in source.lines.iter().enumerate() {
            let marked =
                words(line, "unsafe").next().is_some() || line.contains("allow(unsafe_code");
            if marked && !UNSAFE.contains(&source.name.as_str()) {
                faults.push(format!("src/{}:{}: {}", source.name, number + 1, line.trim()));
            }
            if marked {
                found.push(source.name.clone());
            }
        }
    }
    report(faults);
    for file in UNSAFE {
        assert!(found.iter().any(|f| f == file), "{file} has no `unsafe` and needs no row");
    }
}

/// The reader of imports recognises every form of them.
#[test]
fn arrows_are_read_from_every_form() {
    for (text, expected) in [
        ("use crate::tensor::View;", vec!["tensor::View"]),
        ("use crate::kernel::{Adam, Backend};", vec!["kernel::Adam", "kernel::Backend"]),
        (
            "use crate::{Error, device::{Arena, Cpu}, op};",
            vec!["Error", "device::Arena", "device::Cpu", "op"],
        ),
        (
            "let v = crate::random::philox(1) + crate::op::NormVars;",
            vec!["random::philox", "op::NormVars"],
        ),
        ("pub(crate) fn crates() {}", vec![]),
        ("/// See [`crate::tape::Tape`].", vec![]),
    ] {
        let lines = vec![code(text)];
        let source = Source { name: "x.rs".into(), module: "x".into(), lines };
        let found: Vec<String> = arrows(&source).into_iter().map(|(_, path)| path).collect();
        assert_eq!(found, expected, "{text}");
    }
}

/// Instructions and operations describe themselves (`Instruction::work`, `Op::describe`): no code
/// may depend on their names, which are for people.
#[test]
fn nobody_asks_a_name_what_an_operation_does() {
    let mut faults = Vec::new();
    for source in sources() {
        let spaces = |c: char| c.is_whitespace();
        for (number, line) in source.lines.iter().enumerate() {
            let line: String = line.replace(spaces, "");
            let asked = ["name().starts_with(", "name()==\"", "name()!=\"", "matchop.name()"];
            if asked.iter().any(|asked| line.contains(asked)) {
                faults.push(format!("src/{}:{}: {line}", source.name, number + 1));
            }
        }
    }
    report(faults);
}
