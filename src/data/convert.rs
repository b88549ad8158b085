//! A picture as its file holds it, brought to what a domain says of its side: colours to grey or RGB of 8
//! or 16 bits, labels to indices of classes, anything else to samples of the domain's type.
//!
//! Colours are converted as [`decode`](super::decode) says: alpha is composited over white unless the
//! domain has an alpha channel, a palette is looked up, grey is repeated; colours become grey by the luma
//! weights of Rec. 601, which is said. Values are never rescaled: a picture of other channels, or whose type
//! the domain's cannot hold, is refused.

use std::path::Path;

use super::colours::{Look, colours, part_as_colours};
use super::{Colours, Domain, DomainKind, Image, Notes, Picture, StoredType};
use crate::error::{Error, Result};
use crate::tensor::{SampleType, Samples, with_samples};

/// How the pictures of a domain are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    /// As light.
    Colours(Look),
    /// As they are.
    Values,
    /// As classes.
    Labels,
}

impl Domain {
    /// The names of the channels of light.
    const GREY: [&str; 1] = ["grey"];
    const RGB: [&str; 3] = ["red", "green", "blue"];
    const ALPHA: &str = "alpha";

    /// Grey or RGB of 8 or 16 bits, with or without opacity as a channel.
    pub fn of_colours(rgb: bool, alpha: bool, samples: SampleType) -> Domain {
        let names: &[&str] = if rgb { &Domain::RGB } else { &Domain::GREY };
        let alpha = alpha.then_some(Domain::ALPHA);
        let channels = names.iter().copied().chain(alpha).map(String::from).collect();
        Domain { channels, samples, ..Domain::default() }
    }

    /// Whether its images are grey or RGB of 8 or 16 bits.
    pub fn is_light(&self) -> bool {
        matches!(self.way(), Way::Colours(_))
    }

    fn way(&self) -> Way {
        if matches!(self.kind, DomainKind::Labels { .. }) {
            return Way::Labels;
        }
        let names: Vec<&str> = self.channels.iter().map(String::as_str).collect();
        let (colours, alpha) = match names.split_last() {
            Some((&Domain::ALPHA, rest)) => (rest, true),
            _ => (&names[..], false),
        };
        // One channel of light without a name is grey: files of other programs name none.
        let light = matches!(self.kind, DomainKind::Colour);
        let rgb = colours == Domain::RGB;
        let known = rgb || colours == Domain::GREY || (light && colours.len() == 1);
        if known && self.samples != SampleType::F32 {
            Way::Colours(Look { rgb, alpha, samples: self.samples })
        } else {
            Way::Values
        }
    }

    /// Reads page `page` of a file, or all of them where they are channels, as an image of this domain, with what
    /// was changed or left out.
    ///
    /// # Errors
    /// As [`Picture::read`]; a picture that the domain cannot hold, with what both have.
    pub fn read(&self, path: &Path, page: usize) -> Result<(Image, Notes)> {
        self.converted(self.picture(path, page)?, path)
    }

    /// Page `page` of a file, or all as channels, as the file has them.
    pub(super) fn picture(&self, path: &Path, page: usize) -> Result<Picture> {
        if self.stacked { Picture::read_stacked(path) } else { Picture::read(path, page) }
    }

    /// A picture as an image of this domain; `path` only serves for messages.
    ///
    /// # Errors
    /// As [`Domain::read`].
    pub fn converted(&self, picture: Picture, path: &Path) -> Result<(Image, Notes)> {
        match self.way() {
            Way::Colours(look) => {
                self.check_depth(&picture, look, path)?;
                colours(picture, look, path)
            }
            Way::Values => self.values(picture, path),
            Way::Labels => self.classes(picture, path),
        }
    }

    /// As [`Domain::converted`], of a part of a picture of which is known whether its alpha hides it.
    pub(super) fn part_converted(
        &self,
        picture: Picture,
        unseen: bool,
        path: &Path,
    ) -> Result<(Image, Notes)> {
        match self.way() {
            Way::Colours(look) => {
                self.check_depth(&picture, look, path)?;
                part_as_colours(picture, look, unseen, path)
            }
            _ => self.converted(picture, path),
        }
    }

    /// Whether its images show no opacity, so that an alpha channel is composited.
    pub(super) fn composites(&self) -> bool {
        matches!(self.way(), Way::Colours(Look { alpha: false, .. }))
    }

    /// Refuses a picture of 8 bits where 16 have a range of their own.
    fn check_depth(&self, picture: &Picture, look: Look, path: &Path) -> Result<()> {
        let narrow = look.samples == SampleType::U16 && picture.header.stored != StoredType::U16;
        if narrow && matches!(self.kind, DomainKind::Values { .. }) {
            return Err(self.refused(picture, path, "samples of 16 bits"));
        }
        Ok(())
    }

    fn values(&self, picture: Picture, path: &Path) -> Result<(Image, Notes)> {
        let Picture { image, header, .. } = &picture;
        let notes = Notes { alpha: false, sixteen_bits: false, ..header.notes };
        if image.channels != self.channels.len() || header.colours == Colours::Palette {
            let n = self.channels.len();
            let s = if n == 1 { "" } else { "s" };
            return Err(self.refused(&picture, path, &format!("{n} channel{s}")));
        }
        let wide = |samples: &Samples| -> Vec<f32> {
            with_samples!(Samples, samples, all => all.iter().map(|&v| f64::from(v) as f32).collect())
        };
        let samples = match (self.samples, &image.samples) {
            (SampleType::F32, samples) => Samples::F32(wide(samples)),
            (SampleType::U16, Samples::U8(all)) => {
                Samples::U16(all.iter().map(|&v| u16::from(v)).collect())
            }
            (wanted, samples) if wanted == samples.sample_type() => samples.clone(),
            (wanted, _) => {
                return Err(self.refused(&picture, path, &format!("samples of {wanted}")));
            }
        };
        Ok((Image { samples, ..picture.image }, notes))
    }

    fn refused(&self, picture: &Picture, path: &Path, needed: &str) -> Error {
        Error::input(format!(
            "{} has {}, and {needed} are needed: convert it, or give pictures like those of the \
             training",
            path.display(),
            picture.header.describe()
        ))
    }
}
