//! What is taken of an image.

/// A part of an image, and whether it is mirrored. Its extents are those of where it goes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Crop {
    /// Columns left of the part.
    pub x: usize,
    /// Rows above the part.
    pub y: usize,
    /// Left and right exchanged, after the crop.
    pub flip: bool,
}
