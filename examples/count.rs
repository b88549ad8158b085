//! Counts the work of one training step, executed by softgpu: launches, bytes, operations, access
//! patterns. Lower bounds of the time on real GPUs follow from that.
//!
//! ```text
//! cargo run --release --example count -- [f32|tf32|bf16] [SIZE [BASE_CHANNELS]]
//! ```
//!
//! No time is measured. "Bytes" are sectors of device memory that a launch touches, each counted
//! once per launch for reading and once for writing: the least memory traffic of a launch that
//! finds nothing in the cache. The bound of a GPU is the larger of bytes over its memory bandwidth
//! and operations over its peak rate, summed kernel by kernel.

use std::collections::BTreeMap;

use pix2pix_engine::data::{Augment, Fit};
use pix2pix_engine::device::{Cuda, Device, Precision, StepState};
use pix2pix_engine::error::Result;
use pix2pix_engine::kernel::{ImageBatch, ImageKernels, cuda as kernels};
use pix2pix_engine::tensor::{Crop, SampleRange, SampleSlice};
use pix2pix_engine::train::{Networks, RunConfig, Step};

/// Memory bandwidth in GB/s, and dense f32, tf32 and bf16 peaks in TFLOP/s, from NVIDIA's data
/// sheets.
const CARDS: [(&str, f64, [f64; 3]); 5] = [
    ("T4", 320.0, [8.1, f64::NAN, f64::NAN]),
    ("A100 40 GB", 1555.0, [19.5, 156.0, 312.0]),
    ("RTX 3060", 360.0, [12.7, 25.5, 51.0]),
    ("RTX 4090", 1008.0, [82.6, 82.6, 165.2]),
    ("H100 SXM", 3350.0, [67.0, 494.5, 989.4]),
];

/// The sum of all launches of a kernel.
#[derive(Default)]
struct Row {
    launches: u64,
    bytes: u64,
    flops: u64,
    tensor: u64,
    sectors: [u64; 2],
    shared: [u64; 2],
}

impl Row {
    fn add(&mut self, launches: u64, values: &BTreeMap<String, u64>, tile: u64) {
        let get = |name: &str| values.get(name).copied().unwrap_or(0);
        let sum = |names: [&str; 3]| names.iter().map(|name| get(name)).sum::<u64>();
        self.launches += launches;
        self.bytes += get("dram_bytes_lower_bound");
        self.flops += get("flop_count");
        self.tensor += get("smsp__inst_executed_pipe_tensor.sum") * tile;
        self.sectors[0] += sum([
            "l1tex__t_sectors_pipe_lsu_mem_global_op_ld.sum",
            "l1tex__t_sectors_pipe_lsu_mem_global_op_st.sum",
            "l1tex__t_sectors_pipe_lsu_mem_global_op_ldgsts.sum",
        ]);
        self.sectors[1] += sum([
            "sectors_ideal_global_op_ld",
            "sectors_ideal_global_op_st",
            "sectors_ideal_global_op_ldgsts",
        ]);
        self.shared[0] += get("l1tex__data_pipe_lsu_wavefronts_mem_shared_op_ld.sum")
            + get("l1tex__data_pipe_lsu_wavefronts_mem_shared_op_st.sum");
        self.shared[1] +=
            get("wavefronts_ideal_shared_op_ld") + get("wavefronts_ideal_shared_op_st");
    }

    fn line(&self, name: &str) -> String {
        let over = |[real, ideal]: [u64; 2]| real as f64 / ideal.max(1) as f64;
        format!(
            "| {name} | {} | {:.1} | {:.2} | {:.1} | {:.2} | {:.2} |",
            self.launches,
            self.bytes as f64 / 1e6,
            self.flops as f64 / 1e9,
            100.0 * self.tensor as f64 / self.flops.max(1) as f64,
            over(self.sectors),
            over(self.shared)
        )
    }
}

fn main() -> Result<()> {
    let mut args = std::env::args().skip(1);
    let name = args.next().unwrap_or_else(|| "tf32".to_string());
    let all = [Precision::F32, Precision::Tf32, Precision::Bf16];
    let index = all.iter().position(|p| p.name() == name);
    let index = index.ok_or_else(|| pix2pix_engine::Error::input("f32, tf32 or bf16"))?;
    let mut config = RunConfig::default();
    if let Some(size) = args.next().and_then(|size| size.parse().ok()) {
        config.size = size;
        config.generator.depth = RunConfig::depth_for(size)?;
    }
    if let Some(channels) = args.next().and_then(|channels| channels.parse().ok()) {
        config.generator.base_channels = channels;
        config.discriminators[0].base_channels = channels;
    }
    let machine = |why: String| pix2pix_engine::Error::machine(why);
    cuda::nvrtc::find().map_err(machine)?;
    // Without checks, which the tests run: a step at full size takes long enough without them.
    let gpu = cuda::Options::new().device("a100").checks("none");
    let gpu = gpu.install().map_err(|e| machine(e.to_string()))?;
    let choice = kernels::Choice { ordinal: 0, precision: all[index], graph: true };
    let mut device: Cuda = kernels::open(&choice)?;
    let recipe = config.recipe();
    let networks = Networks::new(&*recipe)?;
    let step = Step::record(&*recipe, &networks, config.batch(), &device)?;
    device.reserve(step.program.end())?;
    networks.init(&mut device, 0)?;
    // Jittered, as in training.
    let load = Augment { jitter: true, ..Augment::plain(config.size, Fit::Crop) }.load();
    let begun = std::time::Instant::now();
    for number in 1..=2 {
        // The first run compiles and allocates; the second is the graph that is counted.
        device.finish()?;
        gpu.reset();
        device.set_state(StepState { seed: 0, step: number, lr: 2e-4, micro: 0 });
        for name in ["a", "b"] {
            let view = step.program.view(name)?;
            let bytes: Vec<u8> = (0..load.pixels() * 3).map(|i| (i * 7 % 256) as u8).collect();
            let samples = SampleSlice::U8(&bytes);
            let (height, width, crops) =
                (load.height, load.width, &[Crop { x: 3, y: 5, flip: true }]);
            let range = SampleRange::BYTE;
            device.upload_crops(ImageBatch { samples, range, height, width, crops }, view)?;
        }
        step.program.run(&mut device)?;
        device.finish()?;
    }
    let seconds = begun.elapsed().as_secs_f64();
    let counted = gpu.counters();
    // An mma of m16n8k8 (tf32) or m16n8k16 (bf16) is 2 * 16 * 8 * k operations.
    let tile = 2 * 16 * 8 * if all[index] == Precision::Bf16 { 16 } else { 8 };
    let (mut total, mut conv, mut rows) = (Row::default(), Row::default(), Vec::new());
    let mut bounds = [0.0; CARDS.len()];
    for launch in &counted.launches {
        let get = |name: &str| launch.values.get(name).copied().unwrap_or(0) as f64;
        let tensor = get("smsp__inst_executed_pipe_tensor.sum") * tile as f64;
        for (bound, (_, rate, peaks)) in bounds.iter_mut().zip(CARDS) {
            let memory = get("dram_bytes_lower_bound") / (rate * 1e9);
            let plain = (get("flop_count") - tensor) / (peaks[0] * 1e12);
            let cores = if tensor > 0.0 { tensor / (peaks[index] * 1e12) } else { 0.0 };
            *bound += memory.max(plain + cores);
        }
    }
    for (name, kernel) in &counted.kernels {
        let mut row = Row::default();
        row.add(kernel.launches, &kernel.values, tile);
        total.add(kernel.launches, &kernel.values, tile);
        if name.starts_with("conv") {
            conv.add(kernel.launches, &kernel.values, tile);
        }
        rows.push((name.clone(), row));
    }
    rows.sort_by_key(|(_, row)| std::cmp::Reverse(row.bytes));
    println!(
        "One step at {0} x {0}, {1} channels, batch 1, precision {2}: executed twice by softgpu in \
         {seconds:.0} s on this machine's CPU.\n",
        config.size,
        config.generator.base_channels,
        all[index].name()
    );
    println!(
        "| kernel | launches | MB | GFLOP | % on tensor cores | sectors / ideal | bank conflicts |"
    );
    println!("| --- | --- | --- | --- | --- | --- | --- |");
    rows.iter().for_each(|(name, row)| println!("{}", row.line(name)));
    println!("{}", conv.line("**convolutions**"));
    println!("{}", total.line("**all**"));
    println!("\nLower bound of a step, no time of any card:\n");
    println!("| card | ms |");
    println!("| --- | --- |");
    for ((name, ..), bound) in CARDS.iter().zip(bounds) {
        if bound.is_finite() {
            println!("| {name} | {:.2} |", bound * 1e3);
        }
    }
    Ok(())
}
