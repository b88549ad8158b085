//! The command that a run ends with: it works as it is printed.

use std::path::Path;

use super::{program, quoted};
use crate::data::{Direction, Pair, PairSource};

/// `translate` with `model` on the input picture of `pair`, a pair of the user's own data.
pub fn translate(model: &Path, pair: &Pair, direction: Direction) -> String {
    let (picture, pairs) = match &pair.source {
        PairSource::SideBySide(path) => (path, " --pairs"),
        PairSource::Two { a, b } => (direction.order(a, b).0, ""),
    };
    format!("{} translate {} {}{pairs}", program(), quoted(model), quoted(picture))
}
