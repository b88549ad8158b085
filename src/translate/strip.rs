//! A large picture on its way through tiles: cut out of windows, put together to strips, handed on in rows.

use super::grid::{Steps, mixed};
use crate::data::{Image, Mask, mirrored};
use crate::error::Result;
use crate::tensor::Samples;

/// What a tile is cut from: a window (x, y, width, height) of the prepared picture, and which of its pixels count.
pub(super) type Window<'a> = dyn FnMut([usize; 4]) -> Result<(Image, Option<Mask>)> + 'a;
/// Takes finished lines of numbers, which of their pixels count, and how many lines they are.
type Finished<'a> = dyn FnMut(&[f32], Option<Mask>, usize) -> Result<()> + 'a;

/// Where tiles are cut from: the picture, padded by reflection.
pub(super) struct Taken<'a, 'b> {
    pub size: [usize; 2],
    pub computed: [usize; 2],
    pub window: &'a mut Window<'b>,
}

impl Taken<'_, '_> {
    /// The tile of this width and height whose upper left corner is there in the padded picture.
    pub fn tile(
        &mut self,
        corner: [usize; 2],
        extent: [usize; 2],
    ) -> Result<(Image, Option<Mask>)> {
        let [columns, rows] = [0, 1].map(|axis| {
            let pixels = corner[axis]..corner[axis] + extent[axis];
            let of = |i| mirrored(i, self.size[axis], self.computed[axis]);
            pixels.map(of).collect::<Vec<usize>>()
        });
        let ends = |all: &[usize]| {
            let low = all.iter().copied().min().unwrap_or(0);
            (low, all.iter().copied().max().unwrap_or(0) + 1 - low)
        };
        let ((x, width), (y, height)) = (ends(&columns), ends(&rows));
        let (image, mask) = (self.window)([x, y, width, height])?;
        let from =
            |all: Vec<usize>, low: usize| all.into_iter().map(|i| i - low).collect::<Vec<_>>();
        let (columns, rows) = (from(columns, x), from(rows, y));
        let mask = mask.map(|mask| mask.gather(&columns, &rows));
        Ok((image.gather(&columns, &rows), mask))
    }
}

/// A row of tiles, across the padded picture.
pub(super) struct Strip {
    width: usize,
    lines: usize,
    channels: usize,
    values: Vec<f32>,
    /// 1 for pixels that count; empty if all do.
    counts: Vec<u8>,
}

impl Strip {
    pub fn new(width: usize, lines: usize, channels: usize) -> Strip {
        Strip {
            width,
            lines,
            channels,
            values: vec![0.0; width * lines * channels],
            counts: Vec::new(),
        }
    }

    /// Adds a tile to the right of those before.
    pub fn add(&mut self, left: usize, tile: &[f32], shares: &[f32]) {
        let c = self.channels;
        for (line, row) in tile.chunks_exact(shares.len() * c).enumerate() {
            let at = (line * self.width + left) * c;
            let pixels =
                self.values[at..at + row.len()].chunks_exact_mut(c).zip(row.chunks_exact(c));
            for ((to, from), &share) in pixels.zip(shares) {
                to.iter_mut().zip(from).for_each(|(to, &from)| *to = mixed(*to, from, share));
            }
        }
    }

    /// Notes which pixels of a tile count.
    pub fn count(&mut self, left: usize, mask: &Mask) {
        if self.counts.is_empty() {
            self.counts = vec![1; self.width * self.lines];
        }
        let Samples::U8(mask_counts) = &mask.samples else { return };
        for (line, row) in mask_counts.chunks_exact(mask.width).enumerate() {
            let at = line * self.width + left;
            self.counts[at..at + row.len()].copy_from_slice(row);
        }
    }
}

/// The output from top to bottom: what is finished, and what the next row of tiles may still change.
pub(super) struct Rows {
    size: [usize; 2],
    computed: [usize; 2],
    channels: usize,
    borders: [Vec<usize>; 2],
    /// From the first line of the row of tiles that is at work.
    strip: Strip,
    /// The line above the next that is emitted.
    above: Vec<f32>,
    pub steps: Steps,
}

impl Rows {
    pub fn new(
        size: [usize; 2],
        computed: [usize; 2],
        channels: usize,
        borders: [Vec<usize>; 2],
    ) -> Rows {
        let strip = Strip::new(computed[0], 0, channels);
        let (above, steps) = (Vec::new(), Steps::default());
        Rows { size, computed, channels, borders, strip, above, steps }
    }

    /// Passes from the lines that are left over from the row of tiles before into `strip`, which begins at line
    /// `top`; the next one begins at `next`.
    pub fn take(
        &mut self,
        mut strip: Strip,
        top: usize,
        next: usize,
        share: impl Fn(usize) -> f32,
    ) {
        debug_assert!(top < next);
        let row = strip.width * strip.channels;
        for (line, before) in self.strip.values.chunks_exact(row).enumerate() {
            let share = share(line);
            let here = &mut strip.values[line * row..(line + 1) * row];
            here.iter_mut().zip(before).for_each(|(to, &before)| *to = mixed(before, *to, share));
        }
        self.strip = strip;
    }

    /// Hands out the lines from `top` to `next`, without the padding, and keeps those below.
    pub fn emit(&mut self, top: usize, next: usize, to: &mut Finished) -> Result<()> {
        let [width, height] = self.size;
        let [left, above] = [0, 1].map(|axis| (self.computed[axis] - self.size[axis]) / 2);
        let (c, whole) = (self.channels, self.strip.width);
        let (from, until) = (top.max(above), next.min(above + height));
        // A few lines at a time: a strip may be most of the memory.
        const LINES: usize = 32;
        for first in (from..until).step_by(LINES) {
            let lines = LINES.min(until - first);
            let mut values = Vec::with_capacity(lines * width * c);
            let mut counts = Vec::new();
            for y in first..first + lines {
                let at = (y - top) * whole + left;
                self.count_steps(at * c, y, left);
                values.extend_from_slice(&self.strip.values[at * c..(at + width) * c]);
                if !self.strip.counts.is_empty() {
                    counts.extend_from_slice(&self.strip.counts[at..at + width]);
                }
            }
            let mask = (!counts.is_empty()).then(|| Image {
                height: lines,
                width,
                channels: 1,
                samples: counts.into(),
            });
            to(&values, mask, lines)?;
        }
        let done = next - top;
        // Not drained: that keeps the memory of the whole strip beside the next one.
        self.strip.values = self.strip.values[done * whole * c..].to_vec();
        self.strip.counts.clear();
        self.strip.lines -= done;
        Ok(())
    }

    /// Counts the steps of line `y`, whose first number is `at` in the strip, and those to the line above.
    fn count_steps(&mut self, at: usize, y: usize, left: usize) {
        let (c, steps) = (self.channels, &mut self.steps);
        let line = &self.strip.values[at..at + self.size[0] * c];
        let [columns, rows] = &self.borders;
        let mut borders = columns.iter().peekable();
        for (x, pair) in line.windows(2 * c).step_by(c).enumerate() {
            let at = left + x + 1;
            while borders.next_if(|border| **border < at).is_some() {}
            let border = borders.peek().is_some_and(|border| **border == at);
            (0..c).for_each(|k| steps.add(pair[k], pair[c + k], border));
        }
        let border = rows.contains(&y);
        if !self.above.is_empty() {
            self.above.iter().zip(line).for_each(|(&a, &b)| steps.add(a, b, border));
        }
        self.above.clear();
        self.above.extend_from_slice(line);
    }
}
