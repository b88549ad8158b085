//! The cards that softgpu can pose as: names, limits and sizes, never speed.
//!
//! Limits follow the "Technical Specifications per Compute Capability" table of the CUDA C++
//! Programming Guide; SM counts, clocks and memory are the cards' data sheets. Clocks are reported
//! to programs that print them; nothing is timed by them.

use crate::error::{CuError, Result};

/// One card.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Preset {
    /// What `SOFTGPU_DEVICE` and [`crate::Options::device`] call it.
    pub key: &'static str,
    /// What `cuDeviceGetName` answers.
    pub name: &'static str,
    /// Compute capability, major and minor.
    pub capability: (u32, u32),
    /// Streaming multiprocessors.
    pub multiprocessors: u32,
    /// Device memory in bytes.
    pub memory: u64,
    /// Resident threads a multiprocessor.
    pub threads_per_sm: u32,
    /// Resident blocks a multiprocessor.
    pub blocks_per_sm: u32,
    /// Shared memory a multiprocessor, bytes.
    pub shared_per_sm: u32,
    /// Shared memory a block may ask for with `CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES`,
    /// bytes.
    pub shared_optin: u32,
    /// Shared memory that the system keeps of each block, bytes.
    pub shared_reserved: u32,
    /// Level-two cache, bytes.
    pub l2: u32,
    /// Core clock, kHz.
    pub clock_khz: u32,
    /// Memory clock, kHz.
    pub memory_clock_khz: u32,
    /// Memory bus, bits.
    pub bus_bits: u32,
}

const GIB: u64 = 1 << 30;

/// Every card, the default first.
pub const PRESETS: [Preset; 6] = [
    Preset {
        key: "a100",
        name: "NVIDIA A100-SXM4-40GB (softgpu)",
        capability: (8, 0),
        multiprocessors: 108,
        memory: 40 * GIB,
        threads_per_sm: 2048,
        blocks_per_sm: 32,
        shared_per_sm: 164 << 10,
        shared_optin: 163 << 10,
        shared_reserved: 1 << 10,
        l2: 40 << 20,
        clock_khz: 1_410_000,
        memory_clock_khz: 1_215_000,
        bus_bits: 5120,
    },
    Preset {
        key: "p100",
        name: "Tesla P100-PCIE-16GB (softgpu)",
        capability: (6, 0),
        multiprocessors: 56,
        memory: 16 * GIB,
        threads_per_sm: 2048,
        blocks_per_sm: 32,
        shared_per_sm: 64 << 10,
        shared_optin: 48 << 10,
        shared_reserved: 0,
        l2: 4 << 20,
        clock_khz: 1_328_500,
        memory_clock_khz: 715_000,
        bus_bits: 4096,
    },
    Preset {
        key: "t4",
        name: "Tesla T4 (softgpu)",
        capability: (7, 5),
        multiprocessors: 40,
        memory: 15 * GIB,
        threads_per_sm: 1024,
        blocks_per_sm: 16,
        shared_per_sm: 64 << 10,
        shared_optin: 64 << 10,
        shared_reserved: 0,
        l2: 4 << 20,
        clock_khz: 1_590_000,
        memory_clock_khz: 5_001_000,
        bus_bits: 256,
    },
    Preset {
        key: "rtx3060",
        name: "NVIDIA GeForce RTX 3060 (softgpu)",
        capability: (8, 6),
        multiprocessors: 28,
        memory: 12 * GIB,
        threads_per_sm: 1536,
        blocks_per_sm: 16,
        shared_per_sm: 100 << 10,
        shared_optin: 99 << 10,
        shared_reserved: 1 << 10,
        l2: 2304 << 10,
        clock_khz: 1_777_000,
        memory_clock_khz: 7_501_000,
        bus_bits: 192,
    },
    Preset {
        key: "rtx4090",
        name: "NVIDIA GeForce RTX 4090 (softgpu)",
        capability: (8, 9),
        multiprocessors: 128,
        memory: 24 * GIB,
        threads_per_sm: 1536,
        blocks_per_sm: 24,
        shared_per_sm: 100 << 10,
        shared_optin: 99 << 10,
        shared_reserved: 1 << 10,
        l2: 72 << 20,
        clock_khz: 2_520_000,
        memory_clock_khz: 10_501_000,
        bus_bits: 384,
    },
    Preset {
        key: "h100",
        name: "NVIDIA H100 80GB HBM3 (softgpu)",
        capability: (9, 0),
        multiprocessors: 132,
        memory: 80 * GIB,
        threads_per_sm: 2048,
        blocks_per_sm: 32,
        shared_per_sm: 228 << 10,
        shared_optin: 227 << 10,
        shared_reserved: 1 << 10,
        l2: 50 << 20,
        clock_khz: 1_980_000,
        memory_clock_khz: 2_619_000,
        bus_bits: 5120,
    },
];

/// Threads a block may have, on every card.
pub const MAX_THREADS: u32 = 1024;
/// Extents a block may have.
pub const MAX_BLOCK: [u32; 3] = [1024, 1024, 64];
/// Extents a grid may have.
pub const MAX_GRID: [u32; 3] = [i32::MAX as u32, 65_535, 65_535];
/// Shared memory a block may use without asking, bytes.
pub const SHARED_DEFAULT: u32 = 48 << 10;
/// 32-bit registers a multiprocessor (and a block) has.
pub const REGISTERS: u32 = 65_536;
/// Bytes of constant memory a module may declare.
pub const CONSTANT: u32 = 64 << 10;

/// The preset of this name; letter case, spaces and dashes do not count (`RTX 4090`, `rtx-4090`).
pub fn preset(name: &str) -> Option<&'static Preset> {
    let wanted: String =
        name.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_ascii_lowercase();
    PRESETS.iter().find(|p| p.key == wanted)
}

/// The newest PTX version, as (major, minor), that a driver of CUDA version `driver` (1000 * major
/// + 10 * minor) accepts.
///
/// Source: the release notes table of the PTX ISA manual. From CUDA 13.0 on the two numberings run
/// side by side.
pub fn newest_ptx(driver: u32) -> (u32, u32) {
    let (major, minor) = (driver / 1000, driver % 1000 / 10);
    match (major, minor) {
        (0..=10, _) => (6, 5),
        (11, minor) => (7, minor.min(8)),
        (12, 0..=5) => (8, minor),
        (12, 6) => (8, 5),
        (12, 7) => (8, 6),
        (12, 8) => (8, 7),
        (12, _) => (8, 8),
        (major, minor) => (major - 4, minor),
    }
}

impl Preset {
    /// Compute capability as one number: 86 for 8.6.
    pub fn sm(&self) -> u32 {
        self.capability.0 * 10 + self.capability.1
    }

    /// `cuDeviceGetAttribute`: the value of the attribute with number `attribute` of `cuda.h`.
    ///
    /// # Errors
    /// `INVALID_VALUE` for a number that softgpu does not know; the shell names it on stderr.
    pub fn attribute(&self, attribute: u32) -> Result<i32> {
        let value = match attribute {
            1 => MAX_THREADS,
            2..=4 => MAX_BLOCK[attribute as usize - 2],
            5..=7 => MAX_GRID[attribute as usize - 5],
            8 => SHARED_DEFAULT,
            9 => CONSTANT,
            10 => 32,
            11 => i32::MAX as u32,
            12 | 82 => REGISTERS,
            13 => self.clock_khz,
            14 => 512,         // texture alignment; there are no textures
            15 | 19 | 31 => 1, // copies overlap kernels, host memory maps, kernels run together
            16 => self.multiprocessors,
            17 | 18 | 20 => 0, // no watchdog, not integrated, default compute mode
            21..=29 | 42..=49 | 52..=74 | 77 => 0, // textures and surfaces are outside the subset
            30 => 512,
            32 | 33 | 34 | 35 | 50 => 0, // ECC, PCI bus, device, TCC, PCI domain
            36 => self.memory_clock_khz,
            37 => self.bus_bits,
            38 => self.l2,
            39 => self.threads_per_sm,
            40 => 2,
            41 => 1,
            51 => 32,
            75 => self.capability.0,
            76 => self.capability.1,
            78..=80 => 1,
            81 => self.shared_per_sm,
            83 => 1,
            84..=86 => 0,
            87 => match self.capability {
                (6, 0) | (8, 0) | (9, 0) => 2,
                (7, _) => 32,
                _ => 64,
            },
            88 => 0, // no pageable access
            89 => 1, // managed memory is for both sides at once
            90 => 1,
            91 => 1,
            92..=94 => 0, // stream memory operations are outside the subset
            95 => 1,
            96 => 0,
            97 => self.shared_optin,
            98 => 0,
            99 => 1,
            100..=105 => 0, // no virtual memory management, no exported handles
            106 => self.blocks_per_sm,
            107..=110 => 0,
            111 => self.shared_reserved,
            112..=114 => 0,
            115 => 1,
            116..=132 => 0, // RDMA, pool exports, clusters, tensor maps, multicast
            _ => return Err(CuError::INVALID_VALUE),
        };
        Ok(i32::try_from(value).unwrap_or(i32::MAX))
    }

    /// Sixteen bytes that stay the same for device `ordinal` of this kind.
    pub fn uuid(&self, ordinal: usize) -> [u8; 16] {
        let mut bytes = *b"softgpu---------";
        for (to, from) in bytes[8..15].iter_mut().zip(self.key.bytes()) {
            *to = from;
        }
        bytes[15] = ordinal as u8;
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_forgiving_and_limits_are_the_cards() {
        assert_eq!(preset("RTX 4090").map(Preset::sm), Some(89));
        assert_eq!(preset("rtx-3060").map(|p| p.shared_optin), Some(101_376));
        assert_eq!(preset("H100").map(|p| p.attribute(97)), Some(Ok(232_448)));
        // A Pascal card gives a block what it gives without asking, and no more.
        assert_eq!(preset("P100").map(|p| (p.sm(), p.attribute(97))), Some((60, Ok(49_152))));
        assert!(preset("voodoo2").is_none());
        let t4 = preset("t4").expect("listed above");
        assert_eq!((t4.attribute(75), t4.attribute(76)), (Ok(7), Ok(5)));
        assert_eq!(t4.attribute(9999), Err(CuError::INVALID_VALUE));
    }

    #[test]
    fn ptx_versions_follow_the_drivers() {
        assert_eq!(newest_ptx(11_040), (7, 4));
        assert_eq!(newest_ptx(12_060), (8, 5));
        assert_eq!(newest_ptx(13_000), (9, 0));
        assert_eq!(newest_ptx(13_040), (9, 4));
    }
}
