//! Pieces of pictures.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use super::{Made, Put, Tool, Work, other_pages};
use crate::data::{Attributes, Image, ImageHeader, PictureStack, PictureWindows};
use crate::error::{Error, Result};
use crate::one_of::one_of;
use crate::tensor::Size;

one_of! {
    /// Which pieces are cut out.
    pub enum CropAt {
        /// One in the middle.
        Middle = "middle",
        /// As many as cover the picture, row by row; the last of a row or column moves inward.
        Grid = "grid",
    }
}

/// Cuts pieces of one size out of pictures. A TIFF is read in parts, so that it may be larger than the memory.
#[derive(Clone, Copy, Debug)]
pub struct Crop {
    /// Height and width of a piece.
    pub size: Size,
    /// Which pieces.
    pub at: CropAt,
    /// Pixels that neighbours of a grid share at least.
    pub overlap: usize,
    /// Each picture is two, side by side: the same pieces of each half are put side by side.
    pub pairs: bool,
}

impl Crop {
    /// The first pixels of pieces of `piece` pixels of a side of `side`.
    fn begins(&self, side: usize, piece: usize) -> Vec<usize> {
        match self.at {
            CropAt::Middle => vec![(side - piece) / 2],
            CropAt::Grid => {
                let last = side - piece;
                let step = piece - self.overlap;
                (0..last).step_by(step).chain([last]).collect()
            }
        }
    }

    /// The corners and names of the pieces of a picture of this size.
    fn pieces(
        &self,
        [width, height]: [usize; 2],
        work: &Work,
    ) -> Result<Vec<([usize; 2], PathBuf)>> {
        let [across, down] = self.size.across();
        if width < across || height < down {
            return Err(Error::input(format!(
                "{} is {width}x{height}, too small for a piece of {across}x{down}: name a smaller size, or \
                 leave it out",
                work.file.display()
            )));
        }
        let (columns, rows) = (self.begins(width, across), self.begins(height, down));
        let digits = width.max(height).to_string().len();
        let mut all = Vec::with_capacity(columns.len() * rows.len());
        for &y in &rows {
            for &x in &columns {
                let name = match self.at {
                    CropAt::Middle => work.name.clone(),
                    CropAt::Grid => suffixed(&work.name, &format!("-y{y:0digits$}-x{x:0digits$}")),
                };
                all.push(([x, y], name));
            }
        }
        Ok(all)
    }

    /// The size of what is cut: the picture, or one of its halves.
    fn of(&self, [width, height]: [usize; 2], path: &Path) -> Result<[usize; 2]> {
        if self.pairs && !width.is_multiple_of(2) {
            return Err(Error::input(format!(
                "{} is {width} pixels wide, so it cannot be two pictures of one width side by side",
                path.display()
            )));
        }
        Ok([if self.pairs { width / 2 } else { width }, height])
    }

    /// One piece, from whatever gives parts of a picture.
    fn piece(
        &self,
        [x, y]: [usize; 2],
        half: usize,
        mut part: impl FnMut(usize, usize) -> Result<Image>,
    ) -> Result<Image> {
        let a = part(x, y)?;
        Ok(if self.pairs { a.beside(&part(half + x, y)?) } else { a })
    }
}

impl Tool for Crop {
    fn make(&self, work: &Work, put: Put) -> Result<()> {
        let [across, down] = self.size.across();
        let placed = |attributes: &Attributes, header: &ImageHeader, at: [usize; 2]| {
            let (place, mut lost) = attributes.place.mapped([1.0; 2], at.map(|pixel| pixel as f64));
            lost.extend(other_pages(header));
            (Attributes { place, ..attributes.clone() }, lost)
        };
        if let Some(PictureWindows { mut windows, attributes, header }) =
            PictureWindows::open(&work.file)?.filter(|opened| opened.header.pages == 1)
        {
            let [width, height] = self.of(windows.size(), &work.file)?;
            for (at, name) in self.pieces([width, height], work)? {
                let image = self.piece(at, width, |x, y| {
                    windows
                        .read(x, y, across, down)
                        .map_err(|e| Error::input(format!("{}: {e}", work.file.display())))
                })?;
                let (attributes, lost) = placed(&attributes, &header, at);
                put(Made { name, pages: vec![image], attributes, lost }, None)?;
            }
            return Ok(());
        }
        let stack = PictureStack::read(&work.file)?;
        let first = &stack.pages[0];
        let [width, height] = self.of([first.width, first.height], &work.file)?;
        for (at, name) in self.pieces([width, height], work)? {
            let piece =
                |page: &Image| self.piece(at, width, |x, y| Ok(page.crop(x, y, across, down)));
            let pages = stack.pages.iter().map(piece).collect::<Result<_>>()?;
            let (attributes, lost) = placed(&stack.attributes, &stack.header, at);
            put(Made { name, pages, attributes, lost }, None)?;
        }
        Ok(())
    }
}

fn suffixed(name: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(name);
    name.push(suffix);
    name.into()
}
