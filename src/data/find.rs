//! Finds the domains of a data set: what type, channels and range each side has.
//!
//! What can be seen from headers is: pictures that are all grey stay grey, all others of 8 bits become
//! RGB, those of 16 bits keep them, and other types and numbers of channels are kept as they are. Light of
//! 8 bits has the range 0 to 255; the range of anything else is found on all pictures to train on, never a
//! picture at a time: their smallest and largest sample, or the percentiles that are asked for, for each
//! channel where the channels are no colours. Pixels that are NaN or marked as no data do not count.

use std::path::Path;

use base64::Engine;
use rayon::prelude::*;

use super::classes::Found;
use super::kinds::Kinds;
use super::pair::Half;
use super::{
    Attributes, Class, Colours, Domain, DomainKind, Image, ImageHeader, Pair, Picture, StoredType,
};
use crate::error::settings::{RANGE_A, RANGE_B};
use crate::error::{Error, Result};
use crate::one_of::one_of;
use crate::tensor::{SampleType, Samples, with_samples};

one_of! {
    /// What the pictures of one side are read as.
    pub enum ReadAs {
        /// What they look like: grey, RGB, or values.
        Auto = "auto",
        /// 8-bit RGB, whatever they are.
        Rgb = "rgb",
        /// Grey of 8 bits, or of 16 where all have them.
        Grey = "grey",
        /// Numbers: channels, type and range as they are, also of 8 bits.
        Values = "values",
        /// The class of each pixel.
        Labels = "labels",
        /// Colours that stand for classes, learnt as colours: outputs get the nearest class.
        Palette = "palette",
    }
}

/// What is asked for on one side.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SideOptions {
    /// What its pictures are read as.
    pub read_as: Option<ReadAs>,
    /// The range, in place of the one that is found.
    pub range: Option<[f64; 2]>,
    /// The percentiles, 0 to 100, between which the range lies; samples outside move to its ends.
    pub clip: Option<[f64; 2]>,
    /// The sample that marks pixels without a measurement, in place of the one that files state.
    pub nodata: Option<f64>,
    /// The classes of labels.
    pub palette: Option<Vec<Class>>,
    /// Opacity is a channel.
    pub keep_alpha: bool,
}

/// What was found of one side.
#[derive(Clone, Debug, PartialEq)]
pub struct FoundSide {
    /// What its samples mean.
    pub domain: Domain,
    /// Whether there are pixels that do not count.
    pub has_holes: bool,
    /// The share of them in the pixels to train on.
    pub holes: f64,
    /// What was found, for the user.
    pub lines: Vec<String>,
}

/// Bins of a histogram: samples of 16 bits have one each.
const BINS: usize = 1 << 16;

/// Finds the domain of one side, "A" or "B", of pairs to train on.
///
/// # Errors
/// Pictures that have nothing in common; one that cannot be read; a range that is none; labels that are none.
pub fn find(pairs: &[Pair], half: Half, kinds: &Kinds, options: &SideOptions) -> Result<FoundSide> {
    let side = half.name();
    let read_as = options.read_as.unwrap_or(ReadAs::Auto);
    let stacked = pairs.iter().any(|pair| pair.stacked);
    let first = pairs.first().map(|pair| pair.half(half));
    let path = first.ok_or_else(|| Error::input("there is no picture to train on"))?;
    let attributes = Picture::read_attributes(path)?;
    let mut lines = Vec::new();
    if matches!(read_as, ReadAs::Labels | ReadAs::Palette) {
        return labels(pairs, half, options, read_as == ReadAs::Palette);
    }
    let mut domain = kept(kinds, read_as, options, &attributes, side)?;
    domain.stacked = stacked;
    if domain.is_light() && ImageHeader::read(path)?.notes.profile {
        let (profile, line) = profile(pairs, half, attributes.profile.as_deref());
        domain.profile = profile;
        lines.push(line);
    }
    if kinds.all(|kind| kind.colours == Colours::Palette) && read_as == ReadAs::Auto {
        lines.push(format!("all have palettes: if they are label maps, read {side} as labels"));
    }
    domain.nodata = options.nodata.or(attributes.nodata);
    let light = matches!(domain.kind, DomainKind::Colour) && domain.samples == SampleType::U8;
    if light && options.range.is_none() && options.clip.is_none() && domain.nodata.is_none() {
        return Ok(FoundSide { domain, has_holes: false, holes: 0.0, lines });
    }
    let setting = if half == Half::A { RANGE_A } else { RANGE_B };
    let mut seen = Seen::of(pairs, half, &domain, None)?;
    if seen.samples == 0 {
        return Err(Error::input(format!(
            "{side} has no pixel to train on: all are NaN or marked as no data"
        )));
    }
    let one_range = domain.channels.len() == 1 || domain.is_light();
    if let Some([low, high]) = options.clip {
        seen = Seen::of(pairs, half, &domain, Some(&seen))?;
        seen.cut(low / 100.0, high / 100.0);
    }
    let mut ranges = seen.ranges(one_range);
    for (range, name) in ranges.iter_mut().zip(&domain.channels) {
        if range[0] == range[1] {
            lines.push(format!("all samples of {name} are {}", range[0]));
            range[1] = range[0] + 1.0;
        }
    }
    let found = if options.range.is_some() { "given" } else { "found" };
    if let Some([low, high]) = options.range {
        if !(low < high && low.is_finite() && high.is_finite()) {
            return Err(Error::input(format!("{setting} {low}..{high}: give a low below a high")));
        }
        let beyond = seen.outside([low, high]);
        if beyond > 0.0 {
            let kept =
                if options.clip.is_some() { "moved to its ends" } else { "seen beyond -1 and 1" };
            lines.push(format!(
                "the samples reach from {} to {}: what is outside of the range is {kept}",
                seen.low(),
                seen.high()
            ));
        }
        ranges = vec![[low, high]];
    }
    if !light || options.range.is_some() || options.clip.is_some() {
        let low = ranges.iter().map(|r| r[0]).fold(f64::INFINITY, f64::min);
        let high = ranges.iter().map(|r| r[1]).fold(f64::NEG_INFINITY, f64::max);
        let unit = attributes.unit.clone();
        let own = if ranges.len() > 1 { ranges.clone() } else { vec![] };
        let clip = options.clip.is_some();
        domain.kind = DomainKind::Values { low, high, unit, ranges: own, clip };
    }
    domain.check().map_err(|e| Error::input(format!("{side}: {e}")))?;
    lines.splice(0..0, said(&domain, &ranges, found, pairs.len(), options.clip));
    let holes = 1.0 - seen.samples as f64 / seen.all.max(1) as f64;
    if holes > 0.0 {
        let mark = domain.nodata.map_or(String::new(), |mark| format!(" or {mark} (no data)"));
        lines.push(format!("{:.3} % of the samples are NaN{mark} and do not count", 100.0 * holes));
    }
    Ok(FoundSide { has_holes: domain.nodata.is_some() || holes > 0.0, domain, holes, lines })
}

/// The longest ICC profile that a model keeps: those of displays have some hundred bytes, those of printing inks more.
const LONGEST_PROFILE: usize = 1 << 16;

/// The profile of the first picture, in base64, if all have it and it is kept, and the sentence that says so.
fn profile(pairs: &[Pair], half: Half, first: Option<&[u8]>) -> (Option<String>, String) {
    let Some(first) = first.filter(|profile| profile.len() <= LONGEST_PROFILE) else {
        return (None, "their colour profile is too long to be kept with the model".to_string());
    };
    let has = |pair: &Pair| {
        let attributes = Picture::read_attributes(pair.half(half));
        attributes.is_ok_and(|attributes| attributes.profile.as_deref() == Some(first))
    };
    match pairs.par_iter().all(has) {
        true => {
            let text = base64::engine::general_purpose::STANDARD.encode(first);
            (Some(text), "all have one colour profile, which the model keeps".to_string())
        }
        false => (None, "their colour profiles differ, so the model keeps none".to_string()),
    }
}

/// The domain that headers show, of which the range is not known yet.
fn kept(
    kinds: &Kinds,
    read_as: ReadAs,
    options: &SideOptions,
    attributes: &Attributes,
    side: &str,
) -> Result<Domain> {
    let deep = kinds.all(|kind| kind.stored == StoredType::U16);
    let depth = if deep { SampleType::U16 } else { SampleType::U8 };
    let alpha = options.keep_alpha && kinds.each().any(|(kind, _)| kind.alpha);
    let light = kinds.all(|kind| kind.is_light());
    match read_as {
        ReadAs::Rgb => return Ok(Domain::of_colours(true, alpha, SampleType::U8)),
        ReadAs::Grey => return Ok(Domain::of_colours(false, alpha, depth)),
        ReadAs::Auto if light => {
            let rgb = !kinds.all(|kind| kind.colours == Colours::Grey);
            return Ok(Domain::of_colours(rgb, alpha, depth));
        }
        _ => {}
    }
    let mut each = kinds.each();
    let (kind, path) = each.next().expect("there are files");
    let mut stored = kind.stored;
    for (other, other_path) in each {
        if other.channels != kind.channels || other.colours == Colours::Palette {
            return Err(Error::input(format!(
                "the pictures of {side} differ: {} has {kind}, {} has {other}; convert them to one kind, or \
                 have {side} read as rgb or grey",
                path.display(),
                other_path.display()
            )));
        }
        if other.stored != stored {
            stored = StoredType::F32;
        }
    }
    let mut names = match attributes.channels.len() == kind.channels {
        true => attributes.channels.clone(),
        false if kind.channels == 1 => vec!["value".to_string()],
        false => (1..=kind.channels).map(|i| i.to_string()).collect(),
    };
    let mut sorted = names.clone();
    sorted.sort();
    if sorted.windows(2).any(|w| w[0] == w[1]) {
        names = (1..=kind.channels).map(|i| i.to_string()).collect();
    }
    Ok(Domain {
        channels: names,
        samples: stored.held(),
        stored: Some(stored),
        axes: kinds.all(|kind| kind.colours == Colours::Other).then_some(attributes.axes),
        ..Domain::default()
    })
}

/// The sentence that states a domain and its range.
fn said(
    domain: &Domain,
    ranges: &[[f64; 2]],
    found: &str,
    pictures: usize,
    clip: Option<[f64; 2]>,
) -> Vec<String> {
    let DomainKind::Values { unit, .. } = &domain.kind else { return vec![] };
    let unit = unit.as_ref().map_or(String::new(), |unit| format!(" {unit}"));
    let by = match clip {
        Some([low, high]) => {
            format!("the {low} and {high} % of all samples of {pictures} pictures")
        }
        None if found == "given" => "as given".to_string(),
        None => format!("found on {pictures} pictures"),
    };
    match ranges {
        [[low, high]] => vec![format!("{low} to {high}{unit} are seen as -1 to 1 ({by})")],
        all => {
            let each: Vec<String> = all
                .iter()
                .zip(&domain.channels)
                .take(8)
                .map(|([low, high], name)| format!("{name} {low} to {high}"))
                .collect();
            let more =
                if all.len() > 8 { format!(", and {} more", all.len() - 8) } else { String::new() };
            vec![format!(
                "each channel has its range, seen as -1 to 1 ({by}): {}{more}",
                each.join(", ")
            )]
        }
    }
}

/// The domain of labels.
fn labels(
    pairs: &[Pair],
    half: Half,
    options: &SideOptions,
    as_colours: bool,
) -> Result<FoundSide> {
    let side = half.name();
    let mut lines = Vec::new();
    let domain = match &options.palette {
        Some(classes) => Domain::of_classes(classes.clone())?,
        None => {
            let count = |pair: &Pair| -> Result<Found> {
                let mut found = Found::default();
                let (picture, path) = pair.picture(half)?;
                found.add(&picture, &path)?;
                Ok(found)
            };
            let all = pairs.par_iter().map(count).try_reduce(Found::default, |mut a, b| {
                a.merge(b);
                Ok(a)
            })?;
            all.domain(side)?
        }
    };
    let DomainKind::Labels { classes } = &domain.kind else { unreachable!("made so") };
    let from = if options.palette.is_some() { "of the palette" } else { "found" };
    let names: Vec<&str> = classes.iter().take(12).map(|class| class.name.as_str()).collect();
    let more = if classes.len() > 12 { ", ..." } else { "" };
    lines.push(format!("{} classes {from}: {}{more}", classes.len(), names.join(", ")));
    let none = domain.no_class();
    let counted = |pair: &Pair| -> Result<(u64, u64)> {
        let (picture, path) = pair.picture(half)?;
        let (image, _) = domain.converted(picture, &path)?;
        let out = with_samples!(Samples, &image.samples, all => {
            all.iter().filter(|&&v| f64::from(v) == f64::from(none)).count()
        });
        Ok((out as u64, image.samples.len() as u64))
    };
    // Classes that were found cover every pixel.
    let (out, all) = match options.palette {
        None => (0, 1),
        Some(_) => pairs
            .par_iter()
            .map(counted)
            .try_reduce(|| (0, 0), |a, b| Ok((a.0 + b.0, a.1 + b.1)))?,
    };
    let holes = out as f64 / all.max(1) as f64;
    if as_colours {
        if !classes.iter().all(|class| class.colour.is_some()) {
            return Err(Error::input(format!(
                "{side} has no colours to learn: its labels are numbers; read it as labels, or give a palette"
            )));
        }
        lines.push("they are learnt as colours, and outputs get the nearest".to_string());
        let domain = Domain { palette: Some(classes.clone()), ..Domain::default() };
        return Ok(FoundSide { domain, has_holes: false, holes: 0.0, lines });
    }
    if holes > 0.0 {
        lines
            .push(format!("{:.3} % of the pixels are of no class and do not count", 100.0 * holes));
    }
    let has_holes = options.palette.is_some();
    Ok(FoundSide { domain, has_holes, holes, lines })
}

/// The samples of a side, by channel.
struct Seen {
    ends: Vec<[f64; 2]>,
    /// Samples in each bin of each channel, between the ends; none in the first pass.
    bins: Vec<Vec<u64>>,
    /// Samples that count, and all.
    samples: u64,
    all: u64,
}

impl Seen {
    /// Looks at all samples of a side; with the `ends` of an earlier pass it counts them in bins.
    fn of(pairs: &[Pair], half: Half, domain: &Domain, before: Option<&Seen>) -> Result<Seen> {
        let channels = domain.channels.len();
        let none = || Seen {
            ends: match before {
                Some(seen) => seen.ends.clone(),
                None => vec![[f64::INFINITY, f64::NEG_INFINITY]; channels],
            },
            bins: match before {
                Some(_) => vec![vec![0; BINS]; channels],
                None => vec![],
            },
            samples: 0,
            all: 0,
        };
        let nodata = domain.nodata.map(|v| v as f32);
        let look = |mut seen: Seen, pair: &Pair| -> Result<Seen> {
            let (picture, path) = pair.picture(half)?;
            check_nodata(&picture.attributes, domain, &path)?;
            let (image, _) = domain.converted(picture, &path)?;
            seen.look(&image, nodata);
            Ok(seen)
        };
        // A fixed number of parts, so that memory does not grow with the pictures; counts do not depend on it.
        pairs
            .par_chunks(pairs.len().div_ceil(64).max(1))
            .map(|part| part.iter().try_fold(none(), look))
            .try_reduce(none, |a, b| Ok(a.merged(b)))
    }

    fn look(&mut self, image: &Image, nodata: Option<f32>) {
        let channels = self.ends.len();
        with_samples!(Samples, &image.samples, all => {
            for pixel in all.chunks_exact(channels) {
                self.all += channels as u64;
                for (c, &sample) in pixel.iter().enumerate() {
                    let value = f64::from(sample) as f32;
                    if !value.is_finite() || Some(value) == nodata {
                        continue;
                    }
                    self.samples += 1;
                    let value = f64::from(value);
                    if self.bins.is_empty() {
                        let [low, high] = &mut self.ends[c];
                        *low = low.min(value);
                        *high = high.max(value);
                    } else {
                        let [low, high] = self.ends[c];
                        let on = (value - low) / (high - low).max(f64::MIN_POSITIVE);
                        self.bins[c][((on * (BINS - 1) as f64).round() as usize).min(BINS - 1)] += 1;
                    }
                }
            }
        });
    }

    fn merged(mut self, other: Seen) -> Seen {
        for (end, other) in self.ends.iter_mut().zip(&other.ends) {
            *end = [end[0].min(other[0]), end[1].max(other[1])];
        }
        for (bins, other) in self.bins.iter_mut().zip(&other.bins) {
            bins.iter_mut().zip(other).for_each(|(bin, n)| *bin += n);
        }
        self.samples += other.samples;
        self.all += other.all;
        self
    }

    /// Moves the ends to these shares of the samples of each channel.
    fn cut(&mut self, low: f64, high: f64) {
        for (ends, bins) in self.ends.iter_mut().zip(&self.bins) {
            let total: u64 = bins.iter().sum();
            let at = |share: f64| {
                let wanted = share * total as f64;
                let mut passed = 0;
                let bin = bins.iter().position(|n| {
                    passed += n;
                    passed as f64 >= wanted && passed > 0
                });
                ends[0] + bin.unwrap_or(BINS - 1) as f64 / (BINS - 1) as f64 * (ends[1] - ends[0])
            };
            *ends = [at(low), at(high)];
        }
    }

    fn low(&self) -> f64 {
        self.ends.iter().map(|e| e[0]).fold(f64::INFINITY, f64::min)
    }

    fn high(&self) -> f64 {
        self.ends.iter().map(|e| e[1]).fold(f64::NEG_INFINITY, f64::max)
    }

    fn ranges(&self, one: bool) -> Vec<[f64; 2]> {
        if one { vec![[self.low(), self.high()]] } else { self.ends.clone() }
    }

    /// By how much the samples leave a range.
    fn outside(&self, [low, high]: [f64; 2]) -> f64 {
        (low - self.low()).max(self.high() - high).max(0.0)
    }
}

/// Refuses a file that states another mark than the first one does.
fn check_nodata(attributes: &Attributes, domain: &Domain, path: &Path) -> Result<()> {
    match (attributes.nodata, domain.nodata) {
        (Some(own), Some(of_all)) if own != of_all && !(own.is_nan() || of_all.is_nan()) => {
            Err(Error::input(format!(
                "{} marks no data by {own}, and the first picture by {of_all}: give one value to all, or name \
                 it by {}",
                path.display(),
                crate::error::settings::NODATA
            )))
        }
        _ => Ok(()),
    }
}
