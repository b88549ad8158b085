//! The two pictures of one that holds both, side by side.

use std::path::Path;

use super::{Made, Put, Tool, Work, halves, other_pages};
use crate::data::PictureStack;
use crate::error::Result;

/// Writes the left half below `A` and the right one below `B`: the inverse of [`Combine`](super::Combine).
#[derive(Clone, Copy, Debug, Default)]
pub struct Split;

impl Tool for Split {
    fn make(&self, work: &Work, put: Put) -> Result<()> {
        let PictureStack { pages, header, attributes } = PictureStack::read(&work.file)?;
        for (half, side) in halves(&pages, &work.file)?.into_iter().zip(["A", "B"]) {
            // B shows the place that A shows, as combined pictures have it.
            let (attributes, lost) = (attributes.clone(), other_pages(&header));
            put(
                Made { name: Path::new(side).join(&work.name), pages: half, attributes, lost },
                None,
            )?;
        }
        Ok(())
    }
}
