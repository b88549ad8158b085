//! Deterministic counts of a launch, in total and for each line of CUDA source, named as Nsight Compute's.
//!
//! Counts are of PTX instructions, not of machine code, and of requests, not of cache traffic.

use crate::ir::{FloatOp, IntOp, Op, Program};
use crate::launch::LaunchConfig;
use crate::mutants::{Mutant, on};
use crate::ptx::ast::Space;
use crate::report::SourceLine;
use crate::touched::Touched;
use std::collections::BTreeMap;
use std::fmt::Write;

/// Counts of one instruction.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Stat {
    /// Warps that executed it, and lanes that took part; both come from [`Runs`].
    pub count: u64,
    pub lanes: u64,
    /// Lanes of those warps that a guard kept out.
    pub idle: u64,
    /// Global: sectors; shared: wavefronts; branches: divergent ones; atomics: same-address repeats.
    pub cost: u64,
    /// The least that the same bytes need.
    pub ideal: u64,
}

/// How often each instruction ran and in how many lanes, kept where a straight run of instructions
/// begins and ends: between the two the lanes do not change, so the instructions themselves count nothing.
#[derive(Default)]
pub(crate) struct Runs {
    /// What is added from an instruction on: warps and lanes.
    steps: Vec<[u64; 2]>,
}

impl Runs {
    /// For a program of `code` instructions.
    pub fn new(code: usize) -> Runs {
        Runs { steps: vec![[0; 2]; code + 1] }
    }

    /// The lanes of `mask` go on at `pc`.
    #[inline(always)]
    pub fn enter(&mut self, pc: usize, mask: u32) {
        let [warps, lanes] = &mut self.steps[pc];
        *warps = warps.wrapping_add(1);
        *lanes = lanes.wrapping_add(mask.count_ones().into());
    }

    /// They do not reach `pc` in this way: the instruction before was their last.
    #[inline(always)]
    pub fn leave(&mut self, pc: usize, mask: u32) {
        if on(Mutant::RunsEnd) {
            return;
        }
        let [warps, lanes] = &mut self.steps[pc];
        *warps = warps.wrapping_sub(1);
        *lanes = lanes.wrapping_sub(mask.count_ones().into());
    }

    /// Adds the counts to those of each instruction.
    pub fn add_to(&self, stats: &mut [Stat]) {
        let [mut warps, mut lanes] = [0u64; 2];
        for (stat, [w, l]) in stats.iter_mut().zip(&self.steps) {
            warps = warps.wrapping_add(*w);
            lanes = lanes.wrapping_add(*l);
            stat.count += warps;
            stat.lanes += lanes;
            stat.lanes -= stat.idle;
        }
    }
}

impl Stat {
    pub fn add(&mut self, other: &Stat) {
        self.count += other.count;
        self.lanes += other.lanes;
        self.cost += other.cost;
        self.ideal += other.ideal;
    }
}

/// Counts of one source line.
#[derive(Clone, Debug)]
pub struct LineCounters {
    /// The line; `None` gathers the instructions without `.loc`.
    pub source: Option<SourceLine>,
    /// Its counts, as name and value.
    pub values: Vec<(&'static str, u64)>,
}

/// Counts of one launch.
#[derive(Clone, Debug, Default)]
pub struct Counters {
    /// Kernel name.
    pub kernel: String,
    /// Totals, as name and value.
    pub values: Vec<(&'static str, u64)>,
    /// The same for each source line, in the order of files and lines.
    pub lines: Vec<LineCounters>,
}

/// Names of what an instruction is counted as, beside `smsp__inst_executed.sum`.
fn class(op: &Op) -> &'static str {
    match op {
        Op::AddF32 { .. }
        | Op::SubF32 { .. }
        | Op::MulF32 { .. }
        | Op::FmaF32 { .. }
        | Op::F32 { .. } => "smsp__sass_inst_executed_op_fp32.sum",
        Op::F64 { .. } => "smsp__sass_inst_executed_op_fp64.sum",
        Op::Half { .. } => "smsp__sass_inst_executed_op_fp16.sum",
        Op::Cvt { .. } | Op::CvtPack { .. } => "smsp__sass_inst_executed_op_conversion.sum",
        Op::Ld(_) | Op::St(_) | Op::LdMatrix(_) | Op::CpAsync(_) => {
            "smsp__sass_inst_executed_op_memory.sum"
        }
        Op::Atom(_) => "smsp__inst_executed_op_atom.sum",
        Op::Mma(_) => "smsp__inst_executed_pipe_tensor.sum",
        Op::Bra { .. } | Op::BraIf { .. } | Op::Exit | Op::Call(_) | Op::Trap => {
            "smsp__sass_inst_executed_op_control.sum"
        }
        Op::Bar(_) => "smsp__inst_executed_op_barrier.sum",
        Op::Shfl(_)
        | Op::Vote { .. }
        | Op::Match { .. }
        | Op::Redux { .. }
        | Op::WarpBar { .. } => "smsp__sass_inst_executed_op_inter_thread_communication.sum",
        Op::Fence { .. }
        | Op::CpCommit
        | Op::CpWait { .. }
        | Op::Clock { .. }
        | Op::ActiveMask { .. } => "smsp__sass_inst_executed_op_misc.sum",
        Op::Int32 { op: IntOp::Lop3(_), .. } => "smsp__sass_inst_executed_op_integer.sum",
        _ => "smsp__sass_inst_executed_op_integer.sum",
    }
}

/// Floating-point operations of one lane.
fn flops(op: &Op) -> u64 {
    let of = |op: FloatOp| match op {
        FloatOp::Fma => 2,
        FloatOp::Abs | FloatOp::Neg | FloatOp::Copysign => 0,
        _ => 1,
    };
    match op {
        Op::AddF32 { .. } | Op::SubF32 { .. } | Op::MulF32 { .. } => 1,
        Op::FmaF32 { .. } => 2,
        Op::F32 { op, .. } | Op::F64 { op, .. } => of(*op),
        Op::Half { op, single, .. } => of(*op) * if *single { 1 } else { 2 },
        // m16n8k over 32 lanes: 2 * 16 * 8 * k / 32.
        Op::Mma(m) => 8 * u64::from(m.k),
        _ => 0,
    }
}

fn tally(op: &Op, s: &Stat, into: &mut BTreeMap<&'static str, u64>) {
    if matches!(op, Op::Join | Op::Track(_)) || s.count == 0 {
        return;
    }
    let mut add = |name: &'static str, value: u64| *into.entry(name).or_default() += value;
    add("smsp__inst_executed.sum", s.count);
    add("smsp__thread_inst_executed.sum", s.lanes);
    add(class(op), s.count);
    add("flop_count", flops(op) * s.lanes);
    match op {
        Op::Ld(m) | Op::St(m) => {
            let load = matches!(op, Op::Ld(_));
            let bytes = u64::from(m.width) * m.regs.len() as u64 * s.lanes;
            match (m.space, load) {
                (Space::Global | Space::Generic | Space::Const, true) => {
                    add("l1tex__t_requests_pipe_lsu_mem_global_op_ld.sum", s.count);
                    add("l1tex__t_sectors_pipe_lsu_mem_global_op_ld.sum", s.cost);
                    add("sectors_ideal_global_op_ld", s.ideal);
                    add("bytes_global_op_ld", bytes);
                }
                (Space::Global | Space::Generic | Space::Const, false) => {
                    add("l1tex__t_requests_pipe_lsu_mem_global_op_st.sum", s.count);
                    add("l1tex__t_sectors_pipe_lsu_mem_global_op_st.sum", s.cost);
                    add("sectors_ideal_global_op_st", s.ideal);
                    add("bytes_global_op_st", bytes);
                }
                (Space::Shared, true) => {
                    add("smsp__inst_executed_op_shared_ld.sum", s.count);
                    add("l1tex__data_pipe_lsu_wavefronts_mem_shared_op_ld.sum", s.cost);
                    add("wavefronts_ideal_shared_op_ld", s.ideal);
                }
                (Space::Shared, false) => {
                    add("smsp__inst_executed_op_shared_st.sum", s.count);
                    add("l1tex__data_pipe_lsu_wavefronts_mem_shared_op_st.sum", s.cost);
                    add("wavefronts_ideal_shared_op_st", s.ideal);
                }
                (Space::Local, true) => add("bytes_local_op_ld", bytes),
                (Space::Local, false) => add("bytes_local_op_st", bytes),
                (Space::Param, _) => {}
            }
        }
        Op::LdMatrix(_) => {
            add("smsp__inst_executed_op_ldsm.sum", s.count);
            add("l1tex__data_pipe_lsu_wavefronts_mem_shared_op_ld.sum", s.cost);
            add("wavefronts_ideal_shared_op_ld", s.ideal);
        }
        Op::CpAsync(m) => {
            add("smsp__inst_executed_op_ldgsts.sum", s.count);
            add("l1tex__t_sectors_pipe_lsu_mem_global_op_ldgsts.sum", s.cost);
            add("sectors_ideal_global_op_ldgsts", s.ideal);
            add("bytes_cp_async", u64::from(m.bytes) * s.lanes);
        }
        Op::Atom(_) => {
            add("thread_atomics", s.lanes);
            add("atomic_same_address_repeats", s.cost);
        }
        Op::BraIf { .. } => {
            add("smsp__sass_branch_targets.sum", s.count);
            add("smsp__sass_branch_targets_threads_divergent.sum", s.cost);
        }
        Op::Bar(_) => add("barriers", s.count),
        _ => {}
    }
}

impl Counters {
    pub(crate) fn new(
        kernel: &str,
        program: &Program,
        stats: &[Stat],
        touched: &Touched,
        config: &LaunchConfig,
    ) -> Counters {
        let mut all = BTreeMap::new();
        let mut lines: BTreeMap<Option<SourceLine>, BTreeMap<&'static str, u64>> = BTreeMap::new();
        for (inst, stat) in program.code.iter().zip(stats).filter(|(_, s)| s.count > 0) {
            tally(&inst.op, stat, &mut all);
            let source = program.info[inst.info as usize].source.clone();
            tally(&inst.op, stat, lines.entry(source).or_default());
        }
        let (read, written) = (touched.sectors(false), touched.sectors(true));
        all.insert("unique_sectors_read", read);
        all.insert("unique_sectors_written", written);
        // Both in bytes: what must come from and go to device memory at least once.
        all.insert("dram_bytes_lower_bound", 32 * (read + written));
        let product = |v: [u32; 3]| v.iter().map(|n| u64::from(*n)).product();
        all.insert("launch__grid_size", product(config.grid));
        all.insert("launch__block_size", product(config.block));
        let lines = lines.into_iter().filter(|(_, v)| !v.is_empty());
        let lines =
            lines.map(|(source, v)| LineCounters { source, values: v.into_iter().collect() });
        Counters {
            kernel: kernel.to_string(),
            values: all.into_iter().collect(),
            lines: lines.collect(),
        }
    }

    /// The total of that name; 0 when nothing of the sort happened.
    pub fn get(&self, name: &str) -> u64 {
        self.values.iter().find(|(n, _)| *n == name).map_or(0, |(_, v)| *v)
    }

    /// Quotient of two totals, 0 when the second is 0.
    pub fn ratio(&self, a: &str, b: &str) -> f64 {
        match self.get(b) {
            0 => 0.0,
            n => self.get(a) as f64 / n as f64,
        }
    }

    /// Quotients that people look at first.
    pub fn ratios(&self) -> [(&'static str, f64); 5] {
        let sectors = "l1tex__t_sectors_pipe_lsu_mem_global_op_ld.sum";
        let wavefronts = "l1tex__data_pipe_lsu_wavefronts_mem_shared_op_ld.sum";
        let lanes = self.ratio("smsp__thread_inst_executed.sum", "smsp__inst_executed.sum");
        [
            ("smsp__thread_inst_executed_per_inst_executed.ratio", lanes),
            (
                "sectors_per_request_global_ld",
                self.ratio(sectors, "l1tex__t_requests_pipe_lsu_mem_global_op_ld.sum"),
            ),
            ("sectors_over_ideal_global_ld", self.ratio(sectors, "sectors_ideal_global_op_ld")),
            ("shared_conflict_factor_ld", self.ratio(wavefronts, "wavefronts_ideal_shared_op_ld")),
            ("flop_per_dram_byte_upper_bound", self.ratio("flop_count", "dram_bytes_lower_bound")),
        ]
    }

    /// The counters as one JSON object: `kernel`, `values`, `ratios`, `lines`.
    pub fn to_json(&self) -> String {
        let pairs = |values: &[(&'static str, u64)]| {
            let list: Vec<String> = values.iter().map(|(n, v)| format!("\"{n}\":{v}")).collect();
            list.join(",")
        };
        let ratios: Vec<String> =
            self.ratios().iter().map(|(n, v)| format!("\"{n}\":{v:.6}")).collect();
        let lines: Vec<String> = (self.lines.iter())
            .map(|line| {
                let (file, number) = match &line.source {
                    Some(s) => (quote(&s.file), s.line),
                    None => ("null".into(), 0),
                };
                format!(
                    "{{\"file\":{file},\"line\":{number},\"values\":{{{}}}}}",
                    pairs(&line.values)
                )
            })
            .collect();
        format!(
            "{{\"kernel\":{},\"values\":{{{}}},\"ratios\":{{{}}},\"lines\":[{}]}}",
            quote(&self.kernel),
            pairs(&self.values),
            ratios.join(","),
            lines.join(",")
        )
    }

    /// The counters as a table for people.
    pub fn to_table(&self) -> String {
        let mut text = format!("{}\n", self.kernel);
        for (name, value) in &self.values {
            let _ = writeln!(text, "  {name:<64} {value:>16}");
        }
        for (name, value) in self.ratios() {
            let _ = writeln!(text, "  {name:<64} {value:>16.3}");
        }
        let _ = writeln!(
            text,
            "  {:<40} {:>12} {:>12} {:>12}",
            "line", "warp inst", "sectors", "wavefronts"
        );
        for line in &self.lines {
            let get = |names: [&str; 2]| -> u64 {
                line.values.iter().filter(|(n, _)| names.contains(n)).map(|(_, v)| v).sum()
            };
            let name =
                line.source.as_ref().map_or("?".into(), |s| format!("{}:{}", s.file, s.line));
            let sectors = get([
                "l1tex__t_sectors_pipe_lsu_mem_global_op_ld.sum",
                "l1tex__t_sectors_pipe_lsu_mem_global_op_st.sum",
            ]);
            let waves = get([
                "l1tex__data_pipe_lsu_wavefronts_mem_shared_op_ld.sum",
                "l1tex__data_pipe_lsu_wavefronts_mem_shared_op_st.sum",
            ]);
            let count = get(["smsp__inst_executed.sum", ""]);
            let _ = writeln!(text, "  {name:<40} {count:>12} {sectors:>12} {waves:>12}");
        }
        text
    }
}

/// A JSON string.
fn quote(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => {
                out.push('\\');
                out.push(c);
            }
            c if c < ' ' => {
                let _ = write!(out, "\\u{:04x}", c as u32);
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}
