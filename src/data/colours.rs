//! Pictures as light: grey or RGB, of 8 or 16 bits.
//!
//! - A palette is looked up, grey is repeated in three channels, and colours become grey by the luma of
//!   Rec. 601, `0.299 r + 0.587 g + 0.114 b`, rounded.
//! - 16 bits become 8 as `round(v / 257)`, 8 become 16 as `257 v`, 1, 2 and 4 bits become 8 by the factor that
//!   makes their largest value 255.
//! - Alpha is composited over white: `round((c * a + m * (m - a)) / m)` with `m` the largest value, at 16 bits
//!   if the file has them; for TIFF's associated alpha, by which the colours are multiplied already, `c + m - a`.
//!   Alpha that is 0 everywhere is ignored where the colours differ, and in a BMP always: nobody stores a
//!   picture that cannot be seen. Where alpha is asked for as a channel, nothing is composited.

use std::path::Path;

use super::format::Alpha;
use super::notes::{DIM, Notes};
use super::{Colours, Image, Picture};
use crate::error::{Error, Result};
use crate::tensor::{SampleType, Samples, with_samples};

/// What a picture is to look like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Look {
    /// Three channels; otherwise one.
    pub rgb: bool,
    /// Opacity as a channel behind them; otherwise over white.
    pub alpha: bool,
    /// 8 or 16 bits.
    pub samples: SampleType,
}

impl Look {
    /// 8-bit RGB.
    pub const RGB: Look = Look { rgb: true, alpha: false, samples: SampleType::U8 };
}

/// Samples of light: their largest value, and weighted means of them in whole numbers.
trait Light: Copy + PartialEq + Default + Into<u64> {
    const MOST: u64;
    fn from_number(v: u64) -> Self;
}

impl Light for u8 {
    const MOST: u64 = 255;
    fn from_number(v: u64) -> u8 {
        v as u8
    }
}

impl Light for u16 {
    const MOST: u64 = 65_535;
    fn from_number(v: u64) -> u16 {
        v as u16
    }
}

/// A picture as light. `path` only serves for messages.
///
/// # Errors
/// A picture whose samples are not unsigned integers of up to 16 bits, or whose channels are no colours.
pub fn colours(picture: Picture, look: Look, path: &Path) -> Result<(Image, Notes)> {
    let unseen = is_unseen(&picture.image, picture.header.opacity);
    part_as_colours(picture, look, unseen, path)
}

/// As [`colours`], of a part of a picture of which is known whether its alpha hides it.
///
/// # Errors
/// As [`colours`].
pub fn part_as_colours(
    picture: Picture,
    look: Look,
    unseen: bool,
    path: &Path,
) -> Result<(Image, Notes)> {
    let Picture { image, header, attributes } = picture;
    let mut notes = header.notes;
    let Image { height, width, channels, samples } = image;
    let (samples, channels) = match (&attributes.palette, samples) {
        (Some(palette), Samples::U8(indices)) if header.colours == Colours::Palette => {
            (Samples::U8(looked_up(&indices, channels, palette)), channels + 2)
        }
        (_, samples) => (samples, channels),
    };
    let mut alpha = header.opacity;
    // Of red, green, blue and more the first three are light.
    let colours = match header.notes.more_channels {
        0 => channels - usize::from(alpha != Alpha::None),
        more => channels - more,
    };
    if !matches!(colours, 1 | 3) {
        return Err(Error::input(format!(
            "{} has {colours} channels, of which nothing says what is red, green and blue: save it as \
             grey or RGB, or have it read as values",
            path.display()
        )));
    }
    let samples = match samples {
        Samples::U8(v) => Samples::U8(match attributes.bits {
            Some(bits @ (1 | 2 | 4)) if header.colours != Colours::Palette => {
                let factor = 255 / ((1u8 << bits) - 1);
                v.into_iter().map(|v| v.saturating_mul(factor)).collect()
            }
            _ => v,
        }),
        Samples::F32(_) => {
            return Err(Error::input(format!(
                "{} has {} pixels, of which nothing says what is white: save it with 8 or 16 bits a \
                 channel, or have it read as values",
                path.display(),
                if header.stored.is_float() { "float" } else { "signed or 32-bit" }
            )));
        }
        other => other,
    };
    notes.alpha &= !look.alpha;
    notes.grey = colours == 3 && !look.rgb;
    notes.sixteen_bits = look.samples == SampleType::U8 && matches!(samples, Samples::U16(_));
    if unseen && !look.alpha {
        notes.transparent = true;
        alpha = Alpha::None;
    }
    let plain = alpha == Alpha::None && !look.alpha;
    let samples = match samples {
        Samples::U8(v) if plain && look == Look::RGB && channels == 3 => Samples::U8(v),
        Samples::U8(v) => {
            let seen = seen(&v, [channels, colours], alpha, look);
            match look.samples {
                SampleType::U8 => Samples::U8(seen),
                _ => Samples::U16(seen.into_iter().map(|v| u16::from(v) * 257).collect()),
            }
        }
        Samples::U16(v) => {
            let highest = v.chunks_exact(channels).flat_map(|p| &p[..colours]).max().copied();
            let seen = seen(&v, [channels, colours], alpha, look);
            match look.samples {
                SampleType::U8 => {
                    notes.dim = highest.filter(|&h| 0 < h && h < DIM);
                    Samples::U8(seen.into_iter().map(narrow).collect())
                }
                _ => Samples::U16(seen),
            }
        }
        Samples::F32(_) => unreachable!("refused above"),
    };
    let channels = if look.rgb { 3 } else { 1 } + usize::from(look.alpha);
    Ok((Image::new(width, height, channels, samples)?, notes))
}

/// Red, green and blue of each index, in place of the first channel; indices behind the palette are black, as
/// the `png` crate has them.
fn looked_up(indices: &[u8], channels: usize, palette: &[[u8; 3]]) -> Vec<u8> {
    let mut all = Vec::with_capacity(indices.len() / channels * (channels + 2));
    for pixel in indices.chunks_exact(channels) {
        all.extend(palette.get(usize::from(pixel[0])).copied().unwrap_or_default());
        all.extend(&pixel[1..]);
    }
    all
}

/// 16 bits rounded to 8.
fn narrow(v: u16) -> u8 {
    ((u32::from(v) + 128) / 257) as u8
}

/// The pixels as they are to be seen, in the depth that they have.
fn seen<T: Light>(all: &[T], [channels, colours]: [usize; 2], alpha: Alpha, look: Look) -> Vec<T> {
    let mut seen = Vec::with_capacity(all.len() / channels * 4);
    for pixel in all.chunks_exact(channels) {
        let opacity = pixel[channels - 1];
        let colour = |c: usize| match look.alpha {
            true => pixel[c],
            false => over(pixel[c], opacity, alpha),
        };
        match (look.rgb, colours) {
            (true, 1) => seen.extend([colour(0); 3]),
            (true, _) => seen.extend([0, 1, 2].map(colour)),
            (false, 1) => seen.push(colour(0)),
            (false, _) => seen.push(luma([0, 1, 2].map(colour))),
        }
        if look.alpha {
            let opaque = T::from_number(T::MOST);
            seen.push(if alpha == Alpha::None { opaque } else { opacity });
        }
    }
    seen
}

/// Rec. 601 luma in thousandths; the weights add up to 1000, so grey stays what it is.
fn luma<T: Light>(rgb: [T; 3]) -> T {
    let [r, g, b] = rgb.map(Into::<u64>::into);
    T::from_number((299 * r + 587 * g + 114 * b + 500) / 1000)
}

/// A sample over white; `a` counts only if there is alpha.
fn over<T: Light>(c: T, a: T, alpha: Alpha) -> T {
    let (most, v, w): (u64, u64, u64) = (T::MOST, c.into(), a.into());
    match alpha {
        Alpha::None => c,
        Alpha::Associated => T::from_number((v + most - w).min(most)),
        Alpha::Straight | Alpha::Unsure => {
            T::from_number((v * w + most * (most - w) + most / 2) / most)
        }
    }
}

/// Whether alpha is 0 everywhere and hides a picture: always in a BMP, whose fourth byte may be padding,
/// else where the colours differ.
fn is_unseen(image: &Image, alpha: Alpha) -> bool {
    alpha != Alpha::None && {
        let mut hidden = Hidden::default();
        hidden.add(image);
        hidden.is_unseen(alpha)
    }
}

/// Looks at a picture, whole or part by part, for whether its alpha is 0 everywhere.
#[derive(Clone, Debug)]
pub struct Hidden {
    /// Alpha has been 0 so far.
    clear: bool,
    /// The first pixel.
    first: Option<Vec<f64>>,
    /// Colours differed.
    differ: bool,
}

impl Default for Hidden {
    fn default() -> Self {
        Hidden { clear: true, first: None, differ: false }
    }
}

impl Hidden {
    /// Adds pixels whose last channel is alpha; returns whether it is still 0 everywhere.
    pub fn add(&mut self, image: &Image) -> bool {
        let last = image.channels - 1;
        with_samples!(Samples, &image.samples, all => {
            let colour = |pixel: &[_]| pixel[..last].iter().map(|&v| f64::from(v)).collect::<Vec<_>>();
            let first = self.first.get_or_insert_with(|| colour(&all[..image.channels]));
            self.clear &= all.chunks_exact(image.channels).all(|p| f64::from(p[last]) == 0.0);
            self.differ |= self.clear && all.chunks_exact(image.channels).any(|p| {
                p[..last].iter().zip(&*first).any(|(&v, &w)| f64::from(v) != w)
            });
        });
        self.clear
    }

    /// Whether alpha of this kind hides the picture.
    pub fn is_unseen(&self, alpha: Alpha) -> bool {
        alpha != Alpha::None && self.clear && (alpha == Alpha::Unsure || self.differ)
    }
}
