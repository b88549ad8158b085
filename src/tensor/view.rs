//! A tensor as an address: offset, shape, pitch.

use std::ops::Range;

use super::{Elem, Shape};
use crate::error::{Error, Result};

/// The place of a tensor in the arena.
///
/// Element (n, h, w, c) is at `at + ((n * H + h) * W + w) * pitch + c`. Neighbouring pixels are
/// `pitch` elements apart, so a run of channels of a View is a View too: that is how a skip
/// connection is stored in the halves of one buffer without a copy. Plain numbers: no lifetime, no
/// owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct View {
    /// Offset of the first element from the start of the arena, in elements of `elem`.
    pub at: usize,
    /// Extents.
    pub shape: Shape,
    /// Elements from one pixel to the next; at least `shape.c`.
    pub pitch: usize,
    /// The type of an element.
    pub elem: Elem,
}

impl View {
    /// A View of f32 without gaps at `at`.
    pub const fn dense(at: usize, shape: Shape) -> Self {
        View { at, shape, pitch: shape.c, elem: Elem::F32 }
    }

    /// A View without gaps whose first element lies `unit` units of 4 bytes from the start of the
    /// arena.
    pub const fn dense_of(elem: Elem, unit: usize, shape: Shape) -> Self {
        View { at: unit * 4 / elem.size(), shape, pitch: shape.c, elem }
    }

    /// Bytes from the start of the arena to the first element.
    pub const fn byte(self) -> usize {
        self.at * self.elem.size()
    }

    /// The channels `range` of every pixel.
    ///
    /// # Errors
    /// [`Error::Shape`] where the range is empty or ends past the channels.
    pub fn channels(self, range: Range<usize>) -> Result<View> {
        if range.start >= range.end || range.end > self.shape.c {
            return Err(Error::shape(
                "view",
                format!("channels {range:?} of a view of {} channels", self.shape.c),
            ));
        }
        let shape = Shape { c: range.end - range.start, ..self.shape };
        Ok(View { at: self.at + range.start, shape, ..self })
    }

    /// The pictures `range` of the batch.
    ///
    /// # Errors
    /// [`Error::Shape`] where the range is empty or ends past the batch.
    pub fn pictures(self, range: Range<usize>) -> Result<View> {
        if range.start >= range.end || range.end > self.shape.n {
            return Err(Error::shape(
                "view",
                format!("pictures {range:?} of a batch of {}", self.shape.n),
            ));
        }
        let at = self.at + range.start * self.shape.h * self.shape.w * self.pitch;
        let shape = Shape { n: range.end - range.start, ..self.shape };
        Ok(View { at, shape, ..self })
    }

    /// True where pixels follow each other without gaps.
    pub const fn is_dense(self) -> bool {
        self.pitch == self.shape.c
    }

    /// From the first element to one past the last, gaps included, in elements of `elem`.
    pub const fn span(self) -> Range<usize> {
        let pixels = self.shape.pixels();
        let len = if pixels == 0 { 0 } else { (pixels - 1) * self.pitch + self.shape.c };
        self.at..self.at + len
    }

    /// True where the two share an element.
    ///
    /// Views of one type and pitch, as all views of one buffer are, are compared channel by
    /// channel; others by the bytes they span.
    pub fn overlaps(self, other: View) -> bool {
        let bytes = |v: View| v.byte()..v.span().end * v.elem.size();
        let (a, b) = (bytes(self), bytes(other));
        if a.start >= b.end || b.start >= a.end {
            return false;
        }
        if self.pitch != other.pitch || self.elem != other.elem {
            return true;
        }
        let (x, y) = (self.at % self.pitch, other.at % self.pitch);
        // A slice never wraps past its pitch, so two slices of one buffer meet only where their
        // channel ranges do.
        let wraps = |at: usize, c: usize| at + c > self.pitch;
        if wraps(x, self.shape.c) || wraps(y, other.shape.c) {
            return true;
        }
        x < y + other.shape.c && y < x + self.shape.c
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves_of_one_buffer_do_not_overlap() {
        let whole = View::dense(96, Shape::new(2, 3, 3, 8));
        let (a, b) = (whole.channels(0..4).unwrap(), whole.channels(4..8).unwrap());
        assert!(!a.overlaps(b) && !b.overlaps(a));
        assert!(a.overlaps(whole) && whole.overlaps(b));
        assert!(a.overlaps(whole.channels(3..5).unwrap()));
        assert_eq!(b.span().end, whole.span().end);
    }

    #[test]
    fn pictures_of_a_slice_are_where_they_are() {
        let slice = View::dense(96, Shape::new(3, 2, 2, 8)).channels(2..5).unwrap();
        let last = slice.pictures(2..3).unwrap();
        assert_eq!((last.at, last.shape), (96 + 2 * 4 * 8 + 2, Shape::new(1, 2, 2, 3)));
        assert!(!slice.pictures(0..2).unwrap().overlaps(last));
        assert!(slice.pictures(1..4).is_err() && slice.pictures(1..1).is_err());
    }

    #[test]
    fn a_slice_past_the_channels_is_refused() {
        let whole = View::dense(0, Shape::new(1, 1, 1, 8));
        assert!(whole.channels(4..9).is_err());
        assert!(whole.channels(4..4).is_err());
    }
}
