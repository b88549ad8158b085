//! Label maps: from the samples or colours of files to indices of classes, and the classes of a data set.
//!
//! A file of one channel means a class by its value, one with a palette by the colour of its entry where the
//! classes have colours, else by the index, a coloured one by its colour. Colours that are not exactly a
//! class's, as JPEG and smooth resizing make them, get the nearest class, up to [`NEAR`] away, and are
//! counted; what is left is of no class and does not count.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use super::palette::hex_name;
use super::{Class, Colours, Domain, DomainKind, Image, Notes, Picture};
use crate::error::settings::PALETTE;
use crate::error::{Error, Result};
use crate::tensor::{SampleType, Samples, with_samples};

/// The farthest that a colour may lie from that of its class, as a Euclidean distance of 8-bit samples:
/// JPEG moves flat colours by some ten levels, and classes lie mostly further apart than twice this.
const NEAR: i64 = 48;
/// Most classes that are found: more distinct values are no label map.
const MOST: usize = 256;

/// What each sample or colour of one side's files means, counted over many files.
#[derive(Clone, Debug, Default)]
pub struct Found {
    /// Pixels of each value, of files of one channel; with its colour where they have a palette.
    values: BTreeMap<u16, (u64, Option<[u8; 3]>)>,
    /// Pixels of each colour, of coloured files, and of files whose palettes differ.
    colours: BTreeMap<[u8; 3], u64>,
    /// There were more than can be counted.
    many: bool,
}

impl Found {
    /// Counts the samples of a file.
    ///
    /// # Errors
    /// Samples that are no labels: floats with fractions, or more than four channels.
    pub fn add(&mut self, picture: &Picture, path: &Path) -> Result<()> {
        if self.many {
            return Ok(());
        }
        let Picture { image, header, attributes } = picture;
        let palette = attributes.palette.as_ref().filter(|_| header.colours == Colours::Palette);
        match (image.channels - usize::from(header.alpha), &image.samples) {
            (1, samples) => {
                for value in whole(samples, image.channels, path)?.into_iter().flatten() {
                    let colour = palette.and_then(|p| p.get(usize::from(value)).copied());
                    let entry = self.values.entry(value).or_insert((0, colour));
                    entry.0 += 1;
                    if entry.1 != colour {
                        // One index, two colours: the colours are what means something.
                        entry.1 = None;
                        if let Some(colour) = colour {
                            *self.colours.entry(colour).or_default() += 1;
                        }
                    }
                }
                self.many |= self.values.len() > 1 << 12;
            }
            (3, Samples::U8(all)) => {
                for pixel in all.chunks_exact(image.channels) {
                    *self.colours.entry([pixel[0], pixel[1], pixel[2]]).or_default() += 1;
                }
                self.many |= self.colours.len() > 1 << 14;
            }
            _ => return Err(no_labels(path, &header.describe())),
        }
        Ok(())
    }

    /// Adds what was counted elsewhere.
    pub fn merge(&mut self, other: Found) {
        for (value, (pixels, colour)) in other.values {
            let entry = self.values.entry(value).or_insert((0, colour));
            entry.0 += pixels;
            if entry.1 != colour {
                entry.1 = None;
                for colour in [entry.1, colour].into_iter().flatten() {
                    *self.colours.entry(colour).or_default() += 1;
                }
            }
        }
        for (colour, pixels) in other.colours {
            *self.colours.entry(colour).or_default() += pixels;
        }
        self.many |= other.many;
    }

    /// The domain of the labels that were found, its classes in the order of their values or colours.
    ///
    /// # Errors
    /// More than 256 values or colours; none.
    pub fn domain(&self, side: &str) -> Result<Domain> {
        let count = self.values.len().max(self.colours.len());
        if self.many || count > MOST {
            let at_least = if self.many { "at least " } else { "" };
            return Err(Error::input(format!(
                "{side} has {at_least}{count} distinct values or colours, too many for labels: were they \
                 saved as JPEG or resized smoothly? Give the classes by {PALETTE}, then each pixel gets the \
                 nearest"
            )));
        }
        let classes: Vec<Class> = if self.colours.is_empty() {
            let class = |(&value, &(_, colour)): (&u16, &(u64, Option<[u8; 3]>))| Class {
                name: value.to_string(),
                colour,
                value: Some(value),
            };
            self.values.iter().map(class).collect()
        } else {
            let class = |&colour: &[u8; 3]| Class {
                name: hex_name(colour),
                colour: Some(colour),
                value: None,
            };
            self.colours.keys().map(class).collect()
        };
        Domain::of_classes(classes)
    }
}

impl Domain {
    /// Labels of these classes.
    ///
    /// # Errors
    /// As [`Domain::check`].
    pub fn of_classes(classes: Vec<Class>) -> Result<Domain> {
        // The largest value of the type stands for no class.
        let wide = classes.len() > usize::from(u8::MAX);
        let domain = Domain {
            channels: vec!["class".to_string()],
            samples: if wide { SampleType::U16 } else { SampleType::U8 },
            kind: DomainKind::Labels { classes },
            ..Domain::default()
        };
        domain.check()?;
        Ok(domain)
    }

    /// The samples that files have for an image of the indices of classes, with a palette for them where all
    /// classes have colours and values of 8 bits. A pixel without a class has the largest value that no class has.
    ///
    /// # Panics
    /// If the domain is not one of labels.
    pub fn label_values(&self, image: &Image) -> (Image, Option<Vec<[u8; 3]>>) {
        let DomainKind::Labels { classes } = &self.kind else { panic!("a domain of labels") };
        let mut values: Vec<u16> =
            classes.iter().enumerate().map(|(i, class)| class.value.unwrap_or(i as u16)).collect();
        let wide = values.iter().any(|&value| value > u16::from(u8::MAX));
        let most = if wide { u16::MAX } else { u16::from(u8::MAX) };
        let none = (0..=most).rev().find(|value| !values.contains(value));
        values.push(none.unwrap_or(most));
        let value = |index: usize| values[index.min(classes.len())];
        let all: Vec<u16> = with_samples!(Samples, &image.samples, all => {
            all.iter().map(|&index| value(f64::from(index) as usize)).collect()
        });
        let colours: Option<Vec<[u8; 3]>> = classes.iter().map(|class| class.colour).collect();
        let palette = colours.filter(|_| !wide).map(|colours| {
            let mut palette = vec![[0; 3]; 256];
            values.iter().zip(colours).for_each(|(v, colour)| palette[usize::from(*v)] = colour);
            palette
        });
        let samples = match wide {
            true => Samples::U16(all),
            false => Samples::U8(all.into_iter().map(|value| value as u8).collect()),
        };
        (Image { samples, ..*image }, palette)
    }

    /// The nearest class of each pixel of a coloured image, as the values that files have, with a palette for
    /// them; `None` if the domain's colours stand for no classes. Equally near ones are the first's.
    pub fn classified(&self, image: &Image) -> Option<(Image, Vec<[u8; 3]>)> {
        let classes = self.palette.as_ref()?;
        let value = |i: usize| classes[i].value.unwrap_or(i as u16);
        if image.channels != 3 || (0..classes.len()).any(|i| value(i) > u16::from(u8::MAX)) {
            return None;
        }
        let mut palette = vec![[0; 3]; 256];
        for (i, class) in classes.iter().enumerate() {
            palette[usize::from(value(i))] = class.colour?;
        }
        let nearest = self.nearest_classes(image)?;
        let values: Vec<u8> = nearest.into_iter().map(|i| value(i) as u8).collect();
        let (height, width) = (image.height, image.width);
        Some((Image { height, width, channels: 1, samples: values.into() }, palette))
    }

    /// The names of the classes that its pixels stand for; none where its colours or values stand for none.
    pub fn class_names(&self) -> Option<Vec<String>> {
        let classes = match &self.kind {
            DomainKind::Labels { classes } => classes,
            _ => self.palette.as_ref()?,
        };
        Some(classes.iter().map(|class| class.name.clone()).collect())
    }

    /// The index of the class of every pixel of a prepared image, of colours that of the nearest one; `None` if
    /// the domain's colours or values stand for no classes.
    pub fn class_indices(&self, image: &Image) -> Option<Vec<usize>> {
        match &self.kind {
            DomainKind::Labels { .. } => Some(with_samples!(Samples, &image.samples, all => {
                all.iter().map(|&v| f64::from(v) as usize).collect()
            })),
            _ => self.nearest_classes(image),
        }
    }

    /// The index of the class whose colour is nearest to that of each pixel, the first of equals; `None` if
    /// the domain's colours stand for no classes.
    pub fn nearest_classes(&self, image: &Image) -> Option<Vec<usize>> {
        let classes = self.palette.as_ref()?;
        let Samples::U8(all) = &image.samples else { return None };
        let nearest = |pixel: &[u8]| {
            let far = |class: &Class| -> i64 {
                let of = class.colour.unwrap_or_default();
                (0..3).map(|c| (i64::from(of[c]) - i64::from(pixel[c])).pow(2)).sum()
            };
            let all = classes.iter().enumerate().map(|(i, class)| (far(class), i));
            all.min().map_or(0, |(_, i)| i)
        };
        let mut known = HashMap::new();
        let class = |p: &[u8]| *known.entry([p[0], p[1], p[2]]).or_insert_with(|| nearest(p));
        (image.channels == 3).then(|| all.chunks_exact(3).map(class).collect())
    }

    /// The indices of the classes of a picture; `path` only serves for messages.
    pub(super) fn classes(&self, picture: Picture, path: &Path) -> Result<(Image, Notes)> {
        let DomainKind::Labels { classes } = &self.kind else { panic!("a domain of labels") };
        let Picture { image, header, attributes } = picture;
        let none = self.no_class();
        let mut notes = Notes { alpha: false, sixteen_bits: false, ..header.notes };
        let index = |class: usize| class as u16;
        let palette = attributes.palette.filter(|_| header.colours == Colours::Palette);
        let mut nearest = Nearest::new(classes);
        let indices: Vec<u16> = match (image.channels - usize::from(header.alpha), &image.samples) {
            (1, samples) => {
                let by_value: HashMap<u16, u16> = classes
                    .iter()
                    .enumerate()
                    .map(|(i, class)| (class.value.unwrap_or(index(i)), index(i)))
                    .collect();
                let coloured = classes.iter().all(|class| class.colour.is_some());
                let mut class_of = |value: u16| match &palette {
                    Some(palette) if coloured => {
                        let colour = palette.get(usize::from(value)).copied()?;
                        nearest.class(colour).or_else(|| by_value.get(&value).copied())
                    }
                    _ => by_value.get(&value).copied(),
                };
                let values = whole(samples, image.channels, path)?;
                values.into_iter().map(|v| v.and_then(&mut class_of).unwrap_or(none)).collect()
            }
            (3, Samples::U8(all)) => {
                let colour = |p: &[u8]| [p[0], p[1], p[2]];
                let pixels = all.chunks_exact(image.channels).map(colour);
                pixels.map(|colour| nearest.class(colour).unwrap_or(none)).collect()
            }
            _ => return Err(no_labels(path, &header.describe())),
        };
        notes.soft = nearest.soft;
        notes.no_class = indices.iter().filter(|&&i| i == none).count();
        let samples = match self.samples {
            SampleType::U8 => Samples::U8(indices.into_iter().map(|i| i as u8).collect()),
            _ => Samples::U16(indices),
        };
        Ok((Image { channels: 1, samples, ..image }, notes))
    }
}

/// The class of each colour, remembered.
struct Nearest<'a> {
    classes: &'a [Class],
    known: HashMap<[u8; 3], (Option<u16>, bool)>,
    /// Pixels whose colour was not exactly that of a class.
    soft: usize,
}

impl<'a> Nearest<'a> {
    fn new(classes: &'a [Class]) -> Self {
        Nearest { classes, known: HashMap::new(), soft: 0 }
    }

    fn class(&mut self, colour: [u8; 3]) -> Option<u16> {
        let (class, exact) = *self.known.entry(colour).or_insert_with(|| {
            let far = |class: &Class| -> Option<i64> {
                let of = class.colour?;
                Some((0..3).map(|i| (i64::from(of[i]) - i64::from(colour[i])).pow(2)).sum())
            };
            let distances = self.classes.iter().enumerate().filter_map(|(i, c)| Some((far(c)?, i)));
            match distances.min() {
                Some((far, i)) if far <= NEAR * NEAR => (Some(i as u16), far == 0),
                _ => (None, true),
            }
        });
        self.soft += usize::from(!exact);
        class
    }
}

/// The whole numbers of the first of `channels` channels; `None` where a sample is NaN.
fn whole(samples: &Samples, channels: usize, path: &Path) -> Result<Vec<Option<u16>>> {
    let number = |v: f64| match v {
        v if v.is_nan() => Ok(None),
        v if v.fract() == 0.0 && (0.0..=65_535.0).contains(&v) => Ok(Some(v as u16)),
        v => Err(no_labels(path, &format!("the sample {v}"))),
    };
    with_samples!(Samples, samples, all => {
        all.iter().step_by(channels).map(|&v| number(f64::from(v))).collect()
    })
}

fn no_labels(path: &Path, has: &str) -> Error {
    Error::input(format!(
        "{} has {has}, which are no labels: labels are whole numbers of 0 to 65535 in one channel, or 8-bit \
         colours",
        path.display()
    ))
}
