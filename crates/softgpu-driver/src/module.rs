//! Modules and the kernels and variables in them.

use std::sync::Arc;

use softgpu::{KernelInfo, LoadError, LoadOptions, Module};

use crate::context::Context;
use crate::device::{MAX_THREADS, SHARED_DEFAULT, newest_ptx};
use crate::driver::Driver;
use crate::error::{CuError, Result};
use crate::handle::Id;

/// One loaded module.
pub struct Loaded {
    /// Its context.
    pub context: Id<Context>,
    /// The code; launches in flight hold it too.
    pub module: Arc<Module>,
    /// `.target` and `.version` as numbers such as 80 and 90.
    target: (u32, u32),
    functions: Vec<Id<Function>>,
}

/// One kernel that the program asked for.
pub struct Function {
    /// Its module.
    pub module: Id<Loaded>,
    /// What the code says of it.
    pub info: KernelInfo,
    /// Dynamic shared memory that a launch may ask for, bytes.
    pub max_dynamic: u32,
    /// `CU_FUNC_ATTRIBUTE_PREFERRED_SHARED_MEMORY_CARVEOUT`; it changes nothing here.
    pub carveout: i32,
}

impl Driver {
    /// Loads PTX text.
    ///
    /// # Errors
    /// `INVALID_IMAGE` for binaries, `INVALID_PTX`, `UNSUPPORTED_PTX_VERSION`, `NO_BINARY_FOR_GPU`,
    /// `OUT_OF_MEMORY`; the reason stands in the report's notes and on stderr, because the call has
    /// no other way to say it.
    pub fn load(&mut self, context: Id<Context>, image: &[u8]) -> Result<Id<Loaded>> {
        let preset = self.preset(context)?;
        if image.starts_with(b"\x7fELF") || image.starts_with(&[0x50, 0xed, 0x55, 0xba]) {
            self.report.complain("cubin and fatbin images cannot be interpreted; load PTX".into());
            return Err(CuError::INVALID_IMAGE);
        }
        let Ok(text) = std::str::from_utf8(image) else {
            self.report.complain("the module image is neither PTX text nor a known binary".into());
            return Err(CuError::INVALID_IMAGE);
        };
        if text.trim().is_empty() {
            return Err(CuError::INVALID_IMAGE);
        }
        let options = LoadOptions {
            compute_capability: preset.capability,
            max_ptx_version: newest_ptx(self.config.driver_version),
        };
        let module = Module::load(text, &options, &self.memory).map_err(|why| {
            self.report.complain(format!("the module was not loaded: {why}"));
            match why {
                LoadError::Syntax { .. } | LoadError::Unsupported { .. } => CuError::INVALID_PTX,
                LoadError::Target { .. } => CuError::NO_BINARY_FOR_GPU,
                LoadError::Version { .. } => CuError::UNSUPPORTED_PTX_VERSION,
                LoadError::Memory(_) => CuError::OUT_OF_MEMORY,
            }
        })?;
        let target = (directive(text, ".target"), directive(text, ".version"));
        let module = Arc::new(module);
        Ok(self.modules.insert(Loaded { context, module, target, functions: Vec::new() }))
    }

    /// Looks a module up.
    ///
    /// # Errors
    /// `INVALID_HANDLE`, or the sticky error of its context.
    pub fn module(&self, id: Id<Loaded>) -> Result<&Loaded> {
        let module = self.modules.get(id).ok_or(CuError::INVALID_HANDLE)?;
        self.context(module.context)?;
        Ok(module)
    }

    /// Drops a module, its kernels and variables. Nothing of its context may be in flight.
    pub fn unload(&mut self, id: Id<Loaded>) {
        let Some(loaded) = self.modules.remove(id) else { return };
        for function in loaded.functions {
            self.functions.remove(function);
        }
        loaded.module.unload(&self.memory);
    }

    /// The kernel of that name.
    ///
    /// # Errors
    /// `NOT_FOUND`, `INVALID_HANDLE`.
    pub fn get_function(&mut self, id: Id<Loaded>, name: &str) -> Result<Id<Function>> {
        let loaded = self.module(id)?;
        let info = loaded.module.kernel(name).ok_or(CuError::NOT_FOUND)?.clone();
        let known = loaded.functions.iter().copied().find(|&f| {
            self.functions.get(f).is_some_and(|function| function.info.name == info.name)
        });
        if let Some(function) = known {
            return Ok(function);
        }
        let max_dynamic = SHARED_DEFAULT.saturating_sub(info.static_shared_bytes);
        let function =
            self.functions.insert(Function { module: id, info, max_dynamic, carveout: -1 });
        if let Some(loaded) = self.modules.get_mut(id) {
            loaded.functions.push(function);
        }
        Ok(function)
    }

    /// Address and length of the variable of that name.
    ///
    /// # Errors
    /// `NOT_FOUND`, `INVALID_HANDLE`.
    pub fn get_global(&self, id: Id<Loaded>, name: &str) -> Result<(u64, u64)> {
        let global = self.module(id)?.module.global(name).ok_or(CuError::NOT_FOUND)?;
        Ok((global.address, global.bytes))
    }

    /// Looks a kernel up, with the module it lives in.
    ///
    /// # Errors
    /// `INVALID_HANDLE`, or the sticky error of its context.
    pub fn function(&self, id: Id<Function>) -> Result<(&Function, &Loaded)> {
        let function = self.functions.get(id).ok_or(CuError::INVALID_HANDLE)?;
        Ok((function, self.module(function.module)?))
    }

    /// Threads a block of this kernel may have: `.maxntid` or the limit of every card.
    pub fn max_threads(info: &KernelInfo) -> u32 {
        let declared = info.required_threads.or(info.max_threads);
        declared.map_or(MAX_THREADS, |[x, y, z]| {
            x.saturating_mul(y).saturating_mul(z).clamp(1, MAX_THREADS)
        })
    }

    /// `cuFuncGetAttribute`.
    ///
    /// # Errors
    /// `INVALID_VALUE` for an unknown attribute.
    pub fn function_attribute(&self, id: Id<Function>, attribute: u32) -> Result<i32> {
        let (function, loaded) = self.function(id)?;
        let info = &function.info;
        let value = match attribute {
            0 => Self::max_threads(info),
            1 => info.static_shared_bytes,
            2 => 0, // constant bytes belong to the module here, not to a kernel
            3 => info.local_bytes,
            4 => info.registers,
            5 => loaded.target.1,
            6 => self.preset(loaded.context)?.sm(),
            7 => 0,
            8 => function.max_dynamic,
            9 => return Ok(function.carveout),
            10..=17 => 0, // clusters are outside the subset
            _ => return Err(CuError::INVALID_VALUE),
        };
        Ok(i32::try_from(value).unwrap_or(i32::MAX))
    }

    /// `cuFuncSetAttribute`: 8 is the dynamic shared memory a launch may ask for, 9 the carve-out.
    ///
    /// # Errors
    /// `INVALID_VALUE` past the card's limit or for an attribute that cannot be set.
    pub fn set_function_attribute(
        &mut self,
        id: Id<Function>,
        attribute: u32,
        value: i32,
    ) -> Result<()> {
        let (function, loaded) = self.function(id)?;
        let limit = self
            .preset(loaded.context)?
            .shared_optin
            .saturating_sub(function.info.static_shared_bytes);
        let function = self.functions.get_mut(id).ok_or(CuError::INVALID_HANDLE)?;
        match attribute {
            8 => {
                let value = u32::try_from(value).map_err(|_| CuError::INVALID_VALUE)?;
                if value > limit {
                    return Err(CuError::INVALID_VALUE);
                }
                function.max_dynamic = value;
            }
            9 if (-1..=100).contains(&value) => function.carveout = value,
            _ => return Err(CuError::INVALID_VALUE),
        }
        Ok(())
    }
}

/// The number in the first line that begins with a directive: `.version 8.5` is 85, `.target
/// sm_90a` is 90.
fn directive(text: &str, name: &str) -> u32 {
    let line = text.lines().find_map(|line| line.trim_start().strip_prefix(name));
    let digits: String = line
        .unwrap_or("")
        .chars()
        .take_while(|&c| c != ',')
        .filter(char::is_ascii_digit)
        .take(4)
        .collect();
    digits.parse().unwrap_or(0)
}
