//! Pictures with holes, as inputs of a model that fills them.

use std::path::Path;

use super::{Made, Put, Tool, Work, other_pages};
use crate::data::{Attributes, Colours, Image, Look, Picture, PictureStack, StoredType, colours};
use crate::error::settings::FILL;
use crate::error::{Error, Result};
use crate::random::{Purpose, philox, uniform};
use crate::tensor::{Sample, SampleType, Samples, with_samples};

/// Fills rectangles with one value. Where they lie depends on the seed and the name of the picture alone. Sides are
/// between 1:2 and 2:1 of the picture's, so that `count` of them cover `share` of it together where they do not
/// overlap.
#[derive(Clone, Debug)]
pub struct Holes {
    /// How many.
    pub count: usize,
    /// Part of the picture that they cover, of 0 to 1.
    pub share: f64,
    /// One hole in the middle, whose proportions are the picture's.
    pub middle: bool,
    /// What they are filled with; by default the largest integer, which is white.
    pub fill: Option<f64>,
    /// Also write a picture of the holes, 255 in them and 0 elsewhere, below `masks` with the others below `pictures`.
    pub masks: bool,
    /// Seed of the places.
    pub seed: u64,
}

impl Holes {
    /// The rectangles of a picture: left, top, width, height.
    fn rectangles(&self, name: &Path, [width, height]: [usize; 2]) -> Vec<[usize; 4]> {
        let of_name = crc32fast::hash(name.to_string_lossy().replace('\\', "/").as_bytes());
        let each = self.share / self.count as f64;
        let hole = |i: usize| {
            let words = philox(self.seed, [of_name, i as u32, 0, Purpose::Holes as u32]);
            let [shape, x, y, _] = words.map(|word| f64::from(uniform(word)));
            let ratio = if self.middle { 1.0 } else { (2.0 * shape - 1.0).exp2() };
            // Of a share near 1 a ratio may be more than there is.
            let across = (each * ratio).sqrt().clamp(each, 1.0);
            let side = |share: f64, of: usize| ((share * of as f64).round() as usize).clamp(1, of);
            let (w, h) = (side(across, width), side(each / across, height));
            let at = |free: usize, u: f64| match self.middle {
                true => free / 2,
                false => ((u * (free + 1) as f64) as usize).min(free),
            };
            [at(width - w, x), at(height - h, y), w, h]
        };
        (0..self.count).map(hole).collect()
    }
}

impl Holes {
    /// Fills the holes of a page; returns the picture of them.
    fn fill(
        &self,
        image: &mut Image,
        holes: &[[usize; 4]],
        fill: f64,
        opaque: Option<f64>,
    ) -> Image {
        let (width, channels) = (image.width, image.channels);
        let mut mask = Image::filled(width, image.height, &[0]);
        let Samples::U8(of_mask) = &mut mask.samples else { unreachable!("made of bytes") };
        for &[x, y, w, h] in holes {
            for row in y..y + h {
                let part = row * width + x..row * width + x + w;
                of_mask[part.clone()].fill(u8::MAX);
                with_samples!(Samples, &mut image.samples, all => {
                    let part = &mut all[part.start * channels..part.end * channels];
                    part.fill(Sample::nearest(fill as f32));
                    if let Some(opaque) = opaque {
                        let alpha = part.iter_mut().skip(channels - 1).step_by(channels);
                        alpha.for_each(|a| *a = Sample::nearest(opaque as f32));
                    }
                });
            }
        }
        mask
    }
}

impl Tool for Holes {
    fn make(&self, work: &Work, put: Put) -> Result<()> {
        let mut stack = PictureStack::read(&work.file)?;
        let lost = other_pages(&stack.header);
        let mut notes = None;
        if stack.header.colours == Colours::Palette {
            // A hole needs a colour of its own.
            let look = Look { rgb: true, alpha: stack.header.alpha, samples: SampleType::U8 };
            for page in &mut stack.pages {
                let (header, attributes) = (stack.header, stack.attributes.clone());
                let picture = Picture { image: page.clone(), header, attributes };
                let (image, found) = colours(picture, look, &work.file)?;
                (*page, notes) = (image, Some(found));
            }
            stack.attributes = Attributes { bits: None, palette: None, ..stack.attributes };
        }
        let PictureStack { mut pages, header, attributes } = stack;
        let most = attributes.stored.bounds().map(|[_, high]| match attributes.bits {
            Some(bits) if bits < 16 => f64::from((1u32 << bits) - 1),
            _ => high,
        });
        let fill = self.fill.or(most).ok_or_else(|| {
            Error::input(format!(
                "{} has floats, of which none stands for a hole: name the value by {FILL}",
                work.file.display()
            ))
        })?;
        let [low, high] = attributes.stored.bounds().unwrap_or([f64::MIN, f64::MAX]);
        if !(low..=high).contains(&fill) {
            return Err(Error::input(format!(
                "{} has samples of {}, which cannot be {fill}: fill holes with {low} to {high}",
                work.file.display(),
                attributes.stored
            )));
        }
        let opaque = most.filter(|_| header.alpha);
        let holes = self.rectangles(&work.name, [pages[0].width, pages[0].height]);
        let masks = pages.iter_mut().map(|page| self.fill(page, &holes, fill, opaque)).collect();
        let name = |folder: &str| match self.masks {
            true => Path::new(folder).join(&work.name),
            false => work.name.clone(),
        };
        put(Made { name: name("pictures"), pages, attributes, lost }, notes)?;
        if self.masks {
            let attributes = Attributes::new(StoredType::U8);
            put(Made { name: name("masks"), pages: masks, attributes, lost: vec![] }, None)?;
        }
        Ok(())
    }
}
