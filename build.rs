//! Embeds `kernels/` into the program, and makes a constant of every kernel: its file, its name and
//! the types of its parameters, so that a misspelt name does not compile and a launch with other
//! arguments is refused.

use std::fmt::Write as _;
use std::path::Path;
use std::{env, fs};

fn main() {
    let folder = Path::new(&env::var("CARGO_MANIFEST_DIR").expect("cargo sets it")).join("kernels");
    println!("cargo::rerun-if-changed=kernels");
    let mut names: Vec<String> = fs::read_dir(&folder)
        .expect("the kernels are part of the sources")
        .map(|entry| entry.expect("a folder can be listed").file_name().into_string())
        .map(|name| name.expect("our own files have plain names"))
        .filter(|name| name.ends_with(".cu") || name.ends_with(".cuh"))
        .collect();
    names.sort();
    let mut out = String::from("/// Name and text of every file of `kernels/`.\n");
    out.push_str("const FILES: &[(&str, &str)] = &[\n");
    for name in &names {
        // By a variable, so that a target folder that is moved embeds the kernels beside it.
        let path = format!("concat!(env!(\"CARGO_MANIFEST_DIR\"), \"/kernels/{name}\")");
        let _ = writeln!(out, "    ({name:?}, include_str!({path})),");
    }
    out.push_str("];\n\n/// A constant for every kernel.\n");
    out.push_str("mod names {\n    use crate::device::Kernel;\n");
    for file in names.iter().filter(|name| name.ends_with(".cu")) {
        let text = fs::read_to_string(folder.join(file)).expect("it was listed");
        for (name, params) in kernels(file, &text) {
            let constant = name.to_uppercase();
            let _ = writeln!(out, "    /// `{name}` of `{file}`.");
            let _ = writeln!(
                out,
                "    pub const {constant}: Kernel = Kernel {{ file: {file:?}, name: {name:?}, params: &{params:?} }};"
            );
        }
    }
    out.push_str("}\n");
    let path = Path::new(&env::var("OUT_DIR").expect("cargo sets it")).join("kernels.rs");
    fs::write(path, out).expect("the output folder can be written");
}

/// Name and parameter types of each kernel of a file.
fn kernels(file: &str, text: &str) -> Vec<(String, Vec<String>)> {
    let mut found = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find("extern \"C\" __global__") {
        rest = &rest[at..];
        let end = rest.find('{').unwrap_or_else(|| panic!("{file}: a kernel without a body"));
        let head = rest[..end].trim_end();
        // `__launch_bounds__(256)` has parentheses too: the parameters are the last pair.
        let open = head.rfind('(').unwrap_or_else(|| panic!("{file}: a kernel without parameters"));
        let name = head[..open].split_whitespace().next_back().unwrap_or_default().to_string();
        let list = head[open + 1..].trim_end_matches(')');
        let params = list.split(',').map(str::trim).filter(|p| !p.is_empty()).map(|param| {
            let words: Vec<&str> = param.split_whitespace().collect();
            let (_, of) = words.split_last().expect("it is not empty");
            let of = of.iter().filter(|word| !matches!(**word, "const" | "__restrict__"));
            of.copied().collect::<Vec<_>>().join(" ")
        });
        found.push((name, params.collect()));
        rest = &rest[end..];
    }
    found
}
