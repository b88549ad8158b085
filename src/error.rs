//! One error type for the whole crate: what went wrong, where, and what to do about it.
//!
//! Every message is one sentence that a user can act on. It names settings in backticks, as the
//! fields of [`RunConfig`](crate::train::RunConfig) and other options are called; the program shows
//! its flags instead. [`Error::exit_code`] distinguishes input that must be changed from a failure
//! of a file or a machine.

use std::fmt::{self, Debug, Display};
use std::path::{Path, PathBuf};

use crate::printable::printable;
use crate::tensor::Shape;

/// The result of everything that can fail here.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What can go wrong, grouped by cause. `{:?}` prints the same sentence as `{}`, so that a
/// `fn main() -> pix2pix_engine::Result<()>` reports it legibly.
#[derive(thiserror::Error)]
pub enum Error {
    /// Wrong input: a setting, an image, a data folder, a model file.
    #[error("{}", settings::quoted(_0))]
    Input(String),
    /// Numbers that a network computed are NaN or infinite.
    #[error("{}", settings::quoted(_0))]
    NotFinite(String),
    /// A file or folder could not be read or written.
    #[error("cannot {action} {}: {}", printable(&path.to_string_lossy()), printable(cause))]
    File {
        /// What was tried: "read", "write", "create", ...
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// What the operating system, or the decoder, said.
        cause: String,
    },
    /// Shapes that do not fit an operation, found when the operation is recorded.
    #[error("{op}: {}", settings::quoted(detail))]
    Shape {
        /// The operation, as it is named in a printed program.
        op: &'static str,
        /// Both shapes and what was expected of them.
        detail: String,
    },
    /// The machine lacks something, such as memory, a driver or a device, or failed.
    #[error("{}", settings::quoted(_0))]
    Machine(String),
}

/// A sentence that a user should know, and that stops nothing. It names settings as an [`Error`] does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Warning(String);

impl Warning {
    /// From a full sentence.
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Warning(message.into())
    }

    /// The sentence with its settings between [`settings::MARKS`].
    #[cfg(feature = "cli")]
    pub(crate) fn marked(&self) -> &str {
        &self.0
    }
}

impl Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(&settings::quoted(&self.0))
    }
}

/// The settings that messages name. In a message a setting stands between two characters that no
/// other text has, so that a path or a file's text is never taken for one; `settings::quoted` shows them.
pub(crate) mod settings {
    /// Before the name of a setting, and behind it: from Unicode's private use area.
    pub const MARKS: [char; 2] = ['\u{e000}', '\u{e001}'];

    macro_rules! settings {
        ($($constant:ident = $name:literal,)+) => {
            $(pub const $constant: &str = concat!("\u{e000}", $name, "\u{e001}");)+
        };
    }
    settings! {
        BASE_CHANNELS = "base_channels",
        BATCH_SIZE = "batch_size",
        BENCH = "bench",
        BETA1 = "beta1",
        DEVICE = "device",
        DISCRIMINATOR_CHANNELS = "discriminator_channels",
        DISTANCE = "distance",
        FILL = "fill",
        GAN = "gan",
        INIT_DISCRIMINATOR = "init_discriminator",
        LAMBDA = "lambda",
        LR = "lr",
        NORM = "norm",
        NODATA = "nodata",
        OUT = "out",
        PALETTE = "palette",
        PATCH = "patch",
        PRECISION = "precision",
        RANGE_A = "range_a",
        RANGE_B = "range_b",
        RESUME = "resume",
        SAVE_MINUTES = "save_minutes",
        SCALE = "scale",
        TILE = "tile",
        SIZE = "size",
        SKIP_BAD = "skip_bad",
        THREADS = "threads",
    }

    /// Ends a line of a message that lists several things; the next line is indented.
    pub const NEXT_LINE: char = '\u{e002}';

    /// A message with its settings in backticks. Control characters out of names and files are
    /// written as escapes, so that only a message itself begins a line.
    pub fn quoted(message: &str) -> String {
        lines(&message.replace(MARKS, "`"))
    }

    /// A message with its line ends, and with control characters written as escapes.
    pub fn lines(message: &str) -> String {
        crate::printable::printable(message).replace(NEXT_LINE, "\n    ")
    }
}

impl Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        Display::fmt(self, f)
    }
}

impl Error {
    /// The message with its settings between [`settings::MARKS`].
    #[cfg(feature = "cli")]
    pub(crate) fn marked(&self) -> String {
        match self {
            Error::Input(message) | Error::NotFinite(message) | Error::Machine(message) => {
                message.clone()
            }
            Error::Shape { op, detail } => format!("{op}: {detail}"),
            Error::File { .. } => self.to_string(),
        }
    }

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
    pub(crate) fn arity(op: &'static str, expected: usize, got: usize) -> Self {
        Error::shape(op, format!("takes {expected} inputs, got {got}"))
    }

    /// The channels of `x` do not fit those of `w`.
    pub(crate) fn channels(op: &'static str, x: Shape, expects: usize, w: Shape) -> Self {
        Error::shape(
            op,
            format!("x has {} channels, filter expects {expects} (x {x}, filter {w})", x.c),
        )
    }

    /// Exit code of the program: 1 for wrong input, 2 for a machine or a file that failed.
    pub fn exit_code(&self) -> u8 {
        match self {
            Error::Input(_) | Error::NotFinite(_) | Error::Shape { .. } => 1,
            Error::File { .. } | Error::Machine(_) => 2,
        }
    }
}
