//! The kinds of pictures on one side of a data set, counted from their headers.

use std::path::{Path, PathBuf};

use super::{Colours, ImageHeader, StoredType};

/// What tells two kinds of pictures apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kind {
    /// Samples of a pixel, with alpha; 1 for a palette.
    pub channels: usize,
    /// Their type.
    pub stored: StoredType,
    /// What they mean.
    pub colours: Colours,
    /// Whether the last one is opacity.
    pub alpha: bool,
}

impl Kind {
    fn of(header: &ImageHeader, stacked: bool) -> Kind {
        let ImageHeader { channels, stored, colours, alpha, pages, .. } = *header;
        if stacked && pages > 1 {
            return Kind {
                channels: channels * pages,
                stored,
                colours: Colours::Other,
                alpha: false,
            };
        }
        Kind { channels, stored, colours, alpha }
    }

    /// Whether it is light of 8 or 16 bits: grey, RGB or a palette.
    pub fn is_light(self) -> bool {
        self.colours != Colours::Other && matches!(self.stored, StoredType::U8 | StoredType::U16)
    }
}

/// "3 channels of u16", "a palette".
impl std::fmt::Display for Kind {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        let s = if self.channels == 1 { "" } else { "s" };
        match self.colours {
            Colours::Palette => f.write_str("a palette"),
            _ => write!(f, "{} channel{s} of {}", self.channels, self.stored),
        }
    }
}

/// All kinds of one side, each with the number of its files and one of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Kinds(Vec<(Kind, usize, PathBuf)>);

impl Kinds {
    /// Counts a file; `stacked` says whether its pages are channels.
    pub fn add(&mut self, header: &ImageHeader, stacked: bool, path: &Path) {
        let kind = Kind::of(header, stacked);
        match self.0.iter_mut().find(|(other, ..)| *other == kind) {
            Some((_, files, _)) => *files += 1,
            None => self.0.push((kind, 1, path.to_path_buf())),
        }
    }

    /// Each kind, with a file of it.
    pub fn each(&self) -> impl Iterator<Item = (Kind, &Path)> {
        self.0.iter().map(|(kind, _, path)| (*kind, path.as_path()))
    }

    /// Whether all are so.
    pub fn all(&self, is: impl Fn(Kind) -> bool) -> bool {
        self.0.iter().all(|(kind, ..)| is(*kind))
    }
}
