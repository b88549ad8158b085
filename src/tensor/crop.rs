//! The part of an image that a network sees.

/// The position of a part of an image, and whether it is mirrored. The part has the height and
/// width of its destination.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Crop {
    /// Columns left of the part.
    pub x: usize,
    /// Rows above the part.
    pub y: usize,
    /// Mirrored left to right, after the crop.
    pub flip: bool,
}
