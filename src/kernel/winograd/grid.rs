//! The tiles of a picture, and the positions that their windows cover.

use super::super::Conv;
use crate::tensor::{Shape, View};

/// Tiles of a batch of grids of `h` x `w` outputs.
#[derive(Clone, Copy)]
pub(super) struct TileGrid {
    pub(super) n: usize,
    pub(super) rows: usize,
    pub(super) cols: usize,
}

impl TileGrid {
    pub(super) fn new(n: usize, h: usize, w: usize, m: usize) -> Self {
        TileGrid { n, rows: h.div_ceil(m), cols: w.div_ceil(m) }
    }

    /// Tiles of m x m positions over the picture `x` with its parities stacked.
    pub(super) fn over(x: Shape, conv: Conv, m: usize) -> Self {
        let positions = |len: usize| (len + conv.pad).div_ceil(conv.stride);
        TileGrid::new(x.n, positions(x.h), positions(x.w), m)
    }

    pub(super) fn tiles(self) -> usize {
        self.n * self.rows * self.cols
    }
}

/// A picture whose parities are stacked as channels, by address alone: position (i, j) of parity
/// (e, f) is pixel (i * stride + e - pad, j * stride + f - pad).
#[derive(Clone, Copy)]
pub(super) struct Stacked {
    pub(super) view: View,
    pub(super) stride: usize,
    pub(super) pad: usize,
}

impl Stacked {
    /// A picture with a single parity: itself.
    pub(super) fn plain(view: View) -> Self {
        Stacked { view, stride: 1, pad: 0 }
    }

    pub(super) fn of(conv: Conv, view: View) -> Self {
        Stacked { view, stride: conv.stride, pad: conv.pad }
    }

    pub(super) fn channels(self) -> usize {
        self.stride * self.stride * self.view.shape.c
    }

    /// Address of position (i, j) of a parity, relative to the view, if it is inside the picture.
    #[inline(always)]
    pub(super) fn at(self, n: usize, i: isize, j: isize, parity: usize) -> Option<usize> {
        let (e, f) = (parity / self.stride, parity % self.stride);
        let h = i * self.stride as isize + e as isize - self.pad as isize;
        let w = j * self.stride as isize + f as isize - self.pad as isize;
        let shape = self.view.shape;
        let inside = h >= 0 && w >= 0 && h < shape.h as isize && w < shape.w as isize;
        inside.then(|| ((n * shape.h + h as usize) * shape.w + w as usize) * self.view.pitch)
    }
}

/// Splits `data`, which holds one [tiles x channels] matrix after another, by rows of tiles: for
/// every row of tiles one slice of each matrix.
pub(super) fn by_tile_row(
    data: &mut [f32],
    grid: TileGrid,
    channels: usize,
) -> Vec<Vec<&mut [f32]>> {
    let mut rows: Vec<Vec<&mut [f32]>> = (0..grid.n * grid.rows).map(|_| Vec::new()).collect();
    for matrix in data.chunks_exact_mut(grid.tiles() * channels) {
        for (row, part) in rows.iter_mut().zip(matrix.chunks_exact_mut(grid.cols * channels)) {
            row.push(part);
        }
    }
    rows
}
