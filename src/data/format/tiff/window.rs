//! Parts of a page, from the strips or tiles that they touch.

use super::super::{FileSource, FormatError};
use super::layout::Layout;
use crate::data::{Image, PixelFormat, WindowSource};
use crate::error::{Error, Result};
use crate::tensor::{SampleSlice, Samples};

/// A page that is read by windows. The chunks that the last window touched are kept: windows beside or below
/// each other share them.
pub struct Windows {
    layout: Layout,
    source: Box<dyn FileSource + Send>,
    kept: Vec<([usize; 3], Samples)>,
    rounded: usize,
}

impl Windows {
    /// The windows of a page.
    pub fn new(layout: Layout, source: Box<dyn FileSource + Send>) -> Self {
        Windows { layout, source, kept: Vec::new(), rounded: 0 }
    }
}

impl WindowSource for Windows {
    fn size(&self) -> [usize; 2] {
        [self.layout.width, self.layout.height]
    }

    fn format(&self) -> PixelFormat {
        PixelFormat { channels: self.layout.channels, samples: self.layout.stored.held() }
    }

    fn read(&mut self, x: usize, y: usize, width: usize, height: usize) -> Result<Image> {
        let layout = &self.layout;
        let PixelFormat { channels, samples } = self.format();
        let mut image = Image {
            height,
            width,
            channels,
            samples: Samples::zeros(samples, width * height * channels),
        };
        let (cw, ch) = (layout.chunk_width, layout.chunk_height);
        let mut touched = Vec::new();
        for plane in 0..if layout.planar { channels } else { 1 } {
            for down in y / ch..(y + height).div_ceil(ch) {
                for across in x / cw..(x + width).div_ceil(cw) {
                    let at = [across, down, plane];
                    let known = self.kept.iter().position(|(of, _)| *of == at);
                    let samples = match known {
                        Some(i) => self.kept.swap_remove(i).1,
                        None => {
                            let read = layout.chunk(&mut *self.source, at);
                            let (samples, rounded) = read.map_err(damaged)?;
                            self.rounded += rounded;
                            samples
                        }
                    };
                    layout.place(&samples, at, &mut image, [x, y]);
                    touched.push((at, samples));
                }
            }
        }
        self.kept = touched;
        Ok(image)
    }

    fn rounded(&self) -> usize {
        self.rounded
    }
}

fn damaged(error: FormatError) -> Error {
    Error::input(match error {
        FormatError::CutShort => {
            "a strip or tile of the TIFF ends early: copy it again".to_string()
        }
        FormatError::Failed(cause) | FormatError::Unsupported(cause) => {
            format!("a strip or tile of the TIFF is damaged ({cause}): copy it again")
        }
        FormatError::TooLarge | FormatError::Metadata => {
            "a strip or tile of the TIFF is too large: save it with smaller ones".to_string()
        }
    })
}

impl Layout {
    /// Copies what a chunk and an image have in common; the image's upper left corner is at (`x`, `y`) of the
    /// page.
    pub fn place(
        &self,
        chunk: &Samples,
        [across, down, plane]: [usize; 3],
        image: &mut Image,
        [x, y]: [usize; 2],
    ) {
        let (left, top) = (across * self.chunk_width, down * self.chunk_height);
        let right = (left + self.chunk_width).min(self.width).min(x + image.width);
        let bottom = (top + self.chunk_rows(down)).min(self.height).min(y + image.height);
        let (from_x, from_y) = (left.max(x), top.max(y));
        if from_x >= right {
            return;
        }
        let (of_chunk, channels) = (self.chunk_channels(), image.channels);
        let row = self.chunk_width * of_chunk;
        let count = right - from_x;
        for line in from_y..bottom {
            let from = (line - top) * row + (from_x - left) * of_chunk;
            let to = ((line - y) * image.width + from_x - x) * channels;
            let part = chunk.as_slice().part(from..from + count * of_chunk);
            if self.planar {
                scatter(part, &mut image.samples, to + plane, channels);
            } else {
                image.samples.copy_at(to, part);
            }
        }
    }
}

/// Copies samples to every `step`th place from `at` on.
fn scatter(from: SampleSlice, to: &mut Samples, at: usize, step: usize) {
    fn every<T: Copy>(from: &[T], to: &mut [T], step: usize) {
        to.iter_mut().step_by(step).zip(from).for_each(|(to, &from)| *to = from);
    }
    match (from, to) {
        (SampleSlice::U8(from), Samples::U8(to)) => every(from, &mut to[at..], step),
        (SampleSlice::U16(from), Samples::U16(to)) => every(from, &mut to[at..], step),
        (SampleSlice::F32(from), Samples::F32(to)) => every(from, &mut to[at..], step),
        _ => unreachable!("chunks of a page have one type"),
    }
}
