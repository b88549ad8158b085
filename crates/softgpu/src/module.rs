//! A loaded module: kernels with their parameter lists, and globals placed in device memory.

use crate::ir::Program;
use crate::load_error::LoadError;
use crate::lower::{Globals, lower, param_layout};
use crate::mem::Memory;
use crate::ptx::ast::{Function, Ptx, Space, syntax};
use crate::ptx::parse;
use std::collections::HashMap;

/// What the emulated device and driver accept.
#[derive(Clone, Copy, Debug)]
pub struct LoadOptions {
    /// Compute capability of the device, e.g. `(8, 0)`; a `.target` above it is refused.
    pub compute_capability: (u32, u32),
    /// Newest PTX version the driver reads, e.g. `(9, 0)`; a `.version` above it is refused.
    pub max_ptx_version: (u32, u32),
}

impl Default for LoadOptions {
    /// Capability 9.0 and PTX 9.9: everything the subset knows.
    fn default() -> LoadOptions {
        LoadOptions { compute_capability: (9, 0), max_ptx_version: (9, 9) }
    }
}

/// One kernel parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ParamInfo {
    /// Offset in the packed parameter buffer, bytes.
    pub offset: u32,
    /// Size, bytes.
    pub size: u32,
    /// Alignment, bytes.
    pub align: u32,
}

/// What the host may know of a kernel.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KernelInfo {
    /// Name as in the PTX.
    pub name: String,
    /// Parameters in order.
    pub params: Vec<ParamInfo>,
    /// Length of the packed parameter buffer, bytes.
    pub param_bytes: u32,
    /// `.maxntid`, missing dimensions as 1.
    pub max_threads: Option<[u32; 3]>,
    /// `.reqntid`, missing dimensions as 1.
    pub required_threads: Option<[u32; 3]>,
    /// Static shared memory of a block, bytes.
    pub static_shared_bytes: u32,
    /// Local memory of a thread, bytes.
    pub local_bytes: u32,
    /// Estimate of 32-bit registers a thread from liveness; ptxas may differ in both directions.
    pub registers: u32,
    /// Whether all that it may write to global memory it writes by atomics that hold for the device:
    /// two such kernels may touch the same bytes at once.
    pub writes_by_atomics: bool,
}

/// A module-scope variable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Global {
    /// Device address.
    pub address: u64,
    /// Size, bytes.
    pub bytes: u64,
}

#[derive(Debug)]
pub(crate) struct Kernel {
    pub info: KernelInfo,
    pub program: Program,
}

/// A loaded module.
#[derive(Debug)]
pub struct Module {
    kernels: Vec<Kernel>,
    globals: Globals,
}

impl Module {
    /// Parses and lowers `ptx`, and places its `.global` and `.const` variables in `memory`.
    ///
    /// Nothing outside the subset is skipped: the first such instruction is the error.
    pub fn load(ptx: &str, options: &LoadOptions, memory: &Memory) -> Result<Module, LoadError> {
        // Version and target first: a newer text may hold anything.
        let version = header(ptx, ".version").and_then(|v| {
            let (major, minor) = v.split_once('.')?;
            Some((major.parse().ok()?, minor.parse().ok()?))
        });
        if let Some(version) = version.filter(|v| *v > options.max_ptx_version) {
            return Err(LoadError::Version { version, driver: options.max_ptx_version });
        }
        let (major, minor) = options.compute_capability;
        let device = major * 10 + minor;
        let name = header(ptx, ".target").and_then(|t| t.strip_prefix("sm_"));
        let digits = name.map(|n| n.trim_end_matches(|c: char| !c.is_ascii_digit()));
        if let Some(target) = digits.and_then(|d| d.parse().ok()).filter(|t| *t > device) {
            return Err(LoadError::Target { target, device });
        }
        let tree = parse(ptx)?;
        let mut module = Module { kernels: Vec::new(), globals: HashMap::new() };
        let filled = module.fill(&tree, memory);
        if filled.is_err() {
            module.unload(memory);
        }
        filled.map(|()| module)
    }

    fn fill(&mut self, tree: &Ptx, memory: &Memory) -> Result<(), LoadError> {
        let device = |s: Space| matches!(s, Space::Global | Space::Const);
        for variable in tree.variables.iter().filter(|v| device(v.space)) {
            if variable.external {
                return syntax(
                    variable.line,
                    format!("{} is declared .extern; link it first", variable.name),
                );
            }
            let info = memory.info();
            if variable.bytes > info.free {
                let (requested, free, total) = (variable.bytes, info.free, info.total);
                return Err(crate::mem::MemError::OutOfMemory { requested, free, total }.into());
            }
            let mut bytes = variable.init.clone();
            bytes.resize(variable.bytes as usize, 0);
            let address = memory.place_bytes(&bytes, variable.space == Space::Const)?;
            let global = Global { address, bytes: variable.bytes };
            if let Some(old) = self.globals.insert(variable.name.clone(), global) {
                // Twice the same name: the later one wins, as `.weak` definitions do.
                memory.free(old.address)?;
            }
        }
        for variable in tree.variables.iter().filter(|v| device(v.space)) {
            let Some(here) = self.globals.get(&variable.name).copied() else { continue };
            for (offset, name) in &variable.links {
                let Some(there) = self.globals.get(name) else {
                    return syntax(
                        variable.line,
                        format!("the initialiser names {name}, which is not declared"),
                    );
                };
                let mut word = [0; 8];
                if offset + 8 > variable.bytes {
                    return syntax(variable.line, "an address needs 8 bytes");
                }
                memory.read(here.address + offset, &mut word)?;
                let value = there.address.wrapping_add(u64::from_le_bytes(word));
                memory.write(here.address + offset, &value.to_le_bytes())?;
            }
        }
        for function in tree.functions.iter().filter(|f| f.entry && f.has_body) {
            let program = lower(tree, function, &self.globals)?;
            let (params, bytes) = param_layout(&function.params);
            let info = KernelInfo {
                name: function.name.clone(),
                params,
                param_bytes: bytes as u32,
                max_threads: function.max_threads,
                required_threads: function.required_threads,
                static_shared_bytes: program.shared_bytes,
                local_bytes: program.local_bytes,
                registers: program.max_live.clamp(16, 255),
                writes_by_atomics: writes_by_atomics(function),
            };
            self.kernels.push(Kernel { info, program });
        }
        Ok(())
    }

    /// Kernels in the order of the text.
    pub fn kernels(&self) -> impl Iterator<Item = &KernelInfo> {
        self.kernels.iter().map(|k| &k.info)
    }

    /// The kernel of that name.
    pub fn kernel(&self, name: &str) -> Option<&KernelInfo> {
        self.find(name).map(|k| &k.info)
    }

    pub(crate) fn find(&self, name: &str) -> Option<&Kernel> {
        self.kernels.iter().find(|k| k.info.name == name)
    }

    /// The `.global` or `.const` variable of that name.
    pub fn global(&self, name: &str) -> Option<Global> {
        self.globals.get(name).copied()
    }

    /// Frees the module's variables; the module must not be launched afterwards.
    pub fn unload(&self, memory: &Memory) {
        for global in self.globals.values() {
            // A variable that somebody freed by its address is gone already.
            let _ = memory.free(global.address);
        }
    }
}

/// [`KernelInfo::writes_by_atomics`], from the text alone: a store through a generic address counts as
/// one to global memory.
fn writes_by_atomics(function: &Function) -> bool {
    function.instructions.iter().all(|instruction| {
        let mut words = instruction.opcode.split('.');
        let base = words.next().unwrap_or_default();
        let mut words = words.map(|word| word.split("::").next().unwrap_or_default());
        match base {
            "st" => words.any(|word| matches!(word, "shared" | "local" | "param")),
            "atom" | "red" => {
                let words: Vec<&str> = words.collect();
                words.contains(&"shared") || !words.contains(&"cta")
            }
            _ => true,
        }
    })
}

/// The word after a directive at the start of a line.
fn header<'a>(ptx: &'a str, name: &str) -> Option<&'a str> {
    let line = ptx.lines().find_map(|l| l.trim_start().strip_prefix(name))?;
    line.split([' ', '\t', ',', ';']).find(|w| !w.is_empty())
}
