//! One set of tensors on two machines: the CPU, which is the reference, and a GPU that softgpu plays.

use std::ops::Range;
use std::path::{Path, PathBuf};

use pix2pix_engine::device::{Cache, Cpu, Cuda, CudaOptions, Device, Precision};
use pix2pix_engine::kernel::cuda as kernels;
use pix2pix_engine::tensor::{Elem, Shape, View};

/// Orders of warps and blocks that every kernel is run in.
pub const ORDERS: [&str; 4] = ["forward", "reverse", "3", "4"];

/// Set to anything, the kernels are run by the machine's own GPU instead of softgpu: once, without softgpu's
/// checks and orders, but with the marks that no kernel may touch.
const REAL: &str = "PIX2PIX_TEST_GPU";

/// Whether the kernels are run by the machine's own GPU.
pub fn is_real() -> bool {
    std::env::var_os(REAL).is_some()
}

/// One tensor on both machines.
#[derive(Clone, Copy, Debug)]
pub struct Place {
    /// In f32.
    pub cpu: View,
    /// As the precision stores it.
    pub gpu: View,
}

/// The two machines.
pub struct Desk {
    pub cpu: Cpu,
    pub cuda: Cuda,
    end: usize,
    /// Whether marks stand behind tensors; if not, nothing was ever written there, and softgpu reports
    /// who reads it.
    marked: bool,
    margins: Vec<Margin>,
}

/// Marks that no kernel may touch: NaN, which spoils every sum it comes into, with numbers that show
/// what was overwritten, even by another mark.
struct Margin {
    whole: View,
    /// The channels that are no margin.
    used: Range<usize>,
    seed: usize,
}

/// Marks behind every tensor: more than a pixel of most of them.
const GUARD: usize = 64;

impl Margin {
    fn marks(&self) -> Vec<f32> {
        // What bf16 has of a NaN: a quiet bit and six more.
        let mark = |i| f32::from_bits(0x7fc0_0000 | ((self.seed + i) as u32 % 64) << 16);
        (0..self.whole.shape.count()).map(mark).collect()
    }
}

/// The options of a GPU in a test: kernels compiled once for all tests of a checkout, or kept where
/// `PIX2PIX_CACHE` says.
pub fn options(precision: Precision) -> CudaOptions {
    let ours = || Path::new(env!("CARGO_TARGET_TMPDIR")).join("kernels");
    let cache = std::env::var_os("PIX2PIX_CACHE").map_or_else(ours, PathBuf::from);
    CudaOptions {
        ordinal: 0,
        precision,
        graph: true,
        cache: Cache::at(Some(&cache)),
        files: kernels::sources().unwrap(),
    }
}

/// Calls `work` with a CPU and a GPU, executed by softgpu with all checks on, in each of `orders`.
/// Says that `test` was not run where NVRTC is missing.
///
/// # Panics
/// Where softgpu finds anything wrong with a kernel, or a kernel wrote beside its tensors.
pub fn on_softgpu(
    test: &str,
    precision: Precision,
    orders: &[&str],
    mut work: impl FnMut(&mut Desk),
) {
    if !cuda::nvrtc::or_skip(test) {
        return;
    }
    if is_real() {
        with_cuda(precision, true, &mut work);
        return;
    }
    for order in orders {
        // Which block touches what is watched in one order, as it takes time, and by words of 4 bytes,
        // of which two blocks may each have a bf16.
        let marked = *order != ORDERS[2];
        let watched = !marked && precision != Precision::Bf16;
        let checks = if watched { "default,global-race" } else { "default" };
        let gpu = cuda::Options::new().device("a100").order(order).checks(checks).alone().unwrap();
        with_cuda(precision, marked, &mut work);
        assert_eq!(gpu.findings(), [], "{test}, {precision:?}, order {order}");
    }
}

fn with_cuda(precision: Precision, marked: bool, work: &mut impl FnMut(&mut Desk)) {
    let cuda = Cuda::new(options(precision)).unwrap();
    let mut desk = Desk { cpu: Cpu::new(2).unwrap(), cuda, end: 0, marked, margins: Vec::new() };
    work(&mut desk);
    desk.cuda.finish().unwrap();
    desk.check_margins();
}

impl Desk {
    /// `values` as they are after being stored.
    fn rounded(elem: Elem, values: &[f32]) -> Vec<f32> {
        match elem {
            Elem::F32 => values.to_vec(),
            Elem::Bf16 => values.iter().map(|v| half::bf16::from_f32(*v).to_f32()).collect(),
        }
    }

    fn place(&mut self, elem: Elem, whole: Shape) -> Place {
        let at = self.end;
        self.end = (at + whole.count() + GUARD).next_multiple_of(64);
        self.cpu.reserve(self.end).unwrap();
        self.cuda.reserve(self.end).unwrap();
        let gpu = View::dense_of(elem, at, whole);
        let behind =
            View { at: gpu.at + whole.count(), ..View::dense_of(elem, 0, Shape::vector(GUARD)) };
        if self.marked {
            self.margin(behind, 0..0);
        }
        Place { cpu: View::dense(at, whole), gpu }
    }

    /// Marks all channels of `whole`, of which those outside `used` must stay so.
    fn margin(&mut self, whole: View, used: Range<usize>) -> Vec<f32> {
        let margin = Margin { whole, used, seed: 5 * self.margins.len() };
        let marks = margin.marks();
        self.cuda.upload(whole, &marks).unwrap();
        self.margins.push(margin);
        marks
    }

    fn check_margins(&self) {
        for margin in &self.margins {
            let marks = margin.marks();
            let mut got = vec![0.0; marks.len()];
            self.cuda.download(margin.whole, &mut got).unwrap();
            for (i, (got, mark)) in got.iter().zip(&marks).enumerate() {
                let kept = margin.used.contains(&(i % margin.whole.shape.c));
                let (got, mark) = (got.to_bits(), mark.to_bits());
                assert!(kept || got == mark, "{got:#x} over {mark:#x} beside {:?}", margin.whole);
            }
        }
    }

    /// Writes a tensor on both machines: the same numbers, rounded to what the GPU stores.
    pub fn set(&mut self, place: Place, values: &[f32]) {
        let values = Desk::rounded(place.gpu.elem, values);
        self.cpu.upload(place.cpu, &values).unwrap();
        self.cuda.upload(place.gpu, &values).unwrap();
    }

    /// An activation that holds `values`.
    pub fn tensor(&mut self, shape: Shape, values: &[f32]) -> Place {
        let place = self.place(self.cuda.elem(), shape);
        self.set(place, values);
        place
    }

    /// An activation that is a run of channels, from `channel` on, of a tensor with `pitch` of them;
    /// the others hold NaN and must stay so.
    pub fn slice(&mut self, shape: Shape, pitch: usize, channel: usize, values: &[f32]) -> Place {
        let whole = self.place(self.cuda.elem(), Shape { c: pitch, ..shape });
        let range = channel..channel + shape.c;
        let marks = self.margin(whole.gpu, range.clone());
        self.cpu.upload(whole.cpu, &marks).unwrap();
        let (cpu, gpu) = (whole.cpu.channels(range.clone()), whole.gpu.channels(range));
        let place = Place { cpu: cpu.unwrap(), gpu: gpu.unwrap() };
        self.set(place, values);
        place
    }

    /// Parameters, statistics, losses: f32 on both.
    pub fn floats(&mut self, shape: Shape, values: &[f32]) -> Place {
        let place = self.place(Elem::F32, shape);
        self.set(place, values);
        place
    }

    /// What the two machines hold: the GPU's numbers, and the CPU's as the reference.
    pub fn read(&self, place: Place) -> (Vec<f32>, Vec<f64>) {
        let count = place.cpu.shape.count();
        let (mut got, mut expected) = (vec![0.0; count], vec![0.0; count]);
        self.cuda.download(place.gpu, &mut got).unwrap();
        self.cpu.download(place.cpu, &mut expected).unwrap();
        (got, expected.into_iter().map(f64::from).collect())
    }
}
