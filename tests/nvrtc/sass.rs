//! The machine code of convolutions on tensor cores: their loops multiply on tensor cores (HMMA),
//! load whole fragments (LDSM), and contain no other multiplication (FFMA).

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;

use pix2pix_engine::device::{Precision, compile_options, find_nvrtc};
use pix2pix_engine::kernel::cuda;

/// Compute capabilities with tensor cores for tf32 and bf16 on which mma.sync becomes HMMA.
const GENERATIONS: [i32; 4] = [80, 86, 89, 90];
/// Where `tools/provide-cuda` puts the disassembler, below cargo's target folder.
const PROVIDED: &str = "nvrtc/nvidia/cu13/bin/nvdisasm";

/// The disassembler of the system, of a toolkit, or the one provided. Where there is none, prints
/// that `test` was not run, or fails if `SOFTGPU_REQUIRE_NVDISASM` is set.
fn nvdisasm(test: &str) -> Option<PathBuf> {
    let mut places: Vec<PathBuf> = vec!["nvdisasm".into(), "/usr/local/cuda/bin/nvdisasm".into()];
    if let Ok(program) = std::env::current_exe() {
        places.extend(program.ancestors().skip(1).map(|folder| folder.join(PROVIDED)));
    }
    let runs = |place: &PathBuf| {
        Command::new(place).arg("--version").output().is_ok_and(|done| done.status.success())
    };
    let found = places.into_iter().find(runs);
    if found.is_none() {
        let why = "nvdisasm is not installed and tools/provide-cuda has not provided it";
        assert!(std::env::var_os("SOFTGPU_REQUIRE_NVDISASM").is_none(), "{test}: {why}");
        let _ = writeln!(std::io::stderr().lock(), "not run: {test} ({why})");
    }
    found
}

/// Machine code of a kernel.
#[derive(Debug, Default)]
struct Code {
    /// Instructions, in order.
    lines: Vec<String>,
    /// Labels, and the index of the instruction after each.
    labels: BTreeMap<String, usize>,
}

/// An instruction without predicate and suffixes: "HMMA" for "@P0 HMMA.1688.F32.TF32 R4, ...".
fn opcode(line: &str) -> &str {
    let mut words = line.split_whitespace();
    let word = words.find(|word| !word.starts_with('@')).unwrap_or_default();
    word.split('.').next().unwrap_or_default()
}

/// The number of `lines` with the opcode `name`.
fn count(lines: &[String], name: &str) -> usize {
    lines.iter().filter(|line| opcode(line) == name).count()
}

/// The kernels of a disassembly, by name.
fn parse(text: &str) -> BTreeMap<String, Code> {
    let mut all: BTreeMap<String, Code> = BTreeMap::new();
    let mut kernel = String::new();
    for line in text.lines().map(str::trim) {
        if let Some(name) = line.strip_prefix(".text.").and_then(|rest| rest.strip_suffix(':')) {
            kernel = name.to_string();
            all.entry(kernel.clone()).or_default();
        }
        let Some(code) = all.get_mut(&kernel) else { continue };
        if let Some(label) = line.strip_suffix(':').filter(|label| label.starts_with(".L_")) {
            code.labels.insert(label.to_string(), code.lines.len());
        } else if line.starts_with("/*")
            && let Some((_, rest)) = line.split_once("*/")
            && let Some((instruction, _)) = rest.split_once(';')
        {
            code.lines.push(instruction.trim().to_string());
        }
    }
    all
}

impl Code {
    /// The code between a backward branch and its target, where it multiplies on tensor cores.
    fn loops(&self) -> Vec<&[String]> {
        let mut found = Vec::new();
        for (i, line) in self.lines.iter().enumerate().filter(|(_, line)| opcode(line) == "BRA") {
            let label = line.split_once("`(").and_then(|(_, rest)| rest.split_once(')'));
            let to = label.and_then(|(label, _)| self.labels.get(label));
            if let Some(&to) = to.filter(|&&to| to <= i) {
                let body = &self.lines[to..=i];
                if count(body, "HMMA") > 0 {
                    found.push(body);
                }
            }
        }
        found
    }
}

/// The machine code of a file of kernels.
fn disassembled(tool: &Path, file: &str, generation: i32, precision: Precision) -> String {
    let files = cuda::sources().unwrap();
    let options = compile_options(generation, precision);
    let compiled = find_nvrtc().unwrap().compile(file, &files, &options).unwrap();
    let mut binary = tempfile::NamedTempFile::new().unwrap();
    binary.write_all(&compiled.cubin).unwrap();
    let done = Command::new(tool).arg("-c").arg(binary.path()).output().unwrap();
    assert!(done.status.success(), "{file}: {}", String::from_utf8_lossy(&done.stderr));
    String::from_utf8(done.stdout).unwrap()
}

#[test]
fn products_run_on_tensor_cores_alone() {
    const TEST: &str = "products_run_on_tensor_cores_alone";
    if !::cuda::nvrtc::or_skip(TEST) {
        return;
    }
    let Some(tool) = nvdisasm(TEST) else { return };
    let mut work = Vec::new();
    for file in ["conv.cu", "conv_thin.cu", "conv_dgrad.cu"] {
        for generation in GENERATIONS {
            work.extend([Precision::Tf32, Precision::Bf16].map(|p| (file, generation, p)));
        }
    }
    let (work, kernels) = (Mutex::new(work), Mutex::new(0));
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                loop {
                    let next = work.lock().unwrap().pop();
                    let Some((file, generation, precision)) = next else { break };
                    let text = disassembled(&tool, file, generation, precision);
                    let found = parse(&text);
                    *kernels.lock().unwrap() += found.len();
                    for (kernel, code) in found {
                        let place = format!("{kernel}, sm_{generation}, {}", precision.name());
                        check(&place, &kernel, &code, precision);
                    }
                }
            });
        }
    });
    // Three passes with four kernels or more each, and two kernels for few channels, for every
    // generation and precision.
    assert!(kernels.into_inner().unwrap() >= (3 * 4 + 2) * GENERATIONS.len() * 2);
}

fn check(place: &str, kernel: &str, code: &Code, precision: Precision) {
    let loops = code.loops();
    assert!(!loops.is_empty(), "{place}: no loop multiplies on tensor cores");
    for body in loops {
        let [hmma, ldsm, lds] = ["HMMA", "LDSM", "LDS"].map(|name| count(body, name));
        // A filter gradient sums over pixels, and both operands are stored across these: fragments
        // of 4-byte elements would have to be transposed, which LDSM does only for 2-byte elements.
        let turned = precision == Precision::Tf32 && kernel.starts_with("conv_wgrad");
        let loaded = if turned { lds } else { ldsm };
        assert!(loaded > 0, "{place}: {hmma} HMMA, {ldsm} LDSM, {lds} LDS");
        for name in ["FFMA", "FMUL", "DFMA", "LDL", "STL"] {
            assert_eq!(count(body, name), 0, "{place}: {name} among {hmma} HMMA");
        }
    }
}

/// The reader of machine code finds a loop, and a wrong instruction in it.
#[test]
fn a_loop_is_from_its_label_to_its_branch() {
    let text = "\
.text.product:
        /*0000*/                   FFMA R1, R2, R3, R4 ;
.L_x_1:
        /*0010*/                   LDSM.16.M88.4 R4, [R8] ;
        /*0020*/              @P0 BRA `(.L_x_2) ;
        /*0030*/                   HMMA.16816.F32.BF16 R4, R8, R12, R4 ;
.L_x_2:
        /*0040*/              @!P1 BRA `(.L_x_1) ;
        /*0050*/                   FFMA R1, R2, R3, R4 ;
.L_x_3:
        /*0060*/                   BRA `(.L_x_3);
";
    let all = parse(text);
    let code = &all["product"];
    assert_eq!((all.len(), code.lines.len()), (1, 7));
    let loops = code.loops();
    assert_eq!(loops.len(), 1, "the forward branch and the trap at the end are none: {loops:?}");
    assert_eq!(loops[0].len(), 4);
    assert_eq!([count(loops[0], "HMMA"), count(loops[0], "FFMA")], [1, 0]);
    let wrong = parse(&text.replace("LDSM.16.M88.4 R4, [R8]", "@P3 FFMA R1, R2, R3, R4"));
    assert_eq!(count(wrong["product"].loops()[0], "FFMA"), 1);
}
