//! The extents of a tensor.

use std::fmt;

/// Extents of an NHWC tensor, channels fastest in memory.
///
/// Filters read (k, r, s, c): output channels, rows, columns, input channels. Vectors are
/// (1, 1, 1, c), scalars (1, 1, 1, 1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Shape {
    /// Images in the batch (or filters).
    pub n: usize,
    /// Rows.
    pub h: usize,
    /// Columns.
    pub w: usize,
    /// Channels.
    pub c: usize,
}

impl Shape {
    /// A tensor of `n` pictures of `h` x `w` pixels with `c` channels.
    pub const fn new(n: usize, h: usize, w: usize, c: usize) -> Self {
        Shape { n, h, w, c }
    }

    /// A vector of `c` elements: (1, 1, 1, c).
    pub const fn vector(c: usize) -> Self {
        Shape::new(1, 1, 1, c)
    }

    /// A single number: (1, 1, 1, 1).
    pub const SCALAR: Shape = Shape::vector(1);

    /// Number of elements, n * h * w * c.
    pub const fn count(self) -> usize {
        self.n * self.h * self.w * self.c
    }

    /// Number of pixels over the whole batch, n * h * w.
    pub const fn pixels(self) -> usize {
        self.n * self.h * self.w
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "{}x{}x{}x{}", self.n, self.h, self.w, self.c)
    }
}
