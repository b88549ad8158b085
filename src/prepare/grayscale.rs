//! Grey, as inputs of a model that colours pictures.

use super::{Made, Put, Tool, Work, other_pages};
use crate::data::{Attributes, Colours, Look, Notes, PictureStack, colours};
use crate::error::{Error, Result};
use crate::tensor::SampleType;

/// The luma of Rec. 601, `0.299 r + 0.587 g + 0.114 b`, rounded, with the depth of the picture, 8 or 16 bits; alpha
/// is kept. A picture that is grey stays as it is.
#[derive(Clone, Copy, Debug, Default)]
pub struct Grayscale;

impl Tool for Grayscale {
    fn make(&self, work: &Work, put: Put) -> Result<()> {
        let stack = PictureStack::read(&work.file)?;
        let (header, lost) = (stack.header, other_pages(&stack.header));
        let name = work.name.clone();
        match header.colours {
            Colours::Grey => {
                let PictureStack { pages, attributes, .. } = stack;
                return put(Made { name, pages, attributes, lost }, None);
            }
            Colours::Rgb | Colours::Palette => {}
            Colours::Other => {
                return Err(Error::input(format!(
                    "{} has {}, of which nothing says what is red, green and blue: save it as RGB",
                    work.file.display(),
                    header.describe()
                )));
            }
        }
        let samples = match stack.pages[0].samples.sample_type() {
            SampleType::U16 => SampleType::U16,
            _ => SampleType::U8,
        };
        let of_colours = &stack.attributes;
        let attributes = Attributes {
            bits: of_colours.bits.filter(|&bits| bits > 8),
            place: of_colours.place.clone(),
            ..Attributes::new(header.stored)
        };
        let look = Look { rgb: false, alpha: header.alpha, samples };
        let grey = stack.into_pictures().map(|picture| colours(picture, look, &work.file));
        let (pages, notes): (_, Vec<Notes>) = grey.collect::<Result<Vec<_>>>()?.into_iter().unzip();
        // It is what was asked for.
        let notes = notes.first().map(|notes| Notes { grey: false, ..*notes });
        put(Made { name, pages, attributes, lost }, notes)
    }
}
