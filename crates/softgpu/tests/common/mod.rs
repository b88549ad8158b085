//! What the tests share: a device with packed arguments, fixed random numbers, error measures.
#![allow(dead_code)]

use softgpu::{Fault, LaunchConfig, LaunchReport, LoadOptions, Memory, Module, Options, launch};

/// Bytes of the test device.
pub const DEVICE: u64 = 1 << 30;

/// splitmix64 from a fixed seed.
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ z >> 31
    }

    /// Uniform in [-1, 1).
    pub fn unit(&mut self) -> f32 {
        ((self.next() >> 40) as f32 / (1 << 24) as f32) * 2.0 - 1.0
    }

    pub fn floats(&mut self, n: usize) -> Vec<f32> {
        (0..n).map(|_| self.unit()).collect()
    }
}

/// Arguments laid out as a kernel's parameters are: each aligned to its own size.
#[derive(Default, Clone)]
pub struct Args(pub Vec<u8>);

impl Args {
    fn push(mut self, bytes: &[u8]) -> Args {
        self.0.resize(self.0.len().next_multiple_of(bytes.len()), 0);
        self.0.extend(bytes);
        self
    }
    pub fn u64(self, v: u64) -> Args {
        self.push(&v.to_le_bytes())
    }
    pub fn u32(self, v: u32) -> Args {
        self.push(&v.to_le_bytes())
    }
    pub fn f32(self, v: f32) -> Args {
        self.push(&v.to_le_bytes())
    }
}

/// A module on its own device.
pub struct Device {
    pub memory: Memory,
    pub module: Module,
}

impl Device {
    pub fn new(ptx: &str) -> Device {
        let memory = Memory::new(DEVICE);
        let module =
            Module::load(ptx, &LoadOptions::default(), &memory).unwrap_or_else(|e| panic!("{e}"));
        Device { memory, module }
    }

    pub fn bytes(&self, data: &[u8]) -> u64 {
        let at = self.memory.alloc(data.len() as u64).unwrap();
        self.memory.write(at, data).unwrap();
        at
    }

    pub fn u32s(&self, data: &[u32]) -> u64 {
        self.bytes(&data.iter().flat_map(|v| v.to_le_bytes()).collect::<Vec<_>>())
    }

    pub fn f32s(&self, data: &[f32]) -> u64 {
        self.u32s(&data.iter().map(|v| v.to_bits()).collect::<Vec<_>>())
    }

    pub fn u16s(&self, data: &[u16]) -> u64 {
        self.bytes(&data.iter().flat_map(|v| v.to_le_bytes()).collect::<Vec<_>>())
    }

    pub fn empty(&self, bytes: usize) -> u64 {
        self.memory.alloc(bytes as u64).unwrap()
    }

    pub fn zeros(&self, bytes: usize) -> u64 {
        self.bytes(&vec![0; bytes])
    }

    pub fn read(&self, at: u64, n: usize) -> Vec<u32> {
        let mut out = vec![0; n * 4];
        self.memory.read(at, &mut out).unwrap();
        out.chunks_exact(4).map(|c| u32::from_le_bytes(c.try_into().unwrap())).collect()
    }

    pub fn read_f32(&self, at: u64, n: usize) -> Vec<f32> {
        self.read(at, n).into_iter().map(f32::from_bits).collect()
    }

    pub fn run(
        &self,
        kernel: &str,
        grid: [u32; 3],
        block: u32,
        shared: u32,
        args: &Args,
        options: &Options,
    ) -> Result<LaunchReport, Box<Fault>> {
        let config = LaunchConfig { grid, block: [block, 1, 1], dynamic_shared_bytes: shared };
        launch(&self.module, kernel, config, &args.0, &self.memory, options)
    }

    /// A launch that must end with nothing found.
    pub fn clean(
        &self,
        kernel: &str,
        grid: [u32; 3],
        block: u32,
        shared: u32,
        args: &Args,
    ) -> LaunchReport {
        let report = self.run(kernel, grid, block, shared, args, &Options::default());
        let report = report.unwrap_or_else(|e| panic!("{e}"));
        assert!(report.findings.is_empty(), "{}", report.findings[0]);
        report
    }
}

/// Sum of squared errors over the sum of squares.
pub fn nmse(got: &[f32], want: &[f64]) -> f64 {
    assert_eq!(got.len(), want.len());
    let error: f64 = got.iter().zip(want).map(|(g, w)| (f64::from(*g) - w).powi(2)).sum();
    error / want.iter().map(|w| w * w).sum::<f64>()
}

/// Largest error relative to the largest value.
pub fn worst(got: &[f32], want: &[f64]) -> f64 {
    assert_eq!(got.len(), want.len());
    let top = want.iter().fold(0f64, |m, w| m.max(w.abs()));
    got.iter().zip(want).map(|(g, w)| (f64::from(*g) - w).abs() / top).fold(0.0, f64::max)
}
