//! One error type for the whole crate: what went wrong, where, and what to do about it.
//!
//! Every message is one sentence that a user can act on; settings stand in it by their names in
//! [`RunConfig`](crate::train::RunConfig) and its like, in backticks. [`Error::exit_code`] tells the two kinds
//! apart that a script cares about: 1 for input that must be changed, 2 for a file or a machine
//! that failed.

use std::fmt::{self, Debug, Display};
use std::path::{Path, PathBuf};

use crate::tensor::Shape;

/// The result of everything that can fail here.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What can go wrong, grouped by cause. Printed by `{:?}` it is the same sentence as by `{}`, so that
/// `fn main() -> pix2pix_engine::Result<()>` tells a user what to do.
#[derive(thiserror::Error)]
pub enum Error {
    /// Something the user gave is wrong: a flag, a picture, a data folder, a model file.
    #[error("{0}")]
    Input(String),
    /// A file or folder could not be read or written.
    #[error("cannot {action} {}: {cause}", path.display())]
    File {
        /// What was tried: "read", "write", "create", ...
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// What the operating system, or the decoder, said.
        cause: String,
    },
    /// Shapes that do not fit an operation, found when the operation is recorded.
    #[error("{op}: {detail}")]
    Shape {
        /// The operation, as it is named in a printed program.
        op: &'static str,
        /// Both shapes and what was expected of them.
        detail: String,
    },
    /// The machine lacks something: memory, a driver, a device.
    #[error("{0}")]
    Machine(String),
}

impl Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        Display::fmt(self, f)
    }
}

impl Error {
    /// An [`Error::Input`] from a full sentence that says what, where and what to do.
    pub fn input(message: impl Into<String>) -> Self {
        Error::Input(message.into())
    }

    /// An [`Error::Machine`] from a full sentence.
    pub fn machine(message: impl Into<String>) -> Self {
        Error::Machine(message.into())
    }

    /// An [`Error::File`]: `action` is an infinitive such as "read".
    pub fn file(action: &'static str, path: &Path, cause: impl Display) -> Self {
        Error::File { action, path: path.to_path_buf(), cause: cause.to_string() }
    }

    /// An [`Error::Shape`] with free text.
    pub fn shape(op: &'static str, detail: impl Into<String>) -> Self {
        Error::Shape { op, detail: detail.into() }
    }

    /// An operation got a wrong number of inputs.
    pub fn arity(op: &'static str, expected: usize, got: usize) -> Self {
        Error::shape(op, format!("takes {expected} inputs, got {got}"))
    }

    /// The channels of `x` do not fit those of `w`.
    pub fn channels(op: &'static str, x: Shape, expects: usize, w: Shape) -> Self {
        Error::shape(
            op,
            format!("x has {} channels, filter expects {expects} (x {x}, filter {w})", x.c),
        )
    }

    /// Exit code of the program: 1 for wrong input, 2 for a machine or a file that failed.
    pub fn exit_code(&self) -> u8 {
        match self {
            Error::Input(_) | Error::Shape { .. } => 1,
            Error::File { .. } | Error::Machine(_) => 2,
        }
    }
}
