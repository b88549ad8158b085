//! One deliberately broken kernel for each check: reported with the right kind at the right line of the `.cu`.

mod common;

use common::{Args, Device};
use softgpu::{Checks, CpAsync, Finding, FindingKind, Options};

const SOURCE: &str = include_str!("ptx/broken.cu");
const PTX: &str = include_str!("ptx/broken.ptx");

/// The line in the kernel whose comment is the kind, from 1.
fn marked(kernel: &str, kind: FindingKind) -> u32 {
    let mut inside = false;
    for (i, line) in SOURCE.lines().enumerate() {
        if line.contains("__global__") {
            inside = line.contains(&format!(" {kernel}("));
        }
        if inside && line.ends_with(&format!("// {}", kind.name())) {
            return i as u32 + 1;
        }
    }
    panic!("{kernel} has no line marked {}", kind.name());
}

fn run(
    device: &Device,
    kernel: &str,
    grid: u32,
    block: u32,
    args: Args,
    options: Options,
) -> Vec<Finding> {
    match device.run(kernel, [grid, 1, 1], block, 0, &args, &options) {
        Ok(report) => report.findings,
        Err(fault) => fault.earlier.into_iter().chain([fault.finding]).collect(),
    }
}

#[track_caller]
fn expect(kernel: &str, kind: FindingKind, grid: u32, block: u32, args: impl Fn(&Device) -> Args) {
    expect_with(kernel, kind, grid, block, args, Options { budget: 10_000, ..Options::default() });
}

#[track_caller]
fn expect_with(
    kernel: &str,
    kind: FindingKind,
    grid: u32,
    block: u32,
    args: impl Fn(&Device) -> Args,
    options: Options,
) {
    let device = Device::new(PTX);
    let found = run(&device, kernel, grid, block, args(&device), options);
    let line = marked(kernel, kind);
    let hit = found.iter().find(|f| f.kind == kind);
    let Some(hit) = hit else { panic!("{kernel}: no {}, but {found:?}", kind.name()) };
    let source =
        hit.place.source.as_ref().unwrap_or_else(|| panic!("{kernel}: no source line in {hit}"));
    // A race has two ends, and which one comes second depends on the order of the warps.
    let named = hit.message.contains(&format!("(broken.cu:{line})"));
    assert!(
        source.file == "broken.cu" && (source.line == line || named),
        "{kernel}, line {line}: {hit}"
    );
    assert_eq!(hit.place.kernel, kernel);
}

fn ones(device: &Device, n: usize) -> u64 {
    device.f32s(&vec![1.0; n])
}

#[test]
fn out_of_bounds() {
    expect("past_end", FindingKind::OutOfBounds, 1, 32, |d| {
        Args::default().u64(ones(d, 40)).u32(9)
    });
    expect("shared_past_end", FindingKind::OutOfBounds, 1, 32, |d| {
        Args::default().u64(ones(d, 32)).u32(1)
    });
}

#[test]
fn exactly_inside_is_silent() {
    let device = Device::new(PTX);
    let args = Args::default().u64(ones(&device, 40)).u32(8);
    assert_eq!(run(&device, "past_end", 1, 32, args, Options::default()), []);
}

#[test]
fn use_after_free() {
    let device = Device::new(PTX);
    let x = ones(&device, 64);
    device.memory.free(x).unwrap();
    let found = run(&device, "past_end", 1, 32, Args::default().u64(x).u32(0), Options::default());
    assert_eq!(found[0].kind, FindingKind::UseAfterFree);
}

#[test]
fn misaligned() {
    expect("odd_address", FindingKind::Misaligned, 1, 32, |d| Args::default().u64(ones(d, 64)));
}

#[test]
fn uninitialized() {
    let kind = FindingKind::UninitializedMemory;
    expect("read_any", kind, 1, 32, |d| Args::default().u64(d.empty(128)).u64(ones(d, 32)));
    expect("shared_unset", kind, 1, 32, |d| Args::default().u64(ones(d, 64)));
    expect("local_unset", kind, 1, 32, |d| Args::default().u64(ones(d, 64)).u32(4));
    expect("undefined_register", FindingKind::UninitializedRegister, 1, 32, |d| {
        Args::default().u64(ones(d, 32)).u32(7)
    });
}

#[test]
fn races() {
    expect("no_barrier", FindingKind::SharedRace, 1, 64, |d| Args::default().u64(ones(d, 64)));
    let x = |d: &Device| Args::default().u64(ones(d, 64));
    let options = Options { checks: Checks::ALL, ..Options::default() };
    expect_with("no_syncwarp", FindingKind::SharedRace, 1, 32, x, options.clone());
    let device = Device::new(PTX);
    assert_eq!(run(&device, "with_syncwarp", 1, 32, x(&device), options.clone()), []);
    assert_eq!(run(&device, "no_syncwarp", 1, 32, x(&device), Options::default()), []);
    expect_with("two_blocks", FindingKind::GlobalRace, 2, 32, x, options);
}

#[test]
fn barriers() {
    let x = |d: &Device| Args::default().u64(ones(d, 64));
    expect("half_barrier", FindingKind::BarrierDivergence, 1, 32, x);
    expect("lost_warp", FindingKind::BarrierMismatch, 1, 64, x);
}

#[test]
fn masks() {
    expect("half_shuffle", FindingKind::SyncMask, 1, 32, |d| Args::default().u64(ones(d, 32)));
}

#[test]
fn asynchronous_copies() {
    let two = |d: &Device| Args::default().u64(ones(d, 64)).u64(ones(d, 64));
    expect("early_read", FindingKind::AsyncCopy, 1, 32, two);
    expect("early_overwrite", FindingKind::SharedRace, 1, 64, two);
    let options = Options { cp_async: CpAsync::Earliest, ..Options::default() };
    expect_with("early_read", FindingKind::AsyncCopy, 1, 32, two, options);
}

#[test]
fn ends() {
    expect("endless", FindingKind::Hang, 1, 32, |d| Args::default().u64(d.zeros(4)));
    expect("traps", FindingKind::Trap, 1, 32, |_| Args::default().u32(3));
    expect("asserts", FindingKind::Assert, 1, 32, |_| Args::default().u32(3));
}

#[test]
fn the_assertion_is_told() {
    let device = Device::new(PTX);
    let found = run(&device, "asserts", 1, 32, Args::default().u32(3), Options::default());
    assert!(found[0].message.contains("(int)threadIdx.x < n"), "{}", found[0]);
    assert_eq!(found[0].place.thread, [3, 0, 0]);
}

#[test]
fn findings_can_end_a_launch() {
    let device = Device::new(PTX);
    let options = Options { findings_are_fatal: true, ..Options::default() };
    let args = Args::default().u64(ones(&device, 64));
    let fault = device.run("half_shuffle", [1, 1, 1], 32, 0, &args, &options).unwrap_err();
    assert_eq!(fault.finding.kind, FindingKind::SyncMask);
}

#[test]
fn without_checks_only_the_dangerous_is_found() {
    let device = Device::new(PTX);
    let options = Options { checks: Checks::NONE, ..Options::default() };
    let args = Args::default().u64(ones(&device, 64));
    assert_eq!(run(&device, "no_barrier", 1, 64, args.clone(), options.clone()), []);
    let found = run(&device, "past_end", 1, 64, args.u32(64), options);
    assert_eq!(found[0].kind, FindingKind::OutOfBounds);
}
