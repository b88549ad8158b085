//! The resources that our kernels take on every generation of GPUs: registers, shared memory,
//! occupancy; none may spill registers. `kernels/RESOURCES.md` is the table; `UPDATE_RESOURCES=1`
//! rewrites it.
//!
//! This is a separate test program because it takes long.

use std::fmt::Write as _;
use std::path::Path;
use std::sync::Mutex;

use pix2pix_engine::device::{Precision, compile_options, find_nvrtc};
use pix2pix_engine::kernel::cuda;

/// Compute capability, and the most warps, blocks and KiB of shared memory of a multiprocessor
/// (CUDA C++ Programming Guide, "Technical Specifications per Compute Capability"). All have 65,536
/// registers.
const GENERATIONS: [(i32, usize, usize, usize); 7] = [
    (75, 32, 16, 64),
    (80, 64, 32, 164),
    (86, 48, 16, 100),
    (89, 48, 24, 100),
    (90, 64, 32, 228),
    (100, 64, 32, 228),
    (120, 48, 24, 100),
];

/// What the assembler reports for one kernel.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Used {
    kernel: String,
    precision: &'static str,
    generation: i32,
    registers: usize,
    shared: usize,
    spilled: usize,
    threads: usize,
}

/// The number before `unit` in a line.
fn before(line: &str, unit: &str) -> usize {
    let Some(at) = line.find(unit) else { return 0 };
    let number = line[..at].trim_end().rsplit([' ', ',']).next().unwrap_or_default();
    number.parse().unwrap_or(0)
}

/// Threads of a block as `__launch_bounds__` gives them.
fn threads(ptx: &str, kernel: &str) -> usize {
    let entry = ptx.find(&format!(".entry {kernel}(")).expect("the kernel is in its PTX");
    let body = &ptx[entry..];
    let bounds = body.find(".maxntid").filter(|at| *at < body.find('{').unwrap_or(0));
    let at = bounds.unwrap_or_else(|| panic!("{kernel} has no __launch_bounds__"));
    let number: String =
        body[at + 8..].trim_start().chars().take_while(char::is_ascii_digit).collect();
    number.parse().expect("a number of threads")
}

fn parse(log: &str, ptx: &str, precision: &'static str, generation: i32) -> Vec<Used> {
    let mut all: Vec<Used> = Vec::new();
    for line in log.lines() {
        if let Some((_, rest)) = line.split_once("Compiling entry function '") {
            let kernel = rest.split('\'').next().unwrap_or_default().to_string();
            let threads = threads(ptx, &kernel);
            let (registers, shared, spilled) = (0, 0, 0);
            all.push(Used { kernel, precision, generation, registers, shared, spilled, threads });
        }
        let Some(last) = all.last_mut() else { continue };
        if line.contains("spill stores") {
            last.spilled += before(line, "bytes spill stores") + before(line, "bytes spill loads");
        }
        if line.contains("Used ") {
            // Rounded up to multiples of 8, as a multiprocessor allocates them. The assembler's own
            // number for one source varies by one from run to run.
            last.registers = before(line, "registers").next_multiple_of(8);
            last.shared = before(line, "bytes smem");
        }
    }
    all
}

/// The part of a multiprocessor's warps that blocks of this kernel can fill, in percent, limited by
/// registers (in units of 8 per thread), static shared memory (with the 1 KiB that a block reserves
/// from 8.0 on), warps and blocks. Dynamic shared memory is not counted.
fn occupancy(used: &Used) -> usize {
    let (_, warps, blocks, kib) =
        *GENERATIONS.iter().find(|g| g.0 == used.generation).expect("it was compiled for one");
    let mine = used.threads.div_ceil(32);
    let registers = 65_536 / (used.registers.next_multiple_of(8).max(8) * 32 * mine);
    let reserved = if used.generation >= 80 { 1024 } else { 0 };
    let shared = (kib * 1024).checked_div(used.shared + reserved).unwrap_or(usize::MAX);
    100 * blocks.min(registers).min(shared).min(warps / mine) * mine / warps
}

#[test]
fn kernels_take_what_the_table_says_and_nothing_spills() {
    if !::cuda::nvrtc::or_skip("kernels_take_what_the_table_says_and_nothing_spills") {
        return;
    }
    let nvrtc = find_nvrtc().unwrap();
    let files = cuda::sources().unwrap();
    let mut work = Vec::new();
    for (name, _) in files.iter().filter(|(name, _)| name.ends_with(".cu")) {
        for (generation, ..) in GENERATIONS {
            for precision in [Precision::F32, Precision::Tf32, Precision::Bf16] {
                let tensor_cores = precision != Precision::F32;
                // Kernels other than convolutions are the same in tf32 as in f32.
                let same = precision == Precision::Tf32 && !name.starts_with("conv");
                if !(tensor_cores && generation < 80 || same) {
                    work.push((name.as_str(), generation, precision));
                }
            }
        }
    }
    let (work, found) = (Mutex::new(work), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                loop {
                    let Some((name, generation, precision)) = work.lock().unwrap().pop() else {
                        break;
                    };
                    let mut options = compile_options(generation, precision);
                    options.push("--ptxas-options=-v".to_string());
                    let compiled = nvrtc.compile(name, &files, &options).unwrap();
                    let used = parse(&compiled.log, &compiled.ptx, precision.name(), generation);
                    let said = !used.is_empty() && used.iter().all(|u| u.registers > 0);
                    assert!(said, "{name}: the assembler said {}", compiled.log);
                    found.lock().unwrap().extend(used);
                }
            });
        }
    });
    let mut found = found.into_inner().unwrap();
    found.sort();
    let spilled: Vec<&Used> = found.iter().filter(|used| used.spilled > 0).collect();
    assert!(spilled.is_empty(), "registers are spilled: {spilled:#?}");
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("kernels/RESOURCES.md");
    let table = table(&found, nvrtc.version);
    if std::env::var_os("UPDATE_RESOURCES").is_some() {
        std::fs::write(&path, &table).unwrap();
    }
    let committed = std::fs::read_to_string(&path).unwrap();
    // Another version of the assembler may allocate differently; that nothing spills was checked
    // above.
    if committed.lines().nth(2) == table.lines().nth(2) {
        assert!(committed == table, "kernels/RESOURCES.md is old: run with UPDATE_RESOURCES=1");
    }
}

fn table(found: &[Used], (major, minor): (i32, i32)) -> String {
    let mut text = String::from("# What the kernels take of a multiprocessor\n\n");
    let _ = writeln!(
        text,
        "As the assembler of NVRTC {major}.{minor} allocates; nothing is spilled. A cell is registers of a \
         thread in eights, bytes of static\nshared memory of a block, and the part of the warps that then fit \
         (dynamic shared memory not counted).\n"
    );
    text.push_str("| kernel | precision | threads |");
    GENERATIONS.iter().for_each(|g| {
        let _ = write!(text, " sm_{} |", g.0);
    });
    text.push_str("\n| --- | --- | --- |");
    text.push_str(&" --- |".repeat(GENERATIONS.len()));
    let mut rows: Vec<(&str, &str)> =
        found.iter().map(|u| (u.kernel.as_str(), u.precision)).collect();
    rows.dedup();
    for (kernel, precision) in rows {
        let cells: Vec<&Used> =
            found.iter().filter(|u| u.kernel == kernel && u.precision == precision).collect();
        let _ = write!(text, "\n| {kernel} | {precision} | {} |", cells[0].threads);
        for (generation, ..) in GENERATIONS {
            let cell = cells.iter().find(|u| u.generation == generation);
            let cell = cell.map_or("".to_string(), |u| {
                format!(" {}, {}, {} % ", u.registers, u.shared, occupancy(u))
            });
            let _ = write!(text, "{cell}|");
        }
    }
    text.push('\n');
    text
}

#[test]
fn occupancy_is_that_of_the_tables() {
    let used = |generation, registers, shared, threads| Used {
        kernel: String::new(),
        precision: "f32",
        generation,
        registers,
        shared,
        spilled: 0,
        threads,
    };
    // 256 threads of 32 registers fill an A100: 8 blocks of 8 warps.
    assert_eq!(occupancy(&used(80, 32, 0, 256)), 100);
    // 128 registers: two blocks of 256 threads.
    assert_eq!(occupancy(&used(80, 128, 0, 256)), 25);
    // 48 KiB each: three blocks in 164 KiB.
    assert_eq!(occupancy(&used(80, 32, 49_152, 256)), 37);
    assert_eq!(occupancy(&used(75, 32, 0, 1024)), 100);
}
