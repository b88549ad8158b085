//! Two pictures side by side in one.

use std::path::Path;

use super::{Made, Put, Tool, Work, beside, other_pages};
use crate::data::{Attributes, Colours, LeftOut, PictureStack, match_folders};
use crate::error::{Error, Result};

/// Puts A left and B right. Both have one size and one kind of samples, but that grey beside colours becomes three
/// equal channels; what is written beside the samples is what the file of A says.
#[derive(Clone, Copy, Debug, Default)]
pub struct Combine;

/// Pairs the pictures below two folders by their names.
///
/// # Errors
/// As [`Folder::scan_two`](crate::data::Folder::scan_two). Files without a partner are returned.
#[expect(clippy::type_complexity, reason = "each part is used once")]
pub fn works(a: &Path, b: &Path) -> Result<(Vec<Work>, Vec<(std::path::PathBuf, Error)>, LeftOut)> {
    let (matched, walks) = match_folders(a, b)?;
    let mut left_out = LeftOut::default();
    walks.into_iter().for_each(|walk| left_out.merge(walk.left_out));
    let work = |(name, [file, second]): (_, [_; 2])| Work { name, file, second: Some(second) };
    let works = matched.files().map(work).collect();
    Ok((works, matched.bad, left_out))
}

/// Repeats grey in three channels, as the colours that it is to stand beside; what cannot be so stays.
fn coloured(grey: &mut PictureStack, beside: &PictureStack) {
    let same =
        grey.header.stored == beside.header.stored && !grey.header.alpha && !beside.header.alpha;
    if !same || grey.attributes.bits.is_some() || beside.attributes.bits.is_some() {
        return;
    }
    grey.pages.iter_mut().for_each(|page| *page = page.repeated(3));
    (grey.header.channels, grey.header.colours) = (3, Colours::Rgb);
    grey.attributes.profile = None;
}

impl Tool for Combine {
    fn make(&self, work: &Work, put: Put) -> Result<()> {
        let Some(second) = &work.second else {
            return Err(Error::input(format!("{} has no partner", work.file.display())));
        };
        let (mut a, mut b) = (PictureStack::read(&work.file)?, PictureStack::read(second)?);
        let place = a.attributes.place.clone();
        match (a.header.colours, b.header.colours) {
            (Colours::Grey, Colours::Rgb) => coloured(&mut a, &b),
            (Colours::Rgb, Colours::Grey) => coloured(&mut b, &a),
            _ => {}
        }
        let kind = |stack: &PictureStack| {
            let page = &stack.pages[0];
            let count = match stack.pages.len() {
                1 => String::new(),
                n => format!("{n} pages of "),
            };
            let what = stack.header.describe();
            format!("{count}{}x{} pixels and {what}", page.width, page.height)
        };
        let same = kind(&a) == kind(&b)
            && a.attributes.palette == b.attributes.palette
            && a.attributes.bits == b.attributes.bits
            && a.header.alpha == b.header.alpha;
        if !same {
            let (of_a, of_b) = (kind(&a), kind(&b));
            let differ = if of_a == of_b {
                "other colours in the palette, other bits or another alpha".to_string()
            } else {
                of_b
            };
            return Err(Error::input(format!(
                "{} has {of_a}, and {} {differ}: one picture cannot hold both; leave them in two folders, \
                 which train as well",
                work.file.display(),
                second.display()
            )));
        }
        let pages = beside(&a.pages, &b.pages);
        let lost = [other_pages(&a.header), other_pages(&b.header)].concat();
        let attributes = Attributes { place, ..a.attributes };
        put(Made { name: work.name.clone(), pages, attributes, lost }, None)
    }
}
