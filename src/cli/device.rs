//! The choice of a device by `--device` and `--precision`, and the list of devices.

use std::process::ExitCode;

use super::args::MACHINE;
use super::{bytes, say, with_flags};
use crate::device::{self, Cpu, Device, Precision, start_shared_threads};
use crate::error::{Error, Result};
use crate::kernel::{Backend, cuda};

/// The most threads: more than today's machines have cores.
const MOST_THREADS: usize = 1024;

/// Where and how to compute.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = MACHINE)]
pub struct DeviceArgs {
    /// Where to compute: auto, cpu, cuda or cuda:N
    ///
    /// cuda:N is GPU number N. auto takes the first GPU if there are a driver and NVRTC, and says
    /// which device it took.
    #[arg(long, default_value = "auto", value_name = "DEVICE")]
    pub device: String,
    /// Precision on a GPU: f32, tf32 (convolutions on tensor cores), bf16 (activations too)
    ///
    /// auto takes tf32 from compute capability 8.0 on, as PyTorch does for convolutions, and f32
    /// below.
    #[arg(long, hide_short_help = true, default_value = "auto", value_name = "PRECISION")]
    pub precision: PrecisionChoice,
    /// Launch every kernel of a step by itself, for debugging
    #[arg(long, hide_short_help = true)]
    pub no_graph: bool,
    /// Threads that compute and decode pictures [default: one per core]
    #[arg(long, hide_short_help = true)]
    pub threads: Option<usize>,
}

/// What `--precision` takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum PrecisionChoice {
    /// The default of the GPU.
    Auto,
    /// f32.
    F32,
    /// tf32.
    Tf32,
    /// bf16.
    Bf16,
}

impl PrecisionChoice {
    fn chosen(self) -> Option<Precision> {
        match self {
            PrecisionChoice::Auto => None,
            PrecisionChoice::F32 => Some(Precision::F32),
            PrecisionChoice::Tf32 => Some(Precision::Tf32),
            PrecisionChoice::Bf16 => Some(Precision::Bf16),
        }
    }
}

impl DeviceArgs {
    /// Starts the threads that read pictures beside the device, before the first picture is looked at;
    /// [`DeviceArgs::open`] does it where nothing is read before.
    ///
    /// # Errors
    /// More threads than there may be.
    pub fn start_threads(&self) -> Result<usize> {
        let threads = self.threads.unwrap_or(0);
        if threads > MOST_THREADS {
            return Err(Error::input(format!("--threads {threads}: it is at most {MOST_THREADS}")));
        }
        start_shared_threads(threads)?;
        Ok(threads)
    }

    /// Opens the device, and describes it with the reason for an automatic choice.
    ///
    /// # Errors
    /// An unknown name; a GPU that was named and cannot be used.
    pub fn open(&self) -> Result<(Box<dyn Backend>, String)> {
        let threads = self.start_threads()?;
        if self.device == "auto" {
            let real = || match device::gpu(0)?.emulated() {
                true => Err(Error::machine("the driver is softgpu; ask for it by --device cuda")),
                false => self.gpu(0),
            };
            return match real() {
                Ok(gpu) => Ok(described(Box::new(gpu), "")),
                Err(why) => {
                    self.only_on_gpus()?;
                    // The reason without the advice: the CPU is a valid choice.
                    let why = why.to_string();
                    let why = why.split(';').next().unwrap_or_default();
                    Ok(described(Box::new(Cpu::new(threads)?), &format!(" (--device auto: {why})")))
                }
            };
        }
        if self.device == "cpu" {
            self.only_on_gpus()?;
            return Ok(described(Box::new(Cpu::new(threads)?), ""));
        }
        Ok(described(Box::new(self.gpu(number_of(&self.device)?)?), ""))
    }

    /// The flags that were typed, for a command that goes on as this one.
    pub fn typed(&self) -> Vec<String> {
        let mut words = Vec::new();
        if self.device != "auto" {
            words.push(format!("--device {}", self.device));
        }
        if let Some(precision) = self.precision.chosen() {
            words.push(format!("--precision {}", precision.name()));
        }
        if self.no_graph {
            words.push("--no-graph".to_string());
        }
        words.extend(self.threads.map(|threads| format!("--threads {threads}")));
        words
    }

    /// Refuses a precision that the CPU does not have.
    fn only_on_gpus(&self) -> Result<()> {
        match self.precision.chosen() {
            Some(p) if p != Precision::F32 => Err(Error::input(format!(
                "--precision {} is for GPUs; the CPU computes in f32",
                p.name()
            ))),
            _ => Ok(()),
        }
    }

    fn gpu(&self, ordinal: usize) -> Result<device::Cuda> {
        cuda::open(&self.choice(ordinal)?)
    }

    fn choice(&self, ordinal: usize) -> Result<cuda::Choice> {
        let precision = match self.precision.chosen() {
            Some(precision) => precision,
            None => device::gpu(ordinal)?.precision(),
        };
        Ok(cuda::Choice { ordinal, precision, graph: !self.no_graph })
    }

    /// The GPU that is named, or the first.
    ///
    /// # Errors
    /// `--device cpu` and unknown names; no driver, no such GPU.
    pub fn only_gpu(&self) -> Result<cuda::Choice> {
        match self.device.as_str() {
            "auto" => self.choice(0),
            "cpu" => Err(Error::input("--device cpu is what GPUs are compared with; name a GPU")),
            name => self.choice(number_of(name)?),
        }
    }
}

/// The number in `cuda` or `cuda:N`.
fn number_of(device: &str) -> Result<usize> {
    let number = match device.strip_prefix("cuda") {
        Some("") => Some(0),
        Some(rest) => rest.strip_prefix(':').and_then(|n| n.parse().ok()),
        None => None,
    };
    number.ok_or_else(|| Error::input(format!("--device {device}: use auto, cpu, cuda or cuda:N")))
}

fn described(backend: Box<dyn Backend>, why: &str) -> (Box<dyn Backend>, String) {
    let line = format!("{}{why}", Device::describe(&*backend));
    (backend, line)
}

/// `devices`: lists the devices of this machine, or says why one cannot be used.
pub fn run() -> Result<ExitCode> {
    let cpu = Cpu::new(0)?;
    say(format!("cpu       {}", cpu.describe()));
    if let Some(free) = cpu.free_memory() {
        let limit = free.limit.map_or(String::new(), |limit| format!(" within {limit}"));
        say(format!("          {} of memory free{limit}", bytes(free.bytes)));
    }
    // A line for each NVRTC that is needed: old GPUs need an old one.
    let mut compilers = Vec::new();
    match device::gpus() {
        Ok(gpus) => {
            for gpu in &gpus {
                say(format!("cuda:{:<4} {}", gpu.ordinal, gpu.line()));
                compilers.push(gpu.nvrtc());
            }
            if gpus.is_empty() {
                say("cuda      the driver lists no GPU");
            }
            if let Some(gpu) = gpus.first() {
                say(format!("driver    CUDA {}.{}", gpu.driver.0, gpu.driver.1));
            }
        }
        Err(error) => say(format!("cuda      {}", with_flags(&error))),
    }
    if compilers.is_empty() {
        compilers.push(device::find_nvrtc());
    }
    let line = |found: Result<device::Nvrtc>| match found {
        Ok(device::Nvrtc { version: (major, minor), path, .. }) => {
            format!("nvrtc     {major}.{minor}, {}", path.display())
        }
        Err(error) => format!("nvrtc     {}", with_flags(&error)),
    };
    let mut lines: Vec<String> = compilers.into_iter().map(line).collect();
    lines.dedup();
    lines.into_iter().for_each(say);
    Ok(ExitCode::SUCCESS)
}
