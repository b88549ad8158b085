//! Compares a GPU with the CPU on a user's machine: every instruction of a training step at the
//! shapes of the networks, then whole steps, captured as a graph and not, and run twice.
//!
//! Each instruction of the step runs on both devices from the same numbers: the CPU's results so
//! far, rounded to what the GPU stores. So an error is that of a single instruction, which the
//! report names. [`mod@bench`] measures times.

pub mod bench;

use std::fmt;

use crate::device::{Cpu, Cuda, Device, Precision, StepState};
use crate::error::Result;
use crate::kernel::{Backend, cuda};
use crate::random::philox;
use crate::tape::{Instruction, Program};
use crate::tensor::{SampleRange, SampleSlice, View};
use crate::train::{Networks, RunConfig, Step};

/// Normalised mean square error allowed for the results of an instruction, by precision; `product`
/// for convolutions. In simulation, sums of 1,024 to 16,384 products had 3e-13 to 5e-12 in f32,
/// 9e-8 in tf32 and 8e-6 in bf16; the rest is margin for the order of sums.
pub fn tolerance(precision: Precision, product: bool) -> f64 {
    match (precision, product) {
        (Precision::Bf16, _) => 5e-5,
        (Precision::Tf32, true) => 1e-6,
        _ => 1e-10,
    }
}

/// Relative error allowed for a loss of the first step, which accumulates the rounding of all
/// layers before it.
pub fn loss_tolerance(precision: Precision) -> f64 {
    match precision {
        Precision::F32 => 1e-4,
        Precision::Tf32 => 1e-2,
        Precision::Bf16 => 5e-2,
    }
}

/// One comparison.
#[derive(Clone, Debug, PartialEq)]
pub struct Check {
    /// What was compared: "forward conv", "graph against loop".
    pub what: String,
    /// Shapes and addresses, as in a printed program, or the numbers compared.
    pub detail: String,
    /// The error that was found.
    pub error: f64,
    /// The error that is allowed.
    pub bound: f64,
}

impl Check {
    /// Whether the error is within its bound; false for NaN.
    pub fn passed(&self) -> bool {
        self.error <= self.bound
    }
}

/// The results of all comparisons.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Report {
    /// Description of the GPU.
    pub device: String,
    /// Every comparison, in order.
    pub checks: Vec<Check>,
}

impl Report {
    /// Whether all errors are within their bounds.
    pub fn passed(&self) -> bool {
        self.checks.iter().all(Check::passed)
    }

    /// A line for each kind of comparison: how many, the largest error, the bound.
    pub fn summary(&self) -> String {
        let mut kinds: Vec<(&str, Vec<&Check>)> = Vec::new();
        for check in &self.checks {
            match kinds.iter_mut().find(|(what, _)| *what == check.what) {
                Some((_, all)) => all.push(check),
                None => kinds.push((&check.what, vec![check])),
            }
        }
        let mut lines =
            format!("{:<28} {:>5} {:>10} {:>10}\n", "what", "times", "worst", "allowed");
        for (what, all) in kinds {
            let worst = all
                .iter()
                .map(|c| c.error)
                .fold(0.0, |a: f64, b| if b > a || b.is_nan() { b } else { a });
            let bound = all.iter().map(|c| c.bound).fold(f64::INFINITY, f64::min);
            let failed = all.iter().filter(|c| !c.passed()).count();
            let verdict = if failed == 0 { String::new() } else { format!("  {failed} FAILED") };
            lines +=
                &format!("{what:<28} {:>5} {worst:>10.1e} {bound:>10.0e}{verdict}\n", all.len());
        }
        lines
    }
}

/// All comparisons, one per line, to attach to a bug report.
impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        writeln!(f, "{}\n\n{}", self.device, self.summary())?;
        for check in &self.checks {
            let verdict = if check.passed() { "ok" } else { "FAILED" };
            writeln!(
                f,
                "{verdict:6} {:<28} {:9.2e} of {:.0e}  {}",
                check.what, check.error, check.bound, check.detail
            )?;
        }
        write!(f, "{}", if self.passed() { "all passed" } else { "SOME FAILED" })
    }
}

/// Normalised mean square error: the sum of squared differences over the sum of squares of
/// `expected`; 0 where both are the same.
fn nmse(got: &[f32], expected: &[f32]) -> f64 {
    let (mut error, mut size) = (0.0f64, 0.0f64);
    for (g, e) in got.iter().zip(expected) {
        let (g, e) = (f64::from(*g), f64::from(*e));
        error += (g - e) * (g - e);
        size += e * e;
    }
    if error == 0.0 { 0.0 } else { error / size.max(f64::MIN_POSITIVE) }
}

/// The tensors that an instruction touches, each once.
fn views(instruction: &dyn Instruction) -> Vec<View> {
    let mut all = instruction.reads();
    for view in instruction.writes() {
        if !all.contains(&view) {
            all.push(view);
        }
    }
    all
}

/// The networks and their training step on one device.
struct OnDevice<B> {
    b: B,
    networks: Networks,
    step: Step,
}

/// Names of a step's input and target.
const NAMES: [&str; 2] = ["a", "b"];

/// Random bytes for the pictures of `view`, a function of `key`.
fn pictures(view: View, key: u64) -> Vec<u8> {
    let count = view.shape.count();
    let words = (0..count.div_ceil(16) as u32).flat_map(|q| philox(key, [q; 4]));
    words.flat_map(u32::to_le_bytes).take(count).collect()
}

/// Seed of the weights, pictures and dropout masks.
const SEED: u64 = 1;

impl<B: Backend> OnDevice<B> {
    fn new(config: &RunConfig, mut b: B) -> Result<Self> {
        let recipe = config.recipe();
        let networks = Networks::new(&*recipe)?;
        let step = Step::record(&*recipe, &networks, config.batch(), &b)?;
        b.reserve(step.program.end())?;
        networks.init(&mut b, SEED)?;
        let mut machine = OnDevice { b, networks, step };
        machine.begin(config, 1)?;
        Ok(machine)
    }

    /// Sets the state of step `number` and uploads its pictures.
    fn begin(&mut self, config: &RunConfig, number: u64) -> Result<()> {
        self.b.set_state(StepState { seed: SEED, step: number, lr: config.lr, micro: 0 });
        for (i, name) in NAMES.into_iter().enumerate() {
            let view = self.step.program.view(name)?;
            let bytes = pictures(view, 2 * number + i as u64);
            self.b.upload_images(SampleSlice::U8(&bytes), SampleRange::BYTE, view)?;
        }
        Ok(())
    }

    /// Runs steps `1..=count` and returns the losses of each.
    fn run(&mut self, config: &RunConfig, count: u64) -> Result<Vec<Vec<f32>>> {
        for number in 1..=count {
            self.begin(config, number)?;
            self.step.program.run(&mut self.b)?;
        }
        self.b.kept_losses(count as usize, self.step.losses.len())
    }

    fn read(&self, view: View) -> Result<Vec<f32>> {
        let mut values = vec![0.0; view.shape.count()];
        self.b.download(view, &mut values)?;
        Ok(values)
    }

    /// All parameters and running statistics, as bits.
    fn weights(&self) -> Result<Vec<u32>> {
        let mut bits = Vec::new();
        for param in self.networks.iter().flat_map(|(_, network)| network.params().iter()) {
            bits.extend(self.read(param.view())?.into_iter().map(f32::to_bits));
        }
        Ok(bits)
    }
}

/// Whole steps that are run and compared.
const STEPS: u64 = 4;

/// Compares a GPU with the CPU; `told` is called with every comparison as it is made.
///
/// # Errors
/// [`Error::Machine`](crate::Error::Machine) where a device fails or lacks memory. A comparison
/// outside its bound is no error here; it is in the report.
pub fn verify(
    config: &RunConfig,
    choice: &cuda::Choice,
    told: &mut dyn FnMut(&Check),
) -> Result<Report> {
    let mut cpu = OnDevice::new(config, Cpu::new(0)?)?;
    let mut gpu = OnDevice::new(config, cuda::open(choice)?)?;
    let mut report = Report { device: gpu.b.describe(), checks: Vec::new() };
    let mut add = |check: Check| {
        told(&check);
        report.checks.push(check);
    };
    each_kernel(&mut cpu, &mut gpu, choice.precision, &mut add)?;

    // Back to the initial weights: the comparison above has left the GPU with the CPU's results.
    let reset = |machine: &mut OnDevice<Cuda>| machine.networks.init(&mut machine.b, SEED);
    cpu.networks.init(&mut cpu.b, SEED)?;
    reset(&mut gpu)?;
    let expected = cpu.run(config, 1)?;
    let got = gpu.run(config, 1)?;
    for ((name, got), expected) in gpu.step.losses.iter().zip(&got[0]).zip(&expected[0]) {
        let (got, expected) = (f64::from(*got), f64::from(*expected));
        add(Check {
            what: "loss of a step".to_string(),
            detail: format!("{name} {got:.6}, {expected:.6} on the CPU"),
            error: (got - expected).abs() / expected.abs().max(1e-3),
            bound: loss_tolerance(choice.precision),
        });
    }
    drop(cpu);

    // With a graph, the first step is launched kernel by kernel, the second is captured, the others
    // are replayed.
    let mut weights = Vec::new();
    for graph in [true, true, false] {
        let choice = cuda::Choice { graph, ..choice.clone() };
        drop(gpu);
        gpu = OnDevice::new(config, cuda::open(&choice)?)?;
        gpu.run(config, STEPS)?;
        weights.push(gpu.weights()?);
    }
    for (what, i) in [("the same twice", 1), ("graph against loop", 2)] {
        let different = weights[0].iter().zip(&weights[i]).filter(|(a, b)| a != b).count();
        add(Check {
            what: what.to_string(),
            detail: format!(
                "{different} of {} weights differ after {STEPS} steps",
                weights[0].len()
            ),
            error: different as f64,
            bound: 0.0,
        });
    }
    Ok(report)
}

/// Compares each instruction on both devices, starting from the same numbers.
fn each_kernel(
    cpu: &mut OnDevice<Cpu>,
    gpu: &mut OnDevice<Cuda>,
    precision: Precision,
    add: &mut dyn FnMut(Check),
) -> Result<()> {
    let (host, device): (&Program, &Program) = (&cpu.step.program, &gpu.step.program);
    let lines: Vec<String> = host.to_string().lines().map(str::to_string).collect();
    for (i, (on_cpu, on_gpu)) in host.instructions().iter().zip(device.instructions()).enumerate() {
        let pairs: Vec<(View, View)> = views(&**on_cpu).into_iter().zip(views(&**on_gpu)).collect();
        for &(c, g) in &pairs {
            let mut values = vec![0.0; c.shape.count()];
            cpu.b.download(c, &mut values)?;
            gpu.b.upload(g, &values)?;
            if g.elem != c.elem {
                gpu.b.download(g, &mut values)?;
                cpu.b.upload(c, &values)?;
            }
        }
        on_cpu.run(&mut cpu.b)?;
        on_gpu.run(&mut gpu.b)?;
        let (what, product) = (on_cpu.name(), on_cpu.work().operations > 0);
        let mut error = 0.0f64;
        for &(c, g) in &pairs {
            let (mut got, mut expected) = (vec![0.0; c.shape.count()], vec![0.0; c.shape.count()]);
            gpu.b.download(g, &mut got)?;
            cpu.b.download(c, &mut expected)?;
            let one = nmse(&got, &expected);
            error = if one.is_nan() { one } else { error.max(one) };
        }
        let detail = lines.get(i).cloned().unwrap_or_default();
        add(Check { what, detail, error, bound: tolerance(precision, product) });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_that_is_no_number_fails() {
        let check = |error| Check { what: "w".into(), detail: "d".into(), error, bound: 1e-6 };
        assert!(check(1e-6).passed() && check(0.0).passed());
        assert!(!check(f64::NAN).passed() && !check(2e-6).passed());
        let mut report = Report { device: "GPU".into(), checks: vec![check(0.0)] };
        assert!(report.passed() && report.to_string().ends_with("all passed"));
        report.checks.push(check(f64::NAN));
        assert!(!report.passed() && report.to_string().ends_with("SOME FAILED"));
        assert!(report.summary().contains("1 FAILED"), "{}", report.summary());
    }

    #[test]
    fn errors_are_relative_to_what_is_expected() {
        assert_eq!(nmse(&[0.0, 0.0], &[0.0, 0.0]), 0.0);
        assert!((nmse(&[1.1, 2.0], &[1.0, 2.0]) - 0.01 / 5.0).abs() < 1e-8);
        assert!(nmse(&[1.0], &[0.0]) > 1.0 && nmse(&[f32::NAN], &[1.0]).is_nan());
    }
}
