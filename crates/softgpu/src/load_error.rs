//! Why a module was not loaded, with the line of the PTX where there is one.

/// Why a module was not loaded.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LoadError {
    /// The text is not PTX.
    #[error("PTX line {line}: {message}")]
    Syntax {
        /// Line, from 1.
        line: u32,
        /// What was expected and found.
        message: String,
    },
    /// An instruction or directive outside the subset.
    #[error("PTX line {line}: {opcode} is outside softgpu's subset ({reason})")]
    Unsupported {
        /// Line, from 1.
        line: u32,
        /// Opcode with modifiers, or the directive.
        opcode: String,
        /// Which part is not known.
        reason: String,
    },
    /// `.target` names a newer architecture than the device.
    #[error("the PTX is for sm_{target}, the device is sm_{device}; compile for compute_{device}")]
    Target {
        /// Architecture of the PTX, e.g. 90.
        target: u32,
        /// Architecture of the device, e.g. 80.
        device: u32,
    },
    /// `.version` is newer than the driver.
    #[error(
        "the PTX is version {version:?}, the driver reads up to {driver:?}; use an older NVRTC"
    )]
    Version {
        /// Version of the text.
        version: (u32, u32),
        /// Newest version the driver reads.
        driver: (u32, u32),
    },
    /// The globals did not fit in device memory.
    #[error("the module's globals do not fit: {0}")]
    Memory(#[from] crate::mem::MemError),
}
