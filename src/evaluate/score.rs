//! The figures of one picture.

use super::Truth;
use crate::data::{Domain, DomainKind, Image, PixelFormat};
use crate::error::{Error, Result};
use crate::metric::{self, LabHistogram};
use crate::tensor::Samples;

/// A figure of a picture against its target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Measure {
    /// Mean absolute difference in the unit of the data ([`metric::mae`]).
    Mae,
    /// Mean absolute difference of samples in [-1, 1] ([`metric::l1`]).
    L1,
    /// Peak signal-to-noise ratio in dB ([`metric::psnr`]).
    Psnr,
    /// Structural similarity ([`metric::ssim`]).
    Ssim,
    /// Structural similarity at five scales ([`metric::ms_ssim`]).
    MsSsim,
    /// Pearson's correlation ([`metric::pearson`]).
    Pearson,
    /// Root of the mean squared difference over that of the target ([`metric::nrmse`]).
    Nrmse,
    /// How much the distributions of lightness have in common ([`metric::LabHistogram`]).
    LabL,
    /// The same of a, green to red.
    LabA,
    /// The same of b, blue to yellow.
    LabB,
    /// Pixels whose class is right, of all pixels.
    PixelAccuracy,
    /// The same of each class that occurs in the targets, averaged over these.
    ClassAccuracy,
    /// `right / (right + missed + false)` of each class that occurs in targets or outputs, averaged over these.
    MeanIou,
}

impl Measure {
    /// The figures of samples.
    pub const OF_SAMPLES: [Measure; 7] = [
        Measure::Mae,
        Measure::L1,
        Measure::Psnr,
        Measure::Ssim,
        Measure::MsSsim,
        Measure::Pearson,
        Measure::Nrmse,
    ];
    /// The figures of colours.
    pub const OF_COLOURS: [Measure; 3] = [Measure::LabL, Measure::LabA, Measure::LabB];
    /// The figures of classes.
    pub const OF_CLASSES: [Measure; 3] =
        [Measure::MeanIou, Measure::PixelAccuracy, Measure::ClassAccuracy];

    /// Its name in files.
    pub fn key(self) -> &'static str {
        match self {
            Measure::Mae => "mae",
            Measure::L1 => "l1",
            Measure::Psnr => "psnr",
            Measure::Ssim => "ssim",
            Measure::MsSsim => "ms_ssim",
            Measure::Pearson => "pearson",
            Measure::Nrmse => "nrmse",
            Measure::LabL => "lab_l",
            Measure::LabA => "lab_a",
            Measure::LabB => "lab_b",
            Measure::PixelAccuracy => "pixel_accuracy",
            Measure::ClassAccuracy => "class_accuracy",
            Measure::MeanIou => "mean_iou",
        }
    }

    /// Its name on pages.
    pub fn name(self) -> &'static str {
        match self {
            Measure::Mae => "MAE",
            Measure::L1 => "L1",
            Measure::Psnr => "PSNR, dB",
            Measure::Ssim => "SSIM",
            Measure::MsSsim => "MS-SSIM",
            Measure::Pearson => "correlation",
            Measure::Nrmse => "NRMSE",
            Measure::LabL => "Lab: L",
            Measure::LabA => "Lab: a",
            Measure::LabB => "Lab: b",
            Measure::PixelAccuracy => "pixel accuracy",
            Measure::ClassAccuracy => "class accuracy",
            Measure::MeanIou => "mean IoU",
        }
    }

    /// Its definition in a sentence.
    pub fn definition(self) -> &'static str {
        match self {
            Measure::Mae => "the mean absolute difference of all samples, in the unit of the data",
            Measure::L1 => {
                "the mean absolute difference of samples scaled so that the ends of the data's range are -1 and 1"
            }
            Measure::Psnr => {
                "10 log10(d² / mean squared difference), d the width of the data's range; equal pictures have none \
                 and are left out of the mean"
            }
            Measure::Ssim => {
                "Wang et al. 2004: Gaussian windows of 11 x 11 pixels, deviation 1.5, per channel, d the width of \
                 the data's range"
            }
            Measure::MsSsim => {
                "Wang et al. 2003: the same at five scales; pictures with a side below 161 pixels have none"
            }
            Measure::Pearson => {
                "Pearson's correlation of all samples; a picture or target of one value has none"
            }
            Measure::Nrmse => {
                "the root of the mean squared difference over that of the target's samples"
            }
            Measure::LabL => {
                "what the distributions of lightness of all outputs and of all targets have in common: the sum of the \
                 smaller shares of bins of 1 unit, 0 to 1 (the paper's Figure 7 d)"
            }
            Measure::LabA => "the same of a in CIE Lab (D65), from green to red",
            Measure::LabB => "the same of b, from blue to yellow",
            Measure::PixelAccuracy => {
                "pixels whose class is right, of all pixels of all pictures (Long et al. 2015)"
            }
            Measure::ClassAccuracy => {
                "the same of each class that occurs in the targets, averaged over these classes"
            }
            Measure::MeanIou => {
                "right / (right + missed + false) of each class over all pictures, averaged over the classes that \
                 occur"
            }
        }
    }

    /// Whether a larger figure is better.
    pub fn more_is_better(self) -> bool {
        !matches!(self, Measure::Mae | Measure::L1 | Measure::Nrmse)
    }

    /// Whether it is of all pixels together, not a mean of the figures of pictures.
    pub fn is_pooled(self) -> bool {
        Measure::OF_CLASSES.contains(&self) || Measure::OF_COLOURS.contains(&self)
    }
}

/// What is known of a picture: figures of its samples, pixels of its classes, or both.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Score {
    /// A figure for each of [`Measure::OF_SAMPLES`]; NaN where there is none. Empty for labels, whose indices have
    /// no differences.
    pub samples: Vec<f64>,
    /// Pixels of each class; empty where there are no classes.
    pub classes: Vec<ClassPixels>,
    /// The colours of the output and of the target; none where they are not 8-bit RGB.
    pub colours: Option<[LabHistogram; 2]>,
}

/// How many pixels of a picture have a class.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ClassPixels {
    /// Rightly.
    pub right: u64,
    /// In the target.
    pub target: u64,
    /// In the output, where the target has a class.
    pub output: u64,
}

impl Score {
    /// Compares an output, as files have it, with its target of this domain.
    ///
    /// # Errors
    /// Images that differ in size, channels or sample type; an output with values that are not finite where the
    /// target has some; a target without pixels that count.
    pub fn of(domain: &Domain, output: &Image, truth: &Truth) -> Result<Score> {
        let Truth { target, prepared, mask, .. } = truth;
        if (output.width, output.height) != (target.width, target.height) {
            return Err(Error::input(format!(
                "it has {} x {} pixels and its target {} x {}; nothing is resized to be compared",
                output.width, output.height, target.width, target.height
            )));
        }
        target.format().check_format(output, "it")?;
        let (given, _) = domain.prepared(output.clone());
        let counts = truth.counts();
        if counts.is_some_and(|counts| counts.iter().all(|&counts| counts == 0)) {
            return Err(Error::input("its target has no pixel that counts"));
        }
        let mut score = Score::default();
        if let (Some(of), Some(as_given), Some(names)) =
            (domain.class_indices(prepared), domain.class_indices(&given), domain.class_names())
        {
            score.classes = vec![ClassPixels::default(); names.len()];
            let pixels = of.into_iter().zip(as_given).enumerate();
            for (_, (class, given)) in
                pixels.filter(|(i, _)| counts.is_none_or(|counts| counts[*i] != 0))
            {
                if class >= names.len() {
                    continue;
                }
                score.classes[class].target += 1;
                score.classes[class].right += u64::from(class == given);
                if let Some(given) = score.classes.get_mut(given) {
                    given.output += 1;
                }
            }
        }
        if !matches!(domain.kind, DomainKind::Labels { .. }) {
            let mut raw = output.clone();
            if let Some(mask) = mask {
                domain.blank(&mut raw, mask);
            }
            if !finite(&raw.samples) {
                return Err(Error::input(
                    "it has values that are not finite where its target has a value",
                ));
            }
            if domain.format() == PixelFormat::RGB && domain.kind == DomainKind::Colour {
                score.colours = Some([output, target].map(|image| colours(image, counts)));
            }
            score.samples = samples(domain, [output, target], [&given, prepared], counts)?;
        }
        Ok(score)
    }

    /// A figure of this picture alone; NaN if it has none.
    pub fn figure(&self, measure: Measure) -> f64 {
        if measure.is_pooled() {
            return pooled(measure, std::iter::once(self));
        }
        let i = Measure::OF_SAMPLES.iter().position(|m| *m == measure);
        i.and_then(|i| self.samples.get(i)).copied().unwrap_or(f64::NAN)
    }
}

fn finite(samples: &Samples) -> bool {
    match samples {
        Samples::F32(all) => all.iter().all(|v| v.is_finite()),
        _ => true,
    }
}

/// The colours of the pixels that count.
fn colours(image: &Image, counts: Option<&[u8]>) -> LabHistogram {
    let Samples::U8(all) = &image.samples else { panic!("RGB of 8 bits") };
    let pixels = all.chunks_exact(3).enumerate();
    let counted = pixels.filter(|(i, _)| counts.is_none_or(|counts| counts[*i] != 0));
    LabHistogram::of(counted.map(|(_, pixel)| [pixel[0], pixel[1], pixel[2]]))
}

/// The figures of samples: of files where a unit matters, of what the network sees elsewhere.
fn samples(
    domain: &Domain,
    [output, target]: [&Image; 2],
    [given, prepared]: [&Image; 2],
    counts: Option<&[u8]>,
) -> Result<Vec<f64>> {
    let range = domain.range();
    let size = [prepared.height, prepared.width];
    let least = size[0].min(size[1]);
    let (a, b) = (given.samples.as_slice(), prepared.samples.as_slice());
    let ssim = match least < metric::SSIM_WINDOW {
        true => f64::NAN,
        false => metric::ssim(a, b, size, range, counts)?,
    };
    let ms_ssim = match least < metric::MS_SSIM_SIDE {
        true => f64::NAN,
        false => metric::ms_ssim(a, b, size, range, counts)?,
    };
    let of = |image: &Image| match counts {
        Some(counts) => image.samples_that_count(counts),
        None => image.samples.clone(),
    };
    let [output, target, given, prepared] = [output, target, given, prepared].map(of);
    let [output, target, given, prepared] =
        [&output, &target, &given, &prepared].map(Samples::as_slice);
    Ok(vec![
        metric::mae(output, target)?,
        metric::l1(given, prepared, range)?,
        metric::psnr(given, prepared, range)?,
        ssim,
        ms_ssim,
        metric::pearson(output, target)?,
        metric::nrmse(output, target)?,
    ])
}

/// Adds counts to sums, which may be empty.
pub(super) fn add(sums: &mut Vec<u64>, counts: &[u64]) {
    sums.resize(counts.len(), 0);
    sums.iter_mut().zip(counts).for_each(|(sum, count)| *sum += count);
}

/// A figure over all pixels of these pictures.
///
/// # Panics
/// If it is one of pictures.
pub fn pooled<'a>(measure: Measure, pictures: impl Iterator<Item = &'a Score>) -> f64 {
    if let Some(channel) = Measure::OF_COLOURS.iter().position(|of| *of == measure) {
        let mut both = [const { Vec::new() }; 2];
        for colours in pictures.filter_map(|score| score.colours.as_ref()) {
            for (sum, of) in both.iter_mut().zip(colours) {
                add(sum, &of.counts[channel]);
            }
        }
        let [output, target] = both;
        return metric::intersection(&output, &target);
    }
    let mut all = Vec::new();
    for picture in pictures.map(|score| &score.classes) {
        all.resize(picture.len(), ClassPixels::default());
        for (sum, pixels) in all.iter_mut().zip(picture) {
            sum.right += pixels.right;
            sum.target += pixels.target;
            sum.output += pixels.output;
        }
    }
    let mean = |figures: Vec<f64>| figures.iter().sum::<f64>() / figures.len() as f64;
    match measure {
        Measure::PixelAccuracy => {
            let sum = |of: fn(&ClassPixels) -> u64| all.iter().map(of).sum::<u64>() as f64;
            sum(|c| c.right) / sum(|c| c.target)
        }
        Measure::ClassAccuracy => {
            let there = all.iter().filter(|c| c.target > 0);
            mean(there.map(|c| c.right as f64 / c.target as f64).collect())
        }
        Measure::MeanIou => {
            let either = |c: &ClassPixels| c.target + c.output - c.right;
            let there = all.iter().filter(|c| either(c) > 0);
            mean(there.map(|c| c.right as f64 / either(c) as f64).collect())
        }
        other => panic!("{} is no figure of all pixels", other.key()),
    }
}
