//! Edges, as inputs of a model that fills drawings in.

use std::path::Path;

use image::GrayImage;
use imageproc::edges::canny;

use super::{Made, Put, Tool, Work, other_pages};
use crate::data::{Attributes, Image, Look, Notes, Picture, PictureStack, StoredType, colours};
use crate::error::Result;
use crate::tensor::Samples;

/// Canny's edges of the picture as 8-bit grey, of one pixel's width, black on white: `imageproc::edges::canny`,
/// which smooths by a Gaussian of deviation 1.4, takes Sobel's gradient, thins it, and follows edges from above
/// `high` down to `low`.
///
/// The edges2photos sets of the paper were made by another detector, HED (a trained network, whose lines are thick
/// and leave texture out), and thinned: a model trained on those sees other lines than these.
///
/// Source: J. Canny, A Computational Approach to Edge Detection, PAMI 1986.
#[derive(Clone, Copy, Debug)]
pub struct Edges {
    /// Length of a gradient, of 0 to about 1,140, at which an edge ends.
    pub low: f32,
    /// Length of a gradient from which an edge begins; at least `low`.
    pub high: f32,
}

impl Edges {
    fn of(&self, picture: Picture, path: &Path) -> Result<(Image, Notes)> {
        let (grey, mut notes) = colours(picture, Look { rgb: false, ..Look::RGB }, path)?;
        // Nobody expects colours here.
        notes.grey = false;
        let (width, height) = (grey.width, grey.height);
        let Samples::U8(samples) = grey.samples else { unreachable!("asked for 8 bits") };
        let grey = GrayImage::from_raw(width as u32, height as u32, samples);
        let edges =
            canny(&grey.expect("as many samples as pixels"), self.low, self.high).into_raw();
        let edges: Vec<u8> = edges.into_iter().map(|v| u8::MAX - v).collect();
        Ok((Image::new(width, height, 1, edges)?, notes))
    }
}

impl Tool for Edges {
    fn make(&self, work: &Work, put: Put) -> Result<()> {
        let stack = PictureStack::read(&work.file)?;
        let (place, lost) = (stack.attributes.place.clone(), other_pages(&stack.header));
        let edges = stack.into_pictures().map(|picture| self.of(picture, &work.file));
        let (pages, notes): (_, Vec<Notes>) =
            edges.collect::<Result<Vec<_>>>()?.into_iter().unzip();
        let attributes = Attributes { place, ..Attributes::new(StoredType::U8) };
        put(Made { name: work.name.clone(), pages, attributes, lost }, notes.first().copied())
    }
}
